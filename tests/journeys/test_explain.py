"""`explain` in the real program: why an alert was sent, with the figures of the decision and those of now."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bill_builder import a_line, a_line_id
from home import RESEARCH, TRAINING, Home, TimedHome, lines_worth, this_month, today

NAMES = 'names: {api_keys: {"7000100": chatbot}}'


def alert_of(home: Home, rule: str, **wanted: str) -> str:
    """Return the id of the only such alert."""
    (found,) = (
        alert
        for alert in home.json("alerts", "--all")["alerts"]
        if alert["rule"] == rule and all(alert[key] == value for key, value in wanted.items())
    )
    return str(found["id"])


def keys(first: int, count: int, amount: str) -> list[dict[str, str]]:
    """Return a line for each of so many API keys."""
    return [
        line
        for number in range(first, first + count)
        for line in lines_worth(amount, first=number, instance=f"{number};{RESEARCH};qwen-max;output_token;app;0")
    ]


def test_a_decision_keeps_its_figures_while_those_of_now_go_on(home: Home) -> None:
    home.furnish(extra=NAMES)
    home.watch(budget="100.00")
    home.drop(keys(7000100, 1, "55"))
    home.call("once")
    alert = alert_of(home, "spend.threshold_reached", threshold="50%")
    home.drop(keys(7000101, 120, "0.1"), exported=today() + timedelta(seconds=2))
    home.call("once")
    shown = home.call("explain", alert).stdout
    (spend,) = (line.split() for line in shown.splitlines() if line.startswith("Spend "))
    assert spend == ["Spend", "CNY", "55.00", "CNY", "67.00"]
    assert "the threshold 50% of Research" in shown
    assert "What the spend of" in shown
    assert "API key chatbot (7000100)" in shown
    assert "and 109 more" in shown
    assert shown.index("Bills behind the decision") < shown.index("Bills since then") < shown.index("Deliveries")
    found = home.json("explain", alert)
    assert (found["decision"]["spend"], found["decision"]["used"], found["now"]["spend"]) == ("55", "0.55", "67")
    assert [one["api_key_name"] for one in found["decision"]["growth"]] == ["chatbot"]
    assert sum(Decimal(one["share"]) for one in found["causes"]) == 1
    assert sum(Decimal(one["spend"]) for one in found["causes"]) == 67
    assert (found["causes"][-1]["more"], len(found["bills"]), len(found["made_of"])) == ("109", 2, 121)


def test_an_alert_that_a_graver_one_covered_has_its_figures_and_its_own_threshold(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.drop(lines_worth("110"))
    home.call("once")
    whole, half = (alert_of(home, "spend.threshold_reached", threshold=label) for label in ("100%", "50%"))
    shown = home.call("explain", half).stdout
    assert f"covered by a more severe alert ({whole[:8]})" in shown
    assert "the threshold 50% of Research" in shown
    assert ["Threshold", "50%", "CNY", "50.00", "CNY", "50.00"] in [line.split() for line in shown.splitlines()]
    assert "none: covered by a more severe alert" in shown
    assert home.json("explain", half)["decision"]["told_by"] == whole


def test_a_balance_alert_is_explained_as_a_sum_with_what_spends_the_money(home: Home) -> None:
    home.furnish(account=", balance: {from: manual, cash: 100.00, credit: 20.00, floors: [50.00]}", extra=NAMES)
    home.drop(keys(7000100, 1, "90"))
    home.call("once")
    alert = alert_of(home, "balance.low")
    shown = home.call("explain", alert).stdout
    rows = [line.split() for line in shown.splitlines()]
    for term in ("cash CNY 100.00", "+ credit limit CNY 20.00", "- unsettled this month CNY 90.00", "= available CNY 30.00"):
        amount = term.split("CNY ")[1]
        assert [*term.split(), "CNY", amount] in rows
    assert ["Floor", "CNY", "50.00", "CNY", "50.00"] in rows
    assert "the balance floor CNY 50.00 of acme" in shown
    assert f"API key chatbot (7000100), workspace {RESEARCH}" in shown
    assert "Bills behind the decision" in shown
    found = home.json("explain", alert)
    assert found["decision"]["balance"]["available"] == found["now"]["balance"]["available"] == "30"
    assert [one["recent"] for one in found["decision"]["growth"]] == ["90"]


def test_a_rejected_file_and_a_silent_source_are_explained_too(home: Home) -> None:
    home.furnish(stale_after="1s")
    home.put("broken.csv", b"neither, this\nnor, that\n")
    home.drop(lines_worth("1"))
    home.call("once", expect=65)
    shown = home.call("explain", alert_of(home, "bills.rejected")).stdout
    assert "a file of source inbox, sha256 " in shown
    assert "Rejected: broken.csv: line 1" in shown
    home.until(lambda: any(alert["rule"] == "bills.stale" for alert in _again(home)))
    stale = next(alert["id"] for alert in home.json("alerts")["alerts"] if alert["rule"] == "bills.stale")
    shown = home.call("explain", stale).stdout
    assert "Last new bill" in shown
    assert "Bills behind the decision" in shown
    assert home.json("explain", stale)["now"]["last_bill_at"]


def _again(home: Home) -> list[dict[str, Any]]:
    home.call("once")
    found: list[dict[str, Any]] = home.json("alerts")["alerts"]
    return found


def test_no_line_is_wider_than_a_terminal_and_an_alert_of_a_former_budget_is_explained(quiet_home: Home) -> None:
    quiet_home.furnish()
    place = quiet_home.watch(TRAINING, budget="10.00", name="Training")
    quiet_home.drop(lines_worth("9", workspace=TRAINING, model="qwen-max"))
    quiet_home.call("once")
    alert = alert_of(quiet_home, "spend.threshold_reached", threshold="80%")
    for line in quiet_home.call("explain", alert).stdout.splitlines():
        assert len(line.rstrip()) <= 80
    place.unlink()
    shown = quiet_home.call("explain", alert).stdout
    assert ["Spend", "CNY", "9.00", "-"] in [line.split() for line in shown.splitlines()]
    assert this_month() in shown


def test_a_forecast_stands_beside_what_is_expected_now(tmp_path: Path) -> None:
    home = TimedHome(tmp_path)
    home.furnish()
    home.watch(budget="300.00")
    days = [
        a_line(line_id=a_line_id(number), day=f"202609{number:02d}", amount="15", workspace=RESEARCH) for number in range(1, 18)
    ]
    home.at("2026-09-17T10:00")
    home.drop(days[:16], exported=home.now)
    home.call("once")
    home.at("2026-09-18T10:00")
    home.drop(days, exported=home.now)
    alert = alert_of(home, "spend.threshold_reached", threshold="50%")
    first = home.json("explain", alert)
    home.call("once")
    found = home.json("explain", alert)
    assert found["decision"]["forecast"] == first["decision"]["forecast"]
    assert (found["decision"]["spend"], found["now"]["spend"]) == ("240", "255")
    assert 430 < Decimal(found["now"]["forecast"]["likely"]) < 470
    assert [line.split()[:2] for line in home.call("explain", alert).stdout.splitlines() if line.startswith("Expected")]
