"""Reads a bill line by line with the standard library: several times slower, but it names every mistake and its place.

It has the last word. The fast way gives up on anything unusual; what is legal after all (line breaks inside quoted cells, CRLF)
is read here, and what is not is refused here, each mistake with line, column, value and what would be accepted.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from spendwatch.bills.header import Header
from spendwatch.bills.layouts.layout import Field
from spendwatch.bills.traits import DATE_LENGTH, RAW_FIELDS, CellError, Interpreter
from spendwatch.domain.errors import InvalidAmountError, Refusal, UnreadableBillError
from spendwatch.domain.money import SCALE, WHOLE_DIGITS, parse_amount

ENOUGH = 20
"""How many refusals are collected before the rest of the file is left unread."""

PLAIN_AMOUNT = f"a plain decimal such as -12.5: at most {WHOLE_DIGITS} digits, a point, at most {SCALE} decimals"

_BATCH = 50_000
_LONGEST_CELL = 16 * 1024 * 1024

Batch = dict[Field, list[str]]


class _EnoughError(Exception):
    """Enough has been refused."""


class CarefulReader:
    """One careful pass over one file."""

    def __init__(self, path: Path, header: Header, interpreter: Interpreter) -> None:
        """Read nothing yet."""
        self._path = path
        self._header = header
        self._interpreter = interpreter
        self._refusals: list[Refusal] = []
        self._understood: set[tuple[str, ...]] = set()

    def batches(self) -> Iterator[Batch]:
        """Yield the cells of the fields, in batches of lines. In the end raise `UnreadableBillError` if any was refused."""
        batch: Batch = {field: [] for field in self._header.places}
        try:
            for line, row in self._rows():
                self._date(row)
                self._check(row, line)
                for field, place in self._header.places.items():
                    batch[field].append(row[place])
                if len(batch[Field.LINE_ID]) >= _BATCH:
                    yield batch
                    batch = {field: [] for field in self._header.places}
        except _EnoughError:
            pass
        if self._refusals:
            raise UnreadableBillError(*self._refusals)
        yield batch

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield rows of the right width with their first physical line; blank lines say nothing."""
        csv.field_size_limit(_LONGEST_CELL)
        width, above = len(self._header.cells), self._header.lines
        reader = csv.reader(self._lines(), strict=True)
        line = above + 1
        try:
            for row in reader:
                if len(row) == width:
                    yield line, row
                elif row:
                    self._refuse(Refusal(f"{len(row)} cells, where the header has {width}", line=line))
                line = above + reader.line_num + 1
        except csv.Error as error:
            self._refuse(Refusal(f"not valid CSV: {error}", line=line))
        except UnicodeDecodeError:
            self._refuse(Refusal("not UTF-8", line=self._undecodable_line(), accepts="UTF-8, with or without byte-order mark"))

    def _lines(self) -> Iterator[str]:
        """Yield the physical lines after the header."""
        number, line = 0, "\n"
        with self._path.open(encoding="utf-8-sig", newline="") as file:
            for number, line in enumerate(file, start=1):
                if "\0" in line:
                    self._refuse(Refusal("a NUL byte", line=number))
                if number > self._header.lines:
                    yield line
        if not line.endswith(("\n", "\r")):
            self._refuse(Refusal("the last line has no line break, so the file may be cut off", line=number))

    def _undecodable_line(self) -> int:
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return number
        return 1

    def _date(self, row: list[str]) -> None:
        place = self._header.places.get(Field.DAY)
        if place is not None and not row[place]:
            row[place] = _date_of_time(row, self._header)

    def _check(self, row: list[str], line: int) -> None:
        places = self._header.places
        if not row[places[Field.LINE_ID]]:
            self._refuse_cell(
                CellError(Field.LINE_ID, "", "a line without an id", "the id that the provider gave the line"), line
            )
        try:
            parse_amount(row[places[Field.BILLED_COST]])
        except InvalidAmountError:
            value = row[places[Field.BILLED_COST]]
            self._refuse_cell(CellError(Field.BILLED_COST, value, "not an amount", PLAIN_AMOUNT), line)
        cells = raw_traits(row, self._header)
        if cells not in self._understood:
            try:
                self._interpreter.interpret(cells)
            except CellError as error:
                self._refuse_cell(error, line)
            else:
                self._understood.add(cells)

    def _refuse_cell(self, error: CellError, line: int) -> None:
        column = self._header.layout.column(error.column)
        self._refuse(Refusal(error.reason, line=line, column=column, value=error.value, accepts=error.accepts))

    def _refuse(self, refusal: Refusal) -> None:
        self._refusals.append(refusal)
        if len(self._refusals) >= ENOUGH:
            raise _EnoughError


def raw_traits(row: list[str], header: Header) -> tuple[str, ...]:
    """Return the cells of a row that its traits are read from."""
    cells = {field: row[place] for field, place in header.places.items()}
    if Field.DAY not in cells:
        cells[Field.DAY] = _date_of_time(row, header)
    return tuple(cells.get(field, "") for field in RAW_FIELDS)


def _date_of_time(row: list[str], header: Header) -> str:
    place = header.places.get(Field.TIME, header.places.get(Field.STARTS))
    return "" if place is None else row[place][:DATE_LENGTH]
