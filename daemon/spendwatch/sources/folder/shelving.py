"""Finished originals that may be moved: they are archived, and watched for a while."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.forgetting import forget
from spendwatch.sources.files.naming import readable
from spendwatch.sources.files.originals import Original, folder_at, oddity
from spendwatch.sources.files.shelves import Shelf, lay_beside, put_away
from spendwatch.sources.files.skipped import Once, reason_of
from spendwatch.sources.files.spool import Identity
from spendwatch.sources.files.tree import MOST_FOLDERS, Tree, enter
from spendwatch.sources.folder.afterwards import Afterwards
from spendwatch.sources.folder.given_again import GivenAgain
from spendwatch.sources.folder.settling import Looks

_log: FilteringBoundLogger = structlog.get_logger()


class Shelving:
    """A folder that is ours to tidy up."""

    def __init__(
        self,
        source: SourceName,
        path: Path,
        looks: Looks,
        once: Once,
        *,
        monotonic: Callable[[], float],
        given_again: GivenAgain,
    ) -> None:
        """Report in the name of that source."""
        self._source = source
        self._path = path
        self._looks = looks
        self._once = once
        self._afterwards = Afterwards(source, monotonic)
        self._given_again = given_again
        self._tidying = threading.Lock()
        """Lest a folder on a shelf is removed as empty in the moment in which a file is about to be put into it."""

    def is_settled(self, name: str, identity: Identity) -> bool:
        """Tell whether the file is done with as it is: what is done with does not lie here any more."""
        del name, identity
        return False

    def begin(self, folder: int) -> None:
        """Begin a look."""
        self._given_again.look(folder, partial(self.kept, folder, self._not_seen))
        self._afterwards.bring_back_what_grew(folder)

    def seen_all(self) -> None:
        """After a look: nothing to do."""

    def end(self) -> None:
        """After a pass: nothing to do."""

    def settle(self, original: Original, shelf: Shelf, why: str | None) -> None:
        """Move the original onto the shelf, the reason beside it, unless it was replaced meanwhile."""
        try:
            with self._tidying, folder_at(self._path) as folder:
                self._move(folder, original, shelf, why)
        except SourceUnavailableError as error:
            self._not_moved(original, shelf, str(error))

    def kept(self, folder: int, missed: Callable[[str, str], None]) -> Iterator[tuple[str, str]]:
        """Yield the originals that the ledger has, each with its name and with where it lies below the folder."""
        try:
            shelf = enter(folder, Shelf.DONE)
        except FileNotFoundError:
            return
        except OSError as error:
            missed(f"{Shelf.DONE}/", reason_of(error))
            return
        try:
            tree = Tree(shelf, deep=True, shut=(), missed=missed)
            for name, seen in tree.files():
                if odd := oddity(seen):
                    missed(name, odd)
                elif seen.st_size:  # an empty file is a name that was reserved by a process that died
                    yield name, f"{Shelf.DONE}/{name}"
            if tree.is_cut:
                missed("./", f"has more than {MOST_FOLDERS} folders below it: not all are read")
        finally:
            os.close(shelf)

    def forget(self, before: datetime) -> int:
        """Remove what was put on the shelves before that moment; return how many originals that were."""
        self._once.is_over("original_not_forgotten")
        with self._tidying, folder_at(self._path) as folder:
            return sum(forget(folder, shelf, before, self._not_forgotten) for shelf in Shelf)

    def _move(self, folder: int, original: Original, shelf: Shelf, why: str | None) -> None:
        if shelf is Shelf.DONE:
            self._given_again.note(folder)
        try:
            final = put_away(folder, original.name, original.identity, shelf)
        except OSError as error:
            self._not_moved(original, shelf, reason_of(error))
            return
        self._once.is_over("original_not_moved")
        self._looks.forget(original.name)
        if final is None:
            return
        self._afterwards.watch(shelf, final, original.name, original.identity)
        if why is not None:
            try:
                lay_beside(folder, shelf, final, why)
            except OSError as error:
                _log.warning("reason_not_written", source=self._source, name=readable(final), reason=reason_of(error))

    def _not_moved(self, original: Original, shelf: Shelf, reason: str) -> None:
        # Moving is a courtesy: the ledger knows the bytes already, and as long as the file stays as it is, so do we.
        self._looks.retire(original.name, original.identity)
        self._once.tell("original_not_moved", name=readable(original.name), shelf=shelf.value, reason=reason)

    def _not_seen(self, name: str, reason: str) -> None:
        _log.warning("file_not_brought_back", source=self._source, name=readable(name), reason=reason)

    def _not_forgotten(self, name: str, reason: str) -> None:
        self._once.tell("original_not_forgotten", name=readable(name), reason=reason)
