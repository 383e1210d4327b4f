"""Decides which series of a month counts: two series of one account and month cover the same charges and are never added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spendwatch.domain.discrepancy import Disagreement, Discrepancy
from spendwatch.domain.layouts import coarseness, has_days
from spendwatch.domain.money import EXACT, Currency, Money, exact_sum, exact_sums
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, SeriesKey

ROUNDING = Decimal("0.01")
"""For each day, and for each of its products, two series may differ by this much: one rounds where the other does not."""


class DayTotal(NamedTuple):
    """What one series says that one product cost on one day, in one currency."""

    series: SeriesKey
    day: date
    product: str
    currency: Currency
    amount: Decimal
    lines: int


def authorities(
    totals: Iterable[DayTotal], products: Collection[str] | None
) -> dict[tuple[AccountId, BillingPeriod], SeriesKey]:
    """Return for each account and period the series that counts: the one that shows the most money for these products.

    So nothing is reported too low, and it does not matter which series came first. The money is compared in the currency
    that most lines of the account's period are in. Of equals the more detailed counts: by its layout, then by its lines.
    `products` None means all of them.
    """
    found: dict[tuple[AccountId, BillingPeriod], dict[SeriesKey, list[DayTotal]]] = {}
    for total in totals:
        series = total.series
        found.setdefault((series.account, series.period), {}).setdefault(series, []).append(total)
    return {place: _heaviest(told, products) for place, told in found.items()}


def _heaviest(told: Mapping[SeriesKey, Sequence[DayTotal]], products: Collection[str] | None) -> SeriesKey:
    if len(told) == 1:
        return next(iter(told))
    currency = main_currency(total for totals in told.values() for total in totals)

    def weight(series: SeriesKey) -> tuple[Decimal, Decimal, int, int, str]:
        mine = [total for total in told[series] if total.currency == currency]
        counted = exact_sum(total.amount for total in mine if products is None or total.product in products)
        lines = sum(total.lines for total in told[series])
        return counted, exact_sum(total.amount for total in mine), -coarseness(series.series), lines, series.series

    return max(told, key=weight)


def main_currency(totals: Iterable[DayTotal]) -> Currency:
    """Return the currency that most lines are in; of equals the first by name."""
    lines: Counter[Currency] = Counter()
    for total in totals:
        lines[total.currency] += total.lines
    return min(lines, key=lambda currency: (-lines[currency], currency), default=Currency(""))


class Unwatched(NamedTuple):
    """What the bills of an account charge for a product that is not watched."""

    account: AccountId
    product: str
    currency: Currency
    amount: Decimal


def unwatched(totals: Iterable[DayTotal], products: Collection[str]) -> tuple[Unwatched, ...]:
    """Return what lies outside the watched products, the largest amount first."""
    told = tuple(totals)
    counts = set(authorities(told, None).values())
    sums = exact_sums(
        ((total.series.account, total.product, total.currency), total.amount)
        for total in told
        if total.series in counts and total.product not in products
    )
    found = (Unwatched(*place, amount) for place, amount in sums.items() if amount)
    return tuple(sorted(found, key=lambda one: (-one.amount.copy_abs(), one.account, one.product, one.currency)))


def differences(
    totals: Iterable[DayTotal], products: Collection[str], counts: Mapping[tuple[AccountId, BillingPeriod], SeriesKey]
) -> tuple[Discrepancy, ...]:
    """Return where another series of a month says something else than the one that counts, by more than rounding explains."""
    found = (_difference(counted, told, products) for counted, told in _beside(totals, counts))
    return tuple(difference for difference in found if difference)


def uncounted(
    totals: Iterable[DayTotal], products: Collection[str], counts: Mapping[tuple[AccountId, BillingPeriod], SeriesKey]
) -> tuple[Discrepancy, ...]:
    """Return where another series of a month has charges on days that the authoritative series lacks."""
    found = (_uncounted(counted, told, products) for counted, told in _beside(totals, counts))
    return tuple(one for one in found if one)


def _beside(
    totals: Iterable[DayTotal], counts: Mapping[tuple[AccountId, BillingPeriod], SeriesKey]
) -> Iterator[tuple[Sequence[DayTotal], Sequence[DayTotal]]]:
    """Yield what each series says that does not count, behind what that says which counts in its stead."""
    of_series: dict[SeriesKey, list[DayTotal]] = {}
    for total in totals:
        of_series.setdefault(total.series, []).append(total)
    for series, told in sorted(of_series.items()):
        chosen = counts.get((series.account, series.period), series)
        if chosen != series:
            yield of_series[chosen], told


def _uncounted(counted: Sequence[DayTotal], told: Sequence[DayTotal], products: Collection[str]) -> Discrepancy | None:
    """Return it in the currency of most lines; where there is none in that, in the first one that there is some in."""
    if not all(has_days(series[0].series.series) for series in (counted, told)):
        return None
    main = main_currency(counted)
    allowed = EXACT.multiply(ROUNDING, Decimal(len(products)))
    for currency in sorted({total.currency for total in told}, key=lambda one: (one != main, one)):
        ours, theirs = _by_day(counted, products, currency), _by_day(told, products, currency)
        days = tuple(day for day in sorted(theirs.keys() - ours.keys()) if theirs[day].copy_abs() > allowed)
        if days:
            figures = (Money.total(amounts, currency) for amounts in (ours.values(), theirs.values()))
            lacking = Money.total((theirs[day] for day in days), currency)
            return _discrepancy(Disagreement.DAYS, counted, told, *figures, days=days, lacking=lacking)
    return None


def _difference(counted: Sequence[DayTotal], told: Sequence[DayTotal], products: Collection[str]) -> Discrepancy | None:
    currency = main_currency(counted)
    ours, theirs = _by_day(counted, products, currency), _by_day(told, products, currency)
    days = tuple(day for day in sorted(ours.keys() & theirs.keys()) if day < min(max(ours), max(theirs)))
    figures = (Money.total((amounts[day] for day in days), currency) for amounts in (ours, theirs))
    found = _discrepancy(Disagreement.AMOUNTS, counted, told, *figures, days=days)
    return found if found.size > EXACT.multiply(ROUNDING, Decimal(len(days) * len(products))) else None


def _discrepancy(
    kind: Disagreement,
    counted: Sequence[DayTotal],
    told: Sequence[DayTotal],
    counts: Money,
    says: Money,
    *,
    days: tuple[date, ...],
    lacking: Money | None = None,
) -> Discrepancy:
    series, other = counted[0].series, told[0].series.series
    return Discrepancy(kind, series.account, series.period, counts, says, series.series, other, days, lacking)


def _by_day(totals: Sequence[DayTotal], products: Collection[str], currency: Currency) -> dict[date, Decimal]:
    wanted = (total for total in totals if total.currency == currency and total.product in products)
    return exact_sums((total.day, total.amount) for total in wanted)
