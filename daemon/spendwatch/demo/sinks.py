"""A mail server and a webhook receiver on the loopback for the demo: they accept and keep everything."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass(slots=True)
class Sink:
    """What arrived, and where it listens."""

    port: int = 0
    received: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def mail_sink() -> AsyncIterator[Sink]:
    """Run a mail server that accepts every letter."""
    sink = Sink()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _say(writer, b"220 demo")
        while line := await reader.readline():
            command = line[:4].upper()
            if command == b"DATA":
                await _say(writer, b"354 go on")
                sink.received.append((await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n."))
            await _say(writer, b"221 bye" if command == b"QUIT" else b"250 ok")
            if command == b"QUIT":
                break
        writer.close()

    async with _listening(serve) as sink.port:
        yield sink


@asynccontextmanager
async def webhook_sink() -> AsyncIterator[Sink]:
    """Run a webhook receiver that accepts every call."""
    sink = Sink()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = _LENGTH.search(await reader.readuntil(b"\r\n\r\n"))
        sink.received.append(await reader.readexactly(int(length[1]) if length else 0))
        await _say(writer, b"HTTP/1.1 204 No Content\r\nconnection: close\r\n")
        writer.close()

    async with _listening(serve) as sink.port:
        yield sink


@asynccontextmanager
async def _listening(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """Serve every connection on a free port of the loopback and return the port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _say(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line + b"\r\n")
    await writer.drain()
