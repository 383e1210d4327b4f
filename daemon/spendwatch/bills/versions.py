"""Decides which lines of a day count, where several statements have lines of it. The order of files does not matter.

Of two versions of a line the newer one counts, then the higher billed cost, then the later text. Lines without a distinct id
are replaced together, group by group; of two equally new versions of a group the one with more lines counts. Lines that a
complete statement speaks of but does not contain are removed.

Numbered parts of a statement are added. A file without a number beside them may be one more part, or the whole statement
under another name: without ids, lines in both are the same charges. Parts without a time may belong to one push or to
several: they are added, and lines in several of them count once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import polars as pl

from spendwatch.bills.chunk import OUTSTANDING, PART, DimensionDictionary, content_marks
from spendwatch.domain.merging import Piece
from spendwatch.domain.statement import Identity

RANK, UNDATED, DAY_RANK = "rank", "is_undated", "day_rank"
"""Stand beside lines: how new their statement is, whether it is a part without a time, and where they are of several days, how
late their own is.
"""

CONTENT = ("time", "usage", "list_cost", "billed_cost", "traits")
"""What makes two versions of a line different: a bill exported once more changes nothing."""

_PIECE, _GROUP, _TRAITS = "piece", "group", "traits_rank"
_PLACE = (_GROUP, PART)
_GROUP_OF = pl.col("line_id").str.replace(r"#[0-9]+$", "")


class Changes(NamedTuple):
    """How the lines that count differ from those that counted before."""

    new: pl.DataFrame
    """The lines that did not count before."""
    changed: int
    gone: pl.DataFrame
    """The lines that counted before and do no longer."""


def counting(pieces: Sequence[tuple[Piece, pl.DataFrame]], book: DimensionDictionary, identity: Identity) -> pl.DataFrame:
    """Return the lines that count of a day, the oldest piece first, each with how new it is. Within a piece ids are unique."""
    frames = aligned([frame for _, frame in pieces])
    marked = [
        frame.with_columns(
            pl.lit(number, pl.UInt32).alias(_PIECE),
            pl.lit(piece.rank, pl.UInt32).alias(RANK),
            pl.lit(piece.is_undated).alias(UNDATED),
        )
        for number, ((piece, _), frame) in enumerate(zip(pieces, frames, strict=True))
    ]
    if len(marked) == 1:
        lines = marked[0]
    else:
        together = pl.concat(marked)
        lines = _newest_groups(together, book) if identity is Identity.GROUP else newest(together, book)
    for number, (piece, _) in enumerate(pieces):
        if piece.gone is None:
            lines = lines.filter(pl.col(_PIECE) != number)
        elif piece.gone:
            is_gone = (pl.col(_PIECE) == number) & _of_owners(lines, book, piece.gone)
            lines = lines.filter(~is_gone)
    return lines.drop(_PIECE)


def _of_owners(lines: pl.DataFrame, book: DimensionDictionary, owners: Iterable[str]) -> pl.Series:
    wanted = frozenset(owners)
    return pl.Series([traits.owner in wanted for traits in book.traits], dtype=pl.Boolean).gather(lines["traits"])


def aligned(frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Return the frames with the same columns in the same order."""
    names = dict.fromkeys(name for frame in frames for name in frame.columns)
    missing = {PART: pl.lit(0, pl.UInt32), OUTSTANDING: pl.lit(None, frames[0]["billed_cost"].dtype)}
    return [
        frame.with_columns(missing[name].alias(name) for name in names if name not in frame.columns).select(list(names))
        for frame in frames
    ]


def line_keys(frame: pl.DataFrame) -> list[str]:
    """Return the columns that tell lines apart."""
    return ["line_id", PART] if PART in frame.columns else ["line_id"]


def newest(frame: pl.DataFrame, book: DimensionDictionary) -> pl.DataFrame:
    """Return of several versions of the same lines the one that counts. All other columns are kept."""
    ranked = frame.with_columns(book.ranks().gather(frame["traits"]).alias(_TRAITS))
    order = [RANK, "billed_cost", DAY_RANK, OUTSTANDING, "list_cost", "usage", "time", _TRAITS]
    ranked = ranked.sort([column for column in order if column in ranked.columns])
    return ranked.unique(line_keys(frame), keep="last", maintain_order=True).drop(_TRAITS)


def _newest_groups(lines: pl.DataFrame, book: DimensionDictionary) -> pl.DataFrame:
    """Return of each group of lines the newer version, whole: the parts of one export, which are equally new, are one."""
    lines = lines if PART in lines.columns else lines.with_columns(pl.lit(0, pl.UInt32).alias(PART))
    marked = lines.with_columns(_GROUP_OF.alias(_GROUP), content_marks(lines, book).alias("mark"))
    weights = marked.group_by(*_PLACE, _PIECE).agg(
        pl.col(RANK).first(),
        pl.col(UNDATED).first(),
        pl.col("billed_cost").sum(),
        pl.len().alias("lines"),
        pl.col("mark").sum(),
    )
    # How far a part without a time reaches depends on where the push was cut, not on its age.
    age = pl.when(UNDATED).then(pl.col(RANK).filter(UNDATED).max().over(_PLACE)).otherwise(RANK).alias("age")
    # More lines before more money: a file that was cut off may lack just the refunds.
    order = ["age", "lines", "billed_cost", "mark", _PIECE]
    parts = weights.with_columns(age).sort(order).unique(_PLACE, keep="last", maintain_order=True)
    latest = pl.col(RANK).max().over(_GROUP)
    may_be_of_one_push = pl.col(UNDATED) & pl.col(UNDATED).filter(pl.col(RANK) == pl.col(RANK).max()).any().over(_GROUP)
    winners = parts.filter((pl.col(RANK) == latest) | may_be_of_one_push).select(*_PLACE, _PIECE)
    return marked.join(winners, on=[*_PLACE, _PIECE], how="semi", maintain_order="left").select(lines.columns)


def changes(before: pl.DataFrame, after: pl.DataFrame) -> Changes:
    """Return how the lines that count differ from those that counted before."""
    before, after = aligned([before, after])
    keys = line_keys(after)
    both = after.join(before, on=keys, how="inner", suffix="_before")
    content = [name for name in (*CONTENT, OUTSTANDING) if name in after.columns]
    is_same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_before")) for name in content)
    new, gone = after.join(before, on=keys, how="anti"), before.join(after, on=keys, how="anti")
    return Changes(new, both.height - both.filter(is_same).height, gone)


def without_copies(frame: pl.DataFrame, book: DimensionDictionary) -> pl.DataFrame:
    """Return the lines of the sum: those of a file without a number only as far as numbered parts do not have them, too.

    Which of them is the copy may look otherwise when the next part comes. So it does with lines that stand in several parts
    without a time: those of the part count that has most of them.
    """
    if PART not in frame.columns:
        return frame
    in_part = frame[PART] > 0
    if not in_part.any() or (in_part.all() and not frame[UNDATED].any()):
        return frame
    marks = content_marks(frame.drop(PART).with_columns(_GROUP_OF), book)
    push = pl.when(UNDATED).then(PART).otherwise(0)
    told = frame.select(push.alias("push")).with_columns(marks.alias("mark"), in_part.alias("in_part"))
    told = told.with_columns(pl.col("in_part").sum().over("mark", "push").alias("alike"))
    told = told.with_columns((pl.col("in_part") & (pl.col("alike") == pl.col("alike").max().over("mark"))).alias("most"))
    latest = pl.col("push").filter("most").max().over("mark")
    told = told.with_columns((pl.col("most") & (pl.col("push") == latest)).alias("counts"))
    number = pl.col("in_part").not_().cum_sum().over("mark")
    is_more = ~pl.col("in_part") & (number > pl.col("counts").sum().over("mark"))
    return frame.filter(told.select(pl.col("counts") | is_more).to_series())
