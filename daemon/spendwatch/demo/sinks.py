"""A mail server and a webhook receiver on the loopback, for the demo: they accept everything and keep it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


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
                sink.received.append((await reader.readuntil(b"\r\n.\r\n"))[:-3])
            await _say(writer, b"221 bye" if command == b"QUIT" else b"250 ok")
            if command == b"QUIT":
                break
        writer.close()

    async with _listening(serve, sink):
        yield sink


@asynccontextmanager
async def webhook_sink() -> AsyncIterator[Sink]:
    """Run a webhook receiver that accepts every call."""
    sink = Sink()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        sink.received.append(await reader.readexactly(length))
        await _say(writer, b"HTTP/1.1 204 No Content\r\nConnection: close\r\n")
        writer.close()

    async with _listening(serve, sink):
        yield sink


@asynccontextmanager
async def _listening(serve: object, sink: Sink) -> AsyncIterator[None]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)  # type: ignore[arg-type] # two servers, one way to start them
    sink.port = server.sockets[0].getsockname()[1]
    async with server:
        yield


async def _say(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line + b"\r\n")
    await writer.drain()
