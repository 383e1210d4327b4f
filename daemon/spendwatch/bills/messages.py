"""What the daemon and the reading process tell each other: JSON, never pickles, as a hostile file might own the process.

Whatever comes from there is looked at as if a stranger had written it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

from spendwatch.domain.errors import InvalidAmountError, Refusal, UnreadableBillError
from spendwatch.domain.money import Currency, is_currency, parse_amount
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import (
    AccountId,
    ChargeKind,
    DayContent,
    DayKey,
    Digest,
    Kind,
    SpendRow,
    Statement,
    TaxBasis,
    WorkspaceId,
)

LENGTH = 4
"""Each message follows its length, written with so many bytes, the highest first."""

LONGEST = 64 * 1024 * 1024

Message = Mapping[str, object]


class NonsenseError(Exception):
    """The other side said something that makes no sense."""


@dataclass(frozen=True, slots=True)
class MergedCounts:
    """What became of a day in the merge."""

    digest: Digest
    lines: int
    new: int
    changed: int


def packed(message: Message) -> bytes:
    """Return the message as bytes, its length in front."""
    content = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    return len(content).to_bytes(LENGTH, "big") + content


def unpacked(content: bytes) -> Message:
    """Return the message that the bytes after its length hold."""
    try:
        message = json.loads(content)
    except ValueError as error:
        raise NonsenseError from error
    return as_object(message)


def as_object(value: object) -> Message:
    """Return the value if it is an object."""
    if not isinstance(value, dict):
        raise NonsenseError
    return cast("Message", value)


def as_list(value: object) -> list[object]:
    """Return the value if it is a list."""
    if not isinstance(value, list):
        raise NonsenseError
    return cast("list[object]", value)


def as_text(value: object) -> str:
    """Return the value if it is text."""
    if not isinstance(value, str):
        raise NonsenseError
    return value


def as_number(value: object) -> int:
    """Return the value if it is a whole number that is not negative."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise NonsenseError
    return value


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
        "days": [
            [day.key.account, day.key.period.label, day.key.day.isoformat(), day.digest, day.lines] for day in statement.days
        ],
        "remarks": statement.remarks,
    }


def statement_from(message: Message) -> Statement:
    """Return the statement that the message tells."""
    series = as_text(message.get("series"))
    try:
        return Statement(
            digest=Digest(as_text(message.get("digest"))),
            layout=as_text(message.get("layout")),
            series=series,
            kind=Kind(as_text(message.get("kind"))),
            tax_basis=TaxBasis(as_text(message.get("tax_basis"))),
            accounts=tuple(AccountId(as_text(account)) for account in as_list(message.get("accounts"))),
            periods=tuple(BillingPeriod.parse(as_text(label)) for label in as_list(message.get("periods"))),
            lines=as_number(message.get("lines")),
            data_until=_moment(message.get("data_until")),
            exported_at=_moment(message.get("exported_at")),
            days=tuple(_day(as_list(day), series) for day in as_list(message.get("days"))),
            remarks=tuple(as_text(remark) for remark in as_list(message.get("remarks"))),
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


def _day(parts: list[object], series: str) -> DayContent:
    account, period, day, digest, lines = parts
    key = DayKey(AccountId(as_text(account)), BillingPeriod.parse(as_text(period)), series, date.fromisoformat(as_text(day)))
    return DayContent(key, Digest(as_text(digest)), as_number(lines))


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


def merged_from(value: object) -> MergedCounts:
    """Return what became of a day."""
    try:
        digest, lines, new, changed = as_list(value)
    except ValueError as error:
        raise NonsenseError from error
    return MergedCounts(Digest(as_text(digest)), as_number(lines), as_number(new), as_number(changed))


def row_from(line: str) -> SpendRow:
    """Return the row of a roll-up that one line of its file tells."""
    try:
        *texts, lines = as_list(json.loads(line))
        workspace, api_key, model, kind, channel, item, commodity, product, owner, tags, charge, currency, cost = map(
            as_text, texts
        )
        if not is_currency(currency):
            raise NonsenseError
        return SpendRow(
            workspace=WorkspaceId(workspace),
            api_key=api_key,
            model=model,
            type=kind,
            channel=channel,
            item=item,
            commodity=commodity,
            product=product,
            owner=owner,
            tags=tags,
            charge=ChargeKind(charge),
            currency=Currency(currency),
            billed_cost=parse_amount(cost),
            lines=as_number(lines),
        )
    except (ValueError, InvalidAmountError) as error:
        raise NonsenseError from error
