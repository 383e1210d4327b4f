"""The message of `notify-test`: an alert as it would come, by whom it was asked for, and what is reported here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from spendwatch.channels.language import Language
from spendwatch.channels.wording import Wording
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.policy import (
    AccountPolicy,
    ChannelName,
    Escalation,
    FinerBudget,
    Names,
    Policies,
    Site,
    Threshold,
    WorkspacePolicy,
)
from spendwatch.domain.scope import Dimension, Match
from spendwatch.domain.statement import AccountId, WorkspaceId
from spendwatch.jobs.sample_alert import LIKE, sample_alert, sample_like

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 9, 16, 4, tzinfo=UTC)
FINANCE, BOSS, OPS, NOBODY = ChannelName("finance"), ChannelName("boss"), ChannelName("ops"), ChannelName("nobody")
ALL = (Threshold(share=Decimal(1)),)
RESEARCH = WorkspacePolicy(
    WorkspaceId("llm-a"),
    "Research",
    budget=Decimal(400),
    thresholds=ALL,
    budgets=(FinerBudget("images", Match(), Decimal(50), (replace(ALL[0], channels=(OPS,)),)),),
    channels=(FINANCE,),
)
ESCALATION = Escalation(NOW - NOW, (BOSS,))
POLICIES = Policies(
    accounts=(AccountPolicy(AccountId("1000000000000001"), "acme", Site.CN, Currency("CNY"), escalate=ESCALATION),),
    workspaces=(RESEARCH,),
    operators=(OPS,),
    products=("sfm",),
    month_final_on=4,
)


def _text(channel: ChannelName, language: Language = Language.EN) -> str:
    sample = sample_alert(channel, POLICIES, who="li on finance-1", now=NOW, zone=ZONE)
    return " ".join(Wording(language, ZONE).text(sample).split())


@pytest.mark.parametrize(
    ("channel", "places"),
    [
        (FINANCE, "Alerts that come here: Research."),
        (BOSS, "Alerts that come here: acme."),
        (OPS, "Alerts that come here: Research, failures of sources, files and channels."),
        (NOBODY, "No alert comes here yet: no account, workspace or operator uses this channel."),
    ],
)
def test_it_says_by_whom_and_what_comes_here(channel: ChannelName, places: str) -> None:
    text = _text(channel)
    assert text.startswith("Test · acme · 1000000000000001 This is a test")
    assert places in text
    assert "li on finance-1 requested a test message on 2026-09-16 12:00" in text
    assert "invented" in text


def test_it_shows_an_alert_of_the_first_budget_that_the_channel_is_for() -> None:
    assert "CNY 340.00 of CNY 400.00 · 85%" in _text(FINANCE)
    assert "day 16 of 30 · month about CNY 448.00" in _text(FINANCE)
    assert "¥850.00 预算 ¥1,000.00，已用 85%" in _text(NOBODY, Language.ZH)


def test_a_workspace_is_called_as_names_call_it_and_any_budget_can_be_shown() -> None:
    workspace = replace(RESEARCH, name="", budget=Decimal("9" * 28))
    names = Names({(Dimension.WORKSPACE, "llm-a"): "Search"})
    sample = sample_alert(FINANCE, replace(POLICIES, workspaces=(workspace,), names=names), who="li", now=NOW, zone=ZONE)
    assert sample.facts.name == "Search"
    assert "Alerts that come here: Search." in " ".join(Wording(Language.EN, ZONE).text(sample).split())
    assert sample.facts.budget == Money(Decimal("9" * 28), Currency("CNY"))


def test_two_test_messages_are_two_messages() -> None:
    first, second = (sample_alert(FINANCE, POLICIES, who="li", now=NOW, zone=ZONE) for _ in range(2))
    assert (first.id, first.alert) != (second.id, second.alert)
    assert first.type == "test"


@pytest.mark.parametrize(
    ("like", "figure"),
    [
        ("alert", "Threshold CNY 320.00 80%"),
        ("daily", "Threshold CNY 320.00 80%"),
        ("console_spend", "Pay-as-you-go CNY 340.00 no budget is set"),
        ("spike", "Wednesday 16 September 2026 CNY 30.00 usually CNY 8.00 to 22.00"),
        ("first", "Web search ################ CNY 30.00 since 2026-09-16, item enable_search"),
        ("free_quota", "Model qwen-max ################ CNY 30.00 since 2026-09-16"),
        ("plans", "Coding Plan until 2026-09-23"),
        ("month_closed", "Final figure CNY 340.00 of CNY 400.00"),
        ("digest", "First charge in Research: Web search (item enable_search) CNY 30.00"),
        ("report", "No alert fires"),
    ],
)
@pytest.mark.parametrize("language", Language)
def test_each_kind_of_message_can_be_shown(like: str, figure: str, language: Language) -> None:
    sample = sample_like(like, sample_alert(FINANCE, POLICIES, who="li", now=NOW, zone=ZONE))
    text = " ".join(Wording(language, ZONE).text(sample).split())
    assert sample.type == "test"
    assert like in LIKE
    if language is Language.EN:
        assert figure in text
