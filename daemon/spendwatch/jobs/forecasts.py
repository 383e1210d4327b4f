"""The expected cost of each watched budget this month, and whether to report it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from spendwatch.domain.forecast import Forecast, forecast_period
from spendwatch.domain.foretelling import Foretold, ForetoldPlace, review_forecast
from spendwatch.domain.health import Freshness
from spendwatch.domain.money import Money
from spendwatch.domain.pace import Pace
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.review import AlertsKnown, Verdict
from spendwatch.domain.scope import Scope
from spendwatch.domain.standing import Standing
from spendwatch.jobs.paces import Paces


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What follows from the forecasts of one round."""

    verdict: Verdict
    reached: tuple[Foretold, ...]
    """New, or by another day than before."""
    gone: tuple[ForetoldPlace, ...]
    """No longer reached."""


def forecast(
    paces: Paces,
    scope: Scope,
    spent: Money,
    period: BillingPeriod,
    fresh: Freshness,
    *,
    until: datetime | None,
    zone: tzinfo,
) -> Forecast | None:
    """Return what the period will probably cost; None while it is too early to tell, or where the data are too old."""
    pace = paces.of(scope)
    if until is None or not isinstance(pace, Pace) or fresh.is_too_old(scope.account, until):
        return None
    return forecast_period(pace, spent, period, data_until=until, zone=zone)


def foresee(
    standings: Iterable[Standing],
    paces: Paces,
    known: AlertsKnown,
    held: Mapping[ForetoldPlace, date],
    fresh: Freshness,
    *,
    names: Mapping[str, str],
    zone: tzinfo,
) -> Foreseen:
    """Judge the forecasts of all budgets that have thresholds for them."""
    verdicts: list[Verdict] = []
    reached: dict[ForetoldPlace, date] = {}
    for standing in watched_for_forecasts(standings):
        scope = standing.watch.scope
        likely = forecast(paces, scope, standing.spend, standing.period, fresh, until=standing.data_until, zone=zone)
        name = names.get(scope.account, "")
        verdict, foretold = review_forecast(standing, likely, known, held, account_name=name, now=fresh.now)
        reached |= {one.place: one.through for one in foretold}
        if verdict.alerts:
            verdicts.append(verdict)
    return Foreseen(
        verdict=Verdict(
            tuple(alert for verdict in verdicts for alert in verdict.alerts),
            tuple(said for verdict in verdicts for said in verdict.notifications),
        ),
        reached=tuple(Foretold(place, through) for place, through in reached.items() if held.get(place) != through),
        gone=tuple(place for place in held if place not in reached),
    )


def watched_for_forecasts(standings: Iterable[Standing]) -> Sequence[Standing]:
    """Return the standings of budgets with a threshold that a forecast can reach."""
    return [standing for standing in standings if any(threshold.is_forecast for threshold in standing.watch.thresholds)]
