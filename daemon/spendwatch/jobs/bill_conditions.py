"""The conditions between bills: final months that changed, series that differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from spendwatch.domain.alert import AlertKey, Rule
from spendwatch.domain.discrepancy import Disagreement, Discrepancy
from spendwatch.domain.money import plain
from spendwatch.domain.notification import Facts
from spendwatch.domain.period import BillingPeriod, days_text
from spendwatch.domain.policy import Policies, Severity
from spendwatch.domain.review import ONE_SHOT_LASTS, Condition
from spendwatch.domain.scope import NamedScope, Subject
from spendwatch.domain.series_selection import authorities, differences, uncounted
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.jobs.ledger_view import LedgerView

TELLABLE = Decimal("0.01")
"""A smaller change of a final month is the provider's rounding, which drops decimals from the third on at settlement."""

LATE_WATCHED = timedelta(days=10)
"""For how long after a late bill the thresholds of its month are judged once more."""


def late_periods(changes: Sequence[Discrepancy]) -> tuple[BillingPeriod, ...]:
    """Return the final months that changed."""
    return tuple(sorted({change.period for change in changes}))


def bill_conditions(
    view: LedgerView,
    late: Iterable[Discrepancy],
    policies: Policies,
    periods: Sequence[BillingPeriod],
    *,
    sources: Collection[SourceName],
    now: datetime,
) -> list[Condition]:
    """Return where bills do not agree.

    Of late bills only those are reported that changed a final month by a cent at least.
    """
    found = [one for one in late if one.at and now - one.at < ONE_SHOT_LASTS and one.size >= TELLABLE]
    for period in periods:
        totals = view.totals(period)
        counts = authorities(totals, policies.products)
        found += differences(totals, policies.products, counts)
        found += uncounted(totals, policies.products, counts)
        told = (check.discrepancy for check in view.ledger.checks(period) if check.source in sources)
        found += [one for one in told if one]
    until = view.data_until(policies.products)
    return [condition for one in found if (condition := _condition(one, policies, until))]


def _condition(one: Discrepancy, policies: Policies, until: Mapping[AccountId, datetime]) -> Condition | None:
    if (policy := policies.account(one.account)) is None:
        return None
    name, period = policy.name or policy.account, one.period.label
    is_late = one.kind is Disagreement.FINAL_MONTH
    key, severity, what = _described(one)
    return Condition(
        key=key,
        severity=severity,
        summary=f"{period} of {name} {what}" if is_late else f"bills of {name} for {period} do not agree: {what}",
        facts=Facts(
            scope=key.scope,
            account_name=policy.name,
            name=name,
            period=period,
            spend=one.counted if is_late else None,
            discrepancy=one,
            data_until=until.get(one.account),
        ),
        channels=policy.channels if is_late else policies.operators,
        amount=plain(one.counted.amount),
        remind=None if is_late else policies.operators_remind,
        escalate=None if is_late else policies.operators_escalate,
    )


def _described(one: Discrepancy) -> tuple[AlertKey, Severity, str]:
    """Return what it is about, how grave it is, and what lists say of it."""
    period = one.period.label
    month, series = NamedScope(Subject.MONTH, period, one.account), NamedScope(Subject.SERIES, one.series, one.account)
    match one.kind:
        case Disagreement.FINAL_MONTH:
            what = f"was final at {one.other}; a late bill makes it {one.counted}"
            return AlertKey(Rule.LATE, month, one.digest[:12]), Severity.WARNING, what
        case Disagreement.AMOUNTS:
            what = f"{one.counts} has {one.counted}, {one.series} has {one.other}"
            return AlertKey(Rule.DIFFERING, series, one.counts, period), Severity.NOTICE, what
        case Disagreement.DAYS:
            # Beside the difference on common days: either is reported on its own.
            what = f"is not counted: {one.counts} counts and lacks these days, {one.series} has them"
            key = AlertKey(Rule.DIFFERING, series, f"{one.counts} lacks days", period)
            return key, Severity.WARNING, f"{one.lacking} of {days_text(one.days)} {what}"
        case Disagreement.TOTAL:
            source = NamedScope(Subject.SOURCE, one.source, one.account)
            what = f"{one.source}: days {one.counted}, total {one.other}"
            return AlertKey(Rule.DIFFERING, source, one.counted.currency, period), Severity.NOTICE, what
