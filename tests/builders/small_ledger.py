"""A ledger of a few lines for tests of the reader: what is on record for a day, and the sums over all days."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from functools import partial
from pathlib import Path

from spendwatch.bills.bill import UnderstoodBill
from spendwatch.bills.client.reading import rows_from
from spendwatch.bills.merging import HeldChunk, Merging
from spendwatch.bills.messages import MergedCounts
from spendwatch.bills.reader import read
from spendwatch.domain.authority import DayTotal, authorities
from spendwatch.domain.merging import Held, HeldDay, MergePlan, Reading, plan_merge
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import (
    AccountId,
    BillFile,
    Coverage,
    DayKey,
    ReadingHints,
    SeriesKey,
    SourceName,
    SpendRow,
    Stamp,
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

    held: HeldDay
    chunk: bytes
    rows: Sequence[SpendRow]
    lines: int


@dataclass(slots=True)
class SmallLedger:
    """What the ledger keeps, in memory."""

    days: dict[DayKey, Kept] = field(default_factory=dict)
    coverage: tuple[Coverage, ...] = ()

    def enter(self, reading: Reading, *, is_eager: bool = False) -> tuple[int, int]:
        """Merge the days that differ (or all, if eager) and keep the outcome; return how many lines were new and changed."""
        statement = reading.statement
        plan = self._plan(statement, is_eager=is_eager)
        merged = reading.merge(plan, lambda key: self.days[key].chunk)
        for day in merged:
            counts = MergedCounts(day.digest, day.lines, day.new, day.changed, day.gone, day.stamps)
            self._keep(day.key, counts, day.chunk, day.rows)
        self._conclude(statement, {day.key for day in merged})
        return sum(day.new for day in merged), sum(day.changed for day in merged)

    def enter_here(self, name: str, content: bytes, *, is_eager: bool = False, hints: ReadingHints = NO_HINTS) -> Statement:
        """Read the file in this very process, and merge it."""
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            bill = read_into(folder, name, content, hints)
            self._merge_here(bill, self._plan(bill.statement, is_eager=is_eager), folder)
            return bill.statement

    def enter_bill(self, bill: UnderstoodBill) -> None:
        """Merge a file that has been read in this very process."""
        with tempfile.TemporaryDirectory() as place:
            self._merge_here(bill, self._plan(bill.statement, is_eager=False), Path(place))

    def _merge_here(self, bill: UnderstoodBill, plan: MergePlan, folder: Path) -> None:
        held: dict[DayKey, HeldChunk] = {}
        for number, key in enumerate((*plan.differing, *plan.elsewhere)):
            path = folder / f"held-{number}"
            path.write_bytes(self.days[key].chunk)
            held[key] = HeldChunk(key, path, plan.confirmed[key])
        days = (*plan.differing, *plan.fresh)
        merging = Merging(bill, days, held, plan.coverage, folder)
        merging.find_moves()
        outcomes: dict[DayKey, MergedCounts | None] = {}
        for number, key in enumerate(days):
            outcomes[key] = merging.day(key, str(number))
        for number, key in enumerate(plan.elsewhere, start=len(days)):
            outcomes[key] = merging.elsewhere(key, str(number))
        for number, (key, counts) in enumerate(outcomes.items()):
            if counts:
                self._keep(key, counts, (folder / f"chunk-{number}").read_bytes, partial(_rows, folder / f"rows-{number}"))
        self._conclude(bill.statement, {key for key, counts in outcomes.items() if counts})

    def _plan(self, statement: Statement, *, is_eager: bool) -> MergePlan:
        months = statement.months
        held = Held(
            {key: kept.held for key, kept in self.days.items() if key.month in months},
            tuple(one for one in self.coverage if one.series in months),
        )
        plan = plan_merge(statement, held)
        if not is_eager:
            return plan
        named = [day.key for day in statement.days if day.key in held.days]
        elsewhere = tuple(key for key in held.days if key not in named)
        fresh = tuple(day.key for day in statement.days if day.key not in held.days)
        confirmed = {key: day.confirmed for key, day in held.days.items()}
        return MergePlan(fresh, tuple(named), elsewhere, confirmed, plan.coverage)

    def _keep(
        self, key: DayKey, counts: MergedCounts, chunk: Callable[[], bytes], rows: Callable[[], Iterable[SpendRow]]
    ) -> None:
        if not counts.lines:
            self.days.pop(key, None)
            return
        held = HeldDay(key, counts.digest, Stamp(""), counts.stamps)
        self.days[key] = Kept(held, chunk(), tuple(rows()), counts.lines)

    def _conclude(self, statement: Statement, written: set[DayKey]) -> None:
        """Of the days that were not written remember how new the statement is that says the same; and what it covers."""
        for day in statement.days:
            kept = self.days.get(day.key)
            if kept and day.key not in written and kept.held.digest == day.digest:
                held = kept.held
                newer = HeldDay(held.key, held.digest, max(held.confirmed, statement.stamp), held.stamps)
                self.days[day.key] = Kept(newer, kept.chunk, kept.rows, kept.lines)
        self.coverage = tuple(dict.fromkeys((*self.coverage, *statement.coverage)))

    @property
    def lines(self) -> int:
        """How many lines are on record, in all series."""
        return sum(kept.lines for kept in self.days.values())

    @property
    def digests(self) -> dict[DayKey, str]:
        """The content digest of each day."""
        return {key: kept.held.digest for key, kept in self.days.items()}

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


@dataclass(slots=True)
class Copies:
    """Files that are entered time and again, in many orders: each is read once, and each merge is made once.

    What is merged with the same bytes gives the same: only what was never merged before is worth the time.
    """

    hints: ReadingHints = NO_HINTS
    _bills: dict[tuple[str, bytes], UnderstoodBill] = field(default_factory=dict)
    _merges: dict[object, tuple[Mapping[DayKey, Kept], tuple[Coverage, ...]]] = field(default_factory=dict)

    def enter(self, ledger: SmallLedger, name: str, content: bytes) -> None:
        """Enter the file."""
        bill = self._read(name, content)
        months = bill.statement.months
        mine = {key: kept for key, kept in ledger.days.items() if key.month in months}
        covered = tuple(one for one in ledger.coverage if one.series in months)
        held = tuple((key, kept.held, kept.chunk) for key, kept in sorted(mine.items()))
        before = (name, bill.statement.digest, held, covered)
        if before not in self._merges:
            alone = SmallLedger(dict(mine), covered)
            alone.enter_bill(bill)
            self._merges[before] = alone.days, alone.coverage
        days, coverage = self._merges[before]
        others = {key: kept for key, kept in ledger.days.items() if key not in mine}
        ledger.days = {**others, **days}
        ledger.coverage = (*(one for one in ledger.coverage if one not in covered), *coverage)

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


def read_into(folder: Path, name: str, content: bytes, hints: ReadingHints) -> UnderstoodBill:
    """Read a file in this very process."""
    path = folder / "bill"
    path.write_bytes(content)
    return read(path, name=name, hints=hints, folder=folder, progress=lambda _phase, _share: None)


def _rows(path: Path) -> Iterable[SpendRow]:
    return rows_from(path.read_bytes())


def series_key(account: str, month: str, series: str) -> SeriesKey:
    """Return the key of a series."""
    return SeriesKey(AccountId(account), BillingPeriod.parse(month), series)


def read_here(files: Iterable[tuple[str, bytes]], *, is_eager: bool = False, hints: ReadingHints = NO_HINTS) -> SmallLedger:
    """Return a ledger that these files were entered into, in this order."""
    ledger = SmallLedger()
    for name, content in files:
        ledger.enter_here(name, content, is_eager=is_eager, hints=hints)
    return ledger
