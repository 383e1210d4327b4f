"""A real HTTP server that answers as told, in a thread of a test or as a program of its own that keeps all it gets."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import ssl
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme


class Authority:
    """A throw-away certificate authority whose certificate lies in `ca_file`."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_file))

    def context(self, *names: str) -> ssl.SSLContext:
        """Return what a server called by these names needs."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(*names).configure_cert(context)
        return context


class ThreadedServer:
    """A server in a thread with an event loop of its own: it works while the test's loop is busy or ended."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.folder = Path()
        self._ready = threading.Event()
        self._trouble: BaseException | None = None

    async def open(self) -> asyncio.Server:
        raise NotImplementedError

    def hang_up(self) -> None:
        """Let go of connections that no task of ours holds."""

    def __enter__(self) -> Self:
        self._scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self._scratch.name)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60), "the server did not begin"
        if self._trouble:
            raise self._trouble
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)
        self._scratch.cleanup()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda _loop, _context: None)
        try:
            server = await self.open()
            self.port = server.sockets[0].getsockname()[1]
        except BaseException as error:
            self._trouble = error
            raise
        finally:
            self._ready.set()
        await self._end.wait()
        server.close()
        self.hang_up()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)


class Fault(StrEnum):
    """How an answer goes wrong."""

    NONE = "none"
    CUT = "cut"
    """The request is read, then the connection is reset."""
    CUT_IN_BODY = "cut_in_body"
    SILENT = "silent"
    ENDLESS_BODY = "endless_body"
    ENDLESS_HEADERS = "endless_headers"
    ENDLESS_CONTINUE = "endless_continue"
    GARBAGE = "garbage"
    STALLED = "stalled"
    """Half of the body comes, then nothing more."""
    DRIPPING = "dripping"
    """The body comes, a byte at a time."""
    RAW = "raw"
    """The body is all that is said: the status line and the headers stand in it."""


@dataclass(frozen=True)
class Reply:
    """One scripted answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    fault: Fault = Fault.NONE


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class HttpSink(ThreadedServer):
    """Keeps every request in `requests` and answers with `replies` in order; the last one goes on for ever."""

    def __init__(
        self,
        replies: Sequence[Reply] = (Reply(),),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls_names: Sequence[str] = (),
        keep_in: Path | None = None,
    ) -> None:
        super().__init__(host, port)
        self.replies = list(replies)
        self.requests: list[Request] = []
        self.connections = 0
        self._tls_names = tls_names
        self._keep_in = keep_in
        self.ca_file = Path()

    def url(self, path: str = "/hook") -> str:
        """Where to post."""
        return f"{'https' if self._tls_names else 'http'}://{self.host}:{self.port}{path}"

    async def open(self) -> asyncio.Server:
        context = None
        if self._tls_names:
            authority = Authority(self.folder)
            self.ca_file = authority.ca_file
            context = authority.context(*self._tls_names)
        return await asyncio.start_server(self._connected, self.host, self.port, ssl=context)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            request = await read_request(reader)
            if request is None:
                return
            self._keep(request)
            reply = self.reply_to(request)
            await asyncio.sleep(reply.delay)
            await _ANSWERS[reply.fault](reply, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def reply_to(self, request: Request) -> Reply:
        """Return the next answer; a server that judges what it gets says so here."""
        del request
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def _keep(self, request: Request) -> None:
        self.requests.append(request)
        if self._keep_in:
            kept = {
                "method": request.method,
                "path": request.path,
                "headers": dict(request.headers),
                "body": request.body.decode(),
            }
            keep(self._keep_in, f"{len(self.requests):06d}.json", json.dumps(kept, ensure_ascii=False).encode())


def keep(folder: Path, name: str, content: bytes) -> None:
    """Write a file that is either whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".{name}"
    half.write_bytes(content)
    half.replace(folder / name)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


async def _proper(reply: Reply, writer: asyncio.StreamWriter) -> None:
    headers = {"content-length": str(len(reply.body)), "connection": "close", **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body)
    await writer.drain()


async def _cut(_reply: Reply, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _cut_in_body(reply: Reply, writer: asyncio.StreamWriter) -> None:
    writer.write(f"HTTP/1.1 {reply.status} Scripted\r\ncontent-length: 1000\r\n\r\nhalf".encode())
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()


async def _silent(_reply: Reply, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def _endless_body(reply: Reply, writer: asyncio.StreamWriter) -> None:
    writer.write(f"HTTP/1.1 {reply.status} Scripted\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    await _for_ever(writer, b"400\r\n" + b"x" * 1024 + b"\r\n")


async def _endless_headers(reply: Reply, writer: asyncio.StreamWriter) -> None:
    writer.write(f"HTTP/1.1 {reply.status} Scripted\r\n".encode())
    await _for_ever(writer, b"x-more: " + b"x" * 1000 + b"\r\n")


async def _endless_continue(_reply: Reply, writer: asyncio.StreamWriter) -> None:
    await _for_ever(writer, b"HTTP/1.1 100 Continue\r\n\r\n")


async def _for_ever(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.001)


async def _garbage(_reply: Reply, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xffno server\r\n\r\n")
    await writer.drain()


async def _stalled(reply: Reply, writer: asyncio.StreamWriter) -> None:
    head = f"HTTP/1.1 {reply.status} Scripted\r\ncontent-length: {len(reply.body)}\r\n\r\n".encode()
    writer.write(head + reply.body[: len(reply.body) // 2])
    await writer.drain()
    await asyncio.sleep(3600)


async def _dripping(reply: Reply, writer: asyncio.StreamWriter) -> None:
    writer.write(f"HTTP/1.1 {reply.status} Scripted\r\ncontent-length: {len(reply.body)}\r\n\r\n".encode())
    for byte in reply.body:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.05)


async def _raw(reply: Reply, writer: asyncio.StreamWriter) -> None:
    writer.write(reply.body)
    await writer.drain()


_ANSWERS: Mapping[Fault, Callable[[Reply, asyncio.StreamWriter], Awaitable[None]]] = {
    Fault.NONE: _proper,
    Fault.CUT: _cut,
    Fault.CUT_IN_BODY: _cut_in_body,
    Fault.SILENT: _silent,
    Fault.ENDLESS_BODY: _endless_body,
    Fault.ENDLESS_HEADERS: _endless_headers,
    Fault.ENDLESS_CONTINUE: _endless_continue,
    Fault.GARBAGE: _garbage,
    Fault.STALLED: _stalled,
    Fault.DRIPPING: _dripping,
    Fault.RAW: _raw,
}


def stay(server: ThreadedServer) -> None:
    """Say where the server listens, then let it run until told to stop."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with server:
        print(f"listening {server.port}", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def main() -> None:
    """Keep every request as a JSON file: `python -m servers_http --folder DIR [--port N] [--status 200]`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--status", type=int, default=200)
    given = parser.parse_args()
    stay(HttpSink((Reply(given.status),), port=given.port, keep_in=given.folder))


if __name__ == "__main__":
    main()
