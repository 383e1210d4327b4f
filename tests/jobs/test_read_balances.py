"""When balances are asked for, and what is written down of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain_builders import ACME, CNY, cny
from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.errors import BalanceUnavailableError, LedgerUnavailableError
from spendwatch.domain.policy import AccountPolicy, BalancePolicy, Site
from spendwatch.domain.statement import AccountId
from spendwatch.jobs.balances import ConfiguredBalance
from spendwatch.jobs.read_balances import BalanceRounds, Polled
from spendwatch.sources.balances.file import FileBalance
from spendwatch.store.balance_book import BalanceBook
from spendwatch.store.database import Database

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 9, 15, 4, 0, tzinfo=UTC)
LABS = AccountId("1000000000000002")
HOUR = timedelta(hours=1)


@dataclass
class ScriptedSource:
    """A balance source that says what it is told to, or fails, or hangs."""

    account: AccountId = ACME
    cash: str = "10"
    trouble: BalanceUnavailableError | None = None
    hangs: bool = False
    asked: int = 0

    async def read(self, now: datetime) -> BalanceReading:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(3600)
        if self.trouble:
            raise self.trouble
        return BalanceReading(self.account, CNY, Origin.API, now, now, cash=cny(self.cash))


@dataclass
class Stage:
    """Rounds over two sources, with clocks that only the test moves."""

    book: BalanceBook
    source: ScriptedSource = field(default_factory=ScriptedSource)
    other: ScriptedSource = field(default_factory=lambda: ScriptedSource(LABS))
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.rounds = BalanceRounds(self.polled, self.book, lambda: NOW + timedelta(seconds=self.seconds), lambda: self.seconds)

    @property
    def polled(self) -> Mapping[AccountId, Polled]:
        return {ACME: Polled(self.source, HOUR), LABS: Polled(self.other, HOUR)}

    async def after(self, seconds: float) -> list[str]:
        """Let time pass and ask; return who was asked, and failed."""
        self.seconds += seconds
        return [f"{one.account}{': ' if one.why else ''}{one.why}" for one in await self.rounds.ask()]


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(BalanceBook(database))


def trouble(*, is_lasting: bool = False, retry_after: timedelta | None = None) -> BalanceUnavailableError:
    return BalanceUnavailableError("refused", is_lasting=is_lasting, retry_after=retry_after)


async def test_each_source_is_asked_at_once_and_then_when_its_time_has_come(stage: Stage) -> None:
    assert await stage.after(0) == [ACME, LABS]
    assert await stage.after(3599) == []
    assert await stage.after(1) == [ACME, LABS]
    assert {known.reading.as_of for known in stage.book.latest().values()} == {NOW + HOUR}


async def test_trouble_is_written_down_and_asked_after_sooner_and_ever_more_seldom(stage: Stage) -> None:
    stage.source.trouble = trouble(is_lasting=True)
    assert await stage.after(0) == [f"{ACME}: refused", LABS]
    health = stage.book.health()[ACME]
    assert (health.failures, health.trouble, health.is_lasting, health.failing_since) == (1, "refused", True, NOW)
    waits = []
    for _ in range(6):
        waited = 0
        while not await stage.after(30):
            waited += 30
        waits.append(waited + 30)
    assert waits == [60, 120, 240, 480, 900, 900]
    stage.source.trouble = None
    assert ACME in await stage.after(900)
    assert stage.book.health()[ACME].failing_since is None


async def test_a_pause_that_is_asked_for_is_kept(stage: Stage) -> None:
    stage.source.trouble = trouble(retry_after=timedelta(minutes=40))
    await stage.after(0)
    assert await stage.after(2399) == []
    assert await stage.after(1) == [f"{ACME}: refused"]


async def test_a_persons_hurry_shortens_every_wait_but_the_pause_that_was_asked_for(stage: Stage) -> None:
    stage.source.trouble = trouble(retry_after=timedelta(minutes=40))
    await stage.after(0)
    stage.rounds.trigger_now()
    assert await stage.after(1) == [LABS]
    stage.rounds.trigger_now()
    assert await stage.after(2399) == [f"{ACME}: refused", LABS]


async def test_what_is_said_again_is_no_news_and_what_changes_or_works_again_is(stage: Stage) -> None:
    async def news() -> list[bool]:
        return [one.is_news for one in await stage.rounds.ask(at_once=True) if one.account == ACME]

    assert await news() == [True]
    assert await news() == [False]
    stage.source.cash = "11"
    assert await news() == [True]
    stage.source.trouble = trouble()
    assert await news() == [True]
    stage.source.trouble = None
    assert await news() == [True]


class Announcing(BalanceBook):
    """The balance book; says when a reading was recorded."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.recorded = threading.Event()

    def record(self, reading: BalanceReading) -> None:
        super().record(reading)
        self.recorded.set()


async def test_a_source_that_hangs_holds_up_nobody_elses_reading(database: Database) -> None:
    book = Announcing(database)
    stage = Stage(book)
    stage.source.hangs = True
    asking = asyncio.create_task(stage.rounds.ask())
    assert await asyncio.to_thread(book.recorded.wait, 10)
    assert set(book.latest()) == {LABS}
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_defect_of_one_source_is_raised_after_the_others_were_read(stage: Stage) -> None:
    stage.source.trouble = ValueError("a defect")  # type: ignore[assignment]  # that is the defect
    with pytest.raises(ValueError, match="a defect"):
        await stage.rounds.ask()
    assert set(stage.book.latest()) == {LABS}


class Full(BalanceBook):
    """A balance book without room."""

    def record(self, reading: BalanceReading) -> None:
        del reading
        raise LedgerUnavailableError


async def test_a_full_database_is_no_trouble_of_the_source(database: Database) -> None:
    stage = Stage(Full(database))
    with pytest.raises(LedgerUnavailableError):
        await stage.rounds.ask()
    assert stage.book.health() == {}


async def test_what_did_not_change_keeps_its_turn_over_a_reload_and_what_is_new_is_asked_at_once(stage: Stage) -> None:
    await stage.after(0)
    fresh = ScriptedSource(LABS)
    stage.rounds.take_over({ACME: stage.polled[ACME], LABS: Polled(fresh, HOUR)})
    assert await stage.after(1) == [LABS]
    assert (stage.source.asked, fresh.asked, stage.other.asked) == (1, 1, 1)
    stage.rounds.take_over({})
    assert await stage.after(7200) == []


async def test_a_real_file_that_breaks_keeps_its_last_good_reading(database: Database, tmp_path: Path) -> None:
    book, path = BalanceBook(database), tmp_path / "balance.json"
    source = FileBalance(path, timedelta(), account=ACME, currency=CNY)
    rounds = BalanceRounds({ACME: Polled(source, HOUR)}, book, lambda: NOW, lambda: 0.0)
    path.write_text(json.dumps({"as_of": "2026-09-15T10:00:00+08:00", "cash": "10.00"}))
    await rounds.ask(at_once=True)
    path.write_text('{"as_of": "2026-09-15T11:00:00+08:00",\n"cash": 10.00}')
    (asked,) = await rounds.ask(at_once=True)
    assert "line 2, cash: must be a text" in asked.why
    assert book.latest()[ACME].reading.cash == cny("10.00")
    assert book.health()[ACME].is_lasting


async def test_what_is_configured_is_kept_with_since_when_it_is_so(database: Database) -> None:
    book = BalanceBook(database)
    clock = [NOW]
    policy = AccountPolicy(ACME, "acme", Site.CN, CNY, balance=BalancePolicy(cash=cny("400").amount))
    rounds = BalanceRounds({ACME: Polled(ConfiguredBalance(policy), HOUR)}, book, lambda: clock[0], lambda: 0.0)
    for _ in range(3):
        await rounds.ask(at_once=True)
        clock[0] += HOUR
    (known,) = book.history(ACME)
    assert (known.reading.origin, known.reading.cash, known.since, known.reading.as_of) == (
        Origin.MANUAL,
        cny("400"),
        NOW,
        NOW + 2 * HOUR,
    )
