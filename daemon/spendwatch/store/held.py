"""The table `held`: messages that wait for quiet hours, silences or the end of a storm, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, ForeignKey, Index, Table, func, or_, select, update

from spendwatch.domain.alert import AlertId
from spendwatch.domain.delivery import Held, HoldReason
from spendwatch.domain.policy import ChannelName
from spendwatch.store.bulk import put_many
from spendwatch.store.columns import Insertion, StoredText, columns_of, metadata
from spendwatch.store.notification import notification

if TYPE_CHECKING:
    from spendwatch.domain.notification import Message

held = Table(
    "held",
    metadata,
    Column("notification", StoredText, ForeignKey(notification.c.id), primary_key=True),
    Column("channel", StoredText, primary_key=True),
    *columns_of(Held, but=("notification", "channel")),
    Index(None, "ended_at"),
    Index(None, "digest"),
)


def put_held(connection: Connection, rows: Iterable[Held]) -> None:
    """Write down what waits and what waited; what has ended stays as it is."""
    put_many(connection, held, [row._asdict() for row in rows], _unless_ended)


def _unless_ended(insertion: Insertion) -> Insertion:
    key = list(held.primary_key)
    fresh = {column.name: insertion.excluded[column.name] for column in held.c if column.name not in {"held_at", *_KEY}}
    return insertion.on_conflict_do_update(index_elements=key, set_=fresh, where=held.c.ended_at.is_(None))


_KEY = ("notification", "channel")


def waiting_messages(connection: Connection, *, due: datetime | None = None) -> tuple[Message, ...]:
    """Return what waits, the oldest first; given a moment, only what may go out then.

    What waits for others in a storm may at any time; all else only at its time, and there may be thousands.
    """
    query = select(held, notification.c.body).join(notification).where(held.c.ended_at.is_(None))
    if due is not None:
        query = query.where(or_(held.c.until <= due, held.c.why == HoldReason.STORM))
    rows = connection.execute(query.order_by(held.c.held_at, held.c.notification, held.c.channel)).all()
    if not rows:
        return ()
    from spendwatch.domain.notification import Message  # noqa: PLC0415 -- quick commands read none: 20 ms of each

    return tuple(Message(row[-1], Held(*row[:-1])) for row in rows)


def release_held(connection: Connection, silence: str, at: datetime) -> None:
    """Let what a silence holds be looked at again from then on."""
    connection.execute(update(held).where(held.c.silence == silence, held.c.ended_at.is_(None)).values(until=at))


def held_rows(connection: Connection, alert: AlertId) -> tuple[Held, ...]:
    """Return how the messages about an alert waited, the oldest first."""
    query = select(held).join(notification).where(notification.c.alert == alert)
    return tuple(Held(*row) for row in connection.execute(query.order_by(held.c.held_at, held.c.channel)))


def digested_since(connection: Connection, since: datetime) -> Mapping[ChannelName, datetime]:
    """Return when each channel last had a digest since then."""
    query = select(held.c.channel, func.max(held.c.ended_at)).where(
        held.c.ended_at >= since, held.c.digest.in_(select(notification.c.id).where(notification.c.alert.startswith("digest-")))
    )
    return {ChannelName(channel): at for channel, at in connection.execute(query.group_by(held.c.channel))}
