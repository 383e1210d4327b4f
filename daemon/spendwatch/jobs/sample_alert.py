"""Invented messages, one of every rule and reason: for `notify-test` and for the check of templates. They are never stored."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import TypeAlias

from spendwatch.domain.alert import AlertId, AlertState, Rule
from spendwatch.domain.balance import Billed, Position
from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.balance_watch import TopUp
from spendwatch.domain.causes import Cause, Causes, Course, Main, Spender
from spendwatch.domain.commodity import Category, Cover, Exposure
from spendwatch.domain.delivery import Cadence, NotificationId, Reason
from spendwatch.domain.discrepancy import Disagreement, Discrepancy
from spendwatch.domain.failure import Failure
from spendwatch.domain.forecast import Crossing, Forecast, Runway
from spendwatch.domain.money import EXACT, Currency, Money, in_cents
from spendwatch.domain.month_close import ClosedMonth, FinalFigure
from spendwatch.domain.notification import Drill, Facts, Message, Notification
from spendwatch.domain.novelty import FirstCost
from spendwatch.domain.period import BillingPeriod, PeriodKind, ShortPeriod
from spendwatch.domain.plans import PlanOrder
from spendwatch.domain.policy import AccountPolicy, ChannelName, Part, Policies, Severity, WorkspacePolicy
from spendwatch.domain.report import Report, ReportAccount, ReportLine
from spendwatch.domain.routing import digest_of
from spendwatch.domain.scope import BudgetScope, Counts, Dimension, NamedScope, Portion, Subject
from spendwatch.domain.spike import SpendOn, Spike

OPERATORS = "operators"
"""Among the destinations of a channel: it reports failures of the program's own surroundings."""
FIRST = "threshold"
"""The sample that is sent unless another one is asked for."""

_EXAMPLE_BUDGET = Decimal(1000)
_DAILY = ("0.05", "0.06", "0.055", "0.02", "0.065", "0.09", "0.075")
_MODEL, _SEARCH = Part(Dimension.MODEL, "qwen-max"), Part(Dimension.ITEM, "enable_search")
_KEY, _PLAN = Part(Dimension.API_KEY, "1200345", "chatbot"), Part(Dimension.COMMODITY, "sfm_codingplan_public_cn")
_DAY = timedelta(days=1)
_N, _W, _C = Severity.NOTICE, Severity.WARNING, Severity.CRITICAL
_Samples: TypeAlias = Mapping[str, tuple[Rule, Severity, Facts]]


def samples(channel: ChannelName, policies: Policies, *, now: datetime, zone: tzinfo) -> Mapping[str, Notification]:
    """Return a message of each rule and reason by a short name, with the figures of the first budget that uses the channel."""
    made = _Invented.of(channel, policies, now, zone)

    def sample(rule: Rule, severity: Severity, facts: Facts) -> Notification:
        number = uuid.uuid4().hex
        names = NotificationId(f"test-{number[:16]}"), AlertId(f"test-{number[16:]}")
        return Notification(*names, rule, Reason.FIRED, severity, AlertState.FIRING, now, now, (channel,), facts)

    every = {**made.of_spend(), **made.of_bills(), **made.of_balance(), **made.of_service()}
    found = {name: sample(*one) for name, one in every.items()}
    overdue = replace(found["overdue"], since=now - _DAY)
    paid = replace(overdue.facts, balance=made.position("1.2"), top_up=TopUp(made.money("0.75"), now))
    news = [Message(found[name]) for name in ("overdue", FIRST, "daily", "spike", "first", "rejected")]
    return found | {
        "repeated": replace(overdue, reason=Reason.REPEATED),
        "escalated": replace(overdue, reason=Reason.ESCALATED, facts=replace(overdue.facts, escalated_after=_DAY)),
        "resolved": replace(overdue, reason=Reason.RESOLVED, state=AlertState.RESOLVED, facts=paid),
        "action": replace(found[FIRST], reason=Reason.ACTION),
        "digest": digest_of(channel, news, now),
        "report": replace(sample(Rule.REPORT, _N, made.report()), reason=Reason.DIGEST),
    }


def as_test(sample: Notification, policies: Policies, *, who: str) -> Notification:
    """Return the sample as a test message, which says who asked for it and what comes over its channel."""
    places = tuple(dict.fromkeys(_destinations(sample.channels[0], policies)))
    return replace(sample, reason=Reason.TEST, facts=replace(sample.facts, drill=Drill(sample.reason, who, places)))


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


@dataclass(frozen=True)
class _Invented:
    """Figures of one budget."""

    payer: AccountPolicy
    scope: BudgetScope
    plain: Facts
    """What every message of its month says."""
    budget: Decimal
    until: datetime

    @classmethod
    def of(cls, channel: ChannelName, policies: Policies, now: datetime, zone: tzinfo) -> _Invented:
        """Return the figures of the first budget that uses the channel, else of the first account."""
        every: list[AccountPolicy | WorkspacePolicy] = [*policies.workspaces, *policies.accounts]
        one = next((one for one in every if channel in _channels(one) and one.budget), policies.accounts[0])
        payer = (policies.account(one.account) if one.account else None) or policies.accounts[0]
        scope = BudgetScope(payer.account, one.workspace if isinstance(one, WorkspacePolicy) else None)
        until, links = now.astimezone(zone), tuple(policies.links.get(payer.site, {}).items())[:2]
        plain = Facts(scope, payer.name, _called(one, policies), period=f"{until:%Y-%m}", data_until=until, links=links)
        return cls(payer, scope, plain, one.budget or _EXAMPLE_BUDGET, until)

    def money(self, share: str) -> Money:
        """Return that share of the budget."""
        return Money(in_cents(EXACT.multiply(self.budget, Decimal(share))), self.payer.currency)

    @property
    def day(self) -> date:
        """The day of the latest figures."""
        return self.until.date()

    @property
    def month(self) -> BillingPeriod:
        """The month that they are of."""
        return BillingPeriod(self.day.year, self.day.month)

    @property
    def course(self) -> Course:
        """What the money went to."""
        calls = Cause(self.money("0.38"), Decimal("0.905"), (_MODEL, _KEY), Category.INFERENCE, self.money("0.2"))
        searches = Cause(self.money("0.04"), Decimal("0.095"), (_SEARCH, _KEY), Category.WEB_SEARCH, self.money("0.04"))
        causes = Causes((calls, searches), None, (Main(_KEY, Decimal(1)),), (Category.INFERENCE, Category.WEB_SEARCH))
        first = self.day - _DAY * (len(_DAILY) - 1)
        daily = tuple((first + _DAY * number, self.money(share)) for number, share in enumerate(_DAILY))
        return Course(causes, daily, (Spender(_KEY, calls.spent + searches.spent), Spender(_MODEL, calls.spent)))

    @property
    def spent(self) -> Facts:
        """What is said of a threshold of its budget."""
        low, likely, high = (self.money(share) for share in ("1.04", "1.12", "1.21"))
        return replace(
            self.plain,
            spend=self.money("0.85"),
            budget=self.money("1"),
            used=Decimal("0.85"),
            threshold="80%",
            reached_at=self.money("0.8"),
            next_threshold="100%",
            next_at=self.money("1"),
            forecast=Forecast(self.month, self.money("0.85"), low, likely, high, self.day, self.day.day),
            course=self.course,
        )

    def of_spend(self) -> _Samples:
        """Return what is said of amounts that are reached."""
        spent, scope, paid, name = self.spent, self.scope, Counts.PAY_AS_YOU_GO, self.plain.name
        once = replace(spent, forecast=None, next_threshold="", next_at=None)
        less = replace(once, spend=self.money("0.7"), used=Decimal("0.7"), earlier=spent.spend, earlier_at=self.until - _DAY)

        def short(kind: PeriodKind) -> Facts:
            return replace(once, scope=replace(scope, per=kind), period=ShortPeriod.containing(self.day, kind).label)

        def portion(what: str) -> Facts:
            of = replace(BudgetScope(scope.account), budget=what, counts=paid)
            title = f"{self.payer.name}: {what}"
            return replace(once, scope=of, name=title, counts=paid, budget=None, used=None, threshold="")

        low, high = self.money("0.02"), self.money("0.055")
        spike = Spike(self.day, SpendOn(name, scope.label, self.money("0.2"), low, high), low, is_complete=False)
        return {
            FIRST: (Rule.THRESHOLD_REACHED, _W, spent),
            "daily": (Rule.THRESHOLD_REACHED, _C, short(PeriodKind.DAY)),
            "weekly": (Rule.THRESHOLD_REACHED, _W, short(PeriodKind.WEEK)),
            "forecast": (Rule.FORECAST, _W, replace(spent, threshold="forecast 100%", reached_at=spent.budget)),
            "corrected": (Rule.CORRECTED, _N, less),
            "console_spend": (Rule.CONSOLE, _W, portion(Portion.CONSOLE)),
            "unassigned_spend": (Rule.UNASSIGNED_SPEND, _W, portion(Portion.UNASSIGNED)),
            "untagged_spend": (Rule.UNTAGGED, _W, portion(f"{Portion.UNTAGGED} team")),
            "spike": (Rule.SPIKE, _W, replace(self.plain, spike=spike, course=self.course)),
        }

    def of_bills(self) -> _Samples:
        """Return what is said of bills: what is new in them, and what is odd."""
        plain, account, before, cost = self.plain, self.payer.account, self.month.previous(), self.money("0.01")
        plan = PlanOrder(_PLAN, Category.CODING_PLAN, self.day, str(self.day + 7 * _DAY), self.money("0.2"))
        ordered = replace(plain, plans=(plan,))
        now, was = self.money("0.85"), self.money("0.8")
        final = ClosedMonth((FinalFigure(plain.name, self.scope.label, now, self.money("1"), was),), (), ())
        month = replace(plain, period=before.label, spend=now, budget=self.money("1"), used=Decimal("0.85"))
        late = Discrepancy(Disagreement.FINAL_MONTH, account, before, now, was, file="late.csv")
        two = Discrepancy(
            Disagreement.AMOUNTS, account, self.month, now, was, "consumedetailbillv2", "focus", (self.day - _DAY, self.day)
        )
        search = FirstCost(_SEARCH, self.day, cost, (_MODEL, _KEY), Category.WEB_SEARCH)
        foreign = Money(Decimal("5.50"), Currency("CNY" if self.payer.currency == "USD" else "USD"))
        inbox = self._of(Subject.SOURCE, "inbox", "1 d 2 h")
        refused = replace(inbox, detail="", files=(("notes.pdf", "no bill layout fits"),), folder="inbox/rejected")
        return {
            "first": (Rule.FIRST_COST, _N, replace(plain, firsts=(search,))),
            "free_quota": (Rule.FREE_QUOTA_ENDED, _W, replace(plain, firsts=(FirstCost(_MODEL, self.day, cost),))),
            "plan_ordered": (Rule.PLAN_ORDERED, _N, ordered),
            "plan_ends": (Rule.PLAN_ENDS, _W, ordered),
            "month_closed": (Rule.MONTH_CLOSED, _N, replace(month, closed=final)),
            "late": (Rule.LATE, _W, replace(month, scope=NamedScope(Subject.MONTH, before.label, account), discrepancy=late)),
            "differing": (
                Rule.DIFFERING,
                _N,
                replace(plain, scope=NamedScope(Subject.SERIES, "focus", account), discrepancy=two),
            ),
            "foreign_currency": (Rule.FOREIGN_CURRENCY, _W, replace(plain, spend=now, foreign=(foreign,))),
            "rejected": (Rule.REJECTED, _W, refused),
            "unassigned": (Rule.UNASSIGNED, _W, self._of(Subject.LAYOUT, "consumedetailbillv2", "no instance id")),
            "stale": (Rule.STALE, _W, replace(inbox, last_bill_at=self.until - timedelta(hours=26))),
        }

    def _of(self, subject: Subject, name: str, detail: str = "") -> Facts:
        """Return what is said of a part of the program's surroundings."""
        return Facts(NamedScope(subject, name), name=name, detail=detail, data_until=self.until)

    def position(self, cash: str) -> Position:
        """Return a balance with so much cash, and half a budget unsettled."""
        account, currency, zero = self.payer.account, self.payer.currency, Money.zero(self.payer.currency)
        reading = BalanceReading(account, currency, Origin.MANUAL, self.until, self.until, self.money(cash), zero)
        return Position(reading, Billed(self.money("0.5"), zero, zero, self.until))

    def of_balance(self) -> _Samples:
        """Return what is said of the account's balance."""
        day, zero, position, floor = self.day, Money.zero(self.payer.currency), self.position("0.8"), self.money("0.4")
        known = replace(self.plain, scope=BudgetScope(self.payer.account), name=self.payer.name, balance=position)
        spent = replace(known, course=self.course, exposure=Exposure((Cover.FREE_QUOTA,)))
        runway = Runway(Crossing(zero, day, day + 3 * _DAY, day + 4 * _DAY, day + 6 * _DAY), (), day - _DAY, 38)
        unlike = replace(position, reading=replace(position.reading, reported=self.money("0.1"), unsettled_current=zero))
        unread = "inbox/balance.json: line 3, cash: not a plain amount: '1e3'"
        return {
            "balance_low": (Rule.BALANCE_LOW, _W, replace(spent, floor=floor, threshold=f"{floor.amount:f}")),
            "overdue": (Rule.OVERDUE, _C, replace(spent, balance=self.position("0.45"))),
            "runway": (Rule.RUNWAY, _W, replace(spent, threshold="7d", runway=runway)),
            "balance_failing": (Rule.BALANCE_FAILING, _W, replace(known, detail=unread)),
            "balance_differing": (Rule.BALANCE_DIFFERING, _W, replace(known, balance=unlike)),
        }

    def of_service(self) -> _Samples:
        """Return what is said of sources, channels and the program itself."""
        refused, mistake = "not permitted (NotAuthorized)", "workspaces/research.yaml:4:9: budget: not a plain decimal"
        unreachable, back = "https://hooks.example.com: connection refused", "it was set back by 8 h"
        damaged = "the ledger cannot be used: database disk image is malformed"
        api = replace(self._of(Subject.SOURCE, "api", refused), cause=Failure.PERMISSION)
        return {
            "source_failing": (Rule.SOURCE_FAILING, _W, api),
            "channel_failing": (Rule.CHANNEL_FAILING, _W, self._of(Subject.CHANNEL, "ops", unreachable)),
            "config_rejected": (Rule.CONFIG_REJECTED, _W, self._of(Subject.DAEMON, "config", mistake)),
            "clock_wrong": (Rule.CLOCK_WRONG, _W, self._of(Subject.DAEMON, "clock", back)),
            "ledger_failing": (Rule.LEDGER_FAILING, _C, self._of(Subject.DAEMON, "ledger", damaged)),
        }

    def report(self) -> Facts:
        """Return what a daily report says."""
        now, before, budget, expected = (self.money(share) for share in ("0.85", "0.8", "1", "1.12"))
        whole = ReportLine(self.payer.name, now, before, budget, Decimal("0.85"), expected)
        line = replace(whole, name=self.plain.name)
        account = ReportAccount(self.payer.account, whole, (line,), data_until=self.until, causes=self.course.causes)
        report = Report(Cadence.DAILY, self.until, self.month.previous().label, is_final=False, accounts=(account,))
        return Facts(name=self.payer.name, period=self.month.label, data_until=self.until, report=report)
