"""A round, and `status`, judge one state of the ledger, whoever records meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Connection

from rounds_builder import FINANCE, TARGETS, ZONE, Rounds, cny
from spendwatch.domain.alert import Acknowledgement
from spendwatch.domain.delivery import Cadence, Route, Schedule
from spendwatch.domain.money import Money
from spendwatch.domain.period import PeriodKind
from spendwatch.domain.policy import BalancePolicy, FinerBudget, Threshold, WorkspacePolicy
from spendwatch.domain.scope import Match
from spendwatch.domain.statement import WorkspaceId
from spendwatch.jobs.conditions import Surroundings
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.overview import BudgetState
from spendwatch.jobs.reports import Reports
from spendwatch.state import scratch_database
from spendwatch.store.database import Database, Storage
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database
from store_builders import row

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


def _policy(name: str, share: str, **changes: Any) -> WorkspacePolicy:  # noqa: ANN401 -- any field
    at = Threshold(share=Decimal(share)), Threshold(share=Decimal(1)), Threshold(share=Decimal(2), is_forecast=True)
    budgets = (
        FinerBudget("", Match(), Decimal(30), at[:2], per=PeriodKind.DAY),
        FinerBudget("", Match(), Decimal(60), at[:2], per=PeriodKind.WEEK),
        FinerBudget("key", Match(), Decimal(40), at[:2], for_each="api_key"),
    )
    plain = WorkspacePolicy(WorkspaceId(name), budget=Decimal(100), thresholds=at, budgets=budgets, channels=(FINANCE,))
    return replace(plain, **changes)


_CONFIGURATIONS = (
    (_policy("llm-a", "0.5"), _policy("llm-b", "0.8", remind=DAY)),
    (_policy("llm-a", "0.5", budget=Decimal(300)), _policy("llm-c", "0.2")),
    (_policy("llm-b", "0.8", spike=Decimal(20), budgets=()),),
)


@pytest.mark.parametrize("seed", range(4))
def test_what_rounds_remember_of_each_other_changes_nothing(database: Database, seed: int) -> None:
    chance = Random(seed)  # noqa: S311 -- no secret
    with scratch_database() as scratch:
        both = remembering, forgetful = Rounds(database), Rounds(scratch)
        wanted = chance.choice(_CONFIGURATIONS)
        for rounds in both:
            rounds.wanted(None, *wanted)
        for _ in range(25):
            what, after = chance.random(), timedelta(minutes=chance.choice((1, 20, 400, 2000)))
            day, cost = FIRST + chance.randrange(20) * DAY, chance.choice(("-20", "0.5", "12", "45", "90"))
            spent = row(cost, workspace=WorkspaceId(f"llm-{chance.choice('abcd')}"), api_key=chance.choice(("1", "2")))
            configuration = chance.choice(_CONFIGURATIONS)
            firing = sorted(alert.id for alert in remembering.book.known() if alert.is_firing)
            mine = chance.choice(firing) if firing else None
            for rounds in both:
                if what < 0.5:
                    rounds.bill(day, spent)
                elif what < 0.6:
                    rounds.wanted(None, *configuration)
                elif what < 0.7 and mine:
                    rounds.book.acknowledge([Acknowledgement(mine, "li", rounds.now)], [])
            forgetful.insight = Insight()
            said, other = ({one.id: one for one in rounds.round(after=after)} for rounds in both)
            assert said == other
            known, others = ({one.id: one for one in rounds.book.known()} for rounds in both)
            assert known == others
        assert remembering.book.said


def test_alerts_are_read_again_only_where_one_changed(database: Database) -> None:
    rounds = Rounds(database, account=BUDGET)
    rounds.bill(FIRST, "60")
    assert [one.facts.threshold for one in rounds.round()] == ["50%"]
    rounds.round()
    known = rounds.insight.alerts(rounds.book)
    rounds.bill(FIRST + DAY, "1")
    rounds.round()
    assert rounds.insight.alerts(rounds.book) is known
    rounds.bill(FIRST + DAY, "600")
    assert [one.facts.threshold for one in rounds.round()] == ["500%"]
    assert {alert.key.threshold for alert in rounds.insight.alerts(rounds.book).firing()} == {"50%", "500%"}
