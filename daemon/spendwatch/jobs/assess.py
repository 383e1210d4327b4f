"""From the ledger to the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from spendwatch.domain.alert import Rule
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import BillingPeriod, open_periods
from spendwatch.domain.policy import Policies, Watch, watches
from spendwatch.domain.review import AlertsKnown, Verdict, expire, review_findings
from spendwatch.domain.scope import MATCHABLE, Dimension
from spendwatch.domain.standing import SpendSum, Standing, course_of, reckon, seen_workspaces
from spendwatch.domain.thresholds import review_standing
from spendwatch.jobs.bill_conditions import LATE_WATCHED, check_findings, difference_findings, late_findings, late_periods
from spendwatch.jobs.conditions import Surroundings, balance_findings, balance_of, foreign_findings, health_findings
from spendwatch.jobs.lagging import Lagging
from spendwatch.jobs.ports import AlertBook, Health, Ledger

_GROWTH_DAYS = 7


def assess(ledger: Ledger, book: AlertBook, health: Health, around: Surroundings, *, now: datetime) -> int:
    """Judge everything that is watched and commit alerts with their deliveries; return how many deliveries are new."""
    known = AlertsKnown(book.known())
    periods = open_periods(now, around.zone, final_on=around.policies.month_final_on)
    verdicts: list[Verdict] = []
    findings = health_findings(health, ledger, around, known, now)
    late = ledger.late(now - LATE_WATCHED)
    until = ledger.data_until(around.policies.products)
    findings += late_findings(late, around.policies, until, now) + difference_findings(ledger, around.policies, periods, until)
    findings += check_findings(ledger, around.policies, periods, around.stale_after, until)
    judged = (*(period for period in late_periods(late) if period not in periods), *periods)
    watched: dict[tuple[str, str], Watch] = {}
    for period in judged:
        standings = stand(ledger, around.policies, period)
        watched |= {(standing.watch.scope.account, standing.watch.scope.key): standing.watch for standing in standings}
        names: dict[str, str] = {policy.account: policy.name for policy in around.policies.accounts}
        for standing in standings:
            name = names.get(standing.watch.scope.account, "")
            verdicts.append(review_standing(standing, known, account_name=name, now=now))
        findings += foreign_findings(standings, names)
    for policy in around.policies.accounts:
        if balance := balance_of(policy, ledger, periods, products=around.policies.products):
            findings += balance_findings(policy, balance, ledger, known, now.astimezone(around.zone).date())
    verdicts.append(review_findings(findings, known, now=now))
    verdicts.append(expire(known, findings, frozenset(period.label for period in judged), now=now))
    alerts = tuple(alert for verdict in verdicts for alert in verdict.alerts)
    said = tuple(notification for verdict in verdicts for notification in verdict.notifications)
    if not alerts and not said:
        return 0
    said = Lagging(ledger, around.policies, periods[-1]).noted_in(_with_growth(said, ledger, around.policies, watched))
    return book.commit(Verdict(alerts, said), around.targets, now=now)


def stand(ledger: Ledger, policies: Policies, period: BillingPeriod) -> tuple[Standing, ...]:
    """Return the standing of every watched budget in one period."""
    finer = any(policy.budgets for policy in policies.accounts) or any(policy.budgets for policy in policies.workspaces)
    sums = ledger.spend(period, _dimensions(finer=finer), products=policies.products)
    return reckon(watches(policies, seen_workspaces(sums)), sums, period, ledger.data_until(policies.products))


def _dimensions(*, finer: bool) -> tuple[Dimension, ...]:
    base = (Dimension.ACCOUNT, Dimension.WORKSPACE)
    return (*base, *MATCHABLE, Dimension.TAGS) if finer else base


def _with_growth(
    said: tuple[Notification, ...], ledger: Ledger, policies: Policies, watched: Mapping[tuple[str, str], Watch]
) -> tuple[Notification, ...]:
    if not any(_is_of_spend(one) for one in said):
        return said
    history = _History(ledger, policies.products, finer=any("/" in one.facts.scope for one in said))
    return tuple(_grown(one, history, watched) if _is_of_spend(one) else one for one in said)


def _is_of_spend(said: Notification) -> bool:
    return said.rule in {Rule.THRESHOLD_REACHED, Rule.CORRECTED}


def _grown(said: Notification, history: _History, watched: Mapping[tuple[str, str], Watch]) -> Notification:
    watch = watched.get((said.facts.account, said.facts.scope))
    if watch is None:
        return said
    period = BillingPeriod.parse(said.facts.period)
    sums, last = history.of(watch, period)
    if last is None:
        return said
    course = course_of(sums, watch, last=last, days=_GROWTH_DAYS)
    return replace(said, facts=replace(said.facts, growth=course.growth, daily=course.daily))


class _History:
    """The last days' spend, fetched once for all notifications of a round."""

    def __init__(self, ledger: Ledger, products: Sequence[str], *, finer: bool) -> None:
        self._ledger = ledger
        self._products = products
        self._finer = finer
        self._fetched: dict[BillingPeriod, tuple[Mapping[tuple[str, str], Sequence[SpendSum]], date | None]] = {}

    def of(self, watch: Watch, period: BillingPeriod) -> tuple[Sequence[SpendSum], date | None]:
        """Return the sums that the watch may be made of, by day, and the last day with any."""
        if period not in self._fetched:
            self._fetched[period] = self._fetch(period)
        grouped, last = self._fetched[period]
        return grouped.get((watch.scope.account, watch.scope.workspace or ""), ()), last

    def _fetch(self, period: BillingPeriod) -> tuple[Mapping[tuple[str, str], Sequence[SpendSum]], date | None]:
        by = tuple(dict.fromkeys((*_dimensions(finer=self._finer), Dimension.DAY, Dimension.MODEL, Dimension.TYPE)))
        rows = list(self._ledger.spend(period, by, products=self._products))
        days = [date.fromisoformat(row.values[Dimension.DAY]) for row in rows]
        last = max((day for day in days if day in period), default=None)
        if last is None:
            return {}, None
        first = last - timedelta(days=2 * _GROWTH_DAYS - 1)
        rows = [row for row, day in zip(rows, days, strict=True) if day >= first]
        if first < period.first_day:
            rows += self._ledger.spend(period.previous(), by, products=self._products, days=(first, period.first_day))
        grouped: dict[tuple[str, str], list[SpendSum]] = {}
        for row in rows:
            account, workspace = row.values[Dimension.ACCOUNT], row.values[Dimension.WORKSPACE]
            grouped.setdefault((account, workspace), []).append(row)
            if workspace:
                grouped.setdefault((account, ""), []).append(row)
        return grouped, last
