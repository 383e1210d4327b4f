"""From the outbox to the channels."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

import structlog

from spendwatch.domain.delivery import (
    DELIVERED_WITHIN,
    OPEN,
    PAUSES,
    DeliveryId,
    DeliveryState,
    Reason,
    Route,
    channel_pause,
    pause_after,
)
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.health import ChannelHealth, ChannelPause
from spendwatch.domain.notification import Delivery
from spendwatch.domain.period import Clock
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.scope import AlertScope
from spendwatch.jobs.conditions import Surroundings, ways_now
from spendwatch.jobs.ports import AlertBook, Channel, Health, Outbox

log = structlog.get_logger("spendwatch")

TERM = timedelta(hours=1)
"""The longest that one attempt may take, whatever its channel allows itself: the term of a claim."""

_TRIED_AGAIN = timedelta(days=1)
"""After this time a notification that reached nobody is sent again, as long as the alert fires."""

_JITTER = 0.1
_DISABLED = "the channel is disabled: "
STRAYED = "the configuration no longer has this channel or recipient"
UNWANTED = "the alert no longer goes over this channel"


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
    route: Route = OPEN,
) -> int:
    """Hand over what is due on one channel until nothing is, or until the channel fails; return how many attempts were made.

    Quiet hours hold at the moment of sending, whatever a message has waited for so far.

    Marked as being attempted before, settled after: a crash in between repeats a copy under the same id, and loses none.
    Whatever goes wrong in between, the claim ends with this call. One message goes first, then twice as many at a time,
    up to what the channel carries: what fails for all of them is found out by few.
    """
    attempts, at_once = 0, 1
    while not stopping():
        round_ = _Round(name, channel, outbox, health, clock, settled)
        try:
            carried = await round_.carry(at_once, route, is_first=not attempts)
        finally:
            outbox.release(round_.claimed, round_.begun)
        if not carried:
            break
        attempts += carried
        at_once *= 2
    return attempts


@dataclass(slots=True)
class _Round:
    """What is sent at a time over one channel."""

    name: ChannelName
    channel: Channel
    outbox: Outbox
    health: Health
    clock: Clock
    settled: Callable[[Settled], None]
    claimed: list[DeliveryId] = field(default_factory=list)
    begun: set[DeliveryId] = field(default_factory=set)
    has_failed: bool = False
    """Whether the channel failed as a whole: the rest waits."""
    known: ChannelHealth = field(init=False)
    _ended: list[tuple[_Outcome, Settled]] = field(default_factory=list)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def carry(self, at_once: int, route: Route, *, is_first: bool) -> int:
        """Send up to so many messages and return their number; all of them end before a failure of one is raised."""
        ready = await asyncio.to_thread(self._claim, at_once, route, is_first=is_first)
        await to_their_ends(self._follow(thread) for thread in _threads(ready))
        return len(ready)

    def _claim(self, at_once: int, route: Route, *, is_first: bool) -> list[_Outcome]:
        """Return deliveries with the bytes to be sent, which are on record then, or with what is wrong."""
        now, found = self.clock(), (one for one in self.health.channels() if one.name == self.name)
        self.known = known = next(found, ChannelHealth(self.name))
        if known.is_paused(now):
            self.outbox.take_up()  # what was claimed before the channel failed
            return []
        if is_first:
            for one in self.outbox.drop_superseded(self.name, now):
                log.info("delivery_superseded", channel=self.name, **one._asdict())
        wrong: dict[DeliveryId, TemporaryDeliveryError] = {}

        def render(delivery: Delivery) -> bytes | None:
            try:
                return None if known.disabled else self.channel.render(delivery.notification, delivery.target)
            except Exception as error:  # noqa: BLE001 -- a defect that one notification shows must not hold up the others
                wrong[delivery.id] = TemporaryDeliveryError(f"unexpected {type(error).__name__}: {error}")
                return None

        limit, quiet = min(1 if known.pauses else at_once, self.channel.at_once), route.held(now)
        batch = self.outbox.claim(self.name, now, limit, render=render, is_probe=bool(known.pauses), quiet=quiet)
        self.claimed += [delivery.id for delivery in batch]
        if known.disabled:
            # What was given up for this reason is the channel's latest trouble: say the reason once, not once more each time.
            closed = f"{_DISABLED}{known.trouble.removeprefix(_DISABLED)}"
            return [_Outcome(delivery, PermanentDeliveryError(closed)) for delivery in batch]
        return [_Outcome(delivery, wrong.get(delivery.id)) for delivery in batch]

    async def _follow(self, thread: Sequence[_Outcome]) -> None:
        for ready in thread:
            if self.has_failed:
                break
            outcome = ready if ready.error else await _attempt(self.channel, ready.delivery, self.begun)
            self.has_failed |= _is_of_channel(outcome, self.known)
            # Settled at once: what is on its way beside it may take minutes. What ends while others are written goes together.
            # Known to the outbox before anything is waited for: an answer that came is not lost to a stop or a fault.
            self._ended.append((outcome, _ended(outcome, self.known, self.outbox, self.clock())))
            async with self._writing:
                some, self._ended[:] = self._ended[:], []
                for one in await asyncio.to_thread(self._write_down, some) if some else ():
                    self.settled(one)

    def _write_down(self, ended: Sequence[tuple[_Outcome, Settled]]) -> list[Settled]:
        """Write down how attempts ended, all in one transaction."""
        now, name, outcomes = self.clock(), self.name, [outcome for outcome, _ in ended]
        self.outbox.write_down()
        for error, some in groupby(outcomes, lambda one: one.error):  # of several successes in a row one is news
            if error is not None:
                gone = isinstance(error, PermanentDeliveryError) and error.gone
                pause = _pause(error, self.known, now) if any(_is_of_channel(one, self.known) for one in some) else None
                self.health.channel_failed(name, str(error), at=now, disable=gone, pause=pause)
            elif not self.has_failed and self.known != ChannelHealth(name):  # else it was sent before, or is no news
                self.health.channel_worked(name)
                if self.known.pauses:
                    self.outbox.free([name], now=now)
        return [*(settled for _, settled in ended), *self._given_up(now)]

    def _given_up(self, now: datetime) -> list[Settled]:
        """Give up what the channel has not taken for three days."""
        known, since = self.known, now - DELIVERED_WITHIN
        if not self.has_failed or known.pauses < len(PAUSES) or known.failing_since is None or known.failing_since > since:
            return []
        lost = self.outbox.give_up_waiting(known.name, since=since, now=now, why=f"the channel fails: {known.trouble}")
        return [Settled(one, known.trouble, final=True) for one in lost]


async def to_their_ends(sendings: Iterable[Coroutine[object, object, object]]) -> None:
    """Let all of them come to their ends before a failure of one is raised: it must not break off what others are sending."""
    ends = await asyncio.gather(*sendings, return_exceptions=True)
    for failed in (end for end in ends if isinstance(end, BaseException)):
        raise failed


def find_ways(outbox: Outbox, book: AlertBook, health: Health, around: Surroundings, *, is_new: bool, now: datetime) -> int:
    """Send over what the configuration names now what waited for another channel or recipient, and what reached nobody.

    `is_new`: the configuration may be another one since the last time: what waits goes only to whom its alert names now, and
    the end to all who heard of it. Returns how many deliveries are due that were not. What was given up is tried again once its
    channel works, else once a day.
    """
    waiting = outbox.waiting(None if is_new else around.targets)
    ways = {said.id: ways_now(said, around) for said in (*(one.notification for one in waiting), *around.undelivered)}
    heard = book.heard({one.notification.alert for one in waiting if one.notification.reason is Reason.RESOLVED})
    turned: dict[tuple[DeliveryState, str], list[Delivery]] = {}
    for one in waiting:
        said, named = one.notification, ways[one.notification.id]
        is_there = one.target in around.targets.get(one.channel, ())
        if is_there and (one.channel in named or (said.reason is Reason.RESOLVED and one.channel in heard.get(said.alert, ()))):
            continue
        why = UNWANTED if is_there else STRAYED
        state = DeliveryState.CANCELLED if named else DeliveryState.DEAD
        turned.setdefault((state, f"{why}; now: {', '.join(named)}" if named else why), []).append(one)
    for (state, why), some in turned.items():
        log.warning("deliveries_strayed", count=len(some), channels=sorted({one.channel for one in some}), why=why)
        outbox.turn_away([one.id for one in some], state, now=now, why=why)
    known = {channel.name: channel for channel in health.channels()}
    closed = {name for name, channel in known.items() if channel.disabled}
    works = {name for name in around.targets if name not in known or not known[name].failures} - closed
    lost = {one.id: one for one in (*(one.notification for some in turned.values() for one in some), *around.undelivered)}
    offers = [(one, {name: around.targets[name] for name in ways[one.id] if name not in closed}) for one in lost.values()]
    return outbox.offer(offers, again=works, before=now - _TRIED_AGAIN, now=now) if offers else 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    delivery: Delivery
    error: TemporaryDeliveryError | PermanentDeliveryError | None = None


def _threads(ready: Iterable[_Outcome]) -> Iterable[Sequence[_Outcome]]:
    """Return the deliveries of which one must not overtake another: those about one scope to one receiver."""
    found: dict[tuple[AlertScope, str], list[_Outcome]] = {}
    for one in ready:
        found.setdefault((one.delivery.notification.facts.scope, one.delivery.target), []).append(one)
    return found.values()


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


def _is_of_channel(outcome: _Outcome, known: ChannelHealth) -> bool:
    """Return whether any other message would have failed, too: not so if this one fails again while others get through."""
    error = outcome.error
    if not isinstance(error, TemporaryDeliveryError) or not error.of_channel:
        return False
    return not error.is_doubtful or known.pauses > 0 or outcome.delivery.attempts == 1


def _pause(error: TemporaryDeliveryError | PermanentDeliveryError, known: ChannelHealth, now: datetime) -> ChannelPause:
    is_login, wish = (error.is_login, error.retry_after) if isinstance(error, TemporaryDeliveryError) else (False, None)
    pause, pauses = channel_pause(known.pauses, is_login=is_login)
    asked = now + wish if wish else None
    until = now + pause * _spread()
    return ChannelPause(max(until, asked) if asked else until, asked, pauses)


def _ended(outcome: _Outcome, known: ChannelHealth, outbox: Outbox, now: datetime) -> Settled:
    delivery, error, why = outcome.delivery, outcome.error, str(outcome.error or "")
    match error:
        case None | PermanentDeliveryError():
            outbox.settle(delivery.id, at=now, why=None if error is None else why)
            return Settled(delivery, why, final=error is not None)
        case TemporaryDeliveryError() if _is_of_channel(outcome, known) and not error.maybe_taken:
            # Due as before; of its own attempts at most one counts, so that another one is the first after the pause.
            own = 1 if error.is_doubtful else delivery.attempts - 1
            outbox.retry(delivery.id, at=min(delivery.due_at, now), why=why, refusals=delivery.refusals, attempts=own)
            return Settled(delivery, why)
        case TemporaryDeliveryError():
            refusals = delivery.refusals + 1 if error.is_refusal else 0
            if (pause := pause_after(delivery.attempts, refusals)) is None:
                outbox.settle(delivery.id, at=now, why=why, maybe_taken=error.maybe_taken)
            else:
                at = now + max(pause * _spread(), error.retry_after or timedelta())
                outbox.retry(delivery.id, at=at, why=why, maybe_taken=error.maybe_taken, refusals=refusals)
            return Settled(delivery, why, final=pause is None)


def _spread() -> float:
    """Return a factor a little above one, so that many copies are not tried again in the same second."""
    return random.uniform(1, 1 + _JITTER)  # noqa: S311 -- spreads load, guards nothing
