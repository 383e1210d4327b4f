"""The alert book: alerts on record and their notifications. An alert and its deliveries are stored together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from spendwatch.domain.alert import Acknowledgement, AlertId, AlertState
from spendwatch.domain.delivery import DeliveryState, Reason
from spendwatch.domain.policy import ChannelName
from spendwatch.store.acknowledgement import acknowledge, acknowledgement, take_back
from spendwatch.store.alert import alert, alerts_beginning, alerts_listed, alerts_revision, alerts_that_matter, put_alerts
from spendwatch.store.columns import BATCH, all_of, batches
from spendwatch.store.database import Book, reads, writes
from spendwatch.store.delivery import deliveries, delivery, put_deliveries, select_deliveries
from spendwatch.store.held import digested_since, held, held_rows, put_held, waiting_messages
from spendwatch.store.notification import has_notification, notification, notifications_about, put_notifications
from spendwatch.store.silence import add_silence, end_silence, silences, silences_beginning

if TYPE_CHECKING:
    from spendwatch.domain.notification import Delivery, Notification
    from spendwatch.domain.review import Verdict


class AlertBook(Book):
    """The alert book in a database."""

    known = reads(alerts_that_matter)
    revision = reads(alerts_revision)
    alerts = reads(alerts_listed)
    find = reads(alerts_beginning)
    notifications_of = reads(notifications_about)
    is_on_record = reads(has_notification)
    waiting = reads(waiting_messages)
    digested = reads(digested_since)
    held_of = reads(held_rows)
    silences = reads(silences)
    find_silence = reads(silences_beginning)
    add_silence = writes(add_silence)
    end_silence = writes(end_silence)
    acknowledgements = reads(all_of(acknowledgement, Acknowledgement))
    """All that were not taken back, whether they are in force or not; of an alert the latest."""
    acknowledge = writes(acknowledge)
    take_back = writes(take_back)

    def commit(self, verdict: Verdict, targets: Mapping[ChannelName, Sequence[str]], *, now: datetime) -> int:
        """Store alerts, and for each notification one delivery a channel and target: all of it or nothing.

        What is held gets none. What is there already by its identity stays as it is. Returns how many deliveries are new.
        """
        if not verdict.alerts and not verdict.notifications and not verdict.held:
            return 0
        with self._database.writing() as connection:
            put_alerts(connection, verdict.alerts)
            put_notifications(connection, verdict.notifications)
            put_held(connection, verdict.held)
            return put_deliveries(connection, verdict.sent, targets, now)

    def undelivered(self) -> Sequence[Notification]:
        """Return the latest notification of each firing alert, or the digest with it, that reached nobody and is not under way.

        What waits is under way; what has waited until its channel was gone is not.
        """
        later, copy = notification.alias(), select(delivery.c.id).where(delivery.c.notification == notification.c.id)
        is_latest = (
            notification.c.alert.in_(select(alert.c.id).where(alert.c.state == AlertState.FIRING)),
            ~select(later.c.id)
            .where(later.c.alert == notification.c.alert, later.c.created_at > notification.c.created_at)
            .exists(),
        )
        # From the notification on: of ten thousand, next to none has no living copy, but all of their alerts may fire.
        # What was cancelled is no living copy. Where nothing else was there, a person did not want it.
        is_dead, is_cancelled = (delivery.c.state == state for state in (DeliveryState.DEAD, DeliveryState.CANCELLED))
        died, was_cancelled = copy.where(is_dead).exists(), copy.where(is_cancelled).exists()
        has_none = and_(~copy.where(~or_(is_dead, is_cancelled)).exists(), or_(died, ~was_cancelled))
        alone = select(notification.c.body).where(
            has_none, ~select(held.c.channel).where(held.c.notification == notification.c.id).exists(), *is_latest
        )
        digests = select(held.c.digest).join(notification, notification.c.id == held.c.notification).where(*is_latest)
        lost = select(notification.c.body).where(has_none, notification.c.id.in_(digests))
        with self._database.reading() as connection:
            found = [one for query in (alone, lost) for one in connection.scalars(query.order_by(notification.c.created_at))]
        return tuple({one.id: one for one in found if one.reason is not Reason.ACTION}.values())

    def shown_on(self, channel: ChannelName, since: datetime) -> Sequence[tuple[Notification, bool]]:
        """Return what arrived last over a channel of each alert, and whether that fires: of what does, or ended since then."""
        digests = select(held.c.digest).where(held.c.notification == notification.c.id)
        arrived = (
            select(delivery.c.id)
            .where(delivery.c.channel == channel, func.lower(delivery.c.state) == DeliveryState.DELIVERED.value)
            .where(or_(delivery.c.notification == notification.c.id, delivery.c.notification.in_(digests)))
            .exists()
        )
        query = (
            select(notification.c.body, alert.c.state)
            .join(alert, alert.c.id == notification.c.alert)
            .where(or_(alert.c.state == AlertState.FIRING, alert.c.resolved_at >= since), arrived)
        )
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(notification.c.created_at)).all()
        return list({said.alert: (said, state is AlertState.FIRING) for said, state in found}.values())

    def notified(self, alerts: Iterable[AlertId]) -> Mapping[AlertId, int]:
        """Return for each of these alerts how many deliveries arrived, those of digests with it included."""
        numbers = Counter[AlertId]()
        for which, _, number in self._told(alerts, func.lower(delivery.c.state) == DeliveryState.DELIVERED.value):
            numbers[which] += number
        return numbers

    def heard(self, alerts: Iterable[AlertId]) -> Mapping[AlertId, frozenset[ChannelName]]:
        """Return over which channels something about each of these alerts arrived, or may have."""
        named: dict[AlertId, frozenset[ChannelName]] = {}
        going = [DeliveryState.DELIVERED.value, DeliveryState.ATTEMPTING.value]
        for which, name, _ in self._told(alerts, or_(func.lower(delivery.c.state).in_(going), delivery.c.maybe_repeated)):
            named[which] = named.get(which, frozenset()) | {name}
        return named

    def _told(self, alerts: Iterable[AlertId], is_told: ColumnElement[bool]) -> Iterator[tuple[AlertId, ChannelName, int]]:
        """Yield how many such deliveries each of these alerts has over each channel."""
        # In lower case the state's index is of no use: nearly everything on record arrived, and few of it is asked for.
        told = select(notification.c.alert, delivery.c.channel, delivery.c.id).where(is_told)
        alone, together = told.join(delivery), told.join(held).join(delivery, delivery.c.notification == held.c.digest)
        for some in batches(alerts):
            these = notification.c.alert.in_(some)
            each = alone.where(these).union(together.where(these)).subquery()
            kinds = each.c.alert, each.c.channel
            with self._database.reading() as connection:
                yield from connection.execute(select(*kinds, func.count()).group_by(*kinds)).all()

    def forget(self, before: datetime, rendered_before: datetime) -> int:
        """Delete messages older than that with their deliveries, and the bytes of those settled before the other moment.

        What an alert that fires was told stays, and what is not settled; alerts stay, so that no old one begins anew.
        Returns how many messages were deleted.
        """
        firing, of_message = (
            select(alert.c.id).where(alert.c.state == AlertState.FIRING),
            delivery.c.notification == notification.c.id,
        )
        is_open = or_(delivery.c.settled_at.is_(None), delivery.c.settled_at >= before)
        member, waited = notification.alias(), or_(held.c.notification == notification.c.id, held.c.digest == notification.c.id)
        matters = or_(held.c.ended_at.is_(None), held.c.ended_at >= before, member.c.alert.in_(firing))
        old = select(notification.c.id).where(
            notification.c.created_at < before,
            notification.c.alert.not_in(firing),
            ~select(delivery.c.id).where(of_message, is_open).exists(),
            ~select(held.c.channel).join(member, member.c.id == held.c.notification).where(waited, matters).exists(),
        )
        sent = update(delivery).where(delivery.c.state == DeliveryState.DELIVERED, delivery.c.settled_at < rendered_before)
        with self._database.writing() as connection:
            connection.execute(sent.where(delivery.c.rendered.is_not(None)).values(rendered=None))
        number = 0
        while True:
            with self._database.writing() as connection:
                some = connection.scalars(old.limit(BATCH)).all()
                for table, key in (
                    (delivery, delivery.c.notification),
                    (held, held.c.notification),
                    (notification, notification.c.id),
                ):
                    connection.execute(delete(table).where(key.in_(some)))
            number += len(some)
            if len(some) < BATCH:
                return number

    def deliveries_of(self, which: AlertId) -> Sequence[Delivery]:
        """Return every delivery of the alert's notifications and of the digests with them, the oldest first."""
        digests = select(held.c.digest).join(notification, notification.c.id == held.c.notification)
        is_told = delivery.c.notification.in_(digests.where(notification.c.alert == which))
        query = select_deliveries(or_(notification.c.alert == which, is_told))
        with self._database.reading() as connection:
            return deliveries(connection, query.order_by(notification.c.created_at, delivery.c.channel, delivery.c.target))
