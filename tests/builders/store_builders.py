"""Statements, days, alerts and notifications for tests of the store, each with as little said as possible."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from spendwatch.domain.alert import Alert, AlertKey, AlertState, Rule, alert_id
from spendwatch.domain.delivery import Reason
from spendwatch.domain.merging import Held, NewContent, Resolution, ResolvedDay
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.notification import Facts, Notification, notification_id
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import ChannelName, Severity
from spendwatch.domain.scope import parse_scope
from spendwatch.domain.statement import (
    AccountId,
    ChargeKind,
    DayContent,
    DayKey,
    Digest,
    Identity,
    Kind,
    SourceName,
    SpendRow,
    Statement,
    TaxBasis,
    Version,
    WorkspaceId,
)
from spendwatch.store.ledger import Ledger

ACME = AccountId("1000000000000001")
SEPTEMBER = BillingPeriod(2026, 9)
NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
CHINA = timezone(timedelta(hours=8))
INBOX = SourceName("inbox")
FINANCE = ChannelName("finance")
CNY = Currency("CNY")


def digest(text: object) -> Digest:
    """Return a digest that tells texts apart."""
    return Digest(hashlib.sha256(str(text).encode("utf-8", "backslashreplace")).hexdigest())


def key(day: int = 1, *, account: AccountId = ACME, period: BillingPeriod = SEPTEMBER, series: str = "v2") -> DayKey:
    """Return the key of a day of September."""
    return DayKey(account, period, series, date(period.year, period.month, day))


def row(cost: str = "1", **changes: object) -> SpendRow:
    """Return a row of the roll-up."""
    plain = SpendRow(
        workspace=WorkspaceId("llm-a"),
        api_key="1200345",
        model="qwen-max",
        type="inference",
        channel="api",
        safe_mode="",
        region="cn-beijing",
        ends="",
        item="tokens",
        commodity="sfm_inference_public_cn",
        product="sfm",
        owner=ACME,
        tags="",
        charge=ChargeKind.USAGE,
        currency=CNY,
        billed_cost=Decimal(cost),
        lines=1,
    )
    return plain._replace(**changes)  # type: ignore[arg-type]  # a builder takes any field


@dataclass(frozen=True)
class Day:
    """One day after a change."""

    key: DayKey
    spent: Sequence[SpendRow] = field(default_factory=lambda: (row(),))
    new: int = 1
    changed: int = 0
    gone: int = 0
    salt: str = ""
    is_linked: bool = False

    @property
    def digest(self) -> Digest:
        return digest((self.key, self.spent, self.salt))

    @property
    def lines(self) -> int:
        return sum(one.lines for one in self.spent)

    @property
    def resolved(self) -> ResolvedDay:
        return ResolvedDay(self.key, self.lines, self.new, self.changed, self.gone, self.is_linked, self.rows)

    def packed(self) -> bytes:
        return f"lines of {self.digest}".encode()

    def rows(self) -> Iterator[SpendRow]:
        yield from self.spent


def resolution(days: Sequence[Day] = ()) -> Resolution:
    """Return what became of days, and the contents of all that have lines."""
    contents = [NewContent(day.digest, day.lines, day.packed(), b"") for day in days if day.lines]
    return Resolution([day.resolved for day in days], contents=lambda: contents)


MORNING = Version(datetime(2026, 9, 15, 9, 41, tzinfo=CHINA))


def statement(
    name: object = "first",
    days: Sequence[Day] = (),
    version: Version | None = MORNING,
    **changes: Any,  # noqa: ANN401 -- a builder takes any field
) -> Statement:
    """Return what a file of that name says about those days."""
    told = (DayContent(day.key, day.digest, day.lines, Identity.ID, version) for day in days if day.lines and version)
    plain = Statement(
        digest=digest(name),
        layout="v2",
        series="v2",
        kind=Kind.UPSERT,
        tax_basis=TaxBasis.INCLUDED,
        accounts=tuple(sorted({day.key.account for day in days})) or (ACME,),
        periods=tuple(sorted({day.key.period for day in days})) or (SEPTEMBER,),
        lines=sum(day.lines for day in days),
        data_until=datetime(2026, 9, 15, 9, 41, tzinfo=CHINA),
        exported_at=None,
        version=version,
        days=tuple(told),
    )
    return replace(plain, **changes)


def record(
    ledger: Ledger,
    name: object,
    *days: Day,
    held: Held | None = None,
    **changes: Any,  # noqa: ANN401 -- any field
) -> None:
    """Enter a file of that name that says this of those days."""
    known = ledger.held(day.key.month for day in days) if held is None else held
    ledger.record(statement(name, days, **changes), resolution(days), name=f"{name}.csv", source=INBOX, held=known, now=NOON)


def matter(
    threshold: str = "80%", *, rule: Rule = Rule.THRESHOLD_REACHED, scope: str = "account", period: str = "2026-09"
) -> AlertKey:
    """Return what an alert is about."""
    return AlertKey(rule, parse_scope(ACME, scope), threshold, period)


def alert(about: AlertKey | None = None, *, episode: int = 1, **changes: object) -> Alert:
    """Return a firing alert that was told once."""
    subject = about or matter()
    plain = Alert(
        id=alert_id(subject, episode),
        key=subject,
        episode=episode,
        severity=Severity.WARNING,
        state=AlertState.FIRING,
        since=NOON,
        resolved_at=None,
        told_at=NOON,
        times_told=1,
        amount="850.5",
        summary="Research reached 80%",
    )
    return plain._replace(**changes)  # type: ignore[arg-type]  # a builder takes any field


def notification(
    about: Alert, *, reason: Reason = Reason.FIRED, channels: Sequence[str] = (FINANCE,), spend: str = "850.5"
) -> Notification:
    """Return what is said about the alert."""
    return Notification(
        id=notification_id(about.id, reason, about.times_told),
        alert=about.id,
        rule=about.key.rule,
        reason=reason,
        severity=about.severity,
        state=about.state,
        since=about.since,
        created_at=NOON,
        channels=tuple(ChannelName(name) for name in channels),
        facts=Facts(scope=about.key.scope, spend=Money(Decimal(spend), CNY), threshold=about.key.threshold),
    )
