"""Copies a ledger, or its sums alone, to another database, for work that must not touch the original."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, insert, select

from spendwatch.domain.merging import ResolvedDay
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import ChargeKind, DayKey, SpendRow
from spendwatch.store.columns import batches
from spendwatch.store.database import Database
from spendwatch.store.day import day, is_month
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


def days_on_record(database: Database, keys: Collection[DayKey]) -> dict[DayKey, ResolvedDay]:
    """Return these days as they are now; one without lines is one, too."""
    columns = [spend.c[name] for name in SpendRow._fields]
    found: dict[DayKey, list[SpendRow]] = {key: [] for key in keys}
    linked: set[DayKey] = set()
    with database.reading() as connection:
        for month in sorted({key.month for key in keys}):
            rows = select(spend.c.day, *columns).where(is_month(spend, month)).order_by(spend.c.day, spend.c.position)
            for on, *values in connection.execute(rows):
                if (key := DayKey(month.account, month.period, month.series, on)) in found:
                    row = SpendRow(*values)
                    found[key].append(row._replace(charge=ChargeKind(row.charge)))
            for on in connection.scalars(select(day.c.day).where(is_month(day, month), day.c.is_linked)):
                linked.add(DayKey(month.account, month.period, month.series, on))
    return {key: ResolvedDay.of(key, rows, is_linked=key in linked) for key, rows in found.items()}


def _copy(source: Connection, target: Connection, table: Table, query: Select[*tuple[Any, ...]]) -> None:
    found = source.execution_options(yield_per=_AT_ONCE).execute(query).mappings()
    for batch in batches(dict(row) for row in found):
        target.execute(insert(table), batch)
