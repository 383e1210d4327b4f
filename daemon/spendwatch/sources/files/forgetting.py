"""Removes archived files after a time, counted from the moment in which they were archived, as it is on record."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from spendwatch.domain.statement import Original
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.naming import reason_name, spelled
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.skipped import reason_of
from spendwatch.sources.files.tree import DEEPEST, enter, kept_open


def forget(folder: int, originals: Iterable[Original], before: datetime, missed: Callable[[str, str], None]) -> list[str]:
    """Remove what was archived before that moment, with the reasons beside it; return the places of these originals.

    What is not on record as it lies there stays. `missed` is called with the name of a file that could not be removed, and why.
    """
    old = {one.place: one.identity for one in originals if one.kept_at < before}
    sweep = _Sweep(old, before, missed)
    for shelf in Shelf:
        try:
            with kept_open(enter(folder, shelf)) as opened:
                sweep.sweep(opened, shelf, 0)
        except FileNotFoundError:
            pass  # nothing was ever put there
        except OSError as error:
            missed(shelf, reason_of(error))
    return sweep.removed


@dataclass(frozen=True, slots=True)
class _Sweep:
    old: Mapping[str, str]
    before: datetime
    missed: Callable[[str, str], None]
    removed: list[str] = field(default_factory=list)

    def sweep(self, folder: int, called: str, depth: int) -> None:
        """Remove what is old from the open folder and those below; links and other oddities stay where they are."""
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    seen = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(seen.st_mode):
                        self._sweep_below(folder, entry.name, f"{called}/{entry.name}", depth + 1)
                    elif stat.S_ISREG(seen.st_mode):
                        self._remove_if_old(folder, entry.name, f"{called}/{entry.name}", seen)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self.missed(f"{called}/{entry.name}", reason_of(error))

    def _sweep_below(self, above: int, name: str, called: str, depth: int) -> None:
        if depth > DEEPEST:
            return
        had_removed = len(self.removed)
        with kept_open(enter(above, name)) as folder:
            is_old = self._is_old(os.fstat(folder))
            self.sweep(folder, called, depth)
        if is_old or len(self.removed) > had_removed:
            with suppress(OSError):  # something is still in it
                os.rmdir(name, dir_fd=above)

    def _remove_if_old(self, folder: int, name: str, called: str, seen: os.stat_result) -> None:
        place = spelled(called)
        if self.old.get(place) == Identity.of(seen).archived:
            os.unlink(name, dir_fd=folder)
            self.removed.append(place)
            if called.startswith(f"{Shelf.REJECTED}/"):
                self._remove_reason(folder, reason_name(name))
        elif not seen.st_size and self._is_old(seen):  # a name that was reserved by a process that died
            os.unlink(name, dir_fd=folder)

    def _remove_reason(self, folder: int, name: str) -> None:
        with suppress(FileNotFoundError):
            if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=folder)

    def _is_old(self, seen: os.stat_result) -> bool:
        return seen.st_ctime < self.before.timestamp()
