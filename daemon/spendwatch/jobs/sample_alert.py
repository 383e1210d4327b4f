"""An invented alert that shows what a channel is for. It is never stored."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal

from spendwatch.domain.alert import AlertId, AlertState, Rule
from spendwatch.domain.causes import Course, Part
from spendwatch.domain.commodity import Category
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import EXACT, Money, in_cents
from spendwatch.domain.month_close import ClosedMonth, FinalFigure
from spendwatch.domain.notification import Facts, Notification, NotificationId, Reason
from spendwatch.domain.novelty import FirstCost
from spendwatch.domain.period import BillingPeriod, PeriodKind
from spendwatch.domain.plans import PlanOrder
from spendwatch.domain.policy import AccountPolicy, ChannelName, Policies, Severity, WorkspacePolicy
from spendwatch.domain.report import Cadence, Report, ReportAccount, ReportLine
from spendwatch.domain.routing import Message, digest_of
from spendwatch.domain.scope import BudgetScope, Counts, Dimension, Portion
from spendwatch.domain.spike import SpendOn, Spike

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


LIKE = ("alert", "daily", "console_spend", "spike", "first", "free_quota", "plans", "month_closed", "digest", "report")
"""What a test message may look like; by the key of the configuration that asks for such messages."""
_N, _W = Severity.NOTICE, Severity.WARNING
_GRAVE = (_W, Severity.CRITICAL, _W, _W, _N, _W, _W, _N)


def sample_like(like: str, sample: Notification) -> Notification:
    """Return the test message with the invented figures of another kind, or as it is."""
    facts, month = sample.facts, BillingPeriod.parse(sample.facts.period)
    scope, spend = facts.scope, facts.spend
    if spend is None or not isinstance(scope, BudgetScope):
        return sample
    if like == "digest":
        shapes = ((one, grave) for one, grave in zip(LIKE, _GRAVE, strict=False))
        others = [
            replace(sample_like(one, sample), id=NotificationId(f"{sample.id}-{one}"), severity=grave) for one, grave in shapes
        ]
        news = [Message(replace(one, reason=Reason.FIRED, facts=replace(one.facts, detail=""))) for one in others]
        digest = digest_of(sample.channels[0], news, sample.created_at)
        return replace(sample, facts=replace(digest.facts, detail=facts.detail))
    if like == "report":
        line = ReportLine(facts.name, spend, facts.reached_at, facts.budget, facts.used, facts.next_at)
        account = ReportAccount(scope.account, replace(line, name=facts.account_name), (line,), data_until=facts.data_until)
        report = Report(Cadence.DAILY, sample.created_at, month.previous().label, is_final=False, accounts=(account,))
        return replace(sample, facts=replace(facts, report=report))
    return _of_rule(like, sample, scope, spend, facts.course.daily)


def _of_rule(
    like: str, sample: Notification, scope: BudgetScope, spend: Money, daily: Sequence[tuple[date, Money]]
) -> Notification:
    facts, (day, cost) = sample.facts, daily[-1]
    low, high = daily[3][1], daily[2][1]
    of_day = replace(facts, forecast=None, next_threshold="", next_at=None)
    new = Facts(scope, facts.account_name, facts.name, detail=facts.detail, data_until=facts.data_until)
    search, model = Part(Dimension.ITEM, "enable_search"), Part(Dimension.MODEL, "qwen-max")
    plan, ends = Part(Dimension.COMMODITY, "sfm_codingplan_public_cn"), day + timedelta(days=7)
    name, figure = facts.name, FinalFigure(facts.name, scope.label, spend, facts.budget, facts.reached_at)
    before = BillingPeriod.parse(facts.period).previous().label
    console, paid = replace(scope, budget=Portion.CONSOLE, counts=Counts.PAY_AS_YOU_GO), Counts.PAY_AS_YOU_GO
    spike = Spike(day, SpendOn(name, scope.label, cost, low, high), low, is_complete=False)
    shapes = {
        "daily": (sample.rule, replace(of_day, scope=replace(scope, per=PeriodKind.DAY), period=day.isoformat())),
        "console_spend": (
            Rule.CONSOLE,
            replace(
                of_day, scope=console, name=f"{name}: {Portion.CONSOLE}", counts=paid, budget=None, used=None, threshold=""
            ),
        ),
        "spike": (Rule.SPIKE, replace(new, spike=spike, course=facts.course)),
        "first": (Rule.FIRST_COST, replace(new, firsts=(FirstCost(search, day, cost, (model,), Category.WEB_SEARCH),))),
        "free_quota": (Rule.FREE_QUOTA_ENDED, replace(new, firsts=(FirstCost(model, day, cost),))),
        "plans": (Rule.PLAN_ENDS, replace(new, plans=(PlanOrder(plan, Category.CODING_PLAN, day, str(ends)),))),
        "month_closed": (
            Rule.MONTH_CLOSED,
            replace(of_day, period=before, threshold="", reached_at=None, closed=ClosedMonth((figure,), (), ())),
        ),
    }
    rule, shown = shapes.get(like, (sample.rule, facts))
    return replace(sample, rule=rule, facts=shown)
