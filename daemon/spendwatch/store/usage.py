"""Daily usage and outstanding amounts from the roll-up; read row by row, because there may be very many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection, case, func, select

from spendwatch.domain.commodity import Category, category_of
from spendwatch.domain.money import EXACT, Currency
from spendwatch.domain.outstanding import Charged, OutstandingDay
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import SUBSCRIPTIONS, AccountId, ChargeKind, DayKey, SeriesKey
from spendwatch.domain.usage import PACED, Usage
from spendwatch.store.columns import ExactSum
from spendwatch.store.day import is_month
from spendwatch.store.spend import rows_of, spend
from spendwatch.store.statement_day import newest_of, statement_day

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
    groups = [spend.c[dimension.value] for dimension in by]
    keys = [*groups, spend.c.currency, spend.c.day]
    query = select(*keys, ExactSum(spend.c.billed_cost))
    query = query.where(rows_of(series, products, days), spend.c.charge.in_(PACED))
    rows = connection.execute(query.group_by(*keys).order_by(*keys), execution_options={"yield_per": _AT_ONCE})
    for values, found in groupby(rows, key=itemgetter(slice(-2))):
        named = {dimension: str(value) for dimension, value in zip(by, values, strict=False)}
        yield Usage(named, Currency(values[-1]), {row[-2]: row[-1] for row in found})


def charged(connection: Connection, series: Sequence[SeriesKey], days: tuple[date, date] | None) -> tuple[Charged, ...]:
    """Return what these series charge on these days, by how it is paid."""
    is_ordered = spend.c.charge.in_(SUBSCRIPTIONS)
    rest = case((is_ordered, spend.c.billed_cost), else_=func.coalesce(spend.c.outstanding, spend.c.billed_cost))
    columns = (spend.c.account, spend.c.currency, spend.c.charge)
    query = select(*columns, ExactSum(rest)).where(rows_of(series, days=days))
    found: dict[tuple[str, str], dict[bool, Decimal]] = {}
    for account, currency, charge, total in connection.execute(query.group_by(*columns).order_by(*columns)):
        sums = found.setdefault((account, currency), {False: Decimal(0), True: Decimal(0)})
        sums[charge in SUBSCRIPTIONS] = EXACT.add(sums[charge in SUBSCRIPTIONS], total)
    return tuple(
        Charged(AccountId(account), Currency(currency), sums[False], sums[True]) for (account, currency), sums in found.items()
    )


def used_on(
    connection: Connection, series: Sequence[SeriesKey], products: Sequence[str] | None
) -> Mapping[tuple[AccountId, Category], date]:
    """Return the latest day of these series on which anything of each category was used."""
    columns = (spend.c.account, spend.c.commodity, spend.c.item)
    query = select(*columns, func.max(spend.c.day)).where(rows_of(series, products))
    query = query.where(spend.c.charge.in_([kind for kind in ChargeKind if kind.is_usage]))
    found: dict[tuple[AccountId, Category], date] = {}
    for account, commodity, item, day in connection.execute(query.group_by(*columns)):
        place = AccountId(account), category_of(commodity, item)
        found[place] = max(day, found.get(place, day))
    return found


def outstanding_days(connection: Connection, periods: Sequence[BillingPeriod], since: datetime) -> tuple[OutstandingDay, ...]:
    """Return what each series shows as unpaid in these periods, by day and currency, in statements since then."""
    wanted = statement_day.c.period.in_(list(periods))
    newest = {day: moment for day, moment, _ in newest_of(connection, wanted) if moment >= since}
    found = []
    for month in sorted({day.month for day in newest}):
        columns = (spend.c.day, spend.c.currency)
        query = select(*columns, ExactSum(spend.c.outstanding).label("owed"))
        query = query.where(is_month(spend, month), spend.c.outstanding.is_not(None), spend.c.charge.not_in(SUBSCRIPTIONS))
        query = query.group_by(*columns).order_by(*columns)
        for day, currency, amount in connection.execute(query):
            key = DayKey(month.account, month.period, month.series, day)
            if key in newest:
                found.append(OutstandingDay(key, Currency(currency), amount, newest[key]))
    return tuple(found)
