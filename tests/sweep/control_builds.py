"""The real program with one thing broken: the sweep must notice each, or it would notice nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from spendwatch.channels.email import EmailChannel
from spendwatch.channels.http_channel import HttpChannel
from spendwatch.channels.webhook import WebhookChannel
from spendwatch.channels.webhook_settings import WebhookConfig
from spendwatch.domain.delivery import NotificationId
from spendwatch.domain.notification import Delivery
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.store import sqlite
from spendwatch.store.alert import put_alerts
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.delivery import put_deliveries
from spendwatch.store.notification import put_notifications
from spendwatch.store.outbox import Outbox


def settle_first() -> None:
    """Write down that a copy was delivered before it is sent: what dies in between is lost."""
    claim = Outbox.claim

    def claim_as_delivered(
        self: Outbox,
        channel: ChannelName,
        now: datetime,
        limit: int,
        **options: Any,  # noqa: ANN401 -- whatever it takes
    ) -> Sequence[Delivery]:
        claimed = claim(self, channel, now, limit, **options)
        for delivery in claimed:
            self.settle(delivery.id, at=now)
        self.write_down()
        return claimed

    Outbox.claim = claim_as_delivered  # type: ignore[method-assign] # to break it is the purpose


def send_under_random_ids() -> None:
    """Give every attempt an id of its own: nobody can tell that a repeat is one."""
    mail, post = EmailChannel.send, WebhookChannel.send

    async def mail_randomly(self: EmailChannel, delivery: Delivery) -> str:
        body = delivery.rendered or self.render(delivery.notification, delivery.target)
        return await mail(self, replace(delivery, rendered=re.sub(rb"(?m)^Message-ID: <[^@]+@", _random_message_id(), body)))

    async def post_randomly(self: HttpChannel[WebhookConfig], delivery: Delivery) -> str:
        number = NotificationId(uuid4().hex)
        return await post(self, replace(delivery, notification=replace(delivery.notification, id=number)))

    EmailChannel.send = mail_randomly  # type: ignore[method-assign] # as above
    WebhookChannel.send = post_randomly  # type: ignore[method-assign] # as above


def _random_message_id() -> bytes:
    return f"Message-ID: <{uuid4().hex}@".encode()


def commit_twice() -> None:
    """Write what is said down in a transaction of its own: an alert of which nothing is on record is never sent."""

    def commit(self: AlertBook, verdict: Verdict, targets: Mapping[ChannelName, Sequence[str]], *, now: datetime) -> int:
        with self._database.writing() as connection:
            put_alerts(connection, verdict.alerts)
        with self._database.writing() as connection:
            put_notifications(connection, verdict.notifications)
            return put_deliveries(connection, verdict.notifications, targets, now)

    AlertBook.commit = commit  # type: ignore[method-assign] # as above


def sync_seldom() -> None:
    """Sync at checkpoints alone, as many advise: a power cut takes what was committed since."""
    seldom = tuple(pragma.replace("FULL", "NORMAL") for pragma in sqlite._WRITER)
    sqlite._WRITER = seldom  # type: ignore[assignment] # as above


CONTROLS: Mapping[str, Callable[[], None]] = {
    "settled-first": settle_first,
    "random-ids": send_under_random_ids,
    "two-transactions": commit_twice,
    "seldom-synced": sync_seldom,
}
