"""What a finer budget picks, and how a scope is called for ever."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_builders import ACME, RESEARCH
from spendwatch.domain.period import PeriodKind
from spendwatch.domain.scope import (
    AlertScope,
    BudgetScope,
    Counts,
    Dimension,
    Match,
    NamedScope,
    Subject,
    can_fit,
    parse_scope,
    parse_tags,
    value_of,
)
from spendwatch.domain.statement import UNASSIGNED, AccountId, WorkspaceId


def _fits(pattern: str, value: str, dimension: Dimension = Dimension.MODEL) -> bool:
    return Match(patterns=((dimension, pattern),)).fits({dimension: value})


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("wan*", "wan2.2-t2i", True),
        ("wan*", "Wan2.2", False),
        ("wan*", "qwan", False),
        ("qwen?max", "qwen-max", True),
        ("qwen?max", "qwenmax", False),
        ("qwen[23]-*", "qwen3-max", True),
        ("*", "", True),
        ("", "", True),
        ("", "x", False),
        ("?*", "", False),
        ("a.c", "abc", False),
        ("*max*", "two\nlines max", True),
        ("[", "[", True),
        ("千问*", "千问-max", True),
    ],
)
def test_patterns_pick_values_by_star_question_mark_and_set(pattern: str, value: str, *, expected: bool) -> None:
    assert _fits(pattern, value) is expected


def test_a_pattern_made_to_be_slow_is_not() -> None:
    assert not _fits("*a" * 30, "a" * 29 + "b" * 5000)


def test_every_pattern_must_fit() -> None:
    match = Match(patterns=((Dimension.MODEL, "wan*"), (Dimension.API_KEY, "1200345")))
    assert match.fits({Dimension.MODEL: "wan2", Dimension.API_KEY: "1200345"})
    assert not match.fits({Dimension.MODEL: "wan2", Dimension.API_KEY: "1200346"})


def test_a_missing_value_counts_as_empty() -> None:
    assert Match(patterns=((Dimension.API_KEY, ""),)).fits({})
    assert not Match(patterns=((Dimension.API_KEY, "?*"),)).fits({})


def test_no_pattern_picks_everything() -> None:
    assert Match().fits({Dimension.MODEL: "any"})


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ('{"team":"search","env":"prod"}', True),
        ('{"team":"search-2"}', True),
        ('{"team":"ads"}', False),
        ('{"Team":"search"}', False),
        ("{}", False),
        ("", False),
    ],
)
def test_tags_pick_by_key_and_pattern(tags: str, *, expected: bool) -> None:
    assert Match(tags=(("team", "search*"),)).fits({Dimension.TAGS: tags}) is expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [("", True), ('{"other":"x"}', True), ('{"team":""}', True), ('{"team":null}', True), ('{"team":"a"}', False)],
)
def test_an_empty_pattern_of_a_tag_picks_what_is_without_it(tags: str, *, expected: bool) -> None:
    assert Match(tags=(("team", ""),)).fits({Dimension.TAGS: tags}) is expected


def test_values_of_tags_that_are_no_texts_are_picked_as_they_are_written() -> None:
    assert parse_tags('{"n":5,"of":["a"],"on":true,"x":null}') == {"n": "5", "of": '["a"]', "on": "true", "x": ""}


@pytest.mark.parametrize(
    ("pattern", "expected"), [("[9-0]", False), ("a[z-a]*", False), ("[0-9]", True), ("[", True), ("", True)]
)
def test_a_pattern_that_no_value_fits_is_known(pattern: str, *, expected: bool) -> None:
    assert can_fit(pattern) is expected


def test_a_tag_that_must_be_there_may_be_empty() -> None:
    match = Match(tags=(("team", "*"),))
    assert match.fits({Dimension.TAGS: '{"team":""}'})
    assert not match.fits({Dimension.TAGS: '{"other":""}'})


@given(st.dictionaries(st.text(), st.text()))
def test_tags_read_back(tags: dict[str, str]) -> None:
    assert parse_tags(json.dumps(tags, sort_keys=True, ensure_ascii=False)) == tags


def test_scopes_have_one_name_each_for_ever() -> None:
    assert BudgetScope(ACME).label == "account"
    assert BudgetScope(ACME, RESEARCH).label == "workspace:llm-demo0a1b2c3d4e"
    assert BudgetScope(ACME, RESEARCH, "chatbot key").label == "workspace:llm-demo0a1b2c3d4e/chatbot key"
    assert BudgetScope(ACME, None, "images").label == "account/images"
    assert BudgetScope(ACME, UNASSIGNED).label == "workspace:"
    assert BudgetScope(ACME, UNASSIGNED).label != BudgetScope(ACME).label


WORDS = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.builds(BudgetScope, WORDS.map(AccountId), st.none() | WORDS.map(WorkspaceId), WORDS, st.sampled_from(Counts))
    | st.builds(NamedScope, st.sampled_from(Subject), WORDS, WORDS.map(AccountId))
)
def test_every_scope_reads_back_as_it_was(scope: AlertScope) -> None:
    assert parse_scope(scope.account, scope.text) == scope


def test_a_slash_in_the_id_of_a_workspace_is_not_that_before_a_finer_budget() -> None:
    assert BudgetScope(ACME, WorkspaceId("a/b")).text != BudgetScope(ACME, WorkspaceId("a"), "b").text


_TITLES = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20)


@given(
    st.sampled_from([None, RESEARCH, WorkspaceId("a/b%2F")]),
    st.one_of(_TITLES, st.sampled_from(["each:key", "each:a/b", "key/1200345", "50%"])),
    st.one_of(st.just(""), _TITLES, st.sampled_from(["a/b", "each:x", "%2F"])),
    st.sampled_from(Counts),
)
def test_the_scope_of_one_value_has_a_text_of_its_own_that_is_read_back(
    workspace: WorkspaceId | None, budget: str, value: str, counts: Counts
) -> None:
    scope = BudgetScope(ACME, workspace, budget, counts, value)
    assert parse_scope(ACME, scope.text) == scope
    assert scope.of_all == BudgetScope(ACME, workspace, budget, Counts.ALL, value)


def test_a_scope_is_shown_with_its_value() -> None:
    assert BudgetScope(ACME, None, "key", Counts.PAY_AS_YOU_GO, "1200345").label == "pay_as_you_go:account/key/1200345"


def test_a_tag_value_is_as_every_database_can_hold_it() -> None:
    values = {Dimension.TAGS: '{"team":"a\\u0000b"}'}
    assert value_of("tag:team", values) == r"a\x00b"


@pytest.mark.parametrize("per", list(PeriodKind))
@pytest.mark.parametrize("counts", list(Counts))
@pytest.mark.parametrize("value", ["", "1200345"])
def test_a_budget_for_days_has_a_scope_of_its_own_that_is_read_back(per: PeriodKind, counts: Counts, value: str) -> None:
    scope = BudgetScope(ACME, RESEARCH, "key", counts, value, per)
    assert parse_scope(ACME, scope.text) == scope
    assert scope.of_all == BudgetScope(ACME, RESEARCH, "key", value=value)
    assert scope.rule == BudgetScope(ACME, RESEARCH, "key", counts, per=per)
