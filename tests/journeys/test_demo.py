"""The demo, with the real program: a month in which every alert comes once, with the figures that are behind it."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal

import pytest


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the program shows, once it is certain that it went well and left nothing behind."""
    folder = tmp_path_factory.mktemp("nowhere")
    command = [sys.executable, "-m", "spendwatch", "demo"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(folder.iterdir()) == []
    return done.stdout


def _amount(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def test_the_thresholds_come_with_their_amounts_and_once_each(shown: str) -> None:
    reached = r"\| (\w+) has reached (\d+)% of its .* budget\n  Spent so far +CNY ([0-9,.]+) +(\d+)% of CNY"
    found = re.findall(reached, shown)
    budgets = {"Research": Decimal(700), "Training": Decimal(150)}
    assert sorted((name, share) for name, share, *_ in found) == [
        (name, share) for name in ("Research", "Training") for share in ("50", "80")
    ]
    for name, share, spent, used in found:
        assert int(share) <= int(used) == int(_amount(spent) / budgets[name] * 100)


def test_the_floors_come_from_the_highest_down_with_the_balance_below_them(shown: str) -> None:
    floors = re.findall(r"balance of acme is below CNY ([0-9,.]+)\n", shown)
    available = re.findall(r"  = Available +CNY ([0-9,.]+)\n", shown)
    assert floors == ["400.00", "200.00"]
    assert all(_amount(below) < _amount(floor) for floor, below in zip(floors, available, strict=True))


def test_every_notification_arrives_over_every_channel(shown: str) -> None:
    notifications = int(shown.split("The month is over: ")[1].split(maxsplit=1)[0])
    assert notifications == 6
    assert f"({notifications} arrived)" in shown
