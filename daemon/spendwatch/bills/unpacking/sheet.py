"""Reads the cells of one sheet of a spreadsheet, row by row, as the texts of a csv."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce

from spendwatch.bills.unpacking.cell_numbers import Look, NoNumberError, written
from spendwatch.bills.unpacking.limits import Limits
from spendwatch.bills.unpacking.workbook import Workbook, as_number, unescaped
from spendwatch.domain.errors import Refusal, UnreadableBillError
from spendwatch.xml_stream import Listener

_ENOUGH = 20
"""How many refusals are collected before the rest of the sheet is left unread."""

_MOST_ROWS = 1024 * 1024
_LETTERS = re.compile(r"[A-Z]{1,3}", re.ASCII)
_DIGITS = "0123456789"

Row = tuple[int, list[str]]
"""A row's number, counting from 1, and its cells up to the last filled one."""


class Sheet(Listener):
    """Listens to the XML of a sheet, and collects its rows. Formulas count as what they gave when the file was stored."""

    def __init__(self, workbook: Workbook, limits: Limits) -> None:
        """Know nothing yet."""
        self.refusals: list[Refusal] = []
        self._workbook = workbook
        self._limits = limits
        self._columns: dict[str, int] = {}
        self._left = limits.cells
        self._rows: list[Row] = []
        self._is_inside = False
        self._number = 0
        self._row = ""
        """The number of the row as its cells write it; nothing between rows, where no cell may stand."""
        self._cells: list[str] = []
        self._next = 0
        self._attributes: dict[str, str] = {}
        self._value: str | None = None
        self._runs: list[str] = []
        self._has_formula = self._is_aside = False

    def rows(self) -> Iterator[Row]:
        """Hand out the rows that are complete; each only once."""
        rows, self._rows = self._rows, []
        yield from rows

    def starts(self, name: str, attributes: dict[str, str]) -> None:
        """A row or a cell starts."""
        if name == "c":
            self._attributes, self._value, self._has_formula = attributes, None, False
            self._runs.clear()
        elif name == "f":
            self._has_formula = True
        elif name == "row" and self._is_inside:
            self._start_row(attributes.get("r"))
        elif name == "rPh":
            self._is_aside = True
        elif name == "sheetData":
            self._is_inside = True

    def ends(self, name: str, text: str) -> None:
        """A value, a cell or a row ends."""
        if not self._is_inside:
            return
        if name == "v":
            self._value = text
        elif name == "c":
            self._add(self._text())
        elif name == "t" and not self._is_aside:
            self._runs.append(text)
        elif name == "row":
            self._rows.append((self._number, self._cells))
            self._row = ""
        elif name == "rPh":
            self._is_aside = False
        elif name == "sheetData":
            self._is_inside = False

    def _start_row(self, said: str | None) -> None:
        number = self._number + 1 if said is None else as_number(said)
        if not self._number < number <= _MOST_ROWS:
            reason = f"behind row {self._number} of the spreadsheet follows one that cannot"
            raise UnreadableBillError(Refusal(reason, value=said))
        self._number, self._row, self._cells, self._next = number, str(number), [], 0

    def _add(self, text: str) -> None:
        place = self._place()
        if place < self._next:
            raise UnreadableBillError(Refusal("a cell out of order", line=self._number, value=self._attributes.get("r")))
        self._next = place + 1
        if not text:
            return
        if place >= self._limits.columns:
            reason = f"a cell beyond the {self._limits.columns} columns that are taken"
            raise UnreadableBillError(Refusal(reason, line=self._number, value=self._attributes.get("r")))
        self._cells.extend([""] * (place - len(self._cells)))
        self._cells.append(text)
        self._left -= 1
        if self._left < 0:
            reason = f"the spreadsheet has more than {self._limits.cells} filled cells"
            raise UnreadableBillError(Refusal(reason, accepts="csv"))

    def _place(self) -> int:
        """Return in which column the cell stands, counting from 0; -1 if unknown."""
        reference = self._attributes.get("r")
        if reference is None:
            return self._next if self._row else -1
        letters = reference.rstrip(_DIGITS)
        if not self._row or reference[len(letters) :] != self._row:
            return -1
        place = self._columns.get(letters)
        return self._column(letters) if place is None else place

    def _column(self, letters: str) -> int:
        if not _LETTERS.fullmatch(letters):
            return -1
        place = reduce(lambda place, letter: place * 26 + ord(letter) - ord("A") + 1, letters, 0) - 1
        self._columns[letters] = place
        return place

    def _text(self) -> str:
        kind, value = self._attributes.get("t", "n"), self._value
        match kind:
            case "n":
                text = self._figure(value)
            case "s":
                text = self._shared(value)
            case "str":
                text = _lines(unescaped(value or ""))
            case "inlineStr":
                text = _lines(unescaped("".join(self._runs)))
            case "b":
                text = {None: "", "0": "FALSE"}.get(value, "TRUE")
            case "d":
                text = (value or "").replace("T", " ")
            case "e":
                text = self._refuse("the value of an error", value)
            case _:
                text = self._refuse("a cell of an unknown kind", kind)
        return text

    def _shared(self, value: str | None) -> str:
        number = as_number(value)
        if 0 <= number < len(self._workbook.texts):
            return _lines(self._workbook.texts[number])
        return self._refuse("a text that the spreadsheet does not hold", value)

    def _figure(self, value: str | None) -> str:
        if not value:
            return self._refuse("a formula whose value was not stored", None) if self._has_formula else ""
        style, looks = as_number(self._attributes.get("s", "0")), self._workbook.looks
        try:
            return written(value, looks[style] if 0 <= style < len(looks) else Look.NUMBER, is_1904=self._workbook.is_1904)
        except NoNumberError:
            return self._refuse("not a number", value)

    def _refuse(self, reason: str, value: str | None) -> str:
        letters = self._attributes.get("r", "").rstrip(_DIGITS)
        self.refusals.append(Refusal(reason, line=self._number, column=letters or None, value=value))
        if len(self.refusals) >= _ENOUGH:
            raise UnreadableBillError(*self.refusals)
        return ""


def _lines(text: str) -> str:
    """Return a text with line breaks of one sort: a lone carriage return ends a line of a csv."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
