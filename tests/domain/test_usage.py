"""Of which days it is known whether anything was used."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from domain_builders import ACME, SEPTEMBER
from spendwatch.domain.period import PROVIDER_ZONE, BillingPeriod
from spendwatch.domain.statement import DayKey, SeriesKey
from spendwatch.domain.usage import TellingDays, days_that_count, last_complete_day, unknown_days

AUGUST = BillingPeriod(2026, 8)
SERIES = tuple(SeriesKey(ACME, period, "v2") for period in (AUGUST, SEPTEMBER))
THROUGH = date(2026, 9, 13)


def midnight(day: int) -> datetime:
    return datetime(2026, 9, day, tzinfo=PROVIDER_ZONE)


Span = tuple[SeriesKey, date, date, datetime]


def told(*days: tuple[int, datetime], complete: tuple[Span, ...] = ()) -> TellingDays:
    """Return days of September, each with how new it is, and all of August."""
    august = {DayKey(ACME, AUGUST, "v2", date(2026, 8, day)): (midnight(2), 1) for day in range(1, 32)}
    september = {DayKey(ACME, SEPTEMBER, "v2", date(2026, 9, day)): (newest, 1) for day, newest in days}
    return TellingDays(august | september, complete)


def unknown(known: TellingDays) -> list[int]:
    return sorted(day.day for day in unknown_days(SERIES, known, THROUGH))


def test_a_day_without_lines_used_nothing_if_a_later_export_tells_of_the_days_before() -> None:
    assert unknown(told(*((day, midnight(15)) for day in range(1, 14) if day not in {5, 6}))) == []


def test_a_day_whose_own_file_may_be_missing_is_unknown() -> None:
    files = [(day, midnight(day + 1)) for day in range(1, 14) if day not in {5, 6, 13}]
    assert unknown(told(*files)) == [5, 6, 13]


def test_later_files_that_say_the_same_of_the_days_before_tell_of_the_gap_too() -> None:
    files = [(day, midnight(day + 1)) for day in range(1, 14) if day not in {5, 6}]
    assert unknown(told(*files, (4, midnight(7)))) == []


def test_what_is_covered_is_known() -> None:
    files = [(day, midnight(day + 1)) for day in range(1, 14) if day not in {5, 6, 7}]
    day = (SERIES[1], date(2026, 9, 5), date(2026, 9, 5), midnight(6))
    assert unknown(told(*files, complete=(day,))) == [6, 7]
    month = (SERIES[1], date(2026, 9, 3), date(2026, 9, 6), midnight(7))
    assert unknown(told(*files, complete=(month,))) == [7]


def test_months_without_any_bill_are_unknown() -> None:
    assert len(unknown_days((), TellingDays({}), THROUGH)) == 42


@pytest.mark.parametrize(
    ("until", "through"),
    [
        (datetime(2026, 9, 15, 1, 41, tzinfo=UTC), date(2026, 9, 13)),
        (datetime(2026, 9, 15, 15, 59, 59, tzinfo=UTC), date(2026, 9, 13)),
        (datetime(2026, 9, 15, 16, 0, tzinfo=UTC), date(2026, 9, 14)),
    ],
)
def test_the_last_complete_day_lies_two_days_before_that_in_which_the_data_end(until: datetime, through: date) -> None:
    assert last_complete_day(until, ZoneInfo("Asia/Shanghai")) == through


def test_six_weeks_count() -> None:
    first, end = days_that_count(THROUGH)
    assert ((end - first).days, end) == (42, date(2026, 9, 14))
