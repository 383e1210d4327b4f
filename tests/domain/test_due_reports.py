"""When a scheduled report is due."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from spendwatch.channels.route_settings import DigestPart
from spendwatch.domain.delivery import Cadence, Schedule

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


@pytest.mark.parametrize(
    ("cron", "now", "due"),
    [
        ("0 9 5 * *", "2026-09-05T09:00:00", "2026-09-05T09:00:00"),
        ("0 9 5 * *", "2026-01-05T08:59:59", "2025-12-05T09:00:00"),
        ("30 8 * * mon-fri", "2026-09-14T08:29:59", "2026-09-11T08:30:00"),
        ("0 9 1,15 * *", "2026-09-14T12:00:00", "2026-09-01T09:00:00"),
        ("0 9 last * *", "2026-03-01T00:00:00", "2026-02-28T09:00:00"),
        ("0 9 1 */3 *", "2026-07-01T09:00:00", "2026-07-01T09:00:00"),
        ("0 9 1 */3 *", "2026-09-16T09:00:00", None),
    ],
)
def test_cron_says_when_the_report_of_a_named_period_is_due(cron: str, now: str, due: str | None) -> None:
    (schedule,) = DigestPart.model_validate({"monthly": cron}).schedules
    latest = datetime.fromisoformat(due).replace(tzinfo=SHANGHAI) if due else None
    assert (schedule.cadence, schedule.latest(datetime.fromisoformat(now).replace(tzinfo=SHANGHAI), SHANGHAI)) == (
        Cadence.MONTHLY,
        latest,
    )


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("*/5 9 * * *", "once a day"),
        ("0 9 * * 1", "write mon to sun"),
        ("0 9 5 * mon", "write \\* for one of them"),
        ("0 9 31 2 *", "never comes"),
        ("0 9 x * *", "Unrecognized expression"),
        ("0 9 5-1 * *", "range"),
        ("0 9 5 *", "not a time of day"),
    ],
)
def test_cron_that_is_not_clear_is_refused_with_the_reason(cron: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        DigestPart.model_validate({"monthly": cron})
