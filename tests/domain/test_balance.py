"""The provider's formula, term by term."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_builders import ACME, USD, cny
from spendwatch.domain.balance import AccountBalance
from spendwatch.domain.cover import Cover, covers_seen
from spendwatch.domain.errors import CurrencyMismatchError
from spendwatch.domain.money import Money

AMOUNTS = st.decimals(min_value=-(10**20), max_value=10**20, places=10)


def _balance(cash: str, credit: str, current: str, previous: str) -> AccountBalance:
    return AccountBalance(ACME, cny(cash), cny(credit), cny(current), cny(previous))


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
    balance = AccountBalance(ACME, cny(cash), cny(credit), cny(current), cny(previous))
    assert balance.available + cny(current) + cny(previous) == cny(cash) + cny(credit)
    assert balance.is_overdue is (balance.available.amount < 0)


def test_terms_of_two_currencies_make_no_balance() -> None:
    balance = AccountBalance(ACME, cny(1), Money(Decimal(1), USD), cny(0), cny(0))
    with pytest.raises(CurrencyMismatchError):
        _ = balance.available


@pytest.mark.parametrize(
    ("commodities", "has_free_lines", "expected"),
    [
        ([], False, ()),
        (["sfm_inference_public_cn"], False, ()),
        ([], True, (Cover.FREE_QUOTA,)),
        (["sfm_GenAI_spn_cn"], False, (Cover.SAVINGS_PLAN,)),
        (["sfm_codingplan_public_cn", "SFM_TokenPlan_x"], True, (Cover.FREE_QUOTA, Cover.CODING_PLAN, Cover.TOKEN_PLAN)),
    ],
)
def test_covers_are_expected_where_the_bills_give_reason(
    commodities: list[str], expected: tuple[Cover, ...], *, has_free_lines: bool
) -> None:
    assert covers_seen(commodities, has_free_lines=has_free_lines) == expected
