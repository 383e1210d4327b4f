"""The lines of one file: their traits in a book, themselves on heaps by day."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import polars as pl

from spendwatch.bills.chunk import TraitBook, content_digest
from spendwatch.bills.frames import DoubtError
from spendwatch.bills.header import Header
from spendwatch.bills.pile import Pile
from spendwatch.bills.traits import RAW_FIELDS, SEPARATOR, Interpreter
from spendwatch.domain.errors import Refusal, UnreadableBillError
from spendwatch.domain.money import EXACT, WHOLE_DIGITS
from spendwatch.domain.statement import DayContent, DayKey

_MOMENT = r"^2[0-9]{3}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"
_TOO_MUCH = Decimal(10) ** (WHOLE_DIGITS - 1)


class Lines:
    """Collects the lines of one file, gives traits their numbers and days their heaps."""

    def __init__(self, header: Header, interpreter: Interpreter, folder: Path) -> None:
        """Begin without lines."""
        self.header = header
        self.interpreter = interpreter
        self.book = TraitBook()
        self.pile = Pile(folder)
        self.count = 0
        self.latest = ""
        """The latest moment that a line tells, as the bill writes it."""
        self.has_stray_quotes = False
        """Whether a trait holds a quote: the fast parser does not mind wrong ones, the careful reader does."""
        self._keys: list[DayKey] = []
        self._heaps: dict[DayKey, int] = {}
        self._weight = Decimal(0)

    def add(self, frame: pl.DataFrame) -> None:
        """Add exact columns; a cell that cannot be understood raises `CellError`."""
        days, traits = self._numbers(frame["traits"].unique())
        codes = frame["traits"].to_physical()
        self._weigh(frame["billed_cost"])
        self.latest = max(self.latest, _latest(frame["ends"]), _latest(frame["time"]))
        self.count += frame.height
        self.pile.add(frame.drop("ends").with_columns(traits.gather(codes).alias("traits"), days.gather(codes).alias("day")))

    def settle(self) -> int:
        """Drop all but one of the lines that occur more than once; return how many were dropped."""
        return self.pile.settle(self.book, self._keys)

    def days(self) -> tuple[DayContent, ...]:
        """Return what the file holds for each day, in the order of days."""
        heaps = sorted((self._keys[heap], heap) for heap in self.pile.heaps())
        return tuple(self._content(key, self.pile.lines(heap)) for key, heap in heaps)

    def fresh(self, key: DayKey, book: TraitBook) -> pl.DataFrame:
        """Return the lines of one day, their traits numbered by another book."""
        lines = self.pile.lines(self._heaps[key])
        numbers = [0] * len(self.book.traits)
        for number in lines["traits"].unique():
            numbers[number] = book.number(self.book.traits[number])
        return lines.with_columns(pl.Series(numbers, dtype=pl.UInt32).gather(lines["traits"]).alias("traits"))

    def _content(self, key: DayKey, lines: pl.DataFrame) -> DayContent:
        return DayContent(key, content_digest(lines, self.book), lines.height)

    def _numbers(self, distinct: pl.Series) -> tuple[pl.Series, pl.Series]:
        codes, texts = distinct.to_physical(), distinct.cast(pl.String)
        size = (int(str(codes.max())) if codes.len() else 0) + 1
        days, traits = [0] * size, [0] * size
        for code, text in zip(codes, texts, strict=True):
            cells = tuple(text.split(SEPARATOR))
            if len(cells) != len(RAW_FIELDS):
                raise DoubtError
            self.has_stray_quotes = self.has_stray_quotes or '"' in text
            key, found = self.interpreter.interpret(cells)
            days[code], traits[code] = self._heap(key), self.book.number(found)
        return pl.Series(days, dtype=pl.UInt32), pl.Series(traits, dtype=pl.UInt32)

    def _heap(self, key: DayKey) -> int:
        if key not in self._heaps:
            self._heaps[key] = len(self._keys)
            self._keys.append(key)
        return self._heaps[key]

    def _weigh(self, amounts: pl.Series) -> None:
        # The sum of what the amounts weigh without their signs bounds every sum of some of them.
        for extreme in (amounts.min(), amounts.max()):
            if isinstance(extreme, Decimal):
                self._weight = EXACT.add(self._weight, EXACT.multiply(abs(extreme), Decimal(amounts.len())))
        if self._weight >= _TOO_MUCH:
            raise UnreadableBillError(Refusal(f"the amounts are too large to be added up with {WHOLE_DIGITS} digits"))


def _latest(moments: pl.Series) -> str:
    latest = moments.max()
    if isinstance(latest, str) and re.fullmatch(_MOMENT, latest):
        return latest
    proper = moments.filter(moments.str.contains(_MOMENT)).max()
    return proper if isinstance(proper, str) else ""
