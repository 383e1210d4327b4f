"""Reads a bill line by line with the standard library: several times slower, but it reports every mistake with its place.

It decides. The fast reader gives up on anything unusual. Valid input (line breaks inside quoted cells, CRLF) is read here;
invalid input is rejected here, each mistake with line, column, value and accepted values.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

from spendwatch.bills.cells import (
    MOST_DECIMALS,
    SUBTOTALS,
    TOTALS,
    amount_in,
    cleaned,
    day_of_time,
    is_scientific,
    looks_shortened,
    rounded_amount_in,
    says_nothing,
)
from spendwatch.bills.dimensions import PLACE, SEPARATOR, CellError, Interpreter
from spendwatch.bills.header import Header
from spendwatch.bills.layouts.layout import Field
from spendwatch.bills.unpacking.encodings import ACCEPTED
from spendwatch.domain.errors import InvalidAmountError, Refusal, UnreadableBillError
from spendwatch.domain.money import EXACT, SCALE, WHOLE_DIGITS, plain

ENOUGH = 20
"""How many refusals are collected before the rest of the file is left unread."""

_AMOUNT = f"an amount such as -12.5 or 1,234.56: at most {WHOLE_DIGITS} digits, a point, at most"
PLAIN_AMOUNT = f"{_AMOUNT} {SCALE} decimals"
AMOUNT_OF_OTHERS = f"{_AMOUNT} {MOST_DECIMALS} decimals, which are rounded to {SCALE}"

LINE_IDS = "the provider's id of the line, as exported: do not save bills from a spreadsheet"

_BATCH = 50_000
_LONGEST_CELL = 16 * 1024 * 1024

Batch = dict[Field, list[str]]


_SUMS = TOTALS | SUBTOTALS
_OF_CHARGES = (Field.DAY, Field.STARTS, Field.TIME, Field.INSTANCE)
"""In a line of totals none of these says anything."""


def _no_id(cell: str) -> str:
    """Return why the cell cannot be a line's id; empty if it can."""
    if not cell:
        return "a line without an id"
    return "a line's id that a spreadsheet has shortened" if looks_shortened(cell) else ""


def _word(cell: str) -> str:
    return cleaned(cell).rstrip(":：").casefold()


class StrictReader:
    """One careful pass over one file."""

    def __init__(self, path: Path, header: Header, interpreter: Interpreter, progress: Callable[[float], None]) -> None:
        """Read nothing yet; `progress` is called with the share of the file that is done."""
        self._path = path
        self._header = header
        self._interpreter = interpreter
        self._progress = progress
        self._size = max(1, path.stat().st_size)
        self._refusals: list[Refusal] = []
        self._places: set[tuple[str, ...]] = set()
        self._understood: dict[tuple[str, ...], str] = {}
        """The currencies of traits."""
        self._told: set[str] = set()
        """Reasons that are reported already."""
        self._sum = Decimal(0)
        self._totals: list[tuple[int, Decimal]] = []

    def batches(self) -> Iterator[Batch]:
        """Yield the cells of the fields, in batches of lines. `UnreadableBillError` in the end, or when enough was refused.

        What is written in unusual ways is yielded as plainly as the fast way wants it.
        """
        fields = tuple(dict.fromkeys((*self._header.places, *PLACE, *self._interpreter.fields)))
        batch: Batch = {field: [] for field in fields}
        for line, row in self._rows():
            if self._is_total(row, line):
                continue
            cells = self._understand(row, line)
            for field in fields:
                batch[field].append(cells.get(field, ""))
            if len(batch[Field.BILLED_COST]) >= _BATCH:
                yield batch
                batch = {field: [] for field in fields}
        if self._refusals:
            raise UnreadableBillError(*self._refusals)
        self._compare_totals()
        yield batch

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield rows of the right width with their first physical line; blank lines say nothing."""
        csv.field_size_limit(_LONGEST_CELL)
        width, above = len(self._header.cells), self._header.lines
        reader = csv.reader(self._lines(), strict=True)
        line = above + 1
        try:
            for row in reader:
                if any(map(cleaned, row)):
                    if len(row) == width:
                        yield line, row
                    else:
                        self._refuse(Refusal(f"{len(row)} cells, where the header has {width}", line=line))
                line = above + reader.line_num + 1
        except csv.Error as error:
            self._refuse(Refusal(f"not valid CSV: {error}", line=line))
        except UnicodeDecodeError:
            self._refuse(Refusal("not UTF-8", line=self._undecodable_line(), accepts=ACCEPTED))

    def _lines(self) -> Iterator[str]:
        """Yield the physical lines after the header."""
        number, read, line = 0, 0, "\n"
        with self._path.open(encoding="utf-8", newline="") as file:
            for number, line in enumerate(iter(lambda: file.readline(2 * _LONGEST_CELL), ""), start=1):
                if "\0" in line:
                    self._refuse(Refusal("a NUL byte", line=number))
                read += len(line)
                if number % _BATCH == 0:
                    self._progress(min(1.0, read / self._size))
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

    def _is_total(self, row: list[str], line: int) -> bool:
        """Return whether the row sums up the others. What it says of the amount is kept, to be compared in the end."""
        words = set(map(_word, row))
        if not words & _SUMS:
            return False
        # What is charged has a date or is for something, and says so in other words.
        if {_word(self._cell(row, field)) for field in _OF_CHARGES} - _SUMS - {""}:
            return False
        said = self._cell(row, Field.BILLED_COST)
        if said and words & TOTALS:
            try:
                amount = amount_in(said)
                # As it is written: its number of decimals shows how far it may be rounded.
                self._totals.append((line, Decimal(said.replace(",", "") if amount != "0" else amount)))
            except InvalidAmountError:
                self._interpreter.assumed[f"line {line} is a line of totals whose amount cannot be read"] = None
        return True

    def _compare_totals(self) -> None:
        for line, told in self._totals:
            # A total is often rounded: it is right if the sum rounds to it, up or down.
            unit = Decimal(1).scaleb(int(told.as_tuple().exponent))
            if abs(EXACT.subtract(self._sum, told)) >= unit:
                remark = f"line {line} shows a total of {plain(told)}, but the amounts add up to {plain(self._sum)}"
                self._interpreter.assumed[remark] = None

    def _cell(self, row: list[str], field: Field) -> str:
        place = self._header.places.get(field)
        cell = "" if place is None else cleaned(row[place])
        return "" if cell == self._header.layout.null else cell

    def _understand(self, row: list[str], line: int) -> dict[Field, str]:
        cells = {field: row[place] for field, place in self._header.places.items()}
        if Field.LINE_ID in cells and (reason := _no_id(cleaned(cells[Field.LINE_ID]))):
            self._refuse_cell(CellError(Field.LINE_ID, cells[Field.LINE_ID], reason, LINE_IDS), line)
        if not cleaned(cells.get(Field.DAY, "")):
            cells[Field.DAY] = day_of_time(cells.get(Field.STARTS) or cells.get(Field.TIME, ""))
        if Field.OUTSTANDING in cells:
            cells[Field.OUTSTANDING], _ = self._amount(Field.OUTSTANDING, cells[Field.OUTSTANDING], line)
        cells[Field.BILLED_COST], rounding = self._amount(Field.BILLED_COST, cells[Field.BILLED_COST], line)
        self._sum = EXACT.add(self._sum, Decimal(cells[Field.BILLED_COST]))
        place = tuple(cells.get(field, "") for field in PLACE)
        traits = tuple(cells.get(field, "") for field in self._interpreter.fields)
        try:
            if place not in self._places:
                self._interpreter.key(*place)
                self._places.add(place)
            if traits not in self._understood:
                self._refuse_separators(traits)
                self._understood[traits] = self._interpreter.traits(traits).currency
            if rounding:
                self._interpreter.note_rounding(self._understood[traits], 1, rounding)
        except CellError as error:
            self._refuse_cell(error, line)
        return cells

    def _refuse_separators(self, cells: tuple[str, ...]) -> None:
        for field, cell in zip(self._interpreter.fields, cells, strict=True):
            if SEPARATOR in cell:
                raise CellError(field, cell, "a control character inside the cell", "text")

    def _amount(self, field: Field, cell: str, line: int) -> tuple[str, Decimal]:
        """Return the amount, and what was added to it by rounding."""
        layout, nothing = self._header.layout, Decimal(0)
        if field is Field.OUTSTANDING and says_nothing(cell):
            return "", nothing
        try:
            amount = amount_in("" if cleaned(cell) == layout.null else cell)
        except InvalidAmountError:
            if layout.is_of_others and (rounded := rounded_amount_in(cell)):
                return rounded
            accepts = AMOUNT_OF_OTHERS if layout.is_of_others else PLAIN_AMOUNT
            self._refuse_cell(CellError(field, cell, "not an amount", accepts), line)
            return "0", nothing
        if is_scientific(cell) and not layout.is_of_others:
            self._interpreter.assumed["a spreadsheet has shortened amounts like 6.9E-05: digits may be lost"] = None
        return amount, nothing

    def _refuse_cell(self, error: CellError, line: int) -> None:
        if error.is_of_all:
            if error.reason in self._told:
                return
            self._told.add(error.reason)
        column = self._header.layout.column(error.column)
        self._refuse(Refusal(error.reason, line=line, column=column, value=error.value, accepts=error.accepts))

    def _refuse(self, refusal: Refusal) -> None:
        self._refusals.append(refusal)
        if len(self._refusals) >= ENOUGH:
            raise UnreadableBillError(*self._refusals)
