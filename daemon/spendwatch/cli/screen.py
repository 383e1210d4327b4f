"""How things look on a terminal: tables, bars, colours that only repeat what the words say."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import click
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_BAR = 20
_SAFE_WIDTH = 120
_ENDLESS = 10_000


def console(*, err: bool = False) -> Console:
    """Return a console; plain and wide enough for a table where there is no terminal."""
    stream = sys.stderr if err else sys.stdout
    return Console(file=stream, highlight=False, soft_wrap=True, width=None if stream.isatty() else _SAFE_WIDTH)


def clean(text: str) -> str:
    """Return hostile text for one table cell: no control characters, no markup."""
    return escape("".join(char if char.isprintable() else "�" for char in text))


def table(
    headings: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], *, wraps: str = "", wraps_at: int | None = None
) -> Table:
    """Return a table; each heading comes with its justification, `left` or `right`. One column may wrap, at that width."""
    found = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for place, (heading, justify) in enumerate(headings):
        is_fixed = heading != wraps
        # The library would measure every cell several times, which takes seconds for thousands of workspaces.
        width = max([cell_len(heading), *(_width(row[place]) for row in rows)]) if is_fixed else None
        side: Literal["left", "right"] = "right" if justify == "right" else "left"
        found.add_column(heading, justify=side, no_wrap=is_fixed, width=width, max_width=None if is_fixed else wraps_at)
    for row in rows:
        found.add_row(*row)
    return found


def print_whole(screen: Console, wide: Table) -> None:
    """Print a table of which nothing may be cut, however narrow the screen is: what is too long goes on in the next line."""
    screen.width = screen.measure(wide, options=screen.options.update(max_width=_ENDLESS)).maximum
    screen.print(wide)


def _width(cell: str) -> int:
    return _marked_width(cell) if "[" in cell else cell_len(cell)


@lru_cache(maxsize=1024)
def _marked_width(cell: str) -> int:
    return Text.from_markup(cell).cell_len


def fitting(screen: Console, tables: Iterable[Table]) -> Table:
    """Return the first table of which nothing need be cut on that screen, else the last."""
    endless = screen.options.update(max_width=_ENDLESS)
    for found in tables:
        if screen.measure(found, options=endless).maximum <= screen.width:
            break
    return found


def bar(share: Decimal | None) -> str:
    """Return a share as a bar of twenty places; an arrow says that it is more than the whole."""
    if share is None:
        return ""
    filled = min(_BAR, max(0, int(share * _BAR)))
    inside = "#" * (_BAR - 1) + ">" if share > 1 else "#" * filled + "." * (_BAR - filled)
    return escape(f"[{inside}]")


def when(moment: datetime | None, zone: tzinfo) -> str:
    """Return a time for people."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M") if moment else "never"


def print_json(value: object) -> None:
    """Write one JSON document to standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
