"""Months are half-open, in the billing zone, and durations are what they say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spendwatch.domain.period import (
    BillingPeriod,
    PeriodKind,
    ShortPeriod,
    closes_at,
    days_text,
    duration_label,
    duration_text,
    is_final,
    labels_in,
    month_of,
    open_periods,
    parse_duration,
    parse_period,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
PERIODS = st.builds(BillingPeriod, st.integers(1, 9998), st.integers(1, 12))


def test_the_month_changes_in_the_billing_zone_and_not_in_utc() -> None:
    last = datetime(2026, 9, 30, 15, 59, 59, 999999, tzinfo=UTC)
    assert BillingPeriod.containing(last, SHANGHAI).label == "2026-09"
    assert BillingPeriod.containing(last + timedelta(microseconds=1), SHANGHAI).label == "2026-10"
    assert BillingPeriod.containing(last + timedelta(microseconds=1), UTC).label == "2026-09"


@pytest.mark.parametrize("zone", [SHANGHAI, UTC])
@pytest.mark.parametrize(("year", "month"), [(2026, 9), (2026, 12), (2024, 2), (2026, 2), (2027, 1)])
def test_a_month_holds_its_last_second_and_not_the_next(zone: ZoneInfo, year: int, month: int) -> None:
    period = BillingPeriod(year, month)
    end = period.next().starts_at(zone)
    assert BillingPeriod.containing(end - timedelta(seconds=1), zone) == period
    assert BillingPeriod.containing(end, zone) == period.next()
    assert BillingPeriod.containing(period.starts_at(zone), zone) == period
    assert BillingPeriod.containing(period.starts_at(zone) - timedelta(seconds=1), zone) == period.previous()


def test_the_year_ends_at_midnight_in_the_billing_zone() -> None:
    assert BillingPeriod.containing(datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC), SHANGHAI).label == "2026-12"
    assert BillingPeriod.containing(datetime(2026, 12, 31, 16, 0, 0, tzinfo=UTC), SHANGHAI).label == "2027-01"


def test_days_are_inside_from_the_first_and_outside_from_the_next_first() -> None:
    february = BillingPeriod(2024, 2)
    assert date(2024, 2, 1) in february
    assert date(2024, 2, 29) in february
    assert date(2024, 3, 1) not in february
    assert date(2024, 1, 31) not in february
    assert february.days == 29
    assert BillingPeriod(2026, 2).days == 28


@given(PERIODS)
@example(BillingPeriod(9998, 12))
@example(BillingPeriod(1, 1))
def test_every_month_reads_back_and_is_as_long_as_the_calendar_says(period: BillingPeriod) -> None:
    assert BillingPeriod.parse(period.label) == period
    assert 28 <= period.days <= 31
    assert period.first_day in period
    assert period.after_last_day not in period
    assert period.after_last_day - timedelta(days=1) in period


@given(st.builds(BillingPeriod, st.integers(2, 9997), st.integers(1, 12)))
def test_next_and_previous_undo_each_other(period: BillingPeriod) -> None:
    assert period.next().previous() == period == period.previous().next()
    assert period.previous() < period < period.next()


@pytest.mark.parametrize(
    "label", ["2026-13", "2026-00", "2026-9", "26-09", "2026-09\n", "２０２６-09", "2026/09", "0000-01", "9999-01", ""]
)
def test_what_is_no_month_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="not a month"):
        BillingPeriod.parse(label)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-09-01T00:00:00+08:00", ["2026-08", "2026-09"]),
        ("2026-09-04T23:59:59+08:00", ["2026-08", "2026-09"]),
        ("2026-09-05T00:00:00+08:00", ["2026-09"]),
        ("2026-09-04T15:59:59+00:00", ["2026-08", "2026-09"]),
        ("2026-09-04T16:00:00+00:00", ["2026-09"]),
        ("2027-01-01T00:00:00+08:00", ["2026-12", "2027-01"]),
        ("2026-12-31T23:59:59+08:00", ["2026-12"]),
        ("2026-12-31T16:00:00+00:00", ["2026-12", "2027-01"]),
    ],
)
def test_the_previous_month_stays_open_until_the_end_of_the_fourth(now: str, expected: list[str]) -> None:
    found = open_periods(datetime.fromisoformat(now), SHANGHAI, final_on=4)
    assert [period.label for period in found] == expected


def test_a_month_is_final_once_it_is_no_longer_open() -> None:
    fourth = datetime(2026, 10, 4, 12, tzinfo=UTC)
    fifth = datetime(2026, 10, 4, 16, tzinfo=UTC)
    assert not is_final(BillingPeriod(2026, 9), fourth, SHANGHAI, final_on=4)
    assert is_final(BillingPeriod(2026, 9), fifth, SHANGHAI, final_on=4)
    assert is_final(BillingPeriod(2026, 8), fourth, SHANGHAI, final_on=4)
    assert not is_final(BillingPeriod(2026, 10), fifth, SHANGHAI, final_on=4)


@given(st.integers(0, 730 * 86400), st.integers(1, 28), st.integers(0, 3))
def test_a_month_is_final_from_the_very_moment_at_which_it_closes(seconds: int, final_on: int, ago: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=SHANGHAI) + timedelta(seconds=seconds)
    period = BillingPeriod.containing(now, SHANGHAI)
    for _ in range(ago):
        period = period.previous()
    closed_at = closes_at(period, SHANGHAI, final_on=final_on)
    assert is_final(period, now, SHANGHAI, final_on=final_on) == (now >= closed_at)
    assert is_final(period, closed_at, SHANGHAI, final_on=final_on)
    assert not is_final(period, closed_at - timedelta(microseconds=1), SHANGHAI, final_on=final_on)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("26h", 93600), ("3d", 259200), ("1h30m", 5400), ("0s", 0), ("1d1h1m1s", 90061)],
)
def test_durations_are_read_as_they_are_written(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "30", "s", "1.5h", "-1s", "1 h", "1w", "30S", "1h ", "1h\n", "٣s", "1234567s", "999999d" * 2000]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@given(st.from_regex(r"([0-9]{1,6}[dhms])+", fullmatch=True))
def test_a_duration_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        assert parse_duration(text) >= timedelta(0)
    except ValueError:
        assert len(text) > 7


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (3661, "1 h 1 min"),
        (93600, "1 d 2 h"),
        (86401, "1 d 1 s"),
        (-5, "0 s"),
        (0.9, "0 s"),
    ],
)
def test_durations_for_people_have_two_units(seconds: float, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("written", "label"), [("7d", "7d"), ("48h", "2d"), ("4h", "4h"), ("1h30m", "90m"), ("1m1s", "61s"), ("0s", "0s")]
)
def test_a_label_is_in_the_largest_whole_unit_and_is_read_back(written: str, label: str) -> None:
    assert duration_label(parse_duration(written)) == label
    assert parse_duration(label) == parse_duration(written)


def test_days_in_a_row_are_told_by_the_first_and_the_last() -> None:
    days = [date(2026, 9, day) for day in (30, 1, 2, 3, 9)] + [date(2026, 10, 1)]
    assert days_text(days) == "2026-09-01 to 2026-09-03, 2026-09-09, 2026-09-30 to 2026-10-01"
    assert days_text(days[:2], span="{low} 至 {high}", comma="、") == "2026-09-01、2026-09-30"
    assert days_text([]) == ""


@pytest.mark.parametrize(
    ("day", "kind", "label", "bounds", "months"),
    [
        ("2026-09-16", PeriodKind.DAY, "2026-09-16", "2026-09-16 2026-09-17", ["2026-09"]),
        ("2026-09-16", PeriodKind.WEEK, "2026-W38", "2026-09-14 2026-09-21", ["2026-09"]),
        ("2026-10-04", PeriodKind.WEEK, "2026-W40", "2026-09-28 2026-10-05", ["2026-09", "2026-10"]),
        ("2027-01-01", PeriodKind.WEEK, "2026-W53", "2026-12-28 2027-01-04", ["2026-12", "2027-01"]),
        ("2025-12-29", PeriodKind.WEEK, "2026-W01", "2025-12-29 2026-01-05", ["2025-12", "2026-01"]),
    ],
)
def test_days_and_weeks_have_labels_that_are_read_back(
    day: str, kind: PeriodKind, label: str, bounds: str, months: list[str]
) -> None:
    found = ShortPeriod.containing(date.fromisoformat(day), kind)
    assert (found.label, f"{found.first_day} {found.after_last_day}") == (label, bounds)
    assert parse_period(label) == found
    assert [month.label for month in found.span.months] == months
    assert month_of(label).label == months[-1]


@pytest.mark.parametrize("label", ["2026", "2026-W54", "2026-W00", "2026-09-31", "2026-13", "week"])
def test_what_is_no_period_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_period(label)


def test_the_labels_of_a_month_are_those_of_its_days_and_weeks_too() -> None:
    labels = labels_in(BillingPeriod(2026, 9))
    assert (labels[0], len(labels)) == ("2026-09", 1 + 30 + 5)
    assert {"2026-09-01", "2026-09-30", "2026-W36", "2026-W40"} < set(labels)
