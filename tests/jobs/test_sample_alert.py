"""The message of `notify-test`: an alert as it would come, by whom it was asked for, and what is reported here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from spendwatch.domain.alert import Rule
from spendwatch.domain.delivery import Reason
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.notification import Notification
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
from spendwatch.jobs.sample_alert import FIRST, as_test, samples
from spendwatch.letters.language import Language
from spendwatch.letters.letter import compose
from spendwatch.letters.wording import Wording

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


def _sample(name: str, channel: ChannelName = FINANCE, policies: Policies = POLICIES) -> Notification:
    return as_test(samples(channel, policies, now=NOW, zone=ZONE)[name], policies, who="li on finance-1")


def _text(channel: ChannelName, language: Language = Language.EN, name: str = FIRST) -> str:
    return " ".join(Wording(language, ZONE).text(_sample(name, channel)).split())


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
    assert text.startswith(
        "TEST · acme · 1000000000000001 Test: Research has reached 80%" if channel is FINANCE else "TEST · acme"
    )
    assert places in text
    assert "li on finance-1 requested a test message on 2026-09-16 12:00" in text
    assert "This is a test: there is no problem, and you need not do anything. The figures are invented." in text


def test_it_shows_an_alert_of_the_first_budget_that_the_channel_is_for() -> None:
    assert "CNY 340.00 of CNY 400.00 · 85%" in _text(FINANCE)
    assert "day 16 of 30 · month about CNY 448.00" in _text(FINANCE)
    assert "¥850.00 预算 ¥1,000.00，已用 85%" in _text(NOBODY, Language.ZH)


def test_a_workspace_is_called_as_names_call_it_and_any_budget_can_be_shown() -> None:
    workspace = replace(RESEARCH, name="", budget=Decimal("9" * 28))
    names = Names({(Dimension.WORKSPACE, "llm-a"): "Search"})
    sample = _sample(FIRST, policies=POLICIES._replace(workspaces=(workspace,), names=names))
    assert sample.facts.name == "Search"
    assert "Alerts that come here: Search." in " ".join(Wording(Language.EN, ZONE).text(sample).split())
    assert sample.facts.budget == Money(Decimal("9" * 28), Currency("CNY"))


def test_two_test_messages_are_two_messages() -> None:
    first, second = (_sample(FIRST) for _ in range(2))
    assert (first.id, first.alert) != (second.id, second.alert)
    assert first.type == "test"


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("threshold", "Threshold CNY 320.00 80%"),
        ("daily", "Research has reached 80% of its daily budget for 2026-09-16"),
        ("weekly", "Research has reached 80% of its weekly budget for the week from 2026-09-14"),
        ("forecast", "Threshold CNY 400.00 100%"),
        ("console_spend", "Pay-as-you-go CNY 340.00 no budget is set"),
        ("unassigned_spend", "acme: spend without workspace has reached CNY 320.00"),
        ("untagged_spend", "acme: spend without tag team has reached CNY 320.00"),
        ("spike", "Wednesday 16 September 2026 CNY 80.00 usually CNY 8.00 to 22.00"),
        ("first", "Web search ################ CNY 4.00 since 2026-09-16, item enable_search"),
        ("free_quota", "Model qwen-max ################ CNY 4.00 since 2026-09-16"),
        ("plan_ordered", "Coding Plan until 2026-09-23, sfm_codingplan_public_cn, CNY 80.00, ordered 2026-09-16"),
        ("plan_ends", "Ends soon in Research: Coding Plan until 2026-09-23"),
        ("month_closed", "Final figure CNY 340.00 of CNY 400.00"),
        ("overdue", "Test: acme is overdue by CNY 20.00"),
        ("escalated", "it has not ended after 1 d"),
        ("resolved", "Test: acme is no longer overdue"),
        ("channel_failing", "https://hooks.example.com: connection refused"),
        ("digest", "First charge in Research: Web search (item enable_search) CNY 4.00"),
        ("report", "No alert fires"),
    ],
)
def test_a_sample_shows_what_such_a_message_says(name: str, figure: str) -> None:
    assert figure in _text(FINANCE, name=name)


EVERY = samples(FINANCE, POLICIES, now=NOW, zone=ZONE)


def test_no_rule_and_no_reason_lacks_a_sample() -> None:
    assert set(Rule) - {one.rule for one in EVERY.values()} == set()
    assert set(Reason) - {one.reason for one in EVERY.values()} == {Reason.TEST}


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("name", EVERY)
def test_every_sample_is_marked_as_a_test_in_every_layout(name: str, language: Language) -> None:
    wording, sample = Wording(language, ZONE), _sample(name)
    tag, title = {Language.EN: ("TEST", "Test: "), Language.ZH: ("测试", "测试：")}[language]
    assert sample.type == "test"
    assert wording.subject(sample).startswith(f"[{tag}] ")
    state, _, text = wording.text(sample).partition("\n")
    assert state.startswith(tag)
    assert text.startswith(title)
    assert wording.brief(sample).startswith(f"{tag} | {title}")
    assert f">{title}" in wording.html(sample)
    assert "li on finance-1" in text


@pytest.mark.parametrize("name", EVERY)
def test_a_sample_looks_like_the_message_itself(name: str) -> None:
    """Beside the mark, who asked and what comes here, it is what would be sent."""
    sent, test = (compose(one, Language.EN, ZONE) for one in (EVERY[name], _sample(name)))
    for part in ("amount", "gauge", "captions", "account", "links"):
        assert getattr(test, part) == getattr(sent, part)
    assert [one for one in test.sections if one.kind != "messages"] == [one for one in sent.sections if one.kind != "messages"]
    assert test.headline == f"Test: {sent.headline}"
    assert test.lead.endswith(sent.lead)
