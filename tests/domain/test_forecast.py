"""The forecast of a month, the runway of a balance, and a runway condition that does not flap."""

from __future__ import annotations

import decimal
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_builders import SEPTEMBER, USD, cny
from spendwatch.domain.errors import CurrencyMismatchError
from spendwatch.domain.forecast import (
    Crossing,
    Forecast,
    Runway,
    RunwayReached,
    forecast_period,
    runway_of,
    runway_reached,
)
from spendwatch.domain.money import EXACT, Money
from spendwatch.domain.run_rate import RunRate, TooEarly, run_rate_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)
THROUGH = date(2026, 9, 13)
"""A Sunday."""
MIDNIGHT = datetime(2026, 9, 13, 16, tzinfo=UTC)
"""The first moment of Monday the 14th in the billing zone."""
HOSTILE = decimal.Context(prec=1, rounding=decimal.ROUND_UP, traps=[decimal.Inexact, decimal.Rounded, decimal.FloatOperation])
SEVEN, THREE = timedelta(days=7), timedelta(days=3)

AMOUNTS = st.decimals(min_value=-(10**28) + 1, max_value=10**28 - 1, places=10, allow_nan=False, allow_infinity=False)
USUAL = st.decimals(min_value=0, max_value=1000, places=2)
DAILY = st.dictionaries(
    st.integers(0, 60).map(lambda back: THROUGH - back * DAY), st.one_of(st.just(Decimal(0)), USUAL, AMOUNTS), max_size=60
)
MOMENTS = st.datetimes(datetime(2026, 8, 1), datetime(2026, 11, 30), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis adds it


def a_pace(*amounts: int | str, through: date = THROUGH) -> RunRate:
    daily = {through - back * DAY: Decimal(amount) for back, amount in enumerate(reversed(amounts))}
    pace = run_rate_of(daily, through=through)
    assert isinstance(pace, RunRate)
    return pace


STEADY = a_pace(*["10"] * 42)
YOUNG = a_pace(*["10"] * 10)
WORKING_DAYS = a_pace(*[10, 10, 10, 10, 10, 0, 0] * 6)


def a_forecast(pace: RunRate, spent: str | int, data_until: datetime = MIDNIGHT) -> Forecast:
    return forecast_period(pace, cny(spent), SEPTEMBER, data_until=data_until, zone=SHANGHAI)


def a_runway(pace: RunRate, available: str | int | Decimal, *floors: int, data_until: datetime = MIDNIGHT) -> Runway:
    today = data_until.astimezone(SHANGHAI).date()
    return runway_of(pace, cny(available), map(cny, floors), data_until=data_until, zone=SHANGHAI, today=today)


def test_a_steady_month_costs_what_is_spent_and_as_much_for_every_day_to_come() -> None:
    assert a_forecast(STEADY, 130) == Forecast(SEPTEMBER, cny(130), cny("300.00"), cny("300.00"), cny("300.00"), THROUGH, 42)


def test_a_young_account_is_told_with_a_wide_band() -> None:
    forecast = a_forecast(YOUNG, 100)
    assert (forecast.low, forecast.likely, forecast.high) == (cny("185.00"), cny("270.00"), cny("440.00"))
    assert forecast.days == 10


def test_weekends_cost_what_weekends_cost() -> None:
    assert a_forecast(WORKING_DAYS, 90).likely == cny("220.00")


def test_what_is_already_on_record_of_today_is_not_expected_again() -> None:
    at_six = MIDNIGHT + timedelta(hours=6)
    assert a_forecast(STEADY, "132.5", at_six).likely == cny("300.00")


def test_the_data_reach_to_the_minute() -> None:
    until = MIDNIGHT + timedelta(hours=1, minutes=30)
    assert a_forecast(STEADY, 130, until).likely == cny("299.38")


def test_days_on_record_that_may_still_grow_are_taken_as_they_are() -> None:
    two_days_on = MIDNIGHT + 2 * DAY
    assert a_forecast(STEADY, "149.5", two_days_on).likely == cny("299.50")


def test_data_that_end_before_midnight_are_not_continued_on_the_complete_day() -> None:
    assert a_forecast(STEADY, 130, MIDNIGHT - timedelta(hours=3)) == a_forecast(STEADY, 130)


def test_what_the_pace_leaves_out_counts_once() -> None:
    assert a_forecast(STEADY, 130 + 5000).likely == cny("5300.00")


def test_a_new_month_begins_on_its_first_day_though_the_data_end_before() -> None:
    pace = a_pace(*["10"] * 42, through=date(2026, 8, 30))
    end = datetime(2026, 8, 31, 4, tzinfo=UTC)
    assert forecast_period(pace, cny(0), SEPTEMBER, data_until=end, zone=SHANGHAI).likely == cny("300.00")


def test_a_month_that_is_over_costs_what_it_cost() -> None:
    october = datetime(2026, 10, 1, 4, tzinfo=UTC)
    forecast = a_forecast(STEADY, "312.345", october)
    assert (forecast.low, forecast.likely, forecast.high) == (cny("312.35"), cny("312.35"), cny("312.35"))


def test_the_month_ends_in_the_billing_zone() -> None:
    last_hour = datetime(2026, 9, 30, 15, tzinfo=UTC)
    assert a_forecast(STEADY, 300, last_hour).likely == cny("300.42")
    assert a_forecast(STEADY, 300, last_hour + timedelta(hours=1)).likely == cny("300.00")


def test_estimates_are_rounded_to_cents_and_what_is_spent_is_not() -> None:
    forecast = a_forecast(a_pace(*["0.0000000003"] * 42), "0.0000000039")
    assert forecast.spent == cny("0.0000000039")
    assert forecast.likely == cny("0.00")
    assert str(a_forecast(STEADY, "130.0049").likely.amount) == "300.00"


def test_the_balance_is_used_up_on_the_day_whose_spend_it_no_longer_covers() -> None:
    zero = a_runway(STEADY, 35).zero
    assert zero == Crossing(cny(0), date(2026, 9, 14), *[date(2026, 9, 17)] * 3)
    assert zero.days == 3


def test_a_balance_that_just_covers_a_day_is_used_up_on_it() -> None:
    assert a_runway(STEADY, 30).zero.likely == date(2026, 9, 16)
    assert a_runway(STEADY, "30.01").zero.likely == date(2026, 9, 17)


def test_floors_are_reached_before_zero() -> None:
    runway = a_runway(STEADY, 35, 30, 15)
    assert [(crossing.level, crossing.days) for crossing in runway.floors] == [(cny(30), 0), (cny(15), 1)]
    assert (runway.zero.days, runway.through, runway.days) == (3, THROUGH, 42)


def test_a_day_that_has_partly_passed_uses_up_only_its_rest() -> None:
    assert a_runway(STEADY, 25, data_until=MIDNIGHT + timedelta(hours=12)).zero.days == 2
    assert a_runway(STEADY, "25.01", data_until=MIDNIGHT + timedelta(hours=12)).zero.days == 3


def test_nothing_is_used_up_on_a_weekend_without_spend() -> None:
    assert a_runway(WORKING_DAYS, 50).zero.likely == date(2026, 9, 18)
    assert a_runway(WORKING_DAYS, 51).zero.likely == date(2026, 9, 21)


def test_the_band_of_days_is_that_of_the_spend() -> None:
    zero = a_runway(YOUNG, 100).zero
    assert (zero.soonest, zero.likely, zero.latest) == (date(2026, 9, 18), date(2026, 9, 23), date(2026, 10, 3))
    assert zero.days == 9


@pytest.mark.parametrize("available", [0, -1, "-0.0000000001"])
def test_what_is_reached_is_reached_now(available: str | int) -> None:
    today = date(2026, 9, 14)
    for pace in (STEADY, a_pace(*["0"] * 10)):
        assert a_runway(pace, available).zero == Crossing(cny(0), today, today, today, today)


def test_what_is_reached_is_reached_today_though_the_pace_begins_tomorrow() -> None:
    runway = runway_of(STEADY, cny(0), [], data_until=MIDNIGHT - timedelta(hours=1), zone=SHANGHAI, today=THROUGH)
    assert runway.zero.likely == THROUGH


def test_a_floor_just_touched_is_reached_now() -> None:
    assert a_runway(STEADY, 1000, 1000).floors[0].days == 0


def test_without_spend_nothing_is_in_sight() -> None:
    runway = a_runway(a_pace(*["0"] * 10), "0.01", 0)
    assert runway.zero == Crossing(cny(0), date(2026, 9, 14), None, None, None)
    assert runway.zero.days is None


def test_what_lies_beyond_the_horizon_is_not_in_sight() -> None:
    assert a_runway(STEADY, "3999.9").zero.days == 399
    assert a_runway(STEADY, "4000.1").zero.days is None


def test_in_a_pause_the_balance_may_still_be_used_up_as_before() -> None:
    zero = a_runway(a_pace(*["10"] * 28, *["0"] * 15), 100).zero
    assert (zero.soonest, zero.likely, zero.latest) == (None, None, None)
    zero = a_runway(a_pace(*["10"] * 28, *["0"] * 13), 100).zero
    assert zero.soonest == date(2026, 9, 23)
    assert zero.days is not None
    assert zero.latest is None


def test_what_old_data_put_before_today_counts_as_today() -> None:
    late = date(2026, 9, 20)
    runway = runway_of(STEADY, cny(35), [], data_until=MIDNIGHT, zone=SHANGHAI, today=late)
    assert (runway.zero.likely, runway.zero.days) == (late, 0)


def test_a_floor_of_another_currency_is_refused() -> None:
    with pytest.raises(CurrencyMismatchError):
        runway_of(STEADY, cny(35), [Money(Decimal(1), USD)], data_until=MIDNIGHT, zone=SHANGHAI, today=THROUGH)


def lasting(days: int | None, through: date = THROUGH) -> Runway:
    """A runway of so many days by the data up to `through`."""
    today = through + 2 * DAY
    day = None if days is None else today + days * DAY
    return Runway(Crossing(cny(0), today, day, day, day), (), through, 42)


def after(*runways: Runway | TooEarly) -> list[list[int]]:
    """Which thresholds of 7 and 3 days are reached after each."""
    reached: tuple[RunwayReached, ...] = ()
    story = []
    for runway in runways:
        reached = runway_reached(runway, (SEVEN, THREE), reached)
        story.append([one.threshold.days for one in reached])
    return story


def test_a_runway_threshold_is_reached_at_its_very_day() -> None:
    assert after(lasting(8), lasting(7), lasting(4), lasting(3), lasting(0)) == [[], [7], [7], [7, 3], [7, 3]]


def test_a_runway_not_in_sight_reaches_nothing() -> None:
    assert after(lasting(None)) == [[]]


def test_a_runway_that_wavers_about_a_threshold_does_not_flap() -> None:
    days = [THROUGH + count * DAY for count in range(6)]
    lengths = (7, 8, 7, 8, 8, 8)
    assert after(*(lasting(length, day) for length, day in zip(lengths, days, strict=True))) == [[7]] * 6


def test_a_threshold_is_let_go_when_two_days_data_are_clear_of_it() -> None:
    following, second = THROUGH + DAY, THROUGH + 2 * DAY
    assert after(lasting(7), lasting(9, following), lasting(9, second)) == [[7], [7], []]
    assert after(lasting(3), lasting(5, following), lasting(5, second)) == [[7, 3], [7, 3], [7]]
    assert after(lasting(3), lasting(4, following), lasting(4, second)) == [[7, 3], [7, 3], [7, 3]]


def test_a_day_on_which_a_threshold_was_also_reached_is_not_clear() -> None:
    following = THROUGH + DAY
    assert after(lasting(7), lasting(9), lasting(9, following)) == [[7]] * 3
    assert after(lasting(9), lasting(7), lasting(9), lasting(9, following), lasting(7, following)) == [[], *[[7]] * 4]


def test_a_long_threshold_is_let_go_a_fifth_above_it() -> None:
    reached = (RunwayReached(timedelta(days=30), clear_on=THROUGH),)
    assert runway_reached(lasting(37, THROUGH + DAY), (timedelta(days=30),), reached) == ()
    (still,) = runway_reached(lasting(36, THROUGH + DAY), (timedelta(days=30),), reached)
    assert still == RunwayReached(timedelta(days=30), reached_on=THROUGH + DAY)


def test_asking_twice_about_the_same_data_lets_nothing_go() -> None:
    assert after(lasting(7), lasting(40), lasting(40), lasting(None)) == [[7]] * 4


def test_a_day_that_is_not_clear_begins_the_letting_go_anew() -> None:
    story = after(
        lasting(7), lasting(9), lasting(8, THROUGH + DAY), lasting(9, THROUGH + 2 * DAY), lasting(9, THROUGH + 3 * DAY)
    )
    assert story == [[7], [7], [7], [7], []]


def test_a_runway_no_longer_in_sight_is_clear() -> None:
    assert after(lasting(2), lasting(None, THROUGH + DAY), lasting(None, THROUGH + 2 * DAY)) == [[7, 3], [7, 3], []]


def test_while_it_is_too_early_all_stays_as_it_was() -> None:
    assert after(TooEarly(0), lasting(5), TooEarly(4)) == [[], [7], [7]]


def test_a_threshold_that_is_no_longer_wanted_is_forgotten() -> None:
    reached = runway_reached(lasting(2), (SEVEN, THREE))
    assert runway_reached(lasting(2), (THREE,), reached) == (RunwayReached(THREE, reached_on=THROUGH),)
    assert runway_reached(TooEarly(1), (THREE,), reached) == (RunwayReached(THREE, reached_on=THROUGH),)


@given(DAILY, AMOUNTS, AMOUNTS, MOMENTS)
def test_more_available_never_brings_the_crossing_nearer(
    daily: dict[date, Decimal], one: Decimal, other: Decimal, until: datetime
) -> None:
    pace = run_rate_of(daily, through=THROUGH)
    if isinstance(pace, TooEarly):
        return
    less, more = sorted((one, other))
    poorer, richer = (a_runway(pace, available, 0, 1000, data_until=until) for available in (less, more))
    for near, far in zip((poorer.zero, *poorer.floors), (richer.zero, *richer.floors), strict=True):
        assert (near.soonest or date.max) <= (far.soonest or date.max)
        assert (near.likely or date.max) <= (far.likely or date.max)
        assert (near.latest or date.max) <= (far.latest or date.max)


@given(DAILY, AMOUNTS, AMOUNTS, MOMENTS)
def test_whatever_was_spent_the_answers_are_in_order(
    daily: dict[date, Decimal], spent: Decimal, available: Decimal, until: datetime
) -> None:
    pace = run_rate_of(daily, through=THROUGH)
    if isinstance(pace, TooEarly):
        return
    forecast = forecast_period(pace, cny(spent), SEPTEMBER, data_until=until, zone=SHANGHAI)
    assert EXACT.subtract(spent, Decimal("0.005")) <= forecast.low.amount <= forecast.likely.amount <= forecast.high.amount
    assert forecast.high.amount.as_tuple().exponent == -2
    runway = a_runway(pace, available, 0, 1000, data_until=until)
    for crossing in (runway.zero, *runway.floors):
        assert crossing.today <= (crossing.soonest or date.max)
        assert (crossing.soonest or date.max) <= (crossing.likely or date.max) <= (crossing.latest or date.max)


@given(
    st.lists(USUAL, min_size=5, max_size=50),
    USUAL,
    st.decimals(min_value=0, max_value=20000, places=2),
    st.sampled_from([Decimal("0.01"), Decimal("7.1234"), Decimal(1000)]),
)
def test_the_same_spend_in_other_money_has_the_same_forecast(
    amounts: list[Decimal], spent: Decimal, available: Decimal, rate: Decimal
) -> None:
    daily = {THROUGH - back * DAY: amount for back, amount in enumerate(amounts)}
    scaled = {day: EXACT.multiply(amount, rate) for day, amount in daily.items()}
    pace, other = run_rate_of(daily, through=THROUGH), run_rate_of(scaled, through=THROUGH)
    if isinstance(pace, TooEarly) or isinstance(other, TooEarly):
        assert pace == other
        return
    expected = a_forecast(pace, str(spent)).likely.amount * rate
    off = abs(a_forecast(other, str(spent * rate)).likely.amount - expected)
    assert off <= Decimal("0.006") * (1 + rate)
    crossing, same = a_runway(pace, available).zero, a_runway(other, available * rate).zero
    assert (crossing.soonest, crossing.likely, crossing.latest) == (same.soonest, same.likely, same.latest)


@given(DAILY, AMOUNTS, AMOUNTS, MOMENTS)
def test_nothing_around_changes_the_forecast(
    daily: dict[date, Decimal], spent: Decimal, available: Decimal, until: datetime
) -> None:
    pace = run_rate_of(daily, through=THROUGH)
    if isinstance(pace, TooEarly):
        return
    usual = a_forecast(pace, str(spent), until), a_runway(pace, available, 1000, data_until=until)
    with decimal.localcontext(HOSTILE):
        assert (a_forecast(pace, str(spent), until), a_runway(pace, available, 1000, data_until=until)) == usual
