"""Finds lines that a statement has on another day than the ledger, by the provider's ids: such a line counts once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

import polars as pl

from spendwatch.bills.chunk import TraitBook
from spendwatch.bills.versions import DAY_RANK, newest

Day = TypeVar("Day", bound=Hashable)


def new_ids(fresh: pl.Series, held: pl.Series | None) -> pl.Series:
    """Return the hashes of the ids that a statement has on a day, and the ledger has not."""
    hashes = fresh.hash()
    return hashes if held is None else hashes.filter(~hashes.is_in(held.hash().implode()))


def days_with(news: Mapping[Day, pl.Series], held: pl.Series, but: Day) -> list[Day]:
    """Return the days whose new ids seem to be among those that the ledger holds of another day."""
    hashes = held.hash().implode()
    return [day for day, ids in news.items() if day != but and ids.is_in(hashes).any()]


def losers(
    fresh: pl.DataFrame, fresh_day: str, held: pl.DataFrame, held_day: str, book: TraitBook
) -> tuple[pl.Series, pl.Series]:
    """Return the ids that count on the ledger's day and not on the statement's, and those of which the opposite is true."""
    shared = fresh.join(held.select("line_id"), on="line_id", how="semi")
    there = held.join(shared.select("line_id"), on="line_id", how="semi")
    columns = [column for column in shared.columns if column in there.columns]
    versions = pl.concat(
        [
            there.select(columns).with_columns(pl.lit(held_day).alias(DAY_RANK)),
            shared.select(columns).with_columns(pl.lit(fresh_day).alias(DAY_RANK)),
        ]
    )
    winners = newest(versions, book)
    stays = winners[DAY_RANK] == held_day
    return winners.filter(stays)["line_id"], winners.filter(~stays)["line_id"]


def without(frame: pl.DataFrame, ids: Iterable[pl.Series]) -> pl.DataFrame:
    """Return the lines that have none of these ids."""
    dropped = [one for one in ids if one.len()]
    return frame.filter(~pl.col("line_id").is_in(pl.concat(dropped).implode())) if dropped else frame
