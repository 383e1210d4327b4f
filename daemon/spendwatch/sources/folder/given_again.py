"""Replays archived files into a ledger that lacks them: a new one, or one restored from a backup.

The folder itself records which change of the ledger includes all archived files, so that restoring a backup of the ledger does
not also restore an older record.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.kept import MARK, History
from spendwatch.sources.files.naming import readable
from spendwatch.sources.files.shelves import Shelf, bring_back
from spendwatch.sources.files.skipped import Once, reason_of

_log: FilteringBoundLogger = structlog.get_logger()

NOTE = ".spendwatch.revision"
_NEW = f"{NOTE}.new"
_ALL = "all"
"""Stands in the note from the moment in which it is noticed until everything is back: a killed process begins anew."""
_LONGEST = 40


class GivenAgain:
    """Compares the ledger's history with the note in the folder."""

    def __init__(self, source: SourceName, once: Once, history: History, *, deep: bool) -> None:
        """Report in the name of that source; `deep`: its folder is looked at with those below it."""
        self._source = source
        self._once = once
        self._history = history
        self._deep = deep
        self._owed: set[tuple[str, str]] | None = None
        """What is still to be brought back, each with its name and with where it lies; None: nothing was noticed."""

    def look(self, folder: int, kept: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """Bring all that was kept back into the folder if the ledger lacks some of it; what cannot be is tried again."""
        if self._owed is None:
            if not self._is_older(folder):
                return
            self._owed = set(kept())
            reason = "the ledger is older: all archived files are read again"
            _log.warning("shelved_files_given_again", source=self._source, count=len(self._owed), reason=reason)
            self._note(folder, _ALL)
        for name, place in sorted(self._owed):
            self._bring_back(folder, name, place)
        if not self._owed:
            self._owed = None
            self._note(folder, self._history.mark())

    def note(self, folder: int) -> None:
        """Before a file is shelved: note that a ledger without the latest change lacks it."""
        if self._owed is not None:
            return
        try:
            mark = self._history.mark()
        except LedgerUnavailableError as error:
            self._once.tell("revision_not_noted", reason=str(error))
            return
        if mark and _noted(folder) != mark:
            self._note(folder, mark)

    def _is_older(self, folder: int) -> bool:
        noted = _noted(folder)
        return noted == _ALL or bool(noted and not self._history.has_mark(noted))

    def _bring_back(self, folder: int, name: str, place: str) -> None:
        assert self._owed is not None  # noqa: S101 -- called for what is owed
        if "/" in name and not self._deep:
            reason = "it came from a sub-folder, and sub-folders are no longer read"
            _log.warning("file_not_brought_back", source=self._source, name=readable(place), reason=reason)
        else:
            try:
                bring_back(folder, Shelf.DONE, name, name)
            except FileNotFoundError:
                pass  # somebody took it away
            except OSError as error:
                self._once.tell("file_not_brought_back", name=readable(place), reason=reason_of(error))
                return
        self._owed.discard((name, place))

    def _note(self, folder: int, text: str) -> None:
        try:
            with suppress(FileNotFoundError):
                os.unlink(_NEW, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(_NEW, flags, 0o640, dir_fd=folder), "w", encoding="ascii") as file:
                file.write(f"{text}\n")
            os.rename(_NEW, NOTE, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            self._once.tell("revision_not_noted", reason=reason_of(error))
        else:
            self._once.is_over("revision_not_noted")


def _noted(folder: int) -> str:
    """Return what stands in the note, a mark or `all`; empty where there is none, or none that can be read."""
    try:
        opened = os.open(NOTE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(opened, "rb") as file:
            text = file.read(_LONGEST + 1).strip().decode("ascii")
    except (OSError, ValueError):
        return ""
    return text if text == _ALL or MARK.fullmatch(text) else ""
