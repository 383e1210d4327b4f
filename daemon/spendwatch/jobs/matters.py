"""One row for all alerts that are about the same: what the gravest of them says, with the figures of now."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from spendwatch.domain.alert import OF_PORTIONS, Acknowledgement, Alert, AlertId, Rule
from spendwatch.domain.balance import Position
from spendwatch.domain.forecast import Runway
from spendwatch.domain.money import Money, percent
from spendwatch.domain.policy import Severity
from spendwatch.domain.scope import AlertScope, BudgetScope
from spendwatch.domain.standing import Standing, gravity
from spendwatch.domain.statement import AccountId


class BalanceNow(NamedTuple):
    """An account's balance, and how long it lasts."""

    name: str
    position: Position
    runway: Runway | None


class Figures(NamedTuple):
    """What is known now."""

    standings: Mapping[AlertScope, Standing]
    likely: Mapping[AlertScope, Money]
    """What budgets will probably have counted at the end of the month."""
    balances: Mapping[AccountId, BalanceNow]


class MatterLine(NamedTuple):
    """What several firing alerts are about together."""

    alerts: tuple[Alert, ...]
    """The gravest first."""
    severity: Severity
    """As it is now: a total that fell leaves its alerts as they are."""
    text: str
    reached: tuple[str, ...]
    """The thresholds, floors and times that were reached, the mildest first."""
    notified: int
    """How many deliveries of all these alerts arrived."""
    is_undelivered: bool
    """Whether a notification of one of them reached nobody."""
    acknowledged: Acknowledgement | None = None
    """Who takes care of it."""

    @property
    def rule(self) -> Rule:
        """That of the gravest alert."""
        return self.alerts[0].key.rule


def matter_lines(
    firing: Iterable[Alert],
    figures: Figures,
    notified: Mapping[AlertId, int],
    undelivered: Container[AlertId],
    acknowledged: Mapping[AlertId, Acknowledgement],
) -> tuple[MatterLine, ...]:
    """Return what firing alerts are about, the gravest matter first."""
    found: dict[object, list[Alert]] = {}
    for alert in firing:
        found.setdefault(alert.key.matter, []).append(alert)
    lines = []
    for alerts in found.values():
        alerts.sort(key=_gravity, reverse=True)
        severity, text = _now(alerts, figures)
        mildest = sorted(alerts, key=lambda alert: (alert.key.rule is Rule.FORECAST, _gravity(alert)))
        labels = dict.fromkeys(filter(None, map(_reached, mildest)))
        arrived = sum(notified.get(alert.id, 0) for alert in alerts)
        is_lost = any(alert.id in undelivered for alert in alerts)
        said = acknowledged.get(alerts[0].id)
        lines.append(MatterLine(tuple(alerts), severity, text, tuple(labels), arrived, is_lost, said))
    return tuple(sorted(lines, key=lambda line: _order(line, figures)))


def _order(line: MatterLine, figures: Figures) -> tuple[int, int, Decimal, str]:
    """Return by what matters are sorted: how grave, balances before budgets before the rest, the most used budget first."""
    first = line.alerts[0]
    standing = figures.standings.get(first.key.scope)
    kind = 0 if line.rule.is_about_balance else 1 if line.rule.is_about_spend else 2
    return -line.severity.rank, kind, -((standing.used if standing else None) or _NOTHING), first.summary


_BALANCE = (Rule.RUNWAY, Rule.BALANCE_LOW, Rule.OVERDUE)
_SPEND = (Rule.CORRECTED, Rule.FORECAST, Rule.THRESHOLD_REACHED, *OF_PORTIONS)
_NOTHING = Decimal(0)


def _gravity(alert: Alert) -> tuple[int, int, Decimal, str]:
    """Return by what alerts of one matter are compared: of two floors the lower one is graver."""
    rule, key = alert.key.rule, alert.key
    if rule.is_about_balance:
        return alert.severity.rank, _BALANCE.index(rule), -_amount(key.threshold), alert.id
    # Of what was reported together, the one that was spoken of stands first.
    order = _SPEND.index(rule) if rule.is_about_spend else int(alert.told_at is not None)
    return alert.severity.rank, order, _amount(key.height), alert.id


def _amount(text: str) -> Decimal:
    number = text.rstrip("dhms")
    return Decimal(number) if number.replace(".", "", 1).isdecimal() else _NOTHING


def _reached(alert: Alert) -> str:
    threshold = alert.key.threshold
    match alert.key.rule:
        case Rule.OVERDUE:
            return "overdue"
        case Rule.BALANCE_LOW:
            return f"below {threshold}"
        case Rule.RUNWAY:
            return f"runway {threshold}"
        case (
            Rule.THRESHOLD_REACHED
            | Rule.FORECAST
            | Rule.FIRST_COST
            | Rule.FREE_QUOTA_ENDED
            | Rule.CONSOLE
            | Rule.UNASSIGNED_SPEND
            | Rule.UNTAGGED
        ):
            return threshold.partition(":")[2] or threshold
        case _:
            return ""


def _now(alerts: Sequence[Alert], figures: Figures) -> tuple[Severity, str]:
    """Return how grave a matter is, and what there is to say; where no figure is known, what was said when it fired."""
    first = alerts[0]
    scope = first.key.scope
    if first.key.rule.is_about_spend and isinstance(scope, BudgetScope):
        standing = figures.standings.get(scope)
        if standing and standing.period.label == first.key.period:
            return _spend_now(alerts, standing, figures.likely.get(scope))
    elif first.key.rule.is_about_balance and (balance := figures.balances.get(scope.account)):
        return first.severity, _balance_now(alerts, balance)
    is_one_of_many = len(alerts) > 1 and (first.key.rule.is_about_news or first.key.rule is Rule.SPIKE)
    more = f", and {len(alerts) - 1} more" if is_one_of_many else ""
    return first.severity, f"{first.summary}{more}"


def _spend_now(alerts: Sequence[Alert], standing: Standing, likely: Money | None) -> tuple[Severity, str]:
    watch, used = standing.watch, standing.used
    now, worst = gravity(standing) or Severity.NOTICE, max((alert.severity for alert in alerts), key=lambda one: one.rank)
    expected, left = "", standing.remaining
    is_forecast = any(alert.key.rule is Rule.FORECAST for alert in alerts) and (left is None or left.amount > 0)
    if is_forecast and likely and likely.amount > standing.spend.amount:
        now, expected = max(now, Severity.WARNING, key=lambda one: one.rank), f", about {likely} expected this month"
    is_back = now.rank < worst.rank or all(alert.key.rule is Rule.CORRECTED for alert in alerts)
    if watch.budget is None or used is None:
        verb = "is back at" if is_back else "is at" if watch.scope.portion else "spent"
        what = f"{verb} {standing.spend}"
    else:
        what = f"{'is back at' if is_back else 'used'} {percent(used)} of {watch.budget}"
    when = f" {standing.period.within}" if watch.scope.per.is_short else ""
    return now, f"{watch.name} {what}{watch.scope.note}{when}{expected}"


def _balance_now(alerts: Sequence[Alert], balance: BalanceNow) -> str:
    available = balance.position.available
    if available.amount < 0:
        return f"{balance.name} is overdue by {Money(-available.amount, available.currency)}: recharge now"
    floors = [Decimal(alert.key.threshold) for alert in alerts if alert.key.rule is Rule.BALANCE_LOW]
    below = f", less than {Money(min(floors), available.currency)}" if floors else ""
    zero = balance.runway.zero.likely if balance.runway else None
    return f"{balance.name} has {available} left{below}" + (f", enough until about {zero}" if zero else "")
