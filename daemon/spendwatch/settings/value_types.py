"""Types of the values in the configuration: amounts, thresholds, durations, zones, names, patterns; each with its rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_network
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, PlainValidator

from spendwatch.addresses import Network
from spendwatch.domain.errors import InvalidAmountError, printable
from spendwatch.domain.money import EXACT, Currency, is_currency, parse_amount, plain
from spendwatch.domain.period import duration_text, parse_duration
from spendwatch.domain.policy import FORECAST, Threshold
from spendwatch.domain.scope import can_fit
from spendwatch.domain.statement import ACCOUNT_ID
from spendwatch.fields import duration, one_text
from spendwatch.settings.suggestions import did_you_mean

T = TypeVar("T")

LONGEST_RETENTION = timedelta(days=36525)
SHORTEST_FOR_ORIGINALS = timedelta(days=62)
"""A month stays open into the next one, and is made anew from its originals if need be."""
SHORTEST_FOR_LINES = timedelta(days=92)
"""The lines of an open month, and of the one before, are merged with and compared to."""

LONGEST_NAME = 100
LONGEST_PATTERN = 256
_NAME = re.compile(r"(?!.*(?:__|_\Z))[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_WORKSPACE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_ACCOUNT_ID = re.compile(ACCOUNT_ID, re.ASCII)
_LEADING_ZEROS = re.compile(r"(-?)0+(?=[0-9])", re.ASCII)
_DAY = re.compile(r"[1-9][0-9]?", re.ASCII)
_LAST_DAY = 28


def refusal(what: str) -> ValueError:
    """Return the refusal in these words."""
    return ValueError(what)


def amount(value: object) -> Decimal:
    """Return a plain decimal."""
    return _decimal(one_text(value), "a plain amount", "digits and at most ten decimals, like 1200.00")


def _decimal(text: str, what: str, accepts: str) -> Decimal:
    try:
        found = parse_amount(text)
    except InvalidAmountError:
        msg = f"not {what}: {printable(text)}; write {accepts}"
        raise refusal(msg) from None
    if _LEADING_ZEROS.match(text):
        # Other readers of YAML take 010 for 8.
        meant = _LEADING_ZEROS.sub(lambda zeros: zeros[1], text, count=1)
        meant += ", and no comma within a number" if text.startswith("00") else ""
        msg = f"leading zeros can be read in two ways: {printable(text)}; write {meant}"
        raise refusal(msg)
    return found


def not_negative(value: object) -> Decimal:
    """Return an amount of zero or more."""
    found = amount(value)
    if found < 0:
        msg = f"must be zero or more, not {plain(found)}"
        raise refusal(msg)
    return found


def above_zero(value: object) -> Decimal:
    """Return an amount above zero."""
    return _above_zero(amount(value))


def _above_zero(found: Decimal) -> Decimal:
    if found <= 0:
        msg = f"must be above zero, not {plain(found)}"
        raise refusal(msg)
    return found


def threshold(value: object) -> Threshold:
    """Return the threshold written as `80%`, a share of the budget, or `900.00`, an amount; of a forecast: `forecast 80%`."""
    text = one_text(value)
    forecast, space, rest = text.partition(" ")
    is_forecast = forecast == FORECAST
    if is_forecast and not space:
        msg = f"needs a share or an amount behind it: write {FORECAST} 100%"
        raise refusal(msg)
    figure = rest if is_forecast else text
    number = _above_zero(
        _decimal(figure.removesuffix("%"), "a threshold", "a share of the budget like 80%, or an amount like 900.00")
    )
    if figure.endswith("%"):
        return Threshold(share=EXACT.multiply(number, Decimal("0.01")), is_forecast=is_forecast)
    return Threshold(amount=number, is_forecast=is_forecast)


def share_threshold(value: object) -> Threshold:
    """Return the threshold if it is a share: an amount needs a currency beside it."""
    found = threshold(value)
    if found.share is None:
        msg = f"must be a share like 80%, not the amount {found.label}: amounts stand beside the budget they belong to"
        raise refusal(msg)
    return found


def retention(shortest: timedelta) -> Callable[[object], timedelta]:
    """Return the check of how long something is kept: at least so long, and years if need be."""

    def check(value: object) -> timedelta:
        found = parse_duration(one_text(value))
        if found < shortest:
            msg = f"must be {shortest.days}d or more, not {printable(one_text(value))}: a month stays open and may be rebuilt"
            raise refusal(msg)
        if found > LONGEST_RETENTION:
            msg = f"longer than a hundred years: {printable(one_text(value))}; leave the key out to keep everything"
            raise refusal(msg)
        return found

    return check


def reminder(value: object) -> timedelta:
    """Return a duration of a minute or more: shorter ones would fill mailboxes."""
    found = duration(value)
    if found < timedelta(minutes=1):
        msg = "must be a minute or more"
        raise refusal(msg)
    return found


def escalation(value: object) -> timedelta:
    """Return how long something must last before others hear of it; a second or more."""
    found = duration(value)
    if not found:
        msg = "must be a second or more"
        raise refusal(msg)
    return found


def runway(value: object) -> timedelta:
    """Return how long before the balance is used up somebody must hear of it: whole days, as that is what can be foretold."""
    found = duration(value)
    if found < timedelta(days=1) or found % timedelta(days=1):
        msg = f"must be whole days like 7d, not {printable(one_text(value))}"
        raise refusal(msg)
    return found


def day_of_month(value: object) -> int:
    """Return a day that every month has."""
    text = one_text(value)
    if not _DAY.fullmatch(text) or int(text) > _LAST_DAY:
        msg = f"must be a day that exists in every month, 1 to {_LAST_DAY}, not {printable(text)}"
        raise refusal(msg)
    return int(text)


def time_zone(value: object) -> ZoneInfo:
    """Return the zone of that IANA name."""
    text = one_text(value)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(text, available_timezones())
        msg = f"not a time zone: {printable(text)}; {hint or 'write an IANA name like Asia/Shanghai'}"
        raise refusal(msg) from None


def currency(value: object) -> Currency:
    """Return an ISO 4217 code."""
    text = one_text(value)
    if not is_currency(text):
        msg = f"not a currency code: {printable(text)}; write three capital letters like CNY"
        raise refusal(msg)
    return Currency(text)


def network(value: object) -> Network:
    """Return the network; one that holds every address is refused."""
    text = one_text(value)
    try:
        found = ip_network(text)
    except ValueError:
        msg = f"not a network: {printable(text)}; write it like 10.1.0.0/16, without bits after the prefix"
        raise refusal(msg) from None
    if found.prefixlen == 0:
        msg = f"contains every address: {printable(text)}; list the networks to allow"
        raise refusal(msg)
    return found


def name(value: object) -> str:
    """Return the name of an account, a source or a channel; environment variables must be able to spell it."""
    return _fitting(value, _NAME, "a name", "1 to 64 letters, digits, - and, between them, single _")


def title(value: object) -> str:
    """Return a text that people read: printable, on one line."""
    text = one_text(value)
    if not text.strip() or text != text.strip() or not text.isprintable() or len(text) > LONGEST_NAME:
        msg = f"must be 1 to {LONGEST_NAME} printable characters without spaces around them, not {printable(text)}"
        raise refusal(msg)
    return text


def tag_pattern(value: object) -> str:
    """Return a pattern with `*`, `?` and `[…]`; `""` fits charges that name none."""
    text = one_text(value)
    if not text.isprintable() or len(text) > LONGEST_PATTERN:
        msg = f"must be at most {LONGEST_PATTERN} printable characters, not {printable(text)}"
        raise refusal(msg)
    if not can_fit(text):
        msg = f"can never match: {printable(text)} has a set that runs backwards; write [0-9], not [9-0]"
        raise refusal(msg)
    return text


def pattern(value: object) -> str:
    """Return a pattern for a cell; bills are read without the spaces around a cell."""
    text = tag_pattern(value)
    if text != text.strip():
        msg = f"can never match: {printable(text)} has spaces around it, and bills are read without them"
        raise refusal(msg)
    return text


def part_pattern(value: object) -> str:
    """Return a pattern for one field of an instance id."""
    text = pattern(value)
    if ";" in text:
        msg = f"can never match: {printable(text)} has a semicolon, which separates fields of an instance id: write one"
        raise refusal(msg)
    return text


def place(value: object) -> str:
    """Return the text of a path or an address."""
    text = one_text(value)
    if not text.strip() or not text.isprintable():
        msg = "must be one line of printable characters"
        raise refusal(msg)
    return text


def _fitting(value: object, form: re.Pattern[str], what: str, accepts: str) -> str:
    text = one_text(value)
    if not form.fullmatch(text):
        msg = f"not {what}: {printable(text)}; accepted: {accepts}"
        raise refusal(msg)
    return text


def _workspace(value: object) -> str:
    return _fitting(value, _WORKSPACE, "a workspace id", "1 to 64 letters, digits, '.', '_' and '-'")


def _product(value: object) -> str:
    text = one_text(value)
    if not text or text != text.strip() or not text.isprintable() or len(text) > LONGEST_NAME:
        msg = f"not a product: {printable(text)}; accepted: its code as in the bills, like sfm, or the name of a FOCUS service"
        raise refusal(msg)
    return text


def _account_id(value: object) -> str:
    return _fitting(
        value, _ACCOUNT_ID, "an account id", "1 to 256 characters without blanks, as the bills write it, like 1000000000000001"
    )


def once_each(items: list[T]) -> list[T]:
    """Return the list, or refuse it because something stands there twice."""
    seen: set[T] = set()
    for item in items:
        if item in seen:
            msg = f"{_shown(item)} is listed twice"
            raise refusal(msg)
        seen.add(item)
    return items


def _shown(item: object) -> str:
    match item:
        case Threshold():
            return item.label
        case Decimal():
            return plain(item)
        case timedelta():
            return duration_text(item)
        case _:
            return str(item)


def _not_empty(consequence: str) -> AfterValidator:
    def check(items: list[T]) -> list[T]:
        if not items:
            msg = f"an empty list: {consequence}"
            raise refusal(msg)
        return items

    return AfterValidator(check)


def from_text(check: Callable[[object], object]) -> PlainValidator:
    """Return the check as pydantic takes it."""
    return PlainValidator(check, json_schema_input_type=str)


Budget = Annotated[Decimal, from_text(above_zero)]
Cash = Annotated[Decimal, from_text(not_negative)]
Floors = Annotated[list[Cash], AfterValidator(once_each)]
Thresholds = Annotated[list[Annotated[Threshold, from_text(threshold)]], AfterValidator(once_each)]
ShareThresholds = Annotated[list[Annotated[Threshold, from_text(share_threshold)]], AfterValidator(once_each)]
RunwayThresholds = Annotated[list[Annotated[timedelta, from_text(runway)]], AfterValidator(once_each)]
EscalateAfter = Annotated[timedelta, from_text(escalation)]
Remind = Annotated[timedelta, from_text(reminder)]
KeepOriginals = Annotated[timedelta, from_text(retention(SHORTEST_FOR_ORIGINALS))]
KeepLines = Annotated[timedelta, from_text(retention(SHORTEST_FOR_LINES))]
DayOfMonth = Annotated[int, from_text(day_of_month)]
Zone = Annotated[ZoneInfo, from_text(time_zone)]
CurrencyCode = Annotated[Currency, from_text(currency)]
Networks = Annotated[list[Annotated[Network, from_text(network)]], AfterValidator(once_each)]
Name = Annotated[str, from_text(name)]
Title = Annotated[str, from_text(title)]
Pattern = Annotated[str, from_text(pattern)]
PartPattern = Annotated[str, from_text(part_pattern)]
TagPattern = Annotated[str, from_text(tag_pattern)]
PlaceText = Annotated[str, from_text(place)]
WorkspaceText = Annotated[str, from_text(_workspace)]
AccountIdText = Annotated[str, from_text(_account_id)]
ChannelNames = Annotated[
    list[Name], AfterValidator(once_each), _not_empty("nobody would be notified; leave the key out to use the default")
]
Products = Annotated[
    list[Annotated[str, from_text(_product)]], AfterValidator(once_each), _not_empty("nothing would count as spend")
]
