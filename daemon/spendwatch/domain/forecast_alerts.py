"""Evaluates forecasts: thresholds that a period will probably reach. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from spendwatch.domain.alert import AlertKey, Rule
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.review import AlertsKnown, Condition
from spendwatch.domain.standing import Standing
from spendwatch.domain.thresholds import level_conditions, levels_of

Foretold = Mapping[AlertKey, date]
"""The thresholds that forecasts reach, each with the last complete day by which they first did, without a break since."""


def forecast_conditions(
    standing: Standing, forecast: Forecast | None, known: AlertsKnown, held: Foretold, *, account_name: str
) -> tuple[Sequence[Condition], Foretold]:
    """Return which thresholds of one watched budget will probably be reached, and what the forecast reaches now.

    A threshold is told once a period, when the forecast reaches it by the data of two different days and the spend does not
    yet, unless something at least as grave was foretold. Of several one notification names the highest. `held` is what the
    forecast reached before; without a forecast, all stays as it was.
    """
    watch, period = standing.watch, standing.period.label
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None, of_forecasts=True)
    keys = {AlertKey(Rule.FORECAST, watch.scope, level.label, period, level.height): level for level in levels}
    if forecast is None:
        return (), {key: held[key] for key in keys if key in held}
    ahead = {key: level for key, level in keys.items() if standing.spend.amount < level.at <= forecast.likely.amount}
    foretold = {key: held.get(key, forecast.through) for key in ahead}
    sure = [ahead[key] for key, through in foretold.items() if through != forecast.through and known.latest(key) is None]
    said = ("will probably reach", f"about {forecast.likely}")
    return level_conditions(Rule.FORECAST, standing, sure, known, said=said, name=account_name, forecast=forecast), foretold
