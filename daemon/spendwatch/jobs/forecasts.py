"""The expected cost of each watched budget this month, and whether to report it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo

from spendwatch.domain.alert import AlertKey
from spendwatch.domain.forecast import Forecast, forecast_period
from spendwatch.domain.forecast_alerts import Foretold, forecast_conditions
from spendwatch.domain.health import Freshness
from spendwatch.domain.money import Money
from spendwatch.domain.period import BillingPeriod, month_of
from spendwatch.domain.review import AlertsKnown, Condition
from spendwatch.domain.run_rate import RunRate
from spendwatch.domain.scope import BudgetScope, Portion
from spendwatch.domain.standing import Standing
from spendwatch.jobs.run_rates import RunRates


def forecast(
    paces: RunRates,
    scope: BudgetScope,
    spent: Money,
    period: BillingPeriod,
    fresh: Freshness,
    *,
    until: datetime | None,
    zone: tzinfo,
) -> Forecast | None:
    """Return what the period will probably cost; None while it is too early, or where the data are too old."""
    pace = paces.of(scope)
    if scope.portion is Portion.UNTAGGED:
        return None  # its spend lacks the latest days
    if until is None or not isinstance(pace, RunRate) or fresh.is_too_old(scope.account, until):
        return None
    return forecast_period(pace, spent, period, data_until=until, zone=zone)


def foresee(
    standings: Iterable[Standing],
    paces: RunRates,
    known: AlertsKnown,
    held: Foretold,
    fresh: Freshness,
    *,
    names: Mapping[str, str],
    zone: tzinfo,
) -> tuple[Sequence[Condition], Foretold]:
    """Return which thresholds for forecasts are reached in all budgets that have such, and what the forecasts reach."""
    found: list[Condition] = []
    reached: dict[AlertKey, date] = {}
    for standing in watched_for_forecasts(standings):
        scope, month = standing.watch.scope, month_of(standing.period.label)
        likely = forecast(paces, scope, standing.spend, month, fresh, until=standing.data_until, zone=zone)
        name = names.get(scope.account, "")
        conditions, foretold = forecast_conditions(standing, likely, known, held, account_name=name)
        reached |= foretold
        found += conditions
    return found, reached


def watched_for_forecasts(standings: Iterable[Standing]) -> Sequence[Standing]:
    """Return the standings of budgets with a threshold that a forecast can reach."""
    return [standing for standing in standings if any(threshold.is_forecast for threshold in standing.watch.thresholds)]
