"""The outbox: unfinished deliveries. An attempt is recorded before it starts, and its result after.

A claim is a lease: it has an owner, one run of the program, and ends with the task that attempts the delivery. Wall clocks
are not compared: the owner knows its own tasks, and the holder of the database's lock knows that every other owner is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Update, and_, bindparam, false, func, or_, select, update

from spendwatch.domain.notification import Delivery, DeliveryId, DeliveryState, Notification
from spendwatch.domain.policy import ChannelName
from spendwatch.store.columns import Row
from spendwatch.store.database import Book, Database, reads
from spendwatch.store.delivery import (
    deliveries,
    deliveries_beginning,
    deliveries_created,
    delivery,
    put_deliveries,
    select_deliveries,
)

_PENDING, _ATTEMPTING = DeliveryState.PENDING, DeliveryState.ATTEMPTING
_is_pending = delivery.c.state == _PENDING
_is_dead = delivery.c.state == DeliveryState.DEAD
_is_attempting = delivery.c.state == _ATTEMPTING
_MAYBE_SENT = or_(delivery.c.maybe_repeated, delivery.c.rendered.is_not(None))
"""Bytes are on record before they are first sent."""

_BY_AGE = (delivery.c.due_at, delivery.c.created_at, delivery.c.id)

_CANCELLED = "cancelled by operator"
_CANCELLED_LATE = "cancelled by operator while being attempted: it may have arrived"
_REQUEUED = "requeued by operator"
_OFFERED = "retried because nobody could be notified"
STRAYED = "the configuration no longer has this channel or recipient"

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

    def claim(self, channel: ChannelName, now: datetime, limit: int) -> Sequence[Delivery]:
        """Mark due deliveries of the channel as being attempted, count the attempt, and return them, oldest first."""
        self.take_up()
        due = (_is_pending, delivery.c.channel == channel, _is_due(now))
        with self._database.reading() as connection:
            if connection.scalar(select(delivery.c.id).where(*due).limit(1)) is None:
                return ()
        oldest = select(delivery.c.id).where(*due).order_by(*_BY_AGE).limit(limit).with_for_update(skip_locked=True)
        begun: Row = {"attempts": delivery.c.attempts + 1, "attempt_started_at": now, "owner": self._owner}
        mine: Sequence[DeliveryId] = ()
        try:
            with self._database.writing() as connection:
                mine = connection.scalars(oldest).all()
                with self._mind:
                    self._leased.update(mine)  # before the commit: who sees the claim must see that it is held
                connection.execute(update(delivery).where(delivery.c.id.in_(mine)).values(state=_ATTEMPTING, **begun))
                return deliveries(connection, select_deliveries(delivery.c.id.in_(mine)).order_by(*_BY_AGE))
        except BaseException:
            self.release(mine)  # the commit may have gone through, and only its answer been lost
            raise

    def release(self, claimed: Iterable[DeliveryId], begun: Collection[DeliveryId] = ()) -> None:
        """End the lease of these: what has no outcome is taken up before the next claim. `begun`: what may have been sent."""
        with self._mind:
            for which in self._leased.intersection(claimed):
                if which in begun:
                    self._outcomes.setdefault(which, {"state": _PENDING, "maybe_repeated": True})
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
            connection.execute(again.where(delivery.c.id.in_(unanswered)).values(maybe_repeated=_MAYBE_SENT))
            return len(unsent) + len(unanswered)

    def _expired(self, connection: Connection, *, for_update: bool = False) -> tuple[list[DeliveryId], list[DeliveryId]]:
        """Return the deliveries whose lease has ended: those never sent, and those with an unknown outcome."""
        query = select(delivery.c.id, delivery.c.owner).where(_is_attempting)
        claimed = connection.execute(query.with_for_update(skip_locked=True) if for_update else query).all()
        with self._mind:  # after the look: what is seen there was held before
            held = {*self._leased, *self._outcomes}
        ended = [(which, owner) for which, owner in claimed if which not in held]
        others = [which for which, owner in ended if owner != self._owner and self._database.is_alone]
        return [which for which, owner in ended if owner == self._owner], others

    def keep_rendered(self, rendered: Mapping[DeliveryId, bytes]) -> None:
        """Store the bytes that this and every later attempt sends."""
        if not rendered:
            return
        keep = update(delivery).where(delivery.c.id == bindparam("which"), _is_attempting).values(rendered=bindparam("content"))
        with self._database.writing() as connection:
            connection.execute(keep, [{"which": which, "content": content} for which, content in sorted(rendered.items())])

    def delivered(self, delivery: DeliveryId, *, at: datetime) -> None:
        """Settle, with the next `write_down`: the receiver accepted it."""
        self._conclude(delivery, {"state": DeliveryState.DELIVERED, "settled_at": at, "last_error": ""})

    def retry(self, delivery: DeliveryId, *, at: datetime, why: str, maybe_taken: bool = False, refusals: int = 0) -> None:
        """The same: try again then; `maybe_taken`: the receiver may have it, so that every later copy is marked."""
        outcome: Row = {"state": _PENDING, "due_at": at, "last_error": why, "refusals": refusals}
        self._conclude(delivery, outcome, maybe_taken=maybe_taken)

    def give_up(self, delivery: DeliveryId, *, at: datetime, why: str, maybe_taken: bool = False) -> None:
        """The same: it will not be accepted."""
        outcome: Row = {"state": DeliveryState.DEAD, "settled_at": at, "last_error": why}
        self._conclude(delivery, outcome, maybe_taken=maybe_taken)

    def listing(self, states: Collection[DeliveryState] | None = None, limit: int = 100) -> Sequence[Delivery]:
        """Return deliveries in these states (None: in any), the latest first."""
        query = select_deliveries().order_by(delivery.c.created_at.desc(), delivery.c.id).limit(limit)
        if states is not None:
            query = query.where(delivery.c.state.in_(states))
        with self._database.reading() as connection:
            return deliveries(connection, query)

    def requeue(self, id_prefix: str, *, now: datetime) -> Sequence[Delivery]:
        """Make the one delivery whose id begins so due now: a dead one from its first attempt on, a waiting one as it is.

        Returns what the prefix fits, as it is afterwards; when it fits several, nothing is done.
        """
        return self._by_hand(id_prefix, *_requeued(now))

    def requeue_all(self, channels: Collection[ChannelName], *, now: datetime) -> int:
        """Do the same with every waiting or dead delivery of these channels; return their number."""
        return self._all_by_hand(delivery.c.channel.in_(channels), *_requeued(now))

    def cancel(self, id_prefix: str, *, now: datetime) -> Sequence[Delivery]:
        """Cancel the one unsettled delivery whose id begins so.

        Returns what the prefix fits, as it is afterwards; when it fits several, nothing is done.
        """
        return self._by_hand(id_prefix, *_cancelled(now))

    def cancel_all(self, channels: Collection[ChannelName], *, now: datetime) -> int:
        """Cancel every unsettled delivery of these channels; return their number."""
        return self._all_by_hand(delivery.c.channel.in_(channels), *_cancelled(now))

    def counts(self) -> Mapping[tuple[ChannelName, DeliveryState], int]:
        """Return how many deliveries of each channel are in each state."""
        query = select(delivery.c.channel, delivery.c.state, func.count()).group_by(delivery.c.channel, delivery.c.state)
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        return {(channel, state): number for channel, state, number in found}

    def next_due(self) -> datetime | None:
        """Return when the next pending delivery is due."""
        query = select(delivery.c.due_at).where(_is_pending).order_by(delivery.c.due_at).limit(1)
        with self._database.reading() as connection:
            due: datetime | None = connection.scalar(query)
        return due

    def dead_since(self, since: datetime) -> Mapping[tuple[ChannelName, str], str]:
        """Return over which channels to which targets deliveries were given up since then, each with the last reason."""
        dead = select(delivery.c.channel, delivery.c.target, delivery.c.last_error).where(_is_dead)
        query = dead.where(delivery.c.settled_at >= since).order_by(delivery.c.settled_at, delivery.c.id)
        with self._database.reading() as connection:
            return {(ChannelName(channel), target): why for channel, target, why in connection.execute(query)}

    def give_up_strays(self, targets: Targets, *, now: datetime) -> Sequence[Delivery]:
        """Give up what waits for a channel, or a recipient, that is none of these; return it."""
        strays = (_is_pending, ~_leads_to(targets))
        with self._database.reading() as connection:
            found = deliveries(connection, select_deliveries(*strays))
        if found:
            end = update(delivery).where(delivery.c.id.in_([one.id for one in found]), *strays)
            with self._database.writing() as connection:
                connection.execute(end.values(state=DeliveryState.DEAD, settled_at=now, last_error=STRAYED))
        return found

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
                dead = update(delivery).where(delivery.c.notification == told.id, _is_dead, _leads_to(targets), may_pass)
                due += connection.execute(dead.values(**_afresh(now, _OFFERED))).rowcount
        return due

    def _conclude(self, which: DeliveryId, outcome: Row, *, maybe_taken: bool = False) -> None:
        with self._mind:
            self._outcomes[which] = {**outcome, "maybe_repeated": True} if maybe_taken else outcome

    def write_down(self) -> None:
        """Write down the outcomes in mind, one caller after the other: an old outcome must not meet a new attempt."""
        with self._writing_down:
            with self._mind:
                outcomes = dict(self._outcomes)
            if not outcomes:
                return
            mine = update(delivery).where(_is_attempting, delivery.c.owner == self._owner)
            with self._database.writing() as connection:
                for which, outcome in sorted(outcomes.items()):
                    connection.execute(mine.where(delivery.c.id == which).values(owner=None, **outcome))
            with self._mind:
                for which in outcomes:
                    self._outcomes.pop(which, None)
                    self._leased.discard(which)

    def _by_hand(self, prefix: str, *changes: Update) -> Sequence[Delivery]:
        with self._database.writing() as connection:
            found = deliveries_beginning(connection, prefix, limit=2)
            if len(found) != 1:
                return found
            for change in changes:
                connection.execute(change.where(delivery.c.id == found[0].id))
            return deliveries(connection, select_deliveries(delivery.c.id == found[0].id))

    def _all_by_hand(self, which: ColumnElement[bool], *changes: Update) -> int:
        with self._database.writing() as connection:
            return sum(connection.execute(change.where(which)).rowcount for change in changes)


def _requeued(now: datetime) -> tuple[Update, Update]:
    waiting = update(delivery).where(_is_pending).values(due_at=now)
    return waiting, update(delivery).where(_is_dead).values(**_afresh(now, _REQUEUED))


def _cancelled(now: datetime) -> tuple[Update, Update]:
    end = {"state": DeliveryState.CANCELLED, "settled_at": now}
    waiting = update(delivery).where(_is_pending).values(**end, last_error=_CANCELLED)
    return waiting, update(delivery).where(_is_attempting).values(**end, last_error=_CANCELLED_LATE, maybe_repeated=True)


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Say what is due: what its time has come for, or what a clock that was ahead has put off."""
    was_ahead = or_(delivery.c.attempts == 0, delivery.c.attempt_started_at > now)
    return or_(delivery.c.due_at <= now, was_ahead)


def _leads_to(targets: Targets) -> ColumnElement[bool]:
    """Say what goes over one of these channels to one of its targets."""
    ways = (and_(delivery.c.channel == channel, delivery.c.target.in_(found)) for channel, found in targets.items())
    return or_(false(), *ways)


def _afresh(now: datetime, why: str) -> Row:
    """Return what a delivery that was given up becomes: due now, from its first attempt on."""
    note = why + func.coalesce("; before: " + func.nullif(delivery.c.last_error, ""), "")
    return {"state": _PENDING, "attempts": 0, "refusals": 0, "due_at": now, "settled_at": None, "last_error": note}
