"""What `status` shows in the usual situations, on screens of every width: compared with texts that somebody looked at."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from home import Home, lines_worth
from screens import SITUATIONS, drawn, situation
from spendwatch.store.database import Database
from spendwatch.store.opening import open_database

GOLDEN = Path(__file__).parents[1] / "data" / "status"
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_BAR = re.compile(r"[━─┃◇]+")


@pytest.fixture
def ledger_file(empty_ledger: Path, tmp_path: Path) -> Iterator[Database]:
    """A ledger in a file: where only the drawing is looked at, one kind of database is enough."""
    shutil.copy(empty_ledger, tmp_path / "ledger.db")
    opened = open_database(str(tmp_path / "ledger.db"))
    yield opened
    opened.close()


@pytest.mark.parametrize("name", sorted(SITUATIONS))
def test_the_screen_is_that_of_the_golden_file(name: str, database: Database) -> None:
    assert drawn(situation(name, database), 80) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(SITUATIONS))
def test_no_width_cuts_a_word_and_colours_only_repeat_what_is_written(name: str, ledger_file: Database) -> None:
    rounds = situation(name, ledger_file)
    widest = set(_BAR.sub("", drawn(rounds, 400)).split()) | {"…", "ABOUT", "NAME"}
    for width in (60, 80, 100, 140):
        shown = drawn(rounds, width)
        assert [line for line in shown.splitlines() if len(line) > width] == []
        assert set(_BAR.sub("", shown).split()) - widest == set(), width
        coloured = _ESCAPE.sub("", drawn(rounds, width, colours=True))
        assert "\n".join(line.rstrip() for line in coloured.splitlines()) + "\n" == shown


def test_a_terminal_that_knows_only_ascii_gets_marks_and_bars_of_it(ledger_file: Database) -> None:
    rounds = situation("forty", ledger_file)
    shown = drawn(rounds, 80, encoding="ascii")
    assert "x critical  Team 01            112.00     100.00  =============|==o  112%" in shown
    assert "! warning " in shown
    assert "+ daemon running" in shown


def test_forty_workspaces_that_cross_at_once_leave_room_and_all_of_them_are_to_be_had(ledger_file: Database) -> None:
    rounds = situation("forty-at-once", ledger_file)
    shown, everything = drawn(rounds, 80), drawn(rounds, 80, everything=True)
    assert len(shown.splitlines()) <= 60
    assert re.search(r"✗ critical  20 more \(--all\) +2,210.00\n", shown)
    assert "and 31 more: spendwatch status --all" in shown
    for number in range(1, 41):
        row = f"✗ critical .* Team {number:02d} +{number + 100}.00 "
        assert re.search(row, everything), number
        assert f"Team {number:02d} used " in everything
    assert "--all" not in everything


def test_a_real_terminal_gets_colours_unless_somebody_wants_none(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.furnish()
    home.watch(budget="50.00")
    home.drop(lines_worth("60"))
    home.call("once")
    for no_color, wanted in (("", True), ("1", False)):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "50", "PYTHONIOENCODING": "utf-8"}
        environment.pop("NO_COLOR", None)
        environment |= {"NO_COLOR": no_color} if no_color else {}
        command = [sys.executable, "-m", "spendwatch", "--config", str(home.folder), "status"]
        subprocess.run(command, env=environment, stdin=theirs, stdout=theirs, check=True)
        os.close(theirs)
        shown = os.read(ours, 1 << 16).decode()
        os.close(ours)
        assert ("\x1b[1;31m✗ critical" in shown) == wanted
        assert "✗ critical  Research" in _ESCAPE.sub("", shown)
        assert "\x1b[31m" not in shown or wanted
