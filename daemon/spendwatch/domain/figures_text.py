"""Balances, forecasts and runways as JSON holds them: amounts and counts as text, what is unknown left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from spendwatch.domain.balance import AccountBalance
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.balance_watch import TopUp
from spendwatch.domain.forecast import Crossing, Forecast, Runway
from spendwatch.domain.money import Currency, Money, plain
from spendwatch.domain.owed import SettledPeriod
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId

Plain = dict[str, object]
_EMPTY: tuple[object, ...] = (None, "", ())
_MOMENTS = ("data_until", "as_of")
_FLAGS = ("is_stale", "is_reseller_quota", "is_by_bills")


def money_text(money: Money) -> list[str]:
    """Return an amount and its currency."""
    return [plain(money.amount), money.currency]


def money_of(raw: list[str]) -> Money:
    """Return what `money_text` wrote."""
    return Money(Decimal(raw[0]), Currency(raw[1]))


def balance_text(balance: AccountBalance) -> Plain:
    """Return a balance."""
    return {name: _text(value) for name in _BALANCE if (value := getattr(balance, name)) not in _EMPTY}


_BALANCE = tuple(field.name for field in fields(AccountBalance))
_AMOUNTS = tuple(name for name in _BALANCE if name not in {"account", "other_cash", "origin", "settled", *_MOMENTS, *_FLAGS})


def _text(value: object) -> object:
    match value:
        case Money():
            return money_text(value)
        case datetime():
            return value.isoformat()
        case SettledPeriod():
            return {"period": value.period.label, "amount": money_text(value.amount), "at": value.at.isoformat()}
        case tuple():
            return [money_text(money) for money in value]
        case _:
            return value


def balance_of(raw: Mapping[str, Any]) -> AccountBalance:
    """Return what `balance_text` wrote, also that of an earlier version."""
    terms: dict[str, Any] = {name: money_of(raw[name]) if name in raw else None for name in _AMOUNTS}
    terms |= {name: datetime.fromisoformat(raw[name]) for name in _MOMENTS if name in raw}
    terms |= {name: bool(raw[name]) for name in _FLAGS if name in raw}
    return AccountBalance(
        account=AccountId(str(raw.get("account", ""))),
        other_cash=tuple(money_of(money) for money in raw.get("other_cash", ())),
        origin=Origin(raw.get("origin", Origin.MANUAL)),
        settled=_settled_from(raw["settled"]) if "settled" in raw else None,
        **terms,
    )


def _settled_from(raw: Mapping[str, Any]) -> SettledPeriod:
    return SettledPeriod(BillingPeriod.parse(raw["period"]), money_of(raw["amount"]), datetime.fromisoformat(raw["at"]))


def forecast_text(forecast: Forecast) -> Plain:
    """Return a forecast."""
    amounts = {name: money_text(getattr(forecast, name)) for name in ("spent", "low", "likely", "high")}
    return {"period": forecast.period.label, **amounts, "through": forecast.through.isoformat(), "days": str(forecast.days)}


def forecast_of(raw: Mapping[str, Any]) -> Forecast:
    """Return what `forecast_text` wrote."""
    amounts = {name: money_of(raw[name]) for name in ("spent", "low", "likely", "high")}
    through, days = date.fromisoformat(raw["through"]), int(raw["days"])
    return Forecast(BillingPeriod.parse(raw["period"]), **amounts, through=through, days=days)


def runway_text(runway: Runway) -> Plain:
    """Return a runway."""
    floors = [_crossing_text(floor) for floor in runway.floors]
    return {
        "zero": _crossing_text(runway.zero),
        "floors": floors,
        "through": runway.through.isoformat(),
        "days": str(runway.days),
    }


def _crossing_text(crossing: Crossing) -> Plain:
    days = {name: getattr(crossing, name) for name in ("today", "soonest", "likely", "latest")}
    return {"level": money_text(crossing.level), **{name: day.isoformat() for name, day in days.items() if day}}


def runway_from(raw: Mapping[str, Any]) -> Runway:
    """Return what `runway_text` wrote."""
    floors = tuple(_crossing_from(floor) for floor in raw["floors"])
    return Runway(_crossing_from(raw["zero"]), floors, date.fromisoformat(raw["through"]), int(raw["days"]))


def _crossing_from(raw: Mapping[str, Any]) -> Crossing:
    likely, soonest, latest = (
        date.fromisoformat(raw[name]) if raw.get(name) else None for name in ("likely", "soonest", "latest")
    )
    level, today = money_of(raw["level"]), date.fromisoformat(raw["today"])
    return Crossing(level, today, soonest=soonest, likely=likely, latest=latest)


def top_up_text(top_up: TopUp) -> Plain:
    """Return a top-up."""
    return {"amount": money_text(top_up.amount), "seen_at": top_up.seen_at.isoformat()}


def top_up_of(raw: Mapping[str, Any]) -> TopUp:
    """Return what `top_up_text` wrote."""
    return TopUp(money_of(raw["amount"]), datetime.fromisoformat(raw["seen_at"]))
