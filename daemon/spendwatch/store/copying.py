"""Copies a ledger, or its sums alone, to another database, for work that must not touch the original."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, Table, delete, insert, select

from spendwatch.domain.period import BillingPeriod
from spendwatch.store.columns import batches
from spendwatch.store.database import Database
from spendwatch.store.day import day
from spendwatch.store.spend import spend
from spendwatch.store.tables import metadata

_AT_ONCE = 200
"""Rows fetched at once: some carry a day's chunk."""


def copy_all(original: Database, copy: Database) -> None:
    """Replace what the copy holds by what the original holds at this moment."""
    with original.reading() as source, copy.writing() as target:
        for table in reversed(metadata.sorted_tables):
            target.execute(delete(table))
        for table in metadata.sorted_tables:
            _copy(source, target, table, select(table))


def copy_sums(original: Database, copy: Database, month: BillingPeriod | None) -> None:
    """Give an empty copy what the original says at this moment, of that month or of all, its lines left aside."""
    with original.reading() as source, copy.writing() as target:
        for table in (day, spend):
            query = select(table) if month is None else select(table).where(table.c.period == month.label)
            _copy(source, target, table, query)


def _copy(source: Connection, target: Connection, table: Table, query: Select[*tuple[Any, ...]]) -> None:
    found = source.execution_options(yield_per=_AT_ONCE).execute(query).mappings()
    for batch in batches(dict(row) for row in found):
        target.execute(insert(table), batch)
