"""What bills show without any configuration: accounts, currencies, sites, months, services, workspaces with their spend."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import click
from rich.console import Console

from spendwatch.bills.client.process import ReadingProcess
from spendwatch.cli.exits import Exit
from spendwatch.cli.outcome import attempted, code_of, result_json, result_text
from spendwatch.cli.progress import Progress
from spendwatch.cli.screen import Rows, clean, console, print_json, print_whole, table
from spendwatch.cli.totals import (
    Place,
    months_of,
    series_json,
    series_text,
    spent_by_workspace,
    totals_json,
)
from spendwatch.domain.commodity import MODEL_STUDIO, category_of
from spendwatch.domain.money import Currency, Money, shown
from spendwatch.domain.period import PROVIDER_ZONE, BillingPeriod, PeriodClose
from spendwatch.domain.policy import Site
from spendwatch.domain.scope import Dimension, Seen
from spendwatch.domain.series_selection import DayTotal, Unwatched, main_currency, unwatched
from spendwatch.domain.standing import SpendSum, Split
from spendwatch.domain.statement import AccountId, ReadingHints, Statement
from spendwatch.exact_json import json_fields
from spendwatch.jobs.collect import IngestContext, IngestResult
from spendwatch.jobs.overview_json import split_json
from spendwatch.jobs.spend_report import Told, outside_json, told_by_several
from spendwatch.state import Store, scratch_database, system_clock
from spendwatch.store.ledger import Ledger

CURRENCIES = {Site.CN: Currency("CNY"), Site.INTL: Currency("USD")}
"""What a site charges in, as far as nothing else is said."""
NONE_NAMED = Currency("XXX")
"""The currency of charges that name none, until it is known; ISO 4217 keeps this code for that."""
_OF_BOTH_SITES = {"focus", "describeinstancebill"}
"""The layouts that are the same on both sites."""
_MOST_READINGS = 3
_LAST_DAY_COMES = timedelta(days=1)
"""So long after the end of a month its bill may still lack charges of the last day."""
_SERVICE = (Dimension.ACCOUNT, Dimension.PRODUCT, Dimension.COMMODITY)
_MOST_SERVICES, _MOST_MONTHS, _WIDTH = 20, 3, 79


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """An account in the bills."""

    account: AccountId
    currency: Currency
    site: Site
    is_currency_assumed: bool = False
    """Whether the bills name no currency."""
    is_site_guessed: bool = False
    months: Mapping[BillingPeriod, date | None] = field(default_factory=dict)
    """Each month in the bills, with the last day that they charge for; None: the bills have the whole month."""
    spent: Mapping[tuple[BillingPeriod, str], Split] = field(default_factory=dict)
    """By month and workspace, of the watched products, in the account's currency."""
    keys: Mapping[str, int] = field(default_factory=dict)
    """How many API keys the bills name, by workspace."""
    foreign: Sequence[Money] = ()
    """What is charged in other currencies, of the watched products, in all months."""

    @property
    def whole(self) -> BillingPeriod | None:
        """The last whole month."""
        return max((period for period, until in self.months.items() if until is None), default=None)

    @property
    def workspaces(self) -> Sequence[str]:
        """The workspaces with charges; an empty text stands for charges that name none."""
        return sorted({workspace for _, workspace in self.spent}, key=lambda workspace: (not workspace, workspace))

    @property
    def title(self) -> str:
        """The account and what it is, on a few lines."""
        currency = f"{self.currency}{' (assumed)' if self.is_currency_assumed else ''}"
        site = f"{'China' if self.site is Site.CN else 'international'} site{' (a guess)' if self.is_site_guessed else ''}"
        months = ", ".join(f"{month.label} {f'up to {day}' if day else 'whole'}" for month, day in self.months.items())
        lines = [f"Account {self.account}: {currency}, {site}", fill(f"Months: {months}", _WIDTH)]
        if self.foreign:
            lines.append(f"Charges in another currency count towards no budget: {', '.join(map(str, self.foreign))}")
        return "\n".join(lines)

    def split(self, workspace: str, period: BillingPeriod) -> Split:
        """Return what a workspace spent in that month."""
        return self.spent.get((period, workspace), Split.of((), self.currency))


class Discovery(NamedTuple):
    """What the bills show, all of them together."""

    outcomes: tuple[IngestResult, ...]
    accounts: tuple[FoundAccount, ...]
    products: tuple[str, ...]
    """What is watched: Model Studio, or everything where the bills do not have it."""
    totals: Mapping[Place, Split]
    services: Mapping[tuple[AccountId, str, str, Currency], Split]
    """By account, product, commodity and currency, in all months."""
    series: tuple[Told, ...]
    outside: tuple[Unwatched, ...]

    @property
    def code(self) -> Exit:
        """How a command ends that only shows this."""
        return code_of(self.outcomes)

    @property
    def is_clear(self) -> bool:
        """Whether nothing may become clearer when the bills are read again with what is known of the accounts now."""
        return not any(one.refused for one in self.outcomes) and not any(place[3] == NONE_NAMED for place in self.totals)


def site_of(currency: Currency) -> Site:
    """Return the site that charges in it."""
    return Site.CN if currency == CURRENCIES[Site.CN] else Site.INTL


def discover(files: Sequence[Path], reader: ReadingProcess, progress: Progress, hints: ReadingHints) -> Discovery:
    """Read the bills as `import` does, into a temporary ledger. The hints are what the operator said about them.

    Bills without an account or a currency, or with ids that a spreadsheet has shortened, may be understood once others
    have shown the accounts: then all are read again.
    """
    hints, assumed = hints._replace(currency=hints.currency or NONE_NAMED), frozenset[AccountId]()
    found = _read(files, reader, progress, hints, assumed)
    for _ in range(_MOST_READINGS - 1):
        known = {one.account: one.currency for one in found.accounts}
        if hints.account and hints.currency:
            known.setdefault(hints.account, hints.currency)
        if found.is_clear or known == hints.currencies:
            break
        assumed |= {one.account for one in found.accounts if one.is_currency_assumed}
        hints = hints._replace(currencies=known)
        found = _read(files, reader, progress, hints, assumed)
    return found


def _read(
    files: Sequence[Path], reader: ReadingProcess, progress: Progress, hints: ReadingHints, assumed: AbstractSet[AccountId]
) -> Discovery:
    with scratch_database() as database:
        ledger, outcomes = Store.of(database).ledger, []
        context = IngestContext(reader, ledger, hints, closing=PeriodClose, clock=system_clock)
        for file in files:
            with progress.of(file.name):
                outcomes.append(attempted(context, file))
        return _examined(ledger, outcomes, assumed)


def _examined(ledger: Ledger, outcomes: Sequence[IngestResult], assumed: AbstractSet[AccountId]) -> Discovery:
    months = months_of(ledger)
    totals = [total for month in months for total in ledger.totals(month)]
    every = tuple(sorted({total.product for total in totals if total.product}))
    products = (MODEL_STUDIO,) if MODEL_STUDIO in every or not every else every
    spent, seen = spent_by_workspace(ledger, products), ledger.names_seen()
    statements = [one.receipt.statement for one in outcomes if one.receipt]
    accounts = sorted({total.series.account for total in totals})
    return Discovery(
        outcomes=tuple(outcomes),
        accounts=tuple(_account(one, totals, spent, statements, seen, is_assumed=one in assumed) for one in accounts),
        products=products,
        totals=spent,
        services=_services(ledger, months),
        series=tuple(told_by_several(ledger, products, months)),
        outside=unwatched(totals, products),
    )


def _account(
    account: AccountId,
    totals: Collection[DayTotal],
    spent: Mapping[Place, Split],
    statements: Sequence[Statement],
    seen: Collection[Seen],
    *,
    is_assumed: bool,
) -> FoundAccount:
    mine = [total for total in totals if total.series.account == account]
    bills = [one for one in statements if account in one.accounts]
    layouts = {layout for one in bills for layout in one.layout.split(", ")}
    is_english = any(layout.endswith("-en") for layout in layouts)
    named = [total for total in mine if total.currency != NONE_NAMED]
    currency = main_currency(named) or CURRENCIES[Site.INTL if is_english else Site.CN]
    # The China site charges CNY, the international one other currencies; the language is that of the person who exported.
    site = site_of(currency)
    is_shown = any(layout.endswith("-en") == (site is Site.INTL) for layout in layouts - _OF_BOTH_SITES)
    last: dict[BillingPeriod, date] = {}
    for total in mine:
        last[total.series.period] = max(total.day, last.get(total.series.period, total.day))
    charged: dict[Currency, Money] = {}
    for (_, payer, _, unit), split in spent.items():
        if payer == account:
            charged[unit] = split.total + charged.get(unit, Money.zero(unit))
    keys: dict[str, set[str]] = {}
    for one in seen:
        if one.account == account and one.api_key:
            keys.setdefault(one.workspace, set()).add(one.api_key)
    return FoundAccount(
        account=account,
        currency=currency,
        site=site,
        is_currency_assumed=is_assumed or not named,
        is_site_guessed=is_assumed or not named or not is_shown,
        months={period: None if _is_whole(period, day, bills) else day for period, day in sorted(last.items())},
        spent={
            (month, place): split
            for (month, payer, place, unit), split in spent.items()
            if (payer, unit) == (account, currency)
        },
        keys={workspace: len(names) for workspace, names in keys.items()},
        foreign=[total for unit, total in sorted(charged.items()) if unit not in {currency, NONE_NAMED}],
    )


def _is_whole(period: BillingPeriod, last: date, bills: Sequence[Statement]) -> bool:
    complete = period.next().starts_at(PROVIDER_ZONE) + _LAST_DAY_COMES
    written = (bill.exported_at for bill in bills if period in bill.periods and bill.exported_at)
    return last + timedelta(days=1) == period.after_last_day or any(moment >= complete for moment in written)


def _services(ledger: Ledger, months: Sequence[BillingPeriod]) -> dict[tuple[AccountId, str, str, Currency], Split]:
    found: dict[tuple[AccountId, str, str, Currency], list[SpendSum]] = {}
    for month in months:
        for spent in ledger.spend(month, (*_SERVICE, Dimension.CHARGE)):
            account, product, commodity = (spent.values[dimension] for dimension in _SERVICE)
            found.setdefault((AccountId(account), product, commodity, spent.currency), []).append(spent)
    splits = {service: Split.of(sums, service[3]) for service, sums in found.items()}
    return dict(sorted(splits.items(), key=lambda one: (one[0][0], -one[1].total.amount, one[0])))


def workspace_table(
    account: FoundAccount, months: Mapping[str, BillingPeriod], last: Mapping[str, str] | None = None, heading: str = ""
) -> Rows:
    """Return the workspaces with what they spent in these months, by heading; `last` makes a last column with that heading."""

    def row(workspace: str) -> Sequence[str]:
        spent = (shown(account.split(workspace, month).total.amount) for month in months.values())
        name, keys = clean(workspace or "(no workspace)"), str(account.keys.get(workspace, "-"))
        return (name, *spent, keys, *([last.get(workspace, "-")] if last else []))

    columns = (*months, "KEYS", *([heading] if last else []))
    return table(["WORKSPACE", *columns], [row(workspace) for workspace in account.workspaces], right=columns)


def show_contents(files: Sequence[Path], reader: ReadingProcess, progress: Progress, *, as_json: bool) -> Exit:
    """Show what bills contain, for `import --dry-run` without a configuration."""
    found = discover(files, reader, progress, ReadingHints())
    if as_json:
        print_json(_json(found))
        return found.code
    for outcome in found.outcomes:
        click.echo(result_text(outcome))
    screen = console()
    for account in found.accounts:
        click.echo(f"\n{account.title}\n")
        latest = sorted(account.months)[-_MOST_MONTHS:]
        print_whole(screen, workspace_table(account, {month.label: month for month in latest}))
    if found.services:
        click.echo()
        _print_services(screen, found)
    for one in found.series:
        click.echo(series_text(one))
    if found.accounts:
        click.echo("\nThere is no configuration yet: `spendwatch init --from FILE...` writes one from these bills.", err=True)
    return found.code


def _print_services(screen: Console, found: Discovery) -> None:
    rows = [
        (
            account,
            clean(product or "-"),
            clean(commodity or "-"),
            _category(product, commodity),
            currency,
            shown(split.total.amount),
        )
        for (account, product, commodity, currency), split in found.services.items()
    ]
    left_out = len(rows) - _MOST_SERVICES
    headings = ("ACCOUNT", "PRODUCT", "COMMODITY", "CATEGORY", "", "SPEND")
    services = table(headings, rows[:_MOST_SERVICES], right=("SPEND",))
    print_whole(screen, services.without(["ACCOUNT"]) if len(found.accounts) == 1 else services)
    if left_out > 0:
        click.echo(f"and {left_out} more; --json shows all")


def _category(product: str, commodity: str) -> str:
    return category_of(commodity).value if product == MODEL_STUDIO else "-"


def _json(found: Discovery) -> dict[str, object]:
    months = sorted({place[0] for place in found.totals})
    return {
        "schema_version": 1,
        "files": [result_json(outcome, PROVIDER_ZONE) for outcome in found.outcomes],
        "accounts": [_account_json(account) for account in found.accounts],
        "services": [
            {"account": account, "product": product, "commodity": commodity, "category": _category(product, commodity)}
            | {"currency": currency, **split_json(split)}
            for (account, product, commodity, currency), split in found.services.items()
        ],
        "totals": totals_json({}, found.totals, months),
        "series": [series_json(one) for one in found.series],
        "not_watched": outside_json(found.outside),
        "notifications": 0,
    }


def _account_json(account: FoundAccount) -> dict[str, object]:
    return {
        **json_fields(
            account, "account", "currency", "site", currency_assumed="is_currency_assumed", site_guessed="is_site_guessed"
        ),
        "months": [
            {"month": month.label, "whole": until is None, "until": until and until.isoformat()}
            for month, until in account.months.items()
        ],
        "workspaces": [
            {
                "workspace": workspace,
                "api_keys": account.keys.get(workspace, 0),
                "months": [{"month": month.label, **split_json(account.split(workspace, month))} for month in account.months],
            }
            for workspace in account.workspaces
        ],
    }
