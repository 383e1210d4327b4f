"""The parts of a spreadsheet file (xlsx) other than its cells: sheets, shared texts, date formats."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spendwatch.bills.unpacking.cell_numbers import Look, look_of
from spendwatch.bills.unpacking.limits import Meter
from spendwatch.bills.unpacking.zip_archive import ZipArchive
from spendwatch.domain.errors import Refusal, UnreadableBillError
from spendwatch.xml_stream import Listener, MarkupError, listening

WORKBOOK = "xl/workbook.xml"

_LINKS = "xl/_rels/workbook.xml.rels"
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LONG = 10
_TRUE = frozenset({"1", "true", "on"})


@dataclass(frozen=True, slots=True)
class Workbook:
    """What is needed to read the sheets of a spreadsheet file."""

    sheets: Sequence[tuple[str, str]]
    """The names of the sheets, each with the name of its part."""
    texts: Sequence[str]
    """The texts that cells refer to by number."""
    looks: Sequence[Look]
    """As what each style shows numbers."""
    is_1904: bool
    """Whether days are counted from 1904, as old Macs did."""


class XmlParts:
    """The XML parts of a spreadsheet file, each read as a stream."""

    def __init__(self, archive: ZipArchive, meter: Meter) -> None:
        """Read nothing yet."""
        self._archive = archive
        self._members = {member.filename: member for member in archive.members}
        self._meter = meter

    def heard(self, name: str, listener: Listener) -> None:
        """Tell the listener of everything in the part."""
        for _ in self.listening(name, listener):
            pass

    def listening(self, name: str, listener: Listener) -> Iterator[None]:
        """Tell the listener of the part, and yield now and then: who has heard enough stops there."""
        if name not in self._members:
            raise UnreadableBillError(Refusal(f"the spreadsheet is damaged: it lacks its part {name}"))
        try:
            yield from listening(self._pieces(name), listener, most=self._meter.limits.tags)
        except MarkupError as error:
            raise UnreadableBillError(Refusal(f"the spreadsheet's part {name} {error}")) from error

    def _pieces(self, name: str) -> Iterator[bytes]:
        for piece in self._archive.pieces(self._members[name]):
            self._meter.count(len(piece))
            yield piece


def read_workbook(parts: XmlParts, *, longest: int, most: int) -> Workbook:
    """Return the workbook; its shared texts may be so many, and have so many characters together."""
    links, names = _Links(), _Names()
    parts.heard(_LINKS, links)
    parts.heard(WORKBOOK, names)
    texts, styles = _Texts(longest, most), _Styles()
    for kind, listener in (("sharedStrings", texts), ("styles", styles)):
        for part in links.found.get(kind, {}).values():
            parts.heard(part, listener)
    sheets = links.found.get("worksheet", {})
    return Workbook(
        sheets=[(name, sheets[link]) for name, link in names.sheets if link in sheets],
        texts=texts.found,
        looks=styles.looks(),
        is_1904=names.is_1904,
    )


def unescaped(text: str) -> str:
    """Return a text with its characters that XML cannot hold, which spreadsheets write as `_x000D_`."""
    return _ESCAPE.sub(_character, text) if "_x" in text else text


def as_number(text: str | None) -> int:
    """Return what a number without sign says, or -1 if the text is none."""
    return int(text) if text and len(text) < _LONG and text.isascii() and text.isdigit() else -1


def _character(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return found[0] if "\ud800" <= character <= "\udfff" else character


class _Links(Listener):
    """Where the parts are that the workbook refers to: their names by link, by kind."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, str]] = {}

    def starts(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            kind = attributes.get("Type", "").rpartition("/")[2]
            target = posixpath.normpath(posixpath.join("/xl", attributes.get("Target", ""))).lstrip("/")
            self.found.setdefault(kind, {})[attributes.get("Id", "")] = target


class _Names(Listener):
    """The sheets' names and links, in their order."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []
        self.is_1904 = False

    def starts(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            link = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            self.sheets.append((attributes.get("name", ""), link))
        elif name == "workbookPr":
            self.is_1904 = attributes.get("date1904", "").lower() in _TRUE


class _Texts(Listener):
    """The texts that sheets share; how Chinese is pronounced is not part of them."""

    def __init__(self, longest: int, most: int) -> None:
        self.found: list[str] = []
        self._left, self._most = longest, most
        self._runs: list[str] = []
        self._is_aside = False

    def starts(self, name: str, _attributes: dict[str, str]) -> None:
        if name == "si":
            self._runs = []
        elif name == "rPh":
            self._is_aside = True

    def ends(self, name: str, text: str) -> None:
        if name == "t" and not self._is_aside:
            self._left -= len(text)
            self._runs.append(text)
        elif name == "rPh":
            self._is_aside = False
        elif name == "si":
            self.found.append(unescaped("".join(self._runs)))
        if self._left < 0 or len(self.found) > self._most:
            raise UnreadableBillError(Refusal("the spreadsheet's shared texts are too many or too long", accepts="csv"))


class _Styles(Listener):
    """The number formats of the cells' styles."""

    def __init__(self) -> None:
        self._codes: dict[int, str] = {}
        self._formats: list[int] = []
        self._within = ""

    def starts(self, name: str, attributes: dict[str, str]) -> None:
        if name in {"numFmts", "cellXfs"}:
            self._within = name
        elif name == "numFmt" and self._within == "numFmts":
            self._codes[as_number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif name == "xf" and self._within == "cellXfs":
            self._formats.append(as_number(attributes.get("numFmtId")))

    def ends(self, name: str, _text: str) -> None:
        if name == self._within:
            self._within = ""

    def looks(self) -> list[Look]:
        return [look_of(number, self._codes.get(number)) for number in self._formats]
