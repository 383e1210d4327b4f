"""The messages between the daemon and the reading process: statements, refusals, merge requests and results."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from spendwatch.bills.wire import Message, NonsenseError, as_list, as_number, as_object, as_text
from spendwatch.domain.errors import InvalidAmountError, Refusal, UnreadableBillError
from spendwatch.domain.money import Currency, is_currency, parse_amount
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import (
    AccountId,
    ChargeKind,
    Coverage,
    DayContent,
    DayKey,
    Digest,
    Kind,
    ReadingHints,
    SeriesKey,
    SpendRow,
    Stamp,
    Statement,
    TaxBasis,
    WorkspaceId,
)


@dataclass(frozen=True, slots=True)
class MergedCounts:
    """What became of a day in the merge."""

    digest: Digest
    lines: int
    new: int
    changed: int
    gone: int
    stamps: tuple[Stamp, ...]


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """What is to be merged."""

    days: tuple[DayKey, ...]
    """Of the bill."""
    lazy: frozenset[DayKey]
    """Those of them that the ledger does not hold, and that need no second look."""
    held: tuple[tuple[DayKey, Path, Stamp], ...]
    """Days that the ledger holds: where their lines are, and up to which stamp they were confirmed."""
    coverage: tuple[Coverage, ...]


def statement_message(statement: Statement) -> Message:
    """Return the statement as a message."""
    return {
        "digest": statement.digest,
        "layout": statement.layout,
        "series": statement.series,
        "kind": statement.kind,
        "tax_basis": statement.tax_basis,
        "accounts": statement.accounts,
        "periods": [period.label for period in statement.periods],
        "lines": statement.lines,
        "data_until": statement.data_until.isoformat() if statement.data_until else None,
        "exported_at": statement.exported_at.isoformat() if statement.exported_at else None,
        "stamp": statement.stamp,
        "days": [[*_key(day.key), day.digest, day.lines, day.has_ids] for day in statement.days],
        "coverage": [_covered(one) for one in statement.coverage],
        "remarks": statement.remarks,
        "unassigned": statement.unassigned,
        "parts": statement.parts,
    }


def statement_from(message: Message) -> Statement:
    """Return the statement that the message tells."""
    try:
        return Statement(
            digest=Digest(as_text(message.get("digest"))),
            layout=as_text(message.get("layout")),
            series=as_text(message.get("series")),
            kind=Kind(as_text(message.get("kind"))),
            tax_basis=TaxBasis(as_text(message.get("tax_basis"))),
            accounts=tuple(AccountId(as_text(account)) for account in as_list(message.get("accounts"))),
            periods=tuple(BillingPeriod.parse(as_text(label)) for label in as_list(message.get("periods"))),
            lines=as_number(message.get("lines")),
            data_until=_moment(message.get("data_until")),
            exported_at=_moment(message.get("exported_at")),
            stamp=_stamp(message.get("stamp")),
            days=tuple(_day(as_list(day)) for day in as_list(message.get("days"))),
            coverage=tuple(_coverage(as_list(one)) for one in as_list(message.get("coverage"))),
            remarks=tuple(as_text(remark) for remark in as_list(message.get("remarks"))),
            unassigned=tuple(as_text(example) for example in as_list(message.get("unassigned"))),
            parts=tuple(as_number(part) for part in as_list(message.get("parts"))),
        )
    except ValueError as error:
        raise NonsenseError from error


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(as_text(value))
    if moment.tzinfo is None:
        raise NonsenseError
    return moment


def _day(parts: list[object]) -> DayContent:
    *key, digest, lines, has_ids = parts
    if not isinstance(has_ids, bool):
        raise NonsenseError
    return DayContent(_key_from(key), Digest(as_text(digest)), as_number(lines), has_ids)


def _key(key: DayKey) -> list[str]:
    return [key.account, key.period.label, key.series, key.day.isoformat()]


def _key_from(parts: Sequence[object]) -> DayKey:
    account, period, series, day = map(as_text, parts)
    return DayKey(AccountId(account), BillingPeriod.parse(period), series, date.fromisoformat(day))


def _stamp(value: object) -> Stamp:
    text = as_text(value)
    if not _STAMP.fullmatch(text):
        raise NonsenseError
    return Stamp(text)


_STAMP = re.compile(r"(?:[0-9]{14}(?:~|/[0-9a-f/]{0,96})?)?", re.ASCII)


def _covered(coverage: Coverage) -> list[object]:
    series = coverage.series
    days = coverage.first.isoformat(), coverage.last.isoformat()
    return [series.account, series.period.label, series.series, *days, coverage.stamp, coverage.reach, coverage.owners]


def _coverage(parts: list[object]) -> Coverage:
    *texts, owners = parts
    account, period, series, first, last, stamp, reach = map(as_text, texts)
    key = SeriesKey(AccountId(account), BillingPeriod.parse(period), series)
    told = None if owners is None else tuple(map(as_text, as_list(owners)))
    return Coverage(key, date.fromisoformat(first), date.fromisoformat(last), told, _stamp(stamp), _stamp(reach))


def hints_message(hints: ReadingHints) -> Message:
    """Return the hints as a message."""
    return {
        "currencies": dict(hints.currencies),
        "account": hints.account,
        "kind": hints.kind,
        "layout": hints.layout,
    }


def hints_from(message: Message) -> ReadingHints:
    """Return the hints that the message tells."""
    account, kind = message.get("account"), message.get("kind")
    currencies = as_object(message.get("currencies")).items()
    return ReadingHints(
        {AccountId(one): Currency(as_text(code)) for one, code in currencies},
        None if account is None else AccountId(as_text(account)),
        None if kind is None else Kind(as_text(kind)),
        as_text(message.get("layout")),
    )


def merge_message(bill: int, request: MergeRequest) -> Message:
    """Return the request as a message."""
    return {
        "ask": "merge",
        "bill": bill,
        "days": [[*_key(key), key in request.lazy] for key in request.days],
        "held": [[*_key(key), str(path), stamp] for key, path, stamp in request.held],
        "coverage": [_covered(one) for one in request.coverage],
    }


def merge_request_from(message: Message) -> MergeRequest:
    """Return the request that the message tells."""
    days = [(_key_from(day[:4]), bool(day[4])) for day in map(as_list, as_list(message.get("days")))]
    held = map(as_list, as_list(message.get("held")))
    return MergeRequest(
        tuple(key for key, _ in days),
        frozenset(key for key, is_lazy in days if is_lazy),
        tuple((_key_from(day[:4]), Path(as_text(day[4])), _stamp(day[5])) for day in held),
        tuple(_coverage(as_list(one)) for one in as_list(message.get("coverage"))),
    )


def export_message(key: DayKey, chunk: Path, into: Path, products: Collection[str] | None) -> Message:
    """Return the request to write the lines of a day for others."""
    wanted = None if products is None else list(products)
    return {"ask": "export", "day": _key(key), "chunk": str(chunk), "into": str(into), "products": wanted}


def export_request_from(message: Message) -> tuple[DayKey, Path, Path, list[str] | None]:
    """Return the day, where its lines are, where they are to be written, and for which products."""
    products = message.get("products")
    return (
        _key_from(as_list(message.get("day"))),
        Path(as_text(message.get("chunk"))),
        Path(as_text(message.get("into"))),
        None if products is None else [as_text(product) for product in as_list(products)],
    )


def refusals_message(error: UnreadableBillError) -> Message:
    """Return the refusals as a message."""
    parts = [[one.reason, one.line, one.column, one.value, one.accepts] for one in error.refusals]
    return {"tell": "refusals", "digest": error.digest, "refusals": parts}


def refusals_from(message: Message) -> UnreadableBillError:
    """Return the refusals that the message tells."""
    refusals = [_refusal(as_list(parts)) for parts in as_list(message.get("refusals"))]
    if not refusals:
        raise NonsenseError
    return UnreadableBillError(*refusals, digest=as_text(message.get("digest")))


def _refusal(parts: list[object]) -> Refusal:
    try:
        reason, line, column, value, accepts = parts
    except ValueError as error:
        raise NonsenseError from error
    texts = [None if text is None else as_text(text) for text in (column, value, accepts)]
    return Refusal(as_text(reason), None if line is None else as_number(line), *texts)


def merged_message(name: str, merged: MergedCounts) -> list[object]:
    """Return what became of a day."""
    counts = (merged.digest, merged.lines, merged.new, merged.changed, merged.gone)
    return [int(name), *counts, list(merged.stamps)]


def merged_from(value: object) -> MergedCounts:
    """Return what became of a day."""
    try:
        digest, lines, new, changed, gone, stamps = as_list(value)
    except ValueError as error:
        raise NonsenseError from error
    return MergedCounts(
        Digest(as_text(digest)),
        as_number(lines),
        as_number(new),
        as_number(changed),
        as_number(gone),
        tuple(_stamp(stamp) for stamp in as_list(stamps)),
    )


def row_from(line: str) -> SpendRow:
    """Return the row of a roll-up that one line of its file tells."""
    try:
        *texts, lines, outstanding = as_list(json.loads(line))
        workspace, api_key, model, kind, channel, safe_mode, item, commodity, product, *others = map(as_text, texts)
        owner, tags, charge, currency, cost = others
        if not is_currency(currency):
            raise NonsenseError
        return SpendRow(
            workspace=WorkspaceId(workspace),
            api_key=api_key,
            model=model,
            type=kind,
            channel=channel,
            safe_mode=safe_mode,
            item=item,
            commodity=commodity,
            product=product,
            owner=owner,
            tags=tags,
            charge=ChargeKind(charge),
            currency=Currency(currency),
            billed_cost=parse_amount(cost),
            lines=as_number(lines),
            outstanding=None if outstanding is None else parse_amount(as_text(outstanding)),
        )
    except (ValueError, InvalidAmountError) as error:
        raise NonsenseError from error
