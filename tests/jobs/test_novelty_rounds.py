"""What is charged for the first time is reported once; what was there before is learnt silently."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from rounds_builder import FINANCE, FIRST, Rounds
from spendwatch.domain.alert import Rule
from spendwatch.domain.notification import Notification
from spendwatch.domain.novelty import NOVEL
from spendwatch.domain.policy import FirstCosts, Names
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import ChargeKind, SpendRow, WorkspaceId
from spendwatch.store.database import Database
from store_builders import ACME, row

DAY = timedelta(days=1)
SEARCH = row("3.2", item="enable_search", commodity="sfm_websearch_public_cn", model="")
ALL = FirstCosts(NOVEL)


def news(said: list[Notification]) -> list[list[str]]:
    """Return for each message what costs something for the first time."""
    return [[one.part.value for one in each.facts.firsts] for each in said if each.rule is Rule.FIRST_COST]


@pytest.fixture
def rounds(database: Database) -> Rounds:
    """An account that has been watched for two days."""
    found = Rounds(database, account={"first": ALL})
    found.bill(FIRST, "1")
    assert news(found.round(after=DAY)) == []
    found.bill(FIRST + DAY, "1")
    assert news(found.round(after=DAY)) == []
    return found


def bill(rounds: Rounds, number: int, *rows: SpendRow, told: str = "") -> list[list[str]]:
    """Enter the bill of a day, and return what is new."""
    rounds.bill(FIRST + number * DAY, *rows, told=told)
    return news(rounds.round(after=timedelta(hours=1)))


def test_web_search_is_reported_by_name_with_amount_day_key_and_workspace(rounds: Rounds) -> None:
    rounds.bill(FIRST + 2 * DAY, row(), SEARCH)
    [said] = rounds.round(after=DAY)
    assert (said.type, said.channels, said.facts.name) == ("spend.first_cost", (FINANCE,), "acme")
    item, commodity = said.facts.firsts
    assert (item.part.value, item.category, str(item.spent), item.day) == (
        "enable_search",
        "web search",
        "CNY 3.20",
        date(2026, 9, 3),
    )
    assert [(part.dimension.value, part.value) for part in item.by] == [("api_key", "1200345"), ("workspace", "llm-a")]
    assert commodity.part.value == "sfm_websearch_public_cn"
    assert rounds.round(after=DAY) == []


def test_a_new_workspace_with_a_new_key_and_a_new_model_is_one_message_and_an_alert_each(rounds: Rounds) -> None:
    assert bill(rounds, 2, row("5", workspace=WorkspaceId("llm-b"), api_key="77", model="wan"), row("1", api_key="78")) == [
        ["wan", "77", "78", "llm-b"]
    ]
    alerts = [one for one in rounds.book.alerts() if one.key.rule is Rule.FIRST_COST]
    assert {one.key.threshold for one in alerts} == {"model:wan", "api_key:77", "api_key:78", "workspace:llm-b"}
    assert len({one.key.matter for one in alerts}) == 1
    assert bill(rounds, 3, row("5", workspace=WorkspaceId("llm-b"), api_key="77", model="wan")) == []


def test_two_hundred_new_keys_are_one_message(rounds: Rounds) -> None:
    [keys] = bill(rounds, 2, *(row("1", api_key=f"9{number:03d}") for number in range(200)))
    assert len(keys) == 200


def test_free_lines_are_no_cost_and_the_first_paid_ones_are(rounds: Rounds) -> None:
    assert bill(rounds, 2, row("0", model="wan", charge=ChargeKind.FREE), row("0", model="vl")) == []
    assert bill(rounds, 3, row("2", model="wan"), row("0", model="vl")) == [["wan"]]


FREE = row("0", model="wan", charge=ChargeKind.FREE)
PAID = row("2", model="wan")


def ended(said: list[Notification]) -> list[list[tuple[str, str, int]]]:
    """Return for each message which free quotas have ended, at which cost, since which day."""
    mine = [each for each in said if each.rule is Rule.FREE_QUOTA_ENDED]
    return [[(one.part.value, str(one.spent), one.day.day) for one in each.facts.firsts] for each in mine]


@pytest.fixture
def quotas(database: Database) -> Rounds:
    """An account whose free quotas have been watched for a day."""
    found = Rounds(database, account={"free_quota": True})
    found.bill(FIRST, FREE, row("1"))
    assert found.round(after=DAY) == []
    return found


def test_the_end_of_a_free_quota_is_reported_once_with_its_model_day_and_cost(quotas: Rounds) -> None:
    quotas.bill(FIRST + DAY, FREE, PAID)
    assert quotas.round(after=DAY) == []  # batch calls beside free ones look the same on this day
    quotas.bill(FIRST + 2 * DAY, PAID, row("5"), row("0", model="wan"))
    [said] = quotas.round(after=DAY)
    assert (said.type, said.severity.value, said.channels) == ("spend.free_quota_ended", "warning", (FINANCE,))
    assert ended([said]) == [[("wan", "CNY 4.00", 2)]]
    quotas.bill(FIRST + 3 * DAY, PAID)
    assert quotas.round(after=DAY) == []


def test_a_model_that_was_never_free_and_one_that_is_paid_beside_free_lines_are_not_reported(quotas: Rounds) -> None:
    for day in range(1, 6):
        quotas.bill(FIRST + day * DAY, FREE, PAID, row("1", model="vl"), row("0", model="discounted"))
        assert quotas.round(after=DAY) == []
    quotas.bill(FIRST + 6 * DAY, PAID, row("2", model="discounted"))
    assert quotas.round(after=DAY) == []


def test_a_quota_that_had_ended_before_it_was_watched_is_no_news(database: Database) -> None:
    rounds = Rounds(database)
    rounds.bill(FIRST, FREE)
    rounds.bill(FIRST + DAY, PAID)
    rounds.round(after=2 * DAY)
    rounds.account = {"free_quota": True}
    rounds.wanted(None)
    assert rounds.round() == []
    rounds.bill(FIRST + 2 * DAY, PAID)
    assert rounds.round(after=DAY) == []


def test_a_first_cost_after_a_free_quota_is_reported_as_its_end_and_not_twice(database: Database) -> None:
    rounds = Rounds(database, account={"free_quota": True, "first": ALL})
    rounds.bill(FIRST, FREE, row("1"))
    rounds.round(after=DAY)
    rounds.bill(FIRST + DAY, PAID)
    said = rounds.round(after=DAY)
    assert (ended(said), news(said)) == ([[("wan", "CNY 2.00", 2)]], [])
    rounds.bill(FIRST + 2 * DAY, PAID)
    assert rounds.round(after=DAY) == []


def test_several_quotas_that_end_in_one_bill_are_one_message(quotas: Rounds) -> None:
    quotas.bill(FIRST + DAY, FREE._replace(model="vl"), FREE)
    quotas.bill(FIRST + 2 * DAY, PAID, PAID._replace(model="vl", billed_cost=Decimal(3)))
    assert ended(quotas.round(after=DAY)) == [[("vl", "CNY 3.00", 3), ("wan", "CNY 2.00", 3)]]


def test_what_is_refunded_at_once_cost_nothing(rounds: Rounds) -> None:
    assert bill(rounds, 2, row("2", model="wan"), row("-2", model="wan", charge=ChargeKind.REFUND)) == []


def test_a_small_amount_is_reported_when_it_has_grown(database: Database) -> None:
    rounds = Rounds(database, account={"first": FirstCosts((Dimension.MODEL,), Decimal(1))})
    rounds.bill(FIRST, "1")
    rounds.round(after=DAY)
    assert bill(rounds, 1, row("0.4", model="wan")) == []
    assert bill(rounds, 2, row("0.6", model="wan")) == [["wan"]]
    [alert] = [one for one in rounds.book.alerts() if one.key.rule is Rule.FIRST_COST]
    assert (alert.amount, "since 2026-09-02" in alert.summary) == ("1", True)


def test_what_was_on_record_when_it_was_switched_on_is_no_news(database: Database) -> None:
    rounds = Rounds(database)
    rounds.bill(FIRST, row(model="old"))
    rounds.bill(FIRST + DAY, row(model="older"))
    assert rounds.round(after=3 * DAY) == []
    rounds.account = {"first": ALL}
    rounds.wanted(None)
    assert rounds.round() == []
    assert bill(rounds, 2, row(model="old"), row(model="wan")) == [["wan"]]


def test_what_comes_while_it_is_switched_off_is_learnt_silently_when_it_is_switched_on_again(rounds: Rounds) -> None:
    rounds.account = {}
    rounds.wanted(None)
    assert bill(rounds, 2, row(model="wan")) == []
    rounds.account = {"first": ALL}
    rounds.wanted(None)
    assert news(rounds.round()) == []
    assert bill(rounds, 3, row(model="wan"), row(model="vl")) == [["vl"]]


def test_nothing_of_the_first_day_on_record_is_news(database: Database) -> None:
    rounds = Rounds(database, account={"first": ALL})
    assert bill(rounds, 0, row(model="a")) == []
    assert bill(rounds, 0, row(model="a"), row(model="b"), told="20260902000000") == []
    assert bill(rounds, 1, row(model="c")) == [["c"]]


def test_an_older_bill_that_comes_late_is_no_news_and_what_it_names_is_known(rounds: Rounds) -> None:
    august = date(2026, 8, 20)
    rounds.bill(august, row(model="wan"))
    assert news(rounds.round()) == []
    assert bill(rounds, 2, row(model="wan")) == []


def test_a_late_bill_of_a_day_since_then_is_reported_with_its_day(rounds: Rounds) -> None:
    assert bill(rounds, 5, row()) == []
    rounds.bill(FIRST + 3 * DAY, row(model="wan"))
    [said] = rounds.round(after=DAY)
    assert [one.day for one in said.facts.firsts] == [date(2026, 9, 4)]


def test_what_a_bill_of_a_final_month_names_is_reported_once_it_is_charged_again(rounds: Rounds) -> None:
    assert rounds.round(after=40 * DAY) == []
    assert bill(rounds, 20, row(model="wan")) == []
    rounds.bill(date(2026, 10, 12), row("7", model="wan"))
    [said] = rounds.round()
    assert [(one.day, str(one.spent)) for one in said.facts.firsts] == [(date(2026, 9, 21), "CNY 7.00")]


def test_it_is_reported_after_a_crash_before_the_message_was_on_record(rounds: Rounds) -> None:
    rounds.bill(FIRST + 2 * DAY, row(model="wan"))
    rounds.book.is_broken = True
    with pytest.raises(RuntimeError):
        rounds.round()
    rounds.book.is_broken = False
    assert news(rounds.round()) == [["wan"]]
    assert rounds.round(after=DAY) == []


def test_another_product_and_other_dimensions_are_not_reported(database: Database) -> None:
    rounds = Rounds(database, account={"first": FirstCosts((Dimension.API_KEY,))})
    rounds.bill(FIRST, "1")
    rounds.round(after=DAY)
    assert bill(rounds, 1, row(product="ecs", api_key="5"), row(model="wan")) == []
    assert bill(rounds, 2, row(api_key="5")) == [["5"]]


def test_names_are_told_and_every_dimension_can_be_new(rounds: Rounds) -> None:
    names = Names({(Dimension.API_KEY, "77"): "chatbot", (Dimension.WORKSPACE, "llm-b"): "Research"})
    rounds.policies = rounds.policies._replace(names=names)
    new = row("1", workspace=WorkspaceId("llm-b"), api_key="77", model="m", channel="app", item="i", commodity="c", region="r")
    rounds.bill(FIRST + 2 * DAY, new)
    [said] = rounds.round()
    assert [one.part.dimension for one in said.facts.firsts] == list(NOVEL)
    assert [part.label for part in said.facts.firsts[0].by] == ["m", "chatbot (77)", "Research (llm-b)"]
    assert said.facts.scope.account == ACME


CODING = row(
    "200", charge=ChargeKind.SUBSCRIPTION, commodity="sfm_codingplan_public_cn", item="plan", model="", ends="2026-09-20 00:00"
)
RENEWED = CODING._replace(ends="2026-10-20 00:00", billed_cost=Decimal(210))


@pytest.fixture
def plans(database: Database) -> Rounds:
    """An account whose plans have been watched for a day, with bills up to the second."""
    found = Rounds(database, account={"plans": timedelta(days=7)})
    found.bill(FIRST, "1")
    assert found.round(after=DAY) == []
    return found


def told(said: list[Notification]) -> list[tuple[str, str, str]]:
    """Return of each message its type, which commodity it is about, and until when that was ordered."""
    return [(one.type, order.commodity.value, order.ends) for one in said for order in one.facts.plans]


def test_an_order_is_reported_once_with_its_cost_and_end(plans: Rounds) -> None:
    savings = CODING._replace(commodity="sfm_GenAI_spn_cn", ends="", billed_cost=Decimal(1000))
    plans.bill(FIRST + DAY, CODING, CODING._replace(item="fee", billed_cost=Decimal(3)), savings, row("4"))
    [said] = plans.round(after=DAY)
    assert (said.type, said.severity.value) == ("plan.ordered", "notice")
    assert {(one.category, str(one.spent), one.ends) for one in said.facts.plans} == {
        ("Coding Plan", "CNY 203.00", "2026-09-20 00:00"),
        ("savings plan", "CNY 1,000.00", ""),
    }
    assert plans.round(after=DAY) == []


def test_the_end_of_a_plan_is_reported_in_time_and_its_renewal_ends_the_alert(plans: Rounds) -> None:
    plans.bill(FIRST + DAY, CODING)
    plans.round(after=DAY)
    assert plans.round(after=9 * DAY) == []  # the 12th: eight days
    coming = plans.round(after=2 * DAY)
    assert told(coming) == [("plan.ends", "sfm_codingplan_public_cn", "2026-09-20 00:00")]
    assert plans.round(after=DAY) == []
    plans.bill(FIRST + 14 * DAY, RENEWED)
    renewed, ordered = sorted(plans.round(after=DAY), key=lambda one: one.type)
    assert told([renewed]) == [("alert.resolved", "sfm_codingplan_public_cn", "2026-09-20 00:00")]
    assert renewed.facts.plans[0].renewed == date(2026, 9, 15)
    assert told([ordered]) == [("plan.ordered", "sfm_codingplan_public_cn", "2026-10-20 00:00")]
    assert ordered.facts.plans[0].before == date(2026, 9, 2)
    assert plans.round(after=10 * DAY) == []


def test_a_plan_that_is_not_renewed_is_over_when_it_ends(plans: Rounds) -> None:
    plans.bill(FIRST + DAY, CODING)
    assert [kind for kind, *_ in told(plans.round(after=13 * DAY))] == ["plan.ordered", "plan.ends"]
    [over] = plans.round(after=6 * DAY)
    assert (over.type, over.facts.plans[0].renewed) == ("alert.resolved", None)
    assert plans.round(after=DAY) == []


def test_a_further_order_in_the_middle_of_a_term_is_no_renewal(plans: Rounds) -> None:
    plans.bill(FIRST + DAY, CODING)
    plans.bill(FIRST + 3 * DAY, RENEWED)
    plans.round(after=DAY)
    assert [kind for kind, *_ in told(plans.round(after=12 * DAY))] == ["plan.ends"]


def test_an_order_from_before_it_was_watched_is_no_news_but_its_end_is(database: Database) -> None:
    rounds = Rounds(database)
    rounds.bill(FIRST, CODING)
    rounds.round(after=DAY)
    rounds.account = {"plans": timedelta(days=7)}
    rounds.wanted(None)
    assert rounds.round() == []
    assert [kind for kind, *_ in told(rounds.round(after=13 * DAY))] == ["plan.ends"]


def test_an_order_whose_end_no_bill_tells_has_no_end(plans: Rounds) -> None:
    plans.bill(FIRST + DAY, CODING._replace(ends=""), CODING._replace(commodity="sfm_x", ends="not a day"))
    assert {kind for kind, *_ in told(plans.round(after=DAY))} == {"plan.ordered"}
    for _ in range(4):
        assert plans.round(after=10 * DAY) == []


@pytest.mark.parametrize("ends", ["0001-01-01 00:00", "9999-12-31 23:59"])
def test_an_end_at_either_end_of_time_stops_nothing(plans: Rounds, ends: str) -> None:
    plans.bill(FIRST + DAY, CODING._replace(ends=ends))
    plans.bill(FIRST + 2 * DAY, CODING._replace(ends=ends), CODING)
    assert {kind for kind, *_ in told(plans.round(after=2 * DAY))} == {"plan.ordered"}
