"""Types of the values in the configuration: amounts, thresholds, durations, zones, names, patterns; each with its rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_network
from typing import Annotated, NoReturn, TypeVar

from pydantic import AfterValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from spendwatch.addresses import Network
from spendwatch.domain.errors import InvalidAmountError, printable
from spendwatch.domain.money import EXACT, Currency, is_currency, parse_amount, plain
from spendwatch.domain.novelty import NOVEL
from spendwatch.domain.period import duration_label, duration_text, parse_duration
from spendwatch.domain.policy import FORECAST, Threshold
from spendwatch.domain.scope import EACH, TAG, Dimension, can_fit
from spendwatch.domain.statement import ACCOUNT_ID
from spendwatch.domain.suggestions import did_you_mean
from spendwatch.fields import DURATION, duration, must, one_text, refuse

H = TypeVar("H", bound=Hashable)

LONGEST_RETENTION = timedelta(days=36525)
SHORTEST_FOR_ORIGINALS = timedelta(days=62)
"""A month stays open into the next one, and is made anew from its originals if need be."""
SHORTEST_FOR_LINES = timedelta(days=92)
"""The lines of an open month, and of the one before, are merged with and compared to."""

SHORTEST_FOR_DELIVERIES = timedelta(days=124)
"""What was told of the latest months is compared with their final figures."""

MEANING = "meaning"
"""The kind of mistake that lies in how several values fit together."""

LONGEST_NAME = 100
LONGEST_PATTERN = 256
_LEADING_ZEROS = re.compile(r"(-?)0+(?=[0-9])", re.ASCII)
_DAY = re.compile(r"[1-9]|1[0-9]|2[0-8]", re.ASCII)
_AMOUNT = r"^-?[0-9]+(\.[0-9]{1,10})?$"
_ONE_DAY = timedelta(days=1)


def read(parse: Callable[[str], object], form: str | None = None) -> PlainValidator:
    """Return how a text is read; `form`: what editors are told of it, less strict than the parser."""
    given = Annotated[str, Field(pattern=form)]
    return PlainValidator(lambda value: parse(one_text(value)), json_schema_input_type=given)


def fits(form: str, what: str, accepts: str) -> AfterValidator:
    """Return the rule that the whole text has that form."""
    fits = re.compile(form, re.ASCII).fullmatch
    return must(fits, lambda text: f"not {what}: {printable(text)}; accepted: {accepts}")


def _is_line(text: str) -> bool:
    return bool(text) and text == text.strip() and text.isprintable() and len(text) <= LONGEST_NAME


Text = Annotated[str, read(str)]
Name = Annotated[
    Text,
    # Environment variables must be able to spell it.
    fits(
        r"(?!.*(?:__|_\Z))[A-Za-z0-9][A-Za-z0-9_-]{0,63}",
        "a name",
        "1 to 64 letters, digits, - and, between them, single _",
    ),
]
Title = Annotated[
    Text,
    must(
        _is_line,
        lambda text: f"must be 1 to {LONGEST_NAME} printable characters without spaces around them, not {printable(text)}",
    ),
]
TagPattern = Annotated[
    Text,
    must(
        lambda text: text.isprintable() and len(text) <= LONGEST_PATTERN,
        lambda text: f"must be at most {LONGEST_PATTERN} printable characters, not {printable(text)}",
    ),
    must(can_fit, lambda text: f"can never match: {printable(text)} has a set that runs backwards; write [0-9], not [9-0]"),
]
"""With `*`, `?` and `[…]`; `""` fits charges that name none."""
Pattern = Annotated[
    TagPattern,
    must(
        lambda text: text == text.strip(),
        lambda text: f"can never match: {printable(text)} has spaces around it, and bills are read without them",
    ),
]
PartPattern = Annotated[
    Pattern,
    must(
        lambda text: ";" not in text,
        lambda text: f"can never match: {printable(text)} has a semicolon, which separates fields of an instance id: write one",
    ),
]
"""For one field of an instance id."""
PlaceText = Annotated[
    Text, must(lambda text: text.strip() and text.isprintable(), lambda _: "must be one line of printable characters")
]
NO_LINK = "off"
Link = Annotated[
    Text,
    must(
        lambda text: text == NO_LINK or (text.startswith("https://") and text.isprintable() and " " not in text),
        lambda text: f"not an address: {printable(text)}; write https://…, or {NO_LINK} for no link",
    ),
]
WorkspaceText = Annotated[Text, fits(r"[A-Za-z0-9._-]{1,64}", "a workspace id", "1 to 64 letters, digits, '.', '_' and '-'")]
AccountIdText = Annotated[
    Text,
    fits(ACCOUNT_ID, "an account id", "1 to 256 characters without blanks, as the bills write it, like 1000000000000001"),
]
_Product = Annotated[
    Text,
    must(
        _is_line,
        lambda text: (
            f"not a product: {printable(text)}; accepted: its code as in the bills, like sfm, or the name of a FOCUS service"
        ),
    ),
]


# --- amounts


def _amount(text: str, what: str = "a plain amount", accepts: str = "digits and at most ten decimals, like 1200.00") -> Decimal:
    try:
        found = parse_amount(text)
    except InvalidAmountError:
        refuse(f"not {what}: {printable(text)}; write {accepts}")
    if _LEADING_ZEROS.match(text):
        # Other readers of YAML take 010 for 8.
        meant = _LEADING_ZEROS.sub(lambda zeros: zeros[1], text, count=1)
        meant += ", and no comma within a number" if text.startswith("00") else ""
        refuse(f"leading zeros can be read in two ways: {printable(text)}; write {meant}")
    return found


def threshold(text: str) -> Threshold:
    """Return the threshold written as `80%`, a share of the budget, or `900.00`, an amount; of a forecast: `forecast 80%`."""
    forecast, space, rest = text.partition(" ")
    is_forecast = forecast == FORECAST
    if is_forecast and not space:
        refuse(f"needs a share or an amount behind it: write {FORECAST} 100%")
    figure = rest if is_forecast else text
    number = _amount(figure.removesuffix("%"), "a threshold", "a share of the budget like 80%, or an amount like 900.00")
    if number <= 0:
        raise ValueError(_not_above_zero(number))
    if figure.endswith("%"):
        return Threshold(share=EXACT.multiply(number, Decimal("0.01")), is_forecast=is_forecast)
    return Threshold(amount=number, is_forecast=is_forecast)


def _not_above_zero(amount: Decimal) -> str:
    return f"must be above zero, not {plain(amount)}"


def _budget(text: str, accepts: str = "digits and at most ten decimals, like 1200.00") -> Decimal:
    amount = _amount(text, accepts=accepts)
    if amount <= 0:
        raise ValueError(_not_above_zero(amount))
    return amount


SignedAmount = Annotated[Decimal, read(_amount, _AMOUNT)]
Budget = Annotated[Decimal, read(_budget, _AMOUNT)]
Cash = Annotated[
    Decimal,
    read(_amount, _AMOUNT),
    must(lambda amount: amount >= 0, lambda amount: f"must be zero or more, not {plain(amount)}"),
]
ThresholdText = Annotated[Threshold, read(threshold, r"^(forecast )?[0-9]+(\.[0-9]+)?%?$")]
_EACH = tuple(dimension.value for dimension in EACH)


def _one_of(text: str, known: Sequence[str], more: str = "") -> str:
    if text not in known:
        hint = did_you_mean(text, known)
        refuse(f"not known: {printable(text)}; one of: {', '.join(known)}{more}" + (f"; {hint}" if hint else ""))
    return text


def _for_each(text: str) -> str:
    is_tag = text.startswith(TAG) and _is_line(text.removeprefix(TAG))
    return text if is_tag else _one_of(text, _EACH, ", tag:KEY")


ForEach = Annotated[str, read(_for_each)]


Exceptional = Annotated[
    Decimal | None, read(lambda text: None if text == "none" else _budget(text, "an amount like 1200.00, or none"))
]
"""A budget, or `none`."""


# --- time


def _kept(shortest: timedelta) -> tuple[PlainValidator, AfterValidator, AfterValidator]:
    """Return the rules for how long something is kept: at least so long, and years if need be."""
    return (
        read(parse_duration, DURATION),
        must(
            lambda kept: kept >= shortest,
            lambda kept: (
                f"must be {shortest.days}d or more, not '{duration_label(kept)}': a month stays open and may be rebuilt"
            ),
        ),
        must(
            lambda kept: kept <= LONGEST_RETENTION,
            lambda kept: f"longer than a hundred years: '{duration_label(kept)}'; leave the key out to keep everything",
        ),
    )


EscalateAfter = Annotated[timedelta, read(duration, DURATION), must(bool, lambda _: "must be a second or more")]
Remind = Annotated[
    timedelta,
    read(duration, DURATION),
    must(lambda pause: pause >= timedelta(minutes=1), lambda _: "must be a minute or more"),
]
"""Shorter ones would fill mailboxes."""
WholeDays = Annotated[
    timedelta,
    read(duration, DURATION),
    must(
        lambda left: left >= _ONE_DAY and not left % _ONE_DAY,
        lambda left: f"must be whole days like 7d, not '{duration_label(left)}'",
    ),
]
"""Of a runway, as that is what can be forecast; and before the end of a plan."""
KeepOriginals = Annotated[timedelta, *_kept(SHORTEST_FOR_ORIGINALS)]
KeepLines = Annotated[timedelta, *_kept(SHORTEST_FOR_LINES)]
KeepDeliveries = Annotated[timedelta, *_kept(SHORTEST_FOR_DELIVERIES)]
DayOfMonth = Annotated[
    int,
    read(str),
    must(_DAY.fullmatch, lambda text: f"must be a day that exists in every month, 1 to 28, not {printable(text)}"),
    AfterValidator(int),
]


# --- currencies, networks, lists


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        refuse(f"not a network: {printable(text)}; write it like 10.1.0.0/16, without bits after the prefix")


def repeated(items: Iterable[H]) -> H | None:
    """Return the first that is there again."""
    return next((item for item, times in Counter(items).items() if times > 1), None)


def _shown(item: object) -> str:
    match item:
        case Decimal():
            return plain(item)
        case timedelta():
            return duration_text(item)
        case _:
            return str(item)


def _not_empty(consequence: str) -> AfterValidator:
    return must(bool, lambda _: f"an empty list: {consequence}")


_ONCE_EACH = must(lambda items: repeated(items) is None, lambda items: f"{_shown(repeated(items))} is listed twice")

CurrencyCode = Annotated[
    Currency,
    read(Currency),
    must(is_currency, lambda text: f"not a currency code: {printable(text)}; write three capital letters like CNY"),
]
_Network = Annotated[
    Network,
    read(_network),
    must(lambda one: one.prefixlen > 0, lambda one: f"contains every address: '{one}'; list the networks to allow"),
]
Networks = Annotated[list[_Network], _ONCE_EACH]
Floors = Annotated[list[Cash], _ONCE_EACH]
RunwayThresholds = Annotated[list[WholeDays], _ONCE_EACH]
Novelties = Annotated[
    list[Annotated[Dimension, read(lambda text: Dimension(_one_of(text, [one.value for one in NOVEL])))]],
    _ONCE_EACH,
    _not_empty("nothing would be reported; leave the key out"),
]
ChannelNames = Annotated[list[Name], _ONCE_EACH, _not_empty("nobody would be notified; leave the key out to use the default")]
Products = Annotated[list[_Product], _ONCE_EACH, _not_empty("nothing would count as spend")]


def refuse_at(*key_and_what: str | int) -> NoReturn:
    """Refuse a value for how several of its keys fit together; the last argument says what is wrong, those before it where."""
    *path, what = key_and_what
    raise PydanticCustomError(MEANING, "{what}", {"at": tuple(path), "what": what})
