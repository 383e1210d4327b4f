"""Formats the numbers in a spreadsheet's cells as the text of a csv.

A spreadsheet stores numbers as binary fractions with 15 reliable digits, and dates only as numbers with a date format.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

SURE_DIGITS = 15

ABOUT = "≈"
"""Stands before what is only about right, which no reader takes for a number."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", re.ASCII)
_NOT_SHOWN = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE | re.DOTALL)
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 -- a bill's wall time, as it stands there
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001 -- the same
_FIRST_SURE, _LAST = 61, 2_958_465
"""The calendar of spreadsheets has a 29 February 1900 that never was; it ends with the year 9999."""

_DAY_SECONDS = 86_400


class Look(StrEnum):
    """As what a number is shown."""

    NUMBER = "number"
    DATE = "date"
    MOMENT = "moment"
    MONTH = "month"
    TIME = "time"


_BUILT_IN: dict[int, Look] = {
    **dict.fromkeys((14, 15, 16, 28, 29, 30, 31, 51, 53, 54, 58), Look.DATE),
    22: Look.MOMENT,
    **dict.fromkeys((17, 27, 36, 50, 52, 57), Look.MONTH),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 34, 35, 45, 47, 55, 56), Look.TIME),
}
"""Number formats that files refer to without writing them down, those of Chinese editions (27 to 58) included."""


class NoNumberError(ValueError):
    """A cell that should hold a number holds none."""


def look_of(number: int, code: str | None = None) -> Look:
    """Return as what the number format shows its numbers; `code` is its pattern, if it is written down."""
    if code is None:
        return _BUILT_IN.get(number, Look.NUMBER)
    shown = _NOT_SHOWN.sub("", code.partition(";")[0]).lower()
    if "[" in shown or shown.startswith("general"):
        # Elapsed hours are a quantity, not a moment.
        return Look.NUMBER
    if "y" in shown or "d" in shown:
        return Look.MOMENT if "h" in shown else Look.DATE if "d" in shown else Look.MONTH
    return Look.TIME if "h" in shown or "s" in shown else Look.NUMBER


@lru_cache(maxsize=65536)
def written(text: str, look: Look, *, is_1904: bool = False) -> str:
    """Return what a number, as the file keeps it, says; `NoNumberError` if it is none."""
    if not _NUMBER.fullmatch(text):
        raise NoNumberError
    number = float(text)
    days = number + (_EPOCH_1904 - _EPOCH).days if is_1904 else number
    if look is Look.TIME and 0 <= number < 1:
        return f"{_moment(number):%H:%M:%S}"
    if look is not Look.NUMBER and _FIRST_SURE <= days < _LAST:
        return _dated(_moment(days), look)
    return _plain(number)


def _plain(number: float) -> str:
    """Return the shortest decimal that is kept as this number, if its digits are sure.

    With more digits it is not what somebody once wrote: the mark before it keeps it from being taken for an amount. A long
    whole number may have been an id: it comes with its sure digits, in the way that spreadsheets show one.
    """
    if not math.isfinite(number):
        return f"{ABOUT}{number}"
    if abs(number) >= 10**SURE_DIGITS:
        return f"{number:.{SURE_DIGITS - 1}E}"
    digits = Decimal(repr(number)).normalize()
    if len(digits.as_tuple().digits) > SURE_DIGITS:
        return f"{ABOUT}{digits:f}"
    return f"{digits:f}" if digits else "0"


def _moment(days: float) -> datetime:
    return _EPOCH + timedelta(seconds=round(days * _DAY_SECONDS))


def _dated(moment: datetime, look: Look) -> str:
    if look is Look.MONTH and moment.day == 1:
        return f"{moment:%Y-%m}"
    if look is Look.MOMENT or moment.time() != time():
        return moment.isoformat(" ", "seconds")
    return moment.date().isoformat()
