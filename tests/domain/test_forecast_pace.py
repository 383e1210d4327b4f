"""The pace of the spend: what a usual day costs, which weekday costs what, and how sure that is."""

from __future__ import annotations

import decimal
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from math import log
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spendwatch.domain.money import EXACT
from spendwatch.domain.run_rate import HORIZON, RunRate, TooEarly, run_rate_of

DAY = timedelta(days=1)
THROUGH = date(2026, 9, 13)
"""A Sunday."""
HOSTILE = decimal.Context(prec=1, rounding=decimal.ROUND_UP, traps=[decimal.Inexact, decimal.Rounded, decimal.FloatOperation])

AMOUNTS = st.decimals(min_value=-(10**28) + 1, max_value=10**28 - 1, places=10, allow_nan=False, allow_infinity=False)
USUAL = st.decimals(min_value=0, max_value=1000, places=2)
DAYS = st.integers(-5, 70).map(lambda back: THROUGH - back * DAY)
DAILY = st.dictionaries(DAYS, st.one_of(st.just(Decimal(0)), USUAL, AMOUNTS), max_size=76)
UNKNOWN = st.frozensets(DAYS, max_size=20)


def days(*amounts: int | str | Decimal, through: date = THROUGH) -> dict[date, Decimal]:
    """The amounts of as many days, the last one on `through`."""
    return {through - back * DAY: Decimal(amount) for back, amount in enumerate(reversed(amounts))}


def a_pace(daily: Mapping[date, Decimal], unknown: frozenset[date] = frozenset()) -> RunRate:
    pace = run_rate_of(daily, through=THROUGH, unknown=unknown)
    assert isinstance(pace, RunRate)
    return pace


def usual_day(pace: RunRate) -> float:
    return pace.level * float(pace.unit)


def ahead(pace: RunRate, count: int) -> Sequence[tuple[float, float, float]]:
    """The low, likely and high spend up to the end of each of the next days."""
    unit = float(pace.unit)
    sums = [(low * unit, likely * unit, high * unit) for _, low, likely, high in pace.ahead(pace.through + DAY, 0.0)]
    return sums[:count]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_below_five_complete_days_it_is_too_early(count: int) -> None:
    assert run_rate_of(days(*["10"] * count), through=THROUGH) == TooEarly(count, needed=5)


def test_from_five_complete_days_on_there_is_a_pace() -> None:
    pace = a_pace(days(10, 20, 30, 20, 20))
    assert (pace.through, pace.days, pace.unit) == (THROUGH, 5, Decimal(30))
    assert usual_day(pace) == pytest.approx(20)
    assert pace.week == (1.0,) * 7
    assert pace.growth == 0


def test_days_that_nobody_names_spent_nothing() -> None:
    gaps = days(10, 0, 10, 0, 10, 0)
    assert a_pace({day: amount for day, amount in gaps.items() if amount}) == a_pace(gaps)


def test_days_after_the_last_complete_one_do_not_count() -> None:
    daily = days(*["10"] * 20)
    assert a_pace({**daily, THROUGH + DAY: Decimal(9000)}) == a_pace(daily)


def test_an_unknown_day_is_no_day_without_spend() -> None:
    daily = days(*["10"] * 6)
    outage = frozenset({THROUGH - 2 * DAY, THROUGH})
    with_outage = {day: amount for day, amount in daily.items() if day not in outage}
    assert run_rate_of(with_outage, through=THROUGH, unknown=outage) == TooEarly(4)
    assert usual_day(a_pace({**with_outage, THROUGH - 6 * DAY: Decimal(10)}, outage)) == pytest.approx(10)


def test_what_an_unknown_day_shows_so_far_does_not_count() -> None:
    daily, unknown = days(*["10"] * 20), frozenset({THROUGH - 3 * DAY})
    assert a_pace({**daily, THROUGH - 3 * DAY: Decimal(900)}, unknown) == a_pace(daily, unknown)


def test_days_before_the_first_spend_say_nothing() -> None:
    daily = days(*["10"] * 7)
    assert a_pace({**days(*["0"] * 30), **daily}) == a_pace(daily)


def test_no_spend_on_known_days_is_a_pace_of_nothing() -> None:
    pace = a_pace(days(*["0"] * 5))
    assert (pace.level, pace.days) == (0.0, 5)
    assert {sums[1:] for sums in pace.ahead(THROUGH + DAY, 0.0)} == {(0.0, 0.0, 0.0)}


def test_a_refund_that_slipped_in_counts_as_a_day_without_spend() -> None:
    assert a_pace(days(10, 10, -500, 10, 10, 10)) == a_pace(days(10, 10, 0, 10, 10, 10))
    assert a_pace(days(-1, -1, -1, -1, -1)).level == 0


def test_weekdays_and_weekends_are_told_apart_once_there_are_a_few_weeks() -> None:
    pace = a_pace(days(*[10, 10, 10, 10, 10, 0, 0] * 6))
    assert pace.week == pytest.approx((1.4, 1.4, 1.4, 1.4, 1.4, 0, 0))
    assert usual_day(pace) == pytest.approx(50 / 7)
    assert [likely for _, likely, _ in ahead(pace, 8)] == pytest.approx([10, 20, 30, 40, 50, 50, 50, 60])


def test_a_single_week_makes_no_pattern() -> None:
    assert a_pace(days(10, 10, 10, 10, 10, 0, 0)).week == (1.0,) * 7


def test_noise_makes_no_pattern() -> None:
    noise = [8, 12, 9, 11, 12, 8, 10, 11, 9, 10, 8, 12, 10, 9, 12, 8, 11, 9, 10, 12, 11, 9, 10, 12, 8, 9, 11, 8]
    assert max(a_pace(days(*noise)).week) < 1.05


def test_an_unknown_day_leaves_the_pattern_of_its_week_alone() -> None:
    daily = days(*[10, 10, 10, 10, 10, 0, 0] * 6)
    assert a_pace(daily, frozenset({THROUGH - 17 * DAY})).week == pytest.approx(a_pace(daily).week)


def test_a_spend_that_never_varied_needs_no_band_after_some_weeks() -> None:
    for count, sums in enumerate(ahead(a_pace(days(*["10"] * 42)), 30), start=1):
        assert sums == pytest.approx((10 * count, 10 * count, 10 * count))


def test_a_short_history_has_a_wide_band() -> None:
    assert ahead(a_pace(days(*["10"] * 10)), 3) == [(5, 10, 20), (10, 20, 40), (15, 30, 60)]


def test_past_misses_make_the_band() -> None:
    calm = ahead(a_pace(days(*[10, 11, 9] * 14)), 14)[-1]
    wild = ahead(a_pace(days(*[10, 18, 2] * 14)), 14)[-1]
    assert calm[1] == pytest.approx(140, rel=0.02)
    assert 135 < calm[0] < calm[1] < calm[2] < 145
    assert wild[2] - wild[0] > 2 * (calm[2] - calm[0])


def test_the_further_ahead_the_less_single_days_matter() -> None:
    sums = ahead(a_pace(days(*[10, 18, 2] * 14)), 14)
    widths = [(sums[count - 1][2] - sums[count - 1][0]) / sums[count - 1][1] for count in (2, 7, 14)]
    assert widths[0] > widths[1] > widths[2]


def test_unknown_days_are_no_misses() -> None:
    outage = frozenset(THROUGH - back * DAY for back in (3, 4, 11, 25))
    assert ahead(a_pace(days(*["10"] * 42), outage), 2)[-1] == pytest.approx((20, 20, 20))


def test_one_odd_day_hardly_moves_the_likely_spend_yet_the_band_reaches_to_it() -> None:
    pace = a_pace(days(*["10"] * 41, "90"))
    assert usual_day(pace) == pytest.approx(10)
    assert ahead(pace, 1)[0] == pytest.approx((10, 10, 90))


def test_an_odd_day_counts_no_more_than_the_band_allows() -> None:
    usual = usual_day(a_pace(days(*["9", "11"] * 20, "40", "10", "10")))
    assert 10 < usual < 10.5


def test_odd_days_that_are_not_in_a_row_are_no_step() -> None:
    assert usual_day(a_pace(days(*["10"] * 38, "60", "10", "60"))) < 11


def test_quiet_weekdays_alone_are_no_step() -> None:
    usual_weeks, odd_weekend = ["10", "10", "10", "10", "10", "0.5", "0.5"] * 5, ["10", "10", "10", "10", "10", "4", "4"]
    assert usual_day(a_pace(days(*usual_weeks, *odd_weekend))) == pytest.approx(51 / 7, rel=0.02)


def test_two_days_above_the_band_are_the_new_level() -> None:
    pace = a_pace(days(*["10"] * 30, "30", "30"))
    assert usual_day(pace) == pytest.approx(30)
    assert ahead(pace, 1)[0][0] == pytest.approx(10)


def test_the_first_usual_day_takes_a_young_rise_back_and_the_next_one_has_to_last_longer() -> None:
    spike = [*["10"] * 30, "60", "60", "10"]
    assert usual_day(a_pace(days(*spike))) == pytest.approx(10)
    assert usual_day(a_pace(days(*spike, "60", "60"))) < 20
    assert usual_day(a_pace(days(*spike, "60", "60", "60"))) == pytest.approx(60)


def test_a_rise_that_lasts_a_week_is_no_longer_doubted() -> None:
    assert a_pace(days(*["10"] * 30, *["30"] * 7)).rival is not None
    assert a_pace(days(*["10"] * 30, *["30"] * 8)).rival is None


def test_a_fall_is_believed_by_and_by_within_a_week() -> None:
    levels = [usual_day(a_pace(days(*["10"] * 30, *["4"] * count))) for count in range(3, 9)]
    assert levels == pytest.approx([4 + 6 * 4 / 7, 4 + 6 * 3 / 7, 4 + 6 * 2 / 7, 4 + 6 / 7, 4, 4])


def test_a_pause_is_no_fall_and_ends_with_the_first_usual_day() -> None:
    holiday = [*["10"] * 30, *["0"] * 7]
    assert usual_day(a_pace(days(*holiday))) == pytest.approx(5)
    assert usual_day(a_pace(days(*holiday, "10"))) == pytest.approx(10)
    assert usual_day(a_pace(days(*["10"] * 20, *["0"] * 15))) == 0


def test_steady_growth_goes_on_and_wears_off() -> None:
    growing = [Decimal(100) * Decimal("1.03") ** day for day in range(35)]
    pace = a_pace(days(*(round(amount, 6) for amount in growing)))
    assert pace.growth == pytest.approx(log(1.03), rel=1e-4)
    next_month = float(sum(Decimal(100) * Decimal("1.03") ** day for day in range(35, 65)))
    low, likely, high = ahead(pace, 30)[-1]
    assert low < float(growing[-1]) * 30 < likely < next_month < high
    assert 0.8 * next_month < likely < 0.9 * next_month


@pytest.mark.parametrize(
    "last",
    [
        ["30"] * 7,
        ["12"] * 7,
        ["12"] * 7 + ["15"] * 7,
        ["10"] * 4 + ["30"] * 3,
        [*["10"] * 6, "20", *["10"] * 6, "32", *["10"] * 6, "46"],
    ],
)
def test_steps_and_odd_days_are_no_growth(last: list[str]) -> None:
    assert a_pace(days(*["10"] * 28, *last)).growth == 0


def test_fewer_and_fewer_unknown_days_are_no_growth() -> None:
    unknown = frozenset(THROUGH - back * DAY for back in (7, 14, 15, 21, 22, 23))
    assert a_pace(days(*["10"] * 42), unknown).growth == 0


def test_a_decline_is_not_drawn_on() -> None:
    assert a_pace(days(*(1000 - 20 * day for day in range(42)))).growth == 0


def test_what_is_older_than_six_weeks_is_forgotten() -> None:
    recent = days(*["10"] * 42)
    assert a_pace({**days(*["500"] * 80), **recent}) == a_pace(recent)


def test_nothing_is_foretold_beyond_the_horizon() -> None:
    pace = a_pace(days(*["10"] * 42))
    assert len(list(pace.ahead(THROUGH + DAY, 0.0))) == HORIZON == 400


def test_a_day_that_has_partly_passed_costs_only_its_rest() -> None:
    pace = a_pace(days(*["10"] * 42))
    likely = [middle * 10 for _, _, middle, _ in pace.ahead(THROUGH + DAY, 0.75)][:2]
    assert likely == [2.5, 12.5]


@given(DAILY, UNKNOWN)
@example({}, frozenset())
@example(days(*["0"] * 5, "0.0000000001"), frozenset())
@example(days(*[str(10**28 - 1)] * 42), frozenset())
@example(days("0.0000000001", *[str(10**28 - 1)] * 6, *["0.0000000001"] * 35), frozenset())
def test_whatever_was_spent_there_is_a_pace_or_it_is_too_early(daily: dict[date, Decimal], unknown: frozenset[date]) -> None:
    pace = run_rate_of(daily, through=THROUGH, unknown=unknown)
    if isinstance(pace, TooEarly):
        assert pace.days < pace.needed
        return
    before = (0.0, 0.0, 0.0)
    for _, *sums in pace.ahead(THROUGH + DAY, 0.3):
        assert 0 <= sums[0] <= sums[1] <= sums[2] < 1e6
        assert all(now >= then for now, then in zip(sums, before, strict=True))
        before = (sums[0], sums[1], sums[2])


@given(DAILY, UNKNOWN, st.decimals(min_value=Decimal("0.0001"), max_value=1_000_000, places=4))
def test_the_same_spend_in_other_money_has_the_same_pace(
    daily: dict[date, Decimal], unknown: frozenset[date], rate: Decimal
) -> None:
    pace = run_rate_of(daily, through=THROUGH, unknown=unknown)
    scaled = run_rate_of({day: EXACT.multiply(spent, rate) for day, spent in daily.items()}, through=THROUGH, unknown=unknown)
    if isinstance(pace, TooEarly) or isinstance(scaled, TooEarly):
        assert pace == scaled
    else:
        assert scaled._replace(unit=pace.unit) == pace
        counting = (daily.get(THROUGH - back * DAY, Decimal(0)) for back in range(42) if THROUGH - back * DAY not in unknown)
        assert scaled.unit == (EXACT.multiply(pace.unit, rate) if any(amount > 0 for amount in counting) else 1)


@given(DAILY, UNKNOWN, st.integers(0, 30))
def test_unknown_days_before_all_others_change_nothing(
    daily: dict[date, Decimal], unknown: frozenset[date], count: int
) -> None:
    first = min((*daily, *unknown, THROUGH))
    prefix = {first - back * DAY: Decimal(0) for back in range(1, count + 1)}
    assert run_rate_of({**prefix, **daily}, through=THROUGH, unknown=unknown | prefix.keys()) == run_rate_of(
        daily, through=THROUGH, unknown=unknown
    )


@given(DAILY, st.randoms(use_true_random=False))
def test_the_order_of_the_days_does_not_matter(daily: dict[date, Decimal], source: Random) -> None:
    items = list(daily.items())
    source.shuffle(items)
    assert run_rate_of(dict(items), through=THROUGH) == run_rate_of(daily, through=THROUGH)


@given(DAILY, UNKNOWN)
def test_nothing_around_changes_the_pace(daily: dict[date, Decimal], unknown: frozenset[date]) -> None:
    pace = run_rate_of(daily, through=THROUGH, unknown=unknown)
    with decimal.localcontext(HOSTILE):
        assert run_rate_of(daily, through=THROUGH, unknown=unknown) == pace
