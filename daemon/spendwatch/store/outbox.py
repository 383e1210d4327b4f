"""The outbox: unfinished deliveries. An attempt is recorded before it starts, and its result after.

A claim is a lease: it has an owner, one run of the program, and ends with the task that attempts the delivery. Wall clocks
are not compared: the owner knows its own tasks, and the holder of the database's lock knows that every other owner is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Select, Update, and_, bindparam, case, false, func, null, or_, select, update

from spendwatch.domain.alert import Rule
from spendwatch.domain.delivery import LONGEST_QUIET, WAITING, DeliveryId, DeliveryState, Loudness, Reason, Superseded
from spendwatch.domain.policy import ChannelName
from spendwatch.store.alert import alert
from spendwatch.store.columns import Row, batches
from spendwatch.store.database import Book, Database, reads
from spendwatch.store.delivery import (
    deliveries,
    deliveries_beginning,
    deliveries_created,
    delivery,
    put_deliveries,
    select_deliveries,
)
from spendwatch.store.held import held
from spendwatch.store.notification import notification

if TYPE_CHECKING:
    from spendwatch.domain.notification import Delivery, Notification

_PENDING, _ATTEMPTING, _DEFERRED = DeliveryState.PENDING, DeliveryState.ATTEMPTING, DeliveryState.DEFERRED
_waits = delivery.c.state.in_(WAITING)
_is_dead = delivery.c.state == DeliveryState.DEAD
_TURNED_AWAY = "turned away: "
_was_turned_away = and_(delivery.c.state == DeliveryState.CANCELLED, delivery.c.last_error.startswith(_TURNED_AWAY))
_is_attempting = delivery.c.state == _ATTEMPTING
_MAYBE_SENT = or_(delivery.c.maybe_repeated, delivery.c.rendered.is_not(None))
"""Bytes are on record before they are first sent."""

_BYTES_THAT_MAY_HAVE_ARRIVED = case((delivery.c.maybe_repeated, delivery.c.rendered))

_IDS = delivery.c.id.in_(bindparam("ids", expanding=True))
_WAS_AHEAD = or_(delivery.c.attempts == 0, delivery.c.attempt_started_at > bindparam("now"))
_DUE = (
    *(_waits, ~delivery.c.is_held, delivery.c.channel == bindparam("channel")),
    or_(delivery.c.due_at <= bindparam("now"), _WAS_AHEAD),
    or_(delivery.c.loudness.not_in(bindparam("quiet", expanding=True)), delivery.c.created_at <= bindparam("too_long_ago")),
)
"""What is due on a channel: what its time has come for, or what a clock that was ahead has put off; and no quiet hours hold."""

# Statements of every round, made once: to make them anew takes longer than what they do.
_NEXT = select_deliveries(_IDS, *_DUE)
_FREE = select(delivery.c.id, delivery.c.attempts).where(_IDS, *_DUE).with_for_update(skip_locked=True)
_BEGUN: Row = {"attempts": delivery.c.attempts + 1, "attempt_started_at": bindparam("now"), "owner": bindparam("mine")}
_BEGIN = update(delivery).where(_IDS).values(state=_ATTEMPTING, **_BEGUN)
_LEASED = select(delivery.c.id, delivery.c.owner).where(_is_attempting)
_MINE = update(delivery).where(_is_attempting, delivery.c.owner == bindparam("mine"), delivery.c.id == bindparam("which"))
_DELIVERED = _MINE.values(owner=None, state=DeliveryState.DELIVERED, settled_at=bindparam("at"), last_error="")
_KEEP = update(delivery).where(delivery.c.id == bindparam("which")).values(rendered=bindparam("content"))

_BROKEN_OFF = "the attempt was broken off"
_ASKS = "it may have arrived: `spendwatch deliveries retry` or `deliveries cancel` decides"
_SORTED_AT_ONCE = 200
_CANCELLED = "cancelled by operator"
_CANCELLED_LATE = "cancelled by operator while being attempted: it may have arrived"
_REQUEUED = "requeued by operator"
_OFFERED = "retried because nobody could be notified"

Targets: TypeAlias = Mapping[ChannelName, Sequence[str]]


class Outbox(Book):
    """The outbox in a database.

    When the database fails just as an attempt ends, the outcome is kept in mind and written down before the next claim;
    if we die before that, the attempt counts as unanswered, which it was for anybody who asks the database.
    """

    find = reads(deliveries_beginning)
    created = reads(deliveries_created)

    def __init__(self, database: Database) -> None:
        """Keep everything in that database."""
        super().__init__(database)
        self._owner = uuid4().hex
        """Of this run of the program. A lease has no term of its own: an attempt has one, and the lease ends with it."""
        self._leased: set[DeliveryId] = set()
        self._mind = threading.Lock()
        self._outcomes: dict[DeliveryId, Row] = {}
        self._writing_down = threading.Lock()
        self._queues: dict[ChannelName, list[DeliveryId]] = {}
        """What is due next on each channel."""
        self.holding: Collection[ChannelName] = ()
        """Channels on which a person decides about what may have arrived."""

    def claim(
        self,
        channel: ChannelName,
        now: datetime,
        limit: int,
        *,
        render: Callable[[Delivery], bytes | None] = lambda _: None,
        is_probe: bool = False,
        quiet: Collection[Loudness] = (),
    ) -> Sequence[Delivery]:
        """Mark due deliveries of the channel as being attempted, count the attempt, and return them, gravest and oldest first.

        `render`: makes the bytes that this and every later attempt sends, on record with the claim; None: there are none.
        `is_probe`: rather such as have not failed yet, because one message may be what the channel does not bear.
        `quiet`: what quiet hours hold now.
        """
        self.take_up()
        at = {"channel": channel, "now": now, "quiet": list(quiet), "too_long_ago": now - LONGEST_QUIET}
        if not limit or not (first := self._next(at, limit, is_probe=is_probe)):
            return ()
        contents = {one.id: render(one) if one.rendered is None else one.rendered for one in first}
        mine: Sequence[DeliveryId] = ()
        try:
            with self._database.writing() as connection:
                free = {row.id: row.attempts for row in connection.execute(_FREE, {"ids": list(contents), **at})}
                found = [one for one in first if free.get(one.id) == one.attempts]  # else another one was quicker
                mine = [one.id for one in found]
                with self._mind:
                    self._leased.update(mine)  # before the commit: who sees the claim must see that it is held
                connection.execute(_BEGIN, {"ids": mine, "now": now, "mine": self._owner})
                if new := [one.id for one in found if one.rendered is None and contents[one.id] is not None]:
                    connection.execute(_KEEP, [{"which": which, "content": contents[which]} for which in new])
        except BaseException:
            self.release(mine)  # the commit may have gone through, and only its answer been lost
            raise
        return tuple(replace(one, state=_ATTEMPTING, attempts=one.attempts + 1, rendered=contents[one.id]) for one in found)

    def _next(self, at: Row, limit: int, *, is_probe: bool) -> Sequence[Delivery]:
        """Return what is to be claimed next. In a storm it is not sorted anew for each few."""
        channel = at["channel"]
        with self._database.reading() as connection:
            while True:
                queue = [] if is_probe else self._queues.pop(channel, [])
                if is_new := not queue:
                    most = limit if is_probe else _SORTED_AT_ONCE
                    queue = list(connection.scalars(_in_order(is_probe=is_probe).limit(most), at))
                first, self._queues[channel] = queue[:limit], queue[limit:]
                found = deliveries(connection, _NEXT, {"ids": first, **at})
                if found or is_new:
                    return sorted(found, key=lambda one: first.index(one.id))

    def release(self, claimed: Iterable[DeliveryId], begun: Collection[DeliveryId] = ()) -> None:
        """End the lease of these: what has no outcome is taken up before the next claim. `begun`: what may have been sent."""
        with self._mind:
            for which in self._leased.intersection(claimed):
                if which in begun:
                    self._outcomes.setdefault(which, {"state": _DEFERRED, "last_error": _BROKEN_OFF, **self._ambiguous})
                self._leased.discard(which)

    def take_up(self) -> int:
        """Make abandoned deliveries pending again: their process or task has ended. Return their number.

        It is marked as maybe repeated unless it is known that it was never sent.
        """
        self.write_down()
        with self._database.reading() as connection:
            if not any(self._expired(connection)):
                return 0
        with self._database.writing() as connection:
            unsent, unanswered = self._expired(connection, for_update=True)
            again = update(delivery).where(_is_attempting).values(state=_PENDING, owner=None)
            connection.execute(again.where(delivery.c.id.in_(unsent)).values(attempts=delivery.c.attempts - 1))
            mine = again.where(delivery.c.id.in_(unanswered))
            connection.execute(mine.where(_MAYBE_SENT).values(state=_DEFERRED, last_error=_BROKEN_OFF, **self._ambiguous))
            connection.execute(mine)
            return len(unsent) + len(unanswered)

    def _expired(self, connection: Connection, *, for_update: bool = False) -> tuple[list[DeliveryId], list[DeliveryId]]:
        """Return the deliveries whose lease has ended: those never sent, and those with an unknown outcome."""
        claimed = connection.execute(_LEASED.with_for_update(skip_locked=True) if for_update else _LEASED).all()
        with self._mind:  # after the look: what is seen there was held before
            held = {*self._leased, *self._outcomes}
        ended = [(which, owner) for which, owner in claimed if which not in held]
        others = [which for which, owner in ended if owner != self._owner and self._database.is_alone]
        return [which for which, owner in ended if owner == self._owner], others

    def settle(self, delivery: DeliveryId, *, at: datetime, why: str | None = None, maybe_taken: bool = False) -> None:
        """Settle, with the next `write_down`: the receiver accepted it, or it is given up for that reason."""
        state = DeliveryState.DELIVERED if why is None else DeliveryState.DEAD
        self._conclude(delivery, {"state": state, "settled_at": at, "last_error": why or ""}, maybe_taken=maybe_taken)

    def retry(
        self,
        delivery: DeliveryId,
        *,
        at: datetime,
        why: str,
        maybe_taken: bool = False,
        refusals: int = 0,
        attempts: int | None = None,
    ) -> None:
        """The same: try again then; `maybe_taken`: the receiver may have it, so that every later copy is marked.

        `attempts`: how many of its own there were, where the last one says nothing about this message. It is composed anew
        then, unless it may have arrived: what the operator mends may be what all messages lack, as a robot's keyword.
        """
        outcome: Row = {"state": _DEFERRED, "due_at": at, "last_error": why, "refusals": refusals}
        if attempts is not None:
            outcome = {**outcome, "attempts": attempts, "rendered": _BYTES_THAT_MAY_HAVE_ARRIVED}
        self._conclude(delivery, outcome, maybe_taken=maybe_taken)

    def listing(self, states: Collection[DeliveryState] | None = None, limit: int = 100) -> Sequence[Delivery]:
        """Return deliveries in these states (None: in any), the latest first."""
        query = select_deliveries().order_by(delivery.c.created_at.desc(), delivery.c.id).limit(limit)
        if states is not None:
            query = query.where(delivery.c.state.in_(states))
        with self._database.reading() as connection:
            return deliveries(connection, query)

    def requeue(self, *which: DeliveryId, channels: Collection[ChannelName] = (), now: datetime) -> int:
        """Make due now what waits of these, and what is dead, that from its first attempt on; return how many that were."""
        waiting = update(delivery).where(_waits).values(state=_PENDING, due_at=now, is_held=False)
        return self._by_hand(which, channels, waiting, update(delivery).where(_is_dead).values(**_afresh(now, _REQUEUED)))

    def cancel(self, *which: DeliveryId, channels: Collection[ChannelName] = (), now: datetime) -> int:
        """Cancel what is not settled of these; return how many that were."""
        end = {"state": DeliveryState.CANCELLED, "settled_at": now}
        waiting = update(delivery).where(_waits).values(**end, last_error=_CANCELLED)
        going = update(delivery).where(_is_attempting).values(**end, last_error=_CANCELLED_LATE, maybe_repeated=True)
        return self._by_hand(which, channels, waiting, going)

    def counts(self) -> Mapping[tuple[ChannelName, DeliveryState], int]:
        """Return how many deliveries of each channel are in each state."""
        query = select(delivery.c.channel, delivery.c.state, func.count()).group_by(delivery.c.channel, delivery.c.state)
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        return {(channel, state): number for channel, state, number in found}

    def due(self) -> Mapping[tuple[ChannelName, Loudness], datetime]:
        """Return when the first waiting delivery of each kind is due."""
        kind = delivery.c.channel, delivery.c.loudness
        query = select(*kind, func.min(delivery.c.due_at)).where(_waits, ~delivery.c.is_held).group_by(*kind)
        with self._database.reading() as connection:
            return {(name, Loudness(loudness)): due for name, loudness, due in connection.execute(query)}

    def dead_since(self, since: datetime) -> Mapping[tuple[ChannelName, str], str]:
        """Return over which channels to which targets deliveries were given up since then or are held, each with the reason.

        Only the first word about another failing channel counts: else two of them would speak of each other for days.
        """
        about_channel = select(alert.c.id).where(alert.c.id == notification.c.alert, alert.c.rule == Rule.CHANNEL_FAILING)
        body = case((about_channel.exists(), notification.c.body))
        last = select(delivery.c.channel, delivery.c.target, delivery.c.last_error, delivery.c.is_held, body)
        which = or_(and_(_is_dead, delivery.c.settled_at >= since), and_(_waits, delivery.c.is_held))
        query = last.join(notification).where(which).order_by(delivery.c.is_held, delivery.c.settled_at, delivery.c.id)
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        told = (one for one in found if one[-1] is None or one[-1].reason is Reason.FIRED)
        return {
            (ChannelName(channel), target): f"{why}; {_ASKS}" if is_held else why for channel, target, why, is_held, _ in told
        }

    def held(self) -> int:
        """Return how many deliveries wait for a person to decide."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).where(_waits, delivery.c.is_held)) or 0

    def waiting(self, but: Targets | None = None) -> Sequence[Delivery]:
        """Return what waits; `but`: for a channel or a recipient that is none of these."""
        query = select_deliveries(_waits, *(() if but is None else (~_leads_to(but),)))
        with self._database.reading() as connection:
            return deliveries(connection, query.order_by(delivery.c.created_at, delivery.c.id))

    def turn_away(self, which: Iterable[DeliveryId], state: DeliveryState, *, now: datetime, why: str) -> None:
        """Settle what waits and is not attempted any more; what is cancelled is due again when it is offered once more."""
        why = f"{_TURNED_AWAY}{why}" if state is DeliveryState.CANCELLED else why
        end = update(delivery).where(_waits).values(state=state, settled_at=now, last_error=why)
        with self._database.writing() as connection:
            for some in batches(which):
                connection.execute(end.where(delivery.c.id.in_(some)))

    def give_up_waiting(self, channel: ChannelName, *, since: datetime, now: datetime, why: str) -> Sequence[Delivery]:
        """Give up what has waited for the channel since then; return it."""
        waited = delivery.c.channel == channel, delivery.c.created_at <= since, ~delivery.c.is_held
        with self._database.reading() as connection:
            found = deliveries(connection, select_deliveries(_waits, *waited))
        if found:
            self.turn_away((one.id for one in found), DeliveryState.DEAD, now=now, why=why)
        return found

    def free(self, channels: Collection[ChannelName], *, now: datetime) -> None:
        """Make due what these channels have put off."""
        put_off = update(delivery).where(delivery.c.channel.in_(channels), delivery.c.state == _DEFERRED)
        with self._database.writing() as connection:
            connection.execute(put_off.where(delivery.c.refusals == 0, delivery.c.due_at > now).values(due_at=now))

    def drop_superseded(self, channel: ChannelName, now: datetime) -> Sequence[Superseded]:
        """Cancel what waits for the channel and needs no telling any more, as a later word speaks for it; return it.

        What stays is sorted anew: a channel at a slow pace has its next turn for the gravest of what came meanwhile.
        """
        self._queues.pop(channel, None)
        with self._database.reading() as connection:
            pairs = [pair for query in _later_words(channel) for pair in connection.execute(query)]
            digests = sorted({pair.digest for pair in pairs if pair.digest})
            bodies = (select(notification.c.body).where(notification.c.id.in_(some)) for some in batches(digests))
            told = [one for query in bodies for one in connection.scalars(query)]
            named = {one.id: frozenset(member.alert for member in one.facts.members) for one in told}
        dropped: dict[DeliveryId, Superseded] = {}
        for pair in sorted(pairs, key=attrgetter("said_at")):
            # A digest has room for so many messages, and a message for several thresholds: nothing else tells of the others.
            if set(pair.also) <= set(pair.later_also) and (not pair.digest or pair.alert in named[pair.digest]):
                which = "delivered" if pair.state is DeliveryState.DELIVERED else "later"
                why = f"superseded: the {which} message {pair.later[:8]} ({pair.reason}) speaks for it"
                dropped[pair.id] = Superseded(pair.id, pair.alert, pair.attempts, why)
        if dropped:
            is_waiting = or_(*(delivery.c.state == state for state in WAITING))
            end = update(delivery).where(delivery.c.id == bindparam("which"), is_waiting)
            ended = end.values(state=DeliveryState.CANCELLED, settled_at=now, last_error=bindparam("why"))
            with self._database.writing() as connection:
                connection.execute(ended, [{"which": which, "why": one.why} for which, one in dropped.items()])
        return tuple(dropped.values())

    def offer(
        self, ways: Sequence[tuple[Notification, Targets]], *, again: Collection[ChannelName], before: datetime, now: datetime
    ) -> int:
        """Write down deliveries of each notification to its targets; return how many are due that were not.

        What was given up is due once more where its channel is among `again`, or if it was given up before that moment.
        """
        due = 0
        with self._database.writing() as connection:
            for told, targets in ways:
                due += put_deliveries(connection, [replace(told, channels=tuple(targets))], targets, now)
                may_pass = or_(delivery.c.channel.in_(again), delivery.c.settled_at < before)
                ended = update(delivery).where(delivery.c.notification == told.id, _leads_to(targets))
                again_due = or_(and_(_is_dead, may_pass), _was_turned_away)
                due += connection.execute(ended.where(again_due).values(**_afresh(now, _OFFERED))).rowcount
        return due

    @property
    def _ambiguous(self) -> Row:
        return {"maybe_repeated": True, "is_held": delivery.c.channel.in_(self.holding)}

    def _conclude(self, which: DeliveryId, outcome: Row, *, maybe_taken: bool = False) -> None:
        with self._mind:
            self._outcomes[which] = {**outcome, **self._ambiguous} if maybe_taken else outcome

    def write_down(self) -> None:
        """Write down the outcomes in mind, one caller after the other: an old outcome must not meet a new attempt."""
        with self._writing_down:
            with self._mind:
                outcomes = dict(self._outcomes)
            if not outcomes:
                return
            with self._database.writing() as connection:
                arrived = []
                for which, outcome in sorted(outcomes.items()):
                    mine = {"which": which, "mine": self._owner}
                    if outcome["state"] is DeliveryState.DELIVERED:
                        arrived.append({**mine, "at": outcome["settled_at"]})
                    else:
                        connection.execute(_MINE.values(owner=None, **outcome), mine)
                if arrived:
                    connection.execute(_DELIVERED, arrived)
            with self._mind:
                for which in outcomes:
                    self._outcomes.pop(which, None)
                    self._leased.discard(which)

    def _by_hand(self, which: Collection[DeliveryId], channels: Collection[ChannelName], *changes: Update) -> int:
        """Change these deliveries, and all of these channels."""
        meant = or_(delivery.c.id.in_(which), delivery.c.channel.in_(channels))
        with self._database.writing() as connection:
            return sum(connection.execute(change.where(meant)).rowcount for change in changes)


def _in_order(*, is_probe: bool) -> Select[tuple[DeliveryId]]:
    """Return the query for what is due, the gravest first; what is about one scope keeps its order, up to the gravest of it.

    A probe is of a scope of which nothing failed, if there is one: what failed once must not be overtaken by the word after it.
    """
    of = (delivery.c.thread, delivery.c.target)
    gravest, tried = (func.max(column).over(partition_by=of) for column in (delivery.c.severity, delivery.c.attempts))
    own = (delivery.c.id, delivery.c.created_at)
    found = select(*own, gravest.label("gravest"), tried.label("tried")).where(*_DUE).subquery()
    failed_last = (found.c.tried,) if is_probe else ()
    return select(found.c.id).order_by(*failed_last, found.c.gravest.desc(), found.c.created_at, found.c.id)


def _later_words(channel: ChannelName) -> Iterator[Select[*tuple[Any, ...]]]:
    """Yield the queries for what waits and has a later word about its alert that speaks for it, alone or in a digest.

    What waits speaks for earlier reminders, what was delivered for all earlier words, and the word about the end in any case,
    whatever a clock that was ahead says of their times. No word stands for one about the end, nor for a request to act.
    """
    later, word = delivery.alias(), notification.alias()
    is_told, is_over = later.c.state == DeliveryState.DELIVERED, word.c.reason == Reason.RESOLVED
    is_later = and_(word.c.created_at > notification.c.created_at, notification.c.reason != Reason.ACTION)
    living = [state.value for state in (*WAITING, _ATTEMPTING, DeliveryState.DELIVERED)]
    own = delivery.c.id, delivery.c.attempts, notification.c.alert, notification.c.also
    of_later = later.c.id.label("later"), later.c.state, word.c.reason, word.c.created_at.label("said_at")
    found = (
        select(*own, *of_later, word.c.also.label("later_also"))
        .join(notification, notification.c.id == delivery.c.notification)
        .join(word, and_(word.c.alert == notification.c.alert, word.c.id != notification.c.id))
        .where(_waits, delivery.c.channel == channel, func.lower(later.c.state).in_(living))
        .where(~later.c.is_held, notification.c.reason != Reason.RESOLVED)
        .where(or_(is_over, and_(is_later, or_(is_told, notification.c.reason == Reason.REPEATED))))
    )
    # Not by an index of states or channels: nearly everything on record arrived, and little of it is a later word.
    same = and_(later.c.channel.concat("") == channel, later.c.target == delivery.c.target)
    yield found.add_columns(null().label("digest")).join(later, and_(later.c.notification == word.c.id, same))
    together = found.add_columns(held.c.digest).join(held, and_(held.c.notification == word.c.id, held.c.channel == channel))
    yield together.join(later, and_(later.c.notification == held.c.digest, same))


def _leads_to(targets: Targets) -> ColumnElement[bool]:
    """Say what goes over one of these channels to one of its targets."""
    ways = (and_(delivery.c.channel == channel, delivery.c.target.in_(found)) for channel, found in targets.items())
    return or_(false(), *ways)


def _afresh(now: datetime, why: str) -> Row:
    """Return what a delivery that was given up becomes: due now, from its first attempt on."""
    note = why + func.coalesce("; before: " + func.nullif(delivery.c.last_error, ""), "")
    return {
        "state": _PENDING,
        "attempts": 0,
        "refusals": 0,
        "is_held": False,
        "due_at": now,
        "settled_at": None,
        "last_error": note,
    }
