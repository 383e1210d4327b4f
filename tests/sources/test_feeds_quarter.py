"""A quarter of simulated time, with weekends and month ends: whenever the feed stops, that is told in time; else it is not.

The feed lags as the provider says that it does: the lines of a day appear on the following day, at some hour of it, and the
last ones another half day later. After a stop nothing new comes any more, each time for another reason.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from billing_api import Document
from bss_lies import Lie
from endpoint_watch import StopWatch
from feed_house import FeedHouse, api_source
from servers_bss import BssServer, an_item
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.period import parse_duration

pytestmark = pytest.mark.anyio

CHINA = timezone(timedelta(hours=8))
QUARTER = datetime(2026, 7, 1, tzinfo=CHINA), datetime(2026, 10, 1, tzinfo=CHINA)
A_FEW_WEEKS = datetime(2026, 8, 20, tzinfo=CHINA), datetime(2026, 9, 8, tzinfo=CHINA)
WARM = timedelta(days=5)
POLL = timedelta(hours=6)
STOPS, FEW = 200, 7
FRIDAY = 4
REASONS = (None, Lie.RESET, Lie.HTML, Lie.UNKNOWN_KEY, Lie.COUNT_TOO_HIGH, Lie.SUCCESS_FALSE, Lie.WRONG_SITE)


@dataclass
class Feed:
    """What the provider says of each day, at a moment."""

    chance: random.Random
    rests_at_weekends: bool
    _appears: dict[date, tuple[datetime, datetime]] = field(default_factory=dict)

    def appearance(self, day: date) -> tuple[datetime, datetime]:
        """Return when the first lines of a day appear, and when the last."""
        if day not in self._appears:
            following = datetime.combine(day + timedelta(days=1), datetime.min.time(), CHINA)
            first = following + timedelta(minutes=self.chance.randrange(1, 16 * 60))
            self._appears[day] = first, first + timedelta(minutes=self.chance.randrange(1, 12 * 60))
        return self._appears[day]

    def bills(self, now: datetime) -> dict[date, Sequence[Document]]:
        """Return the lines that can be seen then, of this month and of the one before."""
        found: dict[date, Sequence[Document]] = {}
        day = (now - timedelta(days=40)).astimezone(CHINA).date()
        while day <= now.astimezone(CHINA).date():
            first, last = self.appearance(day)
            if now >= first and not (self.rests_at_weekends and day.weekday() > FRIDAY):
                found[day] = [an_item(day, 1, "0.5")] + ([an_item(day, 2, "0.25")] if now >= last else [])
            day += timedelta(days=1)
        return found


@dataclass(frozen=True)
class Moment:
    """What survives a restart, as it was when the feed stopped, and what could be seen then."""

    at: datetime
    bills: dict[date, Sequence[Document]]
    place: Path


@dataclass(frozen=True)
class Stage:
    """The stand-in, the clock, and what houses are made of."""

    server: BssServer
    watch: StopWatch
    folder: Path
    shared_reader: ReadingProcess
    empty_ledger: Path

    def house(self, name: str, stale_after: str) -> FeedHouse:
        source = api_source(self.server.url, f", stale_after: {stale_after}")
        return FeedHouse(self.folder / name, self.watch, self.shared_reader, self.empty_ledger, source, budget="100000")


@pytest.fixture
def stage(tmp_path: Path, shared_reader: ReadingProcess, empty_ledger: Path) -> Iterator[Stage]:
    watch = StopWatch()
    with BssServer(clock=watch.clock) as server:
        yield Stage(server, watch, tmp_path, shared_reader, empty_ledger)


def _kept(house: FeedHouse, place: Path) -> None:
    """Copy what survives a restart."""
    (place / "var").mkdir(parents=True)
    with closing(sqlite3.connect(house.ledger)) as ledger, closing(sqlite3.connect(place / "var" / house.ledger.name)) as copy:
        ledger.backup(copy)


async def _live(stage: Stage, feed: Feed, stale_after: str, stops: Sequence[datetime], end: datetime) -> list[Moment]:
    """Live until the end; return what was at each stop. Nothing must be told: the feed is well."""
    moments: list[Moment] = []
    with stage.house("whole", stale_after) as house:
        while stage.watch.now < end:
            due = min([stage.watch.now + POLL, *stops[len(moments) : len(moments) + 1]])
            stage.server.bills = feed.bills(due)
            await house.round(after=max(0.0, (due - stage.watch.now).total_seconds()))
            assert house.said() == [], f"a false alarm at {due}"
            assert house.source().state == "ok"
            if due in stops:
                place = stage.folder / f"{len(moments):03}"
                _kept(house, place)
                moments.append(Moment(stage.watch.now, stage.server.bills, place))
    return moments


def _stop(server: BssServer, reason: Lie | None) -> None:
    """Let the endpoint say nothing new any more, for that reason or for none that it would tell."""
    server.lie, server.lies_to = reason, lambda call: "MaxResults" in call.query


async def _is_told_in_time(stage: Stage, moment: Moment, stale_after: timedelta, reason: Lie | None) -> None:
    stage.watch.now, stage.server.bills = moment.at, moment.bills
    _stop(stage.server, reason)
    with stage.house(moment.place.name, f"{int(stale_after.total_seconds())}s") as house:
        house.be_impatient()
        (health,) = house.store.health.sources()
        assert health.last_bill_at
        limit = health.last_bill_at + stale_after
        for share in (0.3, 0.6, 0.9):
            await house.round(after=((limit - moment.at) * share - (stage.watch.now - moment.at)).total_seconds())
        stage.watch.now = limit - timedelta(seconds=1)
        await asyncio.to_thread(house.app.assess)
        assert house.said("bills.stale") == [], "too early"
        stage.watch.pass_by(1)
        await asyncio.to_thread(house.app.assess)
        assert [said.created_at for said in house.said("bills.stale")] == [limit]
        assert house.source().state == ("failing" if reason else "stale")
        assert bool(house.said("source.failing")) == bool(reason)
    _stop(stage.server, None)


@pytest.mark.parametrize(("rests_at_weekends", "stale_after"), [(False, "50h"), (True, "4d")])
async def test_whenever_the_feed_stops_it_is_told_in_time_and_never_else(
    *, rests_at_weekends: bool, stale_after: str, stage: Stage, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(20261124)  # noqa: S311 -- the same each time
    is_long = request.config.getoption("--long")
    (begin, end), count = (QUARTER, STOPS // 2) if is_long else (A_FEW_WEEKS, FEW)
    seconds = int((end - begin - WARM).total_seconds())
    stops = sorted(begin + WARM + timedelta(seconds=second) for second in chance.sample(range(seconds), count))
    stage.watch.now = begin.astimezone(UTC)
    moments = await _live(stage, Feed(chance, rests_at_weekends=rests_at_weekends), stale_after, stops, end)
    assert len(moments) == count
    for number, moment in enumerate(moments):
        await _is_told_in_time(stage, moment, parse_duration(stale_after), REASONS[number % len(REASONS)])
