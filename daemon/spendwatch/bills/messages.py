"""What the daemon and its reading process say to each other: JSON documents, each with its length before it.

Plain data on purpose: a hostile bill may come to own the reading process, and must gain nothing by what that process says.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Any, BinaryIO

from spendwatch.domain.errors import Refusal
from spendwatch.domain.money import Currency
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import (
    AccountId,
    DayContent,
    DayKey,
    Digest,
    Kind,
    ReadingHints,
    Statement,
    TaxBasis,
)

Message = Mapping[str, Any]

LONGEST = 64 * 1024 * 1024
"""A longer message is no message."""

_LENGTH = struct.Struct(">I")


class BrokenChannelError(Exception):
    """The other side is gone, or says what makes no sense."""


def send(file: BinaryIO, message: Message) -> None:
    """Write one message."""
    content = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    try:
        file.write(_LENGTH.pack(len(content)) + content)
        file.flush()
    except (OSError, ValueError) as error:
        raise BrokenChannelError(str(error)) from error


def receive(file: BinaryIO) -> Message | None:
    """Return the next message, or None at the end."""
    try:
        head = file.read(_LENGTH.size)
        if not head:
            return None
        (length,) = _LENGTH.unpack(head)
        content = file.read(length) if length <= LONGEST else b""
        message = json.loads(content)
    except (OSError, ValueError, struct.error) as error:
        raise BrokenChannelError(str(error)) from error
    if len(content) != length or not isinstance(message, dict):
        msg = "a message that is none"
        raise BrokenChannelError(msg)
    return message


def day_to_plain(key: DayKey) -> list[str]:
    """Return a day's key as plain values."""
    return [key.account, key.period.label, key.series, key.day.isoformat()]


def day_from_plain(plain: Sequence[str]) -> DayKey:
    """Return the day's key of these plain values."""
    account, period, series, day = plain
    return DayKey(AccountId(account), BillingPeriod.parse(period), series, date.fromisoformat(day))


def statement_to_plain(statement: Statement) -> Message:
    """Return a statement as plain values."""
    return {
        "digest": statement.digest,
        "layout": statement.layout,
        "series": statement.series,
        "kind": statement.kind.value,
        "tax_basis": statement.tax_basis.value,
        "accounts": list(statement.accounts),
        "periods": [period.label for period in statement.periods],
        "lines": statement.lines,
        "data_until": statement.data_until.isoformat() if statement.data_until else None,
        "exported_at": statement.exported_at.isoformat() if statement.exported_at else None,
        "days": [[*day_to_plain(day.key), day.digest, day.lines] for day in statement.days],
        "remarks": list(statement.remarks),
    }


def statement_from_plain(plain: Message) -> Statement:
    """Return the statement of these plain values."""
    return Statement(
        digest=Digest(str(plain["digest"])),
        layout=str(plain["layout"]),
        series=str(plain["series"]),
        kind=Kind(plain["kind"]),
        tax_basis=TaxBasis(plain["tax_basis"]),
        accounts=tuple(AccountId(str(account)) for account in plain["accounts"]),
        periods=tuple(BillingPeriod.parse(label) for label in plain["periods"]),
        lines=int(plain["lines"]),
        data_until=_moment(plain["data_until"]),
        exported_at=_moment(plain["exported_at"]),
        days=tuple(DayContent(day_from_plain(day[:4]), Digest(str(day[4])), int(day[5])) for day in plain["days"]),
        remarks=tuple(str(remark) for remark in plain["remarks"]),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def refusal_to_plain(refusal: Refusal) -> Message:
    """Return a refusal as plain values."""
    return {field.name: getattr(refusal, field.name) for field in fields(Refusal)}


def refusal_from_plain(plain: Message) -> Refusal:
    """Return the refusal of these plain values."""
    line = plain["line"]
    column, value, accepts = (None if plain[name] is None else str(plain[name]) for name in ("column", "value", "accepts"))
    return Refusal(str(plain["reason"]), line=None if line is None else int(line), column=column, value=value, accepts=accepts)


def hints_to_plain(hints: ReadingHints) -> Message:
    """Return what the configuration says as plain values."""
    return {str(account): str(currency) for account, currency in hints.currencies.items()}


def hints_from_plain(plain: Message) -> ReadingHints:
    """Return what the configuration says, of plain values."""
    return ReadingHints({AccountId(account): Currency(str(currency)) for account, currency in plain.items()})
