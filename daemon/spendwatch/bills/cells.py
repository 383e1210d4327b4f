"""The formats of cells after exports, pushes and spreadsheets: ids, amounts, months, dates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from spendwatch.domain.money import EXACT, SCALE, WHOLE_DIGITS, parse_amount, plain
from spendwatch.domain.period import BillingPeriod

BLANKS = " \t\r\n\u00a0\u3000\ufeff"
QUOTES = "'`"
"""What clings to ids: blanks, and tabs, apostrophes and backticks that keep spreadsheets from taking them for numbers."""

TOTALS = frozenset({"合计", "总计", "total", "grand total"})
"""What a line of totals calls itself."""

MOST_DECIMALS = 30
"""How many decimals an amount of other providers may have; more than `SCALE` are rounded."""

SUBTOTALS = frozenset({"小计", "subtotal"})

_GROUPED = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", re.ASCII)
_SCIENTIFIC = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,40})?[eE][+-]?[0-9]{1,3}", re.ASCII)
_LONG = re.compile(r"-?[0-9]{1,40}\.[0-9]{1,40}", re.ASCII)
_NOTHING = frozenset({"", "-"})

_CLOCK = r"(?:[ T][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z| UTC|[+-][0-9]{2}:?[0-9]{2})?)?"
_DAY = re.compile(rf"(2[0-9]{{3}})(?:([0-9]{{2}})([0-9]{{2}})|([-/.])([0-9]{{1,2}})\4([0-9]{{1,2}})){_CLOCK}", re.ASCII)
_CHINESE_DAY = re.compile(r"(2[0-9]{3})年([0-9]{1,2})月([0-9]{1,2})日", re.ASCII)
_MONTH = re.compile(r"(2[0-9]{3})(?:([0-9]{2})|[-/.]([0-9]{1,2})|年([0-9]{1,2})月)", re.ASCII)
_SPREADSHEET_MONTH = re.compile(r"([A-Za-z]{3})-([0-9]{2})", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0", "＝", "＋", "－", "＠")

SHORTENED = r"^[0-9](?:\.([0-9]{1,14}))?[eE]\+[0-9]{1,2}$"
"""How a spreadsheet shows a number that is too long for it, an id, say."""

_SHORTENED_ID = re.compile(SHORTENED, re.ASCII)


def cleaned(cell: str) -> str:
    """Return a cell without what clings to it."""
    return cell.strip(BLANKS).lstrip(QUOTES)


def guarded(text: str) -> str:
    """Return a text for CSV: what a spreadsheet would take for a formula gets an apostrophe, as `cleaned` takes it off."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def says_nothing(cell: str) -> bool:
    """Return whether no amount stands in a cell, not even zero."""
    return cleaned(cell) in _NOTHING


def amount_in(cell: str) -> str:
    """Return the amount that a cell holds as a plain decimal; `InvalidAmountError` where it holds none.

    Beside plain decimals: nothing or `-` for zero, thousands separators, and `6.9E-05`, as long as no digit is lost.
    """
    text = cleaned(cell)
    if text in _NOTHING:
        return "0"
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if _SCIENTIFIC.fullmatch(text) or _LONG.fullmatch(text):
        text = _written_out(text)
    parse_amount(text)
    return text


def _written_out(text: str) -> str:
    try:
        return plain(EXACT.create_decimal(text))
    except (InvalidOperation, ArithmeticError):
        return text


def rounded_amount_in(cell: str) -> tuple[str, Decimal] | None:
    """Return an amount with at most `MOST_DECIMALS` rounded to those that we keep, and what that adds to it.

    None where the cell holds no such amount. Of two equally near values the even one is taken, so that roundings cancel out.
    """
    text = cleaned(cell)
    if not (_SCIENTIFIC.fullmatch(text) or _LONG.fullmatch(text)):
        return None
    amount = Decimal(text)
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MOST_DECIMALS or amount.adjusted() >= WHOLE_DIGITS - 1:
        return None
    rounded = amount.quantize(Decimal(1).scaleb(-SCALE), ROUND_HALF_EVEN, Context(prec=EXACT.prec))
    return plain(rounded), EXACT.subtract(rounded, amount)


def is_scientific(cell: str) -> bool:
    """Return whether a spreadsheet shortened the amount; it may have lost digits by that."""
    return _SCIENTIFIC.fullmatch(cleaned(cell)) is not None


def period_in(cell: str) -> BillingPeriod | None:
    """Return the billing month that a cell names; None if it names none."""
    text = cleaned(cell)
    try:
        if found := _MONTH.fullmatch(text):
            return BillingPeriod(int(found[1]), int(found[2] or found[3] or found[4]))
        if (found := _SPREADSHEET_MONTH.fullmatch(text)) and found[1].lower() in _MONTHS:
            return BillingPeriod(2000 + int(found[2]), _MONTHS.index(found[1].lower()) + 1)
    except ValueError:
        return None
    day = day_in(text)
    return BillingPeriod(day.year, day.month) if day else None


def day_in(cell: str) -> date | None:
    """Return the day that a cell names, a time behind it or not; None if it names none. Offsets are left aside."""
    text = cleaned(cell)
    found = _DAY.fullmatch(text)
    parts = (found[1], found[2] or found[5], found[3] or found[6]) if found else None
    if parts is None and (found := _CHINESE_DAY.fullmatch(text)):
        parts = (found[1], found[2], found[3])
    try:
        return date(*map(int, parts)) if parts else None
    except ValueError:
        return None


def day_of_time(cell: str) -> str:
    """Return what stands before the time in a cell."""
    return re.split(r"[ T]", cleaned(cell), maxsplit=1)[0]


def ids_meant(cell: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the ids that a spreadsheet would show as that cell (`1E+15`); none if the cell does not look so."""
    found = _SHORTENED_ID.fullmatch(cell)
    if not found:
        return ()
    as_shown = f".{len(found[1] or '')}E"
    return tuple(one for one in known if one.isdigit() and Decimal(format(Decimal(one), as_shown)) == Decimal(cell))


def looks_shortened(cell: str) -> bool:
    """Return whether a spreadsheet made this of a long id."""
    return _SHORTENED_ID.fullmatch(cell) is not None
