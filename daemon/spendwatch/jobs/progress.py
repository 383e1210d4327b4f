"""How much of a long bill is read, noted for those who look from outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from spendwatch.domain.health import ReadingProgress
from spendwatch.domain.period import Clock
from spendwatch.domain.statement import BillFile
from spendwatch.jobs.ports import Health

LONG = 2.0
"""After so many seconds a bill is long enough to be spoken of."""

_EVERY = 1.0


class ProgressNotes:
    """Notes, now and then, how far the reading of one file after the other has come."""

    def __init__(self, health: Health, clock: Clock, monotonic: Callable[[], float]) -> None:
        """Note nothing before a file is begun."""
        self._health = health
        self._clock = clock
        self._monotonic = monotonic
        self._file: BillFile | None = None
        self._began_at: datetime | None = None
        self._next = 0.0
        self._is_noted = False

    def turn_to(self, file: BillFile | None) -> None:
        """Begin with that file, or with none."""
        if self._is_noted and self._file:
            self._health.reading_ended(self._file.source)
        self._file, self._began_at, self._is_noted = file, self._clock(), False
        self._next = self._monotonic() + LONG

    def tell(self, phase: str, share: float) -> None:
        """Take in how much of the phase is done; while the ledger is being written to, nothing is noted."""
        file = self._file
        if file is None or self._began_at is None or phase == "merging" or self._monotonic() < self._next:
            return
        self._next = self._monotonic() + _EVERY
        self._is_noted = True
        now = self._clock()
        self._health.reading_goes_on(ReadingProgress(file.source, file.name, file.size, phase, share, self._began_at, now))
