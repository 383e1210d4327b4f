"""Strict JSON: exact numbers, no duplicate keys, no repair of invalid input; and values of ours as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn

from spendwatch.domain.errors import InvalidAmountError, printable
from spendwatch.domain.money import WHOLE_DIGITS, Money, parse_amount, plain
from spendwatch.domain.period import BillingPeriod, parse_period

if TYPE_CHECKING:  # the reading process needs none of what they import
    from spendwatch.domain.balance import Position
    from spendwatch.domain.causes import Cause

_FINEST = -60
"""Decimals of a number that may still be zeros; a number with more is not looked at."""


class NoJsonError(ValueError):
    """Bytes that are no JSON document that means one thing only."""

    line: int | None = None
    """Where it stops being JSON, if known."""
    problem: str = ""
    """Why it is no JSON there, in the parser's words."""


def parse(body: bytes | str, *, as_written: bool = False) -> object:
    """Return the document; numbers with a point or an exponent are `Decimal`, or each number is a text, as it is written.

    `NoJsonError` with the reason in words.
    """
    try:
        return (_AS_WRITTEN if as_written else _DECODER).decode(body if isinstance(body, str) else body.decode("utf-8"))
    except UnicodeDecodeError:
        msg = "it is not UTF-8"
    except RecursionError:
        msg = "it is nested too deeply"
    except NoJsonError:
        raise
    except json.JSONDecodeError as error:
        refused = NoJsonError(f"it is not JSON ({error.msg}, at character {error.pos})")
        refused.line, refused.problem = error.lineno, error.msg
        raise refused from error
    except (ValueError, ArithmeticError):
        msg = _NUMBER
    raise NoJsonError(msg)


def exact_amount(value: object) -> Decimal:
    """Return a JSON number as an amount that can be held exactly, or raise `InvalidAmountError`."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        msg = f"not a number: {printable(str(value))}"
        raise InvalidAmountError(msg)
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < _FINEST or number.adjusted() >= WHOLE_DIGITS:
        msg = f"not an amount that can be stored: {printable(str(number))}"
        raise InvalidAmountError(msg)
    return parse_amount(plain(number))


def json_fields(source: object, /, *names: str, zone: tzinfo | None = None, **renamed: str) -> dict[str, object]:
    """Return attributes as JSON values, in this order; `renamed`: a key, and its attribute (`a.b`: of one that may be None)."""
    found = {name: json_value(getattr(source, name), zone) for name in names}
    for key, path in renamed.items():
        value = source
        for name in path.split("."):
            value = getattr(value, name) if value is not None else None
        found[key] = json_value(value, zone)
    return found


def json_value(value: object, zone: tzinfo | None = None) -> object:
    """Return amounts as text, days and moments (in that zone) in ISO form, months by their label; the rest as it is."""
    match value:
        case None | str() | int():
            pass
        case Money():
            value = plain(value.amount)
        case Decimal():
            value = plain(value)
        case BillingPeriod():
            value = value.label
        case datetime():
            if zone is None:
                msg = f"in which zone is {value} to be shown?"
                raise ValueError(msg)
            value = value.astimezone(zone).isoformat(timespec="seconds")
        case date():
            value = value.isoformat()
        case tuple() | list():
            value = [json_value(item, zone) for item in value]
        case _:
            pass
    return value


def period_json(label: str) -> dict[str, object]:
    """Return a period by its label, of which kind it is, and the billing month of its last day; nothing where there is none."""
    period = parse_period(label) if label else None
    kind, month = (period.kind, period.span.months[-1].label) if period else (None, None)
    return {"month": month, "period": label or None, "period_kind": kind}


def cause_json(cause: Cause, amount: str) -> dict[str, object]:
    """Return what some of the spend went to, its amount under that key, and each value that bills name by its dimension."""
    named = {part.dimension.value: part.value for part in cause.parts}
    named |= {f"{part.dimension.value}_name": part.name for part in cause.parts if part.name}
    label = " / ".join(part.short for part in cause.parts) or cause.category or ""
    return {
        "label": label,
        **named,
        "category": cause.category,
        amount: json_value(cause.spent),
        **json_fields(cause, "before", "share", currency="spent.currency"),
        "more": str(cause.more) if cause.more else "",
    }


def position_json(balance: Position, zone: tzinfo) -> dict[str, object]:
    """Return a balance term by term, and what follows from it."""
    difference, settled = balance.difference, balance.settled
    return {
        **json_fields(balance, "currency", "available", cash="reading.cash", credit="reading.credit"),
        **json_fields(balance, "unsettled_current", "unsettled_previous", reported="reading.reported", computed="computed"),
        **json_fields(balance, credit_refund="reading.credit_refund", unsettled="unsettled", spent_since="spent_since"),
        **json_fields(balance, "paid_at_order"),
        "difference": json_value(difference.amount if difference else None),
        **json_fields(balance, overdue="is_overdue", unsettled_is_derived="is_derived", products_unseen="unseen"),
        "explained_by": json_value(difference.explained_by if difference else ()),
        "settled": {
            **json_fields(settled, zone=zone, month="period", amount="amount", since="at"),
            "cash_is_older": balance.is_before_settlement,
        }
        if settled
        else None,
        "from": balance.reading.origin.value,
        "as_of": json_value(balance.as_of, zone),
    }


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        msg = f"{printable(twice)} is in it twice"
        raise NoJsonError(msg)
    return found


def _refuse(name: str) -> NoReturn:
    msg = f"{name} is no number"
    raise NoJsonError(msg)


_NUMBER = "it contains a number that cannot be stored"
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_once)
_AS_WRITTEN = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse, object_pairs_hook=_once)
