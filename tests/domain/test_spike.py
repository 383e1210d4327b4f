"""What a day usually costs, and which days cost far more."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendwatch.domain.money import Currency, Money
from spendwatch.domain.policy import Watch
from spendwatch.domain.run_rate import TooEarly
from spendwatch.domain.scope import BudgetScope
from spendwatch.domain.spike import Spike, UsualSpend, is_worth_a_look, spike_on, usual_spend
from spendwatch.domain.statement import AccountId

CNY = Currency("CNY")
MONDAY = date(2026, 9, 14)
DAY = timedelta(days=1)
WEEK = [100.0, 104.0, 98.0, 101.0, 97.0, 30.0, 29.0]


def judged(spent: str, history: list[float], day: date = MONDAY, *, least: str = "50") -> Spike | TooEarly | None:
    watch = Watch(BudgetScope(AccountId("1")), "acme", CNY, None, (), (), spike=Decimal(least))
    return spike_on(day, Money(Decimal(spent), CNY), history, watch, is_complete=True)


def usual(history: list[float], day: date = MONDAY) -> UsualSpend:
    found = usual_spend(history, day)
    assert isinstance(found, UsualSpend)
    return found


def test_the_band_is_that_of_the_weekday() -> None:
    monday, saturday = usual(WEEK * 6), usual([*WEEK * 6, *WEEK[:5]], MONDAY + 5 * DAY)
    assert 70 < monday.low < 100 < monday.high < 130
    assert 20 < saturday.low < 30


def test_a_weekend_worked_in_place_of_a_holiday_is_usual_and_one_that_costs_clearly_more_is_not() -> None:
    saturday, until_friday = MONDAY + 5 * DAY, [*WEEK * 6, *WEEK[:5]]
    assert usual(until_friday, saturday).high == pytest.approx(104)
    assert judged("104", until_friday, saturday, least="10") is None
    assert judged("149", until_friday, saturday) is None
    assert isinstance(judged("155", until_friday, saturday), Spike)


@pytest.mark.parametrize(
    ("spent", "least", "is_one"), [("160", "50", False), ("161", "50", True), ("300", "50", True), ("300", "250", False)]
)
def test_a_spike_is_above_the_band_by_the_least_amount(spent: str, least: str, is_one: bool) -> None:  # noqa: FBT001 -- a case
    assert isinstance(judged(spent, WEEK * 6, least=least), Spike) is is_one


def test_the_least_amount_above_the_band_is_enough_to_the_cent() -> None:
    high = Decimal(str(round(usual(WEEK * 6).high, 2)))
    assert judged(str(high + 50), WEEK * 6)
    assert judged(str(high + 50 - Decimal("0.01")), WEEK * 6) is None


def test_fewer_than_fourteen_known_days_since_the_first_spend_are_too_early() -> None:
    assert judged("900", [0.0] * 20 + [100.0] * 13) == TooEarly(13, 14)
    assert judged("900", [100.0] * 13 + [nan] * 9) == TooEarly(13, 14)
    assert isinstance(judged("900", [0.0] * 20 + [100.0] * 14), Spike)


def test_one_odd_day_hides_no_other() -> None:
    history = WEEK * 6
    history[30] = 5000.0
    assert isinstance(judged("300", history), Spike)


def test_what_happened_four_times_in_six_weeks_is_usual() -> None:
    history = [100.0] * 42
    for place in (3, 17, 30):
        history[place] = 500.0
    assert isinstance(judged("500", history), Spike)
    history[9] = 500.0
    assert judged("549", history) is None
    assert isinstance(judged("551", history), Spike)


def test_what_every_other_monday_costs_is_usual() -> None:
    history = [100.0] * 42
    for place in (0, 14, 28):
        history[place] = 500.0
    assert judged("500", history) is None


def test_a_new_level_is_a_spike_once_and_usual_from_its_third_day_on() -> None:
    history, found = WEEK * 6, []
    for number in range(21):
        spent = WEEK[number % 7] * 3
        found.append(isinstance(judged(str(spent), history[-42:], MONDAY + number * DAY), Spike))
        history.append(spent)
    assert found == [True] + [False] * 20


def test_a_new_level_that_grows_by_half_again_is_another_one() -> None:
    assert judged("420", [*WEEK * 6, 300.0], MONDAY + DAY) is None
    assert isinstance(judged("480", [*WEEK * 6, 300.0], MONDAY + DAY), Spike)


def test_the_return_from_a_holiday_is_no_spike() -> None:
    for pause in (3, 5, 9):
        history = WEEK * 6 + [5.0] * pause
        for number in range(5):
            spent = WEEK[(pause + number) % 7]
            assert judged(str(spent), history[-42:], MONDAY + (pause + number) * DAY, least="1") is None
            history.append(spent)


def test_steady_growth_is_no_spike() -> None:
    history = [10 * 1.02**number for number in range(42)]
    for number in range(42, 84):
        spent = 10 * 1.02**number
        assert judged(str(round(spent, 4)), history[-42:], MONDAY + number * DAY, least="0.01") is None
        history.append(spent)


def test_most_days_are_not_looked_at_twice() -> None:
    assert not is_worth_a_look(WEEK * 6, Decimal(110))
    assert is_worth_a_look(WEEK * 6, Decimal(140))


@given(
    spent=st.decimals(0, 10_000, places=2),
    history=st.lists(st.one_of(st.floats(0, 10_000), st.just(nan)), max_size=50),
    days=st.integers(0, 6),
)
def test_a_band_has_two_ends_and_what_is_inside_is_no_spike(spent: Decimal, history: list[float], days: int) -> None:
    day = MONDAY + days * DAY
    band = usual_spend(history, day)
    found = judged(str(spent), history, day, least="0.01")
    if isinstance(band, UsualSpend):
        assert 0 <= band.low <= band.high
        if float(spent) <= band.high:
            assert found is None
    else:
        assert not isinstance(found, Spike)
