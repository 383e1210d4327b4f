"""An amount with its currency. Sums are exact or fail; values are rounded only for display."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Clamped, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from functools import reduce
from typing import TYPE_CHECKING, NewType, TypeVar

from spendwatch.domain.errors import CurrencyMismatchError, InvalidAmountError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

K = TypeVar("K")

Currency = NewType("Currency", str)

SCALE = 10
"""Decimals we hold. The provider computes with ten (its bills name `precision` 10)."""

WHOLE_DIGITS = 28
"""Digits before the point: DECIMAL(38, 10) less its decimals."""

EXACT = Context(prec=60, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, Clamped])
"""The context of every sum. 60 digits hold a billion amounts of 38; a lost digit raises `decimal.Inexact`."""

_PRODUCT = Context(prec=200, traps=[Inexact, InvalidOperation])
"""Holds the product of a threshold, which has more digits than an amount, and an amount."""

PLAIN_AMOUNT = rf"-?[0-9]{{1,{WHOLE_DIGITS}}}(?:\.[0-9]{{1,{SCALE}}})?"
"""How an amount is written."""

CURRENCY = "[A-Z]{3}"
"""How a currency is written."""

_PLAIN = re.compile(PLAIN_AMOUNT, re.ASCII)
_CURRENCY = re.compile(CURRENCY, re.ASCII)
_ZERO = Decimal(0)
_HUNDRED = Decimal(100)
_CENT = Decimal("0.01")
_HALF_CENT = Decimal("0.005")
_SHARE = Decimal("0.0001")
_ROUGH = Context(prec=60)


def parse_amount(text: str) -> Decimal:
    """Return the plain decimal that `text` writes.

    Accepted: an optional minus, 1 to 28 digits, optionally a point and 1 to 10 decimals. `Decimal` alone would also take
    NaN, Infinity, underscores, foreign digits and giant exponents.
    """
    if not _PLAIN.fullmatch(text):
        msg = f"not a plain decimal with at most {SCALE} decimals: {printable(text)}"
        raise InvalidAmountError(msg)
    return Decimal(text)


def is_currency(text: str) -> bool:
    """Return whether `text` looks like an ISO 4217 code."""
    return _CURRENCY.fullmatch(text) is not None


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum. The built-in sum rounds at the caller's context, by default 28 digits."""
    return reduce(EXACT.add, amounts, _ZERO)


def exact_sums(amounts: Iterable[tuple[K, Decimal]]) -> dict[K, Decimal]:
    """Return the exact sum of the amounts of each key."""
    totals: dict[K, Decimal] = {}
    for key, amount in amounts:
        totals[key] = EXACT.add(totals.get(key, _ZERO), amount)
    return totals


def plain(amount: Decimal) -> str:
    """Return the amount as text without an exponent and without trailing zeros: what files, tables and JSON hold."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount of one currency."""

    amount: Decimal
    currency: Currency

    @classmethod
    def zero(cls, currency: Currency) -> Money:
        """Return nothing, in that currency."""
        return cls(_ZERO, currency)

    @classmethod
    def total(cls, amounts: Iterable[Decimal], currency: Currency) -> Money:
        """Return the exact sum of bare amounts that are known to be of one currency."""
        return cls(exact_sum(amounts), currency)

    def __add__(self, other: Money) -> Money:
        """Return the exact sum; another currency raises `CurrencyMismatchError`."""
        self._same(other)
        return Money(EXACT.add(self.amount, other.amount), self.currency)

    def __sub__(self, other: Money) -> Money:
        """Return the exact difference; another currency raises `CurrencyMismatchError`."""
        self._same(other)
        return Money(EXACT.subtract(self.amount, other.amount), self.currency)

    def __lt__(self, other: Money) -> bool:
        """Compare two amounts of one currency."""
        self._same(other)
        return self.amount < other.amount

    def __ge__(self, other: Money) -> bool:
        """Compare two amounts of one currency; exactly equal counts as reached."""
        return not self < other

    def times(self, share: Decimal) -> Money:
        """Return that share of the amount, exactly."""
        return Money(EXACT.multiply(self.amount, share), self.currency)

    def __str__(self) -> str:
        """Return the amount for people: ISO code, grouped digits, two decimals; never 0.00 for something."""
        return self.written(f"{self.currency} ")

    def written(self, unit: str, plus: str = "") -> str:
        """Return the amount for people behind its unit, as `−CNY 50.76`, `<¥0.01`; `plus` stands before what is above zero."""
        size = self.amount.copy_abs()
        if 0 < size < _HALF_CENT:
            return f"<{unit}0.01" if self.amount > 0 else f">−{unit}0.01"
        sign = "−" if self.amount < 0 else plus if self.amount else ""
        return f"{sign}{unit}{shown(size)}"

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            msg = f"cannot add or compare {self.currency} and {other.currency}"
            raise CurrencyMismatchError(msg)


def in_cents(amount: Decimal) -> Decimal:
    """Return the amount rounded to two decimals, as people read it; never for sums."""
    return amount.quantize(_CENT, rounding=ROUND_HALF_UP, context=_ROUGH)


def shown(amount: Decimal) -> str:
    """Return the amount for people: `1,234.50`; an amount that two decimals would hide reads `<0.01` or `>-0.01`."""
    if amount and amount.copy_abs() < _HALF_CENT:
        return "<0.01" if amount > 0 else ">-0.01"
    return format(in_cents(amount), ",f")


def percent(share: Decimal) -> str:
    """Return a share for people, rounded down so that 99.99 % never reads 100 %."""
    return f"{'-' if share < 0 else ''}{int(EXACT.multiply(share.copy_abs(), _HUNDRED))}%"


def is_no_smaller_share(part: Decimal, whole: Decimal, of: tuple[Decimal, Decimal]) -> bool:
    """Tell exactly whether part ÷ whole is as large as the other part ÷ its whole, or larger; the wholes are above zero."""
    other_part, other_whole = of
    return _PRODUCT.multiply(part, other_whole) >= _PRODUCT.multiply(other_part, whole)


def share_of(part: Decimal, whole: Decimal) -> Decimal | None:
    """Return part ÷ whole with four decimals, cut and not rounded, or None where there is no whole."""
    if whole <= 0:
        return None
    return _ROUGH.divide(part, whole).quantize(_SHARE, rounding=ROUND_DOWN, context=_ROUGH)
