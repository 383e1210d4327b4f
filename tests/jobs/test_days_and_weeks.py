"""Budgets for days and weeks, round by round over a real ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rounds_builder import FINANCE, OPS, Rounds, cny
from spendwatch.domain.alert import AlertState, Rule
from spendwatch.domain.delivery import Reason, Silence
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import BillingPeriod, PeriodKind
from spendwatch.domain.policy import WHOLE, FinerBudget, Severity, Threshold, WorkspacePolicy
from spendwatch.domain.scope import PLAYGROUND, Counts, Dimension, Match, Portion
from spendwatch.domain.statement import ChargeKind, WorkspaceId
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.overview import BudgetState
from spendwatch.store.opening import open_database
from store_builders import ACME, row

RESEARCH = WorkspaceId("llm-a")
HALF = Threshold(share=Decimal("0.5"))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def short(budget: str = "200", *, per: PeriodKind = PeriodKind.DAY, **changes: object) -> FinerBudget:
    """Return a budget for each day, or each week, of everything."""
    plain = FinerBudget("", Match(), Decimal(budget), (WHOLE,), Counts.PAY_AS_YOU_GO, per=per)
    return plain._replace(**changes)  # type: ignore[arg-type]  # a builder takes any field


def research(*budgets: FinerBudget, **changes: object) -> WorkspacePolicy:
    plain = WorkspacePolicy(RESEARCH, "Research", budgets=budgets, channels=(FINANCE,))
    return replace(plain, **changes)  # type: ignore[arg-type]  # a builder takes any field


def said(found: Sequence[Notification]) -> list[tuple[str, str, str]]:
    """What was said, in short: the type, the period, the spend."""
    return [(one.type, one.facts.period, str(one.facts.spend)) for one in found]


@pytest.fixture
def rounds(tmp_path: Path) -> Iterator[Rounds]:
    """The 16th of September, a Wednesday, at noon UTC+8."""
    database = open_database(str(tmp_path / "ledger.db"))
    yield Rounds(database, workspaces=(research(short()),), now=datetime(2026, 9, 16, 4, tzinfo=UTC))
    database.close()


def test_a_day_that_reaches_its_budget_is_notified_once_with_its_day(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), "199.99")
    assert not rounds.round()
    rounds.bill(date(2026, 9, 16), "200.00")
    assert said(rounds.round(after=HOUR)) == [("spend.threshold_reached", "2026-09-16", "CNY 200.00")]
    rounds.bill(date(2026, 9, 16), "260.00")
    assert not rounds.round(after=HOUR)
    rounds.bill(date(2026, 9, 17), "300.00")
    assert said(rounds.round(after=DAY)) == [("spend.threshold_reached", "2026-09-17", "CNY 300.00")]


def test_days_add_up_to_no_day(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 15), "150")
    rounds.bill(date(2026, 9, 16), "150")
    assert not rounds.round()


def test_the_first_start_says_nothing_of_days_before_yesterday(rounds: Rounds) -> None:
    for day in range(1, 17):
        rounds.bill(date(2026, 9, day), "500")
    assert said(rounds.round()) == [
        ("spend.threshold_reached", "2026-09-15", "CNY 500.00"),
        ("spend.threshold_reached", "2026-09-16", "CNY 500.00"),
    ]


def test_a_late_bill_of_an_old_day_is_notified_as_long_as_its_month_is_open(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), "1")
    rounds.round()
    rounds.now = datetime(2026, 10, 3, 4, tzinfo=UTC)
    rounds.bill(date(2026, 9, 20), "201")
    assert said(rounds.round()) == [("spend.threshold_reached", "2026-09-20", "CNY 201.00")]
    assert not rounds.round(after=HOUR)
    rounds.now = datetime(2026, 10, 5, 4, tzinfo=UTC)
    rounds.bill(date(2026, 9, 21), "201")
    rounds.bill(date(2026, 9, 16), "300")
    assert not [one for one in rounds.round() if one.rule is Rule.THRESHOLD_REACHED]


def test_nothing_is_said_twice_or_missed_by_another_process(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), "1")
    rounds.round()
    rounds.now += 3 * DAY
    rounds.bill(date(2026, 9, 17), "250")
    rounds.insight = Insight()
    assert said(rounds.round()) == [("spend.threshold_reached", "2026-09-17", "CNY 250.00")]
    rounds.insight = Insight()
    assert not rounds.round(after=HOUR)


def test_a_round_that_breaks_down_before_its_alerts_are_recorded_is_made_up_for(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), "250")
    rounds.book.is_broken = True
    with pytest.raises(RuntimeError):
        rounds.round()
    rounds.book.is_broken = False
    assert said(rounds.round(after=HOUR)) == [("spend.threshold_reached", "2026-09-16", "CNY 250.00")]


def test_a_budget_that_is_lowered_later_says_nothing_of_days_before_yesterday(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 14), "150")
    rounds.bill(date(2026, 9, 15), "150")
    rounds.round()
    rounds.wanted(None, research(short("100")))
    assert said(rounds.round()) == [("spend.threshold_reached", "2026-09-15", "CNY 150.00")]
    rounds.now += 3 * DAY
    rounds.bill(date(2026, 9, 17), "101")
    rounds.bill(date(2026, 9, 14), "160")
    assert said(rounds.round()) == [("spend.threshold_reached", "2026-09-17", "CNY 101.00")]


def test_an_order_of_a_plan_is_no_unusual_day(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), row("150"), row("2000", charge=ChargeKind.SUBSCRIPTION, api_key="", item="plan"))
    assert not rounds.round()
    rounds.wanted(None, research(short(counts=Counts.ALL)))
    (one,) = rounds.round()
    assert one.facts.spend == cny("2150")


def test_a_day_that_falls_back_is_corrected_once(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), "250")
    rounds.round()
    rounds.bill(date(2026, 9, 16), "120", told="20260917100000")
    assert said(rounds.round(after=HOUR)) == [("spend.corrected", "2026-09-16", "CNY 120.00")]


def test_a_day_whose_lines_are_removed_is_corrected(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), "250", row("1", workspace=WorkspaceId("llm-b")))
    rounds.round()
    rounds.bill(date(2026, 9, 16), row("1", workspace=WorkspaceId("llm-b")), told="20260917100000")
    assert said(rounds.round(after=HOUR)) == [("spend.corrected", "2026-09-16", "CNY 0.00")]


def test_charges_that_move_to_another_workspace_without_a_change_of_the_total_are_seen(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), row("250", workspace=WorkspaceId("llm-b")))
    assert not rounds.round()
    rounds.bill(date(2026, 9, 16), row("250"), told="20260917100000")
    assert said(rounds.round(after=HOUR)) == [("spend.threshold_reached", "2026-09-16", "CNY 250.00")]


def test_a_week_begins_on_monday_and_sums_both_of_its_months(rounds: Rounds) -> None:
    rounds.wanted(None, research(short("1000", per=PeriodKind.WEEK)))
    rounds.now = datetime(2026, 9, 28, 4, tzinfo=UTC)
    rounds.bill(date(2026, 9, 27), "900")
    rounds.bill(date(2026, 9, 28), "400")
    assert not rounds.round()
    rounds.now = datetime(2026, 10, 2, 4, tzinfo=UTC)
    rounds.bill(date(2026, 9, 30), "300")
    rounds.bill(date(2026, 10, 2), "300")
    assert said(rounds.round()) == [("spend.threshold_reached", "2026-W40", "CNY 1,000.00")]
    rounds.bill(date(2026, 10, 4), "300")
    assert not rounds.round(after=2 * DAY)


def test_a_late_bill_of_the_old_month_fires_on_the_week_that_it_shares(rounds: Rounds) -> None:
    rounds.wanted(None, research(short("1000", per=PeriodKind.WEEK)))
    rounds.now = datetime(2026, 10, 2, 4, tzinfo=UTC)
    rounds.bill(date(2026, 10, 2), "600")
    assert not rounds.round()
    rounds.bill(date(2026, 9, 29), "400")
    assert said(rounds.round(after=HOUR)) == [("spend.threshold_reached", "2026-W40", "CNY 1,000.00")]


def test_each_key_has_its_own_day_and_a_new_key_may_bill_late(rounds: Rounds) -> None:
    each = short("100", name="key", for_each="api_key", exceptions=(("1", None),))
    rounds.wanted(None, research(each))
    rounds.bill(date(2026, 9, 16), row("150", api_key="1"), row("60", api_key="2"))
    assert not rounds.round()
    rounds.now += 3 * DAY
    rounds.bill(date(2026, 9, 17), row("150", api_key="1"), row("100", api_key="3"))
    (one,) = rounds.round()
    assert (one.facts.scope.label, one.facts.period) == ("pay_as_you_go:day:workspace:llm-a/key/3", "2026-09-17")


def test_month_and_day_have_alerts_of_their_own(rounds: Rounds) -> None:
    rounds.wanted(None, research(short(), budget=Decimal(200), thresholds=(HALF,)))
    rounds.bill(date(2026, 9, 16), "250")
    found = rounds.round()
    assert sorted((one.facts.period, one.facts.threshold) for one in found) == [("2026-09", "50%"), ("2026-09-16", "100%")]


def test_the_alert_of_a_day_leaves_the_lists_a_day_after_it_is_over(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), "250")
    rounds.round()
    rounds.now = datetime(2026, 9, 17, 15, 59, tzinfo=UTC)
    rounds.round()
    (alert,) = rounds.book.known()
    assert alert.is_firing
    rounds.now = datetime(2026, 9, 17, 16, 1, tzinfo=UTC)
    assert not rounds.round()
    assert [one.state for one in rounds.book.known()] == [AlertState.RESOLVED]


def test_the_alert_of_a_late_day_stays_in_the_lists_for_a_day(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), "1")
    rounds.round()
    rounds.bill(date(2026, 9, 17), "250")
    rounds.round(after=5 * DAY)
    assert rounds.book.known()[0].is_firing
    rounds.round(after=DAY)
    assert not rounds.book.known()[0].is_firing


def test_reminders_of_a_day_end_with_it(rounds: Rounds) -> None:
    rounds.wanted(None, research(short(), remind=timedelta(hours=4)))
    rounds.bill(date(2026, 9, 16), "250")
    assert [one.reason for one in rounds.round()] == [Reason.FIRED]
    assert not rounds.round(after=3 * HOUR)
    assert [one.reason for one in rounds.round(after=HOUR)] == [Reason.REPEATED]
    assert not rounds.round(after=9 * HOUR)


def test_the_causes_are_those_of_the_day_beside_the_same_day_a_week_earlier(rounds: Rounds) -> None:
    for day in range(1, 16):
        rounds.bill(date(2026, 9, day), row("10"))
    rounds.bill(date(2026, 9, 16), row("240", api_key="7"), row("10"))
    (one,) = [each for each in rounds.round() if each.facts.period == "2026-09-16"]
    first, second = one.facts.course.causes.rows
    assert (first.spent, first.before, second.spent, second.before) == (cny("240"), cny("0"), cny("10"), cny("10"))
    assert len(one.facts.course.daily) == 7
    assert one.facts.forecast is None


def test_status_shows_the_day_that_stands_worst_and_never_calls_an_incomplete_one_fine(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 15), "160")
    rounds.bill(date(2026, 9, 16), "20")
    rounds.round()
    line = rounds.overview().accounts[0].workspaces[0]
    (daily,) = line.budgets
    assert (daily.name, daily.spend, daily.mark, line.mark) == (
        "daily 2026-09-15",
        cny("160"),
        BudgetState.WARNING,
        BudgetState.WARNING,
    )
    rounds.bill(date(2026, 9, 15), "20", told="20260917100000")
    line = rounds.overview().accounts[0].workspaces[0]
    (daily,) = line.budgets
    assert daily.forecast is None
    assert (daily.name, daily.mark, daily.is_so_far, line.mark) == (
        "daily 2026-09-16",
        BudgetState.UNKNOWN,
        True,
        BudgetState.NONE,
    )


def test_a_matter_of_a_day_says_what_holds_now(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 16), "250")
    rounds.round()
    rounds.bill(date(2026, 9, 16), "300")
    (matter,) = rounds.overview().matters
    assert matter.text == "Research used 150% of CNY 200.00 on 2026-09-16"


def test_alerts_of_a_month_are_those_of_its_days_and_weeks_too(rounds: Rounds) -> None:
    rounds.wanted(None, research(short(), short("200", per=PeriodKind.WEEK)))
    rounds.bill(date(2026, 9, 16), "250")
    rounds.round()
    labels = {one.key.period for one in rounds.book.alerts(period=BillingPeriod(2026, 9))}
    assert labels == {"2026-09-16", "2026-W38"}
    assert not rounds.book.alerts(period=BillingPeriod(2026, 10))


def test_a_wrong_clock_does_not_silence_days_for_good(rounds: Rounds) -> None:
    right = rounds.now
    rounds.now = right + timedelta(days=400)
    rounds.bill(date(2026, 9, 15), "1")
    rounds.round()
    rounds.now = right
    rounds.bill(date(2026, 9, 16), "250")
    assert said(rounds.round()) == [("spend.threshold_reached", "2026-09-16", "CNY 250.00")]


def test_an_account_has_days_of_its_own(rounds: Rounds) -> None:
    rounds.account = {"budgets": (short("300", channels=(OPS,)),)}
    rounds.wanted(None)
    rounds.bill(date(2026, 9, 16), row("150"), row("150", workspace=WorkspaceId("llm-b")))
    (one,) = rounds.round()
    assert (one.facts.scope.account, one.facts.name, one.channels) == (ACME, "acme", (OPS,))


def portions(name: str, match: Match, over: str, per: PeriodKind = PeriodKind.MONTH) -> FinerBudget:
    return FinerBudget(name, match, None, (Threshold(amount=Decimal(over)),), Counts.PAY_AS_YOU_GO, per=per)


def test_console_calls_over_an_amount_are_notified_once_a_month(rounds: Rounds) -> None:
    console = portions(Portion.CONSOLE, Match(((Dimension.API_KEY, ""), (Dimension.CHANNEL, PLAYGROUND))), "50")
    rounds.wanted(None, research(console))
    rounds.bill(date(2026, 9, 15), row("49", api_key="", channel="bmp"), row("900"), row("9", api_key="", channel="app"))
    assert not rounds.round()
    rounds.bill(date(2026, 9, 16), row("1", api_key="", channel="bmp"))
    (one,) = rounds.round(after=HOUR)
    assert (one.type, one.severity, one.facts.name) == ("spend.console", Severity.WARNING, "Research: console spend")
    assert (one.facts.spend, one.facts.reached_at) == (cny("50"), cny("50"))
    assert [str(row.spent) for row in one.facts.course.causes.rows] == ["CNY 50.00"]
    rounds.bill(date(2026, 9, 16), row("70", api_key="", channel="bmp"))
    assert not rounds.round(after=HOUR)
    found = rounds.overview()
    (line,) = found.accounts[0].workspaces[0].budgets
    assert (line.name, line.mark, line.spend) == ("console spend", BudgetState.WARNING, cny("119"))
    assert found.matters[0].text == "Research: console spend is at CNY 119.00"


def test_console_calls_may_be_watched_by_the_day(rounds: Rounds) -> None:
    match = Match(((Dimension.API_KEY, ""), (Dimension.CHANNEL, PLAYGROUND)))
    rounds.wanted(None, research(portions(Portion.CONSOLE, match, "50", PeriodKind.DAY)))
    rounds.bill(date(2026, 9, 15), row("40", api_key="", channel="bmp"))
    rounds.bill(date(2026, 9, 16), row("60", api_key="", channel="bmp"))
    assert said(rounds.round()) == [("spend.console", "2026-09-16", "CNY 60.00")]


def test_spend_without_a_workspace_is_notified_and_an_order_of_a_plan_is_none(rounds: Rounds) -> None:
    rounds.account = {"budgets": (portions(Portion.UNASSIGNED, Match(((Dimension.WORKSPACE, ""),)), "20"),)}
    rounds.wanted(None)
    order = row("500", charge=ChargeKind.SUBSCRIPTION, workspace=WorkspaceId(""), api_key="", item="plan")
    rounds.bill(date(2026, 9, 16), row("90"), order, row("19", workspace=WorkspaceId("")))
    assert not rounds.round()
    rounds.bill(date(2026, 9, 15), row("1", workspace=WorkspaceId("")))
    assert said(rounds.round(after=HOUR)) == [("spend.unassigned", "2026-09", "CNY 20.00")]


def test_spend_without_a_tag_is_counted_only_once_tags_should_have_arrived(rounds: Rounds) -> None:
    rounds.account = {"budgets": (portions("spend without tag team", Match(tags=(("team", ""),)), "20"),)}
    rounds.wanted(None)
    rounds.bill(date(2026, 9, 15), row("15"), row("100", tags='{"team":"search"}'))
    rounds.bill(date(2026, 9, 16), row("200"))
    assert not rounds.round()
    rounds.bill(date(2026, 9, 16), row("6"), row("194", tags='{"team":"search"}'), told="20260917100000")
    rounds.bill(date(2026, 9, 18), row("0.01", tags='{"team":"search"}'))
    (one,) = rounds.round(after=2 * DAY)
    assert (one.type, one.facts.spend, one.facts.period) == ("spend.untagged", cny("21"), "2026-09")


def test_a_silence_of_a_tag_holds_a_day_of_its_budget_until_it_ends(rounds: Rounds) -> None:
    rounds.wanted(None, research(short(name="ads", match=Match(tags=(("team", "ads"),)))))
    rounds.book.add_silence(Silence("5113a", rounds.now, rounds.now + 3 * HOUR, "li", tags=("team=ads",)))
    rounds.bill(date(2026, 9, 16), row("200", tags='{"team":"ads"}'))
    [told] = rounds.round()
    for _ in range(2):
        assert [one.said.id for one in rounds.book.waiting()] == [told.id]
        rounds.round(after=HOUR)
    rounds.round(after=HOUR)
    assert rounds.book.waiting() == ()
