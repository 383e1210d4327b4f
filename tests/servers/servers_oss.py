"""A local stand-in of the provider's object store that checks signatures by itself, pages, sends parts, and lies on command."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from oss_lies import BUCKET, KEY_ID, REGION, SECRET, Answer, Call, Lie, Stored, refusal
from servers_http import Request, ThreadedServer, read_request

_AUTHORIZATION = re.compile(r"OSS4-HMAC-SHA256 Credential=([^,]+),Signature=([0-9a-f]{64})")
_RANGE = re.compile(r"bytes=([0-9]+)-")
_OF_THE_BODY = frozenset({"content-type", "content-md5"})
_SKEW = timedelta(minutes=15)


def signature_of(call: Call, secret: str, scope: str) -> str:
    """Return the signature of what travels, computed from the wire, by the provider's description alone."""
    headers = call.headers
    pairs = sorted(call.raw_query.split("&"), key=lambda pair: pair.partition("=")) if call.raw_query else []
    own = sorted((name, value) for name, value in headers.items() if name.startswith("x-oss-") or name in _OF_THE_BODY)
    resource = quote(f"/{BUCKET}/{call.key}", safe="/")
    lines = [call.method, resource, "&".join(pairs), *(f"{name}:{value}" for name, value in own), "", ""]
    canonical = "\n".join([*lines, headers["x-oss-content-sha256"]])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = b"aliyun_v4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, f"OSS4-HMAC-SHA256\n{headers['x-oss-date']}\n{scope}\n{digest}".encode(), hashlib.sha256).hexdigest()


class OssServer(ThreadedServer):
    """Serves `objects` of one bucket; while `lie` is set, says it to the calls that `lies_to` picks."""

    def __init__(self, objects: Mapping[str, bytes] | None = None, *, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__("127.0.0.1", 0)
        self.objects = {key: Stored(content) for key, content in (objects or {}).items()}
        self.page_size = 1000
        self.keys = {KEY_ID: SECRET}
        self.session_token = ""
        self.calls: list[Call] = []
        self.refused: list[str] = []
        self.sent = 0
        """Bytes of objects, all in all."""
        self.lie: Lie | None = None
        self.lies_to: Callable[[Call], bool] = lambda _: True
        self.knows_parts = True
        self.cut_after: int | None = None
        """Bytes of an object after which the connection is reset; None: never."""
        self.stalls = False
        """Whether the connection falls silent there, instead of being reset."""
        self.pause_before: Callable[[Call], bool] = lambda _: False
        """Whether a call is left hanging until its caller is gone."""
        self.hanging = 0
        self._clock = clock or (lambda: datetime.now(UTC))  # noqa: TID251 -- a server has a clock of its own

    @property
    def url(self) -> str:
        """Where the store is."""
        return f"http://{self.host}:{self.port}"

    def put(self, key: str, content: bytes) -> None:
        """Store an object, a second after the last one."""
        self.objects[key] = Stored(content, number=max((kept.number for kept in self.objects.values()), default=0) + 1)

    def gets(self) -> Sequence[str]:
        """Return the keys that were asked for, in order."""
        return [call.key for call in self.calls if call.key]

    async def open(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, self.host, self.port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await read_request(reader)
            if request is not None:
                await self._answer(request, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        call = self._call(request)
        answer = self._refusal(request, call)
        if answer is None:
            self.calls.append(call)
            if self.pause_before(call):
                self.hanging += 1
                await asyncio.sleep(3600)
            answer = self._object(call) if call.key else self._page(call)
            if self.lie and self.lies_to(call):
                answer = self.lie.falsify(answer, call)
        else:
            self.refused.append(answer.code)
        await self._send(writer, answer)

    def _call(self, request: Request) -> Call:
        url = urlsplit(request.path)
        path, host = unquote(url.path), request.headers["host"]
        # The bucket stands in the host's name, or where there is no name, in the path.
        if not host.startswith(f"{BUCKET}."):
            bucket, _, path = path.removeprefix("/").partition("/")
            path = f"/{path}" if bucket == BUCKET else f"/?{bucket}"
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        return Call(request.method, path.removeprefix("/"), query, url.query, request.headers)

    def _refusal(self, request: Request, call: Call) -> Answer | None:
        """Return how the store does not take the request; None if it takes it."""
        found = _AUTHORIZATION.fullmatch(call.headers.get("authorization", ""))
        if request.method != "GET" or not found:
            return refusal(403, "AccessDenied", "Only signed requests that read.")
        key_id, _, scope = found[1].partition("/")
        if key_id not in self.keys:
            return refusal(403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records.")
        said = datetime.strptime(call.headers["x-oss-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(said - self._clock()) > _SKEW:
            return refusal(403, "RequestTimeTooSkewed", "The difference between the request time and ours is too large.")
        if call.headers.get("x-oss-security-token", "") != self.session_token:
            return refusal(403, "InvalidSecurityToken", "The security token you provided is invalid.")
        expected = signature_of(call, self.keys[key_id], scope)
        is_scope = scope == f"{call.headers['x-oss-date'][:8]}/{REGION}/oss/aliyun_v4_request"
        if not (is_scope and hmac.compare_digest(expected, found[2])):
            return refusal(403, "SignatureDoesNotMatch", f"It does not match; you sent {dict(call.headers)}")
        return refusal(404, "NoSuchBucket", "The specified bucket does not exist.") if call.key.startswith("?") else None

    def _page(self, call: Call) -> Answer:
        after = base64.b64decode(call.query.get("continuation-token", "")).decode()
        prefix = call.query.get("prefix", "")
        keys = sorted((key for key in self.objects if key.startswith(prefix) and key > after), key=str.encode)
        page = keys[: min(self.page_size, int(call.query.get("max-keys", "100")))]
        more = len(page) < len(keys)
        following = base64.b64encode(page[-1].encode()).decode() if more else ""
        token = f"<NextContinuationToken>{quote(following, safe='')}</NextContinuationToken>" if more else ""
        entries = "".join(self.objects[key].entry(key) for key in page)
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>\n'
            f"  <Name>{BUCKET}</Name>\n  <Prefix>{escape(quote(prefix))}</Prefix>\n  <MaxKeys>1000</MaxKeys>\n"
            f"  <EncodingType>url</EncodingType>\n  <IsTruncated>{str(more).lower()}</IsTruncated>\n  {token}"
            f"{entries}  <KeyCount>{len(page)}</KeyCount>\n</ListBucketResult>\n"
        )
        return Answer(200, {"content-type": "application/xml"}, body.encode())

    def _object(self, call: Call) -> Answer:
        stored = self.objects.get(call.key)
        if stored is None:
            return refusal(404, "NoSuchKey", "The specified key does not exist.")
        if call.headers.get("if-match", stored.etag) != stored.etag:
            return refusal(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
        if stored.storage == "ColdArchive":
            return refusal(403, "InvalidObjectState", "The operation is not valid for the object's state")
        headers = {"etag": stored.etag, "content-type": "application/octet-stream", **stored.headers}
        start, size = 0, len(stored.content)
        found = _RANGE.fullmatch(call.headers.get("range", "")) if self.knows_parts else None
        if found:
            start = int(found[1])
            headers["content-range"] = f"bytes {start}-{size - 1}/{size}"
        return Answer(206 if found else 200, headers, stored.content[start:], cut=self.cut_after, stalls=self.stalls)

    async def _send(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        told = {
            "date": format_datetime(self._clock(), usegmt=True),
            "content-length": str(len(answer.body)),
            "connection": "close",
            **answer.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
        writer.write(f"HTTP/1.1 {answer.status} Served\r\n{lines}\r\n".encode() + answer.body[: answer.cut])
        await writer.drain()
        if "etag" in answer.headers:
            self.sent += len(answer.body[: answer.cut])
        if answer.cut is not None and answer.cut < len(answer.body):
            await asyncio.sleep(3600 if answer.stalls else 0.1)  # what was sent is to arrive before the reset
            writer.transport.abort()
