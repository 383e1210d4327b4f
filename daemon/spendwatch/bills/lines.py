"""The lines of one statement: their dimensions in a dictionary, the lines themselves in buckets by day."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import polars as pl

from spendwatch.bills.chunk import PART, DimensionDictionary
from spendwatch.bills.columnar_reader import BETWEEN, Categories, DoubtError
from spendwatch.bills.day_buckets import DayBuckets
from spendwatch.bills.dimensions import PLACE, SEPARATOR, Interpreter
from spendwatch.bills.layouts.layout import Field
from spendwatch.bills.versions import line_keys
from spendwatch.domain.errors import Refusal, UnreadableBillError
from spendwatch.domain.money import EXACT, WHOLE_DIGITS
from spendwatch.domain.statement import ChargeKind, DayKey, Identity

_MOMENT = r"^2[0-9]{3}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}"
_MOMENT_LENGTH = len("2026-09-12 11:21:00")
_UNKNOWN = 2**32 - 1
_TOO_MUCH = Decimal(10) ** (WHOLE_DIGITS - 1)


class Lines:
    """Collects the lines of one statement, gives traits their numbers and days their heaps."""

    def __init__(self, interpreter: Interpreter, identity: Identity, folder: Path) -> None:
        """Begin without lines."""
        self.interpreter = interpreter
        self.identity = identity
        self.book = DimensionDictionary()
        self.pile = DayBuckets(folder)
        self.count = 0
        self.latest = ""
        """The latest time in a line of usage, as the bill writes it: the period of a plan may end months later."""
        self.latest_time = ""
        """The same of the times of lines alone, their ends left aside."""
        self.has_quotes = False
        """Whether a trait holds a quote: the fast parser does not mind stray ones, the careful reader does."""
        self._heaps: dict[DayKey, int] = {}
        """The numbers of the days, in the order of these."""
        self._weight = Decimal(0)
        self._dictionaries = {"place": _Dictionary(self._day), "traits": _Dictionary(self._traits)}
        self._are_usage: list[bool] = []
        """Of each of the book's traits, whether its lines are."""

    def add(self, frame: pl.DataFrame, part: int = 0) -> None:
        """Add exact columns of that part of the statement; a cell that cannot be understood raises `CellError`."""
        days, traits = (self._dictionaries[name].numbers(frame[name]) for name in ("place", "traits"))
        self._weigh(frame["billed_cost"])
        used = self._usage(frame, traits)
        self.latest_time = max(self.latest_time, _latest(used["time"]))
        self.latest = max(self.latest, self.latest_time, _latest(used["ends"]))
        self.count += frame.height
        if "rounding" in frame.columns:
            self._note_rounding(frame["rounding"], traits)
            frame = frame.drop("rounding")
        numbered = frame.drop("ends", "place").with_columns(traits.alias("traits"), days.alias("day"))
        self.pile.add(
            numbered
            if self.identity is Identity.ID
            else numbered.with_columns(self._group(numbered["traits"]), pl.lit(part, pl.UInt32).alias(PART))
        )

    @property
    def categories(self) -> Categories:
        """The categories that `add` expects."""
        fields = {"place": PLACE, "traits": self.interpreter.fields}
        return {name: (fields[name], dictionary.categories) for name, dictionary in self._dictionaries.items()}

    def settle(self) -> int:
        """Add no more lines; drop all but one of those that have the same id, and return how many were dropped."""
        self._dictionaries.clear()
        return self.pile.settle(self.book, list(self._heaps)) if self.identity is Identity.ID else 0

    def days(self) -> tuple[DayKey, ...]:
        """Return the days that have lines, in their order."""
        filled = self.pile.heaps()
        return tuple(sorted(key for key, heap in self._heaps.items() if heap in filled))

    @property
    def has_days(self) -> bool:
        """Whether every line has a day."""
        return not self.interpreter.has_undated

    def owners(self) -> tuple[str, ...] | None:
        """Return the owners of the lines; None where the bill has no such column."""
        return tuple(sorted({one.owner for one in self.book.traits})) if Field.OWNER in self.interpreter.fields else None

    def of(self, key: DayKey) -> pl.DataFrame:
        """Return the lines of one day, their traits numbered by our book."""
        lines = self.pile.lines(self._heaps[key])
        return lines if self.identity is Identity.ID else self._told_apart(lines)

    def fresh(self, key: DayKey, book: DimensionDictionary) -> pl.DataFrame:
        """Return the lines of one day, their traits numbered by another book."""
        lines = self.of(key)
        if book is self.book:
            return lines
        return lines.with_columns(book.renumbered(lines["traits"], self.book).alias("traits"))

    def _note_rounding(self, added: pl.Series, traits: pl.Series) -> None:
        rounded = pl.DataFrame({"traits": traits, "added": added}).filter(pl.col("added") != 0)
        for number, lines, total in rounded.group_by("traits").agg(pl.len(), pl.col("added").sum()).iter_rows():
            self.interpreter.note_rounding(self.book.traits[number].currency, lines, total)

    def _usage(self, frame: pl.DataFrame, traits: pl.Series) -> pl.DataFrame:
        """Return the lines of something that was used."""
        self._are_usage += [ChargeKind(one.charge).is_usage for one in self.book.traits[len(self._are_usage) :]]
        return frame if all(self._are_usage) else frame.filter(pl.Series(self._are_usage).gather(traits))

    def _group(self, traits: pl.Series) -> pl.Expr:
        """Return keys that say what a line is for, too."""
        marks = pl.Series(self.book.marks, dtype=pl.String).gather(traits)
        return (pl.concat_str("line_id", marks, separator=BETWEEN) + "#").alias("line_id")

    def _told_apart(self, lines: pl.DataFrame) -> pl.DataFrame:
        """Return the lines numbered within what they have in common, in an order that does not depend on the file's."""
        rank = pl.Series(self.book.hashes, dtype=pl.UInt64).gather(lines["traits"]).alias("rank")
        lines = lines if (lines[PART] > 0).any() else lines.drop(PART)
        keys = line_keys(lines)
        number = pl.col("line_id").cum_count().over(keys).cast(pl.String)
        order = [*keys, "billed_cost", "list_cost", "usage", "time", "rank"]
        return lines.with_columns(rank).sort(order).with_columns(pl.col("line_id") + number).drop("rank")

    def _day(self, text: str) -> int:
        return self._heaps.setdefault(self.interpreter.key(*self._cells(text, PLACE)), len(self._heaps))

    def _traits(self, text: str) -> int:
        return self.book.number(self.interpreter.traits(self._cells(text, self.interpreter.fields)))

    def _cells(self, text: str, fields: Sequence[Field]) -> list[str]:
        cells = text.split(SEPARATOR)
        if len(cells) != len(fields):
            raise DoubtError
        self.has_quotes = self.has_quotes or '"' in text
        return cells

    def _weigh(self, amounts: pl.Series) -> None:
        # As many as there are of the largest, without signs, bound every sum of some of them.
        largest = max((abs(one) for one in (amounts.min(), amounts.max()) if isinstance(one, Decimal)), default=Decimal(0))
        self._weight = EXACT.add(self._weight, EXACT.multiply(largest, Decimal(amounts.len())))
        if self._weight >= _TOO_MUCH:
            raise UnreadableBillError(Refusal(f"the amounts are too large to be added up with {WHOLE_DIGITS} digits"))


class _Dictionary:
    """What each text of a category means, as a number. Each is looked at once: a file may have as many as lines."""

    def __init__(self, meaning: Callable[[str], int]) -> None:
        """Know nothing yet."""
        self.categories = pl.Categories.random()
        self._meaning = meaning
        self._numbers = pl.Series(dtype=pl.UInt32)
        """Of each code."""

    def numbers(self, texts: pl.Series) -> pl.Series:
        """Return the numbers of these texts."""
        distinct = texts.unique()
        missing = int(str(distinct.to_physical().max() or 0)) + 1 - self._numbers.len()
        if missing > 0:
            self._numbers = self._numbers.extend(pl.repeat(_UNKNOWN, missing, dtype=pl.UInt32, eager=True))
        unknown = distinct.filter(self._numbers.gather(distinct.to_physical()) == _UNKNOWN)
        meanings = pl.Series(map(self._meaning, unknown.cast(pl.String)), dtype=pl.UInt32)
        self._numbers = self._numbers.scatter(unknown.to_physical(), meanings)
        return self._numbers.gather(texts.to_physical())


def _latest(moments: pl.Series) -> str:
    latest = moments.max()
    if not isinstance(latest, str) or not re.match(_MOMENT, latest):
        latest = moments.filter(moments.str.contains(_MOMENT)).max()
    return latest[:_MOMENT_LENGTH].replace("T", " ") if isinstance(latest, str) else ""
