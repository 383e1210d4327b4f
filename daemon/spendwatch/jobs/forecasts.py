"""The expected cost of each watched budget this month, and whether to report it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, tzinfo

from spendwatch.domain.alert import AlertKey, AlertsKnown
from spendwatch.domain.forecast_alerts import Foretold, false_before, forecast_conditions, not_reached
from spendwatch.domain.health import Freshness
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.review import Condition
from spendwatch.domain.standing import Standing
from spendwatch.jobs.run_rates import RunRates, forecast


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
