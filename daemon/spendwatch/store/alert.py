"""The table `alert`: every alert that ever fired."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import CheckConstraint, Column, Connection, Integer, Select, Table, func, or_, select, tuple_
from sqlalchemy.engine import RowMapping

from spendwatch.domain.alert import Alert, AlertId, AlertState, Matter, Rule
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Severity
from spendwatch.store.bulk import put_many
from spendwatch.store.columns import Insertion, Moment, Row, Words, begins_with, metadata

alert = Table(
    "alert",
    metadata,
    Column("id", Words, primary_key=True),
    Column("rule", Words, nullable=False),
    Column("account", Words, nullable=False),
    Column("scope", Words, nullable=False),
    Column("threshold", Words, nullable=False),
    Column("period", Words, nullable=False, index=True),
    Column("height", Words, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("severity", Words, nullable=False),
    Column("state", Words, nullable=False, index=True),
    Column("since", Moment, nullable=False),
    Column("resolved_at", Moment),
    Column("told_at", Moment),
    Column("times_told", Integer, nullable=False),
    Column("amount", Words, nullable=False),
    Column("summary", Words, nullable=False),
    Column("budget", Words, nullable=False),
    Column("told_amount", Words, nullable=False),
    CheckConstraint("state IN ('firing', 'resolved')", name="state"),
)

_MATTER = (alert.c.rule, alert.c.account, alert.c.scope, alert.c.threshold, alert.c.period, alert.c.height)


def put_alerts(connection: Connection, alerts: Iterable[Alert]) -> None:
    """Record alerts; of one that is on record only its course changes, never what it is about."""
    latest = {one.id: one for one in alerts}
    put_many(connection, alert, (_row(latest[key]) for key in sorted(latest)), _change_course)


def _change_course(insertion: Insertion) -> Insertion:
    course = {name: insertion.excluded[name] for name in ("state", "resolved_at", "told_at", "times_told", "told_amount")}
    return insertion.on_conflict_do_update(index_elements=[alert.c.id], set_=course)


def _row(one: Alert) -> Row:
    return {
        "id": one.id,
        "rule": one.matter.rule.value,
        "account": one.matter.account,
        "scope": one.matter.scope,
        "threshold": one.matter.threshold,
        "period": one.matter.period,
        "height": one.matter.height,
        "episode": one.episode,
        "severity": one.severity.value,
        "state": one.state.value,
        "since": one.since,
        "resolved_at": one.resolved_at,
        "told_at": one.told_at,
        "times_told": one.times_told,
        "amount": one.amount,
        "summary": one.summary,
        "budget": one.budget,
        "told_amount": one.told_amount,
    }


def alerts_that_matter(connection: Connection) -> tuple[Alert, ...]:
    """Return firing alerts, those of the latest three periods, and of matters without a period the latest episode."""
    newest: str | None = connection.scalar(select(func.max(alert.c.period)))
    oldest = BillingPeriod.parse(newest).previous().previous().label if newest else "9999-12"
    latest = select(*_MATTER, func.max(alert.c.episode)).where(alert.c.period == "").group_by(*_MATTER)
    firing, is_latest = alert.c.state == AlertState.FIRING.value, tuple_(*_MATTER, alert.c.episode).in_(latest)
    return _alerts(connection, select(alert).where(or_(firing, alert.c.period >= oldest, is_latest)))


def alerts_listed(connection: Connection, *, state: AlertState | None, period: str | None, limit: int) -> tuple[Alert, ...]:
    """Return alerts, the latest first."""
    query = select(alert).order_by(alert.c.since.desc(), alert.c.id).limit(limit)
    if state is not None:
        query = query.where(alert.c.state == state.value)
    if period is not None:
        query = query.where(alert.c.period == period)
    return _alerts(connection, query)


def alerts_beginning(connection: Connection, prefix: str, limit: int) -> tuple[Alert, ...]:
    """Return the alerts whose id begins so."""
    if not prefix:
        return ()
    return _alerts(connection, select(alert).where(begins_with(alert.c.id, prefix)).order_by(alert.c.id).limit(limit))


def _alerts(connection: Connection, query: Select[*tuple[object, ...]]) -> tuple[Alert, ...]:
    rows: Sequence[RowMapping] = connection.execute(query).mappings().all()
    return tuple(_alert(row) for row in rows)


def _alert(row: RowMapping) -> Alert:
    return Alert(
        id=AlertId(row["id"]),
        matter=Matter(Rule(row["rule"]), row["account"], row["scope"], row["threshold"], row["period"], row["height"]),
        episode=row["episode"],
        severity=Severity(row["severity"]),
        state=AlertState(row["state"]),
        since=row["since"],
        resolved_at=row["resolved_at"],
        told_at=row["told_at"],
        times_told=row["times_told"],
        amount=row["amount"],
        summary=row["summary"],
        budget=row["budget"],
        told_amount=row["told_amount"],
    )
