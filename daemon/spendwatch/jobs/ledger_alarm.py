"""Notifies the operators of a ledger failure from memory, without the outbox, which is in the ledger."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from spendwatch.domain.alert import Alert, AlertKey, AlertState, Rule, alert_id
from spendwatch.domain.delivery import Reason
from spendwatch.domain.errors import DeliveryError, LedgerDamagedError, LedgerUnavailableError
from spendwatch.domain.notification import Delivery, Facts, first_attempt
from spendwatch.domain.period import Clock
from spendwatch.domain.policy import ChannelName, Severity
from spendwatch.domain.review import say
from spendwatch.domain.scope import NamedScope, Subject
from spendwatch.jobs.ports import Channel

log = structlog.get_logger("spendwatch")

LASTS = 30.0
"""A job that fails for so many seconds will not be well by itself: a database that is restarted is back before."""

_REMIND = 86400.0
_RETRY = 60.0
_SCOPE = NamedScope(Subject.DAEMON, "ledger")


class LedgerAlarm:
    """Tracks which jobs fail and who was notified. Damage is reported at once, what may pass after half a minute."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float]) -> None:
        """Nothing fails yet."""
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failing: dict[str, tuple[float, float, str]] = {}
        """By job: when it first failed, when that is due to be reported, and the last reason."""
        self._alert: Alert | None = None
        self._told_at = -math.inf
        self._waiting: dict[tuple[ChannelName, str], tuple[float, Delivery]] = {}
        """What is not delivered yet, each with the time of the next attempt."""

    def failed(self, job: str, error: Exception) -> None:
        """Note that a job failed."""
        why = (
            str(error)
            if isinstance(error, LedgerUnavailableError)
            else f"{job}: unexpected {type(error).__name__}, see the log"
        )
        now = self._monotonic()
        with self._lock:
            first, told_from, _ = self._failing.get(job, (now, math.inf, ""))
            if isinstance(error, LedgerDamagedError) or now - first >= LASTS:
                told_from = min(now, told_from)
            self._failing[job] = first, told_from, why

    def worked(self, job: str) -> None:
        """Note that a job did its work."""
        with self._lock:
            self._failing.pop(job, None)

    @property
    def trouble(self) -> str:
        """What to report; empty while all is well, or may soon be."""
        with self._lock:
            return min(((at, why) for _, at, why in self._failing.values() if at < math.inf), default=(0.0, ""))[1]

    async def tell(self, channels: Mapping[ChannelName, Channel], operators: Sequence[ChannelName]) -> None:
        """Notify over every channel of the operators, and retry what was not delivered."""
        now, trouble = self._monotonic(), self.trouble
        if trouble and self._alert is None:
            key, moment = AlertKey(Rule.LEDGER_FAILING, _SCOPE), self._clock()
            episode = int(moment.timestamp())
            begun = Alert(alert_id(key, episode), key, episode, Severity.CRITICAL, AlertState.FIRING, moment, summary=trouble)
            self._alert = begun.told_again("", moment)
            self._put(Reason.FIRED, trouble, channels, operators)
        elif trouble and self._alert and now - self._told_at >= _REMIND:
            self._alert = self._alert.told_again("", self._clock())
            self._put(Reason.REPEATED, trouble, channels, operators)
        elif self._alert and not trouble and not self._failing:
            self._alert = self._alert._replace(state=AlertState.RESOLVED, resolved_at=self._clock())
            self._put(Reason.RESOLVED, "", channels, operators)
            self._alert = None
        for place, (not_before, delivery) in list(self._waiting.items()):
            if now >= not_before and place[0] in channels:
                await self._send(place, channels[place[0]], delivery)

    def _put(self, reason: Reason, why: str, channels: Mapping[ChannelName, Channel], operators: Sequence[ChannelName]) -> None:
        assert self._alert  # noqa: S101 -- all three calls have one
        self._told_at, now = self._monotonic(), self._clock()
        facts = Facts(scope=_SCOPE, name=_SCOPE.name, detail=why)
        for name in operators or tuple(channels):
            for target in channels[name].targets if name in channels else ():
                unheard = self._waiting.pop((name, target), None)
                if unheard and reason is Reason.RESOLVED:
                    continue  # it never received the alert, so it needs no resolution
                notification = say(self._alert, reason, (name,), facts, now)
                rendered = channels[name].render(notification, target)
                self._waiting[name, target] = (-math.inf, first_attempt(notification, name, target, rendered))

    async def _send(self, place: tuple[ChannelName, str], channel: Channel, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(_RETRY):
                await channel.send(delivery)
        except Exception as error:  # noqa: BLE001 -- one channel, whatever is wrong with it, must not hold up the others
            why = str(error) if isinstance(error, DeliveryError) else f"unexpected {type(error).__name__}"
            self._waiting[place] = self._monotonic() + _RETRY, replace(delivery, attempts=delivery.attempts + 1)
            log.warning("ledger_alarm_postponed", channel=place[0], why=why)
        else:
            self._waiting.pop(place, None)
            log.info("ledger_alarm_delivered", channel=place[0], type=delivery.notification.type)
