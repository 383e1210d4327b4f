"""Evaluates forecasts: thresholds that a period will probably reach. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from spendwatch.domain.alert import AlertKey, AlertsKnown, Rule
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import EXACT
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.review import Condition
from spendwatch.domain.scope import AlertScope
from spendwatch.domain.standing import Standing, levels_of
from spendwatch.domain.thresholds import level_conditions

_NOTHING = Decimal(0)

Foretold = Mapping[AlertKey, date]
"""The thresholds that forecasts reach, each with the last complete day by which they first did, without a break since.

Beside them those of this month and the two before it that were reported and that the spend has not reached.
"""


def forecast_conditions(
    standing: Standing,
    forecast: Forecast | None,
    known: AlertsKnown,
    held: Foretold,
    *,
    was_false: bool = False,
) -> tuple[Sequence[Condition], Foretold]:
    """Return which thresholds of one watched budget will probably be reached, and what the forecast reaches now.

    A threshold is told once a period, while the spend does not reach it yet, unless something at least as grave was foretold:
    when the likely cost reaches it by the data of two different days, or the low end of the range by those of one. `was_false`:
    an alert of the two months before came to nothing; then half of what the low end expects yet has to be enough. Of several
    one notification names the highest. `held` is what the forecast reached before; without a forecast, all stays as it was.
    """
    watch, period = standing.watch, standing.period.label
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None, of_forecasts=True)
    keys = {AlertKey(Rule.FORECAST, watch.scope, level.label, period, level.height): level for level in levels}
    if forecast is None:
        return (), {key: held[key] for key in keys if key in held}
    spent = standing.spend.amount
    ahead = {key: level for key, level in keys.items() if spent < level.at <= forecast.likely.amount}
    new = {key: level for key, level in ahead.items() if known.latest(key) is None}
    foretold = {key: held.get(key, forecast.through) for key in ahead if key in held or key in new}
    sure = [
        level
        for key, level in new.items()
        if forecast.low.amount >= sure_from(level.at, spent, was_false=was_false)
        or (foretold[key] != forecast.through and not was_false)
    ]
    said = ("will probably reach", f"about {forecast.likely}")
    return level_conditions(Rule.FORECAST, standing, sure, known, said=said, forecast=forecast), foretold


def sure_from(at: Decimal, spent: Decimal, *, was_false: bool) -> Decimal:
    """Return the low end of a range from which one forecast is enough to report the threshold at that amount."""
    return EXACT.subtract(EXACT.add(at, at), spent) if was_false else at


def not_reached(held: Foretold, standings: Iterable[Standing], known: AlertsKnown, month: BillingPeriod) -> Foretold:
    """Return the thresholds reported in this month and the two before it that the spend has not reached in their month.

    `standings` are those of all months that may still change.
    """
    oldest = month.previous().previous().label
    mine = {key: through for key, through in held.items() if key.period >= oldest and known.latest(key) is not None}
    spent: dict[tuple[AlertScope, str], Decimal] = (
        {(one.watch.scope, one.period.label): one.spend.amount for one in standings} if mine else {}
    )
    return {key: mine[key] for key in mine if spent.get((key.scope, key.period), _NOTHING) < Decimal(key.height)}


def false_before(held: Foretold, month: BillingPeriod) -> frozenset[AlertScope]:
    """Return what had a forecast alert in the two months before that came to nothing."""
    return frozenset(key.scope for key in held if key.period < month.label)
