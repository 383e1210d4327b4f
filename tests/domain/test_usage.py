"""Of which days it is known whether anything was used."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from domain_builders import ACME, SEPTEMBER
from spendwatch.domain.merging import Held, HeldDay
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import Coverage, DayKey, Digest, SeriesKey, Stamp
from spendwatch.domain.usage import days_that_count, last_complete_day, unknown_days

AUGUST = BillingPeriod(2026, 8)
SERIES = tuple(SeriesKey(ACME, period, "v2") for period in (AUGUST, SEPTEMBER))
THROUGH = date(2026, 9, 13)


def held(*days: tuple[int, str], coverage: tuple[Coverage, ...] = (), confirmed: str = "") -> Held:
    """Return days of September, each with the stamp of its lines, and all of August."""
    august = {DayKey(ACME, AUGUST, "v2", date(2026, 8, day)): "20260902000000" for day in range(1, 32)}
    september = {DayKey(ACME, SEPTEMBER, "v2", date(2026, 9, day)): stamp for day, stamp in days}
    known = {
        key: HeldDay(key, Digest("d"), Stamp(confirmed), (Stamp(stamp),) if stamp else ())
        for key, stamp in (august | september).items()
    }
    return Held(known, coverage)


def unknown(known: Held) -> list[int]:
    return sorted(day.day for day in unknown_days(SERIES, known, THROUGH))


def test_a_day_without_lines_used_nothing_if_a_later_export_tells_of_the_days_before() -> None:
    exported = "20260915093000"
    assert unknown(held(*((day, exported) for day in range(1, 14) if day not in {5, 6}))) == []


def test_a_day_whose_own_file_may_be_missing_is_unknown() -> None:
    files = [(day, f"202609{day + 1:02d}000000") for day in range(1, 14) if day not in {5, 6, 13}]
    assert unknown(held(*files)) == [5, 6, 13]


def test_later_files_that_say_the_same_of_the_days_before_tell_of_the_gap_too() -> None:
    files = [(day, f"202609{day + 1:02d}000000") for day in range(1, 14) if day not in {5, 6}]
    assert unknown(held(*files, confirmed="20260907000000")) == []


def test_lines_of_too_many_stamps_to_tell_count_as_new() -> None:
    assert unknown(held((1, ""), (13, "20260914000000"))) == []


def test_what_is_covered_is_known() -> None:
    files = [(day, f"202609{day + 1:02d}000000") for day in range(1, 14) if day not in {5, 6, 7}]
    series = SERIES[1]
    day = Coverage(series, date(2026, 9, 5), date(2026, 9, 5), None, Stamp("20260906000000/1"), Stamp("20260906000000"))
    assert unknown(held(*files, coverage=(day,))) == [6, 7]
    first, last = date(2026, 9, 3), date(2026, 9, 6)
    month = Coverage(series, first, last, ("a",), Stamp("20260907000000/1"), Stamp("20260907000000"))
    assert unknown(held(*files, coverage=(month,))) == [7]


def test_months_without_any_bill_are_unknown() -> None:
    assert len(unknown_days((), Held({}, ()), THROUGH)) == 42


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
