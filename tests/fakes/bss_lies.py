"""The lies that the stand-in of the billing API can tell, one by one: how each answer is falsified, or sent wrongly."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import format_datetime
from enum import StrEnum
from functools import cache
from typing import Protocol

from billing_api import Document
from billing_gateway import Call, Refusal
from plain_http import write_answer

KEY_ID = "LTAItestid"
SECRET = "test-secret/+="
TOKEN = "STS.token/+="


class Lie(StrEnum):
    """One way in which an answer is not what it should be."""

    # nothing whole arrives
    HANG = "hang"
    RESET = "reset"
    RESET_IN_BODY = "reset_in_body"
    CUT_BODY = "cut_body"
    CUT_CHUNK = "cut_chunk"
    NO_LENGTH = "no_length"
    SLOW_DRIP = "slow_drip"
    STALLED = "stalled"
    GIANT = "giant"
    ENDLESS = "endless"
    GZIP_BOMB = "gzip_bomb"
    GZIP_CUT = "gzip_cut"
    OTHER_CODING = "other_coding"
    GARBAGE = "garbage"
    # what arrives is no answer
    REDIRECT = "redirect"
    HTML = "html"
    EMPTY = "empty"
    BLANK = "blank"
    HALF_JSON = "half_json"
    TWO_DOCUMENTS = "two_documents"
    BOM = "bom"
    UTF16 = "utf16"
    BROKEN_UTF8 = "broken_utf8"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    NO_CONTENT_TYPE = "no_content_type"
    LIST = "list"
    NAN = "nan"
    INFINITY = "infinity"
    GIANT_INTEGER = "giant_integer"
    DUPLICATE_KEYS = "duplicate_keys"
    DEEP_NESTING = "deep_nesting"
    # refusals
    SUCCESS_FALSE = "success_false"
    SUCCESS_TEXT = "success_text"
    SUCCESS_WITH_ERROR_CODE = "success_with_error_code"
    INTERNAL_ERROR = "internal_error"
    UNDEFINED_ERROR = "undefined_error"
    BAD_GATEWAY = "bad_gateway"
    THROTTLED = "throttled"
    THROTTLED_WITHOUT_HEADER = "throttled_without_header"
    THROTTLED_AT_200 = "throttled_at_200"
    THROTTLED_FOR_LONG = "throttled_for_long"
    THROTTLED_IN_XML = "throttled_in_xml"
    UNKNOWN_KEY = "unknown_key"
    EXPIRED_TOKEN = "expired_token"
    BAD_SIGNATURE = "bad_signature"
    NONCE_USED = "nonce_used"
    CLOCK_SKEW = "clock_skew"
    WRONG_SITE = "wrong_site"
    NOT_AUTHORIZED = "not_authorized"
    UNKNOWN_CODE = "unknown_code"
    HOSTILE_CODE = "hostile_code"
    LOGIN_401 = "login_401"
    FORBIDDEN_403 = "forbidden_403"
    # another bill, or none
    OTHER_ACCOUNT = "other_account"
    NO_ACCOUNT = "no_account"
    OTHER_CYCLE = "other_cycle"
    OTHER_DAY = "other_day"
    OTHER_PRODUCT = "other_product"
    NO_CURRENCY = "no_currency"
    NO_DATA = "no_data"
    NO_ITEMS = "no_items"
    NESTED_ITEMS = "nested_items"
    ITEM_NO_OBJECT = "item_no_object"
    MISSING_FIELD = "missing_field"
    RENAMED_FIELD = "renamed_field"
    NUMBER_AS_TEXT = "number_as_text"
    TEXT_AS_NUMBER = "text_as_number"
    NUMBER_NULL = "number_null"
    NUMBER_TRUE = "number_true"
    HUGE_EXPONENT = "huge_exponent"
    ENDLESS_EXPONENT = "endless_exponent"
    TOO_MANY_DECIMALS = "too_many_decimals"
    # pages that are no bill together
    NEGATIVE_COUNT = "negative_count"
    COUNT_AS_TEXT = "count_as_text"
    NO_COUNT = "no_count"
    COUNT_TOO_HIGH = "count_too_high"
    COUNT_TOO_LOW = "count_too_low"
    COUNT_CHANGES = "count_changes"
    TOKEN_LOST = "token_lost"
    SAME_TOKEN = "same_token"
    TOKENS_IN_A_RING = "tokens_in_a_ring"
    TOKEN_NUMBER = "token_number"
    TOKEN_GIANT = "token_giant"
    DUPLICATE_PAGE = "duplicate_page"
    OVERLAPPING_PAGES = "overlapping_pages"
    EMPTY_PAGES = "empty_pages"
    ENDLESS_PAGES = "endless_pages"
    LINE_LIMIT = "line_limit"


@dataclass(frozen=True)
class FalseRefusal(Refusal):
    """How a gateway refuses that the request did not reach, or that means something else."""

    content_type: str = "application/json;charset=utf-8"


@dataclass
class Page:
    """One answer under way: what may be falsified before it is written down."""

    document: Document
    number: int
    """Counted from 1 within one day's bill."""
    call: Call


class IngestContext(Protocol):
    """Where a liar finds the truth, and tokens that will be taken."""

    bills: dict[date, Sequence[Document]]
    calls: list[Call]

    def token(self, offset: int) -> str:
        """Return a new token for what begins there."""

    def accept(self, token: str, offset: int) -> None:
        """Take that token, too."""


_JSON = {"content-type": "application/json"}


async def _hang(_writer: asyncio.StreamWriter, _body: bytes) -> None:
    await asyncio.sleep(3600)


async def _reset(writer: asyncio.StreamWriter, _body: bytes) -> None:
    writer.transport.abort()


async def _reset_in_body(writer: asyncio.StreamWriter, body: bytes) -> None:
    await write_answer(writer, 200, {**_JSON, "content-length": str(len(body))}, body[: len(body) // 2])
    await asyncio.sleep(0.05)
    writer.transport.abort()


async def _stalled(writer: asyncio.StreamWriter, body: bytes) -> None:
    await write_answer(writer, 200, {**_JSON, "content-length": str(len(body))}, body[: len(body) // 2])
    await asyncio.sleep(3600)


async def _slow_drip(writer: asyncio.StreamWriter, body: bytes) -> None:
    await write_answer(writer, 200, {**_JSON, "content-length": str(len(body))}, b"")
    for number in range(len(body)):
        writer.write(body[number : number + 1])
        await writer.drain()
        await asyncio.sleep(0.05)


async def _endless(writer: asyncio.StreamWriter, _body: bytes) -> None:
    await write_answer(writer, 200, {**_JSON, "transfer-encoding": "chunked"}, b"")
    while True:
        writer.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
        await writer.drain()


async def _garbage(writer: asyncio.StreamWriter, _body: bytes) -> None:
    writer.write(b"\x00\xffno server\r\n\r\n")
    await writer.drain()


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(50 << 20), 1)


def _with(headers: Mapping[str, str], change: Callable[[bytes], bytes] = bytes) -> Callable[..., Awaitable[None]]:
    """Return one who sends these headers, and the body changed, its length told unless the headers tell another."""

    async def send(writer: asyncio.StreamWriter, body: bytes) -> None:
        changed = change(body)
        length = {} if "transfer-encoding" in headers else {"content-length": str(len(changed))}
        told = {**_JSON, **length, "connection": "close", **headers}
        await write_answer(writer, 200, {name: value for name, value in told.items() if value}, changed)

    return send


SENT_OTHERWISE: Mapping[Lie, Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]] = {
    Lie.HANG: _hang,
    Lie.RESET: _reset,
    Lie.RESET_IN_BODY: _reset_in_body,
    Lie.STALLED: _stalled,
    Lie.SLOW_DRIP: _slow_drip,
    Lie.ENDLESS: _endless,
    Lie.GARBAGE: _garbage,
    Lie.CUT_BODY: _with({"content-length": "100000"}),
    Lie.CUT_CHUNK: _with({"transfer-encoding": "chunked"}, lambda body: b"%x\r\n%s" % (len(body) + 1, body)),
    Lie.NO_LENGTH: _with({"content-length": ""}),
    Lie.GIANT: _with({"content-length": str(1 << 40)}),
    Lie.GZIP_BOMB: _with({"content-encoding": "gzip"}, lambda _: _bomb()),
    Lie.GZIP_CUT: _with({"content-encoding": "gzip"}, lambda body: gzip.compress(body)[:-9]),
    Lie.OTHER_CODING: _with({"content-encoding": "br"}),
    Lie.WRONG_CONTENT_TYPE: _with({"content-type": "text/html; charset=utf-8"}),
    Lie.NO_CONTENT_TYPE: _with({"content-type": ""}),
}

_PAYABLE_NUMBER = re.compile(rb'("PretaxAmount": )[^,}]+')


def _payable(text: bytes) -> Callable[[bytes], bytes]:
    return lambda body: _PAYABLE_NUMBER.sub(rb"\g<1>" + text, body, count=1)


WRITTEN_OTHERWISE: Mapping[Lie, Callable[[bytes], bytes]] = {
    Lie.HTML: lambda _: b"<!doctype html><html><body>Please sign in</body></html>",
    Lie.EMPTY: lambda _: b"",
    Lie.BLANK: lambda _: b" \r\n",
    Lie.HALF_JSON: lambda body: body[: len(body) // 2],
    Lie.TWO_DOCUMENTS: lambda body: body + body,
    Lie.BOM: lambda body: b"\xef\xbb\xbf" + body,
    Lie.UTF16: lambda body: body.decode().encode("utf-16"),
    Lie.BROKEN_UTF8: lambda body: body.replace(b"demo-account", b"demo-\xff\xfe"),
    Lie.LIST: lambda body: b"[" + body + b"]",
    Lie.NAN: _payable(b"NaN"),
    Lie.INFINITY: _payable(b"-Infinity"),
    Lie.GIANT_INTEGER: _payable(b"9" * 5000),
    Lie.HUGE_EXPONENT: _payable(b"1e999999"),
    Lie.ENDLESS_EXPONENT: _payable(b"1e99999999999999999999"),
    Lie.TOO_MANY_DECIMALS: _payable(b"0.12345678901"),
    Lie.NUMBER_AS_TEXT: _payable(b'"0.024816"'),
    Lie.NUMBER_NULL: _payable(b"null"),
    Lie.NUMBER_TRUE: _payable(b"true"),
    Lie.DUPLICATE_KEYS: lambda body: body.replace(b'"Success": true', b'"Success": false, "Success": true'),
    Lie.DEEP_NESTING: lambda body: body.replace(b'"demo-account"', b"[" * 100_000 + b"]" * 100_000),
}

_SKEWED = format_datetime(datetime(2026, 9, 16, 4, 20, tzinfo=UTC), usegmt=True)
REFUSALS: Mapping[Lie, FalseRefusal] = {
    Lie.REDIRECT: FalseRefusal(302, "Moved", headers={"location": "https://business.example.test/"}),
    Lie.SUCCESS_FALSE: FalseRefusal(200, "InternalError", "The request processing has failed due to some unknown error."),
    Lie.INTERNAL_ERROR: FalseRefusal(400, "InternalError", "The request processing has failed due to some unknown error."),
    Lie.UNDEFINED_ERROR: FalseRefusal(500, "UndefinedError", "The request processing has failed."),
    Lie.BAD_GATEWAY: FalseRefusal(502, "", "Bad Gateway", content_type="text/html"),
    Lie.THROTTLED: FalseRefusal(
        400, "Throttling.User", "Request was denied due to user flow control.", {"x-acs-retry-after": "7000"}
    ),
    Lie.THROTTLED_WITHOUT_HEADER: FalseRefusal(400, "Throttling.Api", "Request was denied due to api flow control."),
    Lie.THROTTLED_AT_200: FalseRefusal(200, "Throttling", "Request was denied due to request throttling."),
    Lie.THROTTLED_FOR_LONG: FalseRefusal(429, "Throttling", headers={"retry-after": "600"}),
    Lie.THROTTLED_IN_XML: FalseRefusal(503, "Throttling.User", "Denied.", content_type="text/xml"),
    Lie.UNKNOWN_KEY: FalseRefusal(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."),
    Lie.EXPIRED_TOKEN: FalseRefusal(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired."),
    Lie.BAD_SIGNATURE: FalseRefusal(400, "SignatureDoesNotMatch", f"You sent {SECRET} and {TOKEN}."),
    Lie.NONCE_USED: FalseRefusal(400, "SignatureNonceUsed", "Specified signature nonce was used already."),
    Lie.CLOCK_SKEW: FalseRefusal(400, "InvalidTimeStamp.Expired", "Specified time stamp is expired.", {"date": _SKEWED}),
    Lie.WRONG_SITE: FalseRefusal(400, "NotApplicable", "This API is not applicable for caller."),
    Lie.NOT_AUTHORIZED: FalseRefusal(403, "NotAuthorized", "This API is not authorized for caller."),
    Lie.UNKNOWN_CODE: FalseRefusal(400, "SomethingNew", f"It says \x1b[31m{KEY_ID} {SECRET}\x1b[0m"),
    Lie.HOSTILE_CODE: FalseRefusal(400, "<script>\u202e</script>", "no"),
    Lie.LOGIN_401: FalseRefusal(401, "", "Sign in", content_type="text/html"),
    Lie.FORBIDDEN_403: FalseRefusal(403, "", "Forbidden", content_type="text/html"),
}


def _in_data(name: str, value: object) -> Callable[[Page, IngestContext], None]:
    def change(page: Page, _desk: IngestContext) -> None:
        page.document["Data"][name] = value

    return change


def _in_head(**changes: object) -> Callable[[Page, IngestContext], None]:
    def change(page: Page, _desk: IngestContext) -> None:
        page.document.update(changes)

    return change


def _without(name: str) -> Callable[[Page, IngestContext], None]:
    def change(page: Page, _desk: IngestContext) -> None:
        del page.document["Data"][name]

    return change


def _in_item(name: str, value: object) -> Callable[[Page, IngestContext], None]:
    def change(page: Page, _desk: IngestContext) -> None:
        page.document["Data"]["Items"][0][name] = value

    return change


def _item_no_object(page: Page, _desk: IngestContext) -> None:
    page.document["Data"]["Items"][0] = "item"


def _missing_field(page: Page, _desk: IngestContext) -> None:
    del page.document["Data"]["Items"][0]["PretaxAmount"]


def _renamed_field(page: Page, _desk: IngestContext) -> None:
    item = page.document["Data"]["Items"][0]
    item["PreTaxAmount"] = item.pop("PretaxAmount")


def _nested_items(page: Page, _desk: IngestContext) -> None:
    page.document["Data"]["Items"] = {"Item": page.document["Data"]["Items"]}


def _count_off_by(more: int) -> Callable[[Page, IngestContext], None]:
    def change(page: Page, _desk: IngestContext) -> None:
        page.document["Data"]["TotalCount"] += more

    return change


def _count_changes(page: Page, _desk: IngestContext) -> None:
    page.document["Data"]["TotalCount"] += page.number - 1


def _same_token(page: Page, desk: IngestContext) -> None:
    desk.accept("SAME", page.document["Data"]["MaxResults"])
    page.document["Data"] |= {"NextToken": "SAME", "TotalCount": 1000}
    _new_lines(page, desk)


def _tokens_in_a_ring(page: Page, desk: IngestContext) -> None:
    token = f"RING-{len(desk.calls) % 3}"
    desk.accept(token, 0)
    page.document["Data"] |= {"NextToken": token, "TotalCount": 1000}
    _new_lines(page, desk)


def _new_lines(page: Page, desk: IngestContext) -> None:
    for number, item in enumerate(page.document["Data"]["Items"]):
        item["InstanceID"] = f"{len(desk.calls)}-{number}"


def _duplicate_page(page: Page, desk: IngestContext) -> None:
    if page.number == 2:
        day = date.fromisoformat(page.call.query["BillingDate"])
        page.document["Data"]["Items"] = [dict(line) for line in desk.bills[day][: len(page.document["Data"]["Items"])]]


def _overlapping_pages(page: Page, desk: IngestContext) -> None:
    if page.number == 2:
        day = date.fromisoformat(page.call.query["BillingDate"])
        page.document["Data"]["Items"][0] = dict(desk.bills[day][0])


def _empty_pages(page: Page, desk: IngestContext) -> None:
    page.document["Data"] |= {"Items": [], "NextToken": desk.token(0)}


def _endless_pages(page: Page, desk: IngestContext) -> None:
    page.document["Data"] |= {"NextToken": desk.token(0), "TotalCount": 10_000_000}
    _new_lines(page, desk)


def _line_limit(page: Page, _desk: IngestContext) -> None:
    day = date.fromisoformat(page.call.query["BillingDate"])
    lines = [{"BillingDate": day.isoformat(), "Currency": "CNY", "PretaxAmount": 1, "Tag": str(n)} for n in range(50_000)]
    page.document["Data"] |= {"Items": lines, "TotalCount": 50_000, "NextToken": ""}


FALSIFIED: Mapping[Lie, Callable[[Page, IngestContext], None]] = {
    Lie.SUCCESS_TEXT: _in_head(Success="true"),
    Lie.SUCCESS_WITH_ERROR_CODE: _in_head(Code="ParameterError"),
    Lie.OTHER_ACCOUNT: _in_data("AccountID", "1000000000000009"),
    Lie.NO_ACCOUNT: _in_data("AccountID", None),
    Lie.OTHER_CYCLE: _in_data("BillingCycle", "2026-08"),
    Lie.OTHER_DAY: _in_item("BillingDate", "2026-09-01"),
    Lie.OTHER_PRODUCT: _in_item("ProductCode", "ecs"),
    Lie.NO_CURRENCY: _in_item("Currency", "¥"),
    Lie.NO_DATA: _in_head(Data=None),
    Lie.NO_ITEMS: _without("Items"),
    Lie.NESTED_ITEMS: _nested_items,
    Lie.ITEM_NO_OBJECT: _item_no_object,
    Lie.MISSING_FIELD: _missing_field,
    Lie.RENAMED_FIELD: _renamed_field,
    Lie.TEXT_AS_NUMBER: _in_item("InstanceID", 1200345),
    Lie.NEGATIVE_COUNT: _in_data("TotalCount", -3),
    Lie.COUNT_AS_TEXT: _in_data("TotalCount", "5"),
    Lie.NO_COUNT: _without("TotalCount"),
    Lie.COUNT_TOO_HIGH: _count_off_by(1),
    Lie.COUNT_TOO_LOW: _count_off_by(-1),
    Lie.COUNT_CHANGES: _count_changes,
    Lie.TOKEN_LOST: _in_data("NextToken", None),
    Lie.SAME_TOKEN: _same_token,
    Lie.TOKENS_IN_A_RING: _tokens_in_a_ring,
    Lie.TOKEN_NUMBER: _in_data("NextToken", 7),
    Lie.TOKEN_GIANT: _in_data("NextToken", "T" * 100_000),
    Lie.DUPLICATE_PAGE: _duplicate_page,
    Lie.OVERLAPPING_PAGES: _overlapping_pages,
    Lie.EMPTY_PAGES: _empty_pages,
    Lie.ENDLESS_PAGES: _endless_pages,
    Lie.LINE_LIMIT: _line_limit,
}
