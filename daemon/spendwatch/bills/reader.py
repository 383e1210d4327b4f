"""Reads one bill file into exact lines by day: each of the texts that it consists of by the layout of its header."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from spendwatch.bills.bill import Portion, UnderstoodBill
from spendwatch.bills.checksum_scan import ChecksumScan, digest_of
from spendwatch.bills.columnar_reader import DoubtError, columnar_frames, exact_columns, has_quotes_in_place, vouch
from spendwatch.bills.dimensions import PLACE, CellError, Interpreter, trait_fields
from spendwatch.bills.header import Expected, Header, find_header, is_header
from spendwatch.bills.layouts import LAYOUTS
from spendwatch.bills.layouts.describeinstancebill import DESCRIBE_INSTANCE_BILL
from spendwatch.bills.layouts.layout import Field
from spendwatch.bills.lines import Lines
from spendwatch.bills.names import Told, told_by_part, without_part
from spendwatch.bills.pages import as_items, looks_like_pages, read_pages
from spendwatch.bills.strict_reader import StrictReader
from spendwatch.bills.unpacking.containers import opened
from spendwatch.bills.unpacking.encodings import HEAD, made_utf_8
from spendwatch.domain.errors import Refusal, UnreadableBillError, printable
from spendwatch.domain.statement import DayKey, Identity, Kind, ReadingHints

Progress = Callable[[str, float], None]


def read(path: Path, *, name: str, hints: ReadingHints, folder: Path, progress: Progress) -> UnderstoodBill:
    """Understand the file, or raise `UnreadableBillError` with every refusal. The folder is ours alone."""
    scan = ChecksumScan(path)
    try:
        texts, remarks = _texts_of(path, name=name, folder=folder, progress=lambda share: progress("unpacking", share))
        portions = _Reader(name, hints, folder, scan, progress).portions(texts)
        return UnderstoodBill(portions, scan.finish().digest, remarks)
    except UnreadableBillError as error:
        raise UnreadableBillError(*error.refusals, digest=scan.finish().digest) from error


class _Text(NamedTuple):
    """One text: a table of lines, or answers of the API."""

    name: str
    """The name of the member of an archive, or of the file itself."""
    path: Path
    """Where it stands as UTF-8."""
    head: bytes
    """Its first lines."""
    told: Told
    """The facts in the names of the text and of the file that it came in."""
    is_member: bool
    """Whether it is one of several in its file."""

    def refused(self, error: UnreadableBillError) -> UnreadableBillError:
        """Return the refusals, each naming the member of the archive that it is about."""
        if not self.is_member:
            return error
        refusals = (one._replace(reason=f"{printable(self.name)}: {one.reason}") for one in error.refusals)
        return UnreadableBillError(*refusals, digest=error.digest)


class _Table(NamedTuple):
    """A text with a table of lines, and its header."""

    text: _Text
    header: Header

    @property
    def statement(self) -> tuple[object, ...]:
        """What the parts of one statement have in common."""
        header, told = self.header, self.text.told
        stem = without_part(self.text.name) if told.part else self.text.name
        return (stem, told._replace(part=0), header.layout.name, header.cells)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the texts of one file."""

    name: str
    hints: ReadingHints
    folder: Path
    scan: ChecksumScan
    """Of the file as it came."""
    progress: Progress

    def portions(self, texts: Sequence[_Text]) -> list[Portion]:
        """Return what the texts say, parts of one statement together."""
        portions = [self._portion_of_pages(text) for text in texts if looks_like_pages(text.head)]
        statements: dict[tuple[object, ...], list[_Table]] = {}
        for text in texts:
            if not looks_like_pages(text.head):
                table = self._table(text)
                statements.setdefault(table.statement, []).append(table)
        return [*portions, *map(self._portion, statements.values())]

    def _table(self, text: _Text) -> _Table:
        expected = Expected((text.name, self.name), self.hints.layout)
        try:
            return _Table(text, find_header(text.head, expected, LAYOUTS))
        except UnreadableBillError as error:
            raise text.refused(error) from error

    def _portion_of_pages(self, text: _Text) -> Portion:
        try:
            pages = read_pages(text.path, self.folder)
        except UnreadableBillError as error:
            raise text.refused(error) from error
        head = _head_of(pages.path)
        kind = Kind.SNAPSHOT if pages.is_complete else Kind.UPSERT
        table = text._replace(path=pages.path, head=head, told=text.told._replace(kind=kind))
        try:
            header = find_header(head, layouts=(DESCRIBE_INSTANCE_BILL,))
            portion = self._portion([_Table(table, header)], nothing_of=pages.nothing_of)
        except UnreadableBillError as error:
            raise as_items(error) from error
        if pages.is_manifest:
            portion.layout = portion.layout._replace(name="manifest")
            portion.remarks = ("a manifest of an export: it lists files and holds no charges",)
        return portion

    def _portion(self, tables: Sequence[_Table], *, nothing_of: tuple[str, str] | None = None) -> Portion:
        header, told = tables[0].header, tables[0].text.told
        kind = _kind(header, told, self.hints)
        identity = _identity(header, kind)

        def lines() -> Lines:
            series = header.layout.series(header.places, identity, selection=_selection(header, told, kind))
            interpreter = Interpreter(header.layout, self.hints, told.account, trait_fields(header.places), series)
            return Lines(interpreter, identity, self.folder)

        try:
            found = self._read_columnar(tables, lines())
        except (DoubtError, CellError):
            found = self._read_strictly(tables, lines())
        nothing_on = _empty_day(found.interpreter, *nothing_of, told.day) if nothing_of and told.day else None
        name = f"{self.name} {tables[0].text.name}"
        return Portion(found, told, kind, name=name, dropped=found.settle(), nothing_on=nothing_on)

    def _read_columnar(self, tables: Iterable[_Table], lines: Lines) -> Lines:
        for table in tables:
            text, header, before = table.text, table.header, lines.count
            scan = self._survey(text)
            for frame in columnar_frames(text.path, text.head, header, lines.categories, lines.identity):
                lines.add(frame, text.told.part)
            # A line without a date may have a time, or sum up the others.
            if lines.interpreter.has_undated or (lines.has_quotes and not has_quotes_in_place(text.path, header)):
                raise DoubtError
            vouch(text.path, scan.finish(), header, lines.count - before)
        return lines

    def _read_strictly(self, tables: Iterable[_Table], lines: Lines) -> Lines:
        for table in tables:
            header = table.header
            fields: Sequence[Field] = tuple(dict.fromkeys((*header.places, *PLACE, *lines.interpreter.fields)))
            columns = {field: pl.col(field) for field in fields}
            progress = partial(self.progress, "reading with care")
            try:
                for batch in StrictReader(table.text.path, header, lines.interpreter, progress).batches():
                    raw = pl.LazyFrame(batch, schema=dict.fromkeys(columns, pl.String))
                    for frame in exact_columns(raw, columns, lines.categories, lines.identity):
                        lines.add(frame, table.text.told.part)
            except UnreadableBillError as error:
                raise table.text.refused(error) from error
        return lines

    def _survey(self, text: _Text) -> ChecksumScan:
        scan = self.scan if text.path == self.scan.path else ChecksumScan(text.path, with_digest=False)
        scan.progress = partial(self.progress, "reading")
        return scan


def _empty_day(interpreter: Interpreter, account: str, cycle: str, day: date) -> DayKey:
    try:
        return interpreter.key(account, cycle, day.isoformat())
    except CellError as error:
        raise UnreadableBillError(Refusal(error.reason, value=error.value, accepts=error.accepts)) from error


def _kind(header: Header, told: Told, hints: ReadingHints) -> Kind:
    """Return how the file relates to others: as configured, else as its name says, else as is usual for its layout."""
    kind = hints.kind or (header.layout.kind if header.layout.kind is Kind.AGGREGATE else told.kind) or header.layout.kind
    if kind is Kind.SNAPSHOT and told.part and not told.exported_at:
        return Kind.UPSERT  # one of several parts, without the others: so it removes nothing
    return kind


def _identity(header: Header, kind: Kind) -> Identity:
    if Field.LINE_ID in header.places:
        return Identity.ID
    return Identity.CONTENT if kind in {Kind.DELTA, Kind.SNAPSHOT} else Identity.GROUP


def _selection(header: Header, told: Told, kind: Kind) -> str:
    is_summed_up = kind is Kind.AGGREGATE and header.layout.kind is not Kind.AGGREGATE
    return ".".join(filter(None, (told.selection, "aggregate" if is_summed_up else "")))


def _texts_of(path: Path, *, name: str, folder: Path, progress: Callable[[float], None]) -> tuple[list[_Text], list[str]]:
    """Return the texts of the file, and what the operator should know about how they came; the folder is ours alone.

    `UnreadableBillError` if one of them cannot be read.
    """
    found = opened(path, name=name, folder=folder, progress=progress)
    distinct = {digest_of(part.path): part for part in found.parts} if len(found.parts) > 1 else {"": found.parts[0]}
    remarks = list(found.remarks)
    if twice := len(found.parts) - len(distinct):
        members = "1 member of the archive is" if twice == 1 else f"{twice} members of the archive are"
        remarks.append(f"{members} exactly the same as another one; one of each counts")
    texts = []
    for part in distinct.values():
        told = told_by_part(name, part.name)
        text, remark = _decoded(_Text(part.name, part.path, b"", told, is_member=len(distinct) > 1), folder)
        texts.append(text)
        remarks.append(remark)
    return texts, list(dict.fromkeys(filter(None, remarks)))


def _head_of(path: Path) -> bytes:
    """Return the first bytes of a file: those in which its header is looked for."""
    with path.open("rb") as file:
        return file.read(HEAD)


def _decoded(text: _Text, folder: Path) -> tuple[_Text, str]:
    try:
        path, remark = made_utf_8(text.path, folder, is_header)
    except UnreadableBillError as error:
        raise text.refused(error) from error
    if path != text.path and text.is_member:
        text.path.unlink()  # room on the disk: what it says stands elsewhere now
    return text._replace(path=path, head=_head_of(path)), remark
