"""What `status` shows of a month that is over, and by which code it ends, with the real program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bill_builder import a_bill, a_line
from home import Home, TimedHome, lines_worth
from servers_http import HttpSink

MONTHS = ("2026-08", "2026-09", "2026-10")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[TimedHome]:
    with HttpSink() as hook:
        yield _furnished(TimedHome(tmp_path, hook=hook))


def _furnished(furnished: TimedHome) -> TimedHome:
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
    assert shown.startswith("acme  CNY  September 2026\n")
    assert "275%" in shown
    assert "critical" in shown
    assert "WHAT NEEDS YOU" not in shown
    assert "Available balance" not in shown
    assert "Available balance" in home.call("status").stdout
    (account,) = home.json("status", "--month", "2026-09")["accounts"]
    assert (account["balance"], account["workspaces"][0]["state"]) == (None, "critical")
    home.call("status", "--month", "2026-09", "--exit-code")


def test_a_month_without_any_bill_is_never_called_ok(home: TimedHome) -> None:
    drop(home, "10", day="20260919", exported="20260920110000")
    home.call("once")
    states = {month: home.json("status", "--month", month)["accounts"][0]["workspaces"][0]["state"] for month in MONTHS}
    assert states == {"2026-08": "unknown", "2026-09": "ok", "2026-10": "unknown"}


def test_a_status_that_refreshes_needs_a_terminal(home: TimedHome) -> None:
    assert "--watch needs a terminal" in home.call("status", "--watch", expect=2).stderr


def test_the_exit_code_is_about_alerts_that_fire_and_not_about_the_state(home: TimedHome) -> None:
    drop(home, "60", day="20260919", exported="20260920110000")
    home.call("once")
    home.watch(budget="1000.00")
    (account,) = home.json("status", "--exit-code", expect=3)["accounts"]
    assert account["workspaces"][0]["state"] == "ok"


def test_a_dead_daemon_never_looks_well(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.watch(budget="100.00")
    quiet_home.drop(lines_worth("10"))
    running = quiet_home.start()
    quiet_home.until(lambda: "bill_recorded" in running.log())
    seen = quiet_home.json("status", "--exit-code")
    assert seen["daemon"]["state"] == "running"
    assert seen["daemon"]["heartbeat_at"]
    assert "✓ daemon running, evaluated " in quiet_home.call("status").stdout.splitlines()[1]
    running.kill()
    seen = quiet_home.json("status", "--exit-code", expect=4)
    assert seen["daemon"]["state"] == "stopped"
    shown = quiet_home.call("status").stdout
    assert "✗ daemon stopped, evaluated " in shown.splitlines()[1]
    assert "STALE  the daemon is not running: nothing was read since " in shown


def test_messages_that_wait_are_shown_first(home: TimedHome) -> None:
    home.furnish()
    home.hook_answers(503)
    drop(home, "60", day="20260919", exported="20260920110000")
    home.call("once", expect=75)
    assert home.json("status")["deliveries"] == {"pending": 1, "held": 0, "dead": 0}
    assert "· 1 message waiting" in home.call("status").stdout
    home.at("2026-09-20 12:30")
    assert "! 1 message stuck, due 2" in home.call("status").stdout


def test_an_account_without_any_bill_is_unknown_and_named_as_the_reason_of_the_exit_code(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.call("once")
    shown = quiet_home.call("status", "--exit-code", expect=4).stdout
    assert "STALE  account acme: no bill on record" in shown
    assert "unknown" in shown
