"""One day's lines in the ledger: a Parquet file of lines whose repeating dimensions are stored once, in its metadata.

A line is its id, a stamp (which says how new this version of it is), time, usage, list cost, billed cost, what of it is
outstanding if its bills tell, and the number of its traits.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import polars as pl

from spendwatch.bills.traits import Traits
from spendwatch.domain.money import EXACT, plain
from spendwatch.domain.statement import Digest

CONTENT = ("time", "usage", "list_cost", "billed_cost", "traits")
"""What makes two versions of a line different, the stamp left aside: a bill exported once more changes nothing."""

OUTSTANDING = "outstanding"
"""A column that only the lines of some layouts have."""

_TRAITS_KEY = "spendwatch.traits"
_COLUMNS = ("line_id", "stamp", "time", "usage", "list_cost", "billed_cost", OUTSTANDING, "traits")


@dataclass(slots=True)
class TraitBook:
    """Numbers for traits, so that millions of lines can refer to a few of them."""

    traits: list[Traits] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    _marks: list[str] = field(default_factory=list)
    _numbers: dict[Traits, int] = field(default_factory=dict)

    def number(self, traits: Traits, known_hash: int | None = None) -> int:
        """Return the number of these traits, a new one if they are new."""
        number = self._numbers.setdefault(traits, len(self.traits))
        if number == len(self.traits):
            self.traits.append(traits)
            self.hashes.append(int.from_bytes(_hash(traits), "big") if known_hash is None else known_hash)
        return number

    def renumbered(self, numbers: pl.Series, other: TraitBook) -> pl.Series:
        """Return as our numbers those of another book."""
        distinct = numbers.unique()
        ours = pl.Series((self.number(other.traits[one], other.hashes[one]) for one in distinct), dtype=pl.UInt32)
        return pl.zeros(len(other.traits), dtype=pl.UInt32, eager=True).scatter(distinct, ours).gather(numbers)

    @property
    def marks(self) -> list[str]:
        """For each number a short text that is the same for ever, whatever may change about a charge that is told once more."""
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


def content_digest(frame: pl.DataFrame, book: TraitBook) -> Digest:
    """Return a digest of the lines' content that does not depend on their order or stamps.

    It is made of Polars' row hashes: another release of Polars may give another digest, which costs one needless merge.
    """
    marks = content_marks(frame, book)
    return Digest(hashlib.sha256(f"{marks.len()} {marks.bitwise_xor()!r} {marks.sum()!r}".encode()).hexdigest())


def content_marks(frame: pl.DataFrame, book: TraitBook) -> pl.Series:
    """Return for each line a number that tells its content, the stamp left aside."""
    hashes = pl.Series(book.hashes, dtype=pl.UInt64).gather(frame["traits"])
    owed = [OUTSTANDING] if OUTSTANDING in frame.columns else []
    content = frame.select("line_id", "time", "usage", "list_cost", "billed_cost", *owed, hashes.alias("traits"))
    return content.hash_rows(seed=1)


def write_chunk(frame: pl.DataFrame, book: TraitBook, path: Path) -> None:
    """Write the lines as one compressed file that needs nothing else to be understood."""
    texts, lines = _without_unused(frame, book)
    # Level 1 packs these columns as well as higher ones, at a third of their time.
    lines.select(column for column in _COLUMNS if column in lines.columns).write_parquet(
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


def read_ids(path: Path) -> pl.Series:
    """Return nothing of a chunk but the ids of its lines."""
    return pl.read_parquet(path, columns=["line_id"])["line_id"]


def roll_up(frame: pl.DataFrame, book: TraitBook) -> Iterator[tuple[object, ...]]:
    """Yield a row for all lines that agree in whom and what, why and currency: those, cost, lines, and what is outstanding.

    Lines that tell what is outstanding make a row of their own: of the others, all that is billed may be.
    """
    parts = {False: frame}
    if OUTSTANDING in frame.columns:
        parts = {told: frame.filter(pl.col(OUTSTANDING).is_not_null() == told) for told in (False, True)}
    rolled: dict[tuple[tuple[str, ...], bool], tuple[Decimal, int, Decimal]] = {}
    for told, lines in parts.items():
        owed = pl.col(OUTSTANDING if told else "billed_cost").sum().alias("owed")
        for number, cost, more, rest in lines.group_by("traits").agg(pl.col("billed_cost").sum(), pl.len(), owed).iter_rows():
            key = _spend_key(book.traits[number]), told
            total, count, before = rolled.get(key, (Decimal(0), 0, Decimal(0)))
            rolled[key] = EXACT.add(total, cost), count + more, EXACT.add(before, rest)
    for (texts, told), (total, count, rest) in sorted(rolled.items(), key=lambda row: row[0]):
        *whom_and_what, charge, currency = texts
        yield whom_and_what, charge, currency, plain(total), count, plain(rest) if told else None


def _spend_key(traits: Traits) -> tuple[str, ...]:
    who = (traits.workspace, traits.api_key, traits.model, traits.type, traits.channel, traits.safe_mode)
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
