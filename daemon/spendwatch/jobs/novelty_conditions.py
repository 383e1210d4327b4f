"""The conditions about what is new in an account's bills, and what is learnt silently before any of it is reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from spendwatch.domain.alert import AlertKey, AlertsKnown, Rule
from spendwatch.domain.commodity import Category
from spendwatch.domain.money import plain
from spendwatch.domain.notification import Facts
from spendwatch.domain.novelty import (
    GROUPED,
    FirstCost,
    Learnt,
    NewValues,
    ended_quotas,
    first_costs,
    learnt,
    new_values,
    threshold_of,
)
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.plans import ORDERED, PlanOrder, cost_of, plan_orders
from spendwatch.domain.policy import FREE_QUOTA, PLANS, AccountPolicy, Part, Policies, Severity
from spendwatch.domain.review import Condition
from spendwatch.domain.scope import BudgetScope, Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import AccountId
from spendwatch.jobs.ledger_view import LedgerView


@dataclass(frozen=True, slots=True)
class Learning:
    """What is to be remembered of what is learnt."""

    new: tuple[Learnt, ...] = ()
    given_up: tuple[Learnt, ...] = ()
    """What is no longer wanted: should it be wanted again, all up to then is to be learnt silently."""


def learning(view: LedgerView, policies: Policies, zone: tzinfo) -> Learning:
    """Return which conditions have just begun to watch an account that has bills, and which have ended to."""
    known = {(one.account, one.what): one for one in view.learnt()}
    wanted = {(policy.account, what) for policy in policies.accounts for what in policy.learns}
    if wanted == known.keys():
        return Learning()
    until, firsts = view.data_until(policies.products), view.ledger.first_days()
    new = (
        learnt(account, what, view.revision, until=until[account], first_day=firsts[account], zone=zone)
        for account, what in sorted(wanted - known.keys())
        if account in until and account in firsts
    )
    return Learning(tuple(new), tuple(one for place, one in known.items() if place not in wanted))


def novelty_conditions(
    view: LedgerView, policies: Policies, known: AlertsKnown, periods: Sequence[BillingPeriod], *, now: datetime
) -> Iterator[Condition]:
    """Yield what is new in bills and was never reported."""
    for policy in policies.accounts:
        if reports := {one.what: one for one in view.learnt() if one.account == policy.account}:
            yield from _Watching(view, policies, policy, known, periods).conditions(reports, now)


def sums_of(
    view: LedgerView,
    policies: Policies,
    account: AccountId,
    periods: Sequence[BillingPeriod],
    by: tuple[Dimension, ...] = GROUPED,
) -> Iterator[SpendSum]:
    """Yield what the account spent in these periods, by everything that may be new."""
    for period in periods:
        for spent in view.spend(period, by, policies.products):
            if spent.values[Dimension.ACCOUNT] == account:
                yield spent


@dataclass(frozen=True, slots=True)
class _Watching:
    """An account that is watched for news."""

    view: LedgerView
    policies: Policies
    policy: AccountPolicy
    known: AlertsKnown
    periods: Sequence[BillingPeriod]

    @property
    def facts(self) -> Facts:
        """What all messages about the account have in common."""
        policy, until = self.policy, self.view.data_until(self.policies.products)
        name, scope = policy.name or policy.account, BudgetScope(policy.account)
        return Facts(scope, account_name=policy.name, name=name, data_until=until.get(policy.account))

    def conditions(self, reports: Mapping[str, Learnt], now: datetime) -> Iterator[Condition]:
        """Yield what is new of the account, given from where on something new is reported."""
        policy, products = self.policy, self.policies.products
        values = [one for one in self.view.charged_values() if one.account == policy.account and one.product in products]
        ended = ended_quotas(values, reports[FREE_QUOTA]) if policy.free_quota and FREE_QUOTA in reports else {}
        yield from self._told(Rule.FREE_QUOTA_ENDED, Severity.WARNING, ended)
        if policy.first:
            # The end of its free quota tells that a model is charged for.
            wanted = {one: report for one in policy.first.of if (report := reports.get(one))}
            new = {value: day for value, day in new_values(values, wanted).items() if value not in ended}
            yield from self._told(Rule.FIRST_COST, Severity.NOTICE, new, policy.first.least)
        if policy.plans and (report := reports.get(PLANS)):
            orders = plan_orders(values, policy.plans)
            fresh = {one.value.rstrip() for one in values if one.dimension is Dimension.ENDS and not report.knows(one)}
            yield from self._ordered([order for order in orders if order.key in fresh])
            yield from self._ending(orders, policy.plans, now)

    def _told(self, rule: Rule, severity: Severity, days: NewValues, least: Decimal = Decimal(0)) -> Iterator[Condition]:
        """Yield news of one rule as one group: a new workspace with a new key and a new model is one message."""
        view, policies, policy, scope = self.view, self.policies, self.policy, BudgetScope(self.policy.account)
        keys = {one: AlertKey(rule, scope, threshold_of(Part(*one))) for one in days}
        days = {one: day for one, day in days.items() if self.known.latest(keys[one]) is None}
        if not days:
            return
        found = first_costs(days, sums_of(view, policies, policy.account, self.periods), policy.currency, policies.names)
        firsts = tuple(one for one in found if one.spent.amount >= least)
        facts = replace(self.facts, firsts=firsts)
        for order, one in enumerate(firsts):
            yield Condition(
                key=keys[one.part.dimension, one.part.value],
                severity=severity,
                summary=f"{facts.name}: {_TOLD[rule]} {first_text(one)}",
                facts=facts,
                channels=policy.channels,
                group=f"{rule}:{policy.account}",
                # The most telling one speaks for all.
                grave=-order,
                amount=plain(one.spent.amount),
            )

    def _ordered(self, orders: Sequence[PlanOrder]) -> Iterator[Condition]:
        """Yield the orders that were not reported, as one group."""
        scope = BudgetScope(self.policy.account)
        new = [order for order in orders if self.known.latest(AlertKey(Rule.PLAN_ORDERED, scope, order.key)) is None]
        facts = replace(self.facts, plans=self._priced(new)) if new else self.facts
        for order in facts.plans:
            text = f"{facts.name}: ordered {plan_text(order)}{f' for {order.spent}' if order.spent else ''}"
            key = AlertKey(Rule.PLAN_ORDERED, scope, order.key)
            yield self._plan(key, Severity.NOTICE, text, facts, group=f"{Rule.PLAN_ORDERED}:{scope.account}")

    def _ending(self, orders: Sequence[PlanOrder], ahead: timedelta, now: datetime) -> Iterator[Condition]:
        """Yield whether what was ordered ends soon; it is over when it has ended, or was renewed."""
        for order in orders:
            end, key = order.ends_at, AlertKey(Rule.PLAN_ENDS, BudgetScope(self.policy.account), order.key)
            if end is None or (end <= now and not ((alert := self.known.latest(key)) and alert.is_firing)):
                continue
            holds = now < end <= now + ahead and order.renewed is None
            facts = replace(self.facts, plans=(order,))
            yield self._plan(key, Severity.WARNING, f"{facts.name}: {plan_text(order)} ends soon", facts, holds=holds)

    def _priced(self, orders: Iterable[PlanOrder]) -> tuple[PlanOrder, ...]:
        sums = tuple(sums_of(self.view, self.policies, self.policy.account, self.periods, ORDERED))
        return tuple(replace(order, spent=cost_of(order, sums, self.policy.currency)) for order in orders)

    def _plan(
        self, key: AlertKey, severity: Severity, text: str, facts: Facts, *, holds: bool = True, group: str = ""
    ) -> Condition:
        return Condition(key, severity, text, facts, self.policy.channels, holds, group=group)


def plan_text(order: PlanOrder) -> str:
    """Return an order for lists: what it is called, its commodity code, and until when."""
    what = order.commodity.label if order.category is Category.OTHER else f"{order.category} ({order.commodity.label})"
    return f"{what}{f' until {order.ends}' if order.ends else ''}"


_TOLD = {Rule.FIRST_COST: "first cost of", Rule.FREE_QUOTA_ENDED: "end of the free quota of"}


def first_text(one: FirstCost) -> str:
    """Return a first cost for lists: what, how much, since when, for what and by whom."""
    what, *by = (f"{part.dimension.value.replace('_', ' ').replace('api', 'API')} {part.label}" for part in (one.part, *one.by))
    named = f"{one.category} ({what})" if one.category else what
    return ", ".join((f"{named}: {one.spent} since {one.day}", *by))
