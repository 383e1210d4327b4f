"""Removes archived files after a time, counted from their move: the rename set that time, not the bill.

Nothing is removed if the file system does not record the move, or if its clock is behind ours, as on some shares.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spendwatch.domain.period import FIRST_RELEASE
from spendwatch.sources.files.naming import reason_name
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.skipped import reason_of
from spendwatch.sources.files.tree import DEEPEST, enter

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BELIEVED = (FIRST_RELEASE - _EPOCH) // timedelta(microseconds=1) * 1000
"""What was put there before was stamped by a clock that was never set, and may be new."""
_TRIES = 50
_BETWEEN_TRIES = 0.05
"""Together longer than the coarsest time stamps, which count in two seconds."""


def forget(folder: int, shelf: Shelf, before: datetime, missed: Callable[[str, str], None]) -> int:
    """Remove from the shelf what was put there before that moment; return how many originals that were.

    `missed` hears the name of what could not be removed, and why.
    """
    moment = (before - _EPOCH) // timedelta(microseconds=1) * 1000
    try:
        opened = enter(folder, shelf)
    except OSError as error:
        if error.errno != errno.ENOENT:
            missed(shelf, reason_of(error))
        return 0
    try:
        if trouble := _trouble_with_time(opened, moment):
            missed(shelf, trouble)
            return 0
        return _Sweep(shelf, moment, missed).sweep(opened, shelf, 0)
    except OSError as error:
        missed(shelf, reason_of(error))
        return 0
    finally:
        os.close(opened)


@dataclass(frozen=True, slots=True)
class _Sweep:
    shelf: Shelf
    moment: int
    missed: Callable[[str, str], None]

    def sweep(self, folder: int, called: str, depth: int) -> int:
        """Remove what is old from the open folder and those below; links and other oddities stay where they are."""
        removed = 0
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    seen = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(seen.st_mode):
                        removed += self._sweep_below(folder, entry.name, f"{called}/{entry.name}", depth + 1)
                    elif stat.S_ISREG(seen.st_mode) and _BELIEVED < seen.st_ctime_ns < self.moment:
                        removed += self._remove(folder, entry.name, seen.st_size)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self.missed(f"{called}/{entry.name}", reason_of(error))
        return removed

    def _sweep_below(self, above: int, name: str, called: str, depth: int) -> int:
        if depth > DEEPEST:
            return 0
        folder = enter(above, name)
        try:
            is_old = os.fstat(folder).st_ctime_ns < self.moment
            removed = self.sweep(folder, called, depth)
        finally:
            os.close(folder)
        if is_old or removed:
            with suppress(OSError):  # something is still in it
                os.rmdir(name, dir_fd=above)
        return removed

    def _remove(self, folder: int, name: str, size: int) -> bool:
        os.unlink(name, dir_fd=folder)
        if self.shelf is not Shelf.REJECTED:
            return bool(size)  # an empty file is a name that was reserved by a process that died
        with suppress(FileNotFoundError):
            if stat.S_ISREG(os.stat(reason_name(name), dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(reason_name(name), dir_fd=folder)
        return bool(size) and not name.endswith(".why.txt")


def _trouble_with_time(shelf: int, moment: int) -> str:
    """Move a file of our own on the shelf, and return what is wrong with the time that this leaves on it."""
    names = [f".{secrets.token_hex(8)}.{end}" for end in ("probe", "moved")]
    os.close(os.open(names[0], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=shelf))
    try:
        made = _changed(shelf, names[0])
        for _ in range(_TRIES):
            threading.Event().wait(_BETWEEN_TRIES)
            os.rename(names[0], names[1], src_dir_fd=shelf, dst_dir_fd=shelf)
            names.reverse()
            if (moved := _changed(shelf, names[0])) != made:
                return "" if moved >= moment else "its clock is so far behind that a new file would already be too old"
    finally:
        with suppress(OSError):
            os.unlink(names[0], dir_fd=shelf)
    return "its file system does not record when a file was moved there"


def _changed(shelf: int, name: str) -> int:
    return os.stat(name, dir_fd=shelf, follow_symlinks=False).st_ctime_ns
