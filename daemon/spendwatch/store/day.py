"""The table `day`: what became of everything that statements say of one account, billing period, series and day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Boolean, Column, Connection, Integer, PrimaryKeyConstraint, Table, and_, func, select
from sqlalchemy.sql.elements import ColumnElement

from spendwatch.domain.merging import ResolvedDay
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import DayKey, SeriesKey
from spendwatch.store.columns import Row, columns_like, columns_of, metadata, upsert

day = Table(
    "day",
    metadata,
    *columns_of(DayKey),
    Column("lines", Integer, nullable=False),
    # Whether lines of it stand on another day of the month, too, in another statement.
    Column("is_linked", Boolean, nullable=False),
    # The revision of the ledger that made the day what it is.
    Column("changed_in", Integer, nullable=False),
    PrimaryKeyConstraint("period", "account", "series", "day"),
)


def is_day(table: Table, key: DayKey) -> ColumnElement[bool]:
    """Return the condition that a row belongs to that day."""
    return and_(is_month(table, key.month), table.c.day == key.day)


def is_month(table: Table, series: SeriesKey) -> ColumnElement[bool]:
    """Return the condition that a row belongs to that account, period and series."""
    return and_(table.c.period == series.period, table.c.account == series.account, table.c.series == series.series)


def month_row(series: SeriesKey) -> Row:
    """Return the columns that tell which account, period and series."""
    return {"period": series.period, "account": series.account, "series": series.series}


def day_row(key: DayKey) -> Row:
    """Return the columns that tell which day."""
    return {**month_row(key.month), "day": key.day}


def linked_days(connection: Connection, series: SeriesKey, told: Iterable[DayKey]) -> frozenset[DayKey]:
    """Return of the days that statements tell of those of which a line stands on another day, too."""
    found = {
        row.day: row.is_linked for row in connection.execute(select(day.c.day, day.c.is_linked).where(is_month(day, series)))
    }
    return frozenset(key for key in told if found.get(key.day, True))  # all lines of a day that is empty count elsewhere


def put_lines(connection: Connection, resolved: ResolvedDay, revision: int) -> None:
    """Record how many lines of a day count since that revision."""
    counted = {"lines": resolved.lines, "is_linked": resolved.is_linked, "changed_in": revision}
    upsert(connection, day, {**day_row(resolved.key), **counted})


def changed_days(connection: Connection, periods: Iterable[BillingPeriod]) -> dict[DayKey, int]:
    """Return each day with lines in these periods, and the revision of the ledger that made it what it is."""
    query = select(*columns_like(day, DayKey), day.c.changed_in).where(day.c.period.in_(list(periods)))
    return {DayKey(*key): revision for *key, revision in connection.execute(query)}


def latest_day(connection: Connection) -> date | None:
    """Return the latest day of which there is a line."""
    found: date | None = connection.scalar(select(func.max(day.c.day)))
    return found
