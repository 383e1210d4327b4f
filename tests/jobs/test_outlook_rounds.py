"""Round by round: how long a balance lasts, and what a month will cost; told in time, once, and without flapping."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal

import pytest

from rounds_builder import FINANCE, OPS, ZONE, Rounds, cny, told
from spendwatch.domain.balance_watch import TopUp
from spendwatch.domain.forecast import Runway
from spendwatch.domain.policy import BalancePolicy, FinerBudget, Severity, Threshold, WorkspacePolicy
from spendwatch.domain.run_rate import TooEarly, TooOld
from spendwatch.domain.scope import Counts, Dimension, Match
from spendwatch.domain.statement import ChargeKind, WorkspaceId
from spendwatch.jobs.overview import AccountOverview
from spendwatch.jobs.overview_json import overview_json
from spendwatch.letters.language import Language
from spendwatch.letters.wording import Wording
from spendwatch.store.database import Database
from store_builders import row

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIRST = date(2026, 9, 1)
LASTING = BalancePolicy(cash=Decimal(300), runway=(3 * DAY, 7 * DAY))
RESEARCH = WorkspaceId("llm-a")


def of_forecast(percent: int) -> Threshold:
    return Threshold(share=Decimal(percent) / 100, is_forecast=True)


def account(rounds: Rounds) -> AccountOverview:
    return rounds.overview().accounts[0]


@pytest.fixture
def rounds(database: Database) -> Rounds:
    return Rounds(database, LASTING)


def pass_days(rounds: Rounds, *amounts: str, first: date = FIRST) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Let days pass, each with its bill in the evening and a round; return what was said, in short."""
    said = []
    for number, amount in enumerate(amounts):
        rounds.bill(first + number * DAY, amount)
        said += rounds.round(after=DAY)
    return told(said)


# --- runway


def test_it_is_too_early_to_tell_until_five_complete_days_are_known(rounds: Rounds) -> None:
    pass_days(rounds, *["10"] * 5)
    assert account(rounds).runway == TooEarly(4)
    pass_days(rounds, "10", first=FIRST + 5 * DAY)
    runway = account(rounds).runway
    assert isinstance(runway, Runway)
    assert (runway.days, runway.through, runway.zero.likely) == (5, date(2026, 9, 5), date(2026, 9, 30))


def test_each_runway_is_told_once_as_it_comes_near(rounds: Rounds) -> None:
    said = pass_days(rounds, *["10"] * 30)
    assert (
        said
        == [
            ("balance.runway", "fired", "7d", (FINANCE,)),
            ("balance.runway", "fired", "3d", (FINANCE,)),
            ("balance.overdue", "fired", "", (FINANCE,)),
        ][: len(said)]
    )
    first, second = (one for one in rounds.book.said if one.type == "balance.runway")
    assert first.facts.runway
    assert second.facts.runway
    assert (first.facts.runway.zero.days, second.facts.runway.zero.days) == (7, 3)
    assert (first.severity, second.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert first.facts.exposure.stops == ("sfm_inference_public_cn",)


def test_money_that_comes_in_ends_every_runway_with_one_word_that_names_it(rounds: Rounds) -> None:
    pass_days(rounds, *["10"] * 28)
    rounds.wanted(LASTING._replace(cash=Decimal(1000)))
    (ended,) = rounds.round(after=MINUTE)
    assert (ended.type, ended.facts.threshold, ended.facts.also) == ("balance.recovered", "3d", ("7d",))
    assert ended.facts.top_up == TopUp(cny(700), rounds.now)
    assert rounds.round(after=MINUTE) == []


def test_an_overdue_account_that_recovers_says_so_once_and_its_runway_with_it(rounds: Rounds) -> None:
    rounds.wanted(LASTING._replace(floors=(Decimal(50),)))
    pass_days(rounds, *["10"] * 31)
    assert [one.type for one in rounds.book.said][-1] == "balance.overdue"
    rounds.wanted(LASTING._replace(cash=Decimal(2000), floors=(Decimal(50),)))
    (recovered,) = rounds.round(after=MINUTE)
    assert (recovered.facts.threshold, recovered.facts.also) == ("", ("50", "3d", "7d"))
    assert not [alert for alert in rounds.book.known() if alert.is_firing]


def test_a_runway_that_wavers_about_its_threshold_is_told_once(rounds: Rounds) -> None:
    rounds.wanted(LASTING._replace(runway=(7 * DAY,)))
    pass_days(rounds, *["10"] * 23)
    for number in range(12):
        rounds.bill(FIRST + 22 * DAY, "10" if number % 2 else "20")
        rounds.round(after=MINUTE)
    assert [one.type for one in rounds.book.said] == ["balance.runway"]


def test_nobody_is_reminded_of_a_runway_that_the_figures_deny(rounds: Rounds) -> None:
    """A credit makes it longer again; until two days of data are clear of it the alert holds, and says nothing."""
    rounds.account = {"remind": DAY}
    rounds.wanted(LASTING._replace(runway=(7 * DAY,)))
    assert [one[:3] for one in pass_days(rounds, *["10"] * 23)] == [
        ("balance.runway", "fired", "7d"),
        ("balance.runway", "repeated", "7d"),
    ]
    rounds.bill(FIRST + 22 * DAY, "10", "-130")
    assert rounds.round(after=DAY) == []
    seen = account(rounds).runway
    assert isinstance(seen, Runway)
    assert seen.zero.days
    assert seen.zero.days > 15
    assert [alert.is_firing for alert in rounds.book.known()] == [True]


def test_a_lesser_floor_is_reminded_of_alone_while_a_lower_one_lingers(rounds: Rounds) -> None:
    rounds.account = {"remind": DAY}
    rounds.wanted(BalancePolicy(cash=Decimal(1000), floors=(Decimal(500), Decimal(200))))
    rounds.bill(FIRST, "801")
    assert [one[2] for one in told(rounds.round())] == ["200"]
    rounds.bill(FIRST, "799")  # 201: within one percent above the lower floor
    assert rounds.round(after=DAY - MINUTE) == []
    assert [one[1:3] for one in told(rounds.round(after=MINUTE))] == [("repeated", "500")]


def test_a_runway_is_remembered_across_a_restart(rounds: Rounds) -> None:
    pass_days(rounds, *["10"] * 23)
    again = Rounds(rounds.database, LASTING, now=rounds.now)
    assert again.round(after=MINUTE) == []
    assert again.balances.watches() == rounds.balances.watches()


def test_subscriptions_and_refunds_are_no_pace(rounds: Rounds) -> None:
    for number in range(10):
        once = (row("100", charge=ChargeKind.SUBSCRIPTION), row("-20", charge=ChargeKind.REFUND)) if number == 5 else ()
        rounds.bill(FIRST + number * DAY, row("10"), *once)
    rounds.now += 10 * DAY
    runway = account(rounds).runway
    assert isinstance(runway, Runway)
    assert (account(rounds).balance.available, runway.zero.days) == (cny(220), 21)  # type: ignore[union-attr]  # it is known


# --- forecasts


def watched(*thresholds: Threshold, budget: int = 290, more: tuple[FinerBudget, ...] = ()) -> WorkspacePolicy:
    return WorkspacePolicy(
        RESEARCH, "Research", budget=Decimal(budget), thresholds=thresholds, budgets=more, channels=(FINANCE,)
    )


def test_a_month_that_will_cost_too_much_is_told_by_the_data_of_two_days(database: Database) -> None:
    rounds = Rounds(database, None, (watched(of_forecast(100)),))
    assert pass_days(rounds, *["10"] * 5) == []
    rounds.bill(FIRST + 5 * DAY, "10")
    assert rounds.round(after=DAY) == []
    assert rounds.round(after=MINUTE) == []
    rounds.bill(FIRST + 6 * DAY, "10")
    (said,) = rounds.round(after=DAY)
    assert told([said]) == [("spend.forecast", "fired", "forecast 100%", (FINANCE,))]
    assert said.facts.forecast
    assert (said.facts.forecast.likely, said.facts.spend, said.facts.reached_at) == (cny("300.00"), cny(70), cny(290))
    assert said.facts.course.causes.rows
    assert pass_days(rounds, *["10"] * 10, first=FIRST + 7 * DAY) == []
    (alert,) = [alert for alert in rounds.book.known() if alert.is_firing]
    assert alert.key.threshold == "forecast 100%"


def test_a_threshold_and_a_forecast_that_come_together_are_one_message_for_all_channels(database: Database) -> None:
    half = Threshold(share=Decimal("0.24"), channels=(OPS,))
    rounds = Rounds(database, None, (watched(half, of_forecast(100)),))
    assert pass_days(rounds, *["10"] * 6) == []
    rounds.bill(FIRST + 6 * DAY, "10")
    (said,) = rounds.round(after=DAY)
    assert told([said]) == [("spend.forecast", "fired", "forecast 100%", (FINANCE, OPS))]
    assert said.facts.also == ("24%",)
    alerts = {alert.key.threshold: (alert.told_at, alert.times_told) for alert in rounds.book.known()}
    assert alerts == {"24%": (rounds.now, 0), "forecast 100%": (rounds.now, 1)}
    assert rounds.round(after=DAY) == []


def test_a_forecast_is_told_only_once_after_a_restart_too(database: Database) -> None:
    rounds = Rounds(database, None, (watched(of_forecast(100)),))
    pass_days(rounds, *["10"] * 6)
    again = Rounds(database, None, (watched(of_forecast(100)),), now=rounds.now)
    assert pass_days(again, "10", first=FIRST + 6 * DAY) == [("spend.forecast", "fired", "forecast 100%", (FINANCE,))]
    third = Rounds(database, None, (watched(of_forecast(100)),), now=again.now)
    assert pass_days(third, "10", first=FIRST + 7 * DAY) == []


@pytest.mark.parametrize("was_false", [True, False])
def test_after_a_forecast_that_proved_false_the_next_one_has_to_be_surer(database: Database, was_false: bool) -> None:  # noqa: FBT001 -- a case
    rounds = Rounds(database, None, (watched(of_forecast(100)),))
    alert = ("spend.forecast", "fired", "forecast 100%", (FINANCE,))
    assert pass_days(rounds, *(["10"] * 7 if was_false else ["3"] * 7)) == ([alert] if was_false else [])
    for number in range(7, 30):
        rounds.bill(FIRST + number * DAY, "3")
    assert rounds.round(after=23 * DAY) == []
    assert pass_days(rounds, *["10"] * 5, first=FIRST + 30 * DAY) == ([] if was_false else [alert])
    for number in range(35, 58):
        rounds.bill(FIRST + number * DAY, "10")
    assert told(rounds.round(after=23 * DAY)) == ([alert] if was_false else [])


def test_messages_about_thresholds_say_what_to_expect(database: Database) -> None:
    rounds = Rounds(database, None, (watched(Threshold(share=Decimal("0.25"))),))
    pass_days(rounds, *["10"] * 8)
    (said,) = rounds.book.said
    assert said.facts.forecast
    assert said.facts.forecast.likely == cny("300.00")


def test_finer_budgets_have_forecasts_of_their_own(database: Database) -> None:
    match = Match(((Dimension.MODEL, "wan*"),))
    finer = FinerBudget("images", match, Decimal(50), (of_forecast(100),))
    rounds = Rounds(database, None, (watched(of_forecast(100), budget=10_000, more=(finer,)),))
    for number in range(8):
        rounds.bill(FIRST + number * DAY, row("10"), row("2", model="wan2.7-t2i"))
        rounds.round(after=DAY)
    (said,) = rounds.book.said
    assert (said.facts.scope.label, said.facts.threshold) == ("workspace:llm-a/images", "forecast 100%")
    assert said.facts.forecast
    assert said.facts.forecast.likely == cny("60.00")


def test_a_subscription_counts_in_a_forecast_as_it_stands(database: Database) -> None:
    """8 days of 10 and an order of 100: by the end of the month 300 will be used, and nothing more ordered."""
    thresholds = {Counts.ALL: 400, Counts.PAY_AS_YOU_GO: 300, Counts.SUBSCRIPTION: 100}
    finer = tuple(
        FinerBudget(counts.value, Match(((Dimension.MODEL, "*"),)), Decimal(budget), (of_forecast(100),), counts)
        for counts, budget in thresholds.items()
    )
    above = tuple(one._replace(name=f"above {one.name}", budget=(one.budget or 0) + Decimal(1)) for one in finer)
    rounds = Rounds(database, None, (watched(of_forecast(100), budget=10_000, more=finer + above),))
    for number in range(8):
        order = [row("120", charge=ChargeKind.SUBSCRIPTION), row("-20", charge=ChargeKind.SUBSCRIPTION_REFUND)]
        rounds.bill(FIRST + number * DAY, row("10"), *(order if number == 3 else ()))
        rounds.round(after=DAY)
    told = {one.facts.scope.label: one.facts for one in rounds.book.said}
    place = "workspace:llm-a"
    assert set(told) == {f"{place}/all", f"pay_as_you_go:{place}/pay_as_you_go"}
    expected = {scope: facts.forecast.likely for scope, facts in told.items() if facts.forecast}
    assert expected == {f"{place}/all": cny("400.00"), f"pay_as_you_go:{place}/pay_as_you_go": cny("300.00")}
    assert account(rounds).forecast.likely == cny("400.00")  # type: ignore[union-attr]  # it is known


def test_the_overview_shows_what_to_expect_of_this_month_only(database: Database) -> None:
    rounds = Rounds(database, LASTING, (watched(),))
    pass_days(rounds, *["10"] * 8)
    seen = account(rounds)
    assert seen.forecast
    assert seen.workspaces[0].forecast
    assert (seen.forecast.likely, seen.workspaces[0].forecast.likely) == (cny("300.00"), cny("300.00"))
    rounds.now += 30 * DAY
    assert rounds.overview().period.label == "2026-10"
    assert account(rounds).spend == cny(0)


def test_paces_are_reckoned_again_only_when_complete_days_change(rounds: Rounds) -> None:
    pass_days(rounds, *["10"] * 10)
    before = rounds.ledger.usages
    for _ in range(5):
        rounds.round(after=MINUTE)
    assert rounds.ledger.usages == before
    last = FIRST + 9 * DAY
    rounds.bill(last, "11")
    rounds.round(after=MINUTE)
    assert rounds.ledger.usages == before
    rounds.bill(last - 5 * DAY, "12")
    rounds.round(after=MINUTE)
    assert rounds.ledger.usages > before


def test_many_budgets_are_told_before_anything_is_foretold(database: Database) -> None:
    """What holds now waits for no statistics."""
    many = tuple(
        WorkspacePolicy(
            WorkspaceId(f"llm-{number}"),
            budget=Decimal(100),
            thresholds=(Threshold(share=Decimal(1)), of_forecast(120)),
            channels=(FINANCE,),
        )
        for number in range(600)
    )
    rounds = Rounds(database, None, many)
    for number in range(7):
        rows = (row("1.00", workspace=WorkspaceId(f"llm-{one}")) for one in range(600))
        rounds.bill(FIRST + number * DAY, *rows)
    assert rounds.round(after=7 * DAY) == []
    rows = (row("93.00" if one < 300 else "1.00", workspace=WorkspaceId(f"llm-{one}")) for one in range(600))
    rounds.bill(FIRST + 7 * DAY, *rows)
    said = rounds.round(after=DAY)
    assert [one.type for one in said] == ["spend.threshold_reached"] * 300
    assert all(one.facts.forecast for one in said)
    before = rounds.ledger.usages
    rounds.bill(FIRST + DAY, *(row("1.01", workspace=WorkspaceId(f"llm-{one}")) for one in range(600)))
    rounds.round(after=MINUTE)
    assert rounds.ledger.usages == before
    rounds.round(after=10 * MINUTE)
    assert rounds.ledger.usages > before


# --- data that are too old


OLD = 4 * DAY  # more than 26 hours and two days


def test_a_runway_is_too_old_to_tell_and_its_alert_neither_fires_nor_ends(rounds: Rounds) -> None:
    pass_days(rounds, *["10"] * 22)  # nine days left at the end: none of the thresholds is reached
    assert isinstance(account(rounds).runway, Runway)
    assert rounds.round(after=OLD) == []
    seen = account(rounds)
    assert seen.runway == TooOld(rounds.now - OLD - 10 * HOUR)
    assert seen.is_too_old
    for number in range(22, 26):
        rounds.bill(FIRST + number * DAY, "10")
    assert [one[:3] for one in told(rounds.round())] == [("balance.runway", "fired", "3d")]
    assert rounds.round(after=OLD) == []
    rounds.wanted(LASTING._replace(cash=Decimal(1000)))
    assert rounds.round(after=MINUTE) == []
    assert [alert.is_firing for alert in rounds.book.known()] == [True, True]


def test_a_floor_that_is_reached_by_old_data_says_that_nobody_can_tell_how_long_it_lasts(rounds: Rounds) -> None:
    pass_days(rounds, *["10"] * 10)
    rounds.now += OLD
    rounds.wanted(LASTING._replace(floors=(Decimal(250),)))
    (low,) = rounds.round()
    assert (low.type, low.facts.runway, low.facts.too_old) == ("balance.low", None, True)
    assert "How long it lasts" in Wording(Language.EN, ZONE).text(low)
    assert "not available: the data are too old" in Wording(Language.EN, ZONE).text(low)
    assert "无法估算：数据过旧" in Wording(Language.ZH, ZONE).text(low)


def test_a_forecast_is_too_old_to_tell_and_is_not_reached_by_old_data(rounds: Rounds) -> None:
    rounds.wanted(None, WorkspacePolicy(RESEARCH, budget=Decimal(400), thresholds=(of_forecast(100),), channels=(FINANCE,)))
    pass_days(rounds, *["10"] * 9)
    assert account(rounds).forecast
    rounds.now += OLD
    rounds.bill(FIRST + 9 * DAY, "300", until=rounds.now - OLD)
    assert rounds.round() == []
    assert rounds.round(after=MINUTE) == []
    seen = account(rounds)
    assert (seen.forecast, seen.is_too_old) == (None, True)
    shown = json.loads(json.dumps(overview_json(rounds.overview(), ZONE)))["accounts"][0]
    assert (shown["forecast"], shown["forecast_reason"]) == (None, "too_old")
