"""The parts of a spreadsheet file (xlsx) other than its cells: sheets, shared texts, date formats."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from spendwatch.bills.unpacking.cell_numbers import Look, look_of
from spendwatch.bills.unpacking.limits import Meter
from spendwatch.bills.unpacking.zip_archive import ZipArchive
from spendwatch.domain.errors import Refusal, UnreadableBillError
from spendwatch.xml_stream import Listener, MarkupError, Tree, listening

WORKBOOK = "xl/workbook.xml"

_LINKS = "xl/_rels/workbook.xml.rels"
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LONG = 10
_MOST_ELEMENTS = 500_000
"""Of a part that is neither a sheet nor texts: it is held in memory."""
_TRUE = frozenset({"1", "true", "on"})


class Workbook(NamedTuple):
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

    def tree(self, name: str) -> Element:
        """Return the part's root element."""
        tree = Tree()
        for _ in self.listening(name, tree, most=_MOST_ELEMENTS):
            pass
        return tree.root

    def listening(self, name: str, listener: Listener, *, most: int | None = None) -> Iterator[None]:
        """Tell the listener of the part, and yield now and then: who has heard enough stops there."""
        if name not in self._members:
            raise UnreadableBillError(Refusal(f"the spreadsheet is damaged: it lacks its part {name}"))
        try:
            yield from listening(self._pieces(name), listener, most=most or self._meter.limits.tags)
        except MarkupError as error:
            raise UnreadableBillError(Refusal(f"the spreadsheet's part {name} {error}")) from error

    def _pieces(self, name: str) -> Iterator[bytes]:
        for piece in self._archive.pieces(self._members[name]):
            self._meter.count(len(piece))
            yield piece


def read_workbook(parts: XmlParts, *, longest: int, most: int) -> Workbook:
    """Return the workbook; its shared texts may be so many, and have so many characters together."""
    links, root = _linked(parts.tree(_LINKS)), parts.tree(WORKBOOK)
    texts = _Texts(longest, most)
    for part in links.get("sharedStrings", {}).values():
        parts.heard(part, texts)
    sheets = links.get("worksheet", {})
    named = (
        (sheet.get("name", ""), value) for sheet in root.iter("sheet") for key, value in sheet.items() if key.endswith(":id")
    )
    return Workbook(
        sheets=[(name, sheets[link]) for name, link in named if link in sheets],
        texts=texts.found,
        looks=[look for part in links.get("styles", {}).values() for look in _looks(parts.tree(part))],
        is_1904=any(one.get("date1904", "").lower() in _TRUE for one in root.iter("workbookPr")),
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


def _linked(root: Element) -> dict[str, dict[str, str]]:
    """Return where the parts are that the workbook refers to: their names by link, by kind."""
    found: dict[str, dict[str, str]] = {}
    for one in root.iter("Relationship"):
        target = posixpath.normpath(posixpath.join("/xl", one.get("Target", ""))).lstrip("/")
        found.setdefault(one.get("Type", "").rpartition("/")[2], {})[one.get("Id", "")] = target
    return found


def _looks(root: Element) -> Iterator[Look]:
    """Yield as what each of the cells' styles shows numbers."""
    codes = {as_number(one.get("numFmtId")): one.get("formatCode", "") for one in root.iterfind("numFmts/numFmt")}
    for style in root.iterfind("cellXfs/xf"):
        number = as_number(style.get("numFmtId"))
        yield look_of(number, codes.get(number))


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
