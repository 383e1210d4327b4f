"""Copies a ledger, or its sums alone, to another database, for work that must not touch the original."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, insert, select

from spendwatch.domain.merging import ResolvedDay
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import DayKey, SpendRow
from spendwatch.store.columns import batches, columns_like
from spendwatch.store.database import Database
from spendwatch.store.day import day, is_month
from spendwatch.store.spend import rows_by_day, spend
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
            query = select(table) if month is None else select(table).where(table.c.period == month)
            _copy(source, target, table, query)


def days_on_record(database: Database, keys: Collection[DayKey]) -> dict[DayKey, ResolvedDay]:
    """Return these days as they are now; one without lines is one, too."""
    found: dict[DayKey, list[SpendRow]] = {}
    linked: set[DayKey] = set()
    with database.reading() as connection:
        for month in sorted({key.month for key in keys}):
            found |= rows_by_day(connection, month)
            query = select(*columns_like(day, DayKey)).where(is_month(day, month), day.c.is_linked)
            linked |= {DayKey(*row) for row in connection.execute(query)}
    return {key: ResolvedDay.of(key, found.get(key, ()), is_linked=key in linked) for key in keys}


def _copy(source: Connection, target: Connection, table: Table, query: Select[*tuple[Any, ...]]) -> None:
    found = source.execution_options(yield_per=_AT_ONCE).execute(query).mappings()
    for batch in batches(dict(row) for row in found):
        target.execute(insert(table), batch)
