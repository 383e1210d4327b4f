"""Balances, and what is to be expected, as the body of a webhook holds them: amounts as text, nothing as a number."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from spendwatch.domain.balance import AccountBalance
from spendwatch.domain.balance_watch import TopUp
from spendwatch.domain.forecast import Crossing, Forecast, Runway
from spendwatch.domain.money import Money, plain

_Data = dict[str, object]
Written = Callable[[datetime | None], str | None]


def balance_data(balance: AccountBalance | None, written: Written) -> _Data | None:
    """Return a balance."""
    if balance is None:
        return None
    difference = balance.difference
    return {
        "currency": balance.currency,
        "available": _amount(balance.available),
        "cash": _amount(balance.cash),
        "credit": _amount(balance.credit),
        "unsettled_current": _amount(balance.unsettled_current),
        "unsettled_previous": _amount(balance.unsettled_previous),
        "reported": _amount(balance.reported),
        "overdue": balance.is_overdue,
        "computed": _amount(balance.computed),
        "credit_refund": _amount(balance.credit_refund),
        "unsettled": _amount(balance.unsettled),
        "unsettled_is_derived": balance.is_derived,
        "spent_since": _amount(balance.spent_since),
        "paid_at_order": _amount(balance.paid_at_order),
        "products_unseen": list(balance.unseen),
        "difference": _amount(difference.amount) if difference else None,
        "explained_by": [explanation.value for explanation in difference.explained_by] if difference else [],
        "settled": _settled(balance, written),
        "from": balance.origin.value,
        "as_of": written(balance.as_of),
        "stale": balance.is_stale,
    }


def _settled(balance: AccountBalance, written: Written) -> _Data | None:
    settled = balance.settled
    if settled is None:
        return None
    return {
        "month": settled.period.label,
        "amount": _amount(settled.amount),
        "since": written(settled.at),
        "cash_is_older": balance.is_before_settlement,
    }


def runway_data(runway: Runway | None) -> _Data | None:
    """Return how long a balance lasts."""
    if runway is None:
        return None
    return {
        "through": runway.through.isoformat(),
        "zero": _crossing(runway.zero),
        "floors": [{"floor": _amount(floor.level), **_crossing(floor)} for floor in runway.floors],
    }


def forecast_data(forecast: Forecast | None) -> _Data | None:
    """Return what a month will probably cost."""
    if forecast is None:
        return None
    amounts = {name: _amount(getattr(forecast, name)) for name in ("low", "likely", "high")}
    return {**amounts, "currency": forecast.spent.currency, "through": forecast.through.isoformat()}


def top_up_data(top_up: TopUp | None, written: Written) -> _Data | None:
    """Return what came in."""
    if top_up is None:
        return None
    return {"amount": _amount(top_up.amount), "currency": top_up.amount.currency, "seen_at": written(top_up.seen_at)}


def _crossing(crossing: Crossing) -> _Data:
    days = {name: getattr(crossing, name) for name in ("soonest", "likely", "latest")}
    return {name: day.isoformat() if day else None for name, day in days.items()}


def _amount(money: Money | None) -> str | None:
    return None if money is None else plain(money.amount)
