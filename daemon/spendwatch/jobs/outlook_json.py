"""Balances and forecasts as plain JSON values: amounts are text, days are ISO dates."""

from __future__ import annotations

from datetime import datetime, tzinfo

from spendwatch.domain.balance import AccountBalance
from spendwatch.domain.forecast import Crossing, Forecast, Runway
from spendwatch.domain.money import plain
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
    return {
        **balance.as_plain(lambda moment: moment.astimezone(zone).isoformat(timespec="seconds") if moment else None),
        "other_cash": [{"currency": money.currency, "amount": plain(money.amount)} for money in balance.other_cash],
        "age_seconds": max(0, int((now - balance.as_of).total_seconds())) if balance.as_of else None,
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
