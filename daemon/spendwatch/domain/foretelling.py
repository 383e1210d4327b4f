"""Evaluates forecasts: thresholds that a period will probably reach. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from spendwatch.domain.alert import Alert, Matter, Rule
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import plain
from spendwatch.domain.notification import Reason
from spendwatch.domain.review import AlertsKnown, Verdict, say
from spendwatch.domain.standing import Standing
from spendwatch.domain.statement import AccountId
from spendwatch.domain.thresholds import Level, is_news, level_text, levels_of, spend_facts


@dataclass(frozen=True, slots=True, order=True)
class ForetoldPlace:
    """Which threshold of which budget in which period."""

    account: AccountId
    scope: str
    period: str
    threshold: str
    height: str


@dataclass(frozen=True, slots=True)
class Foretold:
    """A threshold that the forecast reaches, and by which last complete day it first did, without a break since."""

    place: ForetoldPlace
    through: date


def review_forecast(
    standing: Standing,
    forecast: Forecast | None,
    known: AlertsKnown,
    held: Mapping[ForetoldPlace, date],
    *,
    account_name: str,
    now: datetime,
) -> tuple[Verdict, tuple[Foretold, ...]]:
    """Judge the forecast of one watched budget; return the verdict, and what the forecast reaches now.

    A threshold is told once a period, when the forecast reaches it by the data of two different days and the spend does not
    yet, unless something at least as grave was foretold. Of several one notification names the highest. `held` is what the
    forecast reached before; without a forecast, all stays as it was.
    """
    watch = standing.watch
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None, of_forecasts=True)
    places = {_place(standing, level): level for level in levels}
    if forecast is None:
        return Verdict(), tuple(Foretold(place, held[place]) for place in places if place in held)
    ahead = {place: level for place, level in places.items() if standing.spend.amount < level.at <= forecast.likely.amount}
    foretold = tuple(Foretold(place, held.get(place, forecast.through)) for place in ahead)
    told = known.of(Rule.FORECAST, watch.scope.account, watch.scope.key, standing.period.label)
    known_levels = {(alert.matter.threshold, alert.matter.height) for alert in told}
    new = [
        ahead[one.place]
        for one in foretold
        if one.through != forecast.through and (one.place.threshold, one.place.height) not in known_levels
    ]
    verdict = _foretell(standing, forecast, new, known, account_name=account_name, now=now) if new else Verdict()
    return verdict, foretold


def _place(standing: Standing, level: Level) -> ForetoldPlace:
    scope = standing.watch.scope
    return ForetoldPlace(scope.account, scope.key, standing.period.label, level.label, level.height)


def _foretell(
    standing: Standing, forecast: Forecast, new: Sequence[Level], known: AlertsKnown, *, account_name: str, now: datetime
) -> Verdict:
    watch, period, highest = standing.watch, standing.period.label, new[-1]
    speaks = is_news(highest, known.of(Rule.FORECAST, watch.scope.account, watch.scope.key, period), watch.budget)
    alerts = []
    for level in new:
        tells = speaks and level is highest
        matter = Matter(Rule.FORECAST, watch.scope.account, watch.scope.key, level.label, period, level.height)
        alerts.append(
            Alert.begun(
                matter,
                level.severity,
                tells=tells,
                amount=plain(standing.spend.amount),
                summary=f"{watch.name} will probably reach {level_text(level, standing)} in {period}: about {forecast.likely}",
                now=now,
                budget=plain(watch.budget.amount) if watch.budget else "",
            )
        )
    if not speaks:
        return Verdict(tuple(alerts))
    also = tuple(level.label for level in reversed(new[:-1]))
    facts = replace(spend_facts(standing, highest, known, account_name, also=also), forecast=forecast)
    return Verdict(tuple(alerts), (say(alerts[-1], Reason.FIRED, watch.channels, facts, now),))
