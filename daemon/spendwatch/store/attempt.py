"""The tables `attempt`, bill files that failed in the reading process, and `reading`, the current one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Connection, Integer, Table, delete, select

from spendwatch.domain.health import ReadingProgress
from spendwatch.domain.statement import Digest, SourceName
from spendwatch.store.columns import Moment, Row, StoredText, columns_of, metadata, texts, upsert

attempt = Table(
    "attempt",
    metadata,
    Column("digest", StoredText, primary_key=True),
    *texts("name", "why"),
    Column("tries", Integer, nullable=False),
    Column("at", Moment, nullable=False),
)

reading = Table("reading", metadata, *columns_of(ReadingProgress, key="source"))


def note_attempt(connection: Connection, digest: Digest, name: str, why: str, *, at: datetime) -> int:
    """Note that a file could not be read, and return how often that happened so far."""
    row: Row = {"digest": digest, "name": name, "tries": 1, "why": why, "at": at}
    upsert(connection, attempt, row, {"tries": attempt.c.tries + 1, "why": why, "at": at})
    tries: int = connection.scalar(select(attempt.c.tries).where(attempt.c.digest == digest)) or 0
    return tries


def forget_attempts(connection: Connection, digest: Digest) -> None:
    """Forget that a file could not be read: it was, or it was refused."""
    connection.execute(delete(attempt).where(attempt.c.digest == digest))


def note_progress(connection: Connection, progress: ReadingProgress) -> None:
    """Note how much of a file is read."""
    # In thousandths, never rounded up: what is not read yet is not shown as read.
    upsert(connection, reading, {**progress._asdict(), "share": int(progress.share * 1000) / 1000})


def forget_progress(connection: Connection, source: SourceName | None = None) -> None:
    """Note that nothing is being read of that source; of none, if no source is named."""
    connection.execute(delete(reading) if source is None else delete(reading).where(reading.c.source == source))
