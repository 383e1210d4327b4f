"""What a line says beside its id, time and amounts. Few combinations occur in a file, so plain Python reads each but once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from spendwatch.bills.instance_id import InstanceId, parse_instance_id
from spendwatch.bills.layouts.layout import Field, Layout
from spendwatch.bills.tags import canonical_tags
from spendwatch.domain.money import is_currency
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, DayKey, ReadingHints

RAW_FIELDS = (
    Field.ACCOUNT,
    Field.PERIOD,
    Field.DAY,
    Field.OWNER,
    Field.CHARGE,
    Field.TRADE,
    Field.PRODUCT,
    Field.COMMODITY,
    Field.ITEM,
    Field.INSTANCE,
    Field.UNIT,
    Field.CURRENCY,
    Field.TAGS,
)
"""The cells that a line's traits are read from, in this order."""

SEPARATOR = "\x1f"
"""Stands between those cells where they travel as one text; a cell that holds it is refused."""

DATE_LENGTH = len("2026-09-12")

MODEL_STUDIO = "sfm"

_DAY_CELLS = 3
"""The first of the raw fields tell the day; the others tell the traits."""

_ACCOUNT = re.compile(r"[0-9]{1,32}", re.ASCII)
_MONTH = re.compile(r"(2[0-9]{3})-?([0-9]{2})", re.ASCII)
_DAY = re.compile(r"(2[0-9]{3})(-?)([0-9]{2})\2([0-9]{2})", re.ASCII)


class Traits(NamedTuple):
    """Everything by which spend can be told apart but the day; the order decides between two versions of one line."""

    owner: str
    product: str
    commodity: str
    item: str
    instance: str
    unit: str
    currency: str
    charge: str
    tags: str
    workspace: str
    api_key: str
    model: str
    type: str
    channel: str


class CellError(Exception):
    """A cell that cannot be understood."""

    def __init__(self, column: Field, value: str, reason: str, accepts: str) -> None:
        """Keep what a refusal must tell."""
        self.column, self.value, self.reason, self.accepts = column, value, reason, accepts
        super().__init__(reason)


@dataclass(slots=True)
class Interpreter:
    """Reads the raw cells of one file, and notes what the operator should know about them."""

    layout: Layout
    hints: ReadingHints
    named_account: AccountId | None
    """The account that the file's name begins with."""
    assumed: dict[str, None] = field(default_factory=dict)
    """What was taken from elsewhere because the bill is silent, in words; each said once."""
    unknown_instances: dict[str, None] = field(default_factory=dict)
    has_undated: bool = False
    """Whether lines without a date were met."""
    _keys: dict[tuple[str, ...], DayKey] = field(default_factory=dict)
    _traits: dict[tuple[str, ...], Traits] = field(default_factory=dict)

    def interpret(self, cells: tuple[str, ...]) -> tuple[DayKey, Traits]:
        """Return which day the line belongs to, and its traits; or raise `CellError`. The cells stand as in `RAW_FIELDS`."""
        place = cells[:_DAY_CELLS]
        if place not in self._keys:
            self._keys[place] = self._key(*place)
        what = (self._keys[place].account, *cells[_DAY_CELLS:])
        if what not in self._traits:
            self._traits[what] = self._interpreted(dict(zip(RAW_FIELDS, cells, strict=True)), self._keys[place].account)
        return self._keys[place], self._traits[what]

    def remarks(self) -> tuple[str, ...]:
        """Return what the operator should know."""
        if not self.unknown_instances:
            return tuple(self.assumed)
        count, example = len(self.unknown_instances), next(iter(self.unknown_instances))
        ids = "1 instance id has" if count == 1 else f"{count} instance ids have"
        return (*self.assumed, f"{ids} an unknown shape and no workspace, for example {example[:80]!r}")

    def _key(self, account_cell: str, month_cell: str, day_cell: str) -> DayKey:
        account = self._account(account_cell)
        period, day = self._when(month_cell, day_cell)
        return DayKey(account, period, self.layout.series, day)

    def _account(self, cell: str) -> AccountId:
        account = AccountId(cell) if cell else self._silent_account()
        if not _ACCOUNT.fullmatch(account):
            raise CellError(Field.ACCOUNT, cell, "not an account id", "digits")
        if self.hints.currencies and account not in self.hints.currencies:
            configured = ", ".join(self.hints.currencies)
            raise CellError(Field.ACCOUNT, cell, f"a bill of account {account}; configured are {configured}", "these accounts")
        return account

    def _silent_account(self) -> AccountId:
        if self.named_account:
            self.assumed[f"the bill names no account; its file name says {self.named_account}"] = None
            return self.named_account
        if len(self.hints.currencies) == 1:
            (only,) = self.hints.currencies
            self.assumed[f"the bill names no account; {only} is the only one configured"] = None
            return only
        raise CellError(Field.ACCOUNT, "", "neither the bill nor its file name names an account", "an account id")

    def _when(self, month_cell: str, day_cell: str) -> tuple[BillingPeriod, date]:
        day = _day(day_cell) if day_cell else None
        period = _month(month_cell) if month_cell else None
        if period is None:
            if day is None:
                raise CellError(Field.PERIOD, "", "neither a billing month nor a billing date", "202609 or 2026-09")
            period = BillingPeriod(day.year, day.month)
        if day is None:
            self.has_undated = True
            self.assumed[f"lines without a date are entered on the first day of {period.label}"] = None
            day = period.first_day
        return period, day

    def _interpreted(self, raw: Mapping[Field, str], account: AccountId) -> Traits:
        for column, value in raw.items():
            if SEPARATOR in value:
                raise CellError(column, value, "a control character inside the cell", "text")
        instance = self._instance(raw[Field.INSTANCE], raw[Field.PRODUCT])
        return Traits(
            owner=raw[Field.OWNER],
            product=raw[Field.PRODUCT],
            commodity=raw[Field.COMMODITY],
            item=raw[Field.ITEM],
            instance=raw[Field.INSTANCE],
            unit=raw[Field.UNIT],
            currency=self._currency(raw[Field.CURRENCY], account),
            charge=self.layout.charge_kind(raw[Field.CHARGE], raw[Field.TRADE]),
            tags=canonical_tags(raw[Field.TAGS]),
            workspace=instance.workspace,
            api_key=instance.api_key,
            model=instance.model,
            type=instance.type,
            channel=instance.channel,
        )

    def _instance(self, cell: str, product: str) -> InstanceId:
        if product not in {MODEL_STUDIO, ""}:
            return InstanceId()
        parsed = parse_instance_id(cell)
        if parsed is None:
            if product:
                self.unknown_instances[cell] = None
            return InstanceId()
        return parsed

    def _currency(self, cell: str, account: AccountId) -> str:
        if is_currency(cell):
            return cell
        if cell:
            raise CellError(Field.CURRENCY, cell, "not a currency", "an ISO 4217 code such as CNY")
        if account not in self.hints.currencies:
            raise CellError(Field.CURRENCY, cell, f"no currency, and none is configured for account {account}", "CNY, say")
        currency = self.hints.currencies[account]
        self.assumed[f"the bill names no currency; {currency} is configured for account {account}"] = None
        return currency


def _month(cell: str) -> BillingPeriod:
    found = _MONTH.fullmatch(cell)
    try:
        if found:
            return BillingPeriod(int(found[1]), int(found[2]))
    except ValueError:
        pass
    raise CellError(Field.PERIOD, cell, "not a billing month", "202609 or 2026-09")


def _day(cell: str) -> date:
    found = _DAY.fullmatch(cell)
    try:
        if found:
            return date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        pass
    raise CellError(Field.DAY, cell, "not a billing date", "20260912 or 2026-09-12")
