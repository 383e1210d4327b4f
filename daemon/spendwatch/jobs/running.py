"""Whether the daemon runs and evaluates, and whether messages are delivered: figures are useless without that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from spendwatch.domain.count import counted
from spendwatch.domain.delivery import WAITING, DeliveryState
from spendwatch.domain.health import ChannelHealth, DaemonHealth
from spendwatch.domain.period import duration_text
from spendwatch.domain.policy import ChannelName

_UNSENT = (*WAITING, DeliveryState.ATTEMPTING)

_BEAT_LASTS = timedelta(minutes=3)
"""A daemon evaluates every half minute; a clock that was set shows until the next time."""

_ROUND_LASTS = timedelta(hours=25)
"""A timer for `once` runs every day at least."""

_STUCK = timedelta(minutes=5)
"""So long a message may wait after it was due: its channel may be busy."""


class Running(NamedTuple):
    """What is known of the daemon: whether it holds its lock, and its last report."""

    is_running: bool
    health: DaemonHealth | None
    counts: Mapping[tuple[ChannelName, DeliveryState], int]
    next_due: datetime | None
    """When the first message is tried that was not sent yet: pauses and quiet hours are over then."""
    held: int = 0
    """Messages that may have arrived and wait for a person."""
    channels: Sequence[ChannelHealth] = ()
    """Those of the configuration."""

    @property
    def pending(self) -> int:
        """Messages that were not sent yet."""
        return sum(number for (_, state), number in self.counts.items() if state in _UNSENT)

    @property
    def dead(self) -> int:
        """Deliveries that are no longer retried."""
        return sum(number for (_, state), number in self.counts.items() if state is DeliveryState.DEAD)

    def trouble(self, now: datetime, zone: tzinfo) -> str:
        """Return why the figures cannot be relied on, in words; empty where they can."""
        if self.health is None:
            return ""
        since = self.health.beat_at.astimezone(zone).isoformat(timespec="seconds")
        age = now - self.health.beat_at
        if self.is_running:
            if self.health.trouble:
                return f"the ledger is not reliable: {self.health.trouble}"
            return f"the daemon runs, but has evaluated nothing since {since}" if abs(age) > _BEAT_LASTS else ""
        if self.health.is_daemon:
            return f"the daemon is not running: nothing was read since {since} ({_words(age)})"
        is_fresh = -_BEAT_LASTS <= age <= _ROUND_LASTS
        return "" if is_fresh else f"the last round of `spendwatch once` was at {since} ({_words(age)})"

    def line(self, now: datetime) -> tuple[str, str]:
        """Return one line about the daemon, behind the word for how well that is."""
        last = f"evaluated {_words(now - self.health.beat_at)}" if self.health else "nothing evaluated yet"
        if self.is_running:
            return "ok", f"daemon running, {last}"
        if self.health is None or self.health.is_daemon:
            return "critical", f"daemon stopped, {last}"
        return "ok", f"{last} by `spendwatch once`"

    def messages(self, now: datetime) -> Iterator[tuple[str, str]]:
        """Yield what became of messages that have not arrived, behind the word for how grave that is."""
        if self.held:
            yield "warning", f"{counted(self.held, 'message')} may have arrived (spendwatch deliveries retry or cancel)"
        if self.is_running and self.health and self.health.ping:
            yield "warning", f"the heartbeat ping fails: {self.health.ping}"
        if self.dead:
            yield "critical", f"{counted(self.dead, 'message')} undelivered (spendwatch deliveries)"
        if self.pending and self.next_due and now - self.next_due > _STUCK:
            yield "warning", f"{counted(self.pending, 'message')} stuck, due {_words(now - self.next_due)}"
        elif self.pending:
            yield "notice", f"{counted(self.pending, 'message')} waiting"

    @property
    def state(self) -> str:
        """`running` or `stopped`."""
        return "running" if self.is_running else "stopped"

    def json(self, now: datetime, zone: tzinfo) -> dict[str, object]:
        """Return it as `status --json` has it."""
        beat = self.health.beat_at.astimezone(zone).isoformat(timespec="seconds") if self.health else None
        trouble, ping = (self.health.trouble, self.health.ping) if self.health else ("", "")
        return {
            "daemon": {"state": self.state, "heartbeat_at": beat, "trouble": trouble, "ping_trouble": ping},
            "deliveries": {"pending": self.pending, "held": self.held, "dead": self.dead},
            "channels": [_channel_json(one, now, zone) for one in self.channels],
        }


def _channel_json(one: ChannelHealth, now: datetime, zone: tzinfo) -> dict[str, object]:
    moments = one.failing_since, one.not_before if one.is_paused(now) else None
    since, until = (moment.astimezone(zone).isoformat(timespec="seconds") if moment else None for moment in moments)
    state = "disabled" if one.disabled else "paused" if until else "failing" if since else "ok"
    return {"name": one.name, "state": state, "failing_since": since, "paused_until": until, "reason": one.trouble}


def _words(age: timedelta) -> str:
    return f"{duration_text(age)} ago" if age >= timedelta() else f"{duration_text(-age)} ahead of this clock"
