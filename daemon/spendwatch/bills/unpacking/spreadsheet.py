"""Exports the bill's sheet of a spreadsheet (xlsx) as csv, each row on the line of its own number.

Excel's file format is read here without a library. openpyxl (read-only, with defusedxml) was tried: it takes 2.5 times the CPU,
drops a row that a sheet has twice, shows a formula that was never computed as an empty cell, and holds hostile sheets in
memory. calamine shows `#N/A` as an empty cell. Read as a stream, a hostile sheet costs no more than its length.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from spendwatch.bills.unpacking.file_types import Opened, Part
from spendwatch.bills.unpacking.limits import Limits, Meter
from spendwatch.bills.unpacking.sheet import Row, Sheet
from spendwatch.bills.unpacking.workbook import Workbook, XmlParts, read_workbook
from spendwatch.bills.unpacking.zip_archive import ZipArchive
from spendwatch.domain.errors import Refusal, UnreadableBillError, printable

BILL_SHEET = "账单明细"
"""As the sheet of the provider's own exports is called."""

_REMARK = "the bill is a spreadsheet, which keeps only 15 digits of a number: the provider's csv is safer"
_HEADER = 2
"""A row of fewer filled cells is no header, but a title above it."""


def written_out(archive: ZipArchive, name: str, folder: Path, meter: Meter) -> Opened:
    """Return the bill that the spreadsheet holds, as UTF-8 csv."""
    limits, parts = meter.limits, XmlParts(archive, meter)
    workbook = read_workbook(parts, longest=limits.texts, most=limits.cells)
    sheet_name, part = _chosen(workbook, parts, limits)
    path = folder / "part-1"
    sheet = Sheet(workbook, limits)
    _write((list(sheet.rows()) for _ in parts.listening(part, sheet)), path, meter)
    if sheet.refusals:
        raise UnreadableBillError(*sheet.refusals)
    if not path.stat().st_size:
        raise UnreadableBillError(Refusal(f"the spreadsheet's sheet {printable(sheet_name)} is empty"))
    return Opened((Part(name, path),), (_REMARK,))


def _chosen(workbook: Workbook, parts: XmlParts, limits: Limits) -> tuple[str, str]:
    for name, part in workbook.sheets:
        if name == BILL_SHEET:
            return name, part
    filled = [(name, part) for name, part in workbook.sheets if _is_filled(Sheet(workbook, limits), parts, part)]
    if len(filled) == 1:
        return filled[0]
    if not filled:
        raise UnreadableBillError(Refusal("the spreadsheet is empty"))
    names = ", ".join(printable(name) for name, _ in filled)
    reason = f"the spreadsheet has several sheets, and none is called {BILL_SHEET}: {names}"
    raise UnreadableBillError(Refusal(reason, accepts=f"one sheet, or one of the name {BILL_SHEET}"))


def _is_filled(sheet: Sheet, parts: XmlParts, part: str) -> bool:
    for _ in parts.listening(part, sheet):
        if any(cells for _, cells in sheet.rows()):
            return True
    return bool(sheet.refusals)


def _write(batches: Iterator[list[Row]], path: Path, meter: Meter) -> None:
    """Write the rows, blank lines for what is missing between them; a title and what lies behind the last row are left out."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        line = width = written = 0
        for batch in batches:
            for number, cells in batch:
                if not width and sum(map(bool, cells)) >= _HEADER:
                    width = len(cells)
                if width and cells:
                    file.write("\n" * (number - line - 1))
                    writer.writerow(cells + [""] * (width - len(cells)))
                    line = number
            meter.count(file.tell() - written)
            written = file.tell()
