"""Balances and forecasts in the body of a webhook: amounts as text, never as numbers."""

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
    return {**balance.as_plain(written), "stale": balance.is_stale}


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
