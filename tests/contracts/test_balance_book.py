"""What the balance book promises, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from spendwatch.domain.alert import AlertKey, Rule
from spendwatch.domain.balance_reading import TERMS, BalanceReading, Origin
from spendwatch.domain.balance_watch import BalanceWatch, TopUp
from spendwatch.domain.failure import Failure
from spendwatch.domain.forecast import RunwayReached
from spendwatch.domain.health import BalanceHealth
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.period import PeriodKind
from spendwatch.domain.scope import BudgetScope
from spendwatch.domain.statement import AccountId, WorkspaceId
from spendwatch.store.balance_book import BalanceBook
from spendwatch.store.database import Database
from store_builders import ACME, CNY, NOON

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OTHER = AccountId("5000000000000003")
USD = Currency("USD")


def cny(amount: str) -> Money:
    return Money(Decimal(amount), CNY)


def reading(cash: str = "10", at: int = 0, *, read: int | None = None, account: AccountId = ACME) -> BalanceReading:
    """Return a reading of a minute, read then or later."""
    read_at = NOON + (at if read is None else read) * MINUTE
    return BalanceReading(account, CNY, Origin.FILE, NOON + at * MINUTE, read_at, cash=cny(cash), reported=cny("9.99"))


@pytest.fixture
def book(database: Database) -> BalanceBook:
    return BalanceBook(database)


def test_a_reading_comes_back_with_every_term_to_the_last_digit(book: BalanceBook) -> None:
    amounts: dict[str, Any] = {term: cny(f"{number}.0000000001") for number, term in enumerate(TERMS)}
    whole = replace(
        reading(),
        **amounts,
        other_cash=(Money(Decimal("-12.5"), USD), Money(Decimal(3), Currency("JPY"))),
        is_reseller_quota=True,
        owner=OTHER,
        origin=Origin.API,
    )
    book.record(whole)
    (known,) = book.latest().values()
    assert (known.reading, known.since) == (whole, NOON)


def test_terms_that_are_unknown_stay_unknown(book: BalanceBook) -> None:
    book.record(reading())
    assert book.latest()[ACME].reading == reading()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_reading_of_the_latest_moment_counts_whatever_came_first(book: BalanceBook, order: tuple[int, ...]) -> None:
    readings = [reading("1", 0), reading("2", 1), reading("3", 2)]
    for number in order:
        book.record(readings[number])
    assert book.latest()[ACME].reading == readings[2]
    assert [known.reading for known in book.history(ACME)] == readings[::-1]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_readings_of_one_moment_the_one_read_later_counts(book: BalanceBook, order: tuple[int, int]) -> None:
    readings = [reading("1", 0, read=0), reading("2", 0, read=5)]
    for number in order:
        book.record(readings[number])
    assert [known.reading for known in book.history(ACME)] == [readings[1]]


def test_readings_that_say_the_same_are_one_row_with_its_beginning_and_its_end(book: BalanceBook) -> None:
    for at, cash in enumerate(["1", "1", "1", "2", "2", "1"]):
        book.record(reading(cash, at))
    told = [(known.since, known.reading.as_of, known.reading.cash) for known in book.history(ACME)]
    assert told == [
        (NOON + 5 * MINUTE, NOON + 5 * MINUTE, cny("1")),
        (NOON + 3 * MINUTE, NOON + 4 * MINUTE, cny("2")),
        (NOON, NOON + 2 * MINUTE, cny("1")),
    ]


def test_to_read_the_same_once_more_changes_nothing_but_when_that_was(book: BalanceBook) -> None:
    for at, later in ((0, 1), (1, 3), (1, 9)):
        book.record(reading("1", at, read=at + later))
    (known,) = book.history(ACME)
    assert (known.since, known.first_read_at) == (NOON, NOON + MINUTE)
    assert (known.reading.as_of, known.reading.read_at) == (NOON + MINUTE, NOON + 10 * MINUTE)


def test_each_account_has_its_own(book: BalanceBook) -> None:
    book.record(reading("1"))
    book.record(reading("2", account=OTHER))
    assert {account: known.reading.cash for account, known in book.latest().items()} == {ACME: cny("1"), OTHER: cny("2")}
    assert len(book.history(OTHER)) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from("123")), min_size=1, max_size=12), st.randoms())
def test_the_order_of_readings_does_not_matter(
    book: BalanceBook, database: Database, drawn: list[tuple[int, int, str]], source: st.DataObject
) -> None:
    """What is said of one moment is told apart by when it was read; of both equal, it is one reading."""
    readings = list({(at, later): reading(cash, at, read=at + later) for at, later, cash in drawn}.values())
    expected = max(readings, key=lambda one: (one.as_of, one.read_at))
    shuffled = list(readings)
    source.shuffle(shuffled)  # type: ignore[attr-defined]  # it is a random source
    with database.writing() as connection:
        connection.execute(text("DELETE FROM balance_reading"))
    for one in shuffled:
        book.record(one)
    assert book.latest()[ACME].reading == expected


def test_a_source_is_known_to_fail_until_it_gives_a_reading(book: BalanceBook) -> None:
    book.failed(ACME, "refused", at=NOON, is_lasting=False)
    book.failed(ACME, "no right", at=NOON + MINUTE, is_lasting=True, cause=Failure.PERMISSION)
    health = BalanceHealth(ACME, NOON, NOON, 2, "no right", is_lasting=True, cause=Failure.PERMISSION)
    assert book.health() == {ACME: health}
    book.record(reading("1", 2))
    assert book.health() == {ACME: BalanceHealth(ACME, NOON)}
    book.failed(ACME, "refused", at=NOON + 3 * MINUTE, is_lasting=False)
    known = book.health()[ACME]
    assert (known.first_tried_at, known.failing_since) == (NOON, NOON + 3 * MINUTE)


def test_what_is_remembered_of_a_look_replaces_the_one_before(book: BalanceBook) -> None:
    runway = (RunwayReached(timedelta(days=3), date(2026, 9, 13), date(2026, 9, 12)), RunwayReached(timedelta(days=7)))
    first = BalanceWatch(ACME, Origin.API, cny("10"), cny("-5.5"), TopUp(cny("3"), NOON), None, runway)
    other = BalanceWatch(OTHER, Origin.MANUAL, Money(Decimal(1), USD), None, None, NOON)
    book.remember([first, other])
    assert book.watches() == {ACME: first, OTHER: other}
    second = replace(first, net=None, top_up=None, positive_since=NOON, overdue_since=NOON - MINUTE, runway=runway[:1])
    book.remember([second])
    assert book.watches() == {ACME: second, OTHER: other}


def key(threshold: str, workspace: str = "llm-a", period: str = "2026-09") -> AlertKey:
    return AlertKey(Rule.FORECAST, BudgetScope(ACME, WorkspaceId(workspace)), threshold, period, "100")


def test_what_forecasts_reach_is_remembered_until_they_no_longer_do(book: BalanceBook) -> None:
    hundred, fifty, other_month = key("forecast 100%"), key("forecast 50%"), key("forecast 50%", period="2026-08")
    book.foretell(before := {hundred: date(2026, 9, 13), fifty: date(2026, 9, 13), other_month: date(2026, 8, 13)})
    assert book.foretold() == before
    book.foretell({hundred: date(2026, 9, 14)})
    assert book.foretold() == {hundred: date(2026, 9, 14)}


def test_many_forecasts_are_remembered_at_once(book: BalanceBook) -> None:
    book.foretell({key("x", f"llm-{number}"): date(2026, 9, 1) for number in range(12_000)})
    assert len(book.foretold()) == 12_000


def test_it_is_remembered_since_when_days_and_weeks_are_watched(book: BalanceBook) -> None:
    each, week = BudgetScope(ACME, None, "key", per=PeriodKind.DAY), BudgetScope(ACME, per=PeriodKind.WEEK)
    book.watch_since({each: ("50", date(2026, 9, 15)), week: ("600", date(2026, 9, 15))})
    book.watch_since({each: ("40", date(2026, 9, 20))})
    assert book.watched_since() == {each: ("40", date(2026, 9, 20)), week: ("600", date(2026, 9, 15))}
