"""The table `day_total`: the cost of each product on each day by series. It decides which series counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import (
    Column,
    Connection,
    Date,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Table,
    delete,
    func,
    insert,
    select,
)

from spendwatch.domain.money import Currency
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.series_selection import DayTotal, authorities
from spendwatch.domain.statement import AccountId, DayKey, SeriesKey
from spendwatch.store.columns import ExactSum, Total, metadata, texts
from spendwatch.store.day import is_day
from spendwatch.store.spend import spend

_PLACE = ("period", "account", "series", "day", "product", "currency")

day_total = Table(
    "day_total",
    metadata,
    *texts("period", "account", "series"),
    Column("day", Date, nullable=False),
    *texts("product", "currency"),
    Column("amount", Total, nullable=False),
    Column("lines", Integer, nullable=False),
    PrimaryKeyConstraint(*_PLACE),
    ForeignKeyConstraint(["period", "account", "series", "day"], ["day.period", "day.account", "day.series", "day.day"]),
    sqlite_with_rowid=False,
)


def put_totals(connection: Connection, day: DayKey) -> None:
    """Recompute the totals of a day from its roll-up."""
    remove_totals(connection, day)
    places = [spend.c[name] for name in _PLACE]
    total = select(*places, ExactSum(spend.c.billed_cost), func.sum(spend.c.lines)).where(is_day(spend, day))
    connection.execute(insert(day_total).from_select([*_PLACE, "amount", "lines"], total.group_by(*places)))


def remove_totals(connection: Connection, day: DayKey) -> None:
    """Forget the totals of a day."""
    connection.execute(delete(day_total).where(is_day(day_total, day)))


def totals_of(connection: Connection, period: BillingPeriod) -> tuple[DayTotal, ...]:
    """Return what every series says of that period."""
    query = select(day_total).where(day_total.c.period == period.label).order_by(*day_total.primary_key)
    return tuple(
        DayTotal(
            SeriesKey(AccountId(row.account), period, row.series),
            row.day,
            row.product,
            Currency(row.currency),
            row.amount,
            row.lines,
        )
        for row in connection.execute(query)
    )


def series_that_count(connection: Connection, period: BillingPeriod, products: Collection[str] | None) -> Sequence[SeriesKey]:
    """Return the series that counts for these products, of each account."""
    return tuple(authorities(totals_of(connection, period), products).values())
