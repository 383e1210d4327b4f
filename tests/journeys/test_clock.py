"""What a wall clock that is wrong, or is set, may do: nothing but be told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from home import SteppedHome, lines_worth, today
from servers_http import HttpSink
from spendwatch.schedule import Every

NOW = datetime(2026, 9, 16, 4, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[SteppedHome]:
    with HttpSink() as hook:
        yield SteppedHome(tmp_path, hook=hook)


def begin() -> timedelta:
    """Return how far ahead of the real time a test begins: a clock that goes back by hours stays in the month."""
    return timedelta(days=today().day == 1)


def told(home: SteppedHome) -> list[tuple[str, str | None]]:
    return [(call["type"], call["data"].get("threshold")) for call in home.calls()]


def reached(home: SteppedHome, threshold: str) -> bool:
    return ("spend.threshold_reached", threshold) in told(home)


@pytest.mark.parametrize("step", [timedelta(hours=-8), timedelta(days=2)], ids=["back", "ahead"])
def test_a_clock_that_is_set_holds_up_no_job_and_is_told_once(home: SteppedHome, step: timedelta) -> None:
    home.furnish(stale_after="1d")
    home.watch(budget="100.00")
    home.set_clock(begin())
    running = home.start()
    try:
        home.drop(lines_worth("60"))
        home.until(lambda: reached(home, "50%"))
        home.set_clock(begin() + step)
        home.until(lambda: "clock_stepped" in running.log())
        home.drop(lines_worth("25", first=2))
        home.until(lambda: reached(home, "80%"))
        home.until(lambda: ("clock.wrong", None) in told(home))
    finally:
        assert running.stop() == 0
    assert sorted(told(home)) == [
        ("clock.wrong", None),
        ("spend.threshold_reached", "50%"),
        ("spend.threshold_reached", "80%"),
    ], "nothing is called silent whose last bill came a moment ago"


def test_a_clock_that_was_wrong_at_the_last_start_is_not_waited_for(home: SteppedHome) -> None:
    home.furnish(stale_after="1d")
    home.watch(budget="100.00")
    home.set_clock(timedelta(days=3))
    running = home.start()
    home.drop(lines_worth("60"))
    home.until(lambda: reached(home, "50%"))
    running.kill()
    home.set_clock(timedelta())
    running = home.start()
    try:
        home.drop(lines_worth("25", first=2))
        home.until(lambda: reached(home, "80%") and ("clock.wrong", None) in told(home))
    finally:
        running.stop()
    (source,) = home.json("status")["sources"]
    assert datetime.fromisoformat(source["last_bill"]) <= today()


def test_a_machine_that_starts_without_a_clock_watches_the_month_of_its_bills(home: SteppedHome) -> None:
    home.furnish(stale_after="1d")
    home.watch(budget="100.00")
    home.set_clock(datetime(1970, 1, 1, 0, 5, tzinfo=UTC) - datetime.now(UTC))  # noqa: TID251 -- the real program's time
    running = home.start()
    try:
        home.drop(lines_worth("60"))
        home.until(lambda: reached(home, "50%"))
        home.set_clock(timedelta())
        home.until(lambda: "clock_stepped" in running.log())
        home.drop(lines_worth("25", first=2))
        home.until(lambda: reached(home, "80%"))
    finally:
        assert running.stop() == 0
    assert "bills.stale" not in {kind for kind, _ in told(home)}
    assert len([alert for alert in home.json("status")["alerts"] if alert["rule"] == "spend.threshold_reached"]) == 2


def test_one_start_with_a_clock_far_ahead_gives_up_neither_lines_nor_bill_files_nor_messages(home: SteppedHome) -> None:
    home.furnish(extra="retention: {originals: 62d, lines: 92d, deliveries: 124d}")
    home.watch(budget="100.00")
    home.set_clock(timedelta())
    bill = home.drop(lines_worth("60"), exported=today() - timedelta(hours=1))
    home.call("once")
    home.set_clock(timedelta(days=400))
    running = home.start()
    home.until(lambda: ("bills.stale", None) in told(home))
    assert running.stop() == 0
    assert not {"lines_given_up", "messages_forgotten"} & set(running.log().split('"'))
    assert "spend.threshold_reached" in {one["type"] for one in home.json("deliveries", "list")["deliveries"]}
    assert (home.inbox / "done" / bill.name).exists()
    home.set_clock(timedelta())
    home.drop(lines_worth("90"))
    home.call("once")
    assert home.json("report", "--by", "workspace")["rows"][0]["spend"] == "90"


@pytest.mark.parametrize("ahead", [timedelta(days=30), timedelta(days=365 * 6)])
def test_a_clock_set_ahead_makes_a_job_run_once_however_often_it_seems_to_have_missed_its_time(ahead: timedelta) -> None:
    trigger = Every(timedelta(seconds=1))
    job = Job(AsyncIOScheduler(timezone=UTC), func=print, args=(), kwargs={}, trigger=trigger, next_run_time=NOW)
    assert job._get_run_times(NOW + ahead) == [NOW]
    assert trigger.get_next_fire_time(NOW, NOW + ahead) == NOW + ahead + timedelta(seconds=1)
    assert trigger.get_next_fire_time(NOW, NOW) == NOW + timedelta(seconds=1)
