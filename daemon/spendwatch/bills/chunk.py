"""One day's lines in the ledger: a Parquet file of lines, whose repeating traits are kept once, in its metadata.

A line is its id, a stamp (which says how new this version of it is), time, usage, list cost and billed cost, and the number
of its traits. The rule between two versions of a line: the newer stamp wins, then the higher billed cost, then the later
text. So the order in which files arrive does not matter.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import polars as pl

from spendwatch.bills.traits import Traits
from spendwatch.domain.money import EXACT, plain
from spendwatch.domain.statement import Digest

CONTENT = ("time", "usage", "list_cost", "billed_cost", "traits")
"""What makes two versions of a line different, the stamp left aside: a bill exported once more changes nothing."""

DAY_RANK = "day_rank"
"""Stands beside lines of several days, where one line occurs on two of them."""

_TRAITS_KEY = "spendwatch.traits"
_RANK = "rank"
_IS_FRESH = "is_fresh"


@dataclass(slots=True)
class TraitBook:
    """Numbers for traits, so that millions of lines can refer to a few of them."""

    traits: list[Traits] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    _numbers: dict[Traits, int] = field(default_factory=dict)

    def number(self, traits: Traits) -> int:
        """Return the number of these traits, a new one if they are new."""
        if traits not in self._numbers:
            self._numbers[traits] = len(self.traits)
            self.traits.append(traits)
            digest = hashlib.blake2b("\x1f".join(traits).encode(), digest_size=8).digest()
            self.hashes.append(int.from_bytes(digest, "big"))
        return self._numbers[traits]

    def ranks(self) -> pl.Series:
        """Return for each number its place among all traits in the order of their texts."""
        ranks = [0] * len(self.traits)
        for rank, number in enumerate(sorted(range(len(ranks)), key=self.traits.__getitem__)):
            ranks[number] = rank
        return pl.Series(ranks, dtype=pl.UInt32)


@dataclass(frozen=True, slots=True)
class MergedLines:
    """A day's lines after the merge, with their stamps."""

    frame: pl.DataFrame
    new: int
    changed: int


def content_digest(frame: pl.DataFrame, book: TraitBook) -> Digest:
    """Return a digest of the lines' content that does not depend on their order or stamps.

    It is made of Polars' row hashes: another release of Polars may give another digest, which costs one needless merge.
    """
    hashes = pl.Series(book.hashes, dtype=pl.UInt64).gather(frame["traits"])
    content = frame.select("line_id", "time", "usage", "list_cost", "billed_cost", hashes.alias("traits"))
    marks = content.hash_rows(seed=1)
    return Digest(hashlib.sha256(f"{marks.len()} {marks.bitwise_xor()!r} {marks.sum()!r}".encode()).hexdigest())


def newest(frame: pl.DataFrame, book: TraitBook) -> pl.DataFrame:
    """Return of several versions of the same lines the one that counts. All other columns are kept."""
    ranked = frame.with_columns(book.ranks().gather(frame["traits"]).alias(_RANK))
    later_day = [DAY_RANK] if DAY_RANK in frame.columns else []
    order = ["stamp", "billed_cost", *later_day, "list_cost", "usage", "time", _RANK]
    return ranked.sort(order).unique("line_id", keep="last", maintain_order=True).drop(_RANK)


def merge(fresh: pl.DataFrame, held: pl.DataFrame | None, book: TraitBook) -> MergedLines:
    """Return the day's lines after the merge of a statement's lines with those of the ledger. Both have unique ids."""
    if held is None:
        return MergedLines(fresh, new=fresh.height, changed=0)
    both = fresh.join(held, on="line_id", how="left", suffix="_held", maintain_order="left")
    is_new = pl.col("stamp_held").is_null()
    is_same = pl.all_horizontal(pl.col(name) == pl.col(f"{name}_held") for name in CONTENT)
    columns = fresh.columns
    added = both.filter(is_new).select(columns)
    same = both.filter(~is_new & is_same).with_columns(pl.max_horizontal("stamp", "stamp_held").alias("stamp")).select(columns)
    differing = both.filter(~is_new & ~is_same)
    restated = _restated(differing.select(columns), held, book)
    untouched = held.join(fresh.select("line_id"), on="line_id", how="anti", maintain_order="left").select(columns)
    frame = pl.concat([untouched, same, restated.select(columns), added])
    return MergedLines(frame, new=added.height, changed=int(restated[_IS_FRESH].sum()))


def _restated(fresh: pl.DataFrame, held: pl.DataFrame, book: TraitBook) -> pl.DataFrame:
    earlier = held.join(fresh.select("line_id"), on="line_id", how="semi").select(fresh.columns)
    versions = pl.concat(
        [earlier.with_columns(pl.lit(value=False).alias(_IS_FRESH)), fresh.with_columns(pl.lit(value=True).alias(_IS_FRESH))]
    )
    return newest(versions, book)


def write_chunk(frame: pl.DataFrame, book: TraitBook, path: Path) -> None:
    """Write the lines as one compressed file that needs nothing else to be understood."""
    texts, lines = _without_unused(frame, book)
    # Level 1 packs these columns as well as higher ones, at a third of their time.
    lines.select("line_id", "stamp", "time", "usage", "list_cost", "billed_cost", "traits").write_parquet(
        path, compression="zstd", compression_level=1, statistics=False, metadata={_TRAITS_KEY: _packed(texts)}
    )


def _without_unused(frame: pl.DataFrame, book: TraitBook) -> tuple[list[Traits], pl.DataFrame]:
    """Return the traits that the lines refer to, and the lines with numbers into these."""
    used = frame["traits"].unique().sort()
    if used.len() == len(book.traits):
        return book.traits, frame
    numbers = pl.DataFrame({"traits": used, "local": pl.int_range(used.len(), dtype=pl.UInt32, eager=True)})
    lines = frame.join(numbers, on="traits", how="left", maintain_order="left")
    return [book.traits[number] for number in used], lines.with_columns(pl.col("local").alias("traits"))


def read_chunk(path: Path, book: TraitBook) -> pl.DataFrame:
    """Return the lines of a chunk, their traits numbered by the book."""
    texts = _unpacked(pl.read_parquet_metadata(path)[_TRAITS_KEY])
    numbers = pl.Series([book.number(Traits(*text)) for text in texts], dtype=pl.UInt32)
    frame = pl.read_parquet(path)
    return frame.with_columns(numbers.gather(frame["traits"]).alias("traits"))


def roll_up(frame: pl.DataFrame, book: TraitBook) -> Iterator[list[str | int]]:
    """Yield workspace, key, model, type, channel, item, commodity, product, owner, tags, charge, currency, cost and lines."""
    sums = frame.group_by("traits").agg(pl.col("billed_cost").sum(), pl.len().alias("lines"))
    rolled: dict[tuple[str, ...], tuple[Decimal, int]] = {}
    for number, cost, lines in sums.iter_rows():
        key = _spend_key(book.traits[number])
        total, count = rolled.get(key, (Decimal(0), 0))
        rolled[key] = EXACT.add(total, cost), count + lines
    for key, (total, count) in sorted(rolled.items()):
        yield [*key, plain(total), count]


def _spend_key(traits: Traits) -> tuple[str, ...]:
    who = (traits.workspace, traits.api_key, traits.model, traits.type, traits.channel)
    what = (traits.item, traits.commodity, traits.product, traits.owner, traits.tags, traits.charge, traits.currency)
    return (*who, *what)


def _packed(texts: list[Traits]) -> str:
    # A quiet day has almost as many traits as lines, and Parquet does not compress its metadata.
    content = json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(content, level=1)).decode("ascii")


def _unpacked(packed: str) -> list[list[str]]:
    texts: list[list[str]] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return texts


def stacked(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the frames as one."""
    return frames[0] if len(frames) == 1 else pl.concat(frames)
