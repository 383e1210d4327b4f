"""An invented alert that shows what a channel is for. It is never stored."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from spendwatch.domain.alert import AlertId, AlertState, Rule
from spendwatch.domain.causes import Course
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import EXACT, Money, in_cents
from spendwatch.domain.notification import Facts, Notification, NotificationId, Reason
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import AccountPolicy, ChannelName, Policies, Severity, WorkspacePolicy
from spendwatch.domain.report import Cadence, Report, ReportAccount, ReportLine
from spendwatch.domain.routing import Message, digest_of
from spendwatch.domain.scope import BudgetScope, Dimension

OPERATORS = "operators"
"""Among the destinations of a channel: it reports failures of the program's own surroundings."""

_EXAMPLE_BUDGET = Decimal(1000)
_SPENT, _LIKELY, _LOW, _HIGH = Decimal("0.85"), Decimal("1.12"), Decimal("1.04"), Decimal("1.21")
_DAILY = tuple(Decimal(share) for share in ("0.05", "0.06", "0.055", "0.02", "0.065", "0.09", "0.075"))


def sample_alert(channel: ChannelName, policies: Policies, *, who: str, now: datetime, zone: tzinfo) -> Notification:
    """Return a test message: an alert of the first budget that uses the channel, by whom it was asked for, what comes here."""
    month, until, test = BillingPeriod.containing(now, zone), now.astimezone(zone), uuid.uuid4().hex
    every: list[AccountPolicy | WorkspacePolicy] = [*policies.workspaces, *policies.accounts]
    one = next((one for one in every if channel in _channels(one) and one.budget), policies.accounts[0])
    payer = policies.account(one.account) if one.account else None
    payer = payer or policies.accounts[0]

    def part(share: Decimal) -> Money:
        whole = one.budget or _EXAMPLE_BUDGET
        return Money(in_cents(EXACT.multiply(whole, share)), payer.currency)

    first = until.date() - timedelta(days=len(_DAILY) - 1)
    return Notification(
        id=NotificationId(f"test-{test[:16]}"),
        alert=AlertId(f"test-{test[16:]}"),
        rule=Rule.THRESHOLD_REACHED,
        reason=Reason.TEST,
        severity=Severity.NOTICE,
        state=AlertState.FIRING,
        since=now,
        created_at=now,
        channels=(channel,),
        facts=Facts(
            scope=BudgetScope(payer.account, one.workspace if isinstance(one, WorkspacePolicy) else None),
            account_name=payer.name,
            name=_called(one, policies),
            period=month.label,
            spend=part(_SPENT),
            budget=part(Decimal(1)),
            used=_SPENT,
            threshold="80%",
            reached_at=part(Decimal("0.8")),
            next_threshold="100%",
            next_at=part(Decimal(1)),
            forecast=Forecast(month, part(_SPENT), part(_LOW), part(_LIKELY), part(_HIGH), until.date(), until.day),
            course=Course(daily=tuple((first + timedelta(days=day), part(share)) for day, share in enumerate(_DAILY))),
            data_until=until,
            detail="\n".join((who, *dict.fromkeys(_destinations(channel, policies)))),
        ),
    )


def _called(policy: AccountPolicy | WorkspacePolicy, policies: Policies) -> str:
    if isinstance(policy, AccountPolicy):
        return policy.name or policy.account
    return policy.name or policies.names.of(Dimension.WORKSPACE, policy.workspace) or policy.workspace


def _channels(policy: AccountPolicy | WorkspacePolicy) -> set[ChannelName]:
    thresholds = (one for part in (policy, *policy.budgets) for one in part.thresholds)
    escalated = policy.escalate.channels if policy.escalate else ()
    return {*escalated, *(name for part in (policy, *policy.budgets, *thresholds) for name in part.channels)}


def _destinations(channel: ChannelName, policies: Policies) -> Iterator[str]:
    for account in policies.accounts:
        if channel in _channels(account):
            yield _called(account, policies)
    for workspace in policies.workspaces:
        if channel in _channels(workspace):
            yield _called(workspace, policies)
    if channel in policies.operators:
        yield OPERATORS


LIKE = ("alert", "digest", "report")
"""What a test message may look like."""


def sample_like(like: str, sample: Notification) -> Notification:
    """Return the test message as a digest or a report of invented figures, or as it is."""
    facts, month = sample.facts, BillingPeriod.parse(sample.facts.period)
    if like == "digest":
        fired = replace(sample, reason=Reason.FIRED)
        others = (replace(fired, id=NotificationId(f"{sample.id}-{grave}"), severity=grave) for grave in Severity)
        digest = digest_of(sample.channels[0], [Message(one) for one in others], sample.created_at)
        return replace(sample, facts=replace(digest.facts, detail=facts.detail))
    if like == "report" and facts.spend and isinstance(facts.scope, BudgetScope):
        line = ReportLine(facts.name, facts.spend, facts.reached_at, facts.budget, facts.used, facts.next_at)
        account = ReportAccount(
            facts.scope.account, replace(line, name=facts.account_name), (line,), data_until=facts.data_until
        )
        report = Report(Cadence.DAILY, sample.created_at, month.previous().label, is_final=False, accounts=(account,))
        return replace(sample, facts=replace(facts, report=report))
    return sample
