"""A balance document of the operator's own file or endpoint: closed schema, exact amounts, with its time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.errors import InvalidAmountError, printable
from spendwatch.domain.money import Currency, Money, parse_amount
from spendwatch.domain.statement import AccountId
from spendwatch.sources.balances.flat_text import Entry, NoBalanceError, read_flat_text

TERMS: Mapping[str, str] = {
    "cash": "cash",
    "credit": "credit",
    "credit_refund": "credit_refund",
    "unsettled_current": "unsettled_current",
    "unsettled_previous": "unsettled_previous",
    "unsettled": "unsettled_both",
    "available": "reported",
}
"""The document's amounts, each with its term. `available` is net of everything unsettled."""

KEYS = ("account", "currency", "as_of", *TERMS)

_AHEAD = timedelta(minutes=5)
"""How far the writer's clock may be ahead of ours."""
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})")
_MOST_TOLD = 10


@dataclass(slots=True)
class _Looking:
    """The entries, and what is wrong with them."""

    entries: Mapping[str, Entry]
    wrong: list[str] = field(default_factory=list)

    def tell(self, key: str, what: str) -> None:
        entry = self.entries.get(key)
        self.wrong.append(f"line {entry.line}, {key}: {what}" if entry else f"{key}: {what}")


def balance_in(data: bytes, *, account: AccountId, currency: Currency, origin: Origin, now: datetime) -> BalanceReading:
    """Return the document's reading, or raise `NoBalanceError` with every mistake in it."""
    looking = _Looking(read_flat_text(data))
    for key, entry in looking.entries.items():
        if key not in KEYS:
            looking.wrong.append(f"line {entry.line}, {printable(key)}: unknown key; known: {', '.join(KEYS)}")
    _check_whose(looking, account, currency)
    as_of = _moment(looking, now)
    amounts = {key: amount for key in TERMS if (amount := _amount(looking, key)) is not None}
    _check_together(looking, amounts)
    if looking.wrong or as_of is None:
        more = len(looking.wrong) - _MOST_TOLD
        told = [*looking.wrong[:_MOST_TOLD], *([f"and {more} more"] if more > 0 else [])]
        raise NoBalanceError("; ".join(told))
    terms = {TERMS[key]: Money(amount, currency) for key, amount in amounts.items()}
    return BalanceReading(account, currency, origin, as_of, now, **terms)  # type: ignore[arg-type]  # the names are terms


def _check_whose(looking: _Looking, account: AccountId, currency: Currency) -> None:
    for key, expected in (("account", account), ("currency", currency)):
        entry = looking.entries.get(key)
        if entry and entry.text != expected:
            looking.tell(key, f"is {printable(entry.text)}, and this is the balance of {account} in {currency}")


def _moment(looking: _Looking, now: datetime) -> datetime | None:
    entry = looking.entries.get("as_of")
    accepts = "write the time of the figures, with its offset, like 2026-09-15T10:00:00+08:00"
    if entry is None:
        looking.tell("as_of", f"is missing; {accepts}")
        return None
    try:
        moment = datetime.fromisoformat(entry.text) if _MOMENT.fullmatch(entry.text) else None
    except ValueError:
        moment = None
    if moment is None:
        looking.tell("as_of", f"not a moment: {printable(entry.text)}; {accepts}")
    elif moment > now + _AHEAD:
        looking.tell("as_of", f"is in the future: {printable(entry.text)}")
    return moment


def _amount(looking: _Looking, key: str) -> Decimal | None:
    entry = looking.entries.get(key)
    if entry is None:
        return None
    if not entry.is_text:
        looking.tell(key, f'must be a text, like "{printable(entry.text)[1:-1]}": other programs make floats of numbers')
        return None
    try:
        return parse_amount(entry.text)
    except InvalidAmountError:
        what = f"not a plain amount: {printable(entry.text)}; write digits and at most ten decimals, like 1200.00"
        looking.tell(key, what)
        return None


def _check_together(looking: _Looking, amounts: Mapping[str, Decimal]) -> None:
    told = looking.entries.keys()
    if not {"cash", "available"} & told:
        looking.wrong.append("cash or available: one of them is needed")
    both = {"unsettled_current", "unsettled_previous"}
    if len(both & told) == 1:
        (there,), (missing,) = both & told, both - told
        looking.tell(there, f"also needs {missing}; or write their sum as unsettled")
    if both <= told and "unsettled" in told:
        looking.tell("unsettled", "is already given by unsettled_current and unsettled_previous: keep one or the other")
    if "credit" in amounts and amounts["credit"] < 0:
        looking.tell("credit", "must be zero or more")
