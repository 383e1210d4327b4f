"""The tables `source_memory`, what sources remember, and `original`, the files that were read.

They are part of the ledger's database, so that a ledger restored from a backup remembers no more than it holds.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping

from sqlalchemy import Connection, PrimaryKeyConstraint, Table, delete, select

from spendwatch.domain.statement import Original, SourceName
from spendwatch.store.bulk import put_many, replace_the_old
from spendwatch.store.columns import batches, columns_like, columns_of, metadata, texts
from spendwatch.store.database import Book

source_memory = Table(
    "source_memory",
    metadata,
    # `waiting`: the download by which the source knows it, until that is on record; then empty.
    *texts("source", "key", "waiting", "value"),
    PrimaryKeyConstraint("source", "key", "waiting"),
)

original = Table(
    "original",
    metadata,
    *texts("source"),
    *columns_of(Original),
    PrimaryKeyConstraint("source", "place"),
)

_VERSION = "originals"
"""The key under which a new text is remembered with every change of the originals."""


class SourceMemory(Book):
    """The memory of all sources in a database."""

    def recall(self, source: SourceName, waiting: Collection[str] = ()) -> Mapping[str, tuple[str, str]]:
        """Return under each key what the source remembers, and by which of these downloads, of which the later ones count."""
        counts = {"": -1} | {one: place for place, one in enumerate(waiting)}
        query = select(source_memory).where(source_memory.c.source == source, source_memory.c.key != _VERSION)
        with self._database.reading() as connection:
            rows = [row for row in connection.execute(query) if row.waiting in counts]
        return {row.key: (row.value, row.waiting) for row in sorted(rows, key=lambda row: counts[row.waiting])}

    def remember(self, source: SourceName, known: Mapping[str, str], *, waiting: str = "") -> None:
        """Remember this, too; what is known by a download that waits, only as long as that does, or once it is settled."""
        with self._database.writing() as connection:
            _remember(connection, source, known, waiting)

    def forget(self, source: SourceName, keys: Collection[str]) -> None:
        """Forget what is remembered under these keys."""
        with self._database.writing() as connection:
            _delete(connection, source_memory, source, "key", keys)

    def settle(self, source: SourceName, waiting: str, settled: Original, latest: Collection[str]) -> str:
        """Put an original on record, with all that was known by it as a download; return the new version of the originals.

        What is known of the `latest` keys by other downloads is older, and forgotten.
        """
        by_it = source_memory.c.source == source, source_memory.c.waiting == waiting
        with self._database.writing() as connection:
            known = {row.key: row.value for row in connection.execute(select(source_memory).where(*by_it))}
            _delete(connection, source_memory, source, "waiting", (waiting,))
            _delete(connection, source_memory, source, "key", latest)
            _remember(connection, source, known)
            return _put_originals(connection, source, (settled,))

    def version(self, source: SourceName) -> str:
        """Return a text that is another one after every change of the originals, and in another ledger."""
        is_version = source_memory.c.source == source, source_memory.c.key == _VERSION
        with self._database.reading() as connection:
            return connection.scalar(select(source_memory.c.value).where(*is_version)) or ""

    def originals(self, source: SourceName) -> Iterator[Original]:
        """Yield the originals of the source. Take all of them, and soon: a view of the data is held meanwhile."""
        with self._database.reading() as connection:
            for row in connection.execute(select(*columns_like(original, Original)).where(original.c.source == source)):
                yield Original(*row)

    def put_originals(self, source: SourceName, kept: Collection[Original]) -> str:
        """Put these on record, each in place of what was at its place before; return the new version."""
        with self._database.writing() as connection:
            return _put_originals(connection, source, kept)

    def forget_originals(self, source: SourceName, places: Collection[str]) -> str:
        """Strike off what was at these places; return the new version."""
        with self._database.writing() as connection:
            _delete(connection, original, source, "place", places)
            return _put_originals(connection, source, ())


def _remember(connection: Connection, source: SourceName, known: Mapping[str, str], waiting: str = "") -> None:
    rows = ({"source": source, "key": key, "waiting": waiting, "value": value} for key, value in known.items())
    put_many(connection, source_memory, rows, replace_the_old)


def _put_originals(connection: Connection, source: SourceName, kept: Collection[Original]) -> str:
    put_many(connection, original, ({"source": source, **one._asdict()} for one in kept), replace_the_old)
    version = os.urandom(8).hex()
    _remember(connection, source, {_VERSION: version})
    return version


def _delete(connection: Connection, table: Table, source: SourceName, column: str, values: Iterable[str]) -> None:
    for some in batches(values):
        connection.execute(delete(table).where(table.c.source == source, table.c[column].in_(some)))
