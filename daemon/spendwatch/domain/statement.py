"""A bill file, its statement, and the receipt of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, NewType

from spendwatch.domain.count import counted
from spendwatch.domain.digest import text_digest
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.period import BillingPeriod

AccountId = NewType("AccountId", str)
WorkspaceId = NewType("WorkspaceId", str)
SourceName = NewType("SourceName", str)
Digest = NewType("Digest", str)
"""A SHA-256 in lower-case hexadecimal."""

ACCOUNT_ID = r"[!-~]{1,256}"
"""The provider's own ids are digits; those of other makers of FOCUS files are names, or paths of resources."""

UNASSIGNED = WorkspaceId("")
"""The workspace of charges that name none: their money is never dropped."""


class Kind(StrEnum):
    """How a statement relates to earlier ones of its series."""

    UPSERT = "upsert"
    """The statement may be a part of the month: what it has replaces what was there, what it lacks stays."""
    SNAPSHOT = "snapshot"
    """The statement is complete for its days and owners: what it lacks of them is gone."""
    DELTA = "delta"
    """The statement adds lines to those already there."""
    AGGREGATE = "aggregate"
    """The same money again, summed up: never added to a detailed series."""


class Identity(StrEnum):
    """By what a line of one file is known again in another."""

    ID = "id"
    """The provider's own id of the line."""
    CONTENT = "content"
    """All that it says. For files that are made by rule: they add to each other, or are complete."""
    GROUP = "group"
    """Nothing: all lines of a day that are for the same thing are replaced together. For files that may be a selection."""


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
    """An order, a renewal, an upgrade: paid when it is ordered."""
    SUBSCRIPTION_REFUND = "subscription_refund"
    SUBSCRIPTION_ADJUSTMENT = "subscription_adjustment"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    ROUNDING = "rounding"
    OTHER = "other"

    @property
    def is_subscription(self) -> bool:
        """Whether it is subscription money; everything else is pay-as-you-go."""
        return self in {ChargeKind.SUBSCRIPTION, ChargeKind.SUBSCRIPTION_REFUND, ChargeKind.SUBSCRIPTION_ADJUSTMENT}

    @property
    def is_usage(self) -> bool:
        """Whether it is for something that was used then. What comes otherwise may name times that lie ahead."""
        return self in {ChargeKind.USAGE, ChargeKind.FREE, ChargeKind.OTHER}

    @property
    def of_subscription(self) -> ChargeKind:
        """The same sort of charge of a subscription, where it has one of its own."""
        return _OF_SUBSCRIPTION.get(self, self)


SUBSCRIPTIONS = tuple(kind for kind in ChargeKind if kind.is_subscription)

_OF_SUBSCRIPTION = {
    ChargeKind.REFUND: ChargeKind.SUBSCRIPTION_REFUND,
    ChargeKind.ADJUSTMENT: ChargeKind.SUBSCRIPTION_ADJUSTMENT,
}


class BillFile(NamedTuple):
    """Bytes from a source, not yet understood. `name` is data and never becomes part of a path that we build."""

    name: str
    path: Path
    """Where the bytes can be read, until the source learns the result."""
    size: int
    source: SourceName
    arrived_at: datetime
    as_settled: tuple[int, int, int, int, int] | None = None
    """Device, inode, size and times of a file that others may write to, as they were when it had come to rest."""


class Original(NamedTuple):
    """An original that is on record as it lies there."""

    place: str
    """Below the folder of its source."""
    identity: str
    """What the file system says of it; another text means other bytes."""
    kept_at: datetime
    refused_by: str = ""
    """The reader that rejected it, as another one may understand it; empty: the ledger has what it says."""


class ReadingHints(NamedTuple):
    """What the operator's configuration says where a bill is silent."""

    currencies: Mapping[AccountId, Currency] = {}
    """The accounts we know, each with its currency. A bill of another account is refused; no accounts at all means any."""
    account: AccountId | None = None
    """Whose bills these are where neither a line nor the file's name says so."""
    kind: Kind | None = None
    """How the statements relate to earlier ones; None: derived from layout and file name."""
    layout: str = ""
    """The name of the layout; empty: recognized by the header."""
    currency: Currency | None = None
    """What a bill is in that names no currency, of an account that is not known; None: such a bill is refused."""


class SeriesKey(NamedTuple):
    """One account's billing period in one series of files. Two series of a period contain the same charges."""

    account: AccountId
    period: BillingPeriod
    series: str


class DayKey(NamedTuple):
    """One chunk of the ledger: the lines of one account, billing period and series charged on one day."""

    account: AccountId
    period: BillingPeriod
    series: str
    day: date

    @property
    def month(self) -> SeriesKey:
        """The period that the day is part of."""
        return SeriesKey(self.account, self.period, self.series)


Order = tuple[datetime, int, int, Decimal, str]
"""What is greater for newer versions."""


class Version(NamedTuple):
    """How new a statement is, or one of several in a file. Of two versions of a line the newer one counts."""

    moment: datetime
    """When it was written, as far as names tell, else up to when it reaches."""
    is_complete: bool = False
    lines: int = 0
    """Of two complete ones of the same moment the one with more lines counts, then the dearer one: no spend may be missed."""
    cost: Decimal = Decimal(0)
    content: str = ""
    slot: str = ""
    """The name of a numbered part of which nothing tells when it was written: what comes later under that name replaces it."""

    @property
    def order(self) -> Order:
        """What is greater for newer versions."""
        return self.moment, 2 if self.slot else int(self.is_complete), self.lines, self.cost, self.content


class Coverage(NamedTuple):
    """What a complete statement speaks of, and never more: older lines of these days and owners that it lacks are gone."""

    series: SeriesKey
    first: date
    last: date
    """The days of its first and its last line."""
    owners: tuple[str, ...] | None
    """The owners of its lines: accounts, sub-accounts; None where the bill does not tell owners at all: all of them."""
    version: Version
    """Of the statement. What came from complete statements alone and is older is gone."""
    reach: datetime
    """Up to when the statement reaches. What came from others and is older than that is gone, too."""

    def covers(self, day: DayKey) -> bool:
        """Return whether the statement speaks of that day."""
        return self.series == day.month and self.first <= day.day <= self.last

    def lacks(self, line: Version) -> bool:
        """Return whether a line of one of its owners is gone that was last seen in a statement of that version."""
        return line.order < self.version.order if line.is_complete else line.moment < self.reach

    def is_within(self, other: Coverage) -> bool:
        """Return whether on a day that both cover the other takes away everything that this one does."""
        is_older = self.version.order <= other.version.order and self.reach <= other.reach
        return is_older and (other.owners is None or (self.owners is not None and set(self.owners) <= set(other.owners)))

    def overlaps(self, other: Coverage) -> bool:
        """Return whether both speak of the same charges."""
        has_owners = self.owners is None or other.owners is None or not set(self.owners).isdisjoint(other.owners)
        return self.series == other.series and self.first <= other.last and other.first <= self.last and has_owners


class DayContent(NamedTuple):
    """What a statement holds for one day."""

    key: DayKey
    digest: Digest
    """Of the lines' content in a fixed order: equal days are stored once."""
    lines: int
    identity: Identity
    version: Version


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
    """When the provider wrote the file, as far as its name shows."""
    version: Version | None
    """How new its newest part is; None without lines."""
    days: tuple[DayContent, ...]
    coverage: tuple[Coverage, ...] = ()
    """What the statement is complete for."""
    remarks: tuple[str, ...] = ()
    """Things an operator should know: a currency taken from the configuration, instance ids of an unknown shape."""
    unassigned: tuple[str, ...] = ()
    """Examples of instance ids of usage without a known workspace; empty texts where usage has no instance id."""
    parts: tuple[int, ...] = ()
    """Which numbered parts it contains, by file names; 0 for a whole statement."""

    @property
    def identity(self) -> Digest:
        """Which statement it is: its bytes, and what they mean. A later export of both is the same statement, only newer.

        The bytes are not enough: under one name they are complete, under another a part, or another account's.
        """
        covered = [f"{one.series.series} {one.series.period.label} {one.first} {one.last}" for one in self.coverage]
        meaning = (self.kind, self.series, *self.accounts, *map(str, self.parts), *covered)
        return Digest(text_digest("\n".join((self.digest, *meaning))))

    @property
    def months(self) -> frozenset[SeriesKey]:
        """The series that it speaks of."""
        return frozenset({*(day.key.month for day in self.days), *(one.series for one in self.coverage)})


class SpendRow(NamedTuple):
    """One row of the roll-up: the billed cost of all lines that agree in everything but time and id."""

    workspace: WorkspaceId
    api_key: str
    model: str
    type: str
    channel: str
    safe_mode: str
    """Whether calls stop once the free quota is used up: `1` or `0`; empty where the bill has no such column."""
    region: str
    ends: str
    """When what was ordered ends, as the bill writes it; empty for what is used, and where the bill does not tell."""
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
    outstanding: Decimal | None = None
    """What of it is not paid yet; None where the bills do not show it."""


_OUTRANKED = (
    "another complete bill up to the same time is on record and has more lines or a higher total: it counts, because it is "
    "unknown which one is newer; if this one is, remove the other with `ledger remove`"
)


TRIFLE = Decimal(1)
"""Lines that cost no more than this, in any currency, are removed without a remark."""


class Receipt(NamedTuple):
    """What the ledger took in from one file."""

    statement: Statement
    new: int
    changed: int
    same: int
    gone: int = 0
    repeated: bool = False
    """The very same statement was entered before; nothing was done."""
    lost: tuple[Money, ...] = ()
    """What it took away, by currency: lines that counted before and count no more, beyond what it put in their place."""
    lost_lines: int = 0
    is_outranked: bool = False
    """Another edition, as new as this one as far as known, counts instead."""
    fresh: frozenset[AccountId] = frozenset()
    """The accounts of which it shows that bills still come: it is news about a month that is still open."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What an operator should know."""
        return (*self.statement.remarks, *self._lost, *([_OUTRANKED] if self.is_outranked else []))

    @property
    def _lost(self) -> tuple[str, ...]:
        costs = [cost for cost in self.lost if cost.amount > TRIFLE]
        counts, them = ("counts", "it") if self.lost_lines == 1 else ("count", "them")
        lines = f"{counted(self.lost_lines, 'line')} of {', '.join(map(str, costs))} no longer {counts}"
        why = f"this newer bill does not contain {them}; if that is wrong, remove this bill with `ledger remove`"
        return (f"{lines}: {why}",) if costs else ()
