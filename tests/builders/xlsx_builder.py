"""Builds spreadsheets: by a library, as other programs do (`a_spreadsheet`), or by hand, wrong in any way (`raw_spreadsheet`).

content = a_spreadsheet({"账单明细": [["编号", "金额"], ["id-1", 1.25]]})
content = raw_spreadsheet({"Sheet1": '<row r="1"><c r="A1"><v>1</v></c></row>'})
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

import openpyxl
from openpyxl.cell.cell import KNOWN_TYPES

from zip_builder import a_member, a_zip

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"

Rows = Iterable[Sequence[object]]


def a_spreadsheet(sheets: Mapping[str, Rows], *, formats: Mapping[str, str] | None = None) -> bytes:
    """Return a file as openpyxl writes it; `formats` are number formats by cell, for the first sheet."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append([value if isinstance(value, KNOWN_TYPES) or value is None else str(value) for value in row])
    for place, code in (formats or {}).items():
        book.worksheets[0][place].number_format = code
    written = io.BytesIO()
    book.save(written)
    return _without_times(written.getvalue())


def _without_times(written: bytes) -> bytes:
    """Return the file as if it had been written at a fixed time: the same rows are the same bytes."""
    fixed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(written)) as before, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"20[0-9-]{8}T[0-9:]{8}Z", b"2026-10-01T00:00:00Z", content)
            after.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return fixed.getvalue()


def raw_parts(
    sheets: Mapping[str, str],
    *,
    texts: Sequence[str] | None = None,
    formats: Sequence[str | int] = (),
    is_1904: bool = False,
    prefix: str = "",
) -> dict[str, str]:
    """Return the parts of a file whose sheets hold these rows; style n shows numbers by `formats[n]`, a code or a number."""
    names = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>' for number, name in enumerate(sheets, start=1)
    )
    links = "".join(
        f'<Relationship Id="rId{number}" Type="{LINKS}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in range(1, len(sheets) + 1)
    )
    links += (
        f'<Relationship Id="strings" Type="{LINKS}/sharedStrings" Target="/xl/sharedStrings.xml"/>' if texts is not None else ""
    )
    links += f'<Relationship Id="styles" Type="{LINKS}/styles" Target="styles.xml"/>' if formats else ""
    properties = f'<workbookPr date1904="{int(is_1904)}"/>'
    parts = {
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}">{properties}<sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>',
    }
    for number, rows in enumerate(sheets.values(), start=1):
        colon = f":{prefix}" if prefix else ""
        tag = f"{prefix}:" if prefix else ""
        content = f'<{tag}worksheet xmlns{colon}="{MAIN}"><{tag}sheetData>{rows}</{tag}sheetData></{tag}worksheet>'
        parts[f"xl/worksheets/sheet{number}.xml"] = content
    if texts is not None:
        items = "".join(f"<si>{text if text.startswith('<') else f'<t>{escape(text)}</t>'}</si>" for text in texts)
        parts["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}">{items}</sst>'
    if formats:
        codes = {number: code for number, code in enumerate(formats, start=164) if isinstance(code, str)}
        own = "".join(f'<numFmt numFmtId="{number}" formatCode={quoteattr(code)}/>' for number, code in codes.items())
        numbers = [code if isinstance(code, int) else number for number, code in enumerate(formats, start=164)]
        styles = "".join(f'<xf numFmtId="{number}"/>' for number in numbers)
        parts["xl/styles.xml"] = f'<styleSheet xmlns="{MAIN}"><numFmts>{own}</numFmts><cellXfs>{styles}</cellXfs></styleSheet>'
    return parts


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """Return the parts as one file."""
    return a_zip(*(a_member(name, part.encode() if isinstance(part, str) else part) for name, part in parts.items()))


def raw_spreadsheet(sheets: Mapping[str, str], **options: object) -> bytes:
    """Return a file whose sheets hold these rows, written as XML."""
    return zipped(raw_parts(sheets, **options))  # type: ignore[arg-type]
