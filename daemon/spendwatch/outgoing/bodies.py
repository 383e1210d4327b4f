"""The bodies of responses: complete or rejected, and limited in size, also after decompression."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, Iterator, Sequence

import httpcore
import httpx

from spendwatch.addresses import why_no_connection
from spendwatch.domain.errors import UnreachableError
from spendwatch.outgoing.places import Place

EXCERPT_BYTES = 4096
ANSWER_BYTES = 1 << 16
"""Of the answer to a message: some receivers refuse in its body."""
_EXCERPT = 200
_EXCERPT_SECONDS = 2.0
"""For the body of an answer whose status has already decided: it only serves the error text."""

_STEP = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS
_BODILESS = frozenset({204, 304})

FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.TimeoutException, OSError)
"""How a request fails."""


class _GzipError(Exception):
    """The compressed body is damaged or cut."""


class _Gunzip:
    """Unpacks gzip members piece by piece; a bomb comes out in small pieces, so that the caller can stop."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._is_between = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes unpack to."""
        while data:
            if self._is_between:
                self._member, self._is_between = zlib.decompressobj(_GZIP), False
            try:
                piece = self._member.decompress(data, _STEP)
            except zlib.error as error:
                raise _GzipError from error
            if piece:
                yield piece
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._is_between = self._member.eof

    def finish(self) -> None:
        """Raise unless the last member was whole: its checksum stands at its end."""
        if not self._is_between:
            raise _GzipError


async def whole(response: httpcore.Response, place: Place, most_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the body, unpacked, piece by piece; `UnreachableError` unless all of it came and was no larger than allowed."""
    gunzip = _unpacking(response, place)
    _refuse_what_cannot_be_whole(response, place, most_bytes)
    packed = unpacked = 0
    try:
        async for chunk in response.aiter_stream():
            packed += len(chunk)
            for piece in gunzip.pieces(chunk) if gunzip else (chunk,):
                unpacked += len(piece)
                if max(packed, unpacked) > most_bytes:
                    raise _too_large(place, most_bytes)
                yield piece
            if packed > most_bytes:
                raise _too_large(place, most_bytes)
        if gunzip and packed:
            gunzip.finish()
    except _GzipError as error:
        msg = f"{place.name}: the compressed answer is damaged or cut off"
        raise UnreachableError(msg) from error
    except FAILURES as error:
        msg = f"{place.name}: {what_failed(error, 'the connection was cut off in the middle of the answer')}"
        raise UnreachableError(msg) from error


async def beginning(response: httpcore.Response, most: int = EXCERPT_BYTES) -> bytes:
    """Return the raw beginning of the body, never decompressed; its end or its failure does not matter."""
    body = b""
    try:
        async with asyncio.timeout(_EXCERPT_SECONDS):
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) >= most:
                    break
    except (TimeoutError, *FAILURES):
        pass
    return body[:most]


def clean(body: bytes, secrets: Sequence[str] = ()) -> str:
    """Return the body's beginning as one clean line, without these words: an answer may repeat the request."""
    text = body.decode("utf-8", errors="replace")
    if secrets:
        text = re.sub("|".join(map(re.escape, secrets)), "***", text, flags=re.IGNORECASE)
    shown = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(shown.split())[:_EXCERPT]


def what_failed(error: BaseException | None, cut: str) -> str:
    """Return what went wrong in words of our own: the library's may quote what was sent. `cut` says what a cut means here."""
    if why := why_no_connection(error):
        return why
    if isinstance(error, httpcore.ProxyError):
        return _refused_by_proxy(str(error))
    if isinstance(error, httpcore.TimeoutException):
        return "timed out"
    return "no connection" if isinstance(error, httpcore.ConnectError) else cut


def _refused_by_proxy(said: str) -> str:
    """Return why a proxy does not let us through; the rest of its line may repeat what it was sent."""
    status = said.partition(" ")[0]
    if status == "407":
        return "HTTP 407: it wants another user name or password (proxy_auth_file)"
    return f"HTTP {status}: it " + ("does not allow that host" if status.startswith("4") else "cannot reach that host")


def headers_of(response: httpcore.Response) -> dict[str, str]:
    """Return the headers by lower-case name."""
    return dict(httpx.Headers(response.headers))


def _unpacking(response: httpcore.Response, place: Place) -> _Gunzip | None:
    coding = headers_of(response).get("content-encoding", "").strip().lower()
    if coding in {"", "identity"}:
        return None
    if coding in {"gzip", "x-gzip"}:
        return _Gunzip()
    msg = f"{place.name}: the response has an encoding that was not requested"
    raise UnreachableError(msg)


def _refuse_what_cannot_be_whole(response: httpcore.Response, place: Place, most_bytes: int) -> None:
    headers = headers_of(response)
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most_bytes:
        raise _too_large(place, most_bytes)
    if not declared and "transfer-encoding" not in headers and response.status not in _BODILESS:
        msg = f"{place.name}: the response has no length, so that an incomplete one cannot be detected"
        raise UnreachableError(msg)


def _too_large(place: Place, most_bytes: int) -> UnreachableError:
    return UnreachableError(f"{place.name}: the answer is larger than {most_bytes} bytes")
