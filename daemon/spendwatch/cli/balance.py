"""`balance`."""

from __future__ import annotations

from datetime import tzinfo

import click

from spendwatch.cli import Place
from spendwatch.cli.options import account_named, json_option
from spendwatch.cli.screen import clean, print_list, when
from spendwatch.domain.balance_reading import TERMS, BalanceReading, RecordedReading
from spendwatch.domain.money import Money, shown
from spendwatch.domain.policy import AccountPolicy
from spendwatch.exact_json import json_fields
from spendwatch.settings import Settings
from spendwatch.state import opened_store

_NUMBERS = ("CASH", "CREDIT", "UNSETTLED", "REPORTED")


@click.command()
@click.argument("account", required=False)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Readings shown for each account.")
@json_option
@click.pass_obj
def balance(place: Place, account: str | None, limit: int, *, as_json: bool) -> int:
    """Show the readings of each balance, or of ACCOUNT's, term by term, the latest first.

    Consecutive equal readings are shown as one. See `status` for the current balance.
    """
    settings = place.settings()
    wanted = [account_named(account, settings.accounts, "ACCOUNT")] if account else settings.accounts
    with opened_store(settings, read_only=True) as store:
        found = [(policy, store.balances.history(policy.account, limit)) for policy in wanted]
    readings = [(policy, one) for policy, history in found for one in history]

    return print_list(
        "readings",
        readings,
        (lambda one: _json(*one, settings.zone)) if as_json else None,
        ("ACCOUNT", "SINCE", "AS OF", "FROM", *_NUMBERS),
        lambda one: _row(*one, settings),
        none="No balance on record.",
        right=_NUMBERS,
    )


def _row(policy: AccountPolicy, one: RecordedReading, settings: Settings) -> tuple[str, ...]:
    reading = one.reading
    return (
        clean(policy.name or policy.account),
        when(one.since, settings.zone),
        when(reading.as_of, settings.zone),
        reading.origin.value,
        *map(_shown, (reading.cash, reading.credit)),
        _unsettled(reading),
        _shown(reading.reported),
    )


def _unsettled(reading: BalanceReading) -> str:
    if reading.unsettled_current is not None and reading.unsettled_previous is not None:
        return _shown(reading.unsettled_current + reading.unsettled_previous)
    return _shown(reading.unsettled_both) if reading.unsettled_both is not None or reading.reported is not None else "by bills"


def _shown(money: Money | None) -> str:
    return "" if money is None else shown(money.amount)


def _json(policy: AccountPolicy, one: RecordedReading, zone: tzinfo) -> dict[str, object]:
    return {
        "account": one.reading.account,
        "name": policy.name,
        "from": one.reading.origin.value,
        **json_fields(one, since="since", as_of="reading.as_of", read_at="reading.read_at", zone=zone),
        **json_fields(one.reading, "currency", *TERMS),
        "other_cash": [json_fields(money, "amount", "currency") for money in one.reading.other_cash],
        **json_fields(one.reading, reseller_quota="is_reseller_quota", owner="owner"),
    }
