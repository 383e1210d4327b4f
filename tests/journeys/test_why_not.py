"""Why nothing was said: the figures of now beside everything that would have been told."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from home import RESEARCH, TRAINING, ZONE
from past_month import DAY, MonthHome
from spendwatch.bills.client.process import ReadingProcess

BALANCE = ", balance: {from: manual, cash: 900.00, floors: [500.00], runway: [3d]}"
MORE = """thresholds: [50%, 80%, forecast 120%]
budgets: [{name: chatbot, match: {api_key: "1200345"}, budget: 70.00, thresholds: [100%]}]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, shared_reader: ReadingProcess) -> MonthHome:
    """One that has had a bill of three days."""
    home = MonthHome(tmp_path_factory.mktemp("why-not") / "home", now=datetime(2026, 9, 12, 9, tzinfo=ZONE))
    home.furnish(account=BALANCE, stale_after="30h", extra='names: {api_keys: {"1200345": bot}}')
    home.watch(more=MORE)
    days = [(date(2026, 9, 9) + number * DAY, "20.40") for number in range(3)]
    with home.running(shared_reader) as month:
        lines = [home.day_lines(day, amount) for day, amount in days]
        others = [home.day_lines(days[-1][0], "5", workspace=TRAINING), home.day_lines(days[-1][0], "31", product="ecs")]
        month.drop([*lines, *others])
    home.now = datetime(2026, 9, 12, 12, tzinfo=ZONE)
    return home


def points(document: Any, title: str) -> dict[str, tuple[str, str]]:  # noqa: ANN401 -- JSON
    (found,) = (one for one in document["watched"] if one["what"].startswith(title))
    return {one["at"]: (one["state"], one["why"]) for one in found["points"]}


def test_each_threshold_of_a_workspace_is_beside_the_figures_of_now(home: MonthHome) -> None:
    document = home.json("explain", "--why-not", "research")
    found = points(document, "Research, 2026-09: CNY 61.20 spent of CNY 100.00 (61%)")
    assert found["50% of CNY 100.00"][0] == "sent"
    assert found["50% of CNY 100.00"][1].startswith("2026-09-12 09:00 over screen (waiting); `explain ")
    assert found["80% of CNY 100.00"] == ("not_reached", "reached at CNY 80.00: CNY 18.80 missing")
    assert found["forecast 120% of CNY 100.00"] == ("too_early", "1 of 5 complete days are known")
    assert points(document, "Bills of acme")["silence of 30h"] == ("not_reached", "the last bill came 3 h ago")
    assert document["notes"] == ["no daemon runs: no round was made yet"]


def test_an_account_has_its_balance(home: MonthHome) -> None:
    found = points(home.json("explain", "--why-not", "1000000000000001"), "Balance of acme: CNY 802.80 available")
    assert found["below CNY 500.00"] == ("not_reached", "CNY 302.80 more than that are available")
    assert found["used up in 3d"] == ("too_early", "1 of 5 complete days are known")


def test_a_finer_budget_and_a_key_are_found_by_name(home: MonthHome) -> None:
    found = points(home.json("explain", "--why-not", "chatbot"), "Research: chatbot")
    assert found["100% of CNY 70.00"] == ("not_reached", "reached at CNY 70.00: CNY 8.80 missing")
    document = home.json("explain", "--why-not", "bot")
    assert "no budget is for it alone" in document["notes"][0]
    assert "it counts for Research, Research: chatbot" in document["notes"][0]


def test_what_is_not_watched_is_said_with_what_would(home: MonthHome) -> None:
    notes = home.json("explain", "--why-not", TRAINING)["notes"]
    assert f"no file in workspaces/ has `workspace: {TRAINING}` (did you mean '{RESEARCH}'?)" in notes[0]
    assert "CNY 31.00 of ecs are not counted: `products` are sfm" in home.json("explain", "--why-not", "acme")["notes"]


def test_one_rule_alone(home: MonthHome) -> None:
    document = home.json("explain", "--why-not", "Research", "--rule", "spend.forecast")
    assert [list(points(document, one["what"])) for one in document["watched"]] == [["forecast 120% of CNY 100.00"]]


def test_wrong_turns_are_answered(home: MonthHome) -> None:
    said = home.call("explain", "--why-not", "reserch", expect=2).stderr
    assert "no policy and no bill of 2026-09 names 'reserch'; did you mean 'Research'?" in said
    assert "give an ALERT, or --why-not SCOPE" in home.call("explain", expect=2).stderr
    assert "give an ALERT, or --why-not SCOPE" in home.call("explain", "abc", "--rule", "bills.stale", expect=2).stderr
    shown = home.call("explain", "--why-not", "Research").stdout
    assert "CNY 18.80 missing" in shown
    assert str(Path(home.folder)) not in shown


def test_a_forecast_that_is_not_sure_enough_says_what_it_still_needs(
    tmp_path_factory: pytest.TempPathFactory, shared_reader: ReadingProcess
) -> None:
    home = MonthHome(tmp_path_factory.mktemp("not-sure") / "home", now=datetime(2026, 9, 8, 12, tzinfo=ZONE))
    home.furnish(account=BALANCE, stale_after="30h")
    home.watch(more="thresholds: [forecast 120%]\n")
    with home.running(shared_reader) as month:
        month.drop([home.day_lines(date(2026, 9, 1) + number * DAY, "4.20") for number in range(7)])
    found = points(home.json("explain", "--why-not", "research"), "Research, 2026-09")
    state, why = found["forecast 120% of CNY 100.00"]
    assert (state, why.partition(": ")[0]) == ("too_early", "about CNY 128.21 expected, at least CNY 78.81")
    assert why.endswith(": sent if at least CNY 120.00 are expected, or if the next day confirms it")
