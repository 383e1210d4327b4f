"""HTTP requests and responses on a plain loopback connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """What came in."""

    method: str
    target: str
    """The path, and the query as it was written."""
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """Serve every connection on a free port of the loopback and return the port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Return the request that comes, or raise `IncompleteReadError` when it ends before it is whole."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


async def write_answer(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
    """Write just this: no header is added."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{head}\r\n".encode() + body)
    await writer.drain()
