"""Finished files of a folder from which nothing may be moved: they stay in place, and are on record as they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import blake2b

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.original import Original
from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.naming import readable, spelled
from spendwatch.sources.files.on_record import OnRecord
from spendwatch.sources.files.originals import Offered
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.tree import MOST_FOLDERS, Tree
from spendwatch.sources.folder.settling import Looks

_log: FilteringBoundLogger = structlog.get_logger()

MOST_REMEMBERED = 200_000
"""Files of one source; so many cost 25 MB."""


class InPlace:
    """A folder that somebody else keeps as it is."""

    def __init__(self, source: SourceName, looks: Looks, record: OnRecord, reader: Callable[[], str], *, deep: bool) -> None:
        """Report in the name of that source; `deep`: its folder is looked at with those below it.

        `reader` tells by which reader files are rejected: another one may understand them.
        """
        self._source = source
        self._looks = looks
        self._record = record
        self._reader = reader
        self._reads_now = ""
        self._deep = deep
        self._look = 0
        self._met: dict[bytes, int] = {}
        """A fingerprint of each original on record, and the number of the look that met it last."""

    def is_settled(self, name: str, identity: Identity) -> bool:
        """Tell whether the file is done with as it is."""
        return self._meets(name, identity, "") or self._meets(name, identity, self._reads_now)

    def begin(self, folder: int) -> None:
        """Before a look: know what is on record."""
        del folder
        self._know()
        self._reads_now = self._reader()
        self._look += 1

    def seen_all(self) -> None:
        """After a look: forget what it did not meet, if too much is on record.

        `SourceUnavailableError` when the folder holds more than can be remembered.
        """
        if len(self._met) <= MOST_REMEMBERED:
            return
        self._met = {one: look for one, look in self._met.items() if look == self._look}
        gone = [one.place for one in self._record.all() if _fingerprint(one) not in self._met]
        self._record.forget(gone)
        if len(self._met) > MOST_REMEMBERED:
            msg = f"the folder holds more than {MOST_REMEMBERED} files that were read and may not be moved: remove some"
            raise SourceUnavailableError(msg)

    def settle(self, file: Offered, shelf: Shelf, why: str | None, reader: str) -> None:
        """Put the file on record; why it was rejected stands in the log alone."""
        del shelf
        original = Original(spelled(file.name), file.identity.in_place, file.seen_at, reader)
        self._record.add(original)
        self._met[_fingerprint(original)] = self._look
        self._looks.forget(file.name)
        if why is not None:
            _log.warning("original_rejected", source=self._source, name=readable(file.name), why=why)

    def kept(self, folder: int, missed: Callable[[str, str], None]) -> Iterator[tuple[str, str]]:
        """Yield the originals of what the ledger has, each with its name and with where it lies below the folder."""
        self._know()
        tree = Tree(folder, deep=self._deep, shut=tuple(Shelf), missed=missed)
        for name, seen in tree.files():
            if self._meets(name, Identity.of(seen), ""):
                yield name, name
        if tree.is_cut:
            missed("./", f"has more than {MOST_FOLDERS} folders below it: not all are read")

    def forget(self, before: datetime) -> int:
        """Remove nothing: none of it is ours."""
        del before
        return 0

    def _know(self) -> None:
        if self._record.is_another:
            with self._record.read() as originals:
                self._met = {_fingerprint(one): 0 for one in originals}

    def _meets(self, name: str, identity: Identity, reader: str) -> bool:
        fingerprint = _fingerprint_of(spelled(name), identity.in_place, reader)
        if fingerprint not in self._met:
            return False
        self._met[fingerprint] = self._look
        return True


def _fingerprint(original: Original) -> bytes:
    return _fingerprint_of(original.place, original.identity, original.refused_by)


def _fingerprint_of(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "backslashreplace"), digest_size=16).digest()
