"""A notification: a change of an alert with the current figures, and the state of each delivery."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from spendwatch.domain.alert import Acknowledgement, AlertId, AlertState, Rule
from spendwatch.domain.balance import Position
from spendwatch.domain.balance_watch import TopUp
from spendwatch.domain.causes import NO_CAUSES, NO_COURSE, Causes, Course
from spendwatch.domain.commodity import NOTHING_TO_FEAR, Category, Exposure
from spendwatch.domain.delivery import (
    DeliveryRecord,
    DeliveryState,
    Held,
    HoldReason,
    Loudness,
    NotificationId,
    Reason,
    delivery_id,
)
from spendwatch.domain.digest import text_digest
from spendwatch.domain.discrepancy import Discrepancy
from spendwatch.domain.failure import Failure
from spendwatch.domain.forecast import Forecast, Runway
from spendwatch.domain.money import Money
from spendwatch.domain.month_close import ClosedMonth
from spendwatch.domain.novelty import FirstCost
from spendwatch.domain.plans import PlanOrder
from spendwatch.domain.policy import ChannelName, Page, Severity
from spendwatch.domain.report import Report
from spendwatch.domain.scope import NOTHING, AlertScope, Counts
from spendwatch.domain.spike import Spike
from spendwatch.domain.standing import Split


@dataclass(frozen=True, slots=True)
class Drill:
    """What makes a message a test."""

    reason: Reason
    """Why such a message is sent when it is none."""
    who: str
    """Who asked for it."""
    places: tuple[str, ...]
    """Accounts and workspaces whose alerts come over the same channel."""


@dataclass(frozen=True)
class Facts:
    """The figures of the moment. What a rule has no use for stays empty.

    It has no slots: then what is empty can be left to the class, and ten thousand are made in a third of the time.
    """

    scope: AlertScope = NOTHING
    account_name: str = ""
    name: str = ""
    """The scope as people call it."""
    owner: str = ""
    """Of the workspace, by its policy."""
    period: str = ""
    spend: Money | None = None
    """Of what its budget counts."""
    counts: Counts = Counts.ALL
    split: Split | None = None
    """Everything in the scope, whether the budget counts it or not; None where it is not listed apart."""
    subscribed: Causes = NO_CAUSES
    """What subscriptions were ordered for in the period."""
    budget: Money | None = None
    budget_before: Money | None = None
    """Where it was raised, so that a threshold is no longer reached."""
    used: Decimal | None = None
    threshold: str = ""
    reached_at: Money | None = None
    actions: tuple[ChannelName, ...] = ()
    """The channels that are asked to act on it when it begins."""
    also: tuple[str, ...] = ()
    """Labels of further thresholds or floors for which this one notification speaks."""
    next_threshold: str = ""
    next_at: Money | None = None
    earlier: Money | None = None
    """The figure when this scope was last spoken of."""
    earlier_at: datetime | None = None
    course: Course = NO_COURSE
    foreign: tuple[Money, ...] = ()
    firsts: tuple[FirstCost, ...] = ()
    """What costs something for the first time, the most telling first."""
    closed: ClosedMonth | None = None
    """The final figures of a month."""
    spike: Spike | None = None
    """A day that cost far more than usual."""
    plans: tuple[PlanOrder, ...] = ()
    """What was ordered, or ends."""
    discrepancy: Discrepancy | None = None
    """Two figures that do not agree."""
    balance: Position | None = None
    floor: Money | None = None
    exposure: Exposure = NOTHING_TO_FEAR
    runway: Runway | None = None
    forecast: Forecast | None = None
    too_old: bool = False
    """Whether the data are too old for a forecast or a runway."""
    top_up: TopUp | None = None
    """What came in since the condition began."""
    by_settlement: bool = False
    """Whether it ended because a month has become final and counts as settled, whatever was seen coming in."""
    data_until: datetime | None = None
    used_on: tuple[tuple[Category, date], ...] = ()
    """The latest day with usage of each category, the latest first: they are billed at different paces."""
    last_bill_at: datetime | None = None
    files: tuple[tuple[str, str], ...] = ()
    """File names, each with the reason of its refusal."""
    folder: str = ""
    """Where rejected files are, each with its reason beside it; empty where they stay in place."""
    detail: str = ""
    cause: Failure | None = None
    """The kind of failure of a source, where it is known."""
    gone: bool = False
    """Whether a channel's receiver asked never to be called again."""
    lags: bool = False
    """Whether the figures are those of the billing API, which is late and leaves out what is not settled yet."""
    is_unwatched: bool = False
    """Whether it ended because the configuration no longer watches it."""
    escalated_after: timedelta | None = None
    """For how long it has been firing when additional channels are notified."""
    acknowledged: Acknowledgement | None = None
    """Who took care of it."""
    links: tuple[tuple[Page, str], ...] = ()
    """Pages of the provider's console where something can be done, with their addresses."""
    held_since: datetime | None = None
    """When the message was due, where it was held; the figures are of that moment."""
    held_until: datetime | None = None
    held_by: HoldReason | None = None
    members: tuple[Notification, ...] = ()
    """The messages of a digest, the gravest first."""
    more: int = 0
    """How many further messages the digest stands for."""
    report: Report | None = None
    """The figures of a scheduled report."""
    drill: Drill | None = None

    @classmethod
    def of(cls, **figures: object) -> Facts:
        """Return the facts with these figures, all else empty: where there are very many, for calling the class takes long."""
        if not _FIGURES.issuperset(figures):
            msg = f"no such figures: {', '.join(figures.keys() - _FIGURES)}"
            raise TypeError(msg)
        found = object.__new__(cls)
        vars(found).update(figures)
        return found


@dataclass(frozen=True, slots=True)
class Notification:
    """One change of one alert, for notification. All copies carry this id."""

    id: NotificationId
    alert: AlertId
    rule: Rule
    reason: Reason
    severity: Severity
    state: AlertState
    since: datetime
    created_at: datetime
    channels: tuple[ChannelName, ...]
    facts: Facts

    def with_figures(self, **figures: object) -> Notification:
        """Return it with these figures, too. `replace` would take several times as long, and there may be ten thousand."""
        told = list(_told(self))
        told[-1] = Facts.of(**vars(self.facts) | figures)
        return Notification(*told)

    @property
    def alerts(self) -> tuple[AlertId, ...]:
        """What it tells of: its own alert, or those of a digest."""
        return tuple(one.alert for one in self.facts.members) or (self.alert,)

    @property
    def loudness(self) -> Loudness:
        """What quiet hours go by; of a digest, that of its loudest message."""
        if self.rule is Rule.REPORT or self.reason in {Reason.ACTION, Reason.TEST}:
            return Loudness.UNHELD
        if self.facts.members:
            return max(one.loudness for one in self.facts.members)
        if self.state is not AlertState.FIRING:
            return Loudness.OVER
        return Loudness.OVERDUE if self.rule is Rule.OVERDUE else Loudness[self.severity.name]

    @property
    def type(self) -> str:
        """The `type` of a webhook's body."""
        if self.reason in {Reason.TEST, Reason.ACTION}:
            return "test" if self.reason is Reason.TEST else "action.requested"
        if self.facts.report:
            return f"{self.rule.type}.{self.facts.report.cadence}"
        if self.state is AlertState.FIRING or self.reason is Reason.DIGEST:
            return self.rule.type
        is_back = self.rule.is_about_balance and not self.facts.is_unwatched
        return "balance.recovered" if is_back else "alert.resolved"


NO_FACTS = Facts()
_FIGURES = frozenset(vars(NO_FACTS))

_told = attrgetter(*(field.name for field in fields(Notification)))
"""The facts stand last."""


def notification_id(alert: AlertId, reason: Reason, times_told: int) -> NotificationId:
    """Return the notification's identity, which is its content."""
    return NotificationId(text_digest(f"{alert}\x1f{reason}\x1f{times_told}")[:24])


class Message(NamedTuple):
    """A message for one channel, and the row of its waiting if it waited."""

    said: Notification
    row: Held | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(DeliveryRecord):
    """One copy of a notification."""

    notification: Notification


def first_attempt(notification: Notification, channel: ChannelName, target: str, rendered: bytes) -> Delivery:
    """Return the delivery that is attempted just now, past the outbox."""
    return Delivery(
        id=delivery_id(notification.id, channel, target),
        notification=notification,
        channel=channel,
        target=target,
        state=DeliveryState.ATTEMPTING,
        attempts=1,
        due_at=notification.created_at,
        maybe_repeated=False,
        rendered=rendered,
    )
