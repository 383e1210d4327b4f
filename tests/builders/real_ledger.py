"""A real ledger into which bills are entered by the real reading process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.period import BillingPeriod, PeriodClose
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import BillFile, ReadingHints, Receipt, SourceName
from spendwatch.jobs.collect import IngestContext, enter
from spendwatch.store.database import Database
from spendwatch.store.ledger import Ledger

_NO_HINTS = ReadingHints()
_BEGIN = datetime(2026, 9, 16, tzinfo=UTC)


@dataclass(slots=True)
class RealLedger:
    """The ledger, and what is needed to enter bills."""

    database: Database
    reader: ReadingProcess
    folder: Path
    hints: ReadingHints = _NO_HINTS
    closing: Callable[[], PeriodClose] = PeriodClose
    now: datetime = _BEGIN
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def ledger(self) -> Ledger:
        """What is on record."""
        return Ledger(self.database)

    def enter(self, name: str, content: bytes) -> Receipt:
        """Enter a file of that name; each a minute after the one before."""
        path = self.folder / f"bill-{next(self._numbers)}"
        path.write_bytes(content)
        self.now += timedelta(minutes=1)
        file = BillFile(name, path, len(content), SourceName("inbox"), self.now)
        return enter(file, IngestContext(self.reader, self.ledger, self.hints, self.closing, lambda: self.now))

    def spent(self, period: BillingPeriod, *, products: tuple[str, ...] | None = None) -> dict[str, Decimal]:
        """Return what is on record by currency."""
        found = self.ledger.spend(period, (), products=products)
        return {one.currency: one.amount for one in found}

    def by_workspace(self, period: BillingPeriod) -> dict[str, Decimal]:
        """Return the spend of each workspace."""
        found = self.ledger.spend(period, (Dimension.WORKSPACE,), products=("sfm",))
        return {one.values[Dimension.WORKSPACE]: one.amount for one in found}
