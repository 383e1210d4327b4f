"""Decides which of several versions of a line counts and which lines are removed. The order of files does not matter.

Of two versions of a line the one with the newer stamp counts, then the higher billed cost, then the later text. Lines
without a distinct id are replaced together, group by group; of two equally new versions of a group the one with more lines
counts. Lines that a complete statement covers but does not contain are removed.

Numbered parts of a statement are added. A file without a number beside them may be one more part, or the whole statement
under another name: without ids, lines in both are the same charges. Parts without a time may belong to one push or to
several: they are added, and lines in several of them count once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from spendwatch.bills.chunk import OUTSTANDING, TraitBook, content_marks
from spendwatch.bills.layouts.layout import Identity
from spendwatch.domain.statement import EDITION, UNDATED_PART, Coverage

DAY_RANK = "day_rank"
"""Stands beside lines of several days, where one line occurs on two of them."""

CONTENT = ("time", "usage", "list_cost", "billed_cost", "traits")
"""What makes two versions of a line different, the stamp left aside: a bill exported once more changes nothing."""

_RANK = "rank"
_GROUP = "group"
_PART = (_GROUP, "part")
_GROUP_OF = pl.col("line_id").str.replace(r"#[0-9.]+$", "")
_IN_PART = r"#([0-9]+)\.[0-9]+$"
"""How the id of a line of a numbered part ends."""


@dataclass(frozen=True, slots=True)
class MergedLines:
    """A day's lines after the merge, with their stamps."""

    frame: pl.DataFrame
    new: int
    changed: int
    gone: int


def merge(
    fresh: pl.DataFrame, held: pl.DataFrame | None, book: TraitBook, identity: Identity, coverage: Iterable[Coverage]
) -> MergedLines:
    """Return a day's lines after the merge of a statement's lines with those of the ledger. Both have unique ids."""
    if held is None:
        frame = alive(fresh, book, coverage)
        return MergedLines(frame, new=frame.height, changed=0, gone=0)
    fresh, held = _alike(fresh, held)
    frame = _by_group(fresh, held, book) if identity is Identity.GROUP else _by_line(fresh, held, book)
    return counted(alive(frame, book, coverage), held)


def alive(frame: pl.DataFrame, book: TraitBook, coverage: Iterable[Coverage]) -> pl.DataFrame:
    """Return the lines that are not gone."""
    for one in coverage:
        bound = (
            pl.when(pl.col("stamp").str.contains(EDITION, literal=True)).then(pl.lit(one.stamp)).otherwise(pl.lit(one.reach))
        )
        stays = pl.col("stamp") >= bound
        if one.owners is not None:
            owners = frozenset(one.owners)
            of_others = pl.Series([traits.owner not in owners for traits in book.traits], dtype=pl.Boolean)
            stays |= of_others.gather(frame["traits"])
        frame = frame.filter(stays)
    return frame


def counted(frame: pl.DataFrame, held: pl.DataFrame) -> MergedLines:
    """Return the lines, and how they differ from those that the ledger holds."""
    both = frame.join(held, on="line_id", how="inner", suffix="_held")
    same = both.filter(_is_same(frame))
    return MergedLines(frame, frame.height - both.height, both.height - same.height, held.height - both.height)


def without_copies(frame: pl.DataFrame, book: TraitBook) -> pl.DataFrame:
    """Return the lines that count: those of a file without a number only as far as numbered parts do not have them, too.

    The ledger keeps both: which of them is the copy may look otherwise when the next part comes. So it does with lines that
    stand in several parts without a time: those of the part count that has most of them.
    """
    in_part = frame["line_id"].str.contains(_IN_PART)
    if not in_part.any() or (in_part.all() and not frame["stamp"].str.ends_with(UNDATED_PART).any()):
        return frame
    marks = content_marks(frame.with_columns(_GROUP_OF), book)
    part = (
        pl.when(frame["stamp"].str.ends_with(UNDATED_PART)).then(frame["line_id"].str.extract(_IN_PART)).otherwise(pl.lit(""))
    )
    told = pl.DataFrame({"mark": marks, "in_part": in_part}).with_columns(part.fill_null("").alias("push"))
    told = told.with_columns(pl.col("in_part").sum().over("mark", "push").alias("alike"))
    told = told.with_columns((pl.col("in_part") & (pl.col("alike") == pl.col("alike").max().over("mark"))).alias("most"))
    latest = pl.col("push").filter("most").max().over("mark")
    told = told.with_columns((pl.col("most") & (pl.col("push") == latest)).alias("counts"))
    number = pl.col("in_part").not_().cum_sum().over("mark")
    is_more = ~pl.col("in_part") & (number > pl.col("counts").sum().over("mark"))
    return frame.filter(told.select(pl.col("counts") | is_more).to_series())


def newest(frame: pl.DataFrame, book: TraitBook) -> pl.DataFrame:
    """Return of several versions of the same lines the one that counts. All other columns are kept."""
    ranked = frame.with_columns(book.ranks().gather(frame["traits"]).alias(_RANK))
    more = [column for column in (DAY_RANK, OUTSTANDING) if column in frame.columns]
    order = ["stamp", "billed_cost", *more, "list_cost", "usage", "time", _RANK]
    return ranked.sort(order).unique("line_id", keep="last", maintain_order=True).drop(_RANK)


def _alike(fresh: pl.DataFrame, held: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both with the same columns."""
    columns = [*(column for column in fresh.columns if column != OUTSTANDING)]
    if OUTSTANDING in (*fresh.columns, *held.columns):
        nothing = pl.lit(None, dtype=fresh["billed_cost"].dtype).alias(OUTSTANDING)
        columns.append(OUTSTANDING)
        fresh, held = (one if OUTSTANDING in one.columns else one.with_columns(nothing) for one in (fresh, held))
    return fresh.select(columns), held.select(columns)


def _is_same(frame: pl.DataFrame) -> pl.Expr:
    content = [name for name in (*CONTENT, OUTSTANDING) if name in frame.columns]
    return pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_held")) for name in content)


def _by_line(fresh: pl.DataFrame, held: pl.DataFrame, book: TraitBook) -> pl.DataFrame:
    columns = fresh.columns
    both = fresh.join(held, on="line_id", how="left", suffix="_held", maintain_order="left")
    is_new, is_same = pl.col("stamp_held").is_null(), _is_same(fresh)
    added = both.filter(is_new).select(columns)
    same = both.filter(~is_new & is_same).with_columns(pl.max_horizontal("stamp", "stamp_held").alias("stamp")).select(columns)
    differing = both.filter(~is_new & ~is_same).select(columns)
    earlier = held.join(differing.select("line_id"), on="line_id", how="semi")
    restated = newest(pl.concat([earlier, differing]), book)
    untouched = held.join(fresh.select("line_id"), on="line_id", how="anti", maintain_order="left")
    return pl.concat([untouched, same, restated.select(columns), added])


def _by_group(fresh: pl.DataFrame, held: pl.DataFrame, book: TraitBook) -> pl.DataFrame:
    """Return of each group of lines the newer version, whole: the parts of one export, which are of one stamp, are one."""
    both = pl.concat([_grouped(held, book, is_fresh=False), _grouped(fresh, book, is_fresh=True)])
    weights = both.group_by(*_PART, "is_fresh").agg(
        pl.col("stamp").max(), pl.col("billed_cost").sum(), pl.len().alias("lines"), pl.col("mark").sum()
    )
    is_undated = pl.col("stamp").str.ends_with(UNDATED_PART)
    # How far a part without a time reaches depends on where the push was cut: it does not tell which one is newer.
    age = pl.when(is_undated).then(pl.col("stamp").filter(is_undated).max().over(_PART)).otherwise("stamp").alias("age")
    # More lines before more money: a file that was cut off may lack just the refunds.
    order = ["age", "lines", "billed_cost", "mark", "is_fresh"]
    parts = weights.with_columns(age).sort(order).unique(_PART, keep="last", maintain_order=True)
    newest_of_group = pl.col("stamp").max().over(_GROUP)
    may_be_of_one_push = pl.all_horizontal(stamp.str.ends_with(UNDATED_PART) for stamp in (pl.col("stamp"), newest_of_group))
    winners = parts.filter((pl.col("stamp") == newest_of_group) | may_be_of_one_push).select(*_PART, "is_fresh")
    return both.join(winners, on=[*_PART, "is_fresh"], how="semi", maintain_order="left").select(fresh.columns)


def _grouped(frame: pl.DataFrame, book: TraitBook, *, is_fresh: bool) -> pl.DataFrame:
    return frame.with_columns(
        _GROUP_OF.alias(_GROUP),
        pl.col("line_id").str.extract(_IN_PART).fill_null("").alias("part"),
        pl.lit(is_fresh).alias("is_fresh"),
        content_marks(frame, book).alias("mark"),
    )
