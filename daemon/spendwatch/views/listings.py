"""Lists as JSON values: alerts, statements, deliveries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from spendwatch.domain.alert import Acknowledgement, Alert, AlertId, AlertsKnown
from spendwatch.domain.delivery import OPEN, WAITING, DeliveryState, Route
from spendwatch.domain.health import ChannelHealth
from spendwatch.domain.notification import Delivery
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.statement import Statement
from spendwatch.exact_json import json_fields, json_value
from spendwatch.jobs.overview_json import alert_json
from spendwatch.settings import Settings
from spendwatch.state import Store
from spendwatch.store.statement import EnteredStatement


class ListedAlerts(NamedTuple):
    """Alerts on record, the latest first, and what became of them."""

    alerts: Sequence[Alert]
    known: AlertsKnown
    notified: Mapping[AlertId, int]
    undelivered: frozenset[AlertId]
    now: datetime

    @classmethod
    def of(cls, store: Store, now: datetime, *, everything: bool = False) -> ListedAlerts:
        """Return what fires, or everything."""
        book = store.book
        found = [alert for alert in book.alerts() if everything or alert.is_firing]
        undelivered = frozenset(which for one in book.undelivered() for which in one.alerts)
        notified = book.notified(alert.id for alert in found)
        return cls(found, AlertsKnown(book.known(), book.acknowledgements()), notified, undelivered, now)

    def acknowledged(self, alert: Alert) -> Acknowledgement | None:
        """Return who takes care of it."""
        return self.known.acknowledged(alert.key.matter, self.now) if alert.is_firing else None

    def json(self, alert: Alert, zone: tzinfo) -> dict[str, object]:
        """Return one of them."""
        is_lost, said = alert.id in self.undelivered, self.acknowledged(alert)
        return alert_json(alert, zone, self.notified.get(alert.id, 0), is_undelivered=is_lost, acknowledged=said)


def entered_json(statement: EnteredStatement, zone: tzinfo) -> dict[str, object]:
    """Return a statement on record."""
    return {
        **json_fields(statement, statement="identity", sha256="digest", file="name", source="source"),
        **json_fields(statement, entered_at="received_at", zone=zone),
        **statement_json(statement, zone),
        **json_fields(statement, "new", "changed", "same", "gone", "remarks"),
    }


def statement_json(statement: Statement | EnteredStatement, zone: tzinfo) -> dict[str, object]:
    """Return what a bill file says of itself."""
    return {
        **json_fields(statement, "layout", "series", "kind", "tax_basis", "accounts", months="periods"),
        **json_fields(statement, "data_until", "exported_at", "lines", zone=zone),
    }


class ListedDeliveries(NamedTuple):
    """Deliveries, the latest first, and what keeps back those that wait."""

    deliveries: Sequence[Delivery]
    channels: Sequence[ChannelHealth]
    routes: Mapping[ChannelName, Route]
    now: datetime

    @classmethod
    def of(
        cls, store: Store, settings: Settings, now: datetime, states: Collection[DeliveryState] | None, limit: int
    ) -> ListedDeliveries:
        """Return those in these states."""
        return cls(store.outbox.listing(states=states, limit=limit), store.health.channels(), settings.routes, now)

    def next_attempt(self, one: Delivery) -> datetime | None:
        """Return when a delivery is really tried; None where it is settled, or waits for a person."""
        if one.state not in WAITING or one.is_held:
            return None
        health = next((channel for channel in self.channels if channel.name == one.channel), None)
        return self.routes.get(one.channel, OPEN).next_attempt(one.due_at, one.notification.loudness, health, self.now)

    def json(self, one: Delivery, zone: tzinfo) -> dict[str, object]:
        """Return one of them."""
        return {**_delivery_json(one, zone), "next_attempt_at": json_value(self.next_attempt(one), zone)}


def _delivery_json(delivery: Delivery, zone: tzinfo) -> dict[str, object]:
    return {
        **json_fields(delivery, "id", notification="notification.id", alert="notification.alert", type="notification.type"),
        **json_fields(delivery, "channel", "target", "state", "attempts", "due_at", "settled_at", zone=zone),
        **json_fields(delivery, "maybe_repeated", "last_error", held="is_held"),
    }
