"""Terminal output: tables, bars, and colours that only repeat what the text states."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from io import TextIOWrapper
from itertools import groupby
from typing import Literal, NamedTuple, TypeVar

import click
from pydantic_core import PydanticSerializationError, to_json
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from spendwatch.cli.exits import Exit
from spendwatch.cli.options import refuse
from spendwatch.domain.period import duration_text
from spendwatch.views import moments

when, held_by = moments.when, moments.held_by
_SAFE_WIDTH = 120
_ENDLESS = 10_000
_GAP = 2
_NARROW = 8
"""A column that would have to be narrower is left to the library."""
_LINE = Segment.line()


def console(*, err: bool = False) -> Console:
    """Return a console; plain and wide enough for a table where there is no terminal."""
    stream = sys.stderr if err else sys.stdout
    if isinstance(stream, TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
        stream.reconfigure(errors="replace")  # names in other scripts must not end the command
    return Console(file=stream, highlight=False, emoji=False, soft_wrap=True, width=None if stream.isatty() else _SAFE_WIDTH)


def parsed(text: str) -> Text:
    """Return a text with its markup; what is written like `:cat:` stays what it is."""
    return Text.from_markup(text, emoji=False)


def clean(text: str) -> str:
    """Return hostile text for one table cell: no control characters, no markup."""
    return escape(text if text.isprintable() else "".join(char if char.isprintable() else "�" for char in text))


class Rows(NamedTuple):
    """A table. The library, which lays out each cell on its own, draws only its headings, and what has no room on the screen.

    Of ten thousand workspaces it would draw for 11 s.
    """

    headings: Sequence[str]
    right: Collection[str]
    """Headings of the columns that are justified to the right."""
    rows: Sequence[Sequence[str]]
    widths: Sequence[int]
    """Of each column, without the gap behind it."""
    wrapped: int | None
    """The one column that may wrap."""

    @property
    def width(self) -> int:
        """How wide it is where nothing else wraps or is cut."""
        return sum(self.widths) + _GAP * (len(self.widths) - 1)

    @property
    def least(self) -> int:
        """How wide it is where one column wraps, and no word of it is cut."""
        if self.wrapped is None:
            return self.width
        names = (parsed(row[self.wrapped]).plain for row in self.rows)
        words = (word for name in (self.headings[self.wrapped], *names) for word in name.split())
        return self.width - self.widths[self.wrapped] + max(map(cell_len, words))

    def without(self, left_out: Collection[str]) -> Rows:
        """Return it without the columns of these headings."""
        kept = [place for place, heading in enumerate(self.headings) if heading not in left_out]
        rows = [[row[place] for place in kept] for row in self.rows]
        wrapped = kept.index(self.wrapped) if self.wrapped in kept else None
        return Rows([self.headings[place] for place in kept], self.right, rows, [self.widths[place] for place in kept], wrapped)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return how wide it is when nothing else wraps or is cut."""
        del console
        return Measurement(self.width, self.width).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield its lines."""
        excess = self.width - options.max_width
        widths = list(self.widths)
        if excess > 0:
            if self.wrapped is None or widths[self.wrapped] - excess < _NARROW:
                yield self._drawn(widths, self.wrapped, self.rows)
                return
            widths[self.wrapped] -= excess
        yield self._drawn(widths, None, ())
        ends = [*(_GAP for _ in widths[1:]), 0]
        columns = [(width, end, name in self.right) for width, end, name in zip(widths, ends, self.headings, strict=True)]
        for row in self.rows:
            for line in self._lines(row, widths, console):
                yield from _pieces(line, columns, console)
                yield _LINE

    def _lines(self, row: Sequence[str], widths: Sequence[int], console: Console) -> Iterator[Sequence[str]]:
        """Yield the lines that a row needs: more than one where a cell wraps."""
        if self.wrapped is None or _width(row[self.wrapped]) <= (width := widths[self.wrapped]):
            yield row
            return
        for number, part in enumerate(parsed(row[self.wrapped]).wrap(console, width, overflow="ellipsis")):
            others = ["" for _ in row] if number else row
            yield [*others[: self.wrapped], part.markup, *others[self.wrapped + 1 :]]

    def _drawn(self, widths: Sequence[int], wrapped: int | None, rows: Iterable[Sequence[str]]) -> Table:
        found = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
        for place, (heading, width) in enumerate(zip(self.headings, widths, strict=True)):
            side: Literal["left", "right"] = "right" if heading in self.right else "left"
            fixed, most = (None, width) if place == wrapped else (width, None)
            found.add_column(heading, justify=side, no_wrap=place != wrapped, width=fixed, max_width=most)
        for row in rows:
            found.add_row(*row)
        return found


def _pieces(row: Sequence[str], columns: Sequence[tuple[int, int, bool]], console: Console) -> Iterator[Segment]:
    plain = ""
    for cell, (width, end, is_right) in zip(row, columns, strict=True):
        blank = " " * (width - _width(cell))
        if is_right:
            plain += blank
        if not _has_markup(cell):
            plain += cell
        else:
            for text, style, _ in _styled(cell, console):
                if not style:
                    plain += text
                else:
                    yield Segment(plain)
                    yield Segment(text, style)
                    plain = ""
        plain += " " * end if is_right else blank + " " * end
    yield Segment(plain)


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    wraps: str = "",
    wraps_at: int | None = None,
) -> Rows:
    """Return a table; `right`: the headings of numbers. One column may wrap, at that width."""
    widths = [max(_width(cell) for cell in column) for column in zip(headings, *rows, strict=True)]
    wrapped = headings.index(wraps) if wraps and wraps in headings else None
    if wrapped is not None and wraps_at is not None:
        widths[wrapped] = min(widths[wrapped], wraps_at)
    return Rows(headings, right, rows, widths, wrapped)


def print_whole(screen: Console, wide: Rows) -> None:
    """Print a table of which nothing may be cut, however narrow the screen is: what is too long goes on in the next line."""
    screen.width = screen.measure(wide, options=screen.options.update(max_width=_ENDLESS)).maximum
    screen.print(wide)


def _has_markup(cell: str) -> bool:
    return "[" in cell


def _width(cell: str) -> int:
    if _has_markup(cell):
        return _marked_width(cell)
    return len(cell) if cell.isascii() else cell_len(cell)


@lru_cache(maxsize=1024)
def _marked_width(cell: str) -> int:
    return parsed(cell).cell_len


@lru_cache(maxsize=1024)
def _styled(cell: str, console: Console) -> tuple[Segment, ...]:
    return tuple(parsed(cell).render(console))


def fitting(screen: Console, tables: Iterable[Rows]) -> Rows:
    """Return the first table of which nothing need be cut on that screen, else the last."""
    endless = screen.options.update(max_width=_ENDLESS)
    for found in tables:
        if screen.measure(found, options=endless).maximum <= screen.width:
            break
    return found


_MARKS = {"critical": "✗", "warning": "!", "notice": "·", "unknown": "?", "ok": "✓"}
_PLAIN_MARKS = {"critical": "x", "warning": "!", "notice": "-", "unknown": "?", "ok": "+"}
COLOURS = {"critical": "bold red", "warning": "yellow", "unknown": "yellow", "ok": "green"}
"""By the word for a severity or a state."""
_BAR, _PLAIN_BAR = ("━", "─", "┃", "◇"), ("=", "-", "|", "o")
"""What is spent, what is left, where the budget ends, what is likely."""
_OVER = Decimal("0.25")
"""How much more than the budget a bar shows."""


def legend(screen: Console) -> str:
    """Return what the parts of a bar mean."""
    spent, _, end, ahead = _BAR if _can_draw(screen) else _PLAIN_BAR
    return f"{spent} spent  {end} budget  {ahead} expected by the end of the month"


def _can_draw(screen: Console) -> bool:
    """Return whether more than ASCII can be shown."""
    return screen.encoding.startswith("utf")


def marked(word: str, screen: Console, text: str = "") -> str:
    """Return the text behind the mark and in the colour of this severity or state; its own word, unless another is given."""
    marks = _MARKS if _can_draw(screen) else _PLAIN_MARKS
    return coloured(word, f"{marks[word]} {text or word}" if word in marks else text)


def coloured(word: str, text: str) -> str:
    """Return the text in the colour of this severity or state."""
    colour = COLOURS.get(word)
    return f"[{colour}]{text}[/]" if colour else text


def flow(screen: Console, parts: Iterable[str], *, gap: str = "   ", indent: str = "  ") -> Text:
    """Return parts with markup one after the other; a line ends between two of them, or at a blank of one that is too long."""
    lines: list[Text] = []
    for part in map(parsed, parts):
        if lines and lines[-1].cell_len + len(gap) + part.cell_len <= screen.width:
            lines[-1].append(gap).append_text(part)
        else:
            room = screen.width - (len(indent) if lines or part.cell_len > screen.width else 0)
            for piece in part.wrap(screen, room):
                lines.append(Text(indent if lines else "").append_text(piece))
    return Text("\n").join(lines)


def shortened(text: str, cells: int, screen: Console) -> str:
    """Return the words of a text that fit."""
    if cell_len(text) <= cells:
        return text
    kept = text[:cells]
    while cell_len(kept) > cells - len(" ..."):
        kept = kept.rpartition(" ")[0] if " " in kept else kept[:-1]
    return f"{kept} {'…' if _can_draw(screen) else '...'}"


def bar(share: Decimal, likely: Decimal | None, width: int, screen: Console, colour: str) -> str:
    """Return a share of a budget as a bar, with a mark where the budget ends, and one at what is likely."""
    spent, rest, end, ahead = _BAR if _can_draw(screen) else _PLAIN_BAR
    whole = width * 4 // 5

    def place(part: Decimal) -> int:
        beyond = int((part - 1) / _OVER * (width - whole - 1))
        return int(max(part, Decimal(0)) * whole) if part < 1 else min(whole + 1 + beyond, width - 1)

    filled = place(share) + (share > 1)
    cells = [spent if at < filled else rest if at < whole else " " for at in range(width)]
    cells[whole] = end
    if likely is not None and place(likely) >= filled:
        cells[place(likely)] = ahead
    used, colours = "".join(cells[:filled]), {end: "bold", ahead: "cyan"}
    left = "".join(f"[{colours.get(cell, 'dim')}]{''.join(some)}[/]" for cell, some in groupby(cells[filled:]))
    return (f"[{colour}]{used}[/]" if colour and used else used) + left


def age_text(age: timedelta) -> str:
    """Return an age in its largest unit."""
    return " ".join(duration_text(age).split()[:2])


T = TypeVar("T")


def print_list(
    name: str,
    found: Sequence[T],
    as_json: Callable[[T], dict[str, object]] | None,
    headings: Sequence[str],
    row: Callable[[T], Sequence[str]],
    *,
    none: str,
    right: Collection[str] = (),
    wraps: str = "",
    is_whole: bool = False,
    less: Sequence[str] = (),
) -> Exit:
    """Print what a command lists: one JSON document, a table, or that there is none. `is_whole`: nothing of it may be cut.

    `less`: the columns that a narrow screen does without, in this order, before a word is cut.
    """
    if as_json:
        print_json({"schema_version": 1, name: [as_json(one) for one in found]})
    elif not found:
        console().print(none)
    else:
        screen, drawn = console(), table(headings, [row(one) for one in found], right=right, wraps=wraps)
        for heading in less:
            if drawn.least > screen.width:
                drawn = drawn.without([heading])
        (print_whole if is_whole else Console.print)(screen, drawn)
    return Exit.DONE


def the_one(found: Sequence[T], what: str, asked: str, see: str) -> T:
    """Return the only one whose id begins as asked, or fail with where to look."""
    if len(found) != 1:
        many = f"{len(found)} {what[:-1] + 'ies' if what.endswith('y') else what + 's'}" if found else f"no {what}"
        refuse(f"{many} with an id beginning with {asked!r}; see `{see}`", what.upper())
    return found[0]


def print_json(value: object) -> None:
    """Write one JSON document to standard output."""
    try:
        # The standard library writes indented JSON in Python: a second for ten thousand workspaces.
        text = to_json(value, indent=2).decode()
    except PydanticSerializationError:  # a file name that is no UTF-8
        text = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo(text)
