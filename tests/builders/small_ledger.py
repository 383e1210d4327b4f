"""A ledger of a few lines for tests of the reader: what is on record for a day, and the sums over all days."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path

from spendwatch.bills.bill import UnderstoodBill
from spendwatch.bills.client.reading import rows_from
from spendwatch.bills.merging import Resolving, SharedIds
from spendwatch.bills.reader import read
from spendwatch.domain.merging import DayPlan, Held, HeldStatement, Plan, Reading, plan_change, resolve
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.series_selection import DayTotal, authorities
from spendwatch.domain.statement import (
    AccountId,
    BillFile,
    DayKey,
    Digest,
    Identity,
    ReadingHints,
    SeriesKey,
    SourceName,
    SpendRow,
    Statement,
)

NO_HINTS = ReadingHints()

Sums = dict[tuple[str, str, str, str, str], Decimal]


def a_bill_file(path: Path, name: str | None = None) -> BillFile:
    """Return the file as a source would offer it."""
    return BillFile(name or path.name, path, path.stat().st_size, SourceName("inbox"), datetime(2026, 9, 16, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Kept:
    """One day on record."""

    rows: Sequence[SpendRow]
    lines: int
    is_linked: bool


BEGIN = datetime(2026, 9, 1, tzinfo=UTC)


@dataclass(slots=True)
class SmallLedger:
    """What the ledger keeps, in memory."""

    statements: tuple[HeldStatement, ...] = ()
    contents: dict[Digest, bytes] = field(default_factory=dict)
    ids: dict[Digest, bytes] = field(default_factory=dict)
    days: dict[DayKey, Kept] = field(default_factory=dict)

    def enter(self, reading: Reading, *, is_eager: bool = False) -> tuple[int, int]:
        """Resolve the days that change (or all, if eager) and keep the outcome; return how many lines were new and changed."""
        plan = self._plan(reading.statement, is_eager=is_eager)
        resolution = reading.resolve(plan, self.contents.__getitem__, self.ids.__getitem__)
        for one in resolution.contents():
            self.contents[one.digest], self.ids[one.digest] = one.packed, one.ids
        for day in resolution.days:
            self._keep(day.key, tuple(day.rows()), day.lines, is_linked=day.is_linked)
        self.conclude(reading.statement)
        return sum(day.new for day in resolution.days), sum(day.changed for day in resolution.days)

    def enter_here(self, name: str, content: bytes, *, is_eager: bool = False, hints: ReadingHints = NO_HINTS) -> Statement:
        """Read the file in this very process, and record it."""
        bill = _read_once(name, content, hints)
        self.enter_bill(bill, is_eager=is_eager)
        return bill.statement

    def enter_bill(self, bill: UnderstoodBill, *, is_eager: bool = False) -> None:
        """Record a file that has been read in this very process."""
        statement = bill.statement
        if any(one.identity == statement.identity and _is_as_new(one, statement) for one in self.statements):
            return
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            self._resolve(self._plan(statement, is_eager=is_eager), bill, folder)
        self.conclude(statement)

    def remove(self, statement: Digest) -> None:
        """Remove a statement."""
        held = self.held({day.key.month for one in self.statements for day in one.days})
        with tempfile.TemporaryDirectory() as place:
            self._resolve(plan_change(held, held.without(statement)), None, Path(place))
        self.statements = held.without(statement).statements

    def _resolve(self, plan: Plan, bill: UnderstoodBill | None, folder: Path) -> None:
        plan = plan.with_shared(SharedIds(plan, bill, {one: self.ids[one] for one in plan.contents}).days())
        held = tuple(plan.contents)
        for place, digest in enumerate(held):
            (folder / f"held-{place}").write_bytes(self.contents[digest])
        resolving = Resolving(plan, held, bill, folder)
        places = (*plan.days, *plan.others)
        for group in resolving.groups():
            for place, outcome in resolving.resolve(group):
                rows = rows_from((folder / f"rows-{place}").read_bytes()) if outcome.lines else ()
                self._keep(places[place].key, tuple(rows), outcome.lines, is_linked=outcome.is_linked)
        resolving.pack_unused()
        self.contents |= {digest: (folder / f"content-{at}").read_bytes() for at, digest in enumerate(plan.fresh)}
        self.ids |= {digest: (folder / f"ids-{at}").read_bytes() for at, digest in enumerate(plan.fresh)}

    def held(self, months: Collection[SeriesKey]) -> Held:
        """Return what is on record of these series."""
        told = (
            HeldStatement(
                one.identity,
                one.received_at,
                tuple(day for day in one.days if day.key.month in months),
                tuple(cover for cover in one.coverage if cover.series in months),
            )
            for one in self.statements
        )
        found = tuple(one for one in told if one.days or one.coverage)
        keys = {day.key for one in found for day in one.days if day.identity is Identity.ID}
        return Held(found, frozenset(key for key in keys if key not in self.days or self.days[key].is_linked))

    def _plan(self, statement: Statement, *, is_eager: bool) -> Plan:
        held = self.held(statement.months)
        after = held.with_statement(statement, BEGIN + timedelta(seconds=len(self.statements)))
        plan = plan_change(held, after)
        if not is_eager:
            return plan
        was, becomes = resolve(held.statements), resolve(after.statements)
        identities = {day.key: day.identity for one in after.statements for day in one.days}
        days = (DayPlan(key, one, was.get(key, ()), becomes.get(key, ())) for key, one in identities.items())
        return plan._replace(days=tuple(days), others=())

    def _keep(self, key: DayKey, rows: Sequence[SpendRow], lines: int, *, is_linked: bool) -> None:
        self.days.pop(key, None)
        if lines:
            self.days[key] = Kept(rows, lines, is_linked)

    def conclude(self, statement: Statement) -> None:
        """Remember the statement, unless it is known as it is."""
        if any(one.identity == statement.identity and _is_as_new(one, statement) for one in self.statements):
            return
        held = Held(self.statements)
        self.statements = held.with_statement(statement, BEGIN + timedelta(seconds=len(self.statements))).statements

    @property
    def lines(self) -> int:
        """How many lines are on record, in all series."""
        return sum(kept.lines for kept in self.days.values())

    @property
    def digests(self) -> dict[DayKey, str]:
        """What tells apart what counts of each day."""
        return {key: repr(sorted(map(repr, kept.rows))) for key, kept in self.days.items()}

    @property
    def rows(self) -> list[SpendRow]:
        """The roll-up of all days, in their order."""
        return [row for _, kept in sorted(self.days.items()) for row in kept.rows]

    def counting(self, products: Sequence[str] | None = None) -> set[SeriesKey]:
        """Return the series that count for these products."""
        totals = [
            DayTotal(key.month, key.day, row.product, row.currency, row.billed_cost, row.lines)
            for key, kept in self.days.items()
            for row in kept.rows
        ]
        return set(authorities(totals, products).values())

    def sums(self, products: Sequence[str] | None = None) -> Sums:
        """Return exact sums of the series that count, as the oracle gives them."""
        sums: Sums = defaultdict(Decimal)
        counting = self.counting(products)
        with localcontext(prec=60):
            for key, kept in self.days.items():
                for row in kept.rows if key.month in counting else ():
                    sums[key.account, key.period.label, row.product, row.workspace, row.currency] += row.billed_cost
        return dict(sums)

    def sums_by_day(self) -> dict[tuple[str, str, str, str], Decimal]:
        """Return exact sums of the series that count by month, day, workspace and currency, as the oracle gives them."""
        sums: dict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
        counting = self.counting()
        with localcontext(prec=60):
            for key, kept in self.days.items():
                for row in kept.rows if key.month in counting else ():
                    sums[key.period.label, key.day.isoformat(), row.workspace, row.currency] += row.billed_cost
        return dict(sums)

    def unsettled(self) -> dict[tuple[str, str, str], Decimal]:
        """Return what is unsettled by the series that count, as the oracle gives it."""
        sums: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
        counting = self.counting()
        with localcontext(prec=60):
            for key, kept in self.days.items():
                for row in kept.rows if key.month in counting else ():
                    owed = row.billed_cost if row.outstanding is None else row.outstanding
                    sums[key.account, key.period.label, row.currency] += Decimal(0) if row.charge.is_subscription else owed
        return dict(sums)

    def total(self, product: str | None = None, *, account: str | None = None, month: str | None = None) -> Decimal:
        """Return the exact sum over everything that counts, or over one product, account, month."""
        wanted = (account, month, product)
        with localcontext(prec=60):
            found = self.sums(None if product is None else [product]).items()
            fits = (amount for key, amount in found if all(want in {None, is_} for want, is_ in zip(wanted, key, strict=False)))
            return sum(fits, Decimal(0))


def _is_as_new(held: HeldStatement, statement: Statement) -> bool:
    moments = [*(one.version.moment for one in held.days), *(one.version.moment for one in held.coverage)]
    return statement.version is None or max(moments) >= statement.version.moment


@dataclass(slots=True)
class Copies:
    """Files that are entered time and again, in many orders: each is read once, and each merge is made once.

    What is merged with the same bytes gives the same: only what was never merged before is worth the time.
    """

    hints: ReadingHints = NO_HINTS
    _bills: dict[tuple[str, bytes], UnderstoodBill] = field(default_factory=dict)
    _changes: dict[object, dict[DayKey, Kept]] = field(default_factory=dict)
    _contents: dict[Digest, bytes] = field(default_factory=dict)
    _ids: dict[Digest, bytes] = field(default_factory=dict)

    def enter(self, ledger: SmallLedger, name: str, content: bytes) -> None:
        """Enter the file."""
        bill = self._read(name, content)
        months = bill.statement.months
        held = ledger.held(months)
        before = (name, bill.statement.digest, tuple((one.identity, one.days) for one in held.statements), held.linked)
        mine = {key: kept for key, kept in ledger.days.items() if key.month in months}
        if before not in self._changes:
            alone = SmallLedger(ledger.statements, self._contents, self._ids, dict(mine))
            alone.enter_bill(bill)
            self._changes[before] = alone.days
        ledger.days = {key: kept for key, kept in ledger.days.items() if key not in mine} | self._changes[before]
        ledger.conclude(bill.statement)

    def entered(self, files: Iterable[tuple[str, bytes]]) -> SmallLedger:
        """Return a ledger that these files were entered into, in this order."""
        ledger = SmallLedger()
        for name, content in files:
            self.enter(ledger, name, content)
        return ledger

    def _read(self, name: str, content: bytes) -> UnderstoodBill:
        if (name, content) not in self._bills:
            with tempfile.TemporaryDirectory() as place:
                self._bills[name, content] = read_into(Path(place), name, content, self.hints)
        return self._bills[name, content]


_remembered: dict[tuple[str, bytes, str], UnderstoodBill] = {}
"""Of the last hundred small files: many tests enter the same bytes time and again."""


def _read_once(name: str, content: bytes, hints: ReadingHints) -> UnderstoodBill:
    key = name, content, repr(hints)
    if (known := _remembered.get(key)) is not None:
        return known
    with tempfile.TemporaryDirectory() as place:
        bill = read_into(Path(place), name, content, hints)
    if len(content) < 100_000:
        _remembered[key] = bill
    if len(_remembered) > 100:
        del _remembered[next(iter(_remembered))]
    return bill


def read_into(folder: Path, name: str, content: bytes, hints: ReadingHints) -> UnderstoodBill:
    """Read a file in this very process."""
    path = folder / "bill"
    path.write_bytes(content)
    return read(path, name=name, hints=hints, folder=folder, progress=lambda _phase, _share: None)


def series_key(account: str, month: str, series: str) -> SeriesKey:
    """Return the key of a series."""
    return SeriesKey(AccountId(account), BillingPeriod.parse(month), series)


def read_here(files: Iterable[tuple[str, bytes]], *, is_eager: bool = False, hints: ReadingHints = NO_HINTS) -> SmallLedger:
    """Return a ledger that these files were entered into, in this order."""
    ledger = SmallLedger()
    for name, content in files:
        ledger.enter_here(name, content, is_eager=is_eager, hints=hints)
    return ledger
