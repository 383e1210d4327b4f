"""The overview as plain JSON values: amounts are text, days and moments are in ISO form, moments in the billing zone."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from spendwatch.domain.alert import Acknowledgement, Alert
from spendwatch.domain.balance import Position
from spendwatch.domain.delivery import Held
from spendwatch.domain.forecast import Crossing, Forecast, Runway
from spendwatch.domain.layouts import API_LAG
from spendwatch.domain.money import plain
from spendwatch.domain.run_rate import TooEarly, TooOld
from spendwatch.domain.standing import Split
from spendwatch.exact_json import json_fields, json_value, period_json, position_json
from spendwatch.jobs.matters import MatterLine
from spendwatch.jobs.overview import AccountOverview, BudgetLine, Overview, SourceOverview, WorkspaceLine

_Plain = dict[str, object]


def overview_json(overview: Overview, zone: tzinfo) -> _Plain:
    """Return the whole overview."""
    return {
        "schema_version": 1,
        **json_fields(overview, zone=zone, as_of="as_of", month="period"),
        "accounts": [_account_json(account, overview, zone) for account in overview.accounts],
        "alerts": [
            alert_json(
                alert,
                zone,
                overview.notified.get(alert.id, 0),
                is_undelivered=alert.id in overview.undelivered,
                acknowledged=overview.acknowledged.get(alert.id),
            )
            for alert in overview.alerts
        ],
        "held": [held_json(one.row, zone) | {"alert": one.said.alert} for one in overview.held if one.row],
        "matters": [_matter_json(line, zone) for line in overview.matters],
        "sources": [_source_json(source, zone) for source in overview.sources],
        "reading": [
            json_fields(one, source="source", file="file", bytes="size", phase="phase")
            | {"share": f"{one.share:.3f}", "since": json_value(one.began_at, zone)}
            for one in overview.readings
        ],
    }


def held_json(row: Held, zone: tzinfo) -> _Plain:
    """Return how a message waits, or waited, and what became of it."""
    fields = json_fields(row, "notification", "channel", "held_at", "until", "why", "silence", zone=zone)
    return fields | json_fields(row, "ended_at", "dropped", told_by="digest", zone=zone)


def _account_json(account: AccountOverview, overview: Overview, zone: tzinfo) -> _Plain:
    return {
        **json_fields(account, "account", "name", "currency"),
        **split_json(account.split),
        **json_fields(account, "budget", "counts", "used", state="mark"),
        "other_currencies": [json_fields(money, "currency", spend="amount") for money in account.foreign],
        "data_until": json_value(account.data_until, zone),
        "silent_for_seconds": int(account.silence.total_seconds()) if account.silence else None,
        "used_on": {category.value: day.isoformat() for category, day in account.used_on},
        "lag": _lag(account),
        "not_watched": [json_fields(one, "product", "currency", spend="amount") for one in account.outside],
        "uncounted": [
            json_fields(one, "series", "counts", spend="lacking", currency="counted.currency", days="days")
            for one in account.uncounted
        ],
        "forecast": forecast_json(account.forecast),
        "forecast_reason": _no_forecast(account, overview),
        "budgets": [_budget_json(one) for one in account.budgets],
        "workspaces": [_workspace_json(line) for line in account.workspaces],
        **_balance_told(account, overview, zone),
    }


def _workspace_json(line: WorkspaceLine) -> _Plain:
    # There may be ten thousand: written out, it takes two thirds of the time.
    return {
        "workspace": line.workspace,
        "name": line.name,
        "owner": line.owner,
        **split_json(line.split),
        "budget": plain(line.budget.amount) if line.budget else None,
        "counts": line.counts.value,
        "used": None if line.used is None else plain(line.used),
        "state": line.mark.value,
        "lines": line.lines,
        "forecast": forecast_json(line.forecast),
        "budgets": [_budget_json(one) for one in line.budgets],
    }


def _budget_json(one: BudgetLine) -> _Plain:
    fields = json_fields(one, scope="scope.label", period="period.label", period_kind="scope.per")
    fields |= json_fields(one, "name", "counts", "spend", "budget", "used", state="mark")
    return {**fields, "forecast": forecast_json(one.forecast)}


def _matter_json(line: MatterLine, zone: tzinfo) -> _Plain:
    """Return alerts that are about the same, the gravest first, and what there is to say of them now."""
    first = line.alerts[0].key
    return {
        **json_fields(line, "severity", "text", "reached", "notified", undelivered="is_undelivered", rule="rule.type"),
        **json_fields(first, account="scope.account", scope="scope.label"),
        **period_json(first.period),
        "alerts": [alert.id for alert in line.alerts],
        "acknowledged": acknowledged_json(line.acknowledged, zone),
    }


def _source_json(source: SourceOverview, zone: tzinfo) -> _Plain:
    checks = [
        json_fields(
            check, zone=zone, month="period", currency="currency", days="days", total="total", at="at", differs_since="since"
        )
        for check in source.checks
    ]
    fields = ("name", "type", "state", "last_success", "last_bill", "trouble", "cause")
    return {**json_fields(source, *fields, zone=zone), "checks": checks}


def split_json(split: Split) -> dict[str, str]:
    """Return spend, and what it is made of."""
    parts = {"spend": split.total, "pay_as_you_go": split.pay_as_you_go, "subscription": split.subscription}
    return {name: plain(money.amount) for name, money in parts.items()}


def _no_forecast(account: AccountOverview, overview: Overview) -> str | None:
    """Return why there is no forecast of this month."""
    if account.forecast or not overview.is_of_now:
        return None
    return "too_old" if account.is_too_old else "too_early"


def _lag(account: AccountOverview) -> _Plain | None:
    return {"hours": int(API_LAG / timedelta(hours=1)), "leaves_out": "unsettled usage"} if account.lags else None


def acknowledged_json(said: Acknowledgement | None, zone: tzinfo) -> _Plain | None:
    """Return who takes care of an alert."""
    return json_fields(said, "by", "at", "until", "comment", zone=zone) if said else None


def alert_json(
    alert: Alert, zone: tzinfo, notified: int, *, is_undelivered: bool, acknowledged: Acknowledgement | None = None
) -> _Plain:
    """Return an alert; `notified`: how many deliveries arrived."""
    return {
        **json_fields(alert, "id", rule="key.rule.type", account="key.scope.account", scope="key.scope.label"),
        **json_fields(alert.key, "threshold"),
        **period_json(alert.key.period),
        **json_fields(alert, "severity", "state", "since", "resolved_at", "times_told", zone=zone),
        "notified": notified,
        "undelivered": is_undelivered,
        "escalated_at": json_value(alert.escalated_at, zone),
        "acknowledged": acknowledged_json(acknowledged, zone),
        "summary": alert.summary,
    }


def _balance_told(account: AccountOverview, overview: Overview, zone: tzinfo) -> _Plain:
    """Return what is known of the balance now; nothing under another month."""
    if not overview.is_of_now:
        return {"balance": None, "balance_trouble": "", "balance_cause": None}
    return {"balance": _balance(account, overview.as_of, zone), **json_fields(account, "balance_trouble", "balance_cause")}


def _balance(account: AccountOverview, now: datetime, zone: tzinfo) -> _Plain | None:
    if account.balance is None:
        return None
    seen = balance_json(account.balance, now, zone)
    reason = "too_old" if isinstance(account.runway, TooOld) else None
    return {**seen, "stale": account.is_balance_stale, "runway": runway_json(account.runway), "runway_reason": reason}


def forecast_json(forecast: Forecast | None) -> _Plain | None:
    """Return a forecast; None while it is too early."""
    return json_fields(forecast, "low", "likely", "high", "through", "days") if forecast else None


def balance_json(balance: Position, now: datetime, zone: tzinfo) -> _Plain:
    """Return a balance, and how old it is."""
    return {
        **position_json(balance, zone),
        "other_cash": [json_fields(money, "currency", "amount") for money in balance.reading.other_cash],
        "age_seconds": max(0, int((now - balance.as_of).total_seconds())) if balance.as_of else None,
    }


def runway_json(runway: Runway | TooEarly | TooOld | None) -> _Plain | None:
    """Return how long a balance lasts."""
    if runway is None or isinstance(runway, TooOld):
        return None
    if isinstance(runway, TooEarly):
        return {"too_early": True, **json_fields(runway, "days", "needed")}
    return {
        "too_early": False,
        **json_fields(runway, "days", "through"),
        "zero": _crossing(runway.zero),
        "floors": [json_fields(floor, floor="level") | _crossing(floor) for floor in runway.floors],
    }


def _crossing(crossing: Crossing) -> _Plain:
    return json_fields(crossing, in_days="days", soonest="soonest", likely="likely", latest="latest")
