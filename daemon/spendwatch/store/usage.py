"""What the roll-up says of each day's use, and of what is not paid yet; read row by row, as there may be very many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby

from sqlalchemy import Connection, or_, select

from spendwatch.domain.money import Currency
from spendwatch.domain.owed import OwedDay
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import AccountId, DayKey, SeriesKey, Stamp
from spendwatch.domain.usage import PACED, Usage
from spendwatch.store.chunk import chunk, is_month
from spendwatch.store.columns import ExactSum
from spendwatch.store.spend import spend

_AT_ONCE = 5000
"""Rows fetched at once."""


def usage_by_day(
    connection: Connection,
    series: Sequence[SeriesKey],
    by: Sequence[Dimension],
    *,
    products: Sequence[str] | None,
    days: tuple[date, date],
) -> Iterator[Usage]:
    """Yield what was used on these days, for each combination of these dimensions and each currency, in their order."""
    if not series:
        return
    groups = [spend.c[dimension.value] for dimension in by]
    keys = [*groups, spend.c.currency, spend.c.day]
    query = select(*keys, ExactSum(spend.c.billed_cost))
    query = query.where(or_(*(is_month(spend, one) for one in series)), spend.c.charge.in_(PACED))
    query = query.where(spend.c.day >= days[0], spend.c.day < days[1])
    if products is not None:
        query = query.where(spend.c.product.in_(products))
    rows = connection.execute(query.group_by(*keys).order_by(*keys), execution_options={"yield_per": _AT_ONCE})
    for values, found in groupby(rows, key=lambda row: tuple(row[:-2])):
        named = {dimension: str(value) for dimension, value in zip(by, values, strict=False)}
        yield Usage(named, Currency(values[-1]), {row[-2]: row[-1] for row in found})


def owed_days(connection: Connection, periods: Sequence[BillingPeriod]) -> tuple[OwedDay, ...]:
    """Return what each series says of these periods that is not paid, by day and currency, and how new that word is."""
    labels = [period.label for period in periods]
    place = [spend.c.period, spend.c.account, spend.c.series, spend.c.day]
    query = select(*place, spend.c.currency, ExactSum(spend.c.outstanding).label("owed"))
    query = query.where(spend.c.period.in_(labels), spend.c.outstanding.is_not(None))
    sums = connection.execute(query.group_by(*place, spend.c.currency).order_by(*place, spend.c.currency)).all()
    if not sums:
        return ()
    places = [chunk.c.period, chunk.c.account, chunk.c.series, chunk.c.day]
    found = connection.execute(select(*places, chunk.c.confirmed, chunk.c.stamps).where(chunk.c.period.in_(labels)))
    newest = {tuple(row[:4]): Stamp(max(row.confirmed, *row.stamps)) if row.stamps else Stamp(row.confirmed) for row in found}
    return tuple(
        OwedDay(
            DayKey(AccountId(row.account), BillingPeriod.parse(row.period), row.series, row.day),
            Currency(row.currency),
            row.owed,
            newest[tuple(row[:4])],
        )
        for row in sums
    )
