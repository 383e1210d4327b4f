"""What bills of months that are over show as not paid."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest

from domain_builders import ACME, CNY, USD, cny
from spendwatch.domain.money import Money
from spendwatch.domain.outstanding import OutstandingDay, SettledPeriod, earlier_periods, owed, settled_period
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, DayKey

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 9, 16, 4, tzinfo=UTC)
AUGUST = BillingPeriod(2026, 8)
CLOSED = datetime(2026, 9, 5, tzinfo=ZONE)
"""The first moment at which August is final, if months are so at the end of the 4th."""


def a_day(amount: str, newest: datetime = CLOSED, *, series: str = "instancedetail", day: int = 3) -> OutstandingDay:
    return OutstandingDay(DayKey(ACME, AUGUST, series, date(2026, 8, day)), CNY, Decimal(amount), newest)


def told(*days: OutstandingDay, now: datetime = NOW) -> Money:
    return owed(days, ACME, CNY, now=now, zone=ZONE, final_on=4)


def test_what_was_told_after_a_month_was_final_counts_and_nothing_told_before() -> None:
    assert told(a_day("7.5"), a_day("2", day=4)) == cny("9.5")
    assert told(a_day("7.5", CLOSED - timedelta(seconds=1))) == cny(0)


def test_what_was_told_too_long_ago_may_have_been_paid() -> None:
    assert told(a_day("7.5"), now=NOW + timedelta(days=28)) == cny("7.5")
    assert told(a_day("7.5"), now=NOW + timedelta(days=40)) == cny(0)


def test_of_several_series_the_one_that_shows_more_counts_whatever_came_first() -> None:
    days = (a_day("4"), a_day("5", day=4), a_day("8", series="billingitemdetail"), a_day("-3", series="focus"))
    assert {told(*order).amount for order in permutations(days)} == {Decimal(9)}


def test_what_is_owed_is_never_less_than_nothing() -> None:
    assert told(a_day("-7.5")) == cny(0)


def test_other_accounts_and_other_currencies_are_left_aside() -> None:
    other = a_day("5")._replace(key=a_day("5").key._replace(account=AccountId("9")))
    assert told(a_day("1"), other, a_day("6")._replace(currency=USD)) == cny(1)


def settled(charged: dict[BillingPeriod, str], *days: OutstandingDay, told_at: datetime = NOW) -> SettledPeriod | None:
    return settled_period(
        lambda period: cny(charged.get(period, "0")),
        days,
        ACME,
        oldest_open=BillingPeriod(2026, 9),
        told_at=told_at,
        now=NOW,
        zone=ZONE,
        final_on=4,
    )


FINAL = datetime(2026, 9, 5, tzinfo=ZONE)
JULY = BillingPeriod(2026, 7)


def test_the_last_final_month_counts_as_settled_less_what_its_bills_show_as_not_paid() -> None:
    assert settled({AUGUST: "290"}) == SettledPeriod(AUGUST, cny("290"), FINAL)
    assert settled({AUGUST: "290"}, a_day("40")) == SettledPeriod(AUGUST, cny("250"), FINAL)
    assert settled({AUGUST: "290"}, a_day("290")) is None


def test_a_month_before_the_last_is_looked_for_only_if_it_became_final_after_the_reading() -> None:
    assert settled({JULY: "5"}) is None
    assert settled({JULY: "5"}, told_at=FINAL - timedelta(days=60)) == SettledPeriod(
        JULY, cny("5"), datetime(2026, 8, 5, tzinfo=ZONE)
    )


@pytest.mark.parametrize(("oldest", "last"), [(BillingPeriod(2026, 9), "2025-09"), (BillingPeriod(2026, 1), "2025-01")])
def test_a_year_of_months_is_asked_after(oldest: BillingPeriod, last: str) -> None:
    periods = earlier_periods(oldest)
    assert (periods[0], periods[-1].label, len(set(periods))) == (oldest.previous(), last, 12)
