"""The conditions about what is new in an account's bills, and what is learnt silently before any of it is reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

from spendwatch.domain.alert import AlertKey, Rule
from spendwatch.domain.causes import Part
from spendwatch.domain.money import plain
from spendwatch.domain.notification import Facts
from spendwatch.domain.novelty import GROUPED, ChargedValue, FirstCost, Learnt, first_costs, learnt, threshold_of
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import AccountPolicy, FirstCosts, Policies, Severity
from spendwatch.domain.review import AlertsKnown, Condition
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
    view: LedgerView, policies: Policies, known: AlertsKnown, periods: Sequence[BillingPeriod]
) -> list[Condition]:
    """Return what is new in bills and was never reported."""
    reports = {(one.account, one.what): one for one in view.learnt()}
    found: list[Condition] = []
    for policy in policies.accounts:
        if policy.first:
            found += _first_costs(_Watching(view, policies, policy, known, periods), policy.first, reports)
    return found


@dataclass(frozen=True, slots=True)
class _Watching:
    """An account that is watched for news."""

    view: LedgerView
    policies: Policies
    policy: AccountPolicy
    known: AlertsKnown
    periods: Sequence[BillingPeriod]


def sums_of(view: LedgerView, policies: Policies, account: AccountId, periods: Sequence[BillingPeriod]) -> Iterator[SpendSum]:
    """Yield what the account spent in these periods, by everything that may be new."""
    for period in periods:
        for spent in view.spend(period, GROUPED, policies.products):
            if spent.values[Dimension.ACCOUNT] == account:
                yield spent


def _key(account: AccountId, part: Part) -> AlertKey:
    return AlertKey(Rule.FIRST_COST, BudgetScope(account), threshold_of(part))


def _first_costs(watching: _Watching, wanted: FirstCosts, reports: dict[tuple[AccountId, str], Learnt]) -> Iterator[Condition]:
    """Yield the first costs of an account as one group: a new workspace with a new key and a new model is one message."""
    view, policies, policy = watching.view, watching.policies, watching.policy
    mine = (one for one in view.charged_values() if one.account == policy.account)
    days: dict[tuple[Dimension, str], date] = {}
    for new in mine:
        if _is_new(new, watching, wanted, reports):
            place = new.dimension, new.value
            days[place] = min(new.since, days.get(place, new.since))
    if not days:
        return
    found = first_costs(days, sums_of(view, policies, policy.account, watching.periods), policy.currency, policies.names)
    firsts = tuple(one for one in found if one.spent.amount >= wanted.least)
    until, name = view.data_until(policies.products).get(policy.account), policy.name or policy.account
    facts = Facts(BudgetScope(policy.account), account_name=policy.name, name=name, firsts=firsts, data_until=until)
    for order, one in enumerate(firsts):
        yield Condition(
            key=_key(policy.account, one.part),
            holds=True,
            severity=Severity.NOTICE,
            summary=f"{facts.name}: {first_text(one)}",
            facts=facts,
            channels=policy.channels,
            group=f"first:{policy.account}",
            # The most telling one speaks for all.
            grave=-order,
            amount=plain(one.spent.amount),
        )


def _is_new(one: ChargedValue, watching: _Watching, wanted: FirstCosts, reports: dict[tuple[AccountId, str], Learnt]) -> bool:
    if one.is_free or one.dimension not in wanted.of or one.product not in watching.policies.products:
        return False
    report = reports.get((one.account, one.dimension))
    is_known = report is None or report.knows(one)
    return not is_known and watching.known.latest(_key(one.account, Part(one.dimension, one.value))) is None


def first_text(one: FirstCost) -> str:
    """Return a first cost for lists: what, how much, since when, for what and by whom."""
    by = "".join(f", {part.dimension.value.replace('_', ' ')} {part.label}" for part in one.by)
    what = f"{one.part.dimension.value.replace('_', ' ')} {one.part.label}"
    named = f"{one.category} ({what})" if one.category else what
    return f"first cost of {named}: {one.spent} since {one.day}{by}"
