"""Round by round: a day that costs far more than usual is reported once, with its band and causes, to everybody it is for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from rounds_builder import FINANCE, OPS, ZONE, Rounds, cny, told
from spendwatch.domain.notification import Notification
from spendwatch.domain.policy import FinerBudget, WorkspacePolicy
from spendwatch.domain.scope import BudgetScope, Dimension, Match
from spendwatch.domain.statement import ChargeKind, WorkspaceId
from spendwatch.letters.language import Language
from spendwatch.letters.wording import Wording
from spendwatch.store.database import Database
from store_builders import ACME, row

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RESEARCH = WorkspaceId("llm-a")
FIRST = date(2026, 8, 17)
"""A Monday."""
WEEK = ("100", "104", "98", "101", "97", "30", "29")
LEAST = Decimal(50)


def research(**more: object) -> WorkspacePolicy:
    policy = WorkspacePolicy(RESEARCH, "Research", channels=(OPS,), spike=LEAST)
    return replace(policy, **more)  # type: ignore[arg-type]  # a builder takes any field


def watching(database: Database, *workspaces: WorkspacePolicy, **account: object) -> Rounds:
    """Return rounds after four usual weeks of the workspace."""
    rounds = Rounds(database, None, workspaces, account)
    usual_days(rounds, *WEEK * 4)
    rounds.now = rounds.now.replace(day=14)
    assert rounds.round() == []
    return rounds


def usual_days(rounds: Rounds, *amounts: str) -> None:
    """Put the bills of many days on record at once, a month in each."""
    days = [(FIRST + number * DAY, amount) for number, amount in enumerate(amounts)]
    for month in sorted({day.month for day, _ in days}):
        rounds.bills([(day, amount) for day, amount in days if day.month == month])


def pass_days(rounds: Rounds, *amounts: str) -> list[Notification]:
    """Let days pass, each with its bill in the evening and a round; return what was said of spikes."""
    said = []
    for amount in amounts:
        rounds.bill(rounds.now.astimezone(ZONE).date(), amount)
        said += rounds.round(after=DAY)
    return [one for one in said if one.type == "spend.spike"]


def test_an_unusual_day_is_reported_once_with_its_band(database: Database) -> None:
    rounds = watching(database, research())
    (said,) = pass_days(rounds, "101", "412.80")
    spike = said.facts.spike
    assert spike
    assert (spike.day, spike.found.spend, said.channels) == (date(2026, 9, 15), cny("412.80"), (OPS,))
    assert cny(70) < spike.found.low < cny(104) < spike.found.high < cny(150)
    assert pass_days(rounds, "98", "101") == []
    assert (
        Wording(Language.EN, ZONE).subject(said).startswith("[Warning] Research cost CNY 412.80 on Tuesday 15 September 2026")
    )


@pytest.mark.parametrize("week", [WEEK, ("100",) * 7, ("10", "200", "30", "90", "150", "5", "80")])
def test_usual_weeks_are_no_news(database: Database, week: tuple[str, ...]) -> None:
    rounds = Rounds(database, None, (research(),))
    usual_days(rounds, *week * 3)
    rounds.now = rounds.now.replace(day=7)
    assert pass_days(rounds, *week) == []


def test_a_new_level_is_reported_once_and_is_then_the_usual_one(database: Database) -> None:
    rounds = watching(database, research())
    said = pass_days(rounds, *("300", "305", "298", "310", "301", "95", "96"), *("302", "299", "310", "304", "306", "97", "90"))
    assert [one.facts.spike and one.facts.spike.day.day for one in said] == [14]
    (worse,) = pass_days(rounds, "1200")
    assert worse.facts.spike
    assert worse.facts.spike.found.low > cny(150)


def test_a_quiet_holiday_and_the_working_day_after_it_are_no_news(database: Database) -> None:
    rounds = watching(database, research())
    assert pass_days(rounds, *["8"] * 7, "101", "99", "103") == []


def test_less_than_the_least_amount_above_the_band_is_no_news(database: Database) -> None:
    rounds = watching(database, research(spike=Decimal(500)))
    assert pass_days(rounds, "412.80") == []
    assert len(pass_days(rounds, "98", "1200")) == 1


def test_two_weeks_are_needed_to_know_what_is_usual(database: Database) -> None:
    rounds = Rounds(database, None, (research(),))
    usual_days(rounds, *WEEK, *WEEK[:6])
    rounds.now = rounds.now.replace(month=8, day=30)
    assert pass_days(rounds, "900") == []


def test_a_day_that_is_not_over_is_reported_once_it_is_above_its_band(database: Database) -> None:
    rounds = watching(database, research())
    today = rounds.now.astimezone(ZONE).date()
    noon = (rounds.now + 2 * HOUR).astimezone(ZONE)
    rounds.bill(today, "90", until=noon)
    assert rounds.round(after=HOUR) == []
    rounds.bill(today, "300", until=noon + HOUR)
    (said,) = rounds.round(after=HOUR)
    assert "on Monday 14 September 2026 so far" in Wording(Language.EN, ZONE).text(said)
    rounds.bill(today, "350", until=noon + 2 * HOUR)
    assert rounds.round(after=HOUR) == []


def test_late_lines_are_reported_with_their_day(database: Database) -> None:
    rounds = watching(database, research())
    assert pass_days(rounds, "101", "99", "98", "103") == []
    rounds.bill(date(2026, 9, 14), "500", told="20260919000000")
    (said,) = rounds.round(after=HOUR)
    assert said.facts.spike
    assert (said.facts.spike.day, said.facts.spike.is_complete) == (date(2026, 9, 14), True)


def test_old_bills_that_are_read_for_the_first_time_are_no_news(database: Database) -> None:
    rounds = Rounds(database, None, (research(),))
    rounds.now = rounds.now.replace(month=12)
    usual_days(rounds, *WEEK * 4, "900")
    assert rounds.round(after=HOUR) == []


def test_orders_and_refunds_are_no_spike(database: Database) -> None:
    rounds = watching(database, research())
    today = rounds.now.astimezone(ZONE).date()
    order = replace_charge("2000", ChargeKind.SUBSCRIPTION), replace_charge("-900", ChargeKind.REFUND)
    rounds.bill(today, row("101"), *order)
    assert rounds.round(after=DAY) == []


def replace_charge(amount: str, charge: ChargeKind):  # type: ignore[no-untyped-def]  # noqa: ANN201 -- a row, as `row` makes it
    return row(amount)._replace(charge=charge)


def test_one_message_speaks_for_a_key_its_workspace_and_its_account(database: Database) -> None:
    key = FinerBudget("chatbot", Match(((Dimension.API_KEY, "12*"),)), None, (), spike=LEAST)
    rounds = watching(database, research(budgets=(key,)), spike=LEAST, channels=(FINANCE,))
    (said,) = pass_days(rounds, "412.80")
    assert said.channels == (OPS, FINANCE)
    assert said.facts.scope == BudgetScope(ACME, RESEARCH, "chatbot")
    assert said.facts.spike
    assert {one.name for one in said.facts.spike.also} == {"Research", "acme"}
    firing = [alert for alert in rounds.book.known() if alert.is_firing]
    assert len(firing) == 3
    assert rounds.round(after=HOUR) == []


def test_an_account_that_grows_by_several_workspaces_has_a_message_of_its_own(database: Database) -> None:
    rounds = watching(database, research(), spike=LEAST)
    other = row("300")._replace(workspace=WorkspaceId("llm-b"))
    rounds.bill(rounds.now.astimezone(ZONE).date(), row("300"), other)
    said = told(rounds.round(after=DAY))
    assert sorted(one[3] for one in said) == [(FINANCE,), (OPS,)]


def test_the_causes_are_those_of_the_day(database: Database) -> None:
    rounds = watching(database, research())
    rounds.bill(rounds.now.astimezone(ZONE).date(), row("60"), row("340")._replace(model="qwen-max", api_key="77"))
    (said,) = rounds.round(after=DAY)
    (first, second) = said.facts.course.causes.rows
    assert (first.spent, first.before) == (cny(340), cny(0))
    assert (second.spent, second.before) == (cny(60), cny(100))
    assert said.facts.course.daily[-1] == (date(2026, 9, 14), cny(400))
    text = Wording(Language.EN, ZONE).text(said)
    assert "qwen-max" in text
    assert "of that day's pay-as-you-go spend" in text


def test_a_spike_whose_round_broke_down_is_reported_by_the_next_one(database: Database) -> None:
    rounds = watching(database, research())
    rounds.bill(rounds.now.astimezone(ZONE).date(), "412.80")
    rounds.book.is_broken = True
    with pytest.raises(RuntimeError):
        rounds.round(after=DAY)
    rounds.book.is_broken = False
    assert [one.type for one in rounds.round(after=HOUR)] == ["spend.spike"]
