"""From the outbox to the channels."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, DeliveryId, pause_after
from spendwatch.domain.period import Clock
from spendwatch.domain.policy import ChannelName
from spendwatch.jobs.ports import Channel, Health, Outbox

AT_ONCE = 4
"""How many copies one channel carries at a time."""

_JITTER = 0.1
_DISABLED = "the channel is disabled: "


@dataclass(frozen=True, slots=True)
class Settled:
    """How one attempt ended."""

    delivery: Delivery
    why: str = ""
    """Empty when it was delivered."""
    final: bool = False
    """No further attempt will be made."""


async def deliver(
    name: ChannelName,
    channel: Channel,
    *,
    outbox: Outbox,
    health: Health,
    clock: Clock,
    settled: Callable[[Settled], None],
    stopping: Callable[[], bool],
) -> int:
    """Hand over what is due on one channel until nothing is; return how many attempts were made.

    Marked as being attempted before, settled after: a crash in between repeats a copy under the same id, and loses none.
    """
    attempts = 0
    while not stopping():
        batch = await asyncio.to_thread(outbox.claim, name, clock(), AT_ONCE)
        if not batch:
            break
        closed = await asyncio.to_thread(_closed, name, health)
        ready = batch if closed else await asyncio.to_thread(_rendered, channel, batch, outbox)

        async def carry(delivery: Delivery, closed: str = closed) -> None:
            # Settled at once, not with the batch: what is on its way beside it may take minutes.
            outcome = _Outcome(delivery, PermanentDeliveryError(closed)) if closed else await _attempt(channel, delivery)
            settled(await asyncio.to_thread(_settle, outcome, outbox=outbox, health=health, now=clock()))

        await asyncio.gather(*(carry(delivery) for delivery in ready))
        attempts += len(batch)
    return attempts


@dataclass(frozen=True, slots=True)
class _Outcome:
    delivery: Delivery
    error: TemporaryDeliveryError | PermanentDeliveryError | None = None


def _closed(name: ChannelName, health: Health) -> str:
    """Return why the channel must not be used, or nothing."""
    found = next((channel for channel in health.channels() if channel.name == name and channel.disabled), None)
    # What was given up for this reason is the channel's latest trouble: say the reason once, not once more each time.
    return f"{_DISABLED}{found.trouble.removeprefix(_DISABLED)}" if found else ""


def _rendered(channel: Channel, batch: Sequence[Delivery], outbox: Outbox) -> list[Delivery]:
    fresh: dict[DeliveryId, bytes] = {
        delivery.id: channel.render(delivery.notification, delivery.target) for delivery in batch if delivery.rendered is None
    }
    if fresh:
        outbox.keep_rendered(fresh)
    return [replace(delivery, rendered=fresh.get(delivery.id, delivery.rendered)) for delivery in batch]


async def _attempt(channel: Channel, delivery: Delivery) -> _Outcome:
    try:
        await channel.send(delivery)
    except (TemporaryDeliveryError, PermanentDeliveryError) as error:
        return _Outcome(delivery, error)
    except Exception as error:  # noqa: BLE001 -- a defect of one channel must not leave its copies unsettled until a restart
        return _Outcome(delivery, TemporaryDeliveryError(f"unexpected {type(error).__name__}: {error}"))
    return _Outcome(delivery)


def _settle(outcome: _Outcome, *, outbox: Outbox, health: Health, now: datetime) -> Settled:
    delivery, error = outcome.delivery, outcome.error
    name = delivery.channel
    match error:
        case None:
            outbox.delivered(delivery.id, at=now)
            health.channel_worked(name)
            return Settled(delivery)
        case TemporaryDeliveryError():
            pause = pause_after(delivery.attempts)
            health.channel_failed(name, str(error), at=now)
            if pause is None:
                outbox.give_up(delivery.id, at=now, why=str(error))
            else:
                wait = max(pause * _spread(), error.retry_after or timedelta())
                outbox.retry(delivery.id, at=now + wait, why=str(error))
            return Settled(delivery, str(error), final=pause is None)
        case PermanentDeliveryError():
            outbox.give_up(delivery.id, at=now, why=str(error))
            health.channel_failed(name, str(error), at=now, disable=error.gone)
            return Settled(delivery, str(error), final=True)


def _spread() -> float:
    """Return a factor a little above one, so that many copies are not tried again in the same second."""
    return random.uniform(1, 1 + _JITTER)  # noqa: S311 -- spreads load, guards nothing
