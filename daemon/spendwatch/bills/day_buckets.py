"""Day buckets for the lines of one file; on disk instead of in memory when there are too many."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from spendwatch.bills.chunk import DimensionDictionary, stacked
from spendwatch.bills.versions import DAY_RANK, newest
from spendwatch.domain.statement import DayKey

ROOM = 1_500_000
"""How many lines are kept in memory, at some 250 bytes each."""

_FEW_RUNS = 400


class DayBuckets:
    """The lines of a file by day. Each line's id and day once, after `settle`."""

    def __init__(self, folder: Path) -> None:
        """Use the folder only when the room is not enough."""
        self._folder = folder
        self._heaps: dict[int, list[pl.DataFrame | Path]] = defaultdict(list)
        self._ids: list[pl.Series] = []
        self._in_memory = 0
        self._names = itertools.count()

    def add(self, frame: pl.DataFrame) -> None:
        """Add lines; their column `day` names the bucket."""
        self._ids.append(frame["line_id"].hash())
        for day, lines in _by_day(frame):
            self._heaps[day].append(lines)
        self._in_memory += frame.height
        if self._in_memory > ROOM:
            self._spill()

    def heaps(self) -> list[int]:
        """Return the numbers of the days that have lines."""
        return sorted(self._heaps)

    def lines(self, day: int) -> pl.DataFrame:
        """Return the lines of one day."""
        pieces = [pl.read_ipc(piece) if isinstance(piece, Path) else piece for piece in self._heaps[day]]
        return stacked(pieces)

    def settle(self, book: DimensionDictionary, keys: Sequence[DayKey]) -> int:
        """Keep of lines that occur more than once the one that counts; return how many were dropped.

        `keys` tells which day each number means. Ids are unique within an account.
        """
        hashes = pl.concat(self._ids) if self._ids else pl.Series(dtype=pl.UInt64)
        self._ids = []
        if hashes.n_unique() == hashes.len():
            return 0
        repeated = hashes.filter(hashes.is_duplicated()).unique()
        doubtful = stacked([self._set_apart(day, repeated, keys) for day in self.heaps()])
        kept = stacked([newest(lines, book) for lines in doubtful.partition_by("account")]).drop("account", DAY_RANK)
        for day, lines in _by_day(kept):
            self._heaps[day].append(lines)
        for day in self.heaps():
            if not self.lines(day).height:
                del self._heaps[day]
        return doubtful.height - kept.height

    def _set_apart(self, day: int, repeated: pl.Series, keys: Sequence[DayKey]) -> pl.DataFrame:
        lines = self.lines(day)
        is_repeated = lines["line_id"].hash().is_in(repeated.implode())
        self._heaps[day] = [lines.filter(~is_repeated)]
        return lines.filter(is_repeated).with_columns(
            pl.lit(day, dtype=pl.UInt32).alias("day"),
            pl.lit(keys[day].account).alias("account"),
            pl.lit(f"{keys[day].period.label} {keys[day].day}").alias(DAY_RANK),
        )

    def _spill(self) -> None:
        for day, pieces in self._heaps.items():
            in_memory = [piece for piece in pieces if isinstance(piece, pl.DataFrame)]
            if in_memory:
                path = self._folder / f"pile-{next(self._names)}.arrow"
                stacked(in_memory).write_ipc(path)
                self._heaps[day] = [*(piece for piece in pieces if isinstance(piece, Path)), path]
        self._in_memory = 0


def _by_day(frame: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the lines of each day, or of each run of lines of one day: bills are mostly sorted, and slices cost nothing."""
    runs = frame.select(pl.col("day").rle()).unnest("day")
    if runs.height > _FEW_RUNS:
        for (day,), lines in frame.partition_by("day", as_dict=True, include_key=False).items():
            yield int(day), lines
        return
    lines, start = frame.drop("day"), 0
    for length, day in runs.select("len", "value").iter_rows():
        yield day, lines.slice(start, length)
        start += length
