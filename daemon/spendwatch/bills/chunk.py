"""One content in the ledger: a Parquet file of a day's lines whose repeating dimensions are stored once, in its metadata.

A line is its id, the number of the part in which it stands if it does, time, usage, list cost, billed cost, what of it is
outstanding if its bills tell, and the number of its traits.
"""

from __future__ import annotations

import base64
import hashlib
import json
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from io import BytesIO
from json.encoder import encode_basestring
from operator import itemgetter
from pathlib import Path
from typing import TextIO

import polars as pl

from spendwatch.bills.dimensions import ChargeDimensions
from spendwatch.domain.errors import InvalidAmountError
from spendwatch.domain.money import EXACT, SCALE, parse_amount, plain
from spendwatch.domain.statement import Digest

OUTSTANDING = "outstanding"
"""A column that only the lines of some layouts have."""

PART = "part"
"""A column that only lines of numbered parts without an id have; 0 for none."""

_TRAITS_KEY = "spendwatch.traits"

SPEND_KEY = (
    *("workspace", "api_key", "model", "type", "channel", "safe_mode", "region", "ends"),
    *("item", "commodity", "product", "owner", "tags", "charge", "currency"),
)
"""The dimensions of the roll-up."""

_COLUMNS = ("line_id", PART, "time", "usage", "list_cost", "billed_cost", OUTSTANDING, "traits")


_SPEND = itemgetter(*map(ChargeDimensions._fields.index, SPEND_KEY))


@dataclass(slots=True)
class DimensionDictionary:
    """Numbers for traits, so that millions of lines can refer to a few of them."""

    traits: list[ChargeDimensions] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    packed: list[str] = field(default_factory=list)
    """For each number the traits as JSON."""
    spends: list[str] = field(default_factory=list)
    """For each number the dimensions of the roll-up, as JSON without brackets."""
    _marks: list[str] = field(default_factory=list)
    _numbers: dict[ChargeDimensions, int] = field(default_factory=dict)

    def number(self, traits: ChargeDimensions) -> int:
        """Return the number of these traits, a new one if they are new."""
        number = self._numbers.setdefault(traits, len(self.traits))
        if number == len(self.traits):
            quoted = tuple(map(encode_basestring, traits))
            self._add(traits, int.from_bytes(_hash(traits), "big"), f"[{','.join(quoted)}]", ",".join(_SPEND(quoted)))
        return number

    def renumbered(self, numbers: pl.Series, other: DimensionDictionary) -> pl.Series:
        """Return as our numbers those of another book."""
        distinct = numbers.unique()
        ours = pl.Series((self._take(other, number) for number in distinct), dtype=pl.UInt32)
        return pl.zeros(len(other.traits), dtype=pl.UInt32, eager=True).scatter(distinct, ours).gather(numbers)

    def _take(self, other: DimensionDictionary, number: int) -> int:
        traits = other.traits[number]
        ours = self._numbers.setdefault(traits, len(self.traits))
        if ours == len(self.traits):
            self._add(traits, other.hashes[number], other.packed[number], other.spends[number])
        return ours

    def _add(self, traits: ChargeDimensions, hashed: int, packed: str, spend: str) -> None:
        self.traits.append(traits)
        self.hashes.append(hashed)
        self.packed.append(packed)
        self.spends.append(spend)

    @property
    def marks(self) -> list[str]:
        """For each number a short text that stays the same when a charge is exported again."""
        self._marks += [_hash(traits.lasting).hex() for traits in self.traits[len(self._marks) :]]
        return self._marks

    def ranks(self) -> pl.Series:
        """Return for each number its place among all traits in the order of their texts."""
        ranks = [0] * len(self.traits)
        for rank, number in enumerate(sorted(range(len(ranks)), key=self.traits.__getitem__)):
            ranks[number] = rank
        return pl.Series(ranks, dtype=pl.UInt32)


def _hash(texts: Iterable[str]) -> bytes:
    return hashlib.blake2b("\x1f".join(texts).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def content_digest(frame: pl.DataFrame, book: DimensionDictionary) -> Digest:
    """Return a digest of the lines' content that does not depend on their order.

    It is made of Polars' row hashes: another release of Polars may give another digest, which costs one needless merge.
    """
    marks = content_marks(frame, book)
    return Digest(hashlib.sha256(f"{marks.len()} {marks.bitwise_xor()!r} {marks.sum()!r}".encode()).hexdigest())


def content_marks(frame: pl.DataFrame, book: DimensionDictionary) -> pl.Series:
    """Return for each line a number that tells its content."""
    hashes = pl.Series(book.hashes, dtype=pl.UInt64).gather(frame["traits"])
    more = [column for column in (PART, OUTSTANDING) if column in frame.columns]
    content = frame.select("line_id", "time", "usage", "list_cost", "billed_cost", *more, hashes.alias("traits"))
    return content.hash_rows(seed=1)


def write_chunk(frame: pl.DataFrame, book: DimensionDictionary, path: Path) -> None:
    """Write the lines as one compressed file that needs nothing else to be understood."""
    texts, lines = _without_unused(frame, book)
    # Level 1 packs these columns as well as higher ones, at a third of their time.
    lines.select(column for column in _COLUMNS if column in lines.columns).write_parquet(
        path, compression="zstd", compression_level=1, statistics=False, metadata={_TRAITS_KEY: _packed(texts)}
    )


def _without_unused(frame: pl.DataFrame, book: DimensionDictionary) -> tuple[list[str], pl.DataFrame]:
    """Return the traits that the lines refer to, and the lines with numbers into these."""
    used = frame["traits"].unique().sort()
    if used.len() == len(book.traits):
        return book.packed, frame
    places = pl.zeros(len(book.traits), dtype=pl.UInt32, eager=True)
    places = places.scatter(used, pl.int_range(used.len(), dtype=pl.UInt32, eager=True))
    return [book.packed[number] for number in used], frame.with_columns(places.gather(frame["traits"]).alias("traits"))


def read_chunk(path: Path, book: DimensionDictionary) -> pl.DataFrame:
    """Return the lines of a chunk, their traits numbered by the book."""
    traits = _unpacked(pl.read_parquet_metadata(path)[_TRAITS_KEY])
    numbers = pl.Series(map(book.number, traits), dtype=pl.UInt32)
    frame = pl.read_parquet(path)
    return frame.with_columns(numbers.gather(frame["traits"]).alias("traits"))


_RELEASE = f"{pl.__version__}\n".encode()
"""Before packed ids: hashes are only comparable within one release of Polars."""


def ids_of(frame: pl.DataFrame) -> array[int]:
    """Return a hash of each line's id."""
    return array("Q", frame["line_id"].hash().to_list())


def packed_ids(hashes: array[int]) -> bytes:
    """Return the hashes as they are kept beside a content, eight bytes each."""
    return _RELEASE + hashes.tobytes()


def unpacked_ids(packed: bytes) -> array[int] | None:
    """Return the hashes; None if another release of Polars made them."""
    if not packed.startswith(_RELEASE):
        return None
    hashes = array("Q")
    hashes.frombytes(packed[len(_RELEASE) :])
    return hashes


def roll_up(frame: pl.DataFrame, book: DimensionDictionary) -> str:
    """Return as JSON a row for all lines that agree in `SPEND_KEY`: that, cost, lines, and what is outstanding.

    Lines with an outstanding amount make a row of their own: of the others, all that is billed may be outstanding.
    """
    owed = pl.col(OUTSTANDING) if OUTSTANDING in frame.columns else pl.lit(None, dtype=pl.Decimal(38, SCALE))
    by_traits = (
        frame.select("traits", "billed_cost", owed.alias("owed"), owed.is_not_null().alias("is_told"))
        .group_by("traits", "is_told")
        .agg(pl.col("billed_cost").sum(), pl.len(), pl.col("owed").sum())
    )
    spends = pl.Series((book.spends[number] for number in by_traits["traits"]), dtype=pl.String)
    rest = pl.when("is_told").then(pl.format('"{}"', "owed")).otherwise(pl.lit("null"))
    rows = (
        by_traits.with_columns(spends.alias("spend"))
        .group_by("spend", "is_told")
        .agg(_plain(pl.col("billed_cost").sum()), pl.col("len").sum(), _plain(pl.col("owed").sum()))
        .sort("spend", "is_told")
        .select(pl.format('[{},"{}",{},{}]', "spend", "billed_cost", "len", rest))
    )
    return f"[{','.join(rows.to_series())}]"


def write_usage(file: TextIO, lines: pl.DataFrame, book: DimensionDictionary, products: Collection[str] | None) -> None:
    """Write as JSON how much the lines for these products used: a row for each combination of `SPEND_KEY` and unit.

    What is no number is nothing used: not every charge is for a quantity.
    """
    totals: dict[tuple[str, ...], Decimal] = {}
    for number, usage, count in lines.group_by("traits", "usage").len().iter_rows():
        traits = book.traits[number]
        with suppress(InvalidAmountError):
            if products is None or traits.product in products:
                key = (*_SPEND(traits), traits.unit)
                more = EXACT.multiply(parse_amount(usage), Decimal(count))
                totals[key] = EXACT.add(totals.get(key, Decimal(0)), more)
    json.dump([(*key, plain(amount)) for key, amount in sorted(totals.items()) if amount], file, ensure_ascii=False)


def _plain(amount: pl.Expr) -> pl.Expr:
    """Return an amount as text without trailing zeros."""
    return amount.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")


def _packed(texts: Sequence[str]) -> str:
    # A quiet day has almost as many traits as lines, and Parquet does not compress its metadata.
    packed = BytesIO()
    pl.DataFrame({"traits": texts}, schema={"traits": pl.String}).write_parquet(packed, compression="zstd", compression_level=1)
    return base64.b64encode(packed.getbuffer()).decode("ascii")


def _unpacked(packed: str) -> Iterator[ChargeDimensions]:
    for text in pl.read_parquet(BytesIO(base64.b64decode(packed)))["traits"]:
        yield ChargeDimensions(*json.loads(text))


def stacked(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the frames as one."""
    return frames[0] if len(frames) == 1 else pl.concat(frames)
