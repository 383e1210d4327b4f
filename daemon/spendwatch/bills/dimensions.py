"""The dimensions of a line: everything but its id, time and amounts. Plain Python reads each combination once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spendwatch.bills.cells import cleaned, day_in, ids_meant, looks_shortened, period_in
from spendwatch.bills.instance_id import InstanceId, parse_instance_id
from spendwatch.bills.layouts.layout import Field, Layout
from spendwatch.bills.tags import UNKNOWN, canonical_tags
from spendwatch.domain.commodity import MODEL_STUDIO
from spendwatch.domain.errors import ADD_ACCOUNT, printable
from spendwatch.domain.money import EXACT, SCALE, is_currency, plain
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import ACCOUNT_ID, AccountId, ChargeKind, DayKey, ReadingHints

PLACE = (Field.ACCOUNT, Field.PERIOD, Field.DAY)
"""These decide the day of a line. The account and all other fields decide its dimensions."""

_RAW = (
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
    Field.REGION,
    Field.PROVIDER,
    Field.PUBLISHER,
    Field.ISSUER,
    Field.CATEGORY,
)

KEPT = (Field.PROVIDER, Field.PUBLISHER, Field.ISSUER, Field.CATEGORY, Field.CHARGE, Field.TRADE)
"""What a FOCUS file says of a charge and we only keep, to write it out again."""

_INSTEAD = {Field.SERVICE: Field.PRODUCT, Field.ITEM_NAME: Field.ITEM, Field.SELECTOR: Field.INSTANCE}
"""What is only read where a better column is missing."""

_VARYING = frozenset({Field.INSTANCE, Field.SELECTOR, Field.TAGS, Field.TERM})
"""These may be others in every line."""

SEPARATOR = "\x1f"
"""Stands between those cells where they travel as one text; a cell that holds it is refused."""

DATE_LENGTH = len("2026-09-12")

MODEL_STUDIO_NAMES = frozenset({"大模型服务平台百炼", "alibaba cloud model studio"})

_DIGITS = re.compile(r"[0-9]{1,32}", re.ASCII)
_DATE = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9](?![0-9])", re.ASCII)
_ANY_ACCOUNT = re.compile(ACCOUNT_ID, re.ASCII)


def trait_fields(places: Mapping[Field, int]) -> tuple[Field, ...]:
    """Return the fields that a line's traits are read from, where these columns are there; the account comes first."""
    instead = (field for field, better in _INSTEAD.items() if field in places and better not in places)
    term = [Field.TERM] if Field.ENDS in places else []
    return (Field.ACCOUNT, *(field for field in _RAW if field in places), *instead, *term)


class ChargeDimensions(NamedTuple):
    """Everything that spend can be grouped by except the day; the order decides between two versions of one line."""

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
    safe_mode: str
    region: str
    ends: str
    """When what was ordered ends, by the minute, as the bill writes it; empty for what is used."""
    kept: str
    """The cells of `KEPT`, for layouts that have them; else empty."""

    @property
    def lasting(self) -> tuple[str, ...]:
        """What does not change when a line is exported again; tags may change."""
        return (*self[:8], "")


class CellError(Exception):
    """A cell that cannot be understood."""

    def __init__(self, column: Field, value: str, reason: str, accepts: str, *, is_of_all: bool = False) -> None:
        """Keep the content of a refusal; `is_of_all`: every line of the file is like that, so one refusal is enough."""
        self.column, self.value, self.reason, self.accepts = column, value, reason, accepts
        self.is_of_all = is_of_all
        super().__init__(reason)


@dataclass(slots=True)
class Interpreter:
    """Reads the raw cells of one file, and notes what the operator should know about them."""

    layout: Layout
    hints: ReadingHints
    named_account: AccountId | None
    """The account that the file's name begins with."""
    fields: tuple[Field, ...]
    """The fields of the dimensions, in this order."""
    series: str
    assumed: dict[str, None] = field(default_factory=dict)
    """What was taken from elsewhere because the bill lacks it, as text; each once."""
    unassigned: dict[str, None] = field(default_factory=dict)
    """Instance ids of usage without a known workspace; an empty text where there was no id."""
    rounded: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    """For each currency how many amounts had more decimals than we keep, and what rounding added to their sum."""
    has_undated: bool = False
    """Whether lines without a date were met."""
    _has_unknown_tags: bool = False
    _accounts: dict[str, AccountId] = field(default_factory=dict)
    _common: dict[tuple[str, ...], ChargeDimensions] = field(default_factory=dict)
    _varying: Mapping[Field, int] = field(init=False)
    """The places of the cells that may be others in every line."""
    _same: Sequence[int] = field(init=False)
    """The places of all others."""

    def __post_init__(self) -> None:
        """Note which cells vary."""
        self._varying = {field: place for place, field in enumerate(self.fields) if field in _VARYING}
        self._same = [place for place, field in enumerate(self.fields) if field not in _VARYING]

    def note_rounding(self, currency: str, lines: int, added: Decimal) -> None:
        """Note that amounts were rounded to the decimals that we keep."""
        before, sum_before = self.rounded.get(currency, (0, Decimal(0)))
        self.rounded[currency] = before + lines, EXACT.add(sum_before, added)

    def remarks(self) -> tuple[str, ...]:
        """Return what the operator should know."""
        said, unknown = list(self.assumed), [one for one in self.unassigned if one]
        for currency, (lines, added) in sorted(self.rounded.items()):
            costs = "the cost of 1 line has" if lines == 1 else f"the costs of {lines} lines have"
            said.append(f"{costs} more than {SCALE} decimals; rounded to {SCALE}, which adds {plain(added)} {currency} in all")
        if unknown:
            ids = "1 instance id has" if len(unknown) == 1 else f"{len(unknown)} instance ids have"
            said.append(f"{ids} an unknown form and no workspace, for example {unknown[0][:80]!r}")
        if "" in self.unassigned:
            said.append("usage without an instance id counts for no workspace")
        return tuple(said)

    def key(self, account_cell: str, month_cell: str, day_cell: str) -> DayKey:
        """Return which day these cells name, or raise `CellError`."""
        account = self._account(account_cell)
        period, day = self._when(self._said(month_cell), self._said(day_cell))
        return DayKey(account, period, self.series, day)

    def _said(self, cell: str) -> str:
        text = cleaned(cell)
        return "" if text == self.layout.null else text

    def _account(self, raw_cell: str) -> AccountId:
        if raw_cell not in self._accounts:
            self._accounts[raw_cell] = self._known_account(self._said(raw_cell))
        return self._accounts[raw_cell]

    def _known_account(self, cell: str) -> AccountId:
        account = self._unshortened(cell) if cell else self._silent_account()
        is_any = self.layout.is_of_others
        if not (_ANY_ACCOUNT if is_any else _DIGITS).fullmatch(account):
            raise CellError(
                Field.ACCOUNT, cell, "not an account id", "1 to 256 characters without blanks" if is_any else "digits"
            )
        if self.hints.currencies and account not in self.hints.currencies:
            configured = ", ".join(self.hints.currencies)
            reason = f"a bill of account {account}; configured are {configured}"
            currency = next(iter(self.hints.currencies.values()))
            site = "cn" if currency == "CNY" else "intl"
            entry = f'NAME: {{id: "{account}", site: {site}, currency: {currency}}}'
            raise CellError(Field.ACCOUNT, cell, reason, f"these accounts; {ADD_ACCOUNT} {entry}", is_of_all=True)
        return account

    def _unshortened(self, cell: str) -> AccountId:
        if not looks_shortened(cell):
            return AccountId(cell)
        meant = ids_meant(cell, self.hints.currencies)
        if len(meant) == 1:
            self.assumed[f"a spreadsheet made {cell} of the account id; {meant[0]} is the only one configured that fits"] = None
            return AccountId(meant[0])
        reason = "an account id that a spreadsheet has shortened"
        raise CellError(Field.ACCOUNT, cell, reason, "the bill as exported: do not save it from a spreadsheet")

    def _silent_account(self) -> AccountId:
        known = self.hints.currencies
        if self.named_account:
            self.assumed[f"the bill names no account; its file name says {self.named_account}"] = None
            return self.named_account
        if self.hints.account:
            self.assumed[f"the bill names no account; its source is configured for {self.hints.account}"] = None
            return self.hints.account
        if len(known) == 1:
            (only,) = known
            self.assumed[f"the bill names no account; {only} is the only one configured"] = None
            return only
        reason = "neither the bill nor its file name names an account"
        accepts = "an account id, or `account` set for the source in the configuration"
        raise CellError(Field.ACCOUNT, "", reason, accepts, is_of_all=True)

    def _when(self, month_cell: str, day_cell: str) -> tuple[BillingPeriod, date]:
        day, period = day_in(day_cell), period_in(month_cell)
        if day_cell and not day:
            raise CellError(Field.DAY, day_cell, "not a billing date", "20260912, 2026-09-12 or 2026/9/12")
        if month_cell and not period:
            raise CellError(Field.PERIOD, month_cell, "not a billing month", "202609, 2026-09 or 2026/9")
        if period is None:
            if day is None:
                raise CellError(Field.PERIOD, "", "neither a billing month nor a billing date", "202609 or 2026-09")
            period = BillingPeriod(day.year, day.month)
        if day is None:
            self.has_undated = True
            self.assumed[f"lines without a date are recorded on the first day of {period.label}"] = None
            day = period.first_day
        return period, day

    def traits(self, cells: Sequence[str]) -> ChargeDimensions:
        """Return the dimensions in these cells, ordered as in `fields`, or raise `CellError`.

        A file may have as many resources as lines. What all of them have in common is read once.
        """
        varying = {field: self._said(cells[place]) for field, place in self._varying.items()}
        common = tuple([cells[place] for place in self._same])
        if (shared := self._common.get(common)) is None:
            shared = self._common[common] = self._read_common(cells)
        instance = self._instance(varying, shared.product, shared.charge)
        cell, tags = varying.get(Field.INSTANCE, ""), self._tags(varying.get(Field.TAGS, ""))
        owner, product, commodity, item, _, unit, currency, charge, *_, region, _, kept = shared
        # Without names, which would take twice as long: done for each resource.
        return ChargeDimensions(
            *(owner, product, commodity, item, cell, unit, currency, charge, tags),
            *(instance.workspace, instance.api_key, instance.model, instance.type, instance.channel, instance.safe_mode),
            *(region, self._end(varying.get(Field.TERM, ""), charge), kept),
        )

    def _read_common(self, cells: Sequence[str]) -> ChargeDimensions:
        raw = {field: self._said(cell) for field, cell in zip(self.fields, cells, strict=True)}
        account, commodity = self._account(cells[0]), raw.get(Field.COMMODITY, "")
        return ChargeDimensions(
            owner=self._owner(raw.get(Field.OWNER, ""), account),
            product=self._product(raw),
            commodity=commodity,
            item=raw.get(Field.ITEM, "") or raw.get(Field.ITEM_NAME, ""),
            instance="",
            unit=raw.get(Field.UNIT, ""),
            currency=self._currency(raw.get(Field.CURRENCY, ""), account),
            charge=self.layout.charge_kind(raw.get(Field.CHARGE, ""), raw.get(Field.TRADE, ""), commodity),
            tags="",
            **dict.fromkeys(InstanceId._fields, ""),
            region=raw.get(Field.REGION, ""),
            ends="",
            kept=SEPARATOR.join(raw.get(column, "") for column in KEPT) if Field.PROVIDER in self.layout.columns else "",
        )

    def _end(self, term: str, charge: str) -> str:
        """Return when an order's service period ends; what FOCUS calls a period is that of the charge."""
        is_term = charge is ChargeKind.SUBSCRIPTION and not self.layout.is_of_others and _DATE.match(term)
        return term if is_term else ""

    def _tags(self, cell: str) -> str:
        tags = canonical_tags(cell)
        if tags.startswith(UNKNOWN) and not self._has_unknown_tags:
            self._has_unknown_tags = True
            what = "tags in an unknown notation, which budgets and reports cannot use, for example"
            self.assumed[f"{what} {printable(cell)}"] = None
        return tags

    def _product(self, raw: Mapping[Field, str]) -> str:
        if code := raw.get(Field.PRODUCT, ""):
            return code
        service = raw.get(Field.SERVICE, "")
        if raw.get(Field.COMMODITY, "").lower().startswith(MODEL_STUDIO) or service.lower() in MODEL_STUDIO_NAMES:
            return MODEL_STUDIO
        return service

    def _owner(self, cell: str, account: AccountId) -> str:
        return account if looks_shortened(cell) and ids_meant(cell, (account,)) else cell

    def _instance(self, raw: Mapping[Field, str], product: str, charge: str) -> InstanceId:
        if product not in {MODEL_STUDIO, ""}:
            return InstanceId()
        cell = raw.get(Field.INSTANCE, "")
        parsed = parse_instance_id(cell)
        if product and (parsed is None or (not cell and charge is ChargeKind.USAGE)):
            self.unassigned[cell] = None
        if parsed is None:
            return InstanceId()
        return parsed if cell else _selected(raw.get(Field.SELECTOR, ""))

    def _currency(self, cell: str, account: AccountId) -> str:
        if is_currency(cell):
            return cell
        if cell:
            raise CellError(Field.CURRENCY, cell, "not a currency", "an ISO 4217 code such as CNY")
        if not (currency := self.hints.currencies.get(account, self.hints.currency)):
            raise CellError(Field.CURRENCY, cell, f"no currency, and none is configured for account {account}", "CNY, say")
        self.assumed[f"the bill names no currency; {currency} is used for account {account}"] = None
        return currency


def _selected(cell: str) -> InstanceId:
    """Return model and type from the choices of a charge, a JSON list of names and values or an object of them."""
    try:
        said = json.loads(cell) if cell else {}
    except (ValueError, RecursionError):
        return InstanceId()
    choices = dict(_choices(said))
    model = next((value for name, value in choices.items() if name.endswith(("模型规格", "模型"))), "")
    return InstanceId(model=model, type=choices.get("Token类型", ""))


def _choices(said: object) -> Iterator[tuple[str, str]]:
    if isinstance(said, dict):
        yield from ((name, value) for name, value in said.items() if isinstance(value, str))
    elif isinstance(said, list):
        for one in said:
            if isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("value"), str):
                yield one["name"], one["value"]
