"""Amounts are exact, whatever anybody did to the decimal module."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_builders import CNY, USD, cny
from spendwatch.domain.errors import CurrencyMismatchError, InvalidAmountError
from spendwatch.domain.money import Money, exact_sum, is_currency, parse_amount, percent, plain, share_of, shown

AMOUNTS = st.decimals(min_value=-(10**27), max_value=10**27, places=10, allow_nan=False, allow_infinity=False)
HOSTILE = decimal.Context(prec=1, rounding=decimal.ROUND_UP, traps=[decimal.Inexact, decimal.Rounded, decimal.FloatOperation])


@pytest.fixture(params=["usual", "hostile"], autouse=True)
def _context(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run everything a second time under a context that rounds to one digit and raises about it."""
    if request.param == "usual":
        yield
        return
    with decimal.localcontext(HOSTILE):
        yield


@pytest.mark.parametrize(
    "text",
    ["0", "-0", "1", "-1", "007", "0.1", "170.332385", "-0.0000000001", "9" * 28 + "." + "9" * 10],
)
def test_plain_decimals_are_read_exactly(text: str) -> None:
    assert Fraction(parse_amount(text)) == Fraction(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "+1",
            "1.",
            ".5",
            "1 ",
            " 1",
            "1\n",
            "1,000",
            "1_000",
            "1e3",
            "1E+9999999",
            "0x1",
            "--1",
            "1-",
            "NaN",
            "sNaN",
        ),
        *("Infinity", "-inf", "１２", "٣", "0.12345678901", "1" * 29, "￥1", "CNY 1", "1.2.3", "(1)", "−1"),
    ],
)
def test_everything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidAmountError, match="not a plain decimal"):
        parse_amount(text)


def test_a_giant_wrong_amount_makes_no_giant_message() -> None:
    with pytest.raises(InvalidAmountError) as caught:
        parse_amount("9" * 1_000_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("text", "expected"), [("CNY", True), ("USD", True), ("cny", False), ("CN", False), ("ＣＮＹ", False)])
def test_a_currency_is_three_capital_letters(text: str, *, expected: bool) -> None:
    assert is_currency(text) is expected


def test_a_line_break_at_the_end_makes_no_currency() -> None:
    assert not is_currency("CNY\n")


@pytest.mark.parametrize("hostile", [False, True])
@given(amounts=st.lists(AMOUNTS))
def test_sums_are_exact_and_know_no_order(*, hostile: bool, amounts: list[Decimal]) -> None:
    with decimal.localcontext(HOSTILE if hostile else None):
        total = exact_sum(amounts)
        assert Fraction(total) == sum(map(Fraction, amounts))
        assert exact_sum(reversed(amounts)) == total
        assert Money.total(amounts, CNY) == Money(total, CNY)


def test_a_sum_that_the_usual_context_rounds_is_exact() -> None:
    small, large = Decimal("0.0000000001"), Decimal("9" * 28)
    assert plain(exact_sum([large, small, large.copy_negate()])) == "0.0000000001"


def test_a_lost_digit_raises_and_is_never_rounded_away() -> None:
    with pytest.raises(decimal.Inexact):
        exact_sum([Decimal("1E+40"), Decimal("1E-30")])


@pytest.mark.parametrize("hostile", [False, True])
@given(left=AMOUNTS, right=AMOUNTS)
def test_money_adds_subtracts_and_compares_exactly(*, hostile: bool, left: Decimal, right: Decimal) -> None:
    with decimal.localcontext(HOSTILE if hostile else None):
        one, other = Money(left, CNY), Money(right, CNY)
        assert (one + other) - other == one
        assert (one < other) is (Fraction(left) < Fraction(right))
        assert (one >= other) is (Fraction(left) >= Fraction(right))
        assert Fraction(one.times(Decimal("0.8")).amount) == Fraction(left) * Fraction(4, 5)


def test_two_currencies_never_meet() -> None:
    for meet in (Money.__add__, Money.__sub__, Money.__lt__, Money.__ge__):
        with pytest.raises(CurrencyMismatchError, match="CNY and USD"):
            meet(cny(1), Money(Decimal(1), USD))


@given(AMOUNTS)
def test_plain_text_reads_back_as_the_same_amount(amount: Decimal) -> None:
    text = plain(amount)
    assert parse_amount(text) == amount
    assert "E" not in text
    assert text != "-0"
    assert not ("." in text and text.endswith("0"))


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("-0", "0"), ("-0.000", "0"), ("1E+3", "1000"), ("1E-10", "0.0000000001"), ("1200.00", "1200"), ("-12.50", "-12.5")],
)
def test_plain_text_has_neither_exponent_nor_needless_zeros(amount: str, expected: str) -> None:
    assert plain(Decimal(amount)) == expected


NINES = ",".join(["9", *["999"] * 9]) + ".00"


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0", "0.00"),
        ("0.0049", "<0.01"),
        ("0.0049999999", "<0.01"),
        ("0.005", "0.01"),
        ("-0.0000000001", ">-0.01"),
        ("-0.005", "-0.01"),
        ("1234.5", "1,234.50"),
        ("-1234567.895", "-1,234,567.90"),
        ("9" * 28, ",".join(["9", *["999"] * 9]) + ".00"),
    ],
)
def test_amounts_for_people_never_hide_that_there_is_something(amount: str, expected: str) -> None:
    assert shown(Decimal(amount)) == expected


@pytest.mark.parametrize(
    ("amount", "english", "chinese", "change"),
    [
        ("0", "CNY 0.00", "¥0.00", "CNY 0.00"),
        ("0.0049999999", "<CNY 0.01", "<¥0.01", "<CNY 0.01"),
        ("-0.0000000001", ">−CNY 0.01", ">−¥0.01", ">−CNY 0.01"),
        ("-0.005", "−CNY 0.01", "−¥0.01", "−CNY 0.01"),
        ("409.1", "CNY 409.10", "¥409.10", "+CNY 409.10"),
        ("-1234567.895", "−CNY 1,234,567.90", "−¥1,234,567.90", "−CNY 1,234,567.90"),
        ("9" * 28, f"CNY {NINES}", f"¥{NINES}", f"+CNY {NINES}"),
    ],
)
def test_money_is_written_with_its_sign_before_its_unit(amount: str, english: str, chinese: str, change: str) -> None:
    money = Money(Decimal(amount), CNY)
    assert (str(money), money.written("¥"), money.written("CNY ", "+")) == (english, chinese, change)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ("0", "0%"),
        ("0.8", "80%"),
        ("0.9999", "99%"),
        ("1", "100%"),
        ("1.239", "123%"),
        ("-0.019", "-1%"),
        ("0.99999999", "99%"),
    ],
)
def test_a_percentage_is_never_rounded_up(share: str, expected: str) -> None:
    assert percent(Decimal(share)) == expected


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        ("999.9999999999", "1000", "0.9999"),
        ("1000", "1000", "1.0000"),
        ("1", "3", "0.3333"),
        ("-1", "3", "-0.3333"),
        ("9" * 28, "0.0000000001", "9" * 28 + "0" * 10 + ".0000"),
    ],
)
def test_a_used_share_is_cut_and_not_rounded(part: str, whole: str, expected: str) -> None:
    assert str(share_of(Decimal(part), Decimal(whole))) == expected


@pytest.mark.parametrize("whole", ["0", "-1"])
def test_of_nothing_there_is_no_share(whole: str) -> None:
    assert share_of(Decimal(1), Decimal(whole)) is None
