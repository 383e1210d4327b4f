"""What the reader makes of one file by itself, quick enough to be asked many thousand times: its sums, or why it refuses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal, localcontext
from pathlib import Path

from small_ledger import NO_HINTS, SmallLedger, Sums
from spendwatch.bills.bill import Portion, UnderstoodBill
from spendwatch.bills.dimensions import ChargeDimensions
from spendwatch.bills.reader import read
from spendwatch.domain.errors import UnreadableBillError
from spendwatch.domain.statement import ReadingHints


class Bench:
    """A folder in which one file after the other is read, in this very process."""

    def __init__(self, folder: Path, hints: ReadingHints = NO_HINTS) -> None:
        """Use the folder alone."""
        self._folder = folder / "unpacked"
        self._path = folder / "bill"
        self._folder.mkdir()
        self._hints = hints
        self.by_tags: dict[tuple[str, str], Decimal] | None = None
        """Of the file that was read last, where it is one statement, what was spent by tags and currency."""
        self.bill: UnderstoodBill | None = None
        """The file that was read last, where it was not refused."""

    def read(self, name: str, content: bytes) -> UnderstoodBill:
        """Understand a file of that name, or raise `UnreadableBillError`."""
        self._path.write_bytes(content)
        try:
            return read(self._path, name=name, hints=self._hints, folder=self._folder, progress=_tell_nobody)
        finally:
            for left in self._folder.iterdir():
                left.unlink()

    def sums(self, name: str, content: bytes) -> Sums | UnreadableBillError:
        """Return the sums over the file's lines, or the refusal."""
        self.by_tags = self.bill = None
        try:
            self.bill = bill = self.read(name, content)
        except UnreadableBillError as refused:
            if not (len(refused.digest) == 64 and all(refusal.reason.strip() for refusal in refused.refusals)):
                msg = f"a refusal without a reason or without the file's digest: {refused!r}"
                raise AssertionError(msg) from refused
            return refused
        portions = bill._portions
        if len(portions) > 1:
            # One may take away lines of another: that is the ledger's business.
            ledger = SmallLedger()
            ledger.enter_here(name, content, hints=self._hints)
            return ledger.sums()
        self.by_tags = defaultdict(Decimal)
        with localcontext(prec=60):
            for traits, cost in costs_of(portions[0]):
                self.by_tags[traits.tags, traits.currency] += cost
        return sums_of(portions[0])


def sums_of(portion: Portion) -> Sums:
    """Return the exact sums over the lines of a statement, before they meet a ledger."""
    sums: Sums = defaultdict(Decimal)
    lines = portion.lines
    with localcontext(prec=60):
        for key in portion.days:
            frame = lines.pile.lines(lines._heaps[key])
            for number, cost in frame.select("traits", "billed_cost").iter_rows():
                traits = lines.book.traits[number]
                sums[key.account, key.period.label, traits.product, traits.workspace, traits.currency] += cost
    return dict(sums)


def costs_of(portion: Portion) -> Iterator[tuple[ChargeDimensions, Decimal]]:
    """Yield the traits and the cost of each line."""
    lines = portion.lines
    for key in portion.days:
        for number, cost in lines.pile.lines(lines._heaps[key]).select("traits", "billed_cost").iter_rows():
            yield lines.book.traits[number], cost


def _tell_nobody(_phase: str, _share: float) -> None:
    pass
