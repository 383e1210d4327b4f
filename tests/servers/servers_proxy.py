"""Proxies between us and a real server: one cuts answers, the other is an HTTP proxy."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress

from servers_http import ThreadedServer


class CuttingProxy(ThreadedServer):
    """Passes everything on to a port of this machine; of each answer `cut_after` bytes at most, None for all of it."""

    def __init__(self, target: int) -> None:
        super().__init__("127.0.0.1", 0)
        self.cut_after: int | None = None
        self._target = target
        # The event loop itself holds no task, and one that waits for two connections is held by nobody else.
        self._held: set[asyncio.Task[object] | None] = set()

    @property
    def url(self) -> str:
        """Where to ask."""
        return f"http://{self.host}:{self.port}"

    async def open(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, self.host, self.port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._held.add(asyncio.current_task())
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._target)
        asking = asyncio.create_task(_pass(reader, ours, None))
        try:
            await _pass(theirs, writer, self.cut_after)
            await asyncio.sleep(0.1)  # what was sent is to arrive before the reset
        finally:
            asking.cancel()
            for end in (writer, ours):
                end.transport.abort()
            await asyncio.sleep(0)


class ConnectProxy(ThreadedServer):
    """Knows every host name, as a port of this machine, and lets through who has the right user and password."""

    def __init__(self, target: int, *, login: str = "", refusal: int = 0) -> None:
        super().__init__("127.0.0.1", 0)
        self.asked: list[str] = []
        """The first line of every request."""
        self._target = target
        self._login = login
        self._refusal = refusal
        self._held: set[asyncio.Task[object] | None] = set()

    @property
    def url(self) -> str:
        """Where to ask."""
        return f"http://{self.host}:{self.port}"

    async def open(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, self.host, self.port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._held.add(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        line = head.partition(b"\r\n")[0].decode()
        self.asked.append(line)
        right = f"proxy-authorization: basic {base64.b64encode(self._login.encode()).decode()}".lower().encode()
        status = 407 if self._login and right not in head.lower() else self._refusal
        if status:
            writer.write(f"HTTP/1.1 {status} canary-{self._login}\r\ncontent-length: 0\r\n\r\n".encode())
            writer.close()
            return
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._target)
        if line.startswith("CONNECT "):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            ours.write(head)
        asking = asyncio.create_task(_pass(reader, ours, None))
        try:
            await _pass(theirs, writer, None)
        finally:
            asking.cancel()
            for end in (writer, ours):
                end.transport.abort()
            await asyncio.sleep(0)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
    """Pass on what comes, until there was so much."""
    passed = 0
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            room = len(piece) if most is None else max(0, most - passed)
            writer.write(piece[:room])
            await writer.drain()
            passed += len(piece)
            if room < len(piece):
                return
