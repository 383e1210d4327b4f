"""The table `notification`: every notification ever sent, with its figures."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, Table, select

from spendwatch.domain.alert import AlertId
from spendwatch.domain.notification import Notification
from spendwatch.store.bulk import keep_the_old, put_many
from spendwatch.store.columns import Moment, Row, Words, metadata

if TYPE_CHECKING:
    from pydantic import TypeAdapter

notification = Table(
    "notification",
    metadata,
    Column("id", Words, primary_key=True),
    # No foreign key: a test notification belongs to no alert.
    Column("alert", Words, nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("body", Words, nullable=False),
)


def put_notifications(connection: Connection, notifications: Iterable[Notification]) -> None:
    """Record notifications; one that is on record stays as it is."""
    first = {one.id: one for one in reversed(tuple(notifications))}
    put_many(connection, notification, (_row(first[key]) for key in sorted(first)), keep_the_old)


def _row(one: Notification) -> Row:
    return {"id": one.id, "alert": one.alert, "created_at": one.created_at, "body": encode(one)}


def notifications_about(connection: Connection, alert: AlertId) -> tuple[Notification, ...]:
    """Return what was said about an alert, the oldest first."""
    query = select(notification.c.body).where(notification.c.alert == alert)
    found = connection.scalars(query.order_by(notification.c.created_at, notification.c.id))
    return tuple(decode(body) for body in found)


def encode(notification: Notification) -> str:
    """Return the notification as JSON text. Amounts are strings, and what is as by default is left out."""
    return _adapter().dump_json(notification, exclude_defaults=True).decode()


def decode(text: str) -> Notification:
    """Return what `encode` wrote."""
    return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[Notification]:
    from pydantic import TypeAdapter  # noqa: PLC0415 -- 0.1 s to build, which commands that read no notification can do without

    return TypeAdapter(Notification)
