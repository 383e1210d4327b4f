"""Tables and JSON are written by other means than the libraries', and look the same."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from spendwatch.cli.screen import clean, print_json, table
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.period import BillingPeriod
from spendwatch.exact_json import json_fields

HEADINGS = ("WORKSPACE", "NAME", "SPENT", "", "STATE")
NUMBERS = ("SPENT",)
NAMES = (
    "Research",
    "团队 甲",
    "A team with a rather long name of its own",
    "[bold]hostile[/bold]",
    "a\x1b[31m\n",
    "is :warning: no sign",
    "",
    "x" * 60,
)
STATES = ("[bold red]critical[/]", "[yellow]warning[/]", "ok", "-")


def some_rows(seed: int) -> list[tuple[str, ...]]:
    dice = random.Random(seed)  # noqa: S311 -- the same rows every time
    return [
        (
            f"llm-{dice.randrange(10 ** dice.randrange(1, 12))}",
            clean(dice.choice(NAMES)),
            f"{dice.randrange(10 ** dice.randrange(1, 9)):,}.00",
            dice.choice(("", "[green]━━[/][dim]──┃ [/]", "[bold red]━━━━┃━[/]")),
            dice.choice(STATES),
        )
        for _ in range(dice.randrange(8))
    ]


def drawn_by_the_library(rows: Sequence[Sequence[str]], wraps: str, wraps_at: int | None) -> Table:
    found = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for place, heading in enumerate(HEADINGS):
        is_fixed = heading != wraps
        width = (
            max([cell_len(heading), *(Text.from_markup(row[place], emoji=False).cell_len for row in rows)])
            if is_fixed
            else None
        )
        side: Literal["left", "right"] = "right" if heading in NUMBERS else "left"
        most = None if is_fixed else wraps_at
        found.add_column(heading, justify=side, no_wrap=is_fixed, width=width, max_width=most)
    for row in rows:
        found.add_row(*row)
    return found


def shown(what: RenderableType, width: int) -> str:
    screen = Console(file=StringIO(), width=width, force_terminal=True, color_system="truecolor", soft_wrap=True, emoji=False)
    screen.print(what)
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue().replace("\x1b[0m\x1b[1m", "")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("wraps", "wraps_at"), [("NAME", 24), ("NAME", None), ("none", None)])
def test_a_table_looks_on_every_screen_as_the_library_draws_it(seed: int, wraps: str, wraps_at: int | None) -> None:
    rows = some_rows(seed)
    for width in range(20, 140, 5):
        ours = shown(table(HEADINGS, rows, right=NUMBERS, wraps=wraps, wraps_at=wraps_at), width)
        assert ours == shown(drawn_by_the_library(rows, wraps, wraps_at), width), width


def test_json_is_written_as_the_standard_library_writes_it(capsys: pytest.CaptureFixture[str]) -> None:
    value: dict[str, object] = {
        "text": 'é 团 \x00\x1f\x7f\u2028\\"/\b\t\n',
        "list": [],
        "none": None,
        "rows": [{"a": ({}, 1, True, 10**25)}],
    }
    print_json(value)
    assert capsys.readouterr().out == json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    with pytest.raises(UnicodeEncodeError, match="surrogates"):
        print_json({"file": "\udcff.csv"})


@dataclass(frozen=True)
class _Row:
    name: str = "x"
    spend: Money = Money(Decimal("12.50"), Currency("CNY"))  # noqa: RUF009 -- it cannot change
    share: Decimal = Decimal("1E+2")
    at: datetime = datetime(2026, 9, 16, 4, 0, 0, 123456, UTC)
    days: tuple[date, ...] = (date(2026, 9, 1),)
    month: BillingPeriod = BillingPeriod.parse("2026-09")  # noqa: RUF009 -- the same
    nothing: Decimal | None = None


def test_values_of_ours_are_json_without_floats_and_in_the_order_they_are_asked_for() -> None:
    found = json_fields(_Row(), "share", "name", spent="spend", currency="spend.currency", on="days")
    assert list(found.items()) == [
        ("share", "100"),
        ("name", "x"),
        ("spent", "12.5"),
        ("currency", "CNY"),
        ("on", ["2026-09-01"]),
    ]
    in_zone = json_fields(_Row(), "at", "month", "nothing", zone=ZoneInfo("Asia/Shanghai"))
    with pytest.raises(ValueError, match="in which zone"):
        json_fields(_Row(), "at")
    assert in_zone == {"at": "2026-09-16T12:00:00+08:00", "month": "2026-09", "nothing": None}
