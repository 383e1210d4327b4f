"""How bills change the spend of each workspace, and which series counts if several cover a month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Console

from spendwatch.cli.screen import Rows, clean, fitting, table
from spendwatch.domain.money import EXACT, Currency, Money, plain, shown
from spendwatch.domain.period import BillingPeriod, days_text
from spendwatch.domain.policy import NO_NAMES, Names
from spendwatch.domain.scope import Dimension
from spendwatch.domain.series_selection import Unwatched, unwatched
from spendwatch.domain.standing import SpendSum, Split
from spendwatch.exact_json import json_fields, json_value
from spendwatch.jobs.overview_json import split_json
from spendwatch.jobs.standings import dimensions

if TYPE_CHECKING:
    from spendwatch.jobs.spend_report import Told
    from spendwatch.store.ledger import Ledger

Place = tuple[BillingPeriod, str, str, Currency]
"""A month, an account, a workspace, a currency."""

_MOST_PRODUCTS = 5


def spent_by_workspace(ledger: Ledger, products: Sequence[str]) -> dict[Place, Split]:
    """Return what is spent, in all months on record, of the products that are watched."""
    found: dict[Place, list[SpendSum]] = {}
    for period in months_of(ledger):
        for spent in ledger.spend(period, dimensions(finer=False), products=products):
            account, workspace = spent.values[Dimension.ACCOUNT], spent.values[Dimension.WORKSPACE]
            found.setdefault((period, account, workspace, spent.currency), []).append(spent)
    return {place: Split.of(sums, place[3]) for place, sums in found.items()}


def months_of(ledger: Ledger) -> list[BillingPeriod]:
    """Return the months on record."""
    return sorted({period for periods in ledger.periods().values() for period in periods})


def outside_of(ledger: Ledger, products: Sequence[str], months: Iterable[BillingPeriod]) -> tuple[Unwatched, ...]:
    """Return what the bills of those months charge for products that are not watched."""
    return unwatched([total for month in months for total in ledger.totals(month)], products)


def outside_text(products: Sequence[str], outside: Sequence[Unwatched]) -> str:
    """Return the same on one line, with what to do; empty where everything is watched."""
    first, more = outside[:_MOST_PRODUCTS], len(outside) - _MOST_PRODUCTS
    named = [f"{_printed(one.product) or '(no product)'} {Money(one.amount, one.currency)}" for one in first]
    listed = ", ".join([*named, *([f"{more} more"] if more > 0 else [])])
    advice = "to watch them, add their codes to `products` in spendwatch.yaml"
    return f"watched products: {', '.join(products)}; not watched in the bills: {listed}; {advice}" if named else ""


def _printed(code: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in code)


def totals_table(
    screen: Console,
    before: Mapping[Place, Split],
    after: Mapping[Place, Split],
    months: Iterable[BillingPeriod],
    names: Names,
) -> Rows:
    """Return a table of what is spent in these months, and what it was before; of narrow screens the account is left out."""
    places = _within(before, after, months)
    headings = ("MONTH", "ACCOUNT", "WORKSPACE", "", "BEFORE", "SPEND", "CHANGE", "SUBSCRIPTION")
    is_mixed = any(split.subscription.amount for _, split in places)
    whole = table(headings, [_cells(place, before.get(place), split, names) for place, split in places], right=headings[4:])
    absent = set() if is_mixed else {"SUBSCRIPTION"}
    return fitting(screen, map(whole.without, (absent, absent | {"BEFORE"}, absent | {"BEFORE", "ACCOUNT"})))


def _cells(place: Place, before: Split | None, after: Split, names: Names) -> tuple[str, ...]:
    month, account, workspace, currency = place
    named = names.label(Dimension.WORKSPACE, workspace) or "(no workspace)"
    return (
        month.label,
        account,
        clean(named),
        currency,
        *_amounts(before.total.amount if before else None, after.total.amount),
        shown(after.subscription.amount),
    )


def totals_json(
    before: Mapping[Place, Split], after: Mapping[Place, Split], months: Iterable[BillingPeriod], names: Names = NO_NAMES
) -> list[dict[str, str]]:
    """Return the same for programs."""
    found = []
    for place, split in _within(before, after, months):
        month, account, workspace, currency = place
        was = plain(before.get(place, Split.of((), currency)).total.amount)
        named = {"month": month.label, "account": account, "workspace": workspace}
        named |= {"name": names.of(Dimension.WORKSPACE, workspace), "currency": currency, "before": was}
        found.append(named | split_json(split))
    return found


def series_text(told: Told) -> str:
    """Return what one of several series says, on one line."""
    series = told.series
    role = "counts" if told.counts else "covers the same charges: not added"
    if missing := told.uncounted:
        days = f"{missing.lacking} of {days_text(missing.days)}"
        role = f"is not added; {days} is in no figure, because {missing.counts} lacks these days"
    return f"{series.period.label} of {series.account} by {series.series}: {shown(told.amount)}, {role}"


def series_json(told: Told) -> dict[str, object]:
    """Return the same for programs."""
    missing = told.uncounted
    return {
        **json_fields(
            told, month="series.period", account="series.account", series="series.series", spend="amount", counts="counts"
        ),
        "uncounted": json_value(missing.lacking) if missing else None,
        "uncounted_on": json_value(missing.days) if missing else [],
    }


def _within(
    before: Mapping[Place, Split], after: Mapping[Place, Split], months: Iterable[BillingPeriod]
) -> list[tuple[Place, Split]]:
    wanted = set(months)
    places = sorted(place for place in before.keys() | after.keys() if place[0] in wanted)
    return [(place, after.get(place, Split.of((), place[3]))) for place in places]


def _amounts(before: Decimal | None, after: Decimal) -> tuple[str, str, str]:
    change = EXACT.subtract(after, before or Decimal(0))
    return shown(before) if before is not None else "", shown(after), f"+{shown(change)}" if change > 0 else shown(change)
