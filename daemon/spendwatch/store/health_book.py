"""The tables `source_health`, `account_bills` and `channel_health`: whether bills arrive and notifications are delivered."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Column,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    case,
    delete,
    select,
    update,
)

from spendwatch.domain.failure import Failure
from spendwatch.domain.health import AccountBills, ChannelHealth, ChannelPause, DaemonHealth, ReadingProgress, SourceHealth
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.store.attempt import forget_progress, note_progress, reading
from spendwatch.store.columns import WELL, Row, all_of, columns_of, metadata, note_failure, upsert
from spendwatch.store.database import Book, reads, writes

source_health = Table("source_health", metadata, *columns_of(SourceHealth, key="name"))

account_bills = Table("account_bills", metadata, *columns_of(AccountBills), PrimaryKeyConstraint("account", "source"))

channel_health = Table("channel_health", metadata, *columns_of(ChannelHealth, key="name"))

daemon_health = Table(
    "daemon_health",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    *columns_of(DaemonHealth),
    CheckConstraint("one = 1", name="one"),
)

_REACHED: Row = {**WELL, "cause": None}
_NO_PAUSE: Row = {"not_before": None, "asked_until": None, "pauses": 0}


class HealthBook(Book):
    """What is known about sources and channels, in a database."""

    sources = reads(all_of(source_health, SourceHealth))
    account_bills = reads(all_of(account_bills, AccountBills))
    channels = reads(all_of(channel_health, ChannelHealth))
    readings = reads(all_of(reading, ReadingProgress))
    reading_goes_on = writes(note_progress)
    reading_ended = writes(forget_progress)

    def looked(self, source: SourceName, *, at: datetime) -> None:
        """The source could be reached."""
        self._note(source_health, {"name": source, "first_seen_at": at}, {**_REACHED, "last_looked_at": at})

    def bill_came(self, source: SourceName, *, at: datetime, accounts: Collection[AccountId] = ()) -> None:
        """The source gave a bill with news about a month of these accounts that is still open."""
        self._note(source_health, {"name": source, "first_seen_at": at, **_REACHED}, {"last_bill_at": at})
        for account in accounts:
            self._note(account_bills, {"account": account, "source": source}, {"last_bill_at": at})

    def source_failed(self, source: SourceName, why: str, *, at: datetime, cause: Failure | None = None) -> None:
        """Record that the source could not be reached; `cause`: the kind of failure, where known."""
        kind: Row = {"cause": cause}
        with self._database.writing() as connection:
            note_failure(connection, source_health, {"name": source, "first_seen_at": at}, why, at=at, always=kind)

    def channel_worked(self, channel: ChannelName) -> None:
        """The channel took a notification."""
        with self._database.reading() as connection:
            found = connection.execute(select(channel_health).where(channel_health.c.name == channel)).first()
        if found is None or ChannelHealth(*found) != ChannelHealth(channel):  # spares a write for each delivery
            self._note(channel_health, {"name": channel}, {**WELL, **_NO_PAUSE, "disabled": False})

    def channel_failed(
        self, channel: ChannelName, why: str, *, at: datetime, disable: bool = False, pause: ChannelPause | None = None
    ) -> None:
        """The channel did not take a notification; `disable`: it wants none at all; `pause`: it takes none for now."""
        lasting: Row = {**({"disabled": True} if disable else {}), **(pause._asdict() if pause else {})}
        first: Row = {"name": channel, "disabled": disable, **_NO_PAUSE}
        with self._database.writing() as connection:
            note_failure(connection, channel_health, first, why, at=at, always=lasting)

    def keep_channels(self, channels: Collection[ChannelName]) -> None:
        """Forget what is known about all other channels."""
        if any(one.name not in channels for one in self.channels()):
            with self._database.writing() as connection:
                connection.execute(delete(channel_health).where(channel_health.c.name.not_in(channels)))

    def retry_channels(self, channels: Collection[ChannelName]) -> None:
        """Try these channels at once: a person wants it. A pause that the receiver asked for remains."""
        wanted = update(channel_health).where(channel_health.c.name.in_(channels))
        first = case((channel_health.c.pauses > 0, 1), else_=0)
        with self._database.writing() as connection:
            connection.execute(wanted.values(disabled=False, not_before=channel_health.c.asked_until, pauses=first))

    def beat(self, *, at: datetime, is_daemon: bool = True, trouble: str = "", ping: str = "") -> None:
        """Everything was evaluated, by a daemon or in one round; `ping`: why the monitoring service could not be pinged."""
        with self._database.writing() as connection:
            row = {"one": 1, "beat_at": at, "is_daemon": is_daemon, "trouble": trouble, "ping": ping}
            upsert(connection, daemon_health, row)

    def ledger_failed(self, trouble: str) -> None:
        """Something is wrong with the ledger, in which this can be written all the same."""
        with self._database.writing() as connection:
            connection.execute(update(daemon_health).values(trouble=trouble))

    def daemon(self) -> DaemonHealth | None:
        """Return the daemon's last report about itself."""
        with self._database.reading() as connection:
            return next(iter(all_of(daemon_health, DaemonHealth)(connection)), None)

    def _note(self, table: Table, first: Row, always: Row) -> None:
        """Write a row: `first` only if there is none, `always` in any case."""
        with self._database.writing() as connection:
            upsert(connection, table, {**first, **always}, always)
