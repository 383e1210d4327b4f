"""A real HTTP server for one file that changes: validators, parts, and connections that break where a test says."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from servers_http import Request, ThreadedServer, read_request

_RANGE = re.compile(r"bytes=([0-9]+)-")


@dataclass
class Served:
    """The file, and how it is served."""

    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    has_etag: bool = True
    is_weak: bool = False
    knows_conditions: bool = True
    knows_parts: bool = True
    cut_after: int | None = None
    """Bytes of a body after which the connection is reset; None: never."""
    stalls: bool = False
    """Whether the connection falls silent there, instead of being reset."""
    rest: bytes | None = None
    """What is sent as a part, if not the rest of the content."""
    has_part: bool = True
    """Whether the part that is asked for is there."""
    falsify: Mapping[str, str] = field(default_factory=dict)
    """Headers of parts that are not what they should be."""


class FileServer(ThreadedServer):
    """Serves `served` at every path; keeps every request."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__("127.0.0.1", 0)
        self.served = Served(content)
        self.requests: list[Request] = []
        self.sent = 0
        """Bytes of bodies, all in all."""

    def url(self, path: str = "/bill.csv") -> str:
        """Where the file is."""
        return f"http://{self.host}:{self.port}{path}"

    @property
    def etag(self) -> str:
        """Of the content as it is now."""
        if not self.served.has_etag:
            return ""
        strong = f'"{hashlib.sha256(self.served.content).hexdigest()[:16]}"'
        return f"W/{strong}" if self.served.is_weak else strong

    async def open(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, self.host, self.port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await read_request(reader)
            if request is not None:
                self.requests.append(request)
                await self._answer(request, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        served, headers = self.served, {"etag": self.etag, **self.served.headers}
        if served.knows_conditions and self.etag and request.headers.get("if-none-match") == self.etag:
            await self._send(writer, 304, headers, b"")
            return
        found = _RANGE.fullmatch(request.headers.get("range", ""))
        if found and served.knows_parts and request.headers.get("if-range") == self.etag and not served.is_weak:
            start, size = int(found[1]), len(served.content)
            if not served.has_part:
                await self._send(writer, 416, {"content-range": f"bytes */{size}"}, b"")
                return
            headers["content-range"] = f"bytes {start}-{size - 1}/{size}"
            await self._send(
                writer, 206, {**headers, **served.falsify}, served.content[start:] if served.rest is None else served.rest
            )
            return
        await self._send(writer, 200, headers, served.content)

    async def _send(self, writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: bytes) -> None:
        told = {"content-length": str(len(body)), "connection": "close", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
        cut = self.served.cut_after
        writer.write(f"HTTP/1.1 {status} Served\r\n{lines}\r\n".encode() + body[:cut])
        await writer.drain()
        self.sent += len(body[:cut])
        if cut is not None and cut < len(body):
            await asyncio.sleep(3600 if self.served.stalls else 0.1)  # what was sent is to arrive before the reset
            writer.transport.abort()
