"""The table `day_total`: the cost of each product on each day by series. It decides which series counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, ForeignKeyConstraint, PrimaryKeyConstraint, Table, delete, func, insert, select

from spendwatch.domain.merging import ResolvedDay
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.series_selection import DayTotal, authorities
from spendwatch.domain.statement import SeriesKey
from spendwatch.store.columns import ExactSum, columns_like, columns_of, metadata
from spendwatch.store.day import day, is_day, put_lines
from spendwatch.store.spend import put_rows, spend

_PLACE = ("period", "account", "series", "day", "product", "currency")

day_total = Table(
    "day_total",
    metadata,
    *columns_of(SeriesKey),
    *columns_of(DayTotal, but=("series",)),
    PrimaryKeyConstraint(*_PLACE),
    ForeignKeyConstraint(["period", "account", "series", "day"], ["day.period", "day.account", "day.series", "day.day"]),
    sqlite_with_rowid=False,
)


def put_day(connection: Connection, resolved: ResolvedDay, revision: int) -> None:
    """Record a day with its roll-up and totals, in place of what was there; one without lines is removed."""
    for table in (day_total, spend, *(() if resolved.lines else (day,))):
        connection.execute(delete(table).where(is_day(table, resolved.key)))
    if resolved.lines:
        put_lines(connection, resolved, revision)
        put_rows(connection, resolved)
        places = [spend.c[name] for name in _PLACE]
        total = select(*places, ExactSum(spend.c.billed_cost), func.sum(spend.c.lines)).where(is_day(spend, resolved.key))
        connection.execute(insert(day_total).from_select([*_PLACE, "amount", "lines"], total.group_by(*places)))


def totals_of(connection: Connection, period: BillingPeriod) -> tuple[DayTotal, ...]:
    """Return what every series says of that period."""
    columns = *columns_like(day_total, SeriesKey), *columns_like(day_total, DayTotal)[1:]
    query = select(*columns).where(day_total.c.period == period).order_by(*day_total.primary_key)
    return tuple(DayTotal(SeriesKey(*row[:3]), *row[3:]) for row in connection.execute(query))


def series_that_count(connection: Connection, period: BillingPeriod, products: Collection[str] | None) -> Sequence[SeriesKey]:
    """Return the series that counts for these products, of each account."""
    return tuple(authorities(totals_of(connection, period), products).values())
