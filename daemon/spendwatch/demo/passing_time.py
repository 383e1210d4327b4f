"""The demo's time: it stands still while somebody works, and passes at once when somebody waits."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime, timedelta


class PassingTime:
    """A clock, a stop watch and a sleep that agree."""

    def __init__(self, start: datetime) -> None:
        """Begin then."""
        self._start = self._now = start

    def clock(self) -> datetime:
        """Return the moment."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Let that time pass; others may work meanwhile."""
        # Rounded up, as no sleep may be shorter than it was asked to be: who paces calls by it would call too early.
        self._now += timedelta(microseconds=math.ceil(seconds * 1e6))
        await asyncio.sleep(0)

    def pass_until(self, moment: datetime) -> None:
        """Let the time until then pass, unless it is past."""
        self._now = max(self._now, moment)
