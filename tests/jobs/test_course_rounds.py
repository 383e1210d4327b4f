"""Round by round: which days a message shows, and with what it compares them: those that bills tell of, and no others."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from rounds_builder import Rounds, cny
from spendwatch.domain.commodity import Category
from spendwatch.domain.notification import Facts
from spendwatch.domain.policy import BalancePolicy, Names, Page, Severity, Site, Threshold
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import AccountId, ChargeKind
from spendwatch.store.database import Database
from store_builders import row

DAY = timedelta(days=1)
OTHER = AccountId("5000000000000003")


@pytest.fixture
def rounds(database: Database) -> Rounds:
    return Rounds(database, account={"budget": Decimal(100), "thresholds": (Threshold(share=Decimal("0.5")),)})


def _said(rounds: Rounds) -> Facts:
    (said,) = rounds.round()
    assert said.severity is Severity.NOTICE
    return said.facts


def test_another_accounts_later_bills_make_no_days_of_this_account(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 20), "7", account=OTHER, told="20260921093000")
    rounds.bill(date(2026, 9, 3), "60", told="20260906093000")
    rounds.bill(date(2026, 9, 5), "10", told="20260906093000")
    facts = _said(rounds)
    assert facts.course.daily == ((date(2026, 9, 3), cny(60)), (date(2026, 9, 4), cny(0)), (date(2026, 9, 5), cny(10)))
    assert [(cause.spent, cause.before) for cause in facts.course.causes.rows] == [(cny(70), None)]


def test_days_of_a_month_that_no_bill_tells_of_are_not_shown(rounds: Rounds) -> None:
    rounds.bill(date(2026, 9, 1), "60", told="20260902093000")
    assert _said(rounds).course.daily == ((date(2026, 9, 1), cny(60)),)


def test_days_before_the_month_are_shown_where_bills_tell_of_them(rounds: Rounds) -> None:
    for day in range(19, 32):
        rounds.bill(date(2026, 8, day), "0" if day == 30 else "2", told="20260901093000")
    rounds.bill(date(2026, 9, 1), "60", told="20260902093000")
    facts = _said(rounds)
    assert [day.isoformat() for day, _ in facts.course.daily] == [
        *(f"2026-08-{day}" for day in range(26, 32)),
        "2026-09-01",
    ]
    assert dict(facts.course.daily)[date(2026, 8, 30)] == cny(0)
    (cause,) = facts.course.causes.rows
    assert (cause.spent, cause.before) == (cny(70), cny(14))


def test_a_day_whose_own_file_has_not_come_is_not_shown_as_nothing_spent(rounds: Rounds) -> None:
    for day in (1, 2, 4):
        rounds.bill(date(2026, 9, day), "20", told=f"202609{day + 1:02d}000000")
    assert [day.day for day, _ in _said(rounds).course.daily] == [1, 2, 4]


_LINKS = {Site.CN: {Page.RECHARGE: "https://example.com/pay", Page.BILL_DETAILS: "https://example.com/bills"}}


def test_a_balance_alert_tells_what_spends_the_money_whatever_the_product_and_where_to_pay(database: Database) -> None:
    rounds = Rounds(database, BalancePolicy(floors=(Decimal(500),)))
    names = Names({(Dimension.API_KEY, "1200345"): "chatbot"})
    rounds.policies = rounds.policies._replace(names=names, links=_LINKS)
    chat = row("90", api_key="1200345", model="qwen-max", commodity="sfm_inference_public_cn")
    disk = row("8", api_key="", model="", product="oss", commodity="oss", workspace="")
    seats = row("300", api_key="", model="", commodity="sfm_tokenplanteams_dp_cn", charge=ChargeKind.SUBSCRIPTION)
    rounds.bill(date(2026, 9, 1), chat, disk, seats)
    rounds.read("100")
    (said,) = rounds.round(after=DAY)
    facts = said.facts
    causes = facts.course.causes
    assert [(cause.spent, str(cause.share)) for cause in causes.all] == [(cny(90), "0.918"), (cny(8), "0.082")]
    assert [part.label for part in causes.rows[0].parts][:2] == ["qwen-max", "chatbot (1200345)"]
    assert causes.rows[1].category is None
    assert causes.main[0].part.label == "chatbot (1200345)"
    assert [(cause.category, cause.spent) for cause in facts.subscribed.all] == [(Category.TOKEN_PLAN, cny(300))]
    assert facts.links == tuple(_LINKS[Site.CN].items())


def test_a_month_that_has_just_begun_leaves_it_to_the_one_before_what_spends_the_money(database: Database) -> None:
    rounds = Rounds(database, BalancePolicy(floors=(Decimal(500),)))
    rounds.bill(date(2026, 8, 31), "20")
    rounds.read("100")
    (said,) = rounds.round()
    assert [cause.spent for cause in said.facts.course.causes.rows] == [cny(20)]


def test_a_spend_alert_links_to_bills_and_keys_as_long_as_it_fires(rounds: Rounds) -> None:
    rounds.policies = rounds.policies._replace(links=_LINKS)
    rounds.bill(date(2026, 9, 1), "60", told="20260902093000")
    assert _said(rounds).links == ((Page.BILL_DETAILS, "https://example.com/bills"),)
