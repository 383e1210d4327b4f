"""An alert's identity is its content, the same for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_builders import ACME, NOW, RESEARCH
from spendwatch.domain.alert import Alert, AlertKey, AlertState, Rule, alert_id
from spendwatch.domain.policy import Severity
from spendwatch.domain.scope import BudgetScope, NamedScope, Subject
from spendwatch.domain.statement import AccountId, WorkspaceId

KEY = AlertKey(Rule.THRESHOLD_REACHED, BudgetScope(ACME, RESEARCH), "80%", "2026-09")
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
SCOPES = st.builds(BudgetScope, TEXTS.map(AccountId), st.none() | TEXTS.map(WorkspaceId), TEXTS) | st.builds(
    NamedScope, st.sampled_from(Subject), TEXTS, TEXTS.map(AccountId)
)
KEYS = st.builds(AlertKey, st.sampled_from(Rule), SCOPES, TEXTS, TEXTS, TEXTS)


def _alert(episode: int, key: AlertKey = KEY) -> Alert:
    return Alert(alert_id(key, episode), key, episode, Severity.WARNING, AlertState.FIRING, NOW, None, NOW, 1, "800", "reached")


def test_identities_never_change() -> None:
    """These stand in the databases of those who run it: a change would tell every alert again."""
    assert alert_id(KEY, 1) == "d053e4df216936a581ca"
    assert alert_id(AlertKey(Rule.OVERDUE, BudgetScope(ACME)), 3) == "0375d623edd9d06551dc"


@given(KEYS, KEYS, st.integers(1, 9), st.integers(1, 9))
def test_two_alerts_share_an_identity_only_if_they_are_the_same(
    one: AlertKey, other: AlertKey, first: int, second: int
) -> None:
    assert (alert_id(one, first) == alert_id(other, second)) == (one == other and first == second)


@pytest.mark.parametrize(
    "other",
    [
        KEY._replace(rule=Rule.CORRECTED),
        KEY._replace(scope=BudgetScope(AccountId("other"), RESEARCH)),
        KEY._replace(scope=BudgetScope(ACME, WorkspaceId("other"))),
        KEY._replace(height="800"),
        KEY._replace(threshold="other"),
        KEY._replace(period="other"),
    ],
)
def test_every_part_of_a_key_is_part_of_the_identity(other: AlertKey) -> None:
    assert alert_id(other, 1) != alert_id(KEY, 1)


def test_moving_text_from_one_part_to_the_next_makes_another_alert() -> None:
    one = AlertKey(Rule.THRESHOLD_REACHED, BudgetScope(ACME, WorkspaceId("a/b")))
    other = AlertKey(Rule.THRESHOLD_REACHED, BudgetScope(ACME, WorkspaceId("a"), "b"))
    assert alert_id(one, 1) != alert_id(other, 1)


def test_what_belongs_to_a_month_or_happens_once_has_no_episodes() -> None:
    once = {
        Rule.THRESHOLD_REACHED,
        Rule.FORECAST,
        Rule.FOREIGN_CURRENCY,
        Rule.CORRECTED,
        Rule.LATE,
        Rule.FIRST_COST,
        Rule.FREE_QUOTA_ENDED,
        Rule.SPIKE,
        Rule.MONTH_CLOSED,
        Rule.CONSOLE,
        Rule.UNASSIGNED_SPEND,
        Rule.UNTAGGED,
        Rule.DIGEST,
        Rule.REPORT,
        Rule.PLAN_ORDERED,
        Rule.REJECTED,
        Rule.DIFFERING,
        Rule.UNASSIGNED,
    }
    assert {rule for rule in Rule if not rule.is_episodic} == once


def test_an_alert_fires_until_it_is_resolved() -> None:
    assert _alert(1).is_firing
    assert not _alert(1)._replace(state=AlertState.RESOLVED).is_firing


def test_all_that_is_said_of_one_budget_or_one_balance_is_one_matter() -> None:
    forecast = KEY._replace(rule=Rule.FORECAST, threshold="forecast 100%")
    assert KEY.matter == KEY._replace(threshold="100%", height="500").matter == forecast.matter
    account = BudgetScope(ACME)
    assert AlertKey(Rule.BALANCE_LOW, account, "300.00").matter == AlertKey(Rule.RUNWAY, account, "7d").matter
    assert AlertKey(Rule.OVERDUE, account).matter == AlertKey(Rule.RUNWAY, account, "7d").matter
    assert KEY.matter != KEY._replace(scope=account).matter
    assert KEY.matter != KEY._replace(period="2026-10").matter
    late = KEY._replace(rule=Rule.LATE)
    assert late.matter not in {KEY.matter, late._replace(threshold="other").matter}
