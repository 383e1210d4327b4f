"""The expected cost of each watched budget this month, and whether to report it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, tzinfo

from spendwatch.domain.alert import AlertKey
from spendwatch.domain.forecast import Forecast, forecast_period
from spendwatch.domain.forecast_alerts import Foretold, false_before, forecast_conditions, not_reached
from spendwatch.domain.health import Freshness
from spendwatch.domain.money import Money
from spendwatch.domain.period import BillingPeriod
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
    standings: Sequence[Standing],
    paces: RunRates,
    known: AlertsKnown,
    held: Foretold,
    fresh: Freshness,
    *,
    month: BillingPeriod,
    zone: tzinfo,
) -> tuple[Sequence[Condition], Foretold]:
    """Return which thresholds for forecasts are reached in all budgets that have such, and what the forecasts reach.

    `standings` are those of the month, and of others that may still change.
    """
    found: list[Condition] = []
    reached: dict[AlertKey, date] = dict(not_reached(held, standings, known, month))
    were_false = false_before(reached, month)
    for standing in watched_for_forecasts(one for one in standings if one.period == month):
        scope = standing.watch.scope
        likely = forecast(paces, scope, standing.spend, month, fresh, until=standing.data_until, zone=zone)
        conditions, foretold = forecast_conditions(standing, likely, known, held, was_false=scope in were_false)
        reached |= foretold
        found += conditions
    return found, reached


def watched_for_forecasts(standings: Iterable[Standing]) -> Sequence[Standing]:
    """Return the standings of budgets with a threshold that a forecast can reach."""
    return [standing for standing in standings if any(threshold.is_forecast for threshold in standing.watch.thresholds)]
