"""Files of cases for `check --cases`: what is spent and known at which moments, and what is to be said. A closed schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from spendwatch.domain.alert import Rule
from spendwatch.domain.commodity import MODEL_STUDIO
from spendwatch.domain.delivery import Reason
from spendwatch.domain.errors import ConfigError, printable
from spendwatch.domain.period import parse_day
from spendwatch.domain.policy import AccountPolicy, Severity
from spendwatch.domain.statement import ChargeKind
from spendwatch.domain.suggestions import suggestion
from spendwatch.fields import Closed, refuse
from spendwatch.settings import Settings
from spendwatch.settings.layers import Layers
from spendwatch.settings.loading import read_document, validated
from spendwatch.settings.value_types import Cash, ChannelNames, SignedAmount, Text, Title, read, threshold
from spendwatch.yaml_text import KeyPath

_TYPES = tuple(sorted({rule.type for rule in Rule} | {"alert.resolved", "balance.recovered"}))


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        refuse(f"not a time: {printable(text)}; write it like 2026-09-12 10:00")


def _known_type(text: str) -> str:
    if text not in _TYPES:
        refuse(f"there is no alert {printable(text)}; {suggestion(text, _TYPES)}")
    return text


def _label(text: str) -> str:
    """Return a threshold as alerts name it; a runway like 7d is named as it is written."""
    try:
        return threshold(text).label
    except ValueError:
        return text


_Day = Annotated[date, read(parse_day)]


class SpendPart(Closed):
    """What a bill adds: an amount on a day, or on each of several days. Keys beside it are as the bills have them."""

    amount: SignedAmount
    day: _Day | None = None
    until: _Day | None = None
    account: Title | None = None
    workspace: Text = ""
    api_key: Text = ""
    model: Text = ""
    type: Text = ""
    channel: Text = ""
    region: Text = ""
    item: Text = ""
    commodity: Text = ""
    product: Text = MODEL_STUDIO
    tags: dict[Title, Text] = Field(default_factory=dict)
    charge: ChargeKind = ChargeKind.USAGE


class KnownBalance(Closed):
    """What is known of a balance from then on: cash and credit, or what the provider reports as available."""

    account: Title | None = None
    cash: Cash | None = None
    credit: Cash = Decimal(0)
    available: SignedAmount | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.cash is None) == (self.available is None):
            refuse("write either cash (and credit), or available")
        return self


class ExpectedPart(Closed):
    """A notification that is to be said. What is left out may be anything."""

    alert: Annotated[Text, AfterValidator(_known_type)]
    about: Title | None = None
    threshold: Annotated[Text, AfterValidator(_label)] | None = None
    reason: Reason | None = None
    severity: Severity | None = None
    channels: ChannelNames | None = None


class MomentPart(Closed):
    """A moment, what comes in then, and what has been said since the moment before."""

    at: Annotated[datetime, read(_moment)]
    spend: list[SpendPart] = Field(default_factory=list)
    balance: KnownBalance | None = None
    expect: list[ExpectedPart] | None = None


class CasePart(Closed):
    """One case: it begins without any bill or alert."""

    name: Title
    moments: Annotated[list[MomentPart], Field(min_length=1)]


class _CasesFile(Closed):
    cases: Annotated[list[CasePart], Field(min_length=1)]


class Cases(NamedTuple):
    """The cases of one file."""

    file: Path
    cases: tuple[CasePart, ...]
    line: Callable[[KeyPath], int]
    """Return in which line something stands."""


def load_cases(file: Path, settings: Settings) -> Cases:
    """Read a file of cases for these settings; `ConfigError` names every mistake."""
    layers = Layers(read_document(file))
    said = validated(_CasesFile, layers, _CasesFile.model_validate)
    if said and not layers.mistakes:
        for path, what in _mistakes(said, settings):
            layers.tell(path, what)
    if layers.mistakes or said is None:
        raise ConfigError(*layers.mistakes)
    return Cases(file, tuple(said.cases), lambda path: layers.place(path).line)


def account_of(name: str | None, settings: Settings) -> AccountPolicy | None:
    """Return the account of that name or id; without one the only account."""
    accounts = settings.accounts
    if name is None:
        return accounts[0] if len(accounts) == 1 else None
    return next((one for one in accounts if name in {one.name, one.account}), None)


def _mistakes(said: _CasesFile, settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    for number, case in enumerate(said.cases):
        before: datetime | None = None
        for place, moment in enumerate(case.moments):
            path: KeyPath = ("cases", number, "moments", place)
            at = in_zone(moment.at, settings)
            if before and at < before:
                yield (*path, "at"), "is before the moment above it"
            before = at
            parts = [((*path, "spend", one), part.account) for one, part in enumerate(moment.spend)]
            parts += [((*path, "balance"), moment.balance.account)] if moment.balance else []
            yield from ((where, wrong) for where, name in parts if (wrong := _no_account(name, settings)))
            for one, spent in enumerate(moment.spend):
                if spent.until and (spent.day is None or spent.until < spent.day):
                    yield (*path, "spend", one, "until"), "needs a `day` before it, from which on the amount is spent each day"
            if what := _no_balance(moment, settings):
                yield (*path, "balance"), what
            for one, expected in enumerate(moment.expect or ()):
                for name in expected.channels or ():
                    if name not in settings.channels:
                        yield (
                            (*path, "expect", one, "channels"),
                            f"no channel is called {name}; {suggestion(name, settings.channels)}",
                        )


def _no_account(name: str | None, settings: Settings) -> str:
    if account_of(name, settings):
        return ""
    known = ", ".join(one.name for one in settings.accounts)
    return (
        f"say whose: account, one of {known}" if name is None else f"no account is called {printable(name)}; there are {known}"
    )


def _no_balance(moment: MomentPart, settings: Settings) -> str:
    policy = account_of(moment.balance.account, settings) if moment.balance else None
    if policy is None or moment.balance is None:
        return ""
    if policy.balance is None:
        return f"the balance of {policy.name} is not watched: it has no `balance` in spendwatch.yaml"
    is_manual = policy.balance.cash is not None
    return "this balance is `from: manual`: write cash and credit" if is_manual and moment.balance.cash is None else ""


def in_zone(moment: datetime, settings: Settings) -> datetime:
    """Return a moment that was written without a zone as one by the configured zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=settings.zone)
