"""How times, and what a message waits for, are written for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from spendwatch.domain.delivery import Held, HoldReason
from spendwatch.domain.health import ChannelHealth


def when(moment: datetime | None, zone: tzinfo) -> str:
    """Return a time for people."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M") if moment else "never"


def held_by(row: Held) -> str:
    """Return what a message waits for, or waited for."""
    match row.why:
        case HoldReason.QUIET_HOURS:
            return f"quiet hours of {row.channel}"
        case HoldReason.SILENCE:
            return f"silence {row.silence}"
        case HoldReason.STORM:
            return f"{row.channel}, to come together"
        case HoldReason.WITHHELD:
            return "no request"


def channel_notes(channels: Iterable[ChannelHealth], now: datetime, zone: tzinfo) -> Iterator[str]:
    """Yield what keeps the messages of channels back: since when, why, when the next attempt is, and what ends it."""
    for one in channels:
        if one.disabled:
            yield f"channel {one.name} is disabled, as its receiver asked; to enable it: spendwatch notify-test {one.name}"
        elif one.failing_since:
            until = f"; next attempt at {when(one.not_before, zone)}" if one.is_paused(now) else ""
            last = f"; to try now: spendwatch notify-test {one.name}" if until else ""
            yield f"channel {one.name} fails since {when(one.failing_since, zone)}: {one.trouble}{until}{last}"
