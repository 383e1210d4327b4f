"""What a wrong clock noted is corrected, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from spendwatch.domain.alert import AlertState, Rule
from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.health import SourceHealth
from spendwatch.domain.money import Money
from spendwatch.domain.review import Verdict
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.balance_book import BalanceBook
from spendwatch.store.database import Database
from spendwatch.store.health_book import HealthBook
from spendwatch.store.moments import correct_moments, shift_moments
from store_builders import ACME, CNY, INBOX, NOON, alert, matter

MONTH, MINUTE = timedelta(days=30), timedelta(minutes=1)


def test_what_is_right_stays_as_it_is(database: Database) -> None:
    HealthBook(database).looked(INBOX, at=NOON)
    AlertBook(database).commit(Verdict((alert(),)), {}, now=NOON)
    assert correct_moments(database, NOON) is None
    assert AlertBook(database).known() == (alert(),)


@pytest.mark.parametrize("wrong", [NOON + MONTH, datetime(1970, 1, 1, tzinfo=UTC)], ids=["ahead", "never set"])
def test_nothing_waits_for_a_moment_of_a_wrong_clock(database: Database, wrong: datetime) -> None:
    health, book = HealthBook(database), AlertBook(database)
    health.bill_came(INBOX, at=wrong)
    stale = alert(matter("", rule=Rule.STALE, scope="source:inbox", period=""), since=wrong, told_at=wrong)
    book.commit(Verdict((stale,)), {}, now=wrong)
    before = book.revision()
    assert correct_moments(database, NOON) == wrong
    assert book.revision() > before
    assert health.sources() == (SourceHealth(INBOX, NOON, last_bill_at=NOON),)
    assert book.known() == (stale._replace(since=NOON, told_at=NOON),)
    assert correct_moments(database, NOON) is None


@pytest.mark.parametrize("wrong", [NOON + MONTH, datetime(1970, 1, 1, tzinfo=UTC)], ids=["ahead", "never set"])
def test_an_alert_that_ended_because_the_clock_showed_another_month_goes_on(database: Database, wrong: datetime) -> None:
    book = AlertBook(database)
    book.commit(Verdict((alert(state=AlertState.RESOLVED, resolved_at=wrong),)), {}, now=wrong)
    correct_moments(database, NOON)
    assert book.known() == (alert(),)


def reading(cash: str, at: datetime) -> BalanceReading:
    return BalanceReading(ACME, CNY, Origin.API, at, at, cash=Money(Decimal(cash), CNY))


def test_a_balance_that_was_read_by_a_clock_ahead_gives_way_to_the_next(database: Database) -> None:
    balances = BalanceBook(database)
    for minutes, cash in ((0, "10"), (1, "20")):
        balances.record(reading(cash, NOON + MONTH + minutes * MINUTE))
    correct_moments(database, NOON)
    assert [one.reading.cash and str(one.reading.cash.amount) for one in balances.history(ACME)] == ["20", "10"]
    balances.record(reading("5", NOON + MINUTE))
    assert balances.latest()[ACME].reading.cash == Money(Decimal(5), CNY)


def test_ages_are_kept_when_the_clock_is_set(database: Database) -> None:
    health = HealthBook(database)
    health.bill_came(INBOX, at=NOON, accounts=(ACME,))
    health.source_failed(INBOX, "gone", at=NOON + MINUTE)
    shift_moments(database, MONTH)
    (source,), (account,) = health.sources(), health.account_bills()
    assert (source.last_bill_at, source.failing_since) == (NOON + MONTH, NOON + MINUTE + MONTH)
    assert account.last_bill_at == NOON + MONTH
