"""A ledger of a few lines for tests of the reader: what is on record for a day, and the sums over all days."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from pathlib import Path

from spendwatch.bills.messages import row_from
from spendwatch.bills.reader import UnderstoodBill, read
from spendwatch.domain.statement import BillFile, DayKey, Digest, Reading, ReadingHints, SourceName, SpendRow, Statement

NO_HINTS = ReadingHints()

Sums = dict[tuple[str, str, str, str, str], Decimal]


def a_bill_file(path: Path, name: str | None = None) -> BillFile:
    """Return the file as a source would offer it."""
    return BillFile(name or path.name, path, path.stat().st_size, SourceName("inbox"), datetime(2026, 9, 16, tzinfo=UTC))


@dataclass(slots=True)
class SmallLedger:
    """Chunks, digests and roll-ups by day, and up to when later statements said the same of a day."""

    chunks: dict[DayKey, bytes] = field(default_factory=dict)
    digests: dict[DayKey, Digest] = field(default_factory=dict)
    rows: dict[DayKey, list[SpendRow]] = field(default_factory=dict)
    lines: dict[DayKey, int] = field(default_factory=dict)
    confirmed: dict[DayKey, datetime] = field(default_factory=dict)

    def enter(self, reading: Reading, *, is_eager: bool = False) -> tuple[int, int]:
        """Merge the days that differ (or all, if eager) and keep the outcome; return how many lines were new and changed."""
        days = self._differing(reading.statement, is_eager=is_eager)
        merged = reading.merge({key: self.chunks.get(key) for key in days}, days, self.confirmed)
        for day in merged:
            self.chunks[day.key], self.digests[day.key] = day.chunk(), day.digest
            self.rows[day.key], self.lines[day.key] = list(day.rows()), day.lines
        return sum(day.new for day in merged), sum(day.changed for day in merged)

    def enter_here(self, name: str, content: bytes, *, is_eager: bool = False, hints: ReadingHints = NO_HINTS) -> Statement:
        """Read the file in this very process, and merge it."""
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            path = folder / "bill"
            path.write_bytes(content)
            bill = read(path, name=name, hints=hints, folder=folder, progress=lambda _phase, _share: None)
            places = {day.key: number for number, day in enumerate(bill.statement.days)}
            for key in self._differing(bill.statement, is_eager=is_eager):
                self._merge_here(bill, key, places[key], folder)
            return bill.statement

    def _merge_here(self, bill: UnderstoodBill, key: DayKey, number: int, folder: Path) -> None:
        held = None
        if key in self.chunks:
            held = folder / f"held-{number}"
            held.write_bytes(self.chunks[key])
        said = self.confirmed.get(key)
        merged = bill.merge(number, held, said.isoformat() if said else "")
        self.chunks[key], self.digests[key] = (folder / f"chunk-{number}").read_bytes(), merged.digest
        self.rows[key] = [row_from(line) for line in (folder / f"rows-{number}").read_text("utf-8").splitlines()]
        self.lines[key] = merged.lines

    def _differing(self, statement: Statement, *, is_eager: bool) -> tuple[DayKey, ...]:
        """Return the days to be merged; of the others remember how new the statement is that says the same."""
        differing = [day.key for day in statement.days if is_eager or self.digests.get(day.key) != day.digest]
        if statement.stamp:
            for day in statement.days:
                if day.key not in differing:
                    self.confirmed[day.key] = max(statement.stamp, self.confirmed.get(day.key, statement.stamp))
        return tuple(differing)

    def sums(self) -> Sums:
        """Return exact sums as the oracle gives them."""
        sums: Sums = defaultdict(Decimal)
        with localcontext(prec=60):
            for key, rows in self.rows.items():
                for row in rows:
                    sums[key.account, key.period.label, row.product, row.workspace, row.currency] += row.billed_cost
        return dict(sums)

    def total(self, product: str | None = None) -> Decimal:
        """Return the exact sum over everything, or over one product."""
        with localcontext(prec=60):
            return sum((amount for key, amount in self.sums().items() if product in {None, key[2]}), Decimal(0))


def read_here(files: Iterable[tuple[str, bytes]], *, is_eager: bool = False) -> SmallLedger:
    """Return a ledger that these files were entered into, in this order."""
    ledger = SmallLedger()
    for name, content in files:
        ledger.enter_here(name, content, is_eager=is_eager)
    return ledger
