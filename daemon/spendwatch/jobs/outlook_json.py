"""Balances, and what is to be expected, as plain JSON values: amounts are text, days are ISO dates."""

from __future__ import annotations

from datetime import datetime, tzinfo

from spendwatch.domain.balance import AccountBalance
from spendwatch.domain.forecast import Crossing, Forecast, Runway
from spendwatch.domain.money import Money, plain
from spendwatch.domain.pace import TooEarly, TooOld

_Plain = dict[str, object]


def forecast_json(forecast: Forecast | None) -> _Plain | None:
    """Return a forecast as plain JSON values; None while it is too early to tell."""
    if forecast is None:
        return None
    amounts = {name: plain(getattr(forecast, name).amount) for name in ("low", "likely", "high")}
    return {**amounts, "through": forecast.through.isoformat(), "days": forecast.days}


def balance_json(balance: AccountBalance, now: datetime, zone: tzinfo) -> _Plain:
    """Return a balance, and how old it is, as plain JSON values."""
    difference = balance.difference
    return {
        "available": plain(balance.available.amount),
        "cash": _amount(balance.cash),
        "credit": _amount(balance.credit),
        "unsettled_current": _amount(balance.unsettled_current),
        "unsettled_previous": _amount(balance.unsettled_previous),
        "reported": _amount(balance.reported),
        "overdue": balance.is_overdue,
        "currency": balance.currency,
        "computed": _amount(balance.computed),
        "credit_refund": _amount(balance.credit_refund),
        "unsettled": _amount(balance.unsettled),
        "unsettled_is_derived": balance.is_derived,
        "spent_since": _amount(balance.spent_since),
        "paid_at_order": _amount(balance.paid_at_order),
        "products_unseen": list(balance.unseen),
        "difference": _amount(difference.amount) if difference else None,
        "explained_by": [explanation.value for explanation in difference.explained_by] if difference else [],
        "other_cash": [{"currency": money.currency, "amount": plain(money.amount)} for money in balance.other_cash],
        "settled": _settled(balance, zone),
        "from": balance.origin.value,
        "as_of": balance.as_of.astimezone(zone).isoformat(timespec="seconds") if balance.as_of else None,
        "age_seconds": max(0, int((now - balance.as_of).total_seconds())) if balance.as_of else None,
    }


def _settled(balance: AccountBalance, zone: tzinfo) -> _Plain | None:
    if balance.settled is None:
        return None
    return {
        "month": balance.settled.period.label,
        "amount": plain(balance.settled.amount.amount),
        "since": balance.settled.at.astimezone(zone).isoformat(timespec="seconds"),
        "cash_is_older": balance.is_before_settlement,
    }


def runway_json(runway: Runway | TooEarly | TooOld | None) -> _Plain | None:
    """Return how long a balance lasts as plain JSON values."""
    if runway is None or isinstance(runway, TooOld):
        return None
    if isinstance(runway, TooEarly):
        return {"too_early": True, "days": runway.days, "needed": runway.needed}
    return {
        "too_early": False,
        "days": runway.days,
        "through": runway.through.isoformat(),
        "zero": _crossing(runway.zero),
        "floors": [{"floor": plain(floor.level.amount), **_crossing(floor)} for floor in runway.floors],
    }


def _crossing(crossing: Crossing) -> _Plain:
    days = {name: getattr(crossing, name) for name in ("soonest", "likely", "latest")}
    return {"in_days": crossing.days, **{name: day.isoformat() if day else None for name, day in days.items()}}


def _amount(money: Money | None) -> str | None:
    return None if money is None else plain(money.amount)
