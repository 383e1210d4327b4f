"""Resolves days in the reading process: which lines of all contents of a day count. Writes contents and roll-ups as files."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import polars as pl

from spendwatch.bills.bill import UnderstoodBill
from spendwatch.bills.chunk import DimensionDictionary, ids_of, packed_ids, read_chunk, roll_up, unpacked_ids, write_chunk
from spendwatch.bills.messages import DayOutcome
from spendwatch.bills.versions import DAY_RANK, aligned, changes, counting, newest, without_copies
from spendwatch.domain.merging import DayPlan, Pieces, Plan
from spendwatch.domain.money import EXACT, plain
from spendwatch.domain.statement import DayKey, Digest, Identity, SeriesKey


class Resolving:
    """One change of the ledger: the days that are to be resolved."""

    def __init__(self, plan: Plan, contents: Sequence[Digest], bill: UnderstoodBill | None, folder: Path) -> None:
        """Keep which contents of the ledger are in the folder, and the bill that has the fresh ones."""
        self._plan = plan
        self._contents = {digest: place for place, digest in enumerate(contents)}
        self._bill = bill
        self._folder = folder
        self._days = (*plan.days, *plan.others)
        self._places = {one.key: place for place, one in enumerate(self._days)}
        used = {piece.content: one.key for one in reversed(plan.days) for piece in one.after}
        self._numbers = {digest: number for number, digest in enumerate(plan.fresh)}
        self._packed_with: dict[DayKey, list[Digest]] = defaultdict(list)
        for digest in plan.fresh:
            if digest in used:
                self._packed_with[used[digest]].append(digest)
        self._unused = [digest for digest in plan.fresh if digest not in used]

    def groups(self) -> list[list[DayPlan]]:
        """Return the days, those together that have lines in common."""
        linked: dict[SeriesKey, list[DayPlan]] = defaultdict(list)
        together = self._plan.shared | self._plan.linked
        for one in sorted(self._days, key=lambda one: one.key):  # of equally new versions that of the later day counts
            if one.key in together:
                linked[one.key.month].append(one)
        return [*([one] for one in self._plan.days if one.key not in together), *linked.values()]

    def resolve(self, group: Sequence[DayPlan]) -> list[tuple[int, DayOutcome]]:
        """Resolve days, and return each by its place in the plan; leave roll-ups and fresh contents behind."""
        book = self._book_for(group)
        loaded: dict[Digest, pl.DataFrame] = {}

        def lines(pieces: Callable[[DayPlan], Pieces]) -> dict[DayKey, pl.DataFrame]:
            with_lines = [one for one in group if pieces(one)]
            return self._counting(with_lines, pieces, book, loaded)

        before, after = lines(lambda one: one.before), lines(lambda one: one.after)
        for one in group:
            for digest in self._packed_with[one.key]:
                self._pack(digest, loaded[digest], book)
        left = [frame["line_id"] for frame in after.values()] if len(group) > 1 else []
        return [
            (self._places[one.key], self._outcome(one.key, before.get(one.key), after.get(one.key), book, left))
            for one in group
        ]

    def _book_for(self, group: Sequence[DayPlan]) -> DimensionDictionary:
        """Return a new dictionary; where nothing is put together, that of the bill: it may have as many entries as lines."""
        contents = {piece.content for one in group for piece in (*one.before, *one.after)}
        if self._bill and len(contents) == 1 and not contents & self._contents.keys():
            return self._bill.book_of(contents.pop())
        return DimensionDictionary()

    def pack_unused(self) -> None:
        """Leave the fresh contents behind that no day needs now."""
        for digest in self._unused:
            book = DimensionDictionary()
            self._pack(digest, self._lines(digest, book), book)

    def lines_of(self, key: DayKey, book: DimensionDictionary) -> pl.DataFrame:
        """Return the lines of that day which are in its sum, after the change."""
        counting = self._counting(self._plan.days, lambda one: one.after, book, {})
        return without_copies(counting[key], book)

    def _counting(
        self,
        days: Sequence[DayPlan],
        pieces: Callable[[DayPlan], Pieces],
        book: DimensionDictionary,
        loaded: dict[Digest, pl.DataFrame],
    ) -> dict[DayKey, pl.DataFrame]:
        """Return the lines that count of each day; a line that stands on several of them, where it is newest."""
        frames = []
        for one in days:
            for piece in pieces(one):
                if piece.content not in loaded:
                    loaded[piece.content] = self._lines(piece.content, book)
            frames.append(counting([(piece, loaded[piece.content]) for piece in pieces(one)], book, one.identity))
        if len(days) > 1:
            frames = _each_once(frames, book)
        return dict(zip((one.key for one in days), frames, strict=True))

    def _outcome(
        self,
        key: DayKey,
        before: pl.DataFrame | None,
        after: pl.DataFrame | None,
        book: DimensionDictionary,
        left: Sequence[pl.Series],
    ) -> DayOutcome:
        lines = 0 if after is None else after.height
        if after is not None and lines:
            rows = roll_up(without_copies(after, book), book)
            (self._folder / f"rows-{self._places[key]}").write_text(rows, encoding="utf-8")
        is_linked = key in self._plan.shared
        if before is None or after is None:
            gone = before if before is not None else pl.DataFrame()
            lost = _fallen(gone, gone.clear(), book) if gone.height else ()
            return DayOutcome(lines, lines, 0, gone.height, is_linked, gone.height, lost)
        found = changes(before, after)
        gone = found.gone.filter(~pl.col("line_id").is_in(pl.concat(left).implode())) if left else found.gone
        lost = _fallen(gone, found.new, book)
        return DayOutcome(
            lines, found.new.height, found.changed, found.gone.height, is_linked, gone.height if lost else 0, lost
        )

    def _pack(self, digest: Digest, lines: pl.DataFrame, book: DimensionDictionary) -> None:
        write_chunk(lines, book, self._folder / f"content-{self._numbers[digest]}")
        ids = packed_ids(ids_of(lines)) if self._has_ids(digest) else b""
        (self._folder / f"ids-{self._numbers[digest]}").write_bytes(ids)

    def _has_ids(self, digest: Digest) -> bool:
        days = self._bill.statement.days if self._bill else ()
        return any(day.digest == digest and day.identity is Identity.ID for day in days)

    def _lines(self, digest: Digest, book: DimensionDictionary) -> pl.DataFrame:
        if digest in self._contents:
            return read_chunk(self._folder / f"held-{self._contents[digest]}", book)
        assert self._bill is not None  # noqa: S101 -- what is fresh is the bill's
        return self._bill.fresh(digest, book)


@dataclass(frozen=True, slots=True)
class SharedIds:
    """Looks for lines that stand on several days of a month, by hashes of their ids alone."""

    plan: Plan
    bill: UnderstoodBill | None
    packed: Mapping[Digest, bytes]
    """The ids of what the ledger holds; the bill has the others."""

    def days(self) -> frozenset[DayKey]:
        """Return the days of which a line seems to stand on another day of its month, too."""
        months: dict[SeriesKey, list[DayPlan]] = defaultdict(list)
        for one in (*self.plan.days, *self.plan.others):
            if one.identity is Identity.ID:
                months[one.key.month].append(one)
        return frozenset(key for month in months.values() for key in self._days_of(month))

    def _days_of(self, month: Sequence[DayPlan]) -> Iterator[DayKey]:
        told = {(one.key, one.digest) for one in self.bill.statement.days} if self.bill else set()
        after = [(one.key, piece.content) for one in month for piece in one.after]
        linked = [one for one in month if one.key in self.plan.linked]
        # Within one statement each line has but one day.
        if told.issuperset(after) and not linked:
            return
        touched = {one.key for one in self.plan.days}
        before = {one.key: {piece.content for piece in one.before} for one in month}
        try:
            news = self._ids(place for place in after if place[0] in touched and place[1] not in before[place[0]])
            known = self._ids((one.key, content) for one in month if one.key in touched for content in before[one.key])
            news = news.join(known, on=["id", "day"], how="anti")
            if linked:
                news = pl.concat([news, self._ids(place for place in after if place[0] in self.plan.linked)])
            if not news.height:
                return
            both = self._ids(after).join(news.unique(), on="id", suffix="_other").filter(pl.col("day") != pl.col("day_other"))
        except _IncomparableError:
            yield from (key for key, _ in after)
            return
        days = {one.key.day: one.key for one in month}
        for day in {*both["day"], *both["day_other"]}:
            yield days[day]

    def _ids(self, pieces: Iterable[tuple[DayKey, Digest]]) -> pl.DataFrame:
        """Return the hashes of the ids of contents, with the days on which they stand."""
        hashes, days = array("Q"), []
        for key, digest in pieces:
            found = self._of(digest)
            hashes.extend(found)
            days.append((key.day, len(found)))
        repeated = pl.DataFrame(days, schema={"day": pl.Date, "lines": pl.UInt32}, orient="row")
        return pl.DataFrame(
            {
                "id": pl.Series(hashes, dtype=pl.UInt64),
                "day": repeated.select(pl.col("day").repeat_by("lines").explode())["day"],
            }
        )

    def _of(self, digest: Digest) -> array[int]:
        if digest not in self.packed:
            assert self.bill is not None  # noqa: S101 -- what is fresh is the bill's
            return ids_of(self.bill.fresh(digest, DimensionDictionary()))
        if (hashes := unpacked_ids(self.packed[digest])) is None:
            raise _IncomparableError
        return hashes


class _IncomparableError(Exception):
    """Another release of Polars made the hashes: every day is compared line by line."""


def _each_once(frames: Sequence[pl.DataFrame], book: DimensionDictionary) -> list[pl.DataFrame]:
    """Return the lines of several days; a line with an id that stands on several of them, where it is newest."""
    lines = pl.concat(frame.with_columns(pl.lit(day, pl.UInt32).alias(DAY_RANK)) for day, frame in enumerate(aligned(frames)))
    repeated = lines.filter(pl.col("line_id").is_duplicated())
    winners = newest(repeated, book).select("line_id", DAY_RANK)
    losers = repeated.select("line_id", DAY_RANK).join(winners, on=["line_id", DAY_RANK], how="anti")
    kept = lines.join(losers, on=["line_id", DAY_RANK], how="anti", maintain_order="left")
    return [kept.filter(pl.col(DAY_RANK) == day).drop(DAY_RANK) for day in range(len(frames))]


def _fallen(gone: pl.DataFrame, new: pl.DataFrame, book: DimensionDictionary) -> tuple[tuple[str, str], ...]:
    """Return by how much the lines that are gone cost more than the new ones, by currency."""
    sums: dict[str, Decimal] = {}
    for lines, sign in ((gone, 1), (new, -1)):
        for number, cost in lines.group_by("traits").agg(pl.col("billed_cost").sum()).iter_rows():
            currency = book.traits[number].currency
            sums[currency] = EXACT.add(sums.get(currency, Decimal(0)), EXACT.multiply(cost, Decimal(sign)))
    return tuple((currency, plain(cost)) for currency, cost in sorted(sums.items()) if cost > 0)
