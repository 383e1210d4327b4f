"""Keeps programs that show alerts true, where no message would: what fires still, what ended without a word, who took over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from spendwatch.domain.alert import AlertId, AlertsKnown, AlertState
from spendwatch.domain.delivery import Reason
from spendwatch.domain.errors import DeliveryError
from spendwatch.domain.notification import Notification, first_attempt
from spendwatch.domain.period import Clock
from spendwatch.domain.policy import ChannelName
from spendwatch.jobs.ports import AlertBook, MirroringChannel

EVERY = timedelta(minutes=1)
_LOOK_BACK = timedelta(days=2)
"""What ended before is not looked at again."""


class Mirror:
    """What one program was told beside its messages. All of it may be told again after a restart: it changes nothing there."""

    def __init__(self, name: ChannelName, channel: MirroringChannel) -> None:
        """Begin with nothing."""
        self.channel = channel
        self._name = name
        self._said: set[tuple[AlertId, str]] = set()

    async def update(self, book: AlertBook, clock: Clock) -> DeliveryError | None:
        """Tell it what it cannot know; return what went wrong, to be tried again the next time."""
        for said, key in await asyncio.to_thread(lambda: list(self._due(book, clock()))):
            rendered = self.channel.render(said, self.channel.targets[0])
            try:
                await self.channel.send(first_attempt(said, self._name, self.channel.targets[0], rendered))
            except DeliveryError as error:
                return error
            self._said |= {key} if key else set()
        return None

    def _due(self, book: AlertBook, now: datetime) -> Iterator[tuple[Notification, tuple[AlertId, str] | None]]:
        """Yield what it is to be told, and what to remember of it."""
        alerts = book.known()
        known, by_id = AlertsKnown(alerts, book.acknowledgements()), {alert.id: alert for alert in alerts}
        for last, is_firing in book.shown_on(self._name, now - _LOOK_BACK):
            if last.state is AlertState.RESOLVED:
                continue
            alert = by_id.get(last.alert)
            taken = known.acknowledged(alert.key.matter, now) if alert and is_firing else None
            if not is_firing:
                news, key = replace(last, reason=Reason.RESOLVED, state=AlertState.RESOLVED, created_at=now), "ended"
            elif self.channel.repeats:
                yield last, None
                continue
            elif taken:
                news, key = last.with_figures(acknowledged=taken), f"acknowledged {taken.at}"
            else:
                continue
            if (last.alert, key) not in self._said:
                yield news, (last.alert, key)
