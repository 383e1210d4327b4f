"""Records how much of a long bill has been read, for `status`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from spendwatch.domain.health import ReadingProgress
from spendwatch.domain.period import Clock
from spendwatch.domain.statement import BillFile
from spendwatch.jobs.ports import Health

LONG = 2.0
"""After so many seconds a bill is long enough to be spoken of."""

_EVERY = 1.0


class _Turn(threading.local):
    """What one thread is reading: several sources take turns at one reading process, each in a thread of its own."""

    file: BillFile | None = None
    began_at: datetime | None = None
    next_at = 0.0
    is_noted = False


class ProgressNotes:
    """Notes, now and then, how far the reading of one file after the other has come."""

    def __init__(self, health: Health, clock: Clock, monotonic: Callable[[], float]) -> None:
        """Note nothing before a file is begun."""
        self._health = health
        self._clock = clock
        self._monotonic = monotonic
        self._turn = _Turn()

    def turn_to(self, file: BillFile | None) -> None:
        """Begin with that file, or with none."""
        turn = self._turn
        if turn.is_noted and turn.file:
            self._health.reading_ended(turn.file.source)
        turn.file, turn.began_at, turn.is_noted = file, self._clock(), False
        turn.next_at = self._monotonic() + LONG

    def tell(self, phase: str, share: float) -> None:
        """Take in how much of the phase is done; while the ledger is being written to, nothing is noted."""
        turn = self._turn
        file = turn.file
        if file is None or turn.began_at is None or phase == "merging" or self._monotonic() < turn.next_at:
            return
        turn.next_at = self._monotonic() + _EVERY
        turn.is_noted = True
        self._health.reading_goes_on(ReadingProgress(file.source, file.name, file.size, phase, share, turn.began_at))
