"""From a source to the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spendwatch.domain.errors import (
    LedgerChangedError,
    ReaderFailedError,
    SourceUnavailableError,
    UnreadableBillError,
    printable,
)
from spendwatch.domain.health import Rejection
from spendwatch.domain.period import Clock
from spendwatch.domain.statement import BillFile, DayKey, Digest, Reading, ReadingHints, Receipt
from spendwatch.jobs.ports import BillReader, BillSource, Health, Ledger

_TRIES = 5
"""How often a merge is begun anew when somebody else enters the same days."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one bill file: a receipt, or the reason why there is none."""

    file: BillFile
    receipt: Receipt | None = None
    refused: str = ""
    """Why the file could not be understood."""
    failed: str = ""
    """Why we could not read it now; it stays where it is."""


def enter(file: BillFile, *, reader: BillReader, ledger: Ledger, hints: ReadingHints, clock: Clock) -> Receipt:
    """Read one bill file and record what it says, whole or not at all.

    Raises `UnreadableBillError`, `ReaderFailedError`, or `LedgerUnavailableError`.
    """
    with reader.read(file, hints) as reading:
        statement = reading.statement
        if ledger.has(statement.digest, statement.exported_at):
            return Receipt(statement, new=0, changed=0, same=statement.lines, repeated=True)
        for _ in range(_TRIES - 1):
            try:
                return _merge(file, reading, ledger, clock)
            except LedgerChangedError:
                continue
        return _merge(file, reading, ledger, clock)


def _merge(file: BillFile, reading: Reading, ledger: Ledger, clock: Clock) -> Receipt:
    statement = reading.statement
    held = ledger.held(day.key for day in statement.days)
    differing = tuple(day.key for day in statement.days if held.get(day.key) != day.digest)
    known = [key for key in differing if key in held]
    merged = reading.merge(_Chunks(ledger, frozenset(known)), differing, ledger.confirmed(known))
    ledger.record(
        statement,
        merged,
        name=file.name,
        source=file.source,
        held={key: held[key] for key in known},
        now=clock(),
    )
    new, changed = sum(day.new for day in merged), sum(day.changed for day in merged)
    return Receipt(statement, new=new, changed=changed, same=statement.lines - new - changed)


class _Chunks(Mapping[DayKey, bytes | None]):
    """The chunks that the ledger holds of some days, each fetched when it is asked for: never all of them in memory."""

    def __init__(self, ledger: Ledger, days: frozenset[DayKey]) -> None:
        self._ledger = ledger
        self._days = days

    def __getitem__(self, day: DayKey) -> bytes | None:
        if day not in self._days:
            raise KeyError(day)
        return self._ledger.chunk(day)

    def __iter__(self) -> Iterator[DayKey]:
        return iter(self._days)

    def __len__(self) -> int:
        return len(self._days)


def collect(
    source: BillSource,
    *,
    reader: BillReader,
    ledger: Ledger,
    health: Health,
    hints: ReadingHints,
    clock: Clock,
) -> Iterator[Taken]:
    """Enter what the source has, file by file; yield after each, so that it can be assessed before the next.

    One bad file never holds up the others: it is set aside with the reason. A file that we failed to read stays.
    """
    try:
        for file in source.arrivals(clock()):
            yield _take(file, source, reader=reader, ledger=ledger, health=health, hints=hints, clock=clock)
    except SourceUnavailableError as error:
        health.source_failed(source.name, str(error), at=clock())
    else:
        health.looked(source.name, at=clock())


def _take(
    file: BillFile,
    source: BillSource,
    *,
    reader: BillReader,
    ledger: Ledger,
    health: Health,
    hints: ReadingHints,
    clock: Clock,
) -> Taken:
    try:
        receipt = enter(file, reader=reader, ledger=ledger, hints=hints, clock=clock)
    except UnreadableBillError as error:
        why = refusal_text(file, error)
        ledger.refuse(Rejection(Digest(error.digest or f"name:{file.name}"), file.name, file.source, clock(), str(error)))
        source.reject(file, why)
        return Taken(file, refused=str(error))
    except ReaderFailedError as error:
        source.leave(file)
        return Taken(file, failed=str(error))
    except BaseException:
        source.leave(file)
        raise
    if not receipt.repeated:
        health.bill_came(file.source, at=clock())
    source.keep(file)
    return Taken(file, receipt=receipt)


def refusal_text(file: BillFile, error: UnreadableBillError) -> str:
    """Return what stands beside a refused file: every refusal with its place, and what to do next."""
    lines = [f"{printable(file.name, 200)} was refused. Not one of its lines is counted.", ""]
    lines += [f"  {refusal}" for refusal in error.refusals]
    lines += ["", "Mend or export the file again and drop it anew; this copy is not looked at any more.", ""]
    return "\n".join(lines)
