"""A bill file, what it says, and what the ledger took in from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import NewType, Protocol, Self

from spendwatch.domain.money import Currency
from spendwatch.domain.period import BillingPeriod

AccountId = NewType("AccountId", str)
WorkspaceId = NewType("WorkspaceId", str)
SourceName = NewType("SourceName", str)
Digest = NewType("Digest", str)
"""A SHA-256 in lower-case hexadecimal."""

UNASSIGNED = WorkspaceId("")
"""The workspace of charges that name none: their money is never dropped."""


class Kind(StrEnum):
    """How a statement relates to earlier ones of its series."""

    UPSERT = "upsert"
    """Lines carry an id of their own: a line replaces the line of the same id, whatever file it is in."""
    SNAPSHOT = "snapshot"
    """The statement is the whole month to date and replaces the earlier one."""
    DELTA = "delta"
    """The statement adds lines to those already there."""
    AGGREGATE = "aggregate"
    """The same money again, summed up: never added to a detailed series."""


class TaxBasis(StrEnum):
    """Whether billed costs contain the tax."""

    INCLUDED = "included"
    EXCLUDED = "excluded"
    UNKNOWN = "unknown"


class ChargeKind(StrEnum):
    """What sort of charge a line is."""

    USAGE = "usage"
    FREE = "free"
    SUBSCRIPTION = "subscription"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    ROUNDING = "rounding"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class BillFile:
    """Bytes from a source, not yet understood. `name` is data and never becomes part of a path that we build."""

    name: str
    path: Path
    """Where the bytes can be read; for a source's file, a private copy."""
    size: int
    source: SourceName
    arrived_at: datetime


@dataclass(frozen=True, slots=True)
class ReadingHints:
    """What the operator's configuration says where a bill is silent."""

    currencies: Mapping[AccountId, Currency] = field(default_factory=dict)
    """The accounts we know, each with its currency. A bill of another account is refused; no accounts at all means any."""


@dataclass(frozen=True, slots=True, order=True)
class DayKey:
    """One chunk of the ledger: the lines of one account, billing period and series charged on one day."""

    account: AccountId
    period: BillingPeriod
    series: str
    day: date


@dataclass(frozen=True, slots=True)
class DayContent:
    """What a statement holds for one day, before it meets the ledger."""

    key: DayKey
    digest: Digest
    """Of the lines' content in a fixed order: equal digests mean that nothing is to be merged."""
    lines: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What one bill file says: the facts about it; its lines stay with the reader."""

    digest: Digest
    """Of the file's bytes."""
    layout: str
    series: str
    kind: Kind
    tax_basis: TaxBasis
    accounts: tuple[AccountId, ...]
    periods: tuple[BillingPeriod, ...]
    lines: int
    data_until: datetime | None
    """The latest moment that a line charges for; None without lines."""
    exported_at: datetime | None
    """When the provider wrote the file, as far as its name tells."""
    days: tuple[DayContent, ...]
    remarks: tuple[str, ...] = ()
    """Things an operator should know: a currency taken from the configuration, instance ids of an unknown shape."""

    @property
    def stamp(self) -> datetime | None:
        """How new the statement's version of its lines is: of two versions of a line the newer counts, whichever came first."""
        return self.exported_at or self.data_until


@dataclass(frozen=True, slots=True)
class SpendRow:
    """One row of the roll-up: the billed cost of all lines that agree in everything but time and id."""

    workspace: WorkspaceId
    api_key: str
    model: str
    type: str
    channel: str
    item: str
    """The billing item's code."""
    commodity: str
    product: str
    owner: str
    """The account that owns the resource; another than the paying one for member accounts."""
    tags: str
    """Canonical JSON object of the tags, keys sorted; empty for none."""
    charge: ChargeKind
    currency: Currency
    billed_cost: Decimal
    lines: int


class MergedDay(Protocol):
    """One day after the merge, ready to be recorded; its content is fetched when it is asked for, not before."""

    @property
    def key(self) -> DayKey:
        """Which day."""

    @property
    def digest(self) -> Digest:
        """Of the merged content."""

    @property
    def lines(self) -> int:
        """How many lines the day has now."""

    @property
    def new(self) -> int:
        """How many lines the ledger did not have."""

    @property
    def changed(self) -> int:
        """How many lines the ledger had otherwise."""

    def chunk(self) -> bytes:
        """Return the day's lines as one compressed columnar chunk."""

    def rows(self) -> Iterator[SpendRow]:
        """Yield the day's roll-up."""


class Reading(Protocol):
    """A bill file that has been understood and is held by the reader until closed. A context manager."""

    @property
    def statement(self) -> Statement:
        """What the file says."""

    def merge(
        self,
        held: Mapping[DayKey, bytes | None],
        days: tuple[DayKey, ...],
        confirmed: Mapping[DayKey, datetime] | None = None,
    ) -> tuple[MergedDay, ...]:
        """Merge these days with the chunks the ledger holds (None: it holds none).

        `held` is asked for one day after the other. `confirmed` tells up to which stamp later statements said the same of a
        whole day: its lines are at least that new.
        """

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(self, *_: object) -> None:
        """Let the reader forget the file."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the ledger took in from one file."""

    statement: Statement
    new: int
    changed: int
    same: int
    repeated: bool = False
    """The very same bytes were entered before; nothing was done."""
