"""The conditions between bills: final months that changed, series that differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from spendwatch.domain.alert import Matter, Rule
from spendwatch.domain.authority import Difference, Uncounted, authorities, differences, uncounted
from spendwatch.domain.cross_check import CrossCheck
from spendwatch.domain.late import LateChange
from spendwatch.domain.layouts import API_LAYOUT
from spendwatch.domain.money import Money, plain
from spendwatch.domain.notification import Facts
from spendwatch.domain.period import BillingPeriod, days_text
from spendwatch.domain.policy import AccountPolicy, Policies, Severity
from spendwatch.domain.review import ONE_SHOT_LASTS, Finding
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.jobs.ledger_view import LedgerView

MONTH_TOTAL = "month_total"
"""How the provider's own total is called where it stands beside a series of bills. It never counts."""

TELLABLE = Decimal("0.01")
"""A smaller change of a final month is the provider's rounding, which drops decimals from the third on at settlement."""

LATE_WATCHED = timedelta(days=10)
"""For how long after a late bill the thresholds of its month are judged once more."""


def late_periods(changes: Sequence[LateChange]) -> tuple[BillingPeriod, ...]:
    """Return the final months that changed."""
    return tuple(sorted({change.period for change in changes}))


Reach = Mapping[AccountId, datetime]
"""Up to when each account's bills reach."""


def late_findings(changes: Sequence[LateChange], policies: Policies, until: Reach, now: datetime) -> list[Finding]:
    """Return that bills changed a month after it should have been final, by a cent at least."""
    fresh = (change for change in changes if now - change.at < ONE_SHOT_LASTS and change.size >= TELLABLE)
    found = ((change, policies.account(change.account)) for change in fresh)
    return [_late(change, policy, until) for change, policy in found if policy]


def _late(change: LateChange, policy: AccountPolicy, until: Reach) -> Finding:
    name, period = policy.name or policy.account, change.period.label
    scope = f"month:{period}"
    return Finding(
        matter=Matter(Rule.LATE, change.account, scope, change.digest[:12], ""),
        holds=True,
        severity=Severity.WARNING,
        group=f"late:{change.account}:{period}:{change.digest}",
        grave=0,
        summary=f"{period} of {name} was final at {change.before}; a late bill makes it {change.after}",
        facts=Facts(
            account=change.account,
            account_name=policy.name,
            scope=scope,
            name=name,
            period=period,
            spend=change.after,
            before=change.before,
            bills=(change.name,),
            data_until=until.get(change.account),
        ),
        channels=policy.channels,
        amount=plain(change.after.amount),
    )


def difference_findings(view: LedgerView, policies: Policies, periods: Sequence[BillingPeriod], until: Reach) -> list[Finding]:
    """Return where two series of an open month do not agree: about days that both tell completely, or what days there are."""
    found: list[Finding] = []
    for period in periods:
        totals = view.totals(period)
        counts = authorities(totals, policies.products)
        differing = differences(totals, policies.products, counts)
        known = ((difference, policies.account(difference.counts.account)) for difference in differing)
        found += [_differing(difference, policy, policies, until) for difference, policy in known if policy]
        missing = ((one, policies.account(one.counts.account)) for one in uncounted(totals, policies.products, counts))
        found += [_missing(one, policy, policies, until) for one, policy in missing if policy]
    return found


def check_findings(
    view: LedgerView, policies: Policies, periods: Sequence[BillingPeriod], sources: Collection[SourceName], until: Reach
) -> list[Finding]:
    """Return where the days of a source have not caught up with the provider's own total of the month, or it not with them."""
    checks = (check for period in periods for check in view.ledger.checks(period))
    told = ((check, policies.account(check.account)) for check in checks if check.source in sources and check.is_told)
    return [_unequal(check, policy, policies, until) for check, policy in told if policy]


def _unequal(check: CrossCheck, policy: AccountPolicy, policies: Policies, until: Reach) -> Finding:
    days, total = Money(check.days, check.currency), Money(check.total, check.currency)
    scope, period = f"source:{check.source}", check.period.label
    return _disagreeing(
        Matter(Rule.DIFFERING, policy.account, scope, check.currency, period),
        Severity.NOTICE,
        f"total:{policy.account}:{period}:{check.source}:{check.currency}",
        f"{check.source}: days {days}, total {total}",
        Facts(scope=scope, series=((API_LAYOUT, days), (MONTH_TOTAL, total))),
        policy=policy,
        policies=policies,
        until=until,
    )


def _differing(difference: Difference, policy: AccountPolicy, policies: Policies, until: Reach) -> Finding:
    counts, other, period = difference.counts.series, difference.other.series, difference.counts.period.label
    counted, told = Money(difference.counted, difference.currency), Money(difference.told, difference.currency)
    return _disagreeing(
        Matter(Rule.DIFFERING, policy.account, f"series:{other}", counts, period),
        Severity.NOTICE,
        f"differing:{policy.account}:{period}:{other}",
        f"{counts} has {counted}, {other} has {told}",
        Facts(scope=f"series:{other}", series=((counts, counted), (other, told)), days=len(difference.days)),
        policy=policy,
        policies=policies,
        until=until,
    )


def _missing(one: Uncounted, policy: AccountPolicy, policies: Policies, until: Reach) -> Finding:
    counts, other, period = one.counts.series, one.other.series, one.counts.period.label
    amount, counted, told = (Money(each, one.currency) for each in (one.amount, one.counted, one.told))
    series = ((counts, counted), (other, told))
    return _disagreeing(
        # Beside the matter of days that both tell: that one was told does not say the other.
        Matter(Rule.DIFFERING, policy.account, f"series:{other}", f"{counts} lacks days", period),
        Severity.WARNING,
        f"uncounted:{policy.account}:{period}:{other}",
        f"{amount} of {days_text(one.days)} is not counted: {counts} counts and lacks these days, {other} has them",
        Facts(scope=f"series:{other}", series=series, uncounted=amount, uncounted_on=one.days),
        policy=policy,
        policies=policies,
        until=until,
    )


def _disagreeing(
    matter: Matter,
    severity: Severity,
    group: str,
    what: str,
    facts: Facts,
    *,
    policy: AccountPolicy,
    policies: Policies,
    until: Reach,
) -> Finding:
    """Return that bills of a month do not agree; the first of the series in the facts is the one that counts."""
    name, period = policy.name or policy.account, matter.period
    (_, counted), *_ = facts.series
    told = replace(
        facts,
        account=policy.account,
        account_name=policy.name,
        name=name,
        period=period,
        data_until=until.get(policy.account),
    )
    return Finding(
        matter=matter,
        holds=True,
        severity=severity,
        group=group,
        grave=0,
        summary=f"bills of {name} for {period} do not agree: {what}",
        facts=told,
        channels=policies.operators,
        amount=plain(counted.amount),
    )
