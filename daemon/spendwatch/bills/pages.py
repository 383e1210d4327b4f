"""Responses of the billing API saved as files: one page, a list of pages, or one page per line. Read as a table of items."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from spendwatch.bills.cells import amount_in, says_nothing
from spendwatch.bills.layouts.describeinstancebill import DESCRIBE_INSTANCE_BILL
from spendwatch.bills.layouts.layout import Field
from spendwatch.domain.errors import InvalidAmountError, Refusal, UnreadableBillError, printable
from spendwatch.exact_json import NoJsonError, parse

LARGEST = 256 * 1024 * 1024
"""How many bytes of answers are taken at once; those of one day are far fewer."""

_AMOUNTS = frozenset(
    name for field in (Field.BILLED_COST, Field.LIST_COST, Field.OUTSTANDING) for name in DESCRIBE_INSTANCE_BILL.columns[field]
)
_NEEDED = ("InstanceID", "PretaxAmount")
_OF_DATA = ("AccountID", "BillingCycle")
_NAMES = tuple(dict.fromkeys(name for names in DESCRIBE_INSTANCE_BILL.columns.values() for name in names))

_OF_MANIFESTS = frozenset({"dataFiles", "blobs", "exportArn", "manifestVersion", "reportKeys"})
"""What AWS and Azure write into the `manifest.json` beside what they export."""

_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)

Json = Mapping[str, object]


class Pages(NamedTuple):
    """A table of the items, and whether it holds all of them."""

    path: Path
    is_complete: bool
    """All pages are there, so that what is not in them is gone."""
    nothing_of: tuple[str, str] | None
    """The account and the billing cycle of which all pages say that there is nothing."""
    is_manifest: bool = False
    """It only lists the files of an export, and holds no charges."""


def looks_like_pages(head: bytes) -> bool:
    """Return whether a file is JSON and no table."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["}


def read_pages(path: Path, folder: Path) -> Pages:
    """Write the items of the answers into a table; `UnreadableBillError` if they are no whole answers about bills."""
    answers = _answers(path)
    is_manifest = all(_OF_MANIFESTS & answer.keys() and "Data" not in answer for answer in answers)
    answers = [] if is_manifest else answers
    items = [item for number, answer in enumerate(answers, start=1) for item in _items(answer, number)]
    told = {_total_of(answer) for answer in answers}
    most = max((total for total in told if total is not None), default=len(items))
    if most < len(items):
        _refuse(f"{len(items)} items, but the responses announce {most}: is a page there twice?")
    table = folder / f"{path.name}.table"
    with table.open("w", encoding="utf-8", newline="") as file:
        names = [name for name in _NAMES if any(name in item for item in items)] or list(_NAMES)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([item.get(name, "") for name in names] for item in items)
    if is_manifest:
        return Pages(table, is_complete=False, nothing_of=None, is_manifest=True)
    is_complete = told == {len(items)} and not _data(answers[-1]).get("NextToken")
    return Pages(table, is_complete, None if items or not is_complete else _subject(_data(answers[0])))


def as_items(error: UnreadableBillError) -> UnreadableBillError:
    """Return refusals of lines of the table as refusals of items: a file of answers has no such lines."""
    refusals = (
        Refusal(f"item {one.line - 1}: {one.reason}" if one.line else one.reason, None, one.column, one.value, one.accepts)
        for one in error.refusals
    )
    return UnreadableBillError(*refusals, digest=error.digest)


def _answers(path: Path) -> Sequence[Json]:
    if path.stat().st_size > LARGEST:
        _refuse(f"more than {LARGEST // 1024**2} MiB of responses in one file: save each day in its own file")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(f"not UTF-8, at byte {error.start}")
    said = _parsed(text)
    answers = said if isinstance(said, list) else [said]
    found = [answer for answer in answers if isinstance(answer, dict)]
    if not found or len(found) < len(answers):
        _refuse("JSON, but not responses of the billing API")
    return found


def _parsed(text: str) -> object:
    try:
        return parse(text, as_written=True)
    except NoJsonError as error:
        refused = error
    lines = [line for line in text.splitlines() if line.strip()]
    if refused.problem == "Extra data" and len(lines) > 1:
        try:
            return [parse(line, as_written=True) for line in lines]
        except NoJsonError as error:
            refused = refused if error.problem else error
    why = f"not valid JSON: {refused.problem}; the file may be cut off" if refused.problem else str(refused)
    raise UnreadableBillError(Refusal(why, line=refused.line))


def _data(answer: Json) -> Json:
    data = answer.get("Data")
    return data if isinstance(data, dict) else {}


def _subject(data: Json) -> tuple[str, str] | None:
    account, cycle = (data.get(name) for name in _OF_DATA)
    return (account, cycle) if isinstance(account, str) and isinstance(cycle, str) else None


def _total_of(answer: Json) -> int | None:
    total = _data(answer).get("TotalCount")
    return int(total) if isinstance(total, str) and _COUNT.fullmatch(total) else None


def _items(answer: Json, number: int) -> Iterator[dict[str, str]]:
    data = _data(answer)
    items = data.get("Items")
    if isinstance(items, dict):
        items = items.get("Item")
    if answer.get("Success") is False or not isinstance(items, list):
        _refuse(f"answer {number} {_what_else(answer)}")
    for place, item in enumerate(items, start=1):
        where = f"item {place} of answer {number}"
        if not isinstance(item, dict):
            _refuse(f"{where} is no object")
        missing = ", ".join(name for name in _NEEDED if item.get(name) is None)
        if missing:
            _refuse(f"{where} lacks {missing}")
        told = {name: data[name] for name in _OF_DATA if data.get(name) is not None}
        yield {name: _cell(name, value, where) for name, value in (told | item).items() if name in _NAMES}


def _what_else(answer: Json) -> str:
    """Return a description of an answer without bills."""
    data = _data(answer)
    if "AvailableAmount" in answer or "AvailableAmount" in data:
        return "contains a balance, not bills"
    code, message = answer.get("Code"), answer.get("Message")
    if isinstance(code, str) and (answer.get("Success") is False or "Data" not in answer):
        return f"is an error of the API: {printable(code)} {printable(str(message or ''), 200)}"
    return "has no list of bill items"


def _cell(name: str, value: object, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        _refuse(f"{where}: {name} is neither text nor a number")
    if name not in _AMOUNTS or (name in DESCRIBE_INSTANCE_BILL.columns[Field.OUTSTANDING] and says_nothing(value)):
        return value
    try:
        return amount_in(value)
    except InvalidAmountError:
        return value  # the reader says what is wrong with it


def _refuse(reason: str) -> NoReturn:
    raise UnreadableBillError(Refusal(reason))
