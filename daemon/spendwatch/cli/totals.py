"""What entering bills changes in the spend of each workspace, and which series counts where a month is told by several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from rich.table import Table

from spendwatch.app import App
from spendwatch.cli.screen import clean, table
from spendwatch.domain.authority import DayTotal, Uncounted, authorities, uncounted
from spendwatch.domain.money import EXACT, exact_sum, plain, shown
from spendwatch.domain.period import BillingPeriod, days_text
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import AccountId, SeriesKey

Place = tuple[BillingPeriod, str, str, str]
"""A month, an account, a workspace, a currency."""

_BY = (Dimension.ACCOUNT, Dimension.WORKSPACE)


@dataclass(frozen=True, slots=True)
class Told:
    """What one series says of a month that several series tell of."""

    series: SeriesKey
    amount: Decimal
    """Of the products that are watched."""
    counts: bool
    uncounted: Uncounted | None = None
    """What it says of days that the series that counts does not have."""


def spent_by_workspace(app: App) -> dict[Place, Decimal]:
    """Return what is spent, in all months on record, of the products that are watched."""
    found: dict[Place, Decimal] = {}
    for period in months_of(app):
        for spent in app.store.ledger.spend(period, _BY, products=app.settings.policies.products):
            account, workspace = (spent.values[dimension] for dimension in _BY)
            found[period, account, workspace, spent.currency] = spent.amount
    return found


def months_of(app: App) -> list[BillingPeriod]:
    """Return the months on record."""
    return sorted({period for periods in app.store.ledger.periods().values() for period in periods})


def told_by_several(app: App, months: Iterable[BillingPeriod]) -> Iterator[Told]:
    """Yield what each series says of those months of an account that several series tell of."""
    products = app.settings.policies.products
    for month in months:
        totals = app.store.ledger.totals(month)
        counting = authorities(totals, products)
        lacking = {one.other: one for one in uncounted(totals, products, counting)}
        by_account: dict[AccountId, dict[SeriesKey, list[DayTotal]]] = {}
        for total in totals:
            by_account.setdefault(total.series.account, {}).setdefault(total.series, []).append(total)
        for account, series in sorted(by_account.items()):
            for one, told in sorted(series.items()) if len(series) > 1 else ():
                amount = exact_sum(total.amount for total in told if total.product in products)
                yield Told(one, amount, counts=one == counting[account, month], uncounted=lacking.get(one))


def totals_table(before: Mapping[Place, Decimal], after: Mapping[Place, Decimal], months: Iterable[BillingPeriod]) -> Table:
    """Return a table of what is spent in these months, and what it was before."""
    rows = [
        (place[0].label, place[1], clean(place[2] or "(no workspace)"), place[3], *_amounts(before.get(place), amount))
        for place, amount in _within(before, after, months)
    ]
    headings = [(name, "left") for name in ("MONTH", "ACCOUNT", "WORKSPACE", "")]
    return table([*headings, ("BEFORE", "right"), ("SPEND", "right"), ("CHANGE", "right")], rows)


def totals_json(
    before: Mapping[Place, Decimal], after: Mapping[Place, Decimal], months: Iterable[BillingPeriod]
) -> list[dict[str, str]]:
    """Return the same for programs."""
    return [
        {
            "month": month.label,
            "account": account,
            "workspace": workspace,
            "currency": currency,
            "before": plain(before.get((month, account, workspace, currency), Decimal(0))),
            "spend": plain(amount),
        }
        for (month, account, workspace, currency), amount in _within(before, after, months)
    ]


def series_text(told: Told) -> str:
    """Return what one of several series says, on one line."""
    series = told.series
    role = "counts" if told.counts else "is the same money once more: not added"
    if missing := told.uncounted:
        days = f"{missing.currency} {shown(missing.amount)} of {days_text(missing.days)}"
        role = f"is not added; {days} is in no figure, as {missing.counts.series} lacks these days"
    return f"{series.period.label} of {series.account} by {series.series}: {shown(told.amount)}, {role}"


def series_json(told: Told) -> dict[str, object]:
    """Return the same for programs."""
    series = told.series
    return {
        "month": series.period.label,
        "account": series.account,
        "series": series.series,
        "spend": plain(told.amount),
        "counts": told.counts,
        "uncounted": plain(told.uncounted.amount) if told.uncounted else None,
        "uncounted_on": [day.isoformat() for day in told.uncounted.days] if told.uncounted else [],
    }


def _within(
    before: Mapping[Place, Decimal], after: Mapping[Place, Decimal], months: Iterable[BillingPeriod]
) -> list[tuple[Place, Decimal]]:
    wanted = set(months)
    places = sorted(place for place in before.keys() | after.keys() if place[0] in wanted)
    return [(place, after.get(place, Decimal(0))) for place in places]


def _amounts(before: Decimal | None, after: Decimal) -> tuple[str, str, str]:
    change = EXACT.subtract(after, before or Decimal(0))
    return shown(before) if before is not None else "", shown(after), f"+{shown(change)}" if change > 0 else shown(change)
