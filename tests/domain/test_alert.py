"""An alert's identity is its content, the same for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_builders import ACME, NOW, RESEARCH
from spendwatch.domain.alert import Alert, AlertState, Matter, Rule, alert_id, next_episode
from spendwatch.domain.policy import Severity

MATTER = Matter(Rule.THRESHOLD_REACHED, ACME, f"workspace:{RESEARCH}", "80%", "2026-09")
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
MATTERS = st.builds(Matter, st.sampled_from(Rule), TEXTS, TEXTS, TEXTS, TEXTS)


def _alert(episode: int, matter: Matter = MATTER) -> Alert:
    return Alert(
        alert_id(matter, episode), matter, episode, Severity.WARNING, AlertState.FIRING, NOW, None, NOW, 1, "800", "reached"
    )


def test_identities_are_those_of_every_earlier_version() -> None:
    """These stand in the databases of those who run it: a change would tell every alert again."""
    assert alert_id(MATTER, 1) == "11d3c431445685583471"
    assert alert_id(Matter(Rule.OVERDUE, ACME, "account", "", ""), 3) == "9566095275e837050e72"


@given(MATTERS, MATTERS, st.integers(1, 9), st.integers(1, 9))
def test_two_alerts_share_an_identity_only_if_they_are_the_same(one: Matter, other: Matter, first: int, second: int) -> None:
    assert (alert_id(one, first) == alert_id(other, second)) == (one == other and first == second)


@pytest.mark.parametrize(
    "other",
    [
        replace(MATTER, rule=Rule.CORRECTED),
        replace(MATTER, account="other"),
        replace(MATTER, scope="other"),
        replace(MATTER, threshold="other"),
        replace(MATTER, period="other"),
    ],
)
def test_every_part_of_a_matter_is_part_of_the_identity(other: Matter) -> None:
    assert alert_id(other, 1) != alert_id(MATTER, 1)


def test_moving_text_from_one_part_to_the_next_makes_another_alert() -> None:
    one = Matter(Rule.THRESHOLD_REACHED, "ab", "c", "", "")
    other = Matter(Rule.THRESHOLD_REACHED, "a", "bc", "", "")
    assert alert_id(one, 1) != alert_id(other, 1)


def test_the_next_episode_follows_the_latest_of_the_same_matter() -> None:
    other = replace(MATTER, threshold="100%")
    assert next_episode(MATTER, []) == 1
    assert next_episode(MATTER, [_alert(2), _alert(1), _alert(7, other)]) == 3


def test_what_belongs_to_a_month_or_happens_once_has_no_episodes() -> None:
    once = {
        Rule.THRESHOLD_REACHED,
        Rule.FORECAST,
        Rule.FOREIGN_CURRENCY,
        Rule.CORRECTED,
        Rule.LATE,
        Rule.REJECTED,
        Rule.DIFFERING,
        Rule.UNASSIGNED,
    }
    assert {rule for rule in Rule if not rule.is_episodic} == once


def test_an_alert_fires_until_it_is_resolved() -> None:
    assert _alert(1).is_firing
    assert not replace(_alert(1), state=AlertState.RESOLVED).is_firing
