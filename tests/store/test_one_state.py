"""A round, and `status`, judge one state of the ledger, whoever records meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from threading import Thread

import pytest
from sqlalchemy import Connection

from rounds_builder import FINANCE, TARGETS, ZONE, Rounds, cny
from spendwatch.domain.money import Money
from spendwatch.domain.policy import BalancePolicy, Threshold
from spendwatch.domain.report import Cadence, Schedule
from spendwatch.domain.routing import Route
from spendwatch.jobs.conditions import Surroundings
from spendwatch.jobs.overview import BudgetState
from spendwatch.jobs.reports import Reports
from spendwatch.store.database import Database, Storage
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database

DAY = timedelta(days=1)
FIRST = date(2026, 9, 1)
LATER = datetime(2026, 9, 1, 3, tzinfo=UTC)
BUDGET = {"budget": Decimal(100), "thresholds": (Threshold(share=Decimal("0.5")), Threshold(share=Decimal(5)))}


class Disturbed(Database):
    """The database, into which somebody else records before the n-th read."""

    def __init__(self, storage: Storage, place: str) -> None:
        super().__init__(storage)
        self._place = place
        self.left = 0

    def disturb(self) -> None:
        self.left = 0
        other = open_database(self._place)
        Rounds(other, now=LATER).bill(FIRST + DAY, "500")
        other.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self.left -= 1
        if self.left == 0:
            self.disturb()
        with super().reading() as connection:
            yield connection


@pytest.fixture
def disturbed(place: str) -> Iterator[Disturbed]:
    opened = open_database(place)
    yield Disturbed(opened._storage, place)
    opened.close()


def total(daily: tuple[tuple[date, Money], ...]) -> Money:
    return sum((amount for _, amount in daily), cny(0))


@pytest.mark.parametrize("read", range(5, 34, 6))
def test_a_message_tells_of_one_state_while_another_writer_records(disturbed: Disturbed, read: int) -> None:
    rounds = Rounds(disturbed, BalancePolicy(cash=Decimal(1000), floors=(Decimal(980),)), account=BUDGET)
    rounds.bill(FIRST, "60")
    disturbed.left = read
    said = {one.type: one.facts for one in rounds.round()}
    spent, balance = said["spend.threshold_reached"], said["balance.low"].balance
    assert spent.spend in {cny(60), cny(560)}
    assert total(spent.course.daily) == spent.spend
    assert balance
    assert balance.available + spent.spend == cny(1000)
    if disturbed.left > 0:
        disturbed.disturb()
    rounds.round()
    assert {alert.key.threshold for alert in rounds.book.known()} == {"50%", "500%", "980"}


@pytest.mark.parametrize("read", range(4, 20, 4))
def test_status_shows_one_state_while_another_writer_records(disturbed: Disturbed, read: int) -> None:
    rounds = Rounds(disturbed, BalancePolicy(cash=Decimal(1000)), account=BUDGET)
    rounds.bill(FIRST, "60")
    disturbed.left = read
    (seen,) = rounds.overview().accounts
    assert seen.mark is (BudgetState.CRITICAL if seen.spend > cny(100) else BudgetState.OK)
    assert seen.balance
    assert seen.balance.available + seen.spend == cny(1000)


@pytest.mark.parametrize("read", range(2, 32, 5))
def test_a_report_tells_of_one_state_while_another_writer_records(disturbed: Disturbed, read: int) -> None:
    rounds = Rounds(disturbed, account=BUDGET)
    rounds.bill(FIRST, "60")
    routes = {FINANCE: Route(reports=(Schedule(Cadence.DAILY, time()),))}
    around = Surroundings(rounds.policies, ZONE, TARGETS, {}, routes=routes)
    disturbed.left = read
    assert Reports(rounds.ledger, rounds.book, rounds.health, rounds.balances, around, str).send(rounds.now) == 1
    (said,) = rounds.book.said
    assert said.facts.report
    (account,) = said.facts.report.accounts
    assert account.whole.spend in {cny(60), cny(560)}
    assert sum((cause.spent for cause in account.causes.all), cny(0)) == account.whole.spend


def test_a_snapshot_is_of_its_thread_and_nobody_waits_for_it(place: str, database: Database) -> None:
    rounds, other = Rounds(database), open_database(place)
    rounds.bill(FIRST, "60")
    seen = []
    with database.snapshot():
        before = rounds.ledger.revision()
        Rounds(other, now=LATER).bill(FIRST + DAY, "500")
        thread = Thread(target=lambda: seen.append(rounds.ledger.revision()))
        thread.start()
        thread.join()
        assert rounds.ledger.revision() == before
        with pytest.raises(RuntimeError, match="snapshot"), database.writing():
            pass
    assert seen == [before + 1] == [rounds.ledger.revision()] == [Ledger(other).revision()]
    other.close()
