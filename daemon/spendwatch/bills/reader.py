"""Reads one bill file into exact lines by day, and merges them with what the ledger holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import polars as pl

from spendwatch.bills.careful import CarefulReader
from spendwatch.bills.chunk import TraitBook, content_digest, merge, read_chunk, roll_up, write_chunk
from spendwatch.bills.frames import DoubtError, exact_columns, fast_frames, vouch
from spendwatch.bills.header import HEAD_SIZE, Header, find_header
from spendwatch.bills.pile import Pile
from spendwatch.bills.survey import Survey, Surveyor
from spendwatch.bills.traits import RAW_FIELDS, SEPARATOR, CellError, Interpreter
from spendwatch.domain.errors import Refusal, UnreadableBillError
from spendwatch.domain.money import EXACT, WHOLE_DIGITS
from spendwatch.domain.statement import AccountId, DayContent, DayKey, Digest, ReadingHints, Statement

BILLING_ZONE = timezone(timedelta(hours=8))
"""Bills show the provider's wall time, without saying so."""

Progress = Callable[[str, float], None]

_NAME = re.compile(r"(?P<account>[0-9]{5,32})(?:-(?P<exported>[0-9]{14}))?(?![0-9])", re.ASCII)
_MOMENT = r"^2[0-9]{3}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"
_STAMP = "%Y%m%d%H%M%S"
_TOO_MUCH = Decimal(10) ** (WHOLE_DIGITS - 1)


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a day in the merge."""

    digest: Digest
    lines: int
    new: int
    changed: int


class Lines:
    """Collects the lines of one file: gives traits their numbers and days their heaps."""

    def __init__(self, interpreter: Interpreter, folder: Path, *, is_careful: bool = False) -> None:
        """Begin without lines."""
        self._is_careful = is_careful
        self.book = TraitBook()
        self.keys: list[DayKey] = []
        self.pile = Pile(folder)
        self.count = 0
        self.latest = ""
        self._interpreter = interpreter
        self._days: dict[DayKey, int] = {}
        self._weight = Decimal(0)

    def add(self, frame: pl.DataFrame) -> None:
        """Add exact columns; a cell that cannot be understood raises `CellError`."""
        days, traits = self._numbers(frame["traits"].unique())
        codes = frame["traits"].to_physical()
        self._weigh(frame["billed_cost"])
        self.latest = max(self.latest, _latest(frame["ends"]), _latest(frame["time"]))
        self.count += frame.height
        self.pile.add(frame.drop("ends").with_columns(traits.gather(codes).alias("traits"), days.gather(codes).alias("day")))

    def _numbers(self, distinct: pl.Series) -> tuple[pl.Series, pl.Series]:
        codes, texts = distinct.to_physical(), distinct.cast(pl.String)
        size = (int(str(codes.max())) if codes.len() else 0) + 1
        days, traits = [0] * size, [0] * size
        for code, text in zip(codes, texts, strict=True):
            cells = tuple(text.split(SEPARATOR))
            if len(cells) != len(RAW_FIELDS):
                raise DoubtError
            if '"' in text and not self._is_careful:
                # The parser does not mind stray quotes; the careful reader does.
                raise DoubtError
            key, found = self._interpreter.interpret(cells)
            days[code], traits[code] = self._day(key), self.book.number(found)
        return pl.Series(days, dtype=pl.UInt32), pl.Series(traits, dtype=pl.UInt32)

    def _day(self, key: DayKey) -> int:
        if key not in self._days:
            self._days[key] = len(self.keys)
            self.keys.append(key)
        return self._days[key]

    def _weigh(self, amounts: pl.Series) -> None:
        # The sum of what the amounts weigh without their signs bounds every sum of some of them.
        for extreme in (amounts.min(), amounts.max()):
            if isinstance(extreme, Decimal):
                self._weight = EXACT.add(self._weight, EXACT.multiply(abs(extreme), Decimal(amounts.len())))
        if self._weight >= _TOO_MUCH:
            raise UnreadableBillError(Refusal(f"the amounts are too large to be added up with {WHOLE_DIGITS} digits"))


class UnderstoodBill:
    """A bill file that has been read: its statement, and its lines as long as they are needed."""

    def __init__(self, statement: Statement, lines: Lines, stamp: str, folder: Path) -> None:
        """Keep them."""
        self.statement = statement
        self._lines = lines
        self._stamp = stamp
        self._folder = folder
        self._heaps = {key: number for number, key in enumerate(lines.keys)}

    def merge(self, place: int, held: Path | None, confirmed: str = "") -> Merged:
        """Merge the statement's day at that place with the chunk that the ledger holds; leave `chunk-…` and `rows-…` behind.

        `confirmed` is the moment, in ISO 8601, up to which other statements said the same of the chunk as a whole. Several threads may call this at the same time.
        """
        book, day = TraitBook(), self.statement.days[place]
        fresh = self._fresh(self._heaps[day.key], book)
        merged = merge(fresh, _confirmed(read_chunk(held, book), confirmed) if held else None, book)
        write_chunk(merged.frame, book, self._folder / f"chunk-{place}")
        rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in roll_up(merged.frame, book))
        (self._folder / f"rows-{place}").write_text(rows, encoding="utf-8")
        digest = content_digest(merged.frame, book) if held else day.digest
        return Merged(digest, merged.frame.height, merged.new, merged.changed)

    def _fresh(self, heap: int, book: TraitBook) -> pl.DataFrame:
        lines = self._lines.pile.lines(heap)
        numbers = [0] * len(self._lines.book.traits)
        for number in lines["traits"].unique():
            numbers[number] = book.number(self._lines.book.traits[number])
        traits = pl.Series(numbers, dtype=pl.UInt32).gather(lines["traits"])
        return lines.with_columns(traits.alias("traits"), pl.lit(self._stamp).alias("stamp"))


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

    def interpreter() -> Interpreter:
        return Interpreter(header.layout, hints, account)

    try:
        understood = interpreter()
        lines = _read_fast(path, header, head, Lines(understood, folder), surveyor)
        if understood.has_undated and header.has_times:
            raise DoubtError
    except (DoubtError, CellError):
        understood = interpreter()
        lines = _read_carefully(path, header, understood, folder)
    dropped = lines.pile.settle(lines.book, lines.keys)
    return _understood(header, surveyor.finish(), lines, understood, exported, dropped, folder)


def _read_fast(path: Path, header: Header, head: bytes, lines: Lines, surveyor: Surveyor) -> Lines:
    for frame in fast_frames(path, header, head):
        lines.add(frame)
    vouch(path, surveyor.finish(), header, lines.count)
    return lines


def _read_carefully(path: Path, header: Header, interpreter: Interpreter, folder: Path) -> Lines:
    lines = Lines(interpreter, folder, is_careful=True)
    columns = {field: pl.col(field) for field in header.places}
    for batch in CarefulReader(path, header, interpreter).batches():
        raw = pl.LazyFrame(batch, schema=dict.fromkeys(columns, pl.String))
        lines.add(exact_columns(raw, columns))
    return lines


def _understood(
    header: Header,
    survey: Survey,
    lines: Lines,
    interpreter: Interpreter,
    exported: datetime | None,
    dropped: int,
    folder: Path,
) -> UnderstoodBill:
    layout, pile = header.layout, lines.pile
    heaps = {lines.keys[number]: pile.lines(number) for number in pile.days()}
    days = tuple(DayContent(key, content_digest(heap, lines.book), heap.height) for key, heap in sorted(heaps.items()))
    until = _data_until(lines.latest, days)
    again = (f"{dropped} lines of the file repeat the id of another one; one of each counts",) if dropped else ()
    statement = Statement(
        digest=survey.digest,
        layout=layout.name,
        series=layout.series,
        kind=layout.kind,
        tax_basis=layout.tax_basis,
        accounts=tuple(sorted({day.key.account for day in days})),
        periods=tuple(sorted({day.key.period for day in days})),
        lines=sum(day.lines for day in days),
        data_until=until,
        exported_at=exported,
        days=days,
        remarks=(*interpreter.remarks(), *again),
    )
    stamp = exported or until
    return UnderstoodBill(statement, lines, stamp.strftime(_STAMP) if stamp else "", folder)


def told_by(name: str) -> tuple[AccountId | None, datetime | None]:
    """Return the account that a file's name begins with, and when the provider wrote it, as far as the name tells."""
    found = _NAME.match(name)
    if not found:
        return None, None
    exported = None
    if found["exported"]:
        try:
            exported = datetime.strptime(found["exported"], _STAMP).replace(tzinfo=BILLING_ZONE)
        except ValueError:
            exported = None
    return AccountId(found["account"]), exported


def _latest(moments: pl.Series) -> str:
    latest = moments.max()
    if isinstance(latest, str) and re.fullmatch(_MOMENT, latest):
        return latest
    proper = moments.filter(moments.str.contains(_MOMENT)).max()
    return proper if isinstance(proper, str) else ""


def _data_until(latest: str, days: tuple[DayContent, ...]) -> datetime | None:
    if not days:
        return None
    try:
        return datetime.fromisoformat(latest).replace(tzinfo=BILLING_ZONE)
    except ValueError:
        day = max(content.key.day for content in days)
        return datetime(day.year, day.month, day.day, tzinfo=BILLING_ZONE)
