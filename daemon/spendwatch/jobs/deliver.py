"""From the outbox to the channels."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, DeliveryId, pause_after
from spendwatch.domain.period import Clock
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.scope import AlertScope
from spendwatch.jobs.conditions import Surroundings, ways_of
from spendwatch.jobs.ports import Channel, Health, Outbox

TERM = timedelta(hours=1)
"""The longest that one attempt may take, whatever its channel allows itself: the term of a claim."""

_TRIED_AGAIN = timedelta(days=1)
"""After this time a notification that reached nobody is sent again, as long as the alert fires."""

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
    Whatever goes wrong in between, the claim ends with this call.
    """
    attempts = 0
    ended: list[_Outcome] = []
    writing = asyncio.Lock()

    async def settle(outcome: _Outcome) -> None:
        # Settled at once: what is on its way beside it may take minutes. What ends while others are written goes together.
        ended.append(outcome)
        async with writing:
            some, ended[:] = ended[:], []
            for one in await asyncio.to_thread(_settle, some, outbox=outbox, health=health, now=clock()) if some else ():
                settled(one)

    while not stopping():
        batch = await asyncio.to_thread(outbox.claim, name, clock(), channel.at_once)
        if not batch:
            break
        begun: set[DeliveryId] = set()

        async def carry(ready: _Outcome, begun: set[DeliveryId] = begun) -> None:
            await settle(ready if ready.error else await _attempt(channel, ready.delivery, begun))

        async def follow(thread: Sequence[_Outcome], carry: Callable[[_Outcome], Awaitable[None]] = carry) -> None:
            for one in thread:
                await carry(one)

        try:
            closed = await asyncio.to_thread(_closed, name, health)
            ready = await asyncio.to_thread(_prepare, channel, batch, outbox, closed)
            # All of them end before a failure of one is raised.
            ends = await asyncio.gather(*(follow(thread) for thread in _threads(ready)), return_exceptions=True)
        finally:
            outbox.release([delivery.id for delivery in batch], begun)
        for failed in (end for end in ends if isinstance(end, BaseException)):
            raise failed
        attempts += len(batch)
    return attempts


def find_ways(strays: Sequence[Delivery], outbox: Outbox, health: Health, around: Surroundings, *, now: datetime) -> int:
    """Send over what the configuration names now what waited for a channel that is gone, and what reached nobody.

    Returns how many deliveries are due that were not. What was given up is tried again once its channel works, else once a day.
    """
    known = {channel.name: channel for channel in health.channels()}
    closed = {name for name, channel in known.items() if channel.disabled}
    works = {name for name in around.targets if name not in known or not known[name].failures} - closed
    lost = {one.id: one for one in (*(stray.notification for stray in strays), *around.undelivered)}
    named = ((one, [name for name in ways_of(one, around) if name not in closed]) for one in lost.values())
    ways = [(one, {name: around.targets[name] for name in names if name in around.targets}) for one, names in named]
    return outbox.offer(ways, again=works, before=now - _TRIED_AGAIN, now=now) if ways else 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    delivery: Delivery
    error: TemporaryDeliveryError | PermanentDeliveryError | None = None


def _closed(name: ChannelName, health: Health) -> str:
    """Return why the channel must not be used, or nothing."""
    found = next((channel for channel in health.channels() if channel.name == name and channel.disabled), None)
    # What was given up for this reason is the channel's latest trouble: say the reason once, not once more each time.
    return f"{_DISABLED}{found.trouble.removeprefix(_DISABLED)}" if found else ""


def _prepare(channel: Channel, batch: Sequence[Delivery], outbox: Outbox, closed: str) -> list[_Outcome]:
    """Return the deliveries with the bytes to be sent, which are on record then, or with what is wrong."""
    if closed:
        return [_Outcome(delivery, PermanentDeliveryError(closed)) for delivery in batch]
    ready = [_rendered(channel, delivery) for delivery in batch]
    fresh = {
        one.delivery.id: one.delivery.rendered for one, before in zip(ready, batch, strict=True) if before.rendered is None
    }
    outbox.keep_rendered({which: content for which, content in fresh.items() if content is not None})
    return ready


def _threads(ready: Iterable[_Outcome]) -> Iterable[Sequence[_Outcome]]:
    """Return the deliveries of which one must not overtake another: those about one scope to one receiver."""
    found: dict[tuple[AlertScope, str], list[_Outcome]] = {}
    for one in ready:
        found.setdefault((one.delivery.notification.facts.scope, one.delivery.target), []).append(one)
    return found.values()


def _rendered(channel: Channel, delivery: Delivery) -> _Outcome:
    if delivery.rendered is not None:
        return _Outcome(delivery)
    try:
        return _Outcome(replace(delivery, rendered=channel.render(delivery.notification, delivery.target)))
    except Exception as error:  # noqa: BLE001 -- a defect that one notification shows must not hold up the others
        return _Outcome(delivery, TemporaryDeliveryError(f"unexpected {type(error).__name__}: {error}"))


async def _attempt(channel: Channel, delivery: Delivery, begun: set[DeliveryId]) -> _Outcome:
    begun.add(delivery.id)
    try:
        async with asyncio.timeout(TERM.total_seconds()):
            await channel.send(delivery)
    except (TemporaryDeliveryError, PermanentDeliveryError) as error:
        return _Outcome(delivery, error)
    except Exception as error:  # noqa: BLE001 -- a defect of one channel must not leave its copies unsettled
        return _Outcome(delivery, TemporaryDeliveryError(f"unexpected {type(error).__name__}: {error}", maybe_taken=True))
    return _Outcome(delivery)


def _settle(outcomes: Sequence[_Outcome], *, outbox: Outbox, health: Health, now: datetime) -> list[Settled]:
    """Write down how attempts of one channel ended, all in one transaction."""
    found = [_ended(one, outbox, now) for one in outcomes]
    outbox.write_down()
    name = outcomes[0].delivery.channel
    for error, _ in groupby(outcomes, lambda one: one.error):  # of several successes in a row one is news
        if error is None:
            health.channel_worked(name)
        else:
            gone = isinstance(error, PermanentDeliveryError) and error.gone
            health.channel_failed(name, str(error), at=now, disable=gone)
    return found


def _ended(outcome: _Outcome, outbox: Outbox, now: datetime) -> Settled:
    delivery, error, why = outcome.delivery, outcome.error, str(outcome.error or "")
    match error:
        case None:
            outbox.delivered(delivery.id, at=now)
            return Settled(delivery)
        case TemporaryDeliveryError():
            refusals = delivery.refusals + 1 if error.is_refusal else 0
            if (pause := pause_after(delivery.attempts, refusals)) is None:
                outbox.give_up(delivery.id, at=now, why=why, maybe_taken=error.maybe_taken)
            else:
                at = now + max(pause * _spread(), error.retry_after or timedelta())
                outbox.retry(delivery.id, at=at, why=why, maybe_taken=error.maybe_taken, refusals=refusals)
            return Settled(delivery, why, final=pause is None)
        case PermanentDeliveryError():
            outbox.give_up(delivery.id, at=now, why=why)
            return Settled(delivery, why, final=True)


def _spread() -> float:
    """Return a factor a little above one, so that many copies are not tried again in the same second."""
    return random.uniform(1, 1 + _JITTER)  # noqa: S311 -- spreads load, guards nothing
