"""What single cells say, in every form that exports, pushes and spreadsheets give them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendwatch.bills.cells import (
    amount_in,
    cleaned,
    day_in,
    day_of_time,
    ids_meant,
    is_scientific,
    looks_shortened,
    period_in,
)
from spendwatch.domain.errors import InvalidAmountError
from spendwatch.domain.money import parse_amount, plain
from spendwatch.domain.period import BillingPeriod

CHINA, OTHER, INTERNATIONAL = "1000000000000001", "1000000000000002", "5000000000000003"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("1000000000000001\t", "1000000000000001"), ("\t1", "1"), ("'1", "1"), ("`1", "1"), ("'`'1", "1"), ("1'", "1'"),
        ("\ufeff1", "1"), ("\u00a01\u3000", "1"), (" 1\r\n", "1"), ("", ""), (" \t", ""), ("a b", "a b"), ("' 1", " 1"),
    ],
)  # fmt: skip
def test_what_clings_to_a_cell_is_taken_off(cell: str, says: str) -> None:
    assert cleaned(cell) == says


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("0", "0"), ("-0", "-0"), ("0.000069", "0.000069"), ("-12.5", "-12.5"), ("7.2576", "7.2576"), ("", "0"), ("-", "0"),
        (" - ", "0"), ("1,234.56", "1234.56"), ("-1,234", "-1234"), ("12,345,678.9", "12345678.9"), ("6.9E-05", "0.000069"),
        ("6.9e-5", "0.000069"), ("1E+3", "1000"), ("1e3", "1000"), ("-1.25E2", "-125"), ("1.50000000000000", "1.5"),
        ("1,234.500000000000", "1234.5"), ("'3.5", "3.5"), ("4\t", "4"), ("9" * 28 + "." + "9" * 10, "9" * 28 + "." + "9" * 10),
        ("00012.50", "12.5"), ("1E-10", "0.0000000001"),
    ],
)  # fmt: skip
def test_an_amount_is_understood_without_losing_a_digit(cell: str, says: str) -> None:
    assert amount_in(cell) == says


@pytest.mark.parametrize(
    "cell",
    [
        "1E-11", "0.00000000001", "1.123456789012", "1" * 29, "1E+28", "1E+999", "1E+9999", "NaN", "Infinity", "-inf",
        "1_000", "１２", "٣",
        "+1", "1.", ".5", "1,23", "12,34.5", "1.234,56", ",123", "1,2345", "--1", "¥1", "CNY 1", "(1)", "1 000", "−1",
        "0x10", "1e", "e3", "1.2.3", "=1+1", "#REF!", "null", "nan", "1;2",
    ],
)  # fmt: skip
def test_what_is_no_amount_or_has_too_many_digits_is_refused(cell: str) -> None:
    with pytest.raises(InvalidAmountError):
        amount_in(cell)


@given(st.decimals(min_value=-(10**27), max_value=10**27, places=10, allow_nan=False, allow_infinity=False))
def test_an_amount_with_separators_or_in_scientific_form_is_the_same_amount(amount: Decimal) -> None:
    for written in (plain(amount), format(amount, ",f"), format(amount, "E"), f"\t{plain(amount)} "):
        assert parse_amount(amount_in(written)) == amount


@given(st.text(alphabet="0123456789.,-+eE 'x", max_size=20))
def test_a_cell_is_an_amount_that_can_be_held_or_none(cell: str) -> None:
    try:
        said = amount_in(cell)
    except InvalidAmountError:
        return
    exact = re.sub("[,' ]", "", cell)
    assert parse_amount(said) == Decimal(0 if exact in {"", "-"} else exact)


def test_an_amount_that_a_spreadsheet_has_shortened_is_known_as_such() -> None:
    assert is_scientific("6.9E-05")
    assert is_scientific(" 1E+3")
    assert not is_scientific("0.000069")
    assert not is_scientific("1,234.56")


SECOND = date(2026, 9, 2)


@pytest.mark.parametrize(
    "cell",
    [
        "20260902", "2026-09-02", "2026/9/2", "2026/09/02", "2026.9.2", "2026年9月2日", "2026年09月02日", "2026-09-02 18:46:00",
        "2026-09-02T18:46:00", "2026-09-02T18:46:00Z", "2026-09-02T18:46:00+08:00", "2026-09-02T18:46:00.123+0800",
        "2026-09-02 8:46", "2026/9/2 18:46", "20260902 18:46:00", " 2026-09-02\t", "'20260902",
    ],
)  # fmt: skip
def test_a_day_is_understood_in_every_form_and_offsets_are_left_aside(cell: str) -> None:
    assert day_in(cell) == SECOND
    assert period_in(cell) == BillingPeriod(2026, 9)


@pytest.mark.parametrize(
    "cell",
    [
        "", "202609", "2026-09", "20260931", "2026-13-01", "2026-00-10", "2026-02-29", "2026-9/2", "2026-0902", "1999-09-02",
        "12026-09-02", "2/9/2026", "02.09.2026", "Sep 2, 2026", "46267", "２０２６-09-02", "2026-09-02x", "2026-09-02 noon",
        "2026-09-021", "2026-09-02 18:46:00 CST", "2026年9月2日 18:46", "2026-09-02T18", "2026--09-02",
    ],
)  # fmt: skip
def test_what_is_no_day_is_none(cell: str) -> None:
    assert day_in(cell) is None


@pytest.mark.parametrize(
    "cell",
    ["202609", "2026-09", "2026/9", "2026/09", "2026.9", "2026年9月", "2026年09月", "Sep-26", "sep-26", "SEP-26", " 202609\t"],
)
def test_a_month_is_understood_in_every_form(cell: str) -> None:
    assert period_in(cell) == BillingPeriod(2026, 9)


@pytest.mark.parametrize(
    "cell",
    ["", "2026", "202600", "202613", "2026-13", "2026/0", "Sec-26", "Sept-26", "September 2026", "26-09", "9/2026", "09-2026"],
)
def test_what_is_no_month_is_none(cell: str) -> None:
    assert period_in(cell) is None


def test_a_spreadsheets_month_is_of_this_century() -> None:
    names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    found = [period_in(f"{name}-{year}") for year in ("00", "26", "99") for name in names]
    assert found == [BillingPeriod(2000 + year, month) for year in (0, 26, 99) for month in range(1, 13)]


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2026-09-02 18:46:00", "2026-09-02"), ("2026-09-02T18:46:00Z", "2026-09-02"), ("2026-09-02", "2026-09-02"), ("", ""),
        (" 2026-09-02 1:00", "2026-09-02"), ("noon", "noon"), ("2026-09-021T1:00", "2026-09-021"),
    ],
)  # fmt: skip
def test_the_day_of_a_time_is_what_stands_before_it(cell: str, day: str) -> None:
    assert day_of_time(cell) == day


@pytest.mark.parametrize(
    ("cell", "known", "meant"),
    [
        ("1E+15", [CHINA], (CHINA,)),
        ("1E+15", [CHINA, INTERNATIONAL], (CHINA,)),
        ("5E+15", [CHINA, INTERNATIONAL], (INTERNATIONAL,)),
        ("1E+15", [CHINA, OTHER], (CHINA, OTHER)),
        ("1.0E+15", [CHINA], (CHINA,)),
        ("1.000000000000000E+15", [CHINA], ()),
        ("1.00000000000000E+15", [CHINA], (CHINA,)),
        ("1.2E+15", ["1234567890123456"], ("1234567890123456",)),
        ("1.23457E+15", ["1234567890123456"], ("1234567890123456",)),
        ("1.23456E+15", ["1234567890123456"], ()),
        ("1e+15", [CHINA], (CHINA,)),
        ("1E+16", [CHINA], ()),
        ("1E15", [CHINA], ()),
        (CHINA, [CHINA], ()),
        ("1E+15", ["acme"], ()),
        ("1E+15", [], ()),
    ],
)
def test_an_id_that_a_spreadsheet_has_shortened_means_those_it_would_show_so(
    cell: str, known: list[str], meant: tuple[str, ...]
) -> None:
    assert ids_meant(cell, known) == meant


@pytest.mark.parametrize(
    ("cell", "is_shortened"),
    [
        ("1E+15", True), ("1.23457E+15", True), ("1e+15", True), ("1E-5", False), ("12E+15", False), ("1E+1555", False),
        ("x1E+15", False), (CHINA, False), ("", False),
    ],
)  # fmt: skip
def test_a_shortened_id_is_known_as_such(cell: str, is_shortened: bool) -> None:  # noqa: FBT001 -- a table
    assert looks_shortened(cell) == is_shortened
