"""Notices a wall clock that is wrong or was set, corrects the times on record, and says so for a day."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from spendwatch.domain.period import Clock, duration_text
from spendwatch.state import clock_offset
from spendwatch.store.database import Database
from spendwatch.store.moments import correct_moments, shift_moments

log = structlog.get_logger("spendwatch")

_LARGE_STEP = timedelta(minutes=5)
"""A clock that is set by so much was wrong; by less, it is kept right."""

_BEHIND = timedelta(days=2)
"""By less, bills of today may be ahead of now: of the day's end, and in another zone."""

_REPORTED_FOR = timedelta(days=1)
"""A clock that jumps time and again is one alert."""


class ClockWatch:
    """Compares the wall clock with a steady one and with the bills."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        monotonic: Callable[[], float],
        newest: Callable[[], datetime | None],
        zone: Callable[[], ZoneInfo],
    ) -> None:
        """Correct times in that database; `newest` returns when the latest day ends that a bill charges for."""
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._newest = newest
        self._zone = zone
        self._offset = clock_offset()
        self._reported = ("", -math.inf)
        """What was wrong lately, and until when that is reported, by the steady clock."""

    def check(self) -> None:
        """Correct what a wrong clock noted before the start, unless the clock is wrong now; report a large difference."""
        noted = self._correct()
        if noted and abs(noted - self._clock()) >= _LARGE_STEP:
            self._report(f"a record has the time {self._shown(noted)}")

    def follow(self) -> None:
        """Notice that the clock was set by a large step, keep the ages of what is on record, and report it."""
        offset = clock_offset()
        step = timedelta(seconds=round(offset - self._offset))
        if abs(step) < _LARGE_STEP:
            self._offset = offset
            return
        shift_moments(self._database, step)
        self._offset = offset
        self._correct()
        self._report(f"it was set {'ahead' if step > timedelta() else 'back'} by {duration_text(abs(step))}")

    def trouble_at(self, now: datetime) -> str:
        """Return what is wrong with the clock; empty while it is right."""
        text, until = self._reported
        if self._monotonic() < until:
            return text
        return f"it shows {self._shown(now)}, and bills charge for later days" if self._is_behind(now) else ""

    def _correct(self) -> datetime | None:
        now = self._clock()
        return None if self._is_behind(now) else correct_moments(self._database, now)

    def _is_behind(self, now: datetime) -> bool:
        newest = self._newest()
        return newest is not None and now < newest - _BEHIND

    def _shown(self, moment: datetime) -> str:
        return moment.astimezone(self._zone()).isoformat(timespec="seconds")

    def _report(self, why: str) -> None:
        now = self._shown(self._clock())
        log.warning("clock_stepped", why=why, now=now)
        self._reported = f"{why}; now it shows {now}", self._monotonic() + _REPORTED_FOR.total_seconds()
