"""Limits on the size of an unpacked bill: counted while it is unpacked, because declared sizes are not reliable."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from spendwatch.domain.errors import ReaderFailedError, Refusal, UnreadableBillError

_LOOK = 64 * 1024 * 1024
"""After so many bytes each the free space is asked for; fewer always find room, or the disk is full anyway."""

_UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


class Limits(NamedTuple):
    """Limits for one bill file. The defaults leave room for the largest known month."""

    unpacked: int = 16 * 1024**3
    """Bytes. A busy account's month is 10 GB of csv."""
    ratio: int = 250
    """Unpacked bytes for one packed byte. Bills pack 1:20 to 1:40; a bomb of zeros 1:1000."""
    unquestioned: int = 256 * 1024**2
    """Up to so many unpacked bytes the ratio is not checked."""
    members: int = 1000
    """Members of an archive, folders included. The provider begins a new file every 300,000 lines or so."""
    free: int = 512 * 1024**2
    """Bytes that must stay free where we unpack: the ledger may live on the same disk."""
    cells: int = 10_000_000
    """Filled cells of a spreadsheet: a quarter of a million lines of the widest layout, and half a minute's work."""
    tags: int = 50_000_000
    """XML tags in one part of a spreadsheet, several for each cell: whatever else there is takes as long."""
    columns: int = 1000
    """Columns of a spreadsheet; the widest layout has less than a hundred."""
    texts: int = 256 * 1024**2
    """Characters of a spreadsheet's shared texts, the one part of it that must be held in memory."""


LIMITS = Limits()


def tell_nobody(_share: float) -> None:
    """Report no progress."""


class Meter:
    """Counts what one bill file is unpacked to, and reports the progress of that."""

    def __init__(
        self, path: Path, folder: Path, limits: Limits = LIMITS, progress: Callable[[float], None] = tell_nobody
    ) -> None:
        """Nothing of the file is unpacked into the folder yet."""
        self.limits = limits
        self.unpacked = 0
        """So many bytes."""
        self.share: Callable[[], float] = lambda: 0.0
        """Tells how much of the file that is, from 0 to 1."""
        self._folder = folder
        self._packed = path.stat().st_size
        self._progress = progress
        self._looked = 0

    def count(self, size: int) -> None:
        """Count so many bytes more, before they are written; too many raise `UnreadableBillError`.

        A disk that is too full is not the bill's fault: it raises `ReaderFailedError`, so that the file is tried again later.
        """
        self.unpacked += size
        limits = self.limits
        if self.unpacked > limits.unpacked:
            raise UnreadableBillError(Refusal(f"unpacks to more than {shown(limits.unpacked)}, the maximum"))
        if self.unpacked > limits.unquestioned and self.unpacked > limits.ratio * self._packed:
            reason = f"its {shown(self._packed)} unpack to more than {limits.ratio} times as much: not plausible for a bill"
            raise UnreadableBillError(Refusal(reason))
        if self.unpacked - self._looked >= _LOOK:
            self._looked = self.unpacked
            self._look()
        self._progress(min(1.0, self.share()))

    def write(self, pieces: Iterable[bytes], path: Path) -> None:
        """Write the pieces into a new file, each of them counted."""
        with path.open("wb") as file:
            for piece in pieces:
                self.count(len(piece))
                file.write(piece)

    def _look(self) -> None:
        disk = os.statvfs(self._folder)
        left = disk.f_bavail * disk.f_frsize
        if left < self.limits.free + _LOOK:
            msg = f"too little disk space to unpack the bill: {shown(left)} are free, {shown(self.limits.free)} must stay free"
            raise ReaderFailedError(msg, is_innocent=True)


def shown(size: int) -> str:
    """Return a number of bytes as people say it."""
    unit, name = next(((unit, name) for unit, name in _UNITS if size >= unit), (1, "bytes"))
    return f"{size / unit:.4g} {name}"
