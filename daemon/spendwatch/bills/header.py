"""Finds the header of a bill file, and the one layout that it belongs to."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spendwatch.bills.layouts import LAYOUTS
from spendwatch.bills.layouts.layout import Field, Layout, normalised
from spendwatch.domain.errors import Refusal, UnreadableBillError

HEAD_SIZE = 1024 * 1024
"""How much of a file is looked at to find the header; also how much of it is always checked strictly."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first lines of a bill file say about the others."""

    layout: Layout
    places: Mapping[Field, int]
    """Where each field stands in a line, counting from 0."""
    cells: tuple[str, ...]
    lines: int
    """How many physical lines the header takes, blank ones before it included."""
    size: int
    """How many bytes the header takes, the byte-order mark included."""

    @property
    def ends_with_amount(self) -> bool:
        """Whether the billed cost is the last cell of a line."""
        return self.places[Field.BILLED_COST] == len(self.cells) - 1

    @property
    def has_times(self) -> bool:
        """Whether a line tells a time, from which a missing date can be taken."""
        return Field.TIME in self.places or Field.STARTS in self.places


def find_header(head: bytes) -> Header:
    """Return the header that the first bytes of a file hold, or raise `UnreadableBillError`."""
    start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    lines = 0
    while start < len(head):
        end = head.find(b"\n", start) + 1 or len(head)
        lines += 1
        line, start = head[start:end], end
        if line.strip():
            return _header(line, lines=lines, size=end)
    raise UnreadableBillError(Refusal("the file has no header line"))


def _header(line: bytes, *, lines: int, size: int) -> Header:
    try:
        cells = next(csv.reader([line.decode("utf-8").rstrip("\r\n")], strict=True))
    except UnicodeDecodeError as error:
        refusal = Refusal("the header is not UTF-8", line=lines, accepts="UTF-8, with or without byte-order mark")
        raise UnreadableBillError(refusal) from error
    except csv.Error as error:
        raise UnreadableBillError(Refusal(f"the header is not valid CSV: {error}", line=lines)) from error
    names = tuple(normalised(cell) for cell in cells)
    _refuse_repeated(names, line=lines)
    layout, places = recognise(names, line=lines)
    return Header(layout, places, names, lines, size)


def recognise(names: Sequence[str], *, line: int, layouts: Sequence[Layout] = LAYOUTS) -> tuple[Layout, Mapping[Field, int]]:
    """Return the one layout that the normalised names fit, and where its fields stand."""
    found = [(layout, layout.find(names)) for layout in layouts]
    fitting = [(layout, places) for layout, places in found if not layout.missing(places)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        candidates = ", ".join(layout.name for layout, _ in fitting)
        raise UnreadableBillError(Refusal(f"the header fits several layouts: {candidates}", line=line))
    layout, places = min(found, key=lambda candidate: (len(candidate[0].missing(candidate[1])), -len(candidate[1])))
    missing = ", ".join(layout.missing(places))
    reason = f"the header fits no known layout; the nearest, {layout.name}, needs also: {missing}"
    raise UnreadableBillError(Refusal(reason, line=line))


def _refuse_repeated(names: Sequence[str], *, line: int) -> None:
    repeated = [name for name, times in Counter(names).items() if times > 1 and name]
    if repeated:
        refusals = [Refusal("the header has this column more than once", line=line, column=name) for name in repeated]
        raise UnreadableBillError(*refusals)
