"""The table `notification`: every notification ever sent, with its figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, Table, select

from spendwatch.domain.alert import AlertId
from spendwatch.domain.delivery import NotificationId, Reason
from spendwatch.store.bulk import keep_the_old, put_columns
from spendwatch.store.columns import Moment, StoredText, Texts, choice, document, metadata

if TYPE_CHECKING:
    from spendwatch.domain.notification import Notification

notification = Table(
    "notification",
    metadata,
    Column("id", StoredText, primary_key=True),
    # No foreign key: a test notification belongs to no alert.
    Column("alert", StoredText, nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("reason", choice(Reason), nullable=False),
    Column("also", Texts, nullable=False),
    Column("body", document("notification:Notification"), nullable=False),
)


def put_notifications(connection: Connection, notifications: Iterable[Notification]) -> None:
    """Record notifications; one that is on record stays as it is."""
    first = {one.id: one for one in reversed(tuple(notifications))}
    ordered = [first[key] for key in sorted(first)]
    columns: dict[str, Sequence[object]] = {
        name: [getattr(one, name) for one in ordered] for name in ("id", "alert", "created_at")
    }
    columns |= {"reason": [one.reason for one in ordered], "also": [one.facts.also for one in ordered], "body": ordered}
    put_columns(connection, notification, columns, keep_the_old)


def notifications_about(connection: Connection, alert: AlertId) -> tuple[Notification, ...]:
    """Return an alert's notifications, the oldest first; what programs were asked to do is no word to anybody."""
    query = select(notification.c.body).where(notification.c.alert == alert)
    found = connection.scalars(query.order_by(notification.c.created_at, notification.c.id))
    return tuple(one for one in found if one.reason is not Reason.ACTION)


def has_notification(connection: Connection, which: NotificationId) -> bool:
    """Return whether that notification is on record."""
    return connection.scalar(select(notification.c.id).where(notification.c.id == which)) is not None
