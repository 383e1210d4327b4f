"""The lies that the stand-in of the object store can tell, one by one: how each answer is falsified."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from xml.sax.saxutils import escape

BUCKET = "bills-test"
REGION = "cn-hangzhou"
KEY_ID = "LTAItestid"
SECRET = "test-secret/+="
TOKEN = "STS.token/+="

_BEGINNING = datetime(2026, 9, 5, 4, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Stored:
    """One object."""

    content: bytes
    number: int = 0
    """Orders objects by when they were stored."""
    kind: str = "Normal"
    storage: str = "Standard"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """As the store writes it."""
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest().upper()}"'

    def entry(self, key: str) -> str:
        """Return what a listing says of it."""
        modified = (_BEGINNING + timedelta(seconds=self.number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return (
            f"  <Contents>\n    <Key>{quote(key, safe='/')}</Key>\n    <LastModified>{modified}</LastModified>\n"
            f"    <ETag>{escape(self.etag, {chr(34): '&quot;'})}</ETag>\n    <Type>{self.kind}</Type>\n"
            f"    <Size>{len(self.content)}</Size>\n    <StorageClass>{self.storage}</StorageClass>\n  </Contents>\n"
        )


@dataclass(frozen=True)
class Call:
    """One request that came in."""

    method: str
    key: str
    """Empty for a listing."""
    query: Mapping[str, str]
    raw_query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What is sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: int | None = None
    stalls: bool = False
    code: str = ""


Falsify = Callable[[Answer, Call], Answer]


@dataclass(frozen=True)
class Lie:
    """One way in which an answer is not what it should be."""

    name: str
    falsify: Falsify


def refusal(status: int, code: str, message: str = "Refused.", more: str = "", **headers: str) -> Answer:
    """Return how the store does not take a request."""
    said = f"<Error>\n  <Code>{code}</Code>\n  <Message>{escape(message)}</Message>\n  <EC>0003-00000001</EC>\n{more}</Error>\n"
    told = {"content-type": "application/xml", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Answer(status, told, f'<?xml version="1.0" encoding="UTF-8"?>\n{said}'.encode(), code=code)


def _refuses(name: str, status: int, code: str, message: str = "Refused.", more: str = "", **headers: str) -> Lie:
    return Lie(name, lambda _answer, _call: refusal(status, code, message, more, **headers))


def _body(name: str, rewrite: Callable[[bytes], bytes]) -> Lie:
    return Lie(name, lambda answer, _call: replace(answer, body=rewrite(answer.body)))


def _text(name: str, pattern: str, by: str) -> Lie:
    return _body(name, lambda body: re.sub(pattern.encode(), by.encode(), body, count=1))


def _headers(name: str, **changes: str) -> Lie:
    told = {key.replace("_", "-"): value for key, value in changes.items()}
    return Lie(name, lambda answer, _call: replace(answer, headers={**answer.headers, **told}))


def _status(name: str, status: int, body: bytes = b"", **headers: str) -> Lie:
    told = {key.replace("_", "-"): value for key, value in headers.items()}
    return Lie(name, lambda _answer, _call: Answer(status, told, body))


def _promising(page: bytes, token: bytes) -> bytes:
    """Promise that a token leads to more."""
    said = b"<IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken>" % base64.b64encode(token)
    return re.sub(rb"<IsTruncated>.*</IsTruncated>(\s*<NextContinuationToken>.*</NextContinuationToken>)?", said, page)


def _promises(name: str, token: bytes) -> Lie:
    return Lie(name, lambda answer, _call: replace(answer, body=_promising(answer.body, token)))


def _endless(answer: Answer, call: Call) -> Answer:
    """Promise more for ever, each time with a new token and a new object."""
    token = base64.b64decode(call.query.get("continuation-token", "")) + b"!"
    page = re.sub(rb"(?s)</Contents>.*</Contents>", b"</Contents>", answer.body)
    page = re.sub(rb"<Key>[^<]*", b"<Key>push/%d" % len(token), page).replace(b"<KeyCount>2<", b"<KeyCount>1<")
    return replace(answer, body=_promising(page, token))


def _empty(answer: Answer, call: Call) -> Answer:
    """Promise more for ever, and give nothing."""
    page = re.sub(rb"(?s)<Contents>.*</Contents>|<KeyCount>.*</KeyCount>", b"", answer.body)
    return replace(answer, body=_promising(page, base64.b64decode(call.query.get("continuation-token", "")) + b"~"))


_ENTITIES = "".join(f'<!ENTITY {name} "{f"&{chr(ord(name) - 1)};" * 10}">' for name in "bcdefghij")
_BOMB = f'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">{_ENTITIES}]>'
_OUTSIDE = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>'

LISTING_LIES = (
    _status("empty", 200),
    _status("blank", 200, b" \r\n"),
    _status("html", 200, b"<!doctype html><html><title>Sign in</title></html>", content_type="text/html"),
    _status("xhtml", 200, b"<html><body>Sign in</body></html>"),
    _status("json", 200, b'{"Contents": []}'),
    _status("redirect", 302, location="http://127.0.0.1/login"),
    _body("half", lambda body: body[: len(body) // 2]),
    _body("two documents", lambda body: body + b"<ListBucketResult/>"),
    _body("bomb", lambda body: body.replace(b"?>\n", b"?>" + _BOMB.encode(), 1).replace(b"<Name>", b"<Name>&j;", 1)),
    _body("outside", lambda body: body.replace(b"?>\n", b"?>" + _OUTSIDE.encode(), 1).replace(b"<Name>", b"<Name>&a;", 1)),
    _body("deep", lambda body: body.replace(b"<Name>", b"<a>" * 100_000 + b"<Name>", 1)),
    _body("many", lambda body: body.replace(b"<Name>", b"<a/>" * 100_000 + b"<Name>", 1)),
    _body("long", lambda body: body.replace(b"<Key>", b"<Key>" + b"k" * 200_000, 1)),
    _body("giant", lambda body: body + b" " * (9 << 20)),
    _body("gbk", lambda body: body.replace(b"UTF-8", b"GBK", 1).replace(b"<Name>", "<Name>账".encode("gbk"), 1)),
    _body("no utf8", lambda body: body.replace(b"<Name>", b"<Name>\xff", 1)),
    _body("control", lambda body: body.replace(b"<Name>", b"<Name>\x01", 1)),
    Lie("cut", lambda answer, _call: replace(answer, cut=len(answer.body) // 2)),
    Lie("silent", lambda answer, _call: replace(answer, cut=0, stalls=True)),
    _text("other root", r"ListBucketResult>(?s:(.*))ListBucketResult>", r"ListAllMyBucketsResult>\1ListAllMyBucketsResult>"),
    _text("other bucket", rf"<Name>{BUCKET}", "<Name>another"),
    _text("other prefix", r"<Key>push/", "<Key>elsewhere/"),
    _text("no key", r"<Key>.*</Key>", ""),
    _text("long key", r"<Key>[^<]*", f"<Key>push/{'k' * 1020}"),
    _text("no utf8 in a key", r"<Key>[^<]*", "<Key>push/%ff"),
    _text("no etag", r"<ETag>.*</ETag>", ""),
    _text("odd etag", r"<ETag>.*</ETag>", "<ETag>a b\x7f</ETag>"),
    _text("no size", r"<Size>.*</Size>", ""),
    _text("negative size", r"<Size>.*</Size>", "<Size>-1</Size>"),
    _text("endless size", r"<Size>.*</Size>", f"<Size>{'9' * 5000}</Size>"),
    _text("no moment", r"<LastModified>.*</LastModified>", ""),
    _text("odd moment", r"<LastModified>.*</LastModified>", "<LastModified>yesterday</LastModified>"),
    _text("wrong count", r"<KeyCount>.*</KeyCount>", "<KeyCount>7</KeyCount>"),
    _text("no count", r"<KeyCount>.*</KeyCount>", "<KeyCount>many</KeyCount>"),
    _text("no end said", r"<IsTruncated>.*</IsTruncated>", ""),
    _text("token lost", r"<IsTruncated>.*</IsTruncated>", "<IsTruncated>true</IsTruncated>"),
    _promises("token giant", b"t" * 9000),
    _promises("page twice", b"!"),
    _promises("same token", b"~"),
    Lie("endless pages", _endless),
    Lie("empty pages", _empty),
)
"""Told of a listing of two objects below `push/`, on one page."""

REFUSALS = (
    _refuses("no permission", 403, "AccessDenied", "You have no right to access this object because of bucket acl."),
    _refuses("bad signature", 403, "SignatureDoesNotMatch", f"Check your key {KEY_ID} and {SECRET}"),
    _refuses("unknown key", 403, "InvalidAccessKeyId", f"{KEY_ID} does not exist in our records."),
    _refuses("bad token", 403, "InvalidSecurityToken"),
    _refuses("expired token", 403, "SecurityTokenExpired"),
    _refuses("clock", 403, "RequestTimeTooSkewed"),
    _refuses("no bucket", 404, "NoSuchBucket", "The specified bucket does not exist."),
    _refuses("in debt", 403, "InDebtOverdue", "Current user is indebted Overdue"),
    _refuses(
        "elsewhere", 403, "AccessDenied", "It must be addressed otherwise.", "<Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint>"
    ),
    _refuses("moved", 301, "PermanentRedirect", location="http://127.0.0.1:1/"),
    _refuses("slow down", 503, "SlowDown", "Please reduce your request rate.", retry_after="120"),
    _refuses("too many", 429, "", retry_after="120"),
    _refuses("limit", 503, "TotalQpsLimitExceeded", retry_after="120"),
    _refuses("unavailable", 503, "ServiceUnavailable", "Please try again later."),
    _refuses("inner", 500, "InternalError", f"It says \x1b[31m{SECRET}\x1b[0m".replace("\x1b", "\u202e")),
    _refuses("odd code", 400, "no code at all!", "no"),
    _status("login", 401, b"<html>Sign in</html>"),
    _status("forbidden", 403, b"<html>no</html>"),
    _status("bare", 502),
    _status("not modified", 304),
)
"""Told of listings and of objects."""


def _chunked(answer: Answer) -> Mapping[str, str]:
    """Return headers that do not say how long the body is."""
    return {**answer.headers, "transfer-encoding": "chunked", "content-length": ""}


_CHUNKS = b"10000\r\n" + b"x" * 0x10000 + b"\r\n0\r\n\r\n"
_ALL = {"content-range": "bytes 0-3/4"}
OBJECT_LIES = (
    _status("html", 200, b"<!doctype html><title>Sign in</title>", content_type="text/html"),
    _status("empty", 200),
    _headers("no etag", etag=""),
    _headers("other etag", etag='"00000000000000000000000000000000"'),
    _body("short", lambda body: body[:-1]),
    _body("long", lambda body: body + b"x"),
    _headers("other coding", content_encoding="br"),
    _headers("damaged gzip", content_encoding="gzip"),
    Lie("endless", lambda answer, _call: replace(answer, headers=_chunked(answer), body=_CHUNKS)),
    Lie("part", lambda answer, _call: replace(answer, status=206)),
    Lie("unasked part", lambda answer, _call: replace(answer, status=206, headers={**answer.headers, **_ALL})),
    Lie("cut", lambda answer, _call: replace(answer, cut=len(answer.body) // 2)),
    _refuses("replaced", 412, "PreconditionFailed"),
    _refuses("gone", 404, "NoSuchKey", "The specified key does not exist."),
)
"""Told of an object that was listed."""
