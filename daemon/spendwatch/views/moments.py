"""How times, and what a message waits for, are written for people."""

from __future__ import annotations

from datetime import datetime, tzinfo

from spendwatch.domain.notification import Held, HoldReason


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
