"""A balance document of the operator's own file or endpoint, JSON or YAML: closed schema, exact amounts, with its time.

It has one level, and is read as texts with their lines: no conversion, no duplicates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from spendwatch import exact_json, yaml_text
from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.errors import ConfigError, InvalidAmountError, printable
from spendwatch.domain.money import Currency, Money, parse_amount
from spendwatch.domain.statement import AccountId

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

MOST_BYTES = 64 * 1024
_NO_KEYS = "it must contain keys with values, on one level"

KEYS = ("account", "currency", "as_of", *TERMS)

_AHEAD = timedelta(minutes=5)
"""How far the writer's clock may be ahead of ours."""
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})")
_MOST_TOLD = 10


class NoBalanceError(ValueError):
    """A document without a valid balance of this account; the message names each line and key."""


class Entry(NamedTuple):
    """One value as it stands there. `is_text`: it can be nothing but a text."""

    text: str
    line: int
    is_text: bool = True


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
    looking = _Looking(_read(data))
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


def _read(data: bytes) -> Mapping[str, Entry]:
    """Return the document's entries, in their order, or raise `NoBalanceError`."""
    if len(data) > MOST_BYTES:
        msg = f"it is larger than {MOST_BYTES // 1024} KiB"
        raise NoBalanceError(msg)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"line {line}: it is not UTF-8"
        raise NoBalanceError(msg) from None
    if not text.strip():
        msg = "it is empty"
        raise NoBalanceError(msg)
    return _json(text) if text.lstrip()[0] in "{[" else _yaml(data)


def _json(text: str) -> Mapping[str, Entry]:
    try:
        found = exact_json.parse(text)
    except exact_json.NoJsonError as error:
        raise NoBalanceError(f"line {error.line}: {error}" if error.line else str(error)) from None
    return _entries(found, lambda key: _line_of(key, text))


def _yaml(data: bytes) -> Mapping[str, Entry]:
    try:
        document = yaml_text.parse(data, "")
        mistakes = document.mistakes
    except ConfigError as error:
        document, mistakes = yaml_text.Document(""), list(error.mistakes)
    if mistakes:
        told = (
            f"line {one.line}, {one.key}: {one.what}" if one.key else f"line {one.line}: {one.what}"
            for one in mistakes[:_MOST_TOLD]
        )
        raise NoBalanceError("; ".join(told))
    keys = document.tree if isinstance(document.tree, yaml_text.Keys) else None
    return _entries(keys, lambda key: place.line if keys and (place := keys.key_place(key)) else 1)


def _entries(found: object, line_of: Callable[[str], int]) -> Mapping[str, Entry]:
    if not isinstance(found, dict):
        raise NoBalanceError(_NO_KEYS)
    entries = {}
    for key, value in found.items():
        line = line_of(key)
        if isinstance(value, dict | list) or value is None or getattr(value, "is_nothing", False):
            kind = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "nothing"
            msg = f"line {line}, {key if key.isidentifier() else printable(key)}: must be one text, not {kind}"
            raise NoBalanceError(msg)
        entries[key] = Entry(str(value), line, is_text=isinstance(value, str))
    return entries


def _line_of(key: str, text: str) -> int:
    found = re.search(rf'"{re.escape(key)}"\s*:', text)
    return text.count("\n", 0, found.start()) + 1 if found else 1
