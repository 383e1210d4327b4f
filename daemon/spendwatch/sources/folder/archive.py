"""Finished files of a folder that is ours to tidy up: archived in it, and read again if they are not on record as they lie."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import Original, SourceName
from spendwatch.sources.files.forgetting import forget
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.naming import readable, spelled
from spendwatch.sources.files.on_record import OnRecord
from spendwatch.sources.files.originals import Offered, folder_at, oddity
from spendwatch.sources.files.shelves import Shelf, bring_back, lay_beside, put_away, seen_on
from spendwatch.sources.files.skipped import Once, reason_of
from spendwatch.sources.files.tree import MOST_FOLDERS, Tree, enter, kept_open
from spendwatch.sources.folder.settling import Looks

_log: FilteringBoundLogger = structlog.get_logger()

_WATCHED_FOR = 3600.0
_MOST_WATCHED = 1000


class _Lately(NamedTuple):
    name: str
    identity: Identity
    until: float


@dataclass(slots=True, eq=False)
class Archive:
    """The folders `done/` and `rejected/` in a drop folder.

    A writer that pauses longer than the settle time keeps its file open, and a rename does not stop it from writing on: what
    was archived lately is looked at each time, and everything at first, and when the ledger is another one.
    """

    source: SourceName
    path: Path
    looks: Looks
    once: Once
    record: OnRecord
    monotonic: Callable[[], float]
    deep: bool
    """Whether files may lie in sub-folders."""
    _lately: dict[tuple[Shelf, str], _Lately] = field(default_factory=dict)
    _tidying: threading.Lock = field(default_factory=threading.Lock)
    """Lest an archive folder is removed as empty in the moment in which a file is about to be put into it."""

    def is_settled(self, name: str, identity: Identity) -> bool:
        """Return whether the file is done with as it is: what is done with does not lie here any more."""
        del name, identity
        return False

    def begin(self, folder: int) -> None:
        """Before a look: bring back what is not on record as it lies in the archive."""
        if self.record.is_another:
            self._bring_back_what_is_not_on_record(folder)
        for (shelf, final), put in tuple(self._lately.items()):
            found = seen_on(folder, shelf, final)
            has_grown = found is not None and found.inode == put.identity.inode and not found.is_same_file(put.identity)
            if has_grown or found is None or self.monotonic() >= put.until:
                del self._lately[shelf, final]
            if has_grown and self._bring_back(folder, shelf, final, put.name):
                _log.info("file_brought_back", source=self.source, name=readable(put.name), shelf=shelf.value)

    def seen_all(self) -> None:
        """After a look: nothing to do."""

    def settle(self, file: Offered, shelf: Shelf, why: str | None, reader: str) -> None:
        """Archive the file, the reason beside it, unless it was replaced meanwhile."""
        try:
            with self._tidying, folder_at(self.path) as folder:
                self._move(folder, file, shelf, why, reader)
        except SourceUnavailableError as error:
            self._not_moved(file, shelf, str(error))

    def kept(self, folder: int, missed: Callable[[str, str], None]) -> Iterator[tuple[str, str]]:
        """Yield the originals of what the ledger has, each with its name and with where it lies below the folder."""
        for name, _ in self._lying(folder, Shelf.DONE, missed):
            yield name, f"{Shelf.DONE}/{name}"

    def forget(self, before: datetime) -> int:
        """Remove what was archived before that moment; return how many originals that were."""
        self.once.is_over("original_not_forgotten")
        with self._tidying, folder_at(self.path) as folder:
            removed = forget(folder, self.record.all(), before, self.once.missed("original_not_forgotten"))
        self.record.forget(removed)
        return len(removed)

    def _bring_back_what_is_not_on_record(self, folder: int) -> None:
        with self.record.read() as originals:
            changed = self._changed(folder, {one.place: one.identity for one in originals})
        if changed:
            reason = "they are not on record as they are: they are read again"
            self.once.tell("archived_files_read_again", count=len(changed), reason=reason)
        is_done = True
        for shelf, name in changed:
            if "/" in name and not self.deep:
                self._not_brought_back(name, "it came from a sub-folder, and sub-folders are no longer read")
            else:
                is_done &= self._bring_back(folder, shelf, name, name)
        if is_done:
            self.once.is_over("archived_files_read_again")
        else:
            self.record.is_not_over()

    def _changed(self, folder: int, known: Mapping[str, str]) -> list[tuple[Shelf, str]]:
        """Return what is not on record as it lies in the archive."""
        found = [
            (shelf, name, known.get(spelled(f"{shelf}/{name}")), Identity.of(seen).archived)
            for shelf in Shelf
            for name, seen in self._lying(folder, shelf, self._not_brought_back)
        ]
        # What is rejected and unknown may be a reason, or was laid there by a person.
        return [(shelf, name) for shelf, name, was, now in found if was != now and (was or shelf is Shelf.DONE)]

    def _bring_back(self, folder: int, shelf: Shelf, final: str, name: str) -> bool:
        """Move a file from the archive back into the folder, where it has to settle again; return whether that was possible."""
        try:
            bring_back(folder, shelf, final, name)
        except FileNotFoundError:
            pass  # it was removed meanwhile
        except OSError as error:
            self._not_brought_back(name, reason_of(error))
            return False
        return True

    def _lying(self, folder: int, shelf: Shelf, missed: Callable[[str, str], None]) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the files that lie in an archive folder."""
        try:
            opened = enter(folder, shelf)
        except FileNotFoundError:
            return
        except OSError as error:
            missed(f"{shelf}/", reason_of(error))
            return
        with kept_open(opened):
            tree = Tree(opened, deep=True, shut=(), missed=missed)
            for name, seen in tree.files():
                if odd := oddity(seen):
                    missed(name, odd)
                elif seen.st_size:  # an empty file is a name that was reserved by a process that died
                    yield name, seen
            if tree.is_cut:
                missed("./", f"has more than {MOST_FOLDERS} folders below it: not all are read")

    def _move(self, folder: int, file: Offered, shelf: Shelf, why: str | None, reader: str) -> None:
        try:
            final = put_away(folder, file.name, file.identity, shelf)
        except OSError as error:
            self._not_moved(file, shelf, reason_of(error))
            return
        self.once.is_over("original_not_moved")
        self.looks.forget(file.name)
        if final is None:
            return
        self.record.add(Original(spelled(f"{shelf}/{final}"), file.identity.archived, file.seen_at, reader))
        self._watch(shelf, final, file)
        if why is not None:
            try:
                lay_beside(folder, shelf, final, why)
            except OSError as error:
                _log.warning("reason_not_written", source=self.source, name=readable(final), reason=reason_of(error))

    def _watch(self, shelf: Shelf, final: str, file: Offered) -> None:
        """Look at this file each time for an hour; of very many only at the latest."""
        self._lately[shelf, final] = _Lately(file.name, file.identity, self.monotonic() + _WATCHED_FOR)
        if len(self._lately) > _MOST_WATCHED:
            del self._lately[next(iter(self._lately))]

    def _not_moved(self, file: Offered, shelf: Shelf, reason: str) -> None:
        # Moving is a courtesy: the ledger knows the bytes already, and as long as the file stays as it is, so do we.
        self.looks.retire(file.name, file.identity)
        self.once.tell("original_not_moved", name=readable(file.name), shelf=shelf.value, reason=reason)

    def _not_brought_back(self, name: str, reason: str) -> None:
        self.once.missed("file_not_brought_back")(name, reason)
