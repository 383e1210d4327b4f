"""The table `delivery`: one row for each copy of a notification, with its whole history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Select,
    SmallInteger,
    Table,
    select,
)

from spendwatch.domain.delivery import DeliveryRecord, DeliveryState, delivery_id
from spendwatch.domain.policy import ChannelName
from spendwatch.store.bulk import keep_the_old, put_columns
from spendwatch.store.columns import Moment, Row, StoredText, begins_with, columns_of, metadata
from spendwatch.store.notification import notification

if TYPE_CHECKING:
    from spendwatch.domain.notification import Delivery, Notification

delivery = Table(
    "delivery",
    metadata,
    *columns_of(DeliveryRecord, key="id"),
    Column("notification", StoredText, ForeignKey(notification.c.id), nullable=False, index=True),
    Column("attempt_started_at", Moment),
    Column("owner", StoredText),
    Column("created_at", Moment, nullable=False),
    Column("thread", StoredText, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("loudness", SmallInteger, nullable=False),
    CheckConstraint("state IN ('pending', 'attempting', 'deferred', 'delivered', 'dead', 'cancelled')", name="state"),
    Index(None, "state", "channel", "due_at"),
)
"""`owner`: the run of the program that makes the present attempt. `thread`: what must arrive in order. `severity`: its rank."""


def put_deliveries(
    connection: Connection, notifications: Iterable[Notification], targets: Mapping[ChannelName, Sequence[str]], now: datetime
) -> int:
    """Write down a delivery for every channel and target of each notification. Returns how many were not on record."""
    copies = {
        delivery_id(one.id, channel, target): (one, channel, target)
        for one in notifications
        for channel in one.channels
        for target in targets.get(channel, ())  # a channel that the settings no longer know has no targets
    }
    ids = sorted(copies)
    said, channels, recipients = zip(*(copies[which] for which in ids), strict=True) if ids else ((), (), ())
    same = {"state": DeliveryState.PENDING, "attempts": 0, "refusals": 0, "maybe_repeated": False, "is_held": False}
    same |= {"due_at": now, "last_error": "", "created_at": now}
    columns: dict[str, Sequence[Any]] = {name: [value] * len(ids) for name, value in same.items()}
    columns |= {"id": ids, "notification": [one.id for one in said], "channel": channels, "target": recipients}
    columns["thread"] = [f"{one.facts.scope.account} {one.facts.scope.text}" for one in said]
    columns |= {"severity": [one.severity.rank for one in said], "loudness": [one.loudness.value for one in said]}
    return put_columns(connection, delivery, columns, keep_the_old)


_OWN = tuple(DeliveryRecord.__annotations__)


def select_deliveries(*conditions: ColumnElement[bool]) -> Select[*tuple[object, ...]]:
    """Return the query for deliveries with their notifications."""
    return select(delivery, notification.c.body).join(notification).where(*conditions)


def deliveries(connection: Connection, query: Select[*tuple[object, ...]], values: Row | None = None) -> tuple[Delivery, ...]:
    """Return what a query of `select_deliveries` finds."""
    from spendwatch.domain.notification import Delivery  # noqa: PLC0415 -- quick commands read none: 20 ms of each

    rows = connection.execute(query, values).mappings().all()
    return tuple(Delivery(**{name: row[name] for name in _OWN}, notification=row["body"]) for row in rows)


def deliveries_created(connection: Connection, since: datetime, until: datetime) -> tuple[tuple[datetime, Delivery], ...]:
    """Return the deliveries written down in that time, each with the moment, the first one first."""
    condition = (delivery.c.created_at >= since) & (delivery.c.created_at < until)
    query = select_deliveries(condition).order_by(delivery.c.created_at, delivery.c.id)
    created = connection.scalars(select(delivery.c.created_at).where(condition).order_by(delivery.c.created_at, delivery.c.id))
    return tuple(zip(created.all(), deliveries(connection, query), strict=True))


def deliveries_beginning(connection: Connection, prefix: str, limit: int = 10) -> tuple[Delivery, ...]:
    """Return the deliveries whose id begins so: none, the one that is meant, or several."""
    query = select_deliveries(begins_with(delivery.c.id, prefix)).order_by(delivery.c.id).limit(limit)
    return deliveries(connection, query) if prefix else ()
