"""One rule for many: every API key, model, workspace or tag value that turns up has a budget of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from domain_builders import cny
from rounds_builder import FINANCE, OPS, TARGETS, ZONE, Rounds
from spendwatch.domain.alert import Rule
from spendwatch.domain.policy import BalancePolicy, FinerBudget, Threshold, WorkspacePolicy
from spendwatch.domain.scope import Counts, Dimension, Match
from spendwatch.domain.statement import ChargeKind, WorkspaceId
from spendwatch.jobs.conditions import Surroundings, ways_of
from spendwatch.jobs.overview import BudgetState
from spendwatch.store.database import Database
from store_builders import row

DAY = timedelta(days=1)
FIRST = date(2026, 9, 1)
USED_UP = Threshold(share=Decimal(1))
NEARLY = Threshold(share=Decimal("0.8"))
KEYS = FinerBudget(
    "key", Match(), Decimal(50), (NEARLY, USED_UP), for_each="api_key", exceptions=(("2", Decimal(200)), ("3", None))
)


def said(rounds: Rounds, *, after: timedelta = DAY) -> dict[str, str]:
    return {one.facts.scope.label: one.facts.threshold for one in rounds.round(after=after)}


def test_every_key_is_watched_from_its_first_bill_on(database: Database) -> None:
    rounds = Rounds(database, account={"budgets": (KEYS,)})
    rounds.bill(FIRST, *(row("100", api_key=key) for key in ("", "1", "2", "3")))
    assert said(rounds) == {"account/key/1": "100%"}
    rounds.bill(FIRST + DAY, row("60", api_key="2"), row("41", api_key="4"), row("1", api_key="5"))
    assert said(rounds) == {"account/key/2": "80%", "account/key/4": "80%"}
    rounds.bill(FIRST + 2 * DAY, row("49", api_key="5"))
    [told] = rounds.round(after=DAY)
    assert (told.facts.name, told.facts.scope.label) == ("acme: key 5", "account/key/5")
    assert told.facts.spend == told.facts.budget
    assert sum(spend.amount for _, spend in told.facts.course.daily) == 50
    # That all of it is the key's own is no news.
    assert {main.part.dimension for main in told.facts.course.causes.main} == {
        Dimension.WORKSPACE,
        Dimension.MODEL,
    }
    assert all(part.dimension is not Dimension.API_KEY for cause in told.facts.course.causes.all for part in cause.parts)
    assert rounds.round(after=DAY) == []
    assert {alert.key.scope.label for alert in rounds.book.known()} == {f"account/key/{key}" for key in "1245"}


def test_in_a_workspace_only_its_own_values_count(database: Database) -> None:
    policy = WorkspacePolicy(WorkspaceId("llm-a"), budgets=(KEYS._replace(for_each="model"),), channels=(FINANCE,))
    rounds = Rounds(database, workspaces=(policy,))
    rounds.bill(
        FIRST, row("50", workspace=WorkspaceId("llm-a"), model="a"), row("90", workspace=WorkspaceId("llm-b"), model="b")
    )
    assert said(rounds) == {"workspace:llm-a/key/a": "100%"}


def test_tags_and_workspaces_have_budgets_of_their_own(database: Database) -> None:
    team, place = KEYS._replace(name="team", for_each="tag:team"), KEYS._replace(name="place", for_each="workspace")
    rounds = Rounds(database, account={"budgets": (team, place)})
    tags = ('{"team":"search/ads"}', '{"team":"lab"}', '{"other":"lab"}', "")
    rounds.bill(FIRST, *(row("25", workspace=WorkspaceId(f"llm-{len(one)}"), tags=one) for one in tags))
    rounds.bill(FIRST + DAY, row("25", workspace=WorkspaceId("llm-1"), tags='{"a":"b","team":"search/ads"}'))
    rounds.bill(FIRST + 2 * DAY, row("25", workspace=WorkspaceId("llm-1"), tags=""))
    assert said(rounds) == {"account/team/search/ads": "100%", "account/place/llm-1": "100%"}
    assert said(rounds) == {}


def test_what_counts_and_what_matches_holds_for_each_value(database: Database) -> None:
    match = Match(((Dimension.MODEL, "qwen*"),))
    rounds = Rounds(database, account={"budgets": (KEYS._replace(match=match, counts=Counts.PAY_AS_YOU_GO),)})
    rounds.bill(
        FIRST,
        row("45", api_key="1", model="qwen-max"),
        row("90", api_key="1", model="wan"),
        row("90", api_key="1", model="qwen-max", charge=ChargeKind.SUBSCRIPTION),
        row("90", api_key="2", model="wan"),
    )
    assert said(rounds) == {"pay_as_you_go:account/key/1": "80%"}


def test_each_value_has_a_forecast_of_its_own(database: Database) -> None:
    foreseen = Threshold(share=Decimal(1), is_forecast=True)
    rounds = Rounds(database, account={"budgets": (KEYS._replace(budget=Decimal(290), thresholds=(foreseen,), exceptions=()),)})
    told: dict[str, str] = {}
    for number in range(8):
        rounds.bill(FIRST + number * DAY, row("10", api_key="1"), row("9", api_key="2"))
        told |= said(rounds)
    assert told == {"account/key/1": "forecast 100%"}


def test_the_state_of_an_account_is_that_of_its_worst_value(database: Database) -> None:
    rounds = Rounds(database, account={"budgets": (KEYS,)})
    rounds.bill(FIRST, row("49", api_key="1"), row("1", api_key="4"))
    assert rounds.overview().accounts[0].mark is BudgetState.WARNING


def test_what_reached_nobody_goes_to_the_channels_of_its_own_threshold(database: Database) -> None:
    thresholds = (replace(NEARLY, channels=(OPS,)), USED_UP)
    rounds = Rounds(database, account={"budgets": (KEYS._replace(thresholds=thresholds),)})
    rounds.bill(FIRST, row("40", api_key="1"))
    [nearly] = rounds.round(after=DAY)
    rounds.bill(FIRST + DAY, row("50", api_key="4"))
    [both] = rounds.round(after=DAY)
    around = Surroundings(rounds.policies, ZONE, TARGETS, {})
    assert nearly.channels == ways_of(nearly, around) == (OPS,)
    assert set(both.channels) == set(ways_of(both, around)) == {OPS, FINANCE}


def test_a_value_that_bills_no_longer_name_is_corrected_like_any_total_that_fell(database: Database) -> None:
    rounds = Rounds(database, account={"budgets": (KEYS,)})
    rounds.bill(FIRST, row("50", api_key="1"), row("50", api_key="4"))
    assert said(rounds) == {"account/key/1": "100%", "account/key/4": "100%"}
    rounds.bill(FIRST, row("100", api_key="5"), told="20260905000000")
    found = {one.facts.scope.label: (one.rule, one.facts.spend) for one in rounds.round(after=DAY)}
    assert found == {
        "account/key/1": (Rule.CORRECTED, cny(0)),
        "account/key/4": (Rule.CORRECTED, cny(0)),
        "account/key/5": (Rule.THRESHOLD_REACHED, cny(100)),
    }
    assert {line.text for line in rounds.overview().matters} == {
        "acme: key 1 is back at 0% of CNY 50.00",
        "acme: key 4 is back at 0% of CNY 50.00",
        "acme: key 5 used 200% of CNY 50.00",
    }
    assert rounds.round(after=DAY) == []


def test_what_is_no_longer_watched_ends_with_a_word_and_is_not_corrected(database: Database) -> None:
    rounds = Rounds(database, account={"budgets": (KEYS,)})
    rounds.bill(FIRST, row("50", api_key="1"))
    assert said(rounds) == {"account/key/1": "100%"}
    rounds.account = {"budgets": (KEYS._replace(exceptions=(("1", None),)),)}
    rounds.wanted(None)
    rounds.bill(FIRST, row("1", api_key="5"), told="20260905000000")
    [over] = rounds.round(after=DAY)
    assert (over.type, over.facts.is_unwatched) == ("alert.resolved", True)
    assert rounds.round(after=DAY) == []


def test_a_correction_and_a_reminder_that_reached_nobody_go_again_to_all_they_were_for(database: Database) -> None:
    thresholds = (replace(NEARLY, channels=(OPS,)), USED_UP)
    rounds = Rounds(database, account={"budgets": (KEYS._replace(thresholds=thresholds),), "remind": DAY})
    rounds.bill(FIRST, row("50", api_key="1"))
    rounds.round(after=DAY)
    [reminder] = rounds.round(after=DAY)
    rounds.bill(FIRST, row("30", api_key="1"), told="20260905000000")
    [corrected] = rounds.round(after=DAY)
    around = Surroundings(rounds.policies, ZONE, TARGETS, {})
    for one in (reminder, corrected):
        assert set(one.channels) == set(ways_of(one, around)) == {OPS, FINANCE}
    rounds.bill(FIRST, row("40", api_key="4"))
    [nearly] = rounds.round(after=DAY)
    rounds.bill(FIRST, row("-1", api_key="4"), told="20260906000000")
    [refunded] = rounds.round(after=DAY)
    assert nearly.channels == refunded.channels == ways_of(refunded, around) == (OPS,)
    only_ops = replace(rounds.policies.accounts[0], channels=(OPS,))
    later = replace(around, policies=rounds.policies._replace(accounts=(only_ops,)))
    assert ways_of(reminder, later) == (OPS,), "a channel that the policy no longer names is left alone"


def test_a_floor_at_the_height_of_a_threshold_goes_again_to_those_of_the_balance(database: Database) -> None:
    at_thousand = Threshold(amount=Decimal(1000), channels=(OPS,))
    balance = BalancePolicy(cash=Decimal(900), floors=(Decimal(1000),))
    rounds = Rounds(database, balance, account={"thresholds": (at_thousand,)})
    rounds.configured()
    [low] = rounds.round(after=DAY)
    assert low.facts.threshold == "1000"
    assert low.channels == ways_of(low, Surroundings(rounds.policies, ZONE, TARGETS, {})) == (FINANCE,)
