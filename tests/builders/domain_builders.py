"""Builders for the domain's tests: policies, standings, and a book that remembers what a review decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from spendwatch.domain.alert import Acknowledgement, Alert, AlertKey, AlertsKnown, Rule
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.forecast_alerts import Foretold, false_before, forecast_conditions, not_reached
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.period import BillingPeriod, month_of
from spendwatch.domain.policy import ChannelName, Severity, Threshold, Watch
from spendwatch.domain.review import Condition, Verdict, review_conditions
from spendwatch.domain.scope import BudgetScope
from spendwatch.domain.standing import Split, Standing
from spendwatch.domain.statement import AccountId, WorkspaceId
from spendwatch.domain.thresholds import threshold_conditions

CNY = Currency("CNY")
USD = Currency("USD")
ACME = AccountId("1000000000000001")
RESEARCH = WorkspaceId("llm-demo0a1b2c3d4e")
SEPTEMBER = BillingPeriod(2026, 9)
NOW = datetime(2026, 9, 16, 4, 0, tzinfo=UTC)
FINANCE = ChannelName("finance")


def cny(amount: str | int | Decimal) -> Money:
    return Money(Decimal(amount), CNY)


def share(percent: str | int) -> Threshold:
    return Threshold(share=Decimal(percent) / 100)


def amount(value: str | int) -> Threshold:
    return Threshold(amount=Decimal(value))


def a_watch(
    *thresholds: Threshold,
    budget: str | int | Decimal | None = 1000,
    remind: timedelta | None = None,
    scope: BudgetScope | None = None,
) -> Watch:
    return Watch(
        scope=scope or BudgetScope(ACME, RESEARCH),
        name="Research",
        currency=CNY,
        budget=None if budget is None else cny(budget),
        thresholds=thresholds or (share(50), share(80), share(100)),
        channels=(FINANCE,),
        remind=remind,
        account_name="acme",
    )


def standing(spend: str | int | Decimal, watch: Watch | None = None, period: BillingPeriod = SEPTEMBER) -> Standing:
    return Standing(watch or a_watch(), period, cny(spend), 1, (), NOW, Split(cny(spend), cny(0)))


def review_standing(standing: Standing, known: AlertsKnown, *, now: datetime) -> Verdict:
    return review_conditions(threshold_conditions(standing, known), known, now=now)


def review_forecast(
    standing: Standing, forecast: Forecast | None, known: AlertsKnown, held: Foretold, *, now: datetime
) -> tuple[Verdict, Foretold]:
    """Review the forecast of a budget as a round does, whose month is the only one that may still change."""
    month = month_of(standing.period.label)
    reported = not_reached(held, [standing], known, month)
    was_false = standing.watch.scope in false_before(reported, month)
    conditions, foretold = forecast_conditions(standing, forecast, known, held, was_false=was_false)
    return review_conditions(conditions, known, now=now), {**reported, **foretold}


class Book:
    """Keeps alerts as the alert book does: by identity, a later word replacing an earlier one."""

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self.said: list[Notification] = []
        self.acknowledgements: list[Acknowledgement] = []
        self.now = NOW

    def known(self) -> AlertsKnown:
        return AlertsKnown(self.alerts.values(), self.acknowledgements)

    def enter(self, verdict: Verdict) -> tuple[Notification, ...]:
        identities = [alert.id for alert in verdict.alerts]
        assert len(set(identities)) == len(identities), "one alert twice in one verdict"
        for alert in verdict.alerts:
            self.alerts[alert.id] = alert
        ids = {notification.id for notification in self.said}
        for notification in verdict.notifications:
            assert notification.id not in ids, "one identity for two different notifications"
            assert notification.alert in self.alerts
            ids.add(notification.id)
        self.said.extend(verdict.notifications)
        return verdict.notifications

    def spend(self, spent: str | int | Decimal, watch: Watch | None = None) -> tuple[Notification, ...]:
        return self.enter(review_standing(standing(spent, watch), self.known(), now=self.now))

    def find(self, *conditions: Condition) -> tuple[Notification, ...]:
        return self.enter(review_conditions(conditions, self.known(), now=self.now))

    def of(self, rule: Rule) -> list[Notification]:
        return [notification for notification in self.said if notification.rule is rule]


def told(notifications: Iterable[Notification]) -> list[tuple[str, str, tuple[str, ...]]]:
    """What was said, in short: reason, threshold, and for which others it spoke."""
    return [(said.reason.value, said.facts.threshold, said.facts.also) for said in notifications]


def a_floor(level: int, *, holds: bool, remind: timedelta | None = None, group: str = "balance:acme") -> Condition:
    """Tell that the balance is, or is not, below a floor; level 0 is being overdue."""
    rule = Rule.BALANCE_LOW if level else Rule.OVERDUE
    label = str(level) if level else ""
    return Condition(
        key=AlertKey(rule, BudgetScope(ACME), label),
        holds=holds,
        severity=Severity.WARNING if level else Severity.CRITICAL,
        group=group,
        grave=-level,
        summary=f"below {level}",
        facts=Facts(scope=BudgetScope(ACME), threshold=label),
        channels=(FINANCE,),
        amount="1",
        remind=remind,
    )


def floors(available: int, levels: Sequence[int] = (1000, 500), *, remind: timedelta | None = None) -> tuple[Condition, ...]:
    return (
        *(a_floor(level, holds=available < level, remind=remind) for level in levels),
        a_floor(0, holds=available < 0, remind=remind),
    )
