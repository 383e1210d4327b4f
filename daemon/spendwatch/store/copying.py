"""Copies everything to another database, for dry runs that must not touch the original."""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, insert, select

from spendwatch.store.columns import batches
from spendwatch.store.database import Database
from spendwatch.store.tables import metadata

_AT_ONCE = 200
"""Rows fetched at once: some carry a day's chunk."""


def copy_all(original: Database, copy: Database) -> None:
    """Replace what the copy holds by what the original holds at this moment."""
    with original.reading() as source, copy.writing() as target:
        for table in reversed(metadata.sorted_tables):
            target.execute(delete(table))
        for table in metadata.sorted_tables:
            _copy_table(source, target, table)


def _copy_table(source: Connection, target: Connection, table: Table) -> None:
    found = source.execution_options(yield_per=_AT_ONCE).execute(select(table)).mappings()
    for batch in batches(dict(row) for row in found):
        target.execute(insert(table), batch)
