"""The whole judgement: once, in time, truthfully."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_builders import (
    ACME,
    FINANCE,
    NOW,
    SEPTEMBER,
    USD,
    Book,
    a_floor,
    a_watch,
    amount,
    cny,
    floors,
    review_forecast,
    review_standing,
    share,
    standing,
    told,
)
from spendwatch.domain.alert import Acknowledgement, AlertKey, AlertsKnown, AlertState, Rule
from spendwatch.domain.delivery import Reason
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import Money
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.policy import ChannelName, Escalation, Severity, Threshold, Watch
from spendwatch.domain.review import Condition, Verdict, expire, one_message_per_matter, review_conditions
from spendwatch.domain.scope import BudgetScope, NamedScope, Subject
from spendwatch.domain.standing import gravity
from spendwatch.domain.statement import AccountId

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


# --- thresholds


def test_below_every_threshold_nothing_is_said() -> None:
    book = Book()
    assert book.spend("499.9999999999") == ()
    assert book.alerts == {}


@pytest.mark.parametrize(
    ("threshold", "budget", "below", "at"),
    [
        (share(80), "1000", "799.9999999999", "800"),
        (share(80), "1000.0000000003", "800.0000000002", "800.0000000003"),
        (share(50), "1234.5678901230", "617.2839450614", "617.2839450615"),
        (amount("900.0000000001"), None, "900.0000000000", "900.0000000001"),
        (share(100), "0.0000000001", "0", "0.0000000001"),
    ],
)
def test_a_threshold_is_reached_exactly_at_it_to_the_tenth_decimal(
    threshold: Threshold, budget: str | None, below: str, at: str
) -> None:
    book, watch = Book(), a_watch(threshold, budget=budget)
    assert book.spend(below, watch) == ()
    assert told(book.spend(at, watch)) == [("fired", threshold.label, ())]


def test_a_jump_over_all_thresholds_is_told_once_naming_the_highest() -> None:
    book = Book()
    (said,) = book.spend(0) + book.spend(5000)
    assert told([said]) == [("fired", "100%", ("80%", "50%"))]
    assert said.severity is Severity.CRITICAL
    assert len(book.alerts) == 3
    assert sorted((alert.key.threshold, alert.times_told) for alert in book.alerts.values()) == [
        ("100%", 1),
        ("50%", 0),
        ("80%", 0),
    ]


def test_each_threshold_is_told_once_however_often_it_is_looked_at() -> None:
    book = Book()
    for spend in (500, 500, 700, 800, 800, 999, 1000, 1000, 5000):
        book.spend(spend)
    assert told(book.said) == [("fired", "50%", ()), ("fired", "80%", ()), ("fired", "100%", ())]


def test_a_notification_carries_the_figures_of_the_moment() -> None:
    book = Book()
    book.spend(510)
    book.now += HOUR
    (said,) = book.spend("851.2")
    facts = said.facts
    assert (facts.scope, facts.account_name, facts.name) == (a_watch().scope, "acme", "Research")
    assert (facts.period, facts.spend, facts.budget, facts.used) == ("2026-09", cny("851.2"), cny(1000), Decimal("0.8512"))
    assert (facts.threshold, facts.reached_at, facts.next_threshold, facts.next_at) == ("80%", cny(800), "100%", cny(1000))
    assert (facts.earlier, facts.earlier_at, facts.data_until) == (cny(510), NOW, NOW)
    assert (said.since, said.created_at, said.reason, said.state) == (book.now, book.now, Reason.FIRED, AlertState.FIRING)


def test_beyond_the_last_threshold_there_is_no_next() -> None:
    (said,) = Book().spend(1000)
    assert (said.facts.next_threshold, said.facts.next_at) == ("", None)


def test_foreign_money_is_told_beside_and_moves_no_threshold() -> None:
    book = Book()
    foreign = (Money(Decimal(10**9), USD),)
    assert book.enter(review_standing(standing(499)._replace(foreign=foreign), book.known(), now=NOW)) == ()
    (said,) = book.enter(review_standing(standing(500)._replace(foreign=foreign), book.known(), now=NOW))
    assert said.facts.foreign == foreign


def test_a_share_of_no_budget_is_never_reached_but_an_amount_is() -> None:
    book, watch = Book(), a_watch(share(50), amount(900), budget=None)
    assert book.spend(10**9 - 1, watch)[0].facts.threshold == "900"
    assert len(book.alerts) == 1


def test_without_thresholds_nothing_is_ever_said() -> None:
    watch = a_watch()._replace(thresholds=())
    assert review_standing(standing(10**9, watch), AlertsKnown(()), now=NOW) == Verdict()


def test_a_share_and_an_amount_at_the_same_height_are_told_together() -> None:
    book, watch = Book(), a_watch(share(80), amount(800))
    (said,) = book.spend(800, watch)
    assert {said.facts.threshold, *said.facts.also} == {"80%", "800"}
    assert book.spend(801, watch) == ()


def test_another_month_another_scope_and_another_account_start_afresh() -> None:
    book = Book()
    book.spend(500)
    later = review_standing(standing(500, period=SEPTEMBER.next()), book.known(), now=NOW)
    other = review_standing(standing(500, a_watch(scope=BudgetScope(ACME))), book.known(), now=NOW)
    finer = review_standing(
        standing(500, a_watch(scope=BudgetScope(ACME, a_watch().scope.workspace, "x"))), book.known(), now=NOW
    )
    book.enter(later)
    book.enter(other)
    book.enter(finer)
    assert len({said.id for said in book.said}) == 4


# --- changed thresholds


def test_a_threshold_added_below_the_highest_told_is_recorded_in_silence() -> None:
    book = Book()
    book.spend(850)
    assert book.spend(850, a_watch(share(50), share(60), share(80), share(100))) == ()
    assert [alert.times_told for alert in book.alerts.values() if alert.key.threshold == "60%"] == [0]


def test_a_threshold_lowered_below_the_highest_told_is_silent() -> None:
    book = Book()
    book.spend(1000, a_watch(share(100)))
    assert book.spend(1000, a_watch(share(90))) == ()
    assert book.spend(1001, a_watch(amount(950))) == ()
    assert len(book.alerts) == 3


def test_a_threshold_added_above_the_highest_told_is_told() -> None:
    book = Book()
    book.spend(850)
    assert told(book.spend(950, a_watch(share(50), share(80), share(90), share(100)))) == [("fired", "90%", ())]


def test_one_added_below_and_one_reached_above_are_told_as_one() -> None:
    book = Book()
    book.spend(850)
    assert told(book.spend(1000, a_watch(share(50), share(60), share(80), share(100)))) == [("fired", "100%", ("60%",))]


def test_a_removed_threshold_is_forgotten_quietly() -> None:
    book = Book()
    book.spend(850)
    assert book.spend(100, a_watch()._replace(thresholds=())) == ()


# --- a budget that is lowered or raised


def test_a_budget_lowered_below_the_spend_is_told_to_be_used_up_once() -> None:
    book = Book()
    assert told(book.spend(55, a_watch(budget=100))) == [("fired", "50%", ())]
    assert told(book.spend(55, a_watch(budget=50))) == [("fired", "100%", ("80%", "50%"))]
    assert book.spend(55, a_watch(budget=40)) == (), "it is used up, which was told"
    assert book.spend(55, a_watch(budget=50)) == ()
    assert [one.reason for one in book.spend(55, a_watch(budget=100))] == [Reason.RESOLVED]


def test_a_budget_lowered_far_below_the_spend_at_once_is_told_to_be_used_up() -> None:
    book = Book()
    book.spend(55, a_watch(budget=100))
    assert told(book.spend(55, a_watch(budget=40))) == [("fired", "100%", ("80%", "50%"))]


def test_a_larger_share_of_a_lowered_budget_is_told_though_a_higher_amount_was() -> None:
    book = Book()
    book.spend(550)
    assert told(book.spend(550, a_watch(budget=610))) == [("fired", "80%", ("50%",))]
    assert told(book.spend(550, a_watch(share(50), share(80), share(85), share(100), budget=610))) == [("fired", "85%", ())]


def test_the_same_share_of_a_lowered_budget_is_silent() -> None:
    book = Book()
    book.spend(550)
    assert book.spend(550, a_watch(budget=990)) == ()


def test_a_used_up_budget_that_is_raised_below_the_spend_is_told_to_be_used_up_again() -> None:
    book = Book()
    book.spend(1300)
    assert told(book.spend(1300, a_watch(budget=1200))) == [("fired", "100%", ("80%", "50%"))]


def test_an_amount_told_of_a_larger_budget_does_not_speak_for_a_lowered_one() -> None:
    book = Book()
    assert told(book.spend(910, a_watch(share(100), amount(900), budget=1200))) == [("fired", "900", ())]
    assert told(book.spend(910, a_watch(share(80), share(100), amount(900), budget=1000))) == [("fired", "80%", ())]
    assert told(book.spend(910, a_watch(share(80), share(100), amount(900), budget=800))) == [("fired", "100%", ("80%",))]
    assert told(book.said) == [("fired", "900", ()), ("fired", "80%", ()), ("fired", "100%", ("80%",))]


def test_an_amount_told_speaks_for_smaller_shares_of_the_same_budget() -> None:
    book = Book()
    book.spend(910, a_watch(amount(900)))
    assert book.spend(910, a_watch(share(50), share(80), amount(900))) == ()
    assert book.spend(910, a_watch(share(50), amount(900), budget=1001)) == (), "nor for those of one raised by a little"


def test_a_share_told_speaks_for_a_lower_amount_unless_that_is_a_larger_share_by_now() -> None:
    book = Book()
    book.spend(850)
    assert book.spend(850, a_watch(share(50), share(80), amount(700))) == ()
    assert told(book.spend(850, a_watch(amount(710), amount(700), budget=860))) == [("fired", "710", ())]


def test_a_budget_set_where_there_was_none_is_told_as_far_as_it_is_used() -> None:
    book = Book()
    book.spend(950, a_watch(amount(900), budget=None))
    assert told(book.spend(950, a_watch(share(80), amount(900), budget=1100))) == [("fired", "80%", ())]


def test_without_a_budget_only_amounts_are_compared() -> None:
    book = Book()
    book.spend(950, a_watch(amount(900), budget=None))
    assert book.spend(950, a_watch(amount(800), budget=None)) == ()
    assert told(book.spend(950, a_watch(amount(940), budget=None))) == [("fired", "940", ())]


def test_a_budget_of_very_many_digits_is_compared_exactly() -> None:
    book, digits = Book(), "9" * 28 + "." + "9" * 10
    thresholds = (share("33.3333333333"), share("33.3333333334"))
    book.spend(digits, a_watch(thresholds[0], budget=digits))
    assert len(book.spend(digits, a_watch(thresholds[1], budget=digits))) == 1
    assert book.spend(digits, a_watch(thresholds[0], budget=digits[:-1] + "8")) == ()


def test_a_raised_budget_ends_what_is_no_longer_reached_and_says_from_what_to_what_it_was_raised() -> None:
    book = Book()
    book.spend(500)
    book.spend(850)
    book.now += HOUR
    (said,) = book.spend(850, a_watch(budget=1500))
    assert (said.reason, said.type, said.state, said.channels) == (
        Reason.RESOLVED,
        "alert.resolved",
        AlertState.RESOLVED,
        (FINANCE,),
    )
    facts = said.facts
    assert (facts.threshold, facts.also, facts.spend, facts.reached_at) == ("80%", (), cny(850), cny(1200))
    assert (facts.budget_before, facts.budget) == (cny(1000), cny(1500))
    assert {alert.key.threshold for alert in book.known().firing()} == {"50%"}
    assert book.spend(900, a_watch(budget=1500)) == ()
    assert told(book.spend(1200, a_watch(budget=1500))) == [("fired", "80%", ())]


def test_a_budget_that_is_lowered_again_fires_again_what_its_raise_had_ended() -> None:
    book = Book()
    book.spend(850)
    book.spend(850, a_watch(budget=1500))
    assert told(book.spend(850)) == [("fired", "80%", ())]
    assert book.spend(850) == ()
    assert sorted(alert.episode for alert in book.alerts.values() if alert.key.threshold == "80%") == [1, 2]


def test_what_a_raise_has_ended_is_neither_corrected_nor_told_of_by_its_old_amount() -> None:
    book = Book()
    book.spend(850)
    book.spend(850, a_watch(budget=5000))
    assert book.spend(790, a_watch(budget=5000)) == ()
    assert book.spend(850, a_watch(budget=4900)) == ()


def test_a_raise_after_the_total_fell_back_says_nothing_more() -> None:
    book = Book()
    book.spend(850)
    book.spend(700)
    book.spend(450)
    assert book.spend(450, a_watch(budget=1500)) == ()


def test_a_raise_that_leaves_a_lower_share_reached_speaks_for_it() -> None:
    book = Book()
    book.spend(850)
    assert told(book.spend(850, a_watch(budget=1500))) == [("resolved", "80%", ())]
    assert book.spend(850, a_watch(budget=1400)) == (), "50% of it is reached, which follows from what was said"


BUDGETS = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300)), max_size=30)


@given(BUDGETS)
def test_whatever_becomes_of_the_budget_nothing_reached_goes_untold_and_nothing_is_told_twice(
    history: Sequence[tuple[int, int]],
) -> None:
    book = Book()
    words: list[tuple[Decimal, Decimal]] = []
    """Each threshold told that was not taken back: at which amount, and at which share of its budget."""
    implied: list[tuple[Decimal, Decimal]] = []
    """What follows from how things stood when something was taken back."""
    for spend, budget in history:
        reached = {(Decimal(budget * percent) / 100, Decimal(percent) / 100) for percent in (50, 80, 100)}
        said = [one for one in book.spend(spend, a_watch(budget=budget)) if one.rule is Rule.THRESHOLD_REACHED]
        for one in said:
            if one.reason is Reason.RESOLVED:
                gone = {Decimal(label[:-1]) / 100 for label in (one.facts.threshold, *one.facts.also)}
                words = [(at, of) for at, of in words if of not in gone or (at, of) in reached]
                implied += [(at, of) for at, of in reached if spend >= at]
        fired = [one.facts for one in said if one.reason is Reason.FIRED]
        new = [(one.reached_at.amount, Decimal(one.threshold[:-1]) / 100) for one in fired if one.reached_at]
        assert not set(new) & set(words), "nothing is told twice, unless it was taken back"
        words += new
        for height, part in reached:
            if spend >= height:
                assert any(at >= height and of >= part for at, of in (*words, *implied)), "something at least as grave was told"


# --- a total that falls


def test_a_falling_total_neither_ends_nor_repeats_an_alert_and_is_told_once() -> None:
    book = Book()
    book.spend(850)
    book.now += HOUR
    (said,) = book.spend("790")
    assert (said.rule, said.facts.threshold, said.facts.spend, said.facts.earlier) == (
        Rule.CORRECTED,
        "80%",
        cny(790),
        cny(850),
    )
    assert said.severity is Severity.NOTICE
    assert all(alert.is_firing for alert in book.alerts.values())
    for spend in (700, 600, 400, 0, 790, 850, 500, 900, 100):
        assert book.spend(spend) == (), spend


@pytest.mark.parametrize("watch", [a_watch(), a_watch()._replace(thresholds=())])
def test_a_total_below_zero_is_told_once_before_any_threshold_was(watch: Watch) -> None:
    book = Book()
    assert book.spend(40, watch) == ()
    (said,) = book.spend(-1_000_000, watch)
    assert (said.rule, said.facts.threshold, said.facts.spend) == (Rule.CORRECTED, "0", cny(-1_000_000))
    for spend in (-5, -999_850, 0, 10, -1):
        assert book.spend(spend, watch) == (), spend


def test_a_total_that_falls_below_a_threshold_and_zero_at_once_is_told_once() -> None:
    book = Book()
    book.spend(850)
    assert [said.facts.threshold for said in book.spend(-10)] == ["80%"]
    assert book.spend(-20) == ()
    other = Book()
    other.spend(850)
    assert [said.facts.threshold for spend in (700, -10, -20) for said in other.spend(spend)] == ["80%", "0"]


def test_a_negative_total_without_budget_and_thresholds_is_nobodys_news() -> None:
    assert Book().spend(-10, a_watch(budget=None)._replace(thresholds=())) == ()


def test_a_fall_that_stays_above_the_threshold_is_not_told() -> None:
    book = Book()
    book.spend(950)
    assert book.spend(800) == ()


def test_after_a_correction_the_next_threshold_is_still_told() -> None:
    book = Book()
    book.spend(850)
    book.spend(100)
    assert told(book.spend(1000)) == [("fired", "100%", ())]
    assert told(book.spend(900)) == [("fired", "100%", ())]
    assert [said.facts.threshold for said in book.of(Rule.CORRECTED)] == ["80%", "100%"]


def test_a_silent_alert_is_not_corrected() -> None:
    book = Book()
    book.spend(5000)
    book.spend(90)
    assert [said.facts.threshold for said in book.of(Rule.CORRECTED)] == ["100%"]


def test_ten_thousand_steps_up_and_down_say_a_bounded_number_of_things() -> None:
    book = Book()
    dice = random.Random(3)  # noqa: S311 -- a test's dice
    for _ in range(10_000):
        book.now += timedelta(minutes=1)
        book.spend(dice.choice((0, 499, 500, 799, 800, 999, 1000, 5000)))
    assert len(book.of(Rule.THRESHOLD_REACHED)) <= 3
    assert len(book.of(Rule.CORRECTED)) <= 3
    assert len(book.alerts) <= 6


SPENDS = st.lists(st.integers(-100, 1500), max_size=30)
LEVELS = {"50%": 500, "80%": 800, "100%": 1000}


@given(SPENDS)
def test_whatever_the_total_does_each_threshold_reached_is_told_and_only_once(spends: Sequence[int]) -> None:
    book = Book()
    for index, spend in enumerate(spends):
        said = book.spend(spend)
        assert len(said) <= 1
        fired = [one for one in said if one.rule is Rule.THRESHOLD_REACHED]
        highest = max(spends[: index + 1])
        before = max(spends[:index], default=-100)
        newly = [label for label, level in LEVELS.items() if before < level <= highest]
        assert [label for one in fired for label in (*reversed(one.facts.also), one.facts.threshold)] == newly
    reached = [label for label, level in LEVELS.items() if level <= max(spends, default=-100)]
    mentioned = [label for one in book.of(Rule.THRESHOLD_REACHED) for label in (one.facts.threshold, *one.facts.also)]
    assert sorted(mentioned) == sorted(reached), "each exactly once"
    assert all(alert.is_firing for alert in book.alerts.values())


@given(SPENDS)
def test_looking_twice_at_the_same_total_changes_nothing(spends: Sequence[int]) -> None:
    book = Book()
    for spend in spends:
        book.spend(spend)
        assert review_standing(standing(spend), book.known(), now=book.now + HOUR) == Verdict()


@given(SPENDS)
def test_the_same_history_gives_the_same_identities(spends: Sequence[int]) -> None:
    books = [Book(), Book()]
    books[1].now += 30 * DAY
    for spend in spends:
        for book in books:
            book.spend(spend)
    assert [said.id for said in books[0].said] == [said.id for said in books[1].said]
    assert list(books[0].alerts) == list(books[1].alerts)


# --- how grave the spend is now


@pytest.mark.parametrize(
    ("spend", "thresholds", "budget", "expected"),
    [
        ("-250", (), 1000, None),
        ("499.99", (), 1000, None),
        ("500", (), 1000, Severity.NOTICE),
        ("800", (), 1000, Severity.WARNING),
        ("1000", (), 1000, Severity.CRITICAL),
        ("749.99", (share(50),), 1000, Severity.NOTICE),
        ("850", (share(50),), 1000, Severity.WARNING),
        ("2750", (share(50),), 1000, Severity.CRITICAL),
        ("749.99", (share(120),), 1000, None),
        ("999", (share(120),), 1000, Severity.WARNING),
        ("1000", (share(120),), 1000, Severity.CRITICAL),
        ("899", (amount(900),), None, None),
        ("900", (amount(900),), None, Severity.WARNING),
        ("900", (share(50),), None, None),
        ("10000", (Threshold(share=Decimal("0.5"), is_forecast=True),), None, None),
    ],
)
def test_the_spend_is_as_grave_as_the_gravest_threshold_it_has_reached_and_no_less_than_its_share_of_the_budget(
    spend: str, thresholds: tuple[Threshold, ...], budget: int | None, expected: Severity | None
) -> None:
    assert gravity(standing(spend, a_watch(*thresholds, budget=budget))) is expected


def test_a_budget_without_thresholds_is_a_warning_when_nearly_and_critical_when_wholly_used_up() -> None:
    watch = a_watch()._replace(thresholds=())
    assert gravity(standing(749, watch)) is None
    assert gravity(standing(750, watch)) is Severity.WARNING
    assert gravity(standing(1000, watch)) is Severity.CRITICAL


# --- what was said before


def _since_last(said: Sequence[Notification]) -> tuple[Money | None, datetime | None]:
    (one,) = said
    return one.facts.earlier, one.facts.earlier_at


def test_the_change_since_the_last_word_counts_from_a_reminder() -> None:
    book, watch = Book(), a_watch(remind=DAY)
    book.spend(500, watch)
    book.now += DAY
    assert _since_last(book.spend(600, watch)) == (cny(500), NOW)
    book.now += HOUR
    assert book.spend(700, watch) == ()
    assert _since_last(book.spend(850, watch)) == (cny(600), NOW + DAY)
    book.now += DAY
    assert _since_last(book.spend(860, watch)) == (cny(850), NOW + DAY + HOUR)


def test_the_change_since_the_last_word_counts_from_a_correction() -> None:
    book = Book()
    book.spend(850)
    book.now += HOUR
    assert _since_last(book.spend(700)) == (cny(850), NOW)
    book.now += HOUR
    assert _since_last(book.spend(1000)) == (cny(700), NOW + HOUR)


def test_a_threshold_passed_in_silence_is_no_word() -> None:
    book = Book()
    book.spend(850)
    book.now += HOUR
    book.spend(900, a_watch(share(50), share(60), share(80), share(100)))
    assert _since_last(book.spend(1000)) == (cny(850), NOW)


# --- reminders


def test_a_reminder_comes_when_it_is_due_and_not_before() -> None:
    book, watch = Book(), a_watch(remind=DAY)
    book.spend(850, watch)
    ids = set()
    for _ in range(3):
        book.now += DAY - timedelta(seconds=1)
        assert book.spend(860, watch) == ()
        book.now += timedelta(seconds=1)
        (said,) = book.spend(870, watch)
        assert told([said]) == [("repeated", "80%", ())]
        assert said.facts.spend == cny(870)
        ids.add(said.id)
    assert len(ids) == 3


def test_a_shorter_interval_counts_from_the_last_word_and_not_from_the_end_of_the_longer_one() -> None:
    book = Book()
    book.spend(850, a_watch(remind=7 * DAY))
    book.now += DAY
    assert told(book.spend(850, a_watch(remind=DAY))) == [("repeated", "80%", ())]


def test_only_the_latest_told_threshold_is_reminded_of() -> None:
    book, watch = Book(), a_watch(remind=DAY)
    book.spend(500, watch)
    book.now += HOUR
    book.spend(1000, watch)
    book.now += DAY
    assert told(book.spend(1000, watch)) == [("repeated", "100%", ())]


def test_news_take_the_place_of_a_reminder() -> None:
    book, watch = Book(), a_watch(remind=DAY)
    book.spend(500, watch)
    book.now += DAY
    assert told(book.spend(800, watch)) == [("fired", "80%", ())]


def test_what_fell_back_below_is_not_reminded_of() -> None:
    book, watch = Book(), a_watch(remind=DAY)
    book.spend(850, watch)
    book.spend(700, watch)
    book.now += 10 * DAY
    assert book.spend(700, watch) == ()


@pytest.mark.parametrize(
    ("later", "about"),
    [
        (a_watch(share(50), remind=DAY), "50%"),
        (a_watch(budget=900, remind=DAY), "80%"),
        (a_watch(budget=1500, remind=DAY), "50%"),
    ],
    ids=["the threshold is gone", "the budget is lower", "the budget is higher"],
)
def test_reminders_go_on_by_the_thresholds_as_they_are_now(later: Watch, about: str) -> None:
    book = Book()
    for spent in (500, 850):
        book.now += HOUR
        book.spend(spent, a_watch(remind=DAY))
    assert [one.reason for one in book.spend(850, later)] in ([], [Reason.RESOLVED])
    book.now += DAY - timedelta(seconds=1)
    assert book.spend(850, later) == (), "the last word on it counts"
    book.now += timedelta(seconds=1)
    assert told(book.spend(850, later)) == [("repeated", about, ())]
    book.now += DAY
    assert told(book.spend(850, later)) == [("repeated", about, ())]


def test_without_a_wish_there_is_no_reminder() -> None:
    book = Book()
    book.spend(850)
    book.now += 1000 * DAY
    assert book.spend(850) == ()


# --- episodes: balance and health


def test_a_balance_that_falls_through_all_floors_is_told_once_by_the_gravest() -> None:
    book = Book()
    assert book.find(*floors(1000)) == ()
    assert told(book.find(*floors(-1))) == [("fired", "", ("500", "1000"))]
    assert book.said[0].rule is Rule.OVERDUE
    assert len(book.alerts) == 3


def test_a_balance_that_falls_slowly_is_told_floor_by_floor() -> None:
    book = Book()
    for available in (2000, 1000, 999, 600, 499, 0, -1, -500):
        book.find(*floors(available))
    assert told(book.said) == [("fired", "1000", ()), ("fired", "500", ()), ("fired", "", ())]


def test_a_balance_that_recovers_is_told_once_with_all_that_ended() -> None:
    book = Book()
    book.find(*floors(-1))
    book.now += HOUR
    (said,) = book.find(*floors(5000))
    assert told([said]) == [("resolved", "", ("500", "1000"))]
    assert said.type == "balance.recovered"
    assert said.state is AlertState.RESOLVED
    assert not any(alert.is_firing for alert in book.alerts.values())
    assert {alert.resolved_at for alert in book.alerts.values()} == {book.now}


def test_a_partial_recovery_names_what_ended_and_leaves_the_rest_firing() -> None:
    book = Book()
    book.find(*floors(-1))
    assert told(book.find(*floors(700))) == [("resolved", "", ("500",))]
    assert [alert.key.threshold for alert in book.alerts.values() if alert.is_firing] == ["1000"]
    assert told(book.find(*floors(1000))) == [("resolved", "1000", ())]


def test_a_second_fall_is_a_new_episode_with_a_new_identity() -> None:
    book = Book()
    for available in (-1, 5000, -1, 5000, -1):
        book.find(*floors(available, levels=()))
    assert [alert.episode for alert in book.alerts.values()] == [1, 2, 3]
    assert [said.reason for said in book.said] == [Reason.FIRED, Reason.RESOLVED] * 2 + [Reason.FIRED]


def test_a_milder_condition_that_begins_under_a_graver_one_is_silent() -> None:
    book = Book()
    book.find(a_floor(0, holds=True))
    assert book.find(a_floor(0, holds=True), a_floor(500, holds=True)) == ()
    assert len(book.alerts) == 2


def test_groups_are_told_apart() -> None:
    book = Book()
    one = a_floor(0, holds=True, group="balance:acme")
    other = one._replace(group="balance:globex", key=one.key._replace(scope=BudgetScope(AccountId("globex"))))
    assert len(book.find(one, other)) == 2


def test_a_firing_group_is_reminded_of_its_gravest_when_due() -> None:
    book = Book()
    book.find(*floors(-1, remind=DAY))
    book.now += DAY
    assert told(book.find(*floors(-1, remind=DAY))) == [("repeated", "", ())]
    assert book.find(*floors(-1, remind=DAY)) == ()
    book.now += DAY
    assert told(book.find(*floors(-1, remind=DAY))) == [("repeated", "", ())]


REFUSED = Condition(
    key=AlertKey(Rule.REJECTED, NamedScope(Subject.FILE, "abc")),
    holds=True,
    severity=Severity.WARNING,
    summary="refused",
    facts=Facts(),
    channels=(),
)


def test_a_condition_that_only_happens_is_told_once_and_does_not_end() -> None:
    book = Book()
    assert len(book.find(REFUSED)) == 1
    assert book.find(REFUSED) == ()
    assert book.find(REFUSED._replace(holds=False)) == ()
    assert book.find(REFUSED) == ()


AVAILABLE = st.lists(st.integers(-10, 1500), max_size=40)


@given(AVAILABLE)
def test_whatever_the_balance_does_what_fires_is_what_holds(history: Sequence[int]) -> None:
    book = Book()
    for available in history:
        book.now += HOUR
        said = book.find(*floors(available))
        firing = {alert.key.threshold for alert in book.known().firing()}
        assert firing == {label for label, level in (("1000", 1000), ("500", 500), ("", 0)) if available < level}
        assert len(said) <= 1
        again = review_conditions(floors(available), book.known(), now=book.now + HOUR)
        assert again == Verdict(), "a second look at the same finds nothing new"


# --- one message for one matter


BOSS, OPS = ChannelName("boss"), ChannelName("ops")


def a_runway(days: int, *, holds: bool, severity: Severity = Severity.WARNING) -> Condition:
    return a_floor(1, holds=holds, group="runway:acme")._replace(
        key=AlertKey(Rule.RUNWAY, BudgetScope(ACME), f"{days}d"),
        severity=severity,
        grave=-days,
        facts=Facts(scope=BudgetScope(ACME), threshold=f"{days}d"),
        channels=(OPS,),
    )


def _one_round(book: Book, *conditions: Condition) -> Verdict:
    return one_message_per_matter(review_conditions(conditions, book.known(), now=book.now))


def test_a_low_balance_that_lasts_few_days_is_one_message_to_all_who_hear_of_either() -> None:
    book = Book()
    (said,) = book.enter(_one_round(book, *floors(400), a_runway(7, holds=True)))
    assert told([said]) == [("fired", "500", ("1000", "7d"))]
    assert said.channels == (FINANCE, OPS)
    assert {alert.key.threshold: (alert.told_at, alert.times_told) for alert in book.alerts.values()} == {
        "1000": (None, 0),
        "500": (NOW, 1),
        "7d": (NOW, 0),
    }


def test_the_gravest_of_a_matter_speaks_whatever_its_rule() -> None:
    book = Book()
    (said,) = book.enter(_one_round(book, *floors(900), a_runway(3, holds=True, severity=Severity.CRITICAL)))
    assert (said.rule, said.severity, told([said])) == (Rule.RUNWAY, Severity.CRITICAL, [("fired", "3d", ("1000",))])


def test_what_was_told_with_another_does_not_silence_what_gets_worse_later() -> None:
    book = Book()
    book.enter(_one_round(book, *floors(900), a_runway(7, holds=True)))
    later = _one_round(book, *floors(900), a_runway(7, holds=True), a_runway(3, holds=True, severity=Severity.CRITICAL))
    assert told(book.enter(later)) == [("fired", "3d", ())]
    overdue = _one_round(book, *floors(-1), a_runway(7, holds=True), a_runway(3, holds=True))
    assert told(book.enter(overdue)) == [("fired", "", ("500",))]


def test_a_threshold_and_a_forecast_of_one_budget_are_one_message_and_two_alerts() -> None:
    ahead = Threshold(share=Decimal(1), is_forecast=True)
    watch, now = a_watch(share(50), ahead)._replace(channels=(FINANCE, OPS)), NOW + DAY
    now_at = standing(600, watch)
    likely = Forecast(SEPTEMBER, cny(600), cny(1000), cny(1100), cny(1200), date(2026, 9, 16), 16)
    held = review_forecast(now_at, replace(likely, through=date(2026, 9, 15)), AlertsKnown(()), {}, now=NOW)[1]
    book = Book()
    reached = review_standing(now_at, book.known(), now=now)
    ahead_of, _ = review_forecast(now_at, likely, book.known(), held, now=now)
    (said,) = book.enter(one_message_per_matter(reached + ahead_of))
    assert told([said]) == [("fired", "forecast 100%", ("50%",))]
    assert (said.severity, said.facts.forecast, said.channels) == (Severity.WARNING, likely, (FINANCE, OPS))
    # The threshold was told: it is corrected as if it had had a message of its own.
    assert [one.rule for one in book.spend(400, watch)] == [Rule.CORRECTED]


def test_who_heard_of_a_threshold_with_a_forecast_is_reminded_of_it_and_hears_of_its_correction() -> None:
    ahead = Threshold(share=Decimal(1), is_forecast=True, channels=(BOSS,))
    watch = a_watch(share(50), share(80), ahead, remind=DAY)
    now_at = standing(600, watch)
    likely = Forecast(SEPTEMBER, cny(600), cny(1000), cny(1100), cny(1200), date(2026, 9, 16), 16)
    held = review_forecast(now_at, replace(likely, through=date(2026, 9, 15)), AlertsKnown(()), {}, now=NOW)[1]
    for is_together, reached in ((True, {BOSS, FINANCE}), (False, {FINANCE})):
        book = Book()
        first = review_standing(now_at, book.known(), now=NOW)
        book.enter(first if not is_together else Verdict())
        book.now += HOUR
        first = review_standing(now_at, book.known(), now=book.now)
        foreseen, _ = review_forecast(now_at, likely, book.known(), held, now=book.now)
        book.enter(one_message_per_matter(first + foreseen))
        book.now += DAY
        [reminder] = book.spend(600, watch)
        [corrected] = book.spend(400, watch)
        assert (reminder.reason, corrected.rule) == (Reason.REPEATED, Rule.CORRECTED)
        assert [set(one.channels) for one in (reminder, corrected)] == [reached, reached]


def test_alerts_of_different_matters_keep_their_messages() -> None:
    book = Book()
    other = a_floor(500, holds=True, group="other")._replace(key=AlertKey(Rule.BALANCE_LOW, BudgetScope(AccountId("2")), "500"))
    said = book.enter(one_message_per_matter(_one_round(book, *floors(900), other) + _spends(600)))
    assert len(said) == 3


def _spends(spent: int) -> Verdict:
    return review_standing(standing(spent), AlertsKnown(()), now=NOW)


CHANNELS = st.sets(st.sampled_from([FINANCE, OPS, BOSS]), min_size=1)
FALL = st.lists(st.tuples(st.integers(-10, 1500), st.integers(0, 10), st.sampled_from(list(Severity))), min_size=1, max_size=20)


@given(FALL, CHANNELS, CHANNELS)
def test_merging_loses_no_alert_no_channel_and_no_threshold(
    history: Sequence[tuple[int, int, Severity]], low: set[ChannelName], lasting: set[ChannelName]
) -> None:
    book = Book()
    for available, days, severity in history:
        book.now += HOUR
        conditions = [
            *(one._replace(channels=tuple(sorted(low))) for one in floors(available)),
            *(a_runway(at, holds=days <= at, severity=severity)._replace(channels=tuple(sorted(lasting))) for at in (7, 3)),
        ]
        apart = review_conditions(conditions, book.known(), now=book.now)
        together = one_message_per_matter(apart)
        fired = [one for one in together.notifications if one.reason is Reason.FIRED]
        assert len(fired) <= 1, "one matter, one message"
        assert [alert.id for alert in together.alerts] == [alert.id for alert in apart.alerts]
        before = [one for one in apart.notifications if one.reason is Reason.FIRED]
        assert bool(before) == bool(fired)
        for one in before:
            assert {one.facts.threshold, *one.facts.also} <= {fired[0].facts.threshold, *fired[0].facts.also}
            assert set(one.channels) <= set(fired[0].channels)
            assert one.severity.rank <= fired[0].severity.rank
        assert [one.told_at for one in together.alerts] == [one.told_at for one in apart.alerts]
        owners = {one.alert for one in together.notifications}
        assert all(alert.id in owners for alert in together.alerts if alert.times_told and alert.since == book.now)
        book.enter(together)


# --- escalation and acknowledgement


WANTED = Escalation(4 * HOUR, (BOSS,))


def escalating(*conditions: Condition, wanted: Escalation = WANTED) -> tuple[Condition, ...]:
    return tuple(condition._replace(escalate=wanted) for condition in conditions)


def test_what_still_fires_after_a_time_is_escalated_once_and_its_end_is_heard_there_too() -> None:
    book = Book()
    watch = a_watch()._replace(escalate=WANTED, remind=DAY)
    book.spend(850, watch)
    book.now += 4 * HOUR - timedelta(seconds=1)
    assert book.spend(850, watch) == ()
    book.now += timedelta(seconds=1)
    (said,) = book.spend(860, watch)
    assert (said.reason, said.rule, said.channels, said.severity) == (
        Reason.ESCALATED,
        Rule.THRESHOLD_REACHED,
        (BOSS,),
        Severity.WARNING,
    )
    assert (said.facts.threshold, said.facts.escalated_after, said.facts.spend) == ("80%", 4 * HOUR, cny(860))
    assert said.alert == book.said[0].alert, "it is a notification of the same alert"
    book.now += HOUR
    assert book.spend(860, watch) == ()
    book.now = NOW + DAY
    (reminder,) = book.spend(860, watch)
    assert (reminder.reason, reminder.channels) == (Reason.REPEATED, (FINANCE,)), "the others heard of it less than a day ago"
    book.now += DAY
    (reminder,) = book.spend(860, watch)
    assert (reminder.reason, reminder.channels) == (Reason.REPEATED, (FINANCE, BOSS))
    (corrected,) = book.spend(700, watch)
    assert (corrected.rule, corrected.channels) == (Rule.CORRECTED, (FINANCE, BOSS))
    again = Book()
    for available in (400, 400, 2000):
        again.find(*escalating(*floors(available)))
        again.now += 4 * HOUR
    assert [(one.reason, one.channels) for one in again.said] == [
        (Reason.FIRED, (FINANCE,)),
        (Reason.ESCALATED, (BOSS,)),
        (Reason.RESOLVED, (FINANCE, BOSS)),
    ]


def test_a_graver_alert_of_the_same_matter_is_escalated_in_its_own_time() -> None:
    book, watch = Book(), a_watch()._replace(escalate=WANTED)
    book.spend(850, watch)
    book.now += 4 * HOUR
    book.spend(850, watch)
    book.spend(1000, watch)
    book.now += 4 * HOUR
    assert [one.facts.threshold for one in book.spend(1000, watch)] == ["100%"]
    book.now += 10 * DAY
    assert book.spend(1000, watch) == ()
    assert [one.reason for one in book.said].count(Reason.ESCALATED) == 2


def test_one_escalation_speaks_for_all_that_fires_by_its_gravest() -> None:
    book = Book()
    book.find(*escalating(*floors(900)))
    book.now += 3 * HOUR
    book.find(*escalating(*floors(400)))
    book.now += HOUR
    assert told(book.find(*escalating(*floors(400)))) == [("escalated", "500", ("1000",))]
    book.now += 10 * DAY
    assert book.find(*escalating(*floors(400))) == ()


def test_milder_alerts_than_wanted_are_not_escalated() -> None:
    book, watch = Book(), a_watch()._replace(escalate=WANTED._replace(severity=Severity.CRITICAL))
    book.spend(850, watch)
    book.now += DAY
    assert book.spend(850, watch) == ()
    other, mild = Book(), a_watch(share(50))._replace(escalate=WANTED)
    other.spend(500, mild)
    other.now += DAY
    assert other.spend(500, mild) == (), "a notice is no matter for anybody else, unless wanted"


def test_what_fell_back_is_not_escalated() -> None:
    book, watch = Book(), a_watch()._replace(escalate=WANTED)
    book.spend(850, watch)
    book.spend(700, watch)
    book.now += DAY
    assert book.spend(700, watch) == ()


def test_a_threshold_recorded_in_silence_is_no_new_escalation() -> None:
    book, watch = Book(), a_watch()._replace(escalate=WANTED)
    book.spend(850, watch)
    book.now += 4 * HOUR
    book.spend(850, watch)
    added = a_watch(share(50), share(77), share(80), share(100))._replace(escalate=WANTED)
    book.spend(850, added)
    book.now += DAY
    assert book.spend(850, added) == ()


def _acknowledged(book: Book, until: datetime | None = None) -> None:
    book.acknowledgements = [Acknowledgement(book.said[-1].alert, "li", book.now, until, "on it")]


def test_an_acknowledgement_holds_reminders_and_escalation_until_its_time_has_passed() -> None:
    book, watch = Book(), a_watch(remind=HOUR)._replace(escalate=WANTED)
    book.spend(850, watch)
    _acknowledged(book, until=NOW + 5 * HOUR)
    for _ in range(4):
        book.now += HOUR
        assert book.spend(850, watch) == ()
    book.now = NOW + 5 * HOUR
    assert [one.reason for one in book.spend(850, watch)] == [Reason.ESCALATED]
    assert [one.reason for one in book.spend(850, watch)] == [Reason.REPEATED]


def test_an_acknowledgement_never_holds_news_and_ends_with_a_graver_alert() -> None:
    book, watch = Book(), a_watch(remind=HOUR)
    book.spend(850, watch)
    _acknowledged(book)
    book.now += 2 * HOUR
    assert book.spend(850, watch) == ()
    assert told(book.spend(1000, watch)) == [("fired", "100%", ())]
    book.now += HOUR
    assert told(book.spend(1000, watch)) == [("repeated", "100%", ())]


def test_an_acknowledgement_is_for_the_whole_matter_and_for_no_other() -> None:
    book = Book()
    key = AlertKey(Rule.BALANCE_LOW, BudgetScope(AccountId("2")), "500")
    other = a_floor(500, holds=True, remind=HOUR, group="other")._replace(key=key)
    book.find(*floors(-1, remind=HOUR), a_runway(7, holds=True)._replace(remind=HOUR), other)
    book.said.reverse()
    _acknowledged(book)
    book.now += 2 * HOUR
    said = book.find(*floors(-1, remind=HOUR), a_runway(7, holds=True)._replace(remind=HOUR), other)
    assert [one.alert for one in said] == [alert.id for alert in book.alerts.values() if alert.key == other.key]


def test_the_end_of_what_was_acknowledged_is_told_with_who_it_was_and_the_next_episode_is_not_acknowledged() -> None:
    book = Book()
    book.find(*floors(-1, remind=HOUR))
    _acknowledged(book)
    book.now += 2 * HOUR
    (ended,) = book.find(*floors(5000, remind=HOUR))
    assert ended.facts.acknowledged == book.acknowledgements[0]
    (fired,) = book.find(*floors(-1, remind=HOUR))
    assert (fired.reason, fired.facts.acknowledged) == (Reason.FIRED, None)
    book.now += HOUR
    assert [one.reason for one in book.find(*floors(-1, remind=HOUR))] == [Reason.REPEATED]


def test_a_milder_condition_that_begins_later_leaves_the_acknowledgement() -> None:
    book = Book()
    book.find(*floors(-1, remind=HOUR))
    _acknowledged(book)
    book.now += HOUR
    later = a_runway(7, holds=True)
    assert [one.reason for one in book.find(*floors(-1, remind=HOUR), later)] == [Reason.FIRED]
    book.now += 10 * HOUR
    assert book.find(*floors(-1, remind=HOUR), later) == ()


# --- what is over


def _labels(verdict: Verdict) -> list[str]:
    assert verdict.notifications == (), "what is over ends without a word"
    assert all(alert.state is AlertState.RESOLVED for alert in verdict.alerts)
    return sorted(alert.key.threshold or alert.key.rule.value for alert in verdict.alerts)


def test_alerts_of_a_closed_month_end_without_a_word() -> None:
    book = Book()
    book.spend(850)
    assert _labels(expire(book.known(), (), frozenset({"2026-09", "2026-10"}), now=NOW)) == []
    verdict = expire(book.known(), (), frozenset({"2026-10"}), now=NOW)
    assert _labels(verdict) == ["50%", "80%"]
    book.enter(verdict)
    assert _labels(expire(book.known(), (), frozenset({"2026-10"}), now=NOW)) == []


def test_a_condition_that_nobody_judges_any_more_ends() -> None:
    book = Book()
    book.find(*floors(-1))
    conditions = floors(-1, levels=(1000,))
    assert _labels(expire(book.known(), conditions, frozenset(), now=NOW)) == ["500"]


def test_what_merely_happened_leaves_the_lists_after_a_day() -> None:
    book, late = Book(), REFUSED._replace(key=AlertKey(Rule.LATE, NamedScope(Subject.MONTH, "2026-08")))
    book.find(late)
    assert _labels(expire(book.known(), (), frozenset(), now=NOW + DAY - timedelta(seconds=1))) == []
    verdict = expire(book.known(), (), frozenset(), now=NOW + DAY)
    assert _labels(verdict) == ["spend.late"]
    book.enter(verdict)
    assert book.find(late) == (), "and is not told again"


def test_a_refusal_leaves_the_lists_as_soon_as_it_is_mended() -> None:
    book = Book()
    book.find(REFUSED)
    assert _labels(expire(book.known(), (REFUSED,), frozenset(), now=NOW)) == []
    verdict = expire(book.known(), (), frozenset(), now=NOW)
    assert _labels(verdict) == ["bills.rejected"]
    book.enter(verdict)
    assert book.find(REFUSED) == (), "and is not told again"


def test_of_several_episodes_the_latest_counts() -> None:
    book = Book()
    for available in (-1, 5000, -1):
        book.find(*floors(available, levels=()))
    alerts = list(book.alerts.values())
    known = AlertsKnown(reversed(alerts))
    latest = known.latest(alerts[0].key)
    assert latest is not None
    assert latest.episode == 2
    assert known.firing() == (latest,)


def test_a_raised_budget_sets_its_thresholds_higher_and_they_are_told_when_reached() -> None:
    book, raised = Book(), a_watch(budget=2000)
    book.spend("1000")
    assert told(book.said) == [("fired", "100%", ("80%", "50%"))]
    assert told(book.spend("1000", raised)) == [("resolved", "100%", ("80%",))]
    assert [one.facts.threshold for one in book.spend("1600", raised)] == ["80%"]
    assert [one.facts.threshold for one in book.spend("2000", raised)] == ["100%"]
    assert book.of(Rule.CORRECTED) == []


SMS, OPS = ChannelName("sms"), ChannelName("ops")
ROUTED = a_watch(share(50), replace(share(80), channels=(OPS,)), replace(share(100), channels=(SMS, OPS)))


def test_a_threshold_with_channels_of_its_own_goes_there_alone() -> None:
    book = Book()
    assert [one.channels for spent in (500, 800, 1000) for one in book.spend(spent, ROUTED)] == [(FINANCE,), (OPS,), (SMS, OPS)]


def test_thresholds_reached_at_once_go_to_all_their_channels() -> None:
    [said] = Book().spend(1000, ROUTED)
    assert said.channels == (SMS, OPS, FINANCE)


def test_a_reminder_and_a_correction_go_to_all_who_were_notified() -> None:
    book, watch = Book(), ROUTED._replace(remind=timedelta(days=1))
    for spent in (500, 800, 1000):
        book.spend(spent, watch)
    book.now += timedelta(days=1)
    assert [one.channels for one in book.spend(1000, watch)] == [(SMS, OPS, FINANCE)]
    [corrected] = book.spend(900, watch)
    assert corrected.rule is Rule.CORRECTED
    assert set(corrected.channels) == {SMS, OPS, FINANCE}
