"""What is said: a change told with the figures of the moment, and how far each copy of it has come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NewType, TypeAlias, TypeVar

from spendwatch.domain.alert import AlertId, AlertState, Rule
from spendwatch.domain.balance import AccountBalance
from spendwatch.domain.balance_watch import TopUp
from spendwatch.domain.category import Category
from spendwatch.domain.cover import Cover
from spendwatch.domain.figures_text import (
    balance_of,
    balance_text,
    forecast_of,
    forecast_text,
    money_of,
    money_text,
    runway_from,
    runway_text,
    top_up_of,
    top_up_text,
)
from spendwatch.domain.forecast import Forecast, Runway
from spendwatch.domain.money import Money, plain
from spendwatch.domain.policy import ChannelName, Severity
from spendwatch.domain.scope import Counts
from spendwatch.domain.standing import Growth, Split
from spendwatch.domain.trouble import Trouble

NotificationId = NewType("NotificationId", str)
DeliveryId = NewType("DeliveryId", str)


class Reason(StrEnum):
    """Why we speak."""

    FIRED = "fired"
    REPEATED = "repeated"
    RESOLVED = "resolved"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Facts:
    """The figures of the moment. What a rule has no use for stays empty."""

    account: str = ""
    account_name: str = ""
    scope: str = ""
    """`Scope.key`, or `source:…`, `channel:…`."""
    name: str = ""
    """The scope as people call it."""
    period: str = ""
    spend: Money | None = None
    """Of what its budget counts."""
    counts: Counts = Counts.ALL
    split: Split | None = None
    """Everything in the scope, whether the budget counts it or not; None where it is not told apart."""
    subscribed: tuple[tuple[Category, Money], ...] = ()
    """The subscription charges of the period by what they are for, the largest first."""
    budget: Money | None = None
    used: Decimal | None = None
    threshold: str = ""
    reached_at: Money | None = None
    also: tuple[str, ...] = ()
    """Labels of further thresholds or floors for which this one notification speaks."""
    next_threshold: str = ""
    next_at: Money | None = None
    earlier: Money | None = None
    """The figure when this scope was last spoken of."""
    earlier_at: datetime | None = None
    growth: tuple[Growth, ...] = ()
    daily: tuple[tuple[date, Money], ...] = ()
    foreign: tuple[Money, ...] = ()
    before: Money | None = None
    """The figure that was thought to be final."""
    series: tuple[tuple[str, Money], ...] = ()
    """Series of bills that do not agree, each with what it says; the one that counts first."""
    days: int | None = None
    """How many days they were compared on."""
    uncounted: Money | None = None
    """What a series that does not count says of days that the one that counts does not have."""
    uncounted_on: tuple[date, ...] = ()
    """Those days."""
    bills: tuple[str, ...] = ()
    """Bill files that are behind it."""
    balance: AccountBalance | None = None
    floor: Money | None = None
    covers: tuple[Cover, ...] = ()
    plans: tuple[str, ...] = ()
    """Commodity codes of what cannot be renewed while the account is overdue."""
    stops: tuple[str, ...] = ()
    """Commodity codes of what is suspended then."""
    runway: Runway | None = None
    forecast: Forecast | None = None
    top_up: TopUp | None = None
    """What came in since the condition began."""
    by_settlement: bool = False
    """Whether it ended because a month has become final and counts as settled, whatever was seen coming in."""
    data_until: datetime | None = None
    last_bill_at: datetime | None = None
    files: tuple[tuple[str, str], ...] = ()
    """File names, each with the reason of its refusal."""
    detail: str = ""
    cause: Trouble | None = None
    """What kind of trouble a source is in, where it can tell."""
    gone: bool = False
    """Whether a channel's receiver asked never to be called again."""
    lags: bool = False
    """Whether the figures are those of the billing API, which is late and leaves out what is not settled yet."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One change of one alert, as it is told. All its copies, to whomever, carry this id."""

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

    @property
    def type(self) -> str:
        """The `type` of a webhook's body."""
        if self.reason is Reason.TEST:
            return "test"
        if self.state is AlertState.FIRING:
            return self.rule.value
        return "balance.recovered" if self.rule in _OF_BALANCE else "alert.resolved"


_OF_BALANCE = frozenset({Rule.BALANCE_LOW, Rule.OVERDUE, Rule.RUNWAY})


def notification_id(alert: AlertId, reason: Reason, times_told: int) -> NotificationId:
    """Return the notification's identity, which is its content."""
    return NotificationId(hashlib.sha256(f"{alert}\x1f{reason.value}\x1f{times_told}".encode()).hexdigest()[:24])


class DeliveryState(StrEnum):
    """How far one copy has come."""

    PENDING = "pending"
    ATTEMPTING = "attempting"
    """An attempt has begun and its outcome is not on record: after a crash, the receiver may have it already."""
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One copy of a notification on its way over one channel to one target (a mail address; empty where there is but one)."""

    id: DeliveryId
    notification: Notification
    channel: ChannelName
    target: str
    state: DeliveryState
    attempts: int
    """Attempts begun so far, the present one included."""
    due_at: datetime
    maybe_repeated: bool
    """An earlier attempt ended without an answer on record."""
    rendered: bytes | None
    """The bytes that every attempt sends; None before the first."""
    last_error: str = ""
    settled_at: datetime | None = None
    refusals: int = 0
    """Answers in a row that refused it and may pass."""


def delivery_id(notification: NotificationId, channel: ChannelName, target: str) -> DeliveryId:
    """Return the delivery's identity, which is its content."""
    return DeliveryId(hashlib.sha256(f"{notification}\x1f{channel}\x1f{target}".encode()).hexdigest()[:24])


PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""Pauses between the ten attempts of a delivery: 75 h 35 min in all, the schedule of Standard Webhooks."""


REFUSED_PAUSES = (timedelta(minutes=1), timedelta(minutes=9))
"""Pauses after an answer that refuses and may pass, as while a receiver is deployed anew: three attempts in ten minutes."""


def pause_after(attempts: int, refusals: int = 0) -> timedelta | None:
    """Return how long to wait after that many attempts or refusals in a row, or None when there will be no further one."""
    pauses, number = (REFUSED_PAUSES, refusals) if refusals else (PAUSES, attempts)
    return pauses[number - 1] if number <= len(pauses) else None


def encode(notification: Notification) -> str:
    """Return the notification as JSON text. Amounts are strings."""
    return _JSON.encode({name: getattr(notification, name) for name in _ALL_NAMES})


def decode(text: str) -> Notification:
    """Return what `encode` wrote."""
    raw = json.loads(text)
    facts = raw["facts"]
    return Notification(
        id=NotificationId(raw["id"]),
        alert=AlertId(raw["alert"]),
        rule=Rule(raw["rule"]),
        reason=Reason(raw["reason"]),
        severity=Severity(raw["severity"]),
        state=AlertState(raw["state"]),
        since=datetime.fromisoformat(raw["since"]),
        created_at=datetime.fromisoformat(raw["created_at"]),
        channels=tuple(ChannelName(name) for name in raw["channels"]),
        facts=Facts(
            account=facts.get("account", ""),
            account_name=facts.get("account_name", ""),
            scope=facts.get("scope", ""),
            name=facts.get("name", ""),
            period=facts.get("period", ""),
            spend=_if_told(money_of, facts.get("spend")),
            counts=Counts(facts.get("counts", Counts.ALL)),
            split=Split(*map(money_of, facts["split"])) if facts.get("split") else None,
            subscribed=tuple((Category(category), money_of(money)) for category, money in facts.get("subscribed", ())),
            budget=_if_told(money_of, facts.get("budget")),
            used=Decimal(facts["used"]) if facts.get("used") else None,
            threshold=facts.get("threshold", ""),
            reached_at=_if_told(money_of, facts.get("reached_at")),
            also=tuple(facts.get("also", ())),
            next_threshold=facts.get("next_threshold", ""),
            next_at=_if_told(money_of, facts.get("next_at")),
            earlier=_if_told(money_of, facts.get("earlier")),
            earlier_at=_moment(facts.get("earlier_at")),
            growth=tuple(
                Growth(item.get("label", ""), money_of(item["recent"]), _if_told(money_of, item.get("before")))
                for item in facts.get("growth", ())
            ),
            daily=tuple((date.fromisoformat(day), money_of(money)) for day, money in facts.get("daily", ())),
            foreign=tuple(money_of(money) for money in facts.get("foreign", ())),
            before=_if_told(money_of, facts.get("before")),
            series=tuple((name, money_of(money)) for name, money in facts.get("series", ())),
            days=facts.get("days"),
            uncounted=_if_told(money_of, facts.get("uncounted")),
            uncounted_on=tuple(date.fromisoformat(day) for day in facts.get("uncounted_on", ())),
            bills=tuple(facts.get("bills", ())),
            balance=_if_told(balance_of, facts.get("balance")),
            floor=_if_told(money_of, facts.get("floor")),
            covers=tuple(Cover(cover) for cover in facts.get("covers", ())),
            plans=tuple(facts.get("plans", ())),
            stops=tuple(facts.get("stops", ())),
            runway=_if_told(runway_from, facts.get("runway")),
            forecast=_if_told(forecast_of, facts.get("forecast")),
            top_up=_if_told(top_up_of, facts.get("top_up")),
            by_settlement=facts.get("by_settlement", False),
            data_until=_moment(facts.get("data_until")),
            last_bill_at=_moment(facts.get("last_bill_at")),
            files=tuple((name, why) for name, why in facts.get("files", ())),
            detail=facts.get("detail", ""),
            cause=Trouble(facts["cause"]) if facts.get("cause") else None,
            gone=facts.get("gone", False),
            lags=facts.get("lags", False),
        ),
    )


_Json: TypeAlias = object


def _plain(value: object) -> _Json:
    write = _WRITERS.get(type(value))
    if write is None:
        msg = f"cannot be written as JSON: {type(value).__name__}"
        raise TypeError(msg)
    return write(value)


def _facts(facts: Facts) -> _Json:
    named = {name: item for name in _NAMES[Facts] if (item := getattr(facts, name)) not in _EMPTY and item is not False}
    if facts.counts is Counts.ALL:
        del named["counts"]
    if facts.daily:
        named["daily"] = [(day.isoformat(), money_text(money)) for day, money in facts.daily]
    return named


def _named(value: object, names: tuple[str, ...]) -> _Json:
    found = ((name, getattr(value, name)) for name in names)
    return {name: item for name, item in found if item not in _EMPTY}


_EMPTY: tuple[object, ...] = (None, "", ())
_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in (Facts, Growth)}
_WRITERS: dict[type, Callable[[Any], _Json]] = {
    Money: money_text,
    Decimal: plain,
    datetime: datetime.isoformat,
    date: date.isoformat,
    Facts: _facts,
    Growth: lambda growth: _named(growth, _NAMES[Growth]),
    Split: lambda split: (money_text(split.pay_as_you_go), money_text(split.subscription)),
    AccountBalance: balance_text,
    Forecast: forecast_text,
    Runway: runway_text,
    TopUp: top_up_text,
}
"""What the JSON library does not know, by exact type: ten thousand workspaces may cross in one bill."""

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)
_ALL_NAMES = tuple(field.name for field in fields(Notification))


T = TypeVar("T")


def _if_told(read: Callable[[Any], T], raw: object) -> T | None:
    return None if raw is None else read(raw)


def _moment(raw: str | None) -> datetime | None:
    return None if raw is None else datetime.fromisoformat(raw)
