"""When a scheduled report is due."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from spendwatch.domain.report import Cadence, Schedule

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
NINE = time(9)


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        (Schedule(Cadence.DAILY, NINE), "2026-09-16T09:00:00", "2026-09-16T09:00:00"),
        (Schedule(Cadence.DAILY, NINE), "2026-09-16T08:59:59", "2026-09-15T09:00:00"),
        (Schedule(Cadence.WEEKLY, NINE, 0), "2026-09-16T12:00:00", "2026-09-14T09:00:00"),
        (Schedule(Cadence.WEEKLY, NINE, 2), "2026-09-16T08:00:00", "2026-09-09T09:00:00"),
        (Schedule(Cadence.MONTHLY, NINE, 5), "2026-09-16T08:00:00", "2026-09-05T09:00:00"),
        (Schedule(Cadence.MONTHLY, NINE, 28), "2026-03-28T08:00:00", "2026-02-28T09:00:00"),
        (Schedule(Cadence.MONTHLY, NINE, 5), "2026-01-05T08:00:00", "2025-12-05T09:00:00"),
    ],
)
def test_a_report_was_due_last_by_the_clock_of_the_zone(schedule: Schedule, now: str, due: str) -> None:
    at, latest = (datetime.fromisoformat(moment).replace(tzinfo=SHANGHAI) for moment in (now, due))
    assert schedule.latest(at, SHANGHAI) == latest


def test_an_hour_that_a_day_lacks_is_the_one_after_it() -> None:
    schedule = Schedule(Cadence.DAILY, time(2, 30))
    assert schedule.latest(datetime(2026, 3, 29, 12, tzinfo=UTC), BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
