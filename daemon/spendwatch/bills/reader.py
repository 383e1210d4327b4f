"""Reads one bill file into exact lines by day: its parts, each by the layout that its header shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from spendwatch.bills.bill import Portion, UnderstoodBill
from spendwatch.bills.careful import CarefulReader
from spendwatch.bills.frames import DoubtError, exact_columns, fast_frames, vouch
from spendwatch.bills.header import HEAD_SIZE, Expected, Header, find_header
from spendwatch.bills.layouts import LAYOUTS
from spendwatch.bills.layouts.describeinstancebill import DESCRIBE_INSTANCE_BILL
from spendwatch.bills.layouts.layout import Field, Identity
from spendwatch.bills.lines import Lines
from spendwatch.bills.names import Told, told_by
from spendwatch.bills.pages import as_items, looks_like_pages, read_pages
from spendwatch.bills.survey import Surveyor
from spendwatch.bills.traits import CellError, Interpreter, raw_fields
from spendwatch.domain.errors import Refusal, UnreadableBillError
from spendwatch.domain.statement import Kind, ReadingHints

Progress = Callable[[str, float], None]


def read(path: Path, *, name: str, hints: ReadingHints, folder: Path, progress: Progress) -> UnderstoodBill:
    """Understand the file, or raise `UnreadableBillError` with every refusal. The folder is ours alone."""
    surveyor = Surveyor(path, lambda share: progress("reading", share))
    try:
        portions = [_Table(path, name, hints, folder, surveyor).portion()]
        return UnderstoodBill(portions, surveyor.finish().digest)
    except UnreadableBillError as error:
        raise UnreadableBillError(*error.refusals, digest=surveyor.finish().digest) from error


@dataclass(frozen=True, slots=True)
class _Table:
    """A file with a table of lines, or one with answers of the API, which is made into a table."""

    path: Path
    name: str
    hints: ReadingHints
    folder: Path
    surveyor: Surveyor

    def portion(self) -> Portion:
        """Return what it says."""
        with self.path.open("rb") as file:
            head = file.read(HEAD_SIZE)
        if not head:
            raise UnreadableBillError(Refusal("the file is empty"))
        if looks_like_pages(head):
            return self._portion_of_pages()
        expected = Expected(self.name, self.hints.layout)
        return self._understood(head, find_header(head, expected, LAYOUTS), told_by(self.name))

    def _portion_of_pages(self) -> Portion:
        pages = read_pages(self.path, self.folder)
        table = replace(self, path=pages.path, surveyor=Surveyor(pages.path, lambda _: None))
        head = pages.path.read_bytes()[:HEAD_SIZE]
        complete = Kind.SNAPSHOT if pages.is_complete else Kind.UPSERT
        try:
            header = find_header(head, Expected(self.name), (DESCRIBE_INSTANCE_BILL,))
            return table._understood(head, header, replace(told_by(self.name), kind=complete))  # noqa: SLF001 -- of our own kind
        except UnreadableBillError as error:
            raise as_items(error) from error

    def _understood(self, head: bytes, header: Header, told: Told) -> Portion:
        kind = _kind(header, told, self.hints)
        identity = _identity(header, kind)

        def lines() -> Lines:
            series = header.layout.series(header.places, identity, selection=_selection(header, told, kind))
            interpreter = Interpreter(header.layout, self.hints, told.account, raw_fields(header.places), series)
            return Lines(header, interpreter, identity, self.folder, part=told.part)

        try:
            found = self._read_fast(head, lines())
        except (DoubtError, CellError):
            found = self._read_carefully(lines())
        return Portion(found, told, kind, dropped=found.settle())

    def _read_fast(self, head: bytes, lines: Lines) -> Lines:
        for frame in fast_frames(self.path, lines.header, lines.identity, head):
            lines.add(frame)
        if lines.has_stray_quotes or (lines.interpreter.has_undated and lines.header.has_times):
            raise DoubtError
        vouch(self.path, self.surveyor.finish(), lines.header, lines.count)
        return lines

    def _read_carefully(self, lines: Lines) -> Lines:
        header = lines.header
        fields: Sequence[Field] = tuple(dict.fromkeys((*header.places, *lines.interpreter.fields)))
        columns = {field: pl.col(field) for field in fields}
        for batch in CarefulReader(self.path, header, lines.interpreter).batches():
            raw = pl.LazyFrame(batch, schema=dict.fromkeys(columns, pl.String))
            lines.add(exact_columns(raw, columns, lines.interpreter.fields, lines.identity))
        return lines


def _kind(header: Header, told: Told, hints: ReadingHints) -> Kind:
    """Return how the file relates to others: as configured, else as its name says, else as is usual for its layout."""
    kind = hints.kind or (header.layout.kind if header.layout.kind is Kind.AGGREGATE else told.kind) or header.layout.kind
    if kind is Kind.SNAPSHOT and told.part and not told.exported_at:
        return Kind.UPSERT  # one of several parts, and nothing tells which others belong to it: so it takes nothing away
    return kind


def _identity(header: Header, kind: Kind) -> Identity:
    if Field.LINE_ID in header.places:
        return Identity.ID
    return Identity.CONTENT if kind in {Kind.DELTA, Kind.SNAPSHOT} else Identity.GROUP


def _selection(header: Header, told: Told, kind: Kind) -> str:
    is_summed_up = kind is Kind.AGGREGATE and header.layout.kind is not Kind.AGGREGATE
    return ".".join(filter(None, (told.selection, "aggregate" if is_summed_up else "")))
