"""The outbox: deliveries not yet settled. What was begun is on record before it is sent, and its outcome after."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, Update, bindparam, func, select, update

from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.notification import Delivery, DeliveryId, DeliveryState
from spendwatch.domain.policy import ChannelName
from spendwatch.store.columns import Row, begins_with
from spendwatch.store.database import Database
from spendwatch.store.delivery import deliveries, delivery, select_deliveries

_PENDING, _ATTEMPTING = DeliveryState.PENDING.value, DeliveryState.ATTEMPTING.value
_is_pending = delivery.c.state == _PENDING
_is_attempting = delivery.c.state == _ATTEMPTING

_BY_AGE = (delivery.c.due_at, delivery.c.created_at, delivery.c.id)

_CANCELLED = "cancelled by operator"
_CANCELLED_LATE = "cancelled by operator while being attempted: it may have arrived"
_REQUEUED = "requeued by operator"


class Outbox:
    """The outbox in a database.

    When the database fails just as an attempt ends, the outcome is kept in mind and written down before the next claim;
    if we die before that, the attempt counts as unanswered, which it was for anybody who asks the database.
    """

    def __init__(self, database: Database) -> None:
        """Keep everything in that database."""
        self._database = database
        self._mind = threading.Lock()
        self._outcomes: dict[DeliveryId, Row] = {}
        self._lost_claims: set[str] = set()

    def claim(self, channel: ChannelName, now: datetime, limit: int) -> Sequence[Delivery]:
        """Mark due deliveries of the channel as being attempted, count the attempt, and return them, oldest first."""
        self._make_good()
        due = (_is_pending, delivery.c.channel == channel, delivery.c.due_at <= now)
        with self._database.reading() as connection:
            if connection.scalar(select(delivery.c.id).where(*due).limit(1)) is None:
                return ()
        oldest = select(delivery.c.id).where(*due).order_by(*_BY_AGE).limit(limit).with_for_update(skip_locked=True)
        claim = uuid4().hex
        begun: Row = {"state": _ATTEMPTING, "attempts": delivery.c.attempts + 1, "attempt_started_at": now, "claim": claim}
        try:
            with self._database.writing() as connection:
                mine = connection.scalars(oldest).all()
                connection.execute(update(delivery).where(delivery.c.id.in_(mine)).values(**begun))
                return deliveries(connection, select_deliveries(delivery.c.id.in_(mine)).order_by(*_BY_AGE))
        except LedgerUnavailableError:
            with self._mind:
                self._lost_claims.add(claim)  # the commit may have gone through, and only its answer been lost
            raise

    def keep_rendered(self, rendered: Mapping[DeliveryId, bytes]) -> None:
        """Store the bytes that this and every later attempt sends."""
        if not rendered:
            return
        keep = update(delivery).where(delivery.c.id == bindparam("which"), _is_attempting).values(rendered=bindparam("content"))
        with self._database.writing() as connection:
            connection.execute(keep, [{"which": which, "content": content} for which, content in sorted(rendered.items())])

    def delivered(self, delivery: DeliveryId, *, at: datetime) -> None:
        """Settle: the receiver accepted it."""
        self._conclude(delivery, {"state": DeliveryState.DELIVERED.value, "settled_at": at, "last_error": ""})

    def retry(self, delivery: DeliveryId, *, at: datetime, why: str) -> None:
        """Try again then."""
        self._conclude(delivery, {"state": _PENDING, "due_at": at, "last_error": why})

    def give_up(self, delivery: DeliveryId, *, at: datetime, why: str) -> None:
        """Settle: it will not be accepted."""
        self._conclude(delivery, {"state": DeliveryState.DEAD.value, "settled_at": at, "last_error": why})

    def recover(self) -> int:
        """After a start: what was being attempted when we died is pending again, marked as maybe repeated. How many."""
        with self._database.writing() as connection:
            again = update(delivery).where(_is_attempting).values(state=_PENDING, maybe_repeated=True, claim=None)
            return connection.execute(again).rowcount

    def listing(self, states: Collection[DeliveryState] | None = None, limit: int = 100) -> Sequence[Delivery]:
        """Return deliveries in these states (None: in any), the latest first."""
        query = select_deliveries().order_by(delivery.c.created_at.desc(), delivery.c.id).limit(limit)
        if states is not None:
            query = query.where(delivery.c.state.in_([state.value for state in states]))
        with self._database.reading() as connection:
            return deliveries(connection, query)

    def find(self, id_prefix: str, limit: int = 10) -> Sequence[Delivery]:
        """Return the deliveries whose id begins so: none, the one that is meant, or several."""
        with self._database.reading() as connection:
            return _beginning(connection, id_prefix, limit)

    def requeue(self, id_prefix: str, *, now: datetime) -> Sequence[Delivery]:
        """Make the one delivery whose id begins so due now: a dead one from its first attempt on, a waiting one as it is.

        Returns what the prefix fits, as it is afterwards; when it fits several, nothing is done.
        """
        again = update(delivery).where(delivery.c.state == DeliveryState.DEAD.value)
        note = _REQUEUED + func.coalesce("; before: " + func.nullif(delivery.c.last_error, ""), "")
        return self._by_hand(
            id_prefix,
            update(delivery).where(_is_pending).values(due_at=now),
            again.values(state=_PENDING, attempts=0, due_at=now, settled_at=None, last_error=note),
        )

    def cancel(self, id_prefix: str, *, now: datetime) -> Sequence[Delivery]:
        """Cancel the one unsettled delivery whose id begins so.

        Returns what the prefix fits, as it is afterwards; when it fits several, nothing is done.
        """
        end = {"state": DeliveryState.CANCELLED.value, "settled_at": now}
        return self._by_hand(
            id_prefix,
            update(delivery).where(_is_pending).values(**end, last_error=_CANCELLED),
            update(delivery).where(_is_attempting).values(**end, last_error=_CANCELLED_LATE, maybe_repeated=True),
        )

    def counts(self) -> Mapping[tuple[ChannelName, DeliveryState], int]:
        """Return how many deliveries of each channel are in each state."""
        query = select(delivery.c.channel, delivery.c.state, func.count()).group_by(delivery.c.channel, delivery.c.state)
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        return {(ChannelName(channel), DeliveryState(state)): number for channel, state, number in found}

    def next_due(self) -> datetime | None:
        """Return when the next pending delivery is due."""
        query = select(delivery.c.due_at).where(_is_pending).order_by(delivery.c.due_at).limit(1)
        with self._database.reading() as connection:
            due: datetime | None = connection.scalar(query)
        return due

    def dead_since(self, since: datetime) -> Sequence[Delivery]:
        """Return the deliveries given up since then, the oldest first."""
        query = select_deliveries(delivery.c.state == DeliveryState.DEAD.value, delivery.c.settled_at >= since)
        with self._database.reading() as connection:
            return deliveries(connection, query.order_by(delivery.c.settled_at, delivery.c.id))

    def _conclude(self, which: DeliveryId, outcome: Row) -> None:
        with self._mind:
            self._outcomes[which] = outcome
        self._make_good()

    def _make_good(self) -> None:
        """Write down the outcomes in mind, and undo claims whose answer was lost: those were never sent."""
        with self._mind:
            outcomes, claims = dict(self._outcomes), set(self._lost_claims)
            if not outcomes and not claims:
                return
            with self._database.writing() as connection:
                for which, outcome in sorted(outcomes.items()):
                    connection.execute(update(delivery).where(delivery.c.id == which, _is_attempting).values(**outcome))
                undo = update(delivery).where(delivery.c.claim.in_(claims), _is_attempting)
                connection.execute(undo.values(state=_PENDING, attempts=delivery.c.attempts - 1, claim=None))
            self._outcomes.clear()
            self._lost_claims.clear()

    def _by_hand(self, prefix: str, *changes: Update) -> Sequence[Delivery]:
        with self._database.writing() as connection:
            found = _beginning(connection, prefix, limit=2)
            if len(found) != 1:
                return found
            for change in changes:
                connection.execute(change.where(delivery.c.id == found[0].id))
            return deliveries(connection, select_deliveries(delivery.c.id == found[0].id))


def _beginning(connection: Connection, prefix: str, limit: int) -> tuple[Delivery, ...]:
    if not prefix:
        return ()
    query = select_deliveries(begins_with(delivery.c.id, prefix)).order_by(delivery.c.id).limit(limit)
    return deliveries(connection, query)
