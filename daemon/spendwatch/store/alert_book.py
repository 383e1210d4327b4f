"""The alert book: alerts on record and their notifications. An alert and its deliveries are stored together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select

from spendwatch.domain.alert import AlertId, AlertState
from spendwatch.domain.notification import Delivery, DeliveryState, Notification
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.store.alert import alert, alerts_beginning, alerts_listed, alerts_that_matter, put_alerts
from spendwatch.store.database import Book, reads
from spendwatch.store.delivery import deliveries, delivery, put_deliveries, select_deliveries
from spendwatch.store.notification import notification, notifications_about, put_notifications


class AlertBook(Book):
    """The alert book in a database."""

    known = reads(alerts_that_matter)
    alerts = reads(alerts_listed)
    find = reads(alerts_beginning)
    notifications_of = reads(notifications_about)

    def commit(self, verdict: Verdict, targets: Mapping[ChannelName, Sequence[str]], *, now: datetime) -> int:
        """Store alerts, and for each notification one delivery a channel and target: all of it or nothing.

        What is there already by its identity stays as it is. Returns how many deliveries are new.
        """
        if not verdict.alerts and not verdict.notifications:
            return 0
        with self._database.writing() as connection:
            put_alerts(connection, verdict.alerts)
            put_notifications(connection, verdict.notifications)
            return put_deliveries(connection, verdict.notifications, targets, now)

    def undelivered(self) -> Sequence[Notification]:
        """Return the latest notification of each firing alert that reached nobody and is not being sent."""
        later, copy = notification.alias(), select(delivery.c.id).where(delivery.c.notification == notification.c.id)
        # From the notification on: of ten thousand, next to none has no living copy, but all of their alerts may fire.
        query = select(notification.c.body).where(
            ~copy.where(delivery.c.state != DeliveryState.DEAD).exists(),
            select(alert.c.id).where(alert.c.id == notification.c.alert, alert.c.state == AlertState.FIRING).exists(),
            ~select(later.c.id)
            .where(later.c.alert == notification.c.alert, later.c.created_at > notification.c.created_at)
            .exists(),
        )
        with self._database.reading() as connection:
            return tuple(connection.scalars(query.order_by(notification.c.created_at)))

    def notified(self) -> Mapping[AlertId, int]:
        """Return for each alert how many deliveries arrived; alerts of which none did are left out."""
        arrived = select(notification.c.alert, func.count()).join(delivery).where(delivery.c.state == DeliveryState.DELIVERED)
        with self._database.reading() as connection:
            found = connection.execute(arrived.group_by(notification.c.alert)).all()
        return {AlertId(which): number for which, number in found}

    def deliveries_of(self, which: AlertId) -> Sequence[Delivery]:
        """Return every delivery of the alert's notifications, the oldest first."""
        query = select_deliveries(notification.c.alert == which)
        with self._database.reading() as connection:
            return deliveries(connection, query.order_by(notification.c.created_at, delivery.c.channel, delivery.c.target))
