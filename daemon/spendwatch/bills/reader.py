"""Reads one bill file into exact lines by day, and merges them with what the ledger holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl

from spendwatch.bills.careful import CarefulReader
from spendwatch.bills.chunk import TraitBook, content_digest, merge, read_chunk, roll_up, write_chunk
from spendwatch.bills.frames import DoubtError, exact_columns, fast_frames, vouch
from spendwatch.bills.header import HEAD_SIZE, find_header
from spendwatch.bills.lines import Lines
from spendwatch.bills.survey import Survey, Surveyor
from spendwatch.bills.traits import CellError, Interpreter
from spendwatch.domain.errors import Refusal, UnreadableBillError
from spendwatch.domain.statement import AccountId, DayContent, Digest, ReadingHints, Statement

BILLING_ZONE = timezone(timedelta(hours=8))
"""Bills show the provider's wall time, without saying so."""

Progress = Callable[[str, float], None]

_NAME = re.compile(r"(?P<account>[0-9]{5,32})(?:-(?P<exported>[0-9]{14}))?(?![0-9])", re.ASCII)
_STAMP = "%Y%m%d%H%M%S"


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a day in the merge."""

    digest: Digest
    lines: int
    new: int
    changed: int


class UnderstoodBill:
    """A bill file that has been read: its statement, and its lines as long as they are needed."""

    def __init__(self, statement: Statement, lines: Lines, stamp: str, folder: Path) -> None:
        """Keep them."""
        self.statement = statement
        self._lines = lines
        self._stamp = stamp
        self._folder = folder

    def merge(self, place: int, held: Path | None, confirmed: str = "") -> Merged:
        """Merge the statement's day at that place with the chunk that the ledger holds; leave `chunk-…` and `rows-…` behind.

        `confirmed` is the moment, in ISO 8601, up to which other statements said the same of the chunk as a whole. Several
        threads may call this at the same time.
        """
        book, day = TraitBook(), self.statement.days[place]
        fresh = self._lines.fresh(day.key, book).with_columns(pl.lit(self._stamp).alias("stamp"))
        merged = merge(fresh, _confirmed(read_chunk(held, book), confirmed) if held else None, book)
        write_chunk(merged.frame, book, self._folder / f"chunk-{place}")
        rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in roll_up(merged.frame, book))
        (self._folder / f"rows-{place}").write_text(rows, encoding="utf-8")
        digest = content_digest(merged.frame, book) if held else day.digest
        return Merged(digest, merged.frame.height, merged.new, merged.changed)


def _confirmed(lines: pl.DataFrame, moment: str) -> pl.DataFrame:
    """Return the lines of a chunk, none of them older than that moment."""
    if not moment:
        return lines
    stamp = datetime.fromisoformat(moment).astimezone(BILLING_ZONE).strftime(_STAMP)
    return lines.with_columns(pl.max_horizontal("stamp", pl.lit(stamp)).alias("stamp"))


def read(path: Path, *, name: str, hints: ReadingHints, folder: Path, progress: Progress) -> UnderstoodBill:
    """Understand the file, or raise `UnreadableBillError` with every refusal. The folder is ours alone."""
    surveyor = Surveyor(path, lambda share: progress("reading", share))
    try:
        return _read(path, name, hints, folder, surveyor)
    except UnreadableBillError as error:
        raise UnreadableBillError(*error.refusals, digest=surveyor.finish().digest) from error


def _read(path: Path, name: str, hints: ReadingHints, folder: Path, surveyor: Surveyor) -> UnderstoodBill:
    with path.open("rb") as file:
        head = file.read(HEAD_SIZE)
    if not head:
        raise UnreadableBillError(Refusal("the file is empty"))
    header = find_header(head)
    account, exported = told_by(name)
    try:
        lines = _read_fast(path, head, Lines(header, Interpreter(header.layout, hints, account), folder), surveyor)
    except (DoubtError, CellError):
        lines = _read_carefully(path, Lines(header, Interpreter(header.layout, hints, account), folder))
    dropped = lines.settle()
    again = (f"{dropped} lines of the file repeat the id of another one; one of each counts",) if dropped else ()
    statement = _statement(surveyor.finish(), lines, exported, remarks=(*lines.interpreter.remarks(), *again))
    stamp = statement.stamp
    return UnderstoodBill(statement, lines, stamp.strftime(_STAMP) if stamp else "", folder)


def _read_fast(path: Path, head: bytes, lines: Lines, surveyor: Surveyor) -> Lines:
    for frame in fast_frames(path, lines.header, head):
        lines.add(frame)
    if lines.has_stray_quotes or (lines.interpreter.has_undated and lines.header.has_times):
        raise DoubtError
    vouch(path, surveyor.finish(), lines.header, lines.count)
    return lines


def _read_carefully(path: Path, lines: Lines) -> Lines:
    columns = {field: pl.col(field) for field in lines.header.places}
    for batch in CarefulReader(path, lines.header, lines.interpreter).batches():
        raw = pl.LazyFrame(batch, schema=dict.fromkeys(columns, pl.String))
        lines.add(exact_columns(raw, columns))
    return lines


def _statement(survey: Survey, lines: Lines, exported: datetime | None, *, remarks: tuple[str, ...]) -> Statement:
    layout, days = lines.header.layout, lines.days()
    return Statement(
        digest=survey.digest,
        layout=layout.name,
        series=layout.series,
        kind=layout.kind,
        tax_basis=layout.tax_basis,
        accounts=tuple(sorted({day.key.account for day in days})),
        periods=tuple(sorted({day.key.period for day in days})),
        lines=sum(day.lines for day in days),
        data_until=_data_until(lines.latest, days),
        exported_at=exported,
        days=days,
        remarks=remarks,
    )


def told_by(name: str) -> tuple[AccountId | None, datetime | None]:
    """Return the account that a file's name begins with, and when the provider wrote it, as far as the name tells.

    The folders in which it lay tell nothing.
    """
    found = _NAME.match(name.rpartition("/")[2])
    if not found:
        return None, None
    exported = None
    if found["exported"]:
        try:
            exported = datetime.strptime(found["exported"], _STAMP).replace(tzinfo=BILLING_ZONE)
        except ValueError:
            exported = None
    return AccountId(found["account"]), exported


def _data_until(latest: str, days: tuple[DayContent, ...]) -> datetime | None:
    if not days:
        return None
    try:
        return datetime.fromisoformat(latest).replace(tzinfo=BILLING_ZONE)
    except ValueError:
        day = max(content.key.day for content in days)
        return datetime(day.year, day.month, day.day, tzinfo=BILLING_ZONE)
