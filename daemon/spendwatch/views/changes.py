"""What people change by hand, from a command or from the page: acknowledgements, silences, deliveries to be sent again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo

from spendwatch.domain.alert import Acknowledgement, Alert, Rule
from spendwatch.domain.delivery import DeliveryId, DeliveryState, Silence
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.notification import Delivery
from spendwatch.fields import refuse
from spendwatch.settings import Settings
from spendwatch.state import Store
from spendwatch.store.audit import AuditEntry
from spendwatch.views.moments import when

LONGEST_SILENCE = timedelta(days=90)


def acknowledge(
    store: Store, alerts: Sequence[Alert], zone: tzinfo, *, who: str, now: datetime, lasts: timedelta | None, comment: str
) -> str:
    """Note that somebody takes care of these alerts; return until when. `ValueError` where one of them has ended."""
    if over := next((one for one in alerts if one.resolved_at), None):
        refuse(f"{over.id[:8]} ended {when(over.resolved_at, zone)}: there is nothing to acknowledge")
    end = now + lasts if lasts else None
    until = f"until {when(end, zone)}" if end else "until it ends"
    detail = f"{until}: {comment}" if comment else until
    said = [Acknowledgement(one.id, who, now, end, comment) for one in alerts]
    store.book.acknowledge(said, [entry("acknowledge", one, detail, who, now) for one in alerts])
    return until


def take_back(store: Store, alerts: Sequence[Alert], who: str, now: datetime) -> None:
    """End the acknowledgements of what these alerts are about. `ValueError` where one is not acknowledged."""
    known = {alert.id: alert.key.matter for alert in store.book.known()}
    matters = {alert.key.matter for alert in alerts}
    ids = [one.alert for one in store.book.acknowledgements() if known.get(one.alert) in matters]
    acknowledged = {known[one] for one in ids}
    if free := next((alert for alert in alerts if alert.key.matter not in acknowledged), None):
        refuse(f"{free.id[:8]} is not acknowledged; see `spendwatch ack --list`")
    store.book.take_back(ids, [entry("end acknowledgement", one, "", who, now) for one in alerts])


def entry(action: str, alert: Alert, detail: str, who: str, now: datetime) -> AuditEntry:
    """Return what the audit list says of it."""
    return AuditEntry(now, who, action, f"{alert.id[:8]} {alert.summary}", detail)


def silence_like(alert: Alert, *, who: str, now: datetime, lasts: timedelta, comment: str) -> Silence:
    """Return what holds the messages of alerts of the same rule about the same for a while."""
    key, end = alert.key, now + min(lasts, LONGEST_SILENCE)
    # Of rejected files each is an alert of its own, and the next one is another file.
    about = "" if key.rule is Rule.REJECTED else key.scope.label
    return Silence(new_silence_id(), now, end, who, comment, rule=key.rule.type, account=key.scope.account, scope=about)


def silence(store: Store, one: Silence, zone: tzinfo) -> None:
    """Put a silence on record."""
    detail = f"until {when(one.ends_at, zone)}{f': {one.comment}' if one.comment else ''}"
    store.book.add_silence(one, AuditEntry(one.created_at, one.author, "silence", f"{one.id} {one.matchers}", detail))


def end_silence(store: Store, one: Silence, who: str, now: datetime) -> None:
    """End a silence before its time."""
    store.book.end_silence(one.id, now, AuditEntry(now, who, "end silence", f"{one.id} {one.matchers}", ""))


def new_silence_id() -> str:
    """Return a name for a silence that no other has."""
    return uuid.uuid4().hex[:8]


def retry(store: Store, settings: Settings, which: DeliveryId, now: datetime) -> Delivery:
    """Send a delivery again now, even if it is dead; return it. `ValueError` where it, or its channel, is gone."""
    found = next((one for one in store.outbox.find(which) if one.id == which), None)
    if found is None:
        refuse(f"there is no delivery {which!r}")
    if found.channel not in settings.channels:
        refuse(f"{found.id} cannot be sent: the configuration has no channel {found.channel!r}")
    if found.state is DeliveryState.ATTEMPTING:
        take_up(store)
    store.outbox.requeue(found.id, now=now)
    (requeued,) = store.outbox.find(found.id)
    if requeued.state is DeliveryState.PENDING:
        store.health.retry_channels([found.channel])
    return requeued


def take_up(store: Store) -> None:
    """Make abandoned deliveries pending again, unless a daemon runs, which knows what it is sending."""
    with suppress(LedgerUnavailableError):
        store.database.lock_for_life()
        store.outbox.take_up()
