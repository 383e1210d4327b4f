"""Finds the header of a bill file and its layout."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from spendwatch.bills.layouts import ALL_LAYOUTS, LAYOUTS
from spendwatch.bills.layouts.focus import FOCUS, OTHER_DATASETS
from spendwatch.bills.layouts.layout import Field, Layout, normalised
from spendwatch.bills.unpacking.encodings import first_line
from spendwatch.domain.errors import Refusal, UnreadableBillError

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_AS_EXPORTED = "the bill as exported, with commas: do not save it from a spreadsheet"

_NO_CHANCE = 3
"""So many columns of one layout are not named by chance."""


class Header(NamedTuple):
    """What the first lines of a bill file say about the others."""

    layout: Layout
    places: Mapping[Field, int]
    """Where each field stands in a line, counting from 0."""
    cells: tuple[str, ...]
    """The names of the columns as the file writes them."""
    lines: int
    """How many physical lines the header takes, blank ones before it included."""
    size: int
    """How many bytes the header takes, the byte-order mark included."""

    @property
    def ends_with_amount(self) -> bool:
        """Whether the billed cost is the last cell of a line."""
        return self.places[Field.BILLED_COST] == len(self.cells) - 1


class Expected(NamedTuple):
    """What is known of a file's layout before its header is seen."""

    names: tuple[str, ...] = ()
    """What the bill is called, and what it came in; the first that has words for it decides where a header fits two layouts."""
    layout: str = ""
    """The layout that the configuration names; empty for none."""


NOTHING_EXPECTED = Expected()


def find_header(head: bytes, expected: Expected = NOTHING_EXPECTED, layouts: Sequence[Layout] = LAYOUTS) -> Header:
    """Return the header that the first bytes of a file hold, or raise `UnreadableBillError`."""
    start, end = first_line(head)
    if start == end:
        raise UnreadableBillError(Refusal("the file has no header line"))
    lines = 1 + head.count(b"\n", 0, start)
    try:
        text = head[start:end].decode("utf-8")
        cells = tuple(next(csv.reader([text], strict=True)))
    except UnicodeDecodeError as error:
        refusal = Refusal("the header is not UTF-8", line=lines, accepts="UTF-8, with or without byte-order mark")
        raise UnreadableBillError(refusal) from error
    except csv.Error as error:
        raise UnreadableBillError(Refusal(f"the header is not valid CSV: {error}", line=lines)) from error
    try:
        layout, places = recognise(tuple(map(normalised, cells)), line=lines, expected=expected, layouts=layouts)
    except UnreadableBillError as error:
        sign = next((called for sign, called in _SEPARATORS.items() if is_header(text, sign)), "")
        if not sign:
            raise
        refusal = Refusal(f"the cells are separated by {sign}, not by commas", line=lines, accepts=_AS_EXPORTED)
        raise UnreadableBillError(refusal) from error
    _refuse_repeated(cells, places, line=lines)
    return Header(layout, places, cells, lines, head.find(b"\n", end) + 1 or len(head))


def is_header(line: str, separator: str = ",") -> bool:
    """Return whether a line is the header of some layout, or nearly so: then it names too many columns to do so by chance."""
    try:
        cells = next(csv.reader([line.rstrip("\r\n")], strict=True, delimiter=separator), [])
    except csv.Error:
        return False
    names = tuple(map(normalised, cells))
    found = [(layout, layout.find(names)) for layout in ALL_LAYOUTS]
    return any(layout.fits(places) or len(places) >= _NO_CHANCE for layout, places in found)


def recognise(
    names: Sequence[str],
    *,
    line: int,
    expected: Expected = NOTHING_EXPECTED,
    layouts: Sequence[Layout] = LAYOUTS,
) -> tuple[Layout, Mapping[Field, int]]:
    """Return the one layout that the normalised names fit, and where its fields stand."""
    wanted = [layout for layout in layouts if expected.layout in {"", layout.name}]
    if not wanted:
        known = ", ".join(layout.name for layout in layouts)
        raise UnreadableBillError(Refusal(f"no layout is called {expected.layout!r}", accepts=known))
    if refusal := _other_dataset(names, line):
        raise UnreadableBillError(refusal)
    found = [(layout, layout.find(names)) for layout in wanted]
    fitting = [(layout, places) for layout, places in found if layout.fits(places)]
    for name in expected.names:
        fitting = _meant(fitting, name.casefold()) if len(fitting) > 1 else fitting
    if len(fitting) == 1:
        return fitting[0]
    raise UnreadableBillError(_several(fitting, line) if fitting else _none(found, line))


def _meant(fitting: Sequence[tuple[Layout, Mapping[Field, int]]], name: str) -> list[tuple[Layout, Mapping[Field, int]]]:
    """Return the layouts that the file's name speaks of, the longest word first; all of them if it speaks of none."""
    words = sorted((mark for layout, _ in fitting for mark in layout.marks if mark in name), key=len, reverse=True)
    # `consumedetailbillv2daysummary` has the word of the detail in it, too: what stands behind that decides.
    if "daysummary" in name and "daysummary" in words:
        words = ["daysummary"]
    return [(layout, places) for layout, places in fitting if words[0] in layout.marks] if words else list(fitting)


def _several(fitting: Sequence[tuple[Layout, Mapping[Field, int]]], line: int) -> Refusal:
    candidates = ", ".join(layout.name for layout, _ in fitting)
    differing = {field for layout, _ in fitting for field in layout.absent}
    columns = dict.fromkeys(layout.column(field) for layout, _ in fitting for field in layout.columns if field in differing)
    mend = f"export it with {' or '.join(columns)}, or " if columns else ""
    accepts = f"{mend}keep the file's own name, or set `layout` of its source in the configuration"
    return Refusal(f"the header matches several layouts: {candidates}", line=line, accepts=accepts)


def _other_dataset(names: Sequence[str], line: int) -> Refusal | None:
    """Return that the file is another dataset of FOCUS: some of them have amounts, but they are the same money once more."""
    if FOCUS.find(names).keys() & {Field.STARTS, Field.SERVICE}:
        return None
    told = next((dataset for dataset, column in OTHER_DATASETS.items() if normalised(column) in names), "")
    reason = f"the FOCUS dataset {told}, which has no charges by service and period"
    return Refusal(reason, line=line, accepts="the FOCUS dataset CostAndUsage") if told else None


def _none(found: Sequence[tuple[Layout, Mapping[Field, int]]], line: int) -> Refusal:
    def distance(candidate: tuple[Layout, Mapping[Field, int]]) -> tuple[int, int]:
        layout, places = candidate
        return -len(places), len(layout.missing(places)) + len(layout.surplus(places))

    layout, places = min(found, key=distance)
    if not places and len(found) > 1:
        return Refusal("the header matches no known layout, and no column of any", line=line, accepts=_AS_EXPORTED)
    missing, surplus = ", ".join(layout.missing(places)), ", ".join(layout.surplus(places))
    trouble = f"needs also: {missing}" if missing else f"has no: {surplus}"
    return Refusal(f"the header matches no known layout; the nearest, {layout.name}, {trouble}", line=line)


def _refuse_repeated(cells: Sequence[str], places: Mapping[Field, int], *, line: int) -> None:
    """Refuse a header that names a column twice that we read: it would be ambiguous."""
    times = Counter(map(normalised, cells))
    repeated = [cells[place] for place in sorted(set(places.values())) if times[normalised(cells[place])] > 1]
    if repeated:
        refusals = [Refusal("the header has this column more than once", line=line, column=name) for name in repeated]
        raise UnreadableBillError(*refusals)
