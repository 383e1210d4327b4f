"""Merges a bill with the ledger in the reading process: merges each day, finds moved lines, writes the results as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from spendwatch.bills.bill import UnderstoodBill
from spendwatch.bills.chunk import TraitBook, content_digest, read_chunk, read_ids, roll_up, write_chunk
from spendwatch.bills.layouts.layout import Identity
from spendwatch.bills.messages import MergedCounts
from spendwatch.bills.moves import days_with, losers, new_ids, without
from spendwatch.bills.versions import MergedLines, alive, counted, merge, without_copies
from spendwatch.domain.merging import covering
from spendwatch.domain.statement import Coverage, DayKey, Digest, Stamp

_MOST_STAMPS = 64


@dataclass(frozen=True, slots=True)
class HeldChunk:
    """The lines of a day as the ledger holds them."""

    key: DayKey
    path: Path
    confirmed: Stamp
    """Up to which stamp later statements said the same of the whole day."""

    def lines(self, book: TraitBook) -> pl.DataFrame:
        """Return the lines, none of them older than confirmed."""
        frame = read_chunk(self.path, book)
        return frame.with_columns(pl.max_horizontal("stamp", pl.lit(self.confirmed)).alias("stamp"))


@dataclass(slots=True)
class Merging:
    """One merge of a bill with the days that the ledger holds."""

    bill: UnderstoodBill
    days: Sequence[DayKey]
    """The bill's days that are to be merged."""
    held: Mapping[DayKey, HeldChunk]
    """What the ledger holds of these, and of others where lines may be gone or have moved from."""
    coverage: Sequence[Coverage]
    folder: Path
    _dropped: dict[DayKey, list[pl.Series]] = field(default_factory=dict)
    """Ids that the bill has on that day and that count elsewhere."""
    _left: dict[DayKey, list[pl.Series]] = field(default_factory=dict)
    """Ids that the ledger has on that day and that have moved elsewhere."""

    def find_moves(self) -> None:
        """Look for lines that the bill has on another day than the ledger, and decide where they count."""
        found = ((key, self._new_ids(key)) for key in self.days if self.bill.identity(key) is Identity.ID)
        news = {key: ids for key, ids in found if ids.len()}
        for chunk in self.held.values():
            mine = {key: ids for key, ids in news.items() if key.month == chunk.key.month}
            for key in days_with(mine, read_ids(chunk.path), but=chunk.key) if mine else ():
                self._settle_move(key, chunk)

    def day(self, key: DayKey, name: str) -> MergedCounts:
        """Merge one day of the bill; leave `chunk-…` and `rows-…` of that name behind."""
        book = TraitBook()
        fresh = without(self.bill.fresh(key, book), self._dropped.get(key, ()))
        chunk = self.held.get(key)
        identity = self.bill.identity(key)
        if chunk is None:
            merged = merge(fresh, None, book, identity, self._covering(key))
            stated = next(content for content in self.bill.statement.days if content.key == key)
            digest = stated.digest if merged.frame.height == stated.lines else ""
            return self._leave(merged, book, name, digest)
        held = chunk.lines(book)
        merged = merge(fresh, without(held, self._left.get(key, ())), book, identity, self._covering(key))
        return self._leave(counted(merged.frame, held), book, name)

    def elsewhere(self, key: DayKey, name: str) -> MergedCounts | None:
        """Look through a day that the bill does not name; None if all its lines stay."""
        book = TraitBook()
        held = self.held[key].lines(book)
        stays = alive(without(held, self._left.get(key, ())), book, self._covering(key))
        return None if stays.height == held.height else self._leave(counted(stays, held), book, name)

    def _covering(self, key: DayKey) -> Sequence[Coverage]:
        return covering(key, self.coverage)

    def _new_ids(self, key: DayKey) -> pl.Series:
        chunk = self.held.get(key)
        return new_ids(self.bill.fresh(key, TraitBook())["line_id"], read_ids(chunk.path) if chunk else None)

    def _settle_move(self, key: DayKey, chunk: HeldChunk) -> None:
        book = TraitBook()
        fresh, held = self.bill.fresh(key, book), chunk.lines(book)
        new = ~fresh["line_id"].is_in(read_ids(self.held[key].path).implode()) if key in self.held else pl.lit(value=True)
        stay, move = losers(fresh.filter(new), _rank(key), held, _rank(chunk.key), book)
        if stay.len():
            self._dropped.setdefault(key, []).append(stay)
        if move.len():
            self._left.setdefault(chunk.key, []).append(move)

    def _leave(self, merged: MergedLines, book: TraitBook, name: str, digest: str = "") -> MergedCounts:
        frame = merged.frame
        self._write(frame, book, name)
        stamps = frame["stamp"].unique()
        told = tuple(Stamp(stamp) for stamp in sorted(stamps)) if stamps.len() <= _MOST_STAMPS else ()
        digest = Digest(digest or content_digest(frame, book))
        return MergedCounts(digest, frame.height, merged.new, merged.changed, merged.gone, told)

    def _write(self, frame: pl.DataFrame, book: TraitBook, name: str) -> None:
        write_chunk(frame, book, self.folder / f"chunk-{name}")
        rows = roll_up(without_copies(frame, book), book)
        (self.folder / f"rows-{name}").write_text(rows, encoding="utf-8")


def _rank(key: DayKey) -> str:
    return f"{key.period.label} {key.day}"
