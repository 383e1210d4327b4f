"""From a source to the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spendwatch.domain.errors import (
    ADD_ACCOUNT,
    LedgerChangedError,
    ReaderFailedError,
    Refusal,
    SourceUnavailableError,
    UnreadableBillError,
    printable,
)
from spendwatch.domain.health import Rejection
from spendwatch.domain.merging import Plan, Reading, fresh_accounts, is_outranked, plan_change
from spendwatch.domain.period import Clock, PeriodClose
from spendwatch.domain.statement import BillFile, Digest, ReadingHints, Receipt
from spendwatch.jobs.ports import BillReader, BillSource, Health, Ledger

_TRIES = 5
"""How often recording is retried when another process changes the same days."""

_ASIDE = "This copy will not be read again unless it is moved back to where it was dropped.\n"
"""Stands at the end of the reason beside a refused file."""

_CHANCES = 2
"""How often the reading process may fail at a file before the file is set aside."""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of one bill file: a receipt, or the reason why there is none."""

    file: BillFile
    receipt: Receipt | None = None
    refused: UnreadableBillError | None = None
    """Why the file could not be understood."""
    failed: str = ""
    """Why we could not read it now; it stays where it is."""


@dataclass(frozen=True, slots=True)
class IngestContext:
    """What is needed to enter bills."""

    reader: BillReader
    ledger: Ledger
    hints: ReadingHints
    closing: Callable[[], PeriodClose]
    """Tells which months are final now, and which are over."""
    clock: Clock
    turn_to: Callable[[BillFile | None], None] = lambda _: None
    """Called with the file that is being read, and at the end with None."""


def enter(file: BillFile, desk: IngestContext) -> Receipt:
    """Read one bill file and record what it says, whole or not at all.

    Raises `UnreadableBillError`, `ReaderFailedError`, or `LedgerUnavailableError`.
    """
    desk.turn_to(file)
    try:
        return _enter(file, desk)
    finally:
        desk.turn_to(None)


def enter_of_source(file: BillFile, desk: IngestContext, health: Health) -> Receipt:
    """Enter one bill file that its source gave, and note that bills still come from there if the bill shows it."""
    receipt = enter(file, desk)
    if receipt.fresh:
        health.bill_came(file.source, at=desk.clock(), accounts=receipt.fresh)
    return receipt


def _enter(file: BillFile, desk: IngestContext) -> Receipt:
    with desk.reader.read(file, desk.hints) as reading:
        statement = reading.statement
        if desk.ledger.has_statement(statement):
            return Receipt(statement, new=0, changed=0, same=statement.lines, repeated=True)
        for _ in range(_TRIES - 1):
            try:
                return _merge(file, reading, desk)
            except LedgerChangedError:
                continue
        return _merge(file, reading, desk)


def _merge(file: BillFile, reading: Reading, desk: IngestContext) -> Receipt:
    statement = reading.statement
    held, closing, now = desk.ledger.held(statement.months), desk.closing(), desk.clock()
    plan = plan_change(held, held.with_statement(statement, now))
    told = plan.contents & {day.digest for day in statement.days}
    # The ledger has given up the lines of some contents: they are taken from this bill.
    plan = plan._replace(fresh=(*plan.fresh, *sorted(desk.ledger.given_up(told))))
    resolution = reading.resolve(
        plan, lambda digest: _content(desk.ledger, digest, plan), lambda digest: _there(desk.ledger.ids(digest))
    )
    desk.ledger.record(
        statement,
        resolution,
        name=file.name,
        source=file.source,
        held=held,
        now=now,
        closing=closing,
    )
    return Receipt(
        statement,
        *resolution.counts(statement.lines),
        is_outranked=is_outranked(statement, held),
        lost=tuple(resolution.lost),
        lost_lines=resolution.lost_lines,
        fresh=fresh_accounts(statement, resolution.days, held, closing),
    )


def _content(ledger: Ledger, digest: Digest, plan: Plan) -> bytes:
    if not (lines := _there(ledger.content(digest))):
        days = (*plan.days, *plan.others)
        key = next(one.key for one in days for piece in (*one.before, *one.after) if piece.content == digest)
        removed = "whose lines were removed by `retention`, or because a newer complete bill has replaced them"
        reason = f"it would change {key.day} in the bill of {key.period.label}, {removed}"
        raise UnreadableBillError(Refusal(reason, accepts="bills of days whose lines are kept"))
    return lines


def _there(found: bytes | None) -> bytes:
    if found is None:
        msg = "lines that are needed were removed by somebody else"
        raise LedgerChangedError(msg)
    return found


def collect(source: BillSource, desk: IngestContext, health: Health) -> Iterator[IngestResult]:
    """Enter what the source has, file by file; yield after each, so that it can be assessed before the next.

    One bad file never holds up the others: it is set aside with the reason. A file that we failed to read stays, and gets
    another chance.
    """
    try:
        for file in source.arrivals(desk.clock()):
            yield take(file, source, desk, health)
    except SourceUnavailableError as error:
        health.source_failed(source.name, str(error), at=desk.clock(), cause=error.trouble)
    else:
        health.looked(source.name, at=desk.clock())


def take(file: BillFile, source: BillSource, desk: IngestContext, health: Health) -> IngestResult:
    """Enter one file that the source has given, and say to the source what became of it."""
    try:
        receipt = enter_of_source(file, desk, health)
    except UnreadableBillError as error:
        return _refuse(file, source, desk, error)
    except ReaderFailedError as error:
        if has_used_its_chances(file, desk, error):
            reason = f"it could not be read in {_CHANCES} attempts: {error}"
            return _refuse(file, source, desk, UnreadableBillError(Refusal(reason)))
        source.leave(file)
        return IngestResult(file, failed=str(error))
    except BaseException:
        source.leave(file)
        raise
    source.keep(file)
    return IngestResult(file, receipt=receipt)


def _refuse(file: BillFile, source: BillSource, desk: IngestContext, error: UnreadableBillError) -> IngestResult:
    digest = error.digest or desk.reader.digest(file)
    desk.ledger.refuse(Rejection(Digest(digest), file.name, file.source, desk.clock(), str(error)))
    source.reject(file, f"{refusal_text(file, error)}{_ASIDE}")
    return IngestResult(file, refused=error)


def has_used_its_chances(file: BillFile, desk: IngestContext, error: ReaderFailedError) -> bool:
    """Record that the reading process failed at the file; return whether its chances are used up. A restart forgets nothing."""
    if error.is_innocent:
        return False
    return desk.ledger.failed(desk.reader.digest(file), file.name, str(error), at=desk.clock()) >= _CHANCES


def refusal_text(file: BillFile, error: UnreadableBillError) -> str:
    """Return the text about a rejected file: every reason with its place, and what to do."""
    is_of_account = any(ADD_ACCOUNT in (refusal.accepts or "") for refusal in error.refusals)
    lines = [f"{printable(file.name, 200)} was rejected. None of its lines is counted.", ""]
    lines += [f"  {refusal}" for refusal in error.refusals]
    lines += [
        "",
        "Add the account, or find out why its bill arrived here." if is_of_account else "Fix or re-export it, then drop it in.",
        "",
    ]
    return "\n".join(lines)
