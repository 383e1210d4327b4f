"""The provider's formula, term by term."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain_builders import ACME, CNY, NOW, USD, cny
from spendwatch.domain.balance import Billed, Difference, Explanation, Position
from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.errors import CurrencyMismatchError
from spendwatch.domain.money import Money

AMOUNTS = st.decimals(min_value=-(10**20), max_value=10**20, places=10)


def _balance(cash: str | Decimal, credit: str | Decimal, current: str | Decimal, previous: str | Decimal) -> Position:
    reading = BalanceReading(ACME, CNY, Origin.MANUAL, NOW, NOW, cash=cny(cash), credit=cny(credit))
    return Position(reading, Billed(cny(current), cny(previous), cny(0), NOW))


@pytest.mark.parametrize(
    ("terms", "available", "is_overdue"),
    [
        (("10000", "5000", "170.332385", "0"), "14829.667615", False),
        (("100", "0", "60", "40"), "0", False),
        (("100", "0", "60", "40.0000000001"), "-0.0000000001", True),
        (("-20", "5", "0", "0"), "-15", True),
        (("0", "100", "-30", "0"), "130", False),
    ],
)
def test_available_is_cash_and_credit_less_what_is_unsettled(
    terms: tuple[str, str, str, str], available: str, *, is_overdue: bool
) -> None:
    balance = _balance(*terms)
    assert balance.available == cny(available)
    assert balance.is_overdue is is_overdue


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_available_is_exact(cash: Decimal, credit: Decimal, current: Decimal, previous: Decimal) -> None:
    balance = _balance(cash, credit, current, previous)
    assert balance.available + cny(current) + cny(previous) == cny(cash) + cny(credit)
    assert balance.is_overdue is (balance.available.amount < 0)


def test_terms_of_two_currencies_make_no_balance() -> None:
    balance = Position(WRITTEN, replace(SOME, current=Money(Decimal(1), USD)))
    with pytest.raises(CurrencyMismatchError):
        _ = balance.available


# --- readings, and what follows from them


DAY = timedelta(days=1)
NOTHING = Billed(cny(0), cny(0), cny(0), NOW)
SOME = Billed(cny("590.332385"), cny("120.5"), cny("40.5"), NOW)
FUND_ACCOUNT = BalanceReading(
    ACME,
    CNY,
    Origin.API,
    as_of=NOW,
    read_at=NOW,
    cash=cny("10000.00"),
    credit=cny("5000.00"),
    credit_refund=cny("200.00"),
    unsettled_current=cny("3000.00"),
    unsettled_previous=cny("3000.00"),
    unsettled_both=cny("6000.00"),
    reported=cny("9200.00"),
)
OLDER = BalanceReading(
    ACME, CNY, Origin.API, as_of=NOW, read_at=NOW, cash=cny("7845.65"), credit=cny("0"), reported=cny("7245.65")
)
NEGATIVE = BalanceReading(ACME, CNY, Origin.API, as_of=NOW, read_at=NOW, cash=cny("0"), credit=cny("0"), reported=cny("-11.19"))
WRITTEN = BalanceReading(ACME, CNY, Origin.FILE, as_of=NOW, read_at=NOW, cash=cny("1000"), credit=cny("500"))


def test_the_terms_of_the_fund_account_make_the_formula_and_credit_refunds_explain_the_rest() -> None:
    balance = Position(FUND_ACCOUNT, SOME)
    assert (balance.computed, balance.reading.reported, balance.unsettled) == (cny(9000), cny("9200.00"), cny(6000))
    assert balance.difference == Difference(cny(200), (Explanation.CREDIT_REFUND,))
    assert not balance.is_overdue


def test_what_is_unsettled_is_reckoned_back_where_only_the_result_is_told() -> None:
    balance = Position(OLDER, NOTHING)
    assert (balance.unsettled, balance.is_derived, balance.available) == (cny(600), True, cny("7245.65"))
    assert (balance.computed, balance.difference) == (cny("7245.65"), None)
    assert (balance.unsettled_current, balance.unsettled_previous) == (None, None)


def test_an_account_that_the_provider_reports_below_zero_is_overdue() -> None:
    balance = Position(NEGATIVE, NOTHING)
    assert (balance.available, balance.is_overdue, balance.unsettled) == (cny("-11.19"), True, cny("11.19"))


def test_where_nobody_tells_what_is_unsettled_the_bills_do() -> None:
    balance = Position(WRITTEN, SOME)
    assert (balance.available, balance.is_by_bills) == (cny("789.167615"), True)
    assert (balance.unsettled_current, balance.unsettled_previous, balance.spent_since) == (
        cny("590.332385"),
        cny("120.5"),
        None,
    )
    assert balance.net_until == NOW


def test_later_days_that_are_billed_are_taken_off_a_reading_that_is_net_already() -> None:
    balance = Position(OLDER, SOME)
    assert (balance.net, balance.available) == (cny("7245.65"), cny("7205.15"))
    assert balance.net_until == NOW
    later = replace(SOME, until=NOW + DAY)
    assert Position(OLDER, later).net_until == NOW + DAY
    assert Position(OLDER, replace(later, since=cny(0))).net_until == NOW


def test_a_refund_on_a_later_day_never_makes_a_reading_better_than_it_was() -> None:
    assert Position(OLDER, replace(SOME, since=cny("-50"))).available == cny("7245.65")


def test_the_lower_of_two_figures_counts() -> None:
    for reported in ("8700", "9500"):
        balance = Position(replace(FUND_ACCOUNT, credit_refund=None, reported=cny(reported)), NOTHING)
        assert balance.available == min(cny(9000), cny(reported))
        assert balance.difference == Difference(cny(reported) - cny(9000), ())


def test_cents_are_no_difference() -> None:
    reading = replace(FUND_ACCOUNT, credit_refund=None, reported=cny("9000.06"))
    assert Position(reading, NOTHING).difference is None
    assert Position(replace(reading, reported=cny("9000.07")), NOTHING).difference is not None


def test_several_terms_together_may_explain_a_difference_and_others_do_not() -> None:
    reading = replace(FUND_ACCOUNT, bank_acceptance=cny(30), negative_bill=cny(7), reported=cny(9230))
    difference = Position(reading, NOTHING).difference
    assert difference
    assert difference.explained_by == (Explanation.CREDIT_REFUND, Explanation.BANK_ACCEPTANCE)
    unexplained = Position(replace(reading, reported=cny(9231)), NOTHING).difference
    assert unexplained
    assert unexplained.explained_by == ()


def test_cash_in_other_currencies_explains_what_cannot_be_reckoned() -> None:
    reading = replace(FUND_ACCOUNT, reported=cny(9999), other_cash=(Money(Decimal(120), USD),))
    difference = Position(reading, NOTHING).difference
    assert difference
    assert difference.explained_by == (Explanation.OTHER_CURRENCIES,)


def test_of_an_account_on_a_resellers_quota_what_is_reported_counts() -> None:
    reading = replace(FUND_ACCOUNT, cash=cny(0), credit=cny(0), reported=cny(640), quota=cny(5000), is_reseller_quota=True)
    balance = Position(reading, NOTHING)
    assert (balance.available, balance.computed, balance.is_overdue) == (cny(640), None, False)
    assert balance.difference == Difference(cny(0), (Explanation.RESELLER_QUOTA,))


def test_what_is_told_of_a_balance_must_be_enough_and_of_one_currency() -> None:
    with pytest.raises(ValueError, match="says nothing"):
        BalanceReading(ACME, CNY, Origin.FILE, NOW, NOW, credit=cny(5))
    with pytest.raises(ValueError, match="says nothing"):
        replace(FUND_ACCOUNT, is_reseller_quota=True, reported=None)
    with pytest.raises(CurrencyMismatchError):
        replace(FUND_ACCOUNT, cash=Money(Decimal(1), USD))


def test_readings_that_differ_in_their_times_alone_say_the_same() -> None:
    assert OLDER.says_the_same(replace(OLDER, as_of=NOW - DAY, read_at=NOW + DAY))
    assert not OLDER.says_the_same(replace(OLDER, cash=cny(1)))


SMALL = st.decimals(min_value=-(10**9), max_value=10**9, places=2).map(cny)
FEES = st.decimals(min_value=0, max_value=10**9, places=2).map(cny)
UNKNOWN_TOO = st.none() | SMALL
READINGS = st.builds(
    BalanceReading,
    st.just(ACME),
    st.just(CNY),
    st.sampled_from([Origin.FILE, Origin.URL, Origin.API]),
    st.just(NOW),
    st.just(NOW),
    cash=SMALL,
    credit=st.none() | FEES,
    credit_refund=st.none() | FEES,
    unsettled_current=UNKNOWN_TOO,
    unsettled_previous=UNKNOWN_TOO,
    unsettled_both=UNKNOWN_TOO,
    reported=UNKNOWN_TOO,
    bank_acceptance=UNKNOWN_TOO,
    negative_bill=UNKNOWN_TOO,
)


@given(READINGS, SMALL, SMALL, FEES)
def test_nothing_is_ever_subtracted_twice(reading: BalanceReading, current: Money, previous: Money, since: Money) -> None:
    """Whatever is told: at the moment of a reading that is net, the bills take nothing off it."""
    billed = Billed(current, previous, cny(0), NOW)
    balance = Position(reading, billed)
    has_net = reading.reported is not None or reading.unsettled_both is not None
    has_net = has_net or None not in {reading.unsettled_current, reading.unsettled_previous}
    if has_net:
        assert balance.available == Position(reading, replace(billed, current=cny(0), previous=cny(0))).available
        assert balance.available >= min(filter(None, (balance.computed, reading.reported)))
    else:
        whole = cny(0) if reading.credit is None else reading.credit
        assert reading.cash
        assert balance.available == (reading.cash + whole) - (current + previous)
    later = Position(reading, replace(billed, since=since))
    assert balance.available - later.available == (since if has_net else cny(0))


@given(READINGS)
def test_what_is_reported_is_never_exceeded_and_no_term_is_made_up(reading: BalanceReading) -> None:
    balance = Position(reading, NOTHING)
    if reading.reported is not None:
        assert reading.reported >= balance.available
    told = balance.unsettled_current, balance.unsettled_previous
    assert told == ((cny(0), cny(0)) if balance.is_by_bills else (reading.unsettled_current, reading.unsettled_previous))


@given(READINGS)
def test_a_difference_is_explained_to_the_cent_or_not_at_all(reading: BalanceReading) -> None:
    balance = Position(reading, NOTHING)
    difference = balance.difference
    assume(difference is not None)
    assert difference
    assert difference.amount.amount.copy_abs() > Decimal("0.06")
    if difference.explained_by:
        explained = sum((term.amount for name in difference.explained_by if (term := balance.explaining(name))), Decimal(0))
        assert abs(difference.amount.amount - explained) <= Decimal("0.06")
