"""Finished files of a folder from which nothing may be moved: they stay in place, and are on record as they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import Original, SourceName
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.naming import readable, spelled
from spendwatch.sources.files.on_record import OnRecord
from spendwatch.sources.files.originals import Offered
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.tree import MOST_FOLDERS, Tree
from spendwatch.sources.folder.settling import Looks

_log: FilteringBoundLogger = structlog.get_logger()

MOST_REMEMBERED = 200_000
"""Files of one source; so many cost some 60 MB."""


@dataclass(slots=True, eq=False)
class InPlace:
    """A folder from which no file may be moved."""

    source: SourceName
    looks: Looks
    record: OnRecord
    reader: Callable[[], str]
    """Tells by which reader files are rejected: another one may understand them."""
    deep: bool
    """Whether its folder is looked at with those below it."""
    _reads_now: str = ""
    _known: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of each original on record, by its place, what it is and which reader rejected it."""
    _met: set[str] = field(default_factory=set)
    """What the last look met of it."""

    def is_settled(self, name: str, identity: Identity) -> bool:
        """Return whether the file is done with as it is."""
        place = spelled(name)
        known = self._known.get(place)
        if known:
            self._met.add(place)
        return known in {(identity.in_place, ""), (identity.in_place, self._reads_now)}

    def begin(self, folder: int) -> None:
        """Before a look: know what is on record."""
        del folder
        self._know()
        self._reads_now = self.reader()
        self._met.clear()

    def seen_all(self) -> None:
        """After a look: forget what it did not meet, if too much is on record.

        `SourceUnavailableError` when the folder holds more than can be remembered.
        """
        if len(self._known) <= MOST_REMEMBERED:
            return
        gone = self._known.keys() - self._met
        self.record.forget(gone)
        self._known = {place: known for place, known in self._known.items() if place in self._met}
        if len(self._known) > MOST_REMEMBERED:
            msg = f"the folder holds more than {MOST_REMEMBERED} files that were read and may not be moved: remove some"
            raise SourceUnavailableError(msg)

    def settle(self, file: Offered, shelf: Shelf, why: str | None, reader: str) -> None:
        """Put the file on record; why it was rejected stands in the log alone."""
        del shelf
        original = Original(spelled(file.name), file.identity.in_place, file.seen_at, reader)
        self.record.add(original)
        self._known[original.place] = original.identity, reader
        self.looks.forget(file.name)
        if why is not None:
            _log.warning("original_rejected", source=self.source, name=readable(file.name), why=why)

    def kept(self, folder: int, missed: Callable[[str, str], None]) -> Iterator[tuple[str, str]]:
        """Yield the originals of what the ledger has, each with its name and with where it lies below the folder."""
        self._know()
        tree = Tree(folder, deep=self.deep, shut=tuple(Shelf), missed=missed)
        for name, seen in tree.files():
            if self._known.get(spelled(name)) == (Identity.of(seen).in_place, ""):
                yield name, name
        if tree.is_cut:
            missed("./", f"has more than {MOST_FOLDERS} folders below it: not all are read")

    def forget(self, before: datetime) -> int:
        """Remove nothing: none of it is ours."""
        del before
        return 0

    def _know(self) -> None:
        if self.record.is_another:
            with self.record.read() as originals:
                self._known = {one.place: (one.identity, one.refused_by) for one in originals}
