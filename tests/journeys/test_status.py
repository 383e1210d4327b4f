"""What `status` shows of a month that is over, and by which code it ends, with the real program."""

from __future__ import annotations

from pathlib import Path

import pytest

from bill_builder import a_bill, a_line
from home import TimedHome


@pytest.fixture
def home(tmp_path: Path) -> TimedHome:
    furnished = TimedHome(tmp_path)
    furnished.furnish(account=", balance: {from: manual, cash: 500.00}")
    furnished.watch(budget="100.00")
    return furnished


def drop(home: TimedHome, amount: str, *, day: str, exported: str) -> None:
    home.put(*a_bill([a_line(line_id=f"of {day}", day=day, amount=amount)], exported=exported))


def test_a_month_that_is_over_is_shown_with_its_end_and_without_todays_balance(home: TimedHome) -> None:
    drop(home, "275", day="20260920", exported="20260920110000")
    home.call("once")
    home.at("2026-10-20 12:00")
    drop(home, "10", day="20261019", exported="20261020110000")
    home.call("once")
    shown = home.call("status", "--month", "2026-09").stdout
    assert "275%" in shown
    assert "critical" in shown
    assert "Available balance" not in shown
    assert "Available balance" in home.call("status").stdout
    (account,) = home.json("status", "--month", "2026-09")["accounts"]
    assert (account["balance"], account["workspaces"][0]["state"]) == (None, "critical")
    home.call("status", "--month", "2026-09", "--exit-code")


def test_the_exit_code_is_about_alerts_that_fire_and_not_about_the_state(home: TimedHome) -> None:
    drop(home, "60", day="20260919", exported="20260920110000")
    home.call("once")
    home.watch(budget="1000.00")
    (account,) = home.json("status", "--exit-code", expect=3)["accounts"]
    assert account["workspaces"][0]["state"] == "ok"
