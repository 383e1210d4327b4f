"""A mail server and a webhook receiver on the loopback for the demo: they accept and keep everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from spendwatch.demo.requests import listening, read_request, write_answer


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

    async with listening(serve) as sink.port:
        yield sink


@asynccontextmanager
async def webhook_sink() -> AsyncIterator[Sink]:
    """Run a webhook receiver that accepts every call."""
    sink = Sink()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sink.received.append((await read_request(reader)).body)
        await write_answer(writer, 204, {"connection": "close"})
        writer.close()

    async with listening(serve) as sink.port:
        yield sink


async def _say(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line + b"\r\n")
    await writer.drain()
