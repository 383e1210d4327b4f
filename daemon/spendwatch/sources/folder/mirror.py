"""Finished originals that may not be moved: they stay in place and are remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.naming import readable
from spendwatch.sources.files.originals import Original
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.spool import Identity
from spendwatch.sources.files.tree import MOST_FOLDERS, Tree
from spendwatch.sources.folder.remembered import MOST_REMEMBERED, Remembered
from spendwatch.sources.folder.settling import Looks

_log: FilteringBoundLogger = structlog.get_logger()


class Mirror:
    """A folder that somebody else keeps as it is."""

    def __init__(self, source: SourceName, looks: Looks, remembered: Remembered, *, deep: bool) -> None:
        """Report in the name of that source; `deep`: its folder is looked at with those below it."""
        self._source = source
        self._looks = looks
        self._remembered = remembered
        self._deep = deep

    def is_settled(self, name: str, identity: Identity) -> bool:
        """Tell whether the file is done with as it is."""
        return self._remembered.has(name, identity)

    def begin(self, folder: int) -> None:
        """Begin a look."""
        del folder
        self._remembered.begin()

    def seen_all(self) -> None:
        """After a look: `SourceUnavailableError` when the folder holds more than can be remembered."""
        if not self._remembered.make_room():
            msg = f"the folder holds more than {MOST_REMEMBERED} files that were read and may not be moved: remove some"
            raise SourceUnavailableError(msg)

    def end(self) -> None:
        """After a pass: write down what it settled."""
        self._remembered.save()

    def settle(self, original: Original, shelf: Shelf, why: str | None) -> None:
        """Remember the file; why it was rejected stands in the log alone."""
        self._remembered.add(original.name, original.identity, refused=shelf is Shelf.REJECTED)
        self._looks.forget(original.name)
        if why is not None:
            _log.warning("original_rejected", source=self._source, name=readable(original.name), why=why)

    def kept(self, folder: int, missed: Callable[[str, str], None]) -> Iterator[tuple[str, str]]:
        """Yield the originals that the ledger has, each with its name and with where it lies below the folder."""
        tree = Tree(folder, deep=self._deep, shut=tuple(Shelf), missed=missed)
        for name, seen in tree.files():
            if self._remembered.is_kept(name, Identity.of(seen)):
                yield name, name
        if tree.is_cut:
            missed("./", f"has more than {MOST_FOLDERS} folders below it: not all are read")

    def forget(self, before: datetime) -> int:
        """Remove nothing: none of it is ours."""
        del before
        return 0
