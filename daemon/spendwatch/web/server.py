"""Serves the page in the daemon's loop, and stops with it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from spendwatch.settings.web_settings import WebPart

log = structlog.get_logger("spendwatch")

RETRY = 10.0
"""So many seconds lie between two attempts to listen."""
_MOST_REQUESTS = 100
_BACKLOG = 128
_TURN = 0.001
"""So many seconds a thread may work on while others wait: a request waits several times, each time 5 ms by default."""
_PATIENCE = 30.0
"""So many seconds, up to twice as many, a connection has for the next request, and for its answer."""
_GRACE = 3
"""So many seconds a stop waits for requests under way."""


class _Protocol(H11Protocol):
    """A connection. One that makes no progress is closed: a hundred of them would keep everybody out, probes, too."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class
        """Begin to look whether requests come, and end."""
        super().connection_made(transport)
        self._look(after=object())

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more: until then a timer would keep all of the connection in memory."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def _look(self, after: object) -> None:
        if self.cycle is after:
            self.transport.abort()
        else:
            self._next_look = self.loop.call_later(_PATIENCE, self._look, self.cycle)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the daemon, which stops us."""
        yield


@asynccontextmanager
async def serving(page: ASGIApp, web: WebPart) -> AsyncIterator[None]:
    """Serve the page until the end. Where it cannot listen, that is logged and tried again: alerts do not depend on it."""
    sys.setswitchinterval(_TURN)
    task = asyncio.create_task(_serve(page, web))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _serve(page: ASGIApp, web: WebPart) -> None:
    config = uvicorn.Config(
        page,
        http=_Protocol,
        log_config=None,
        log_level="error",  # it warns of each request that is malformed or one too many: strangers would fill the log
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_REQUESTS,
        timeout_graceful_shutdown=_GRACE,
    )
    listener = await _listening(web)
    log.info("web_ready", listen=web.listen)
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(running)
    finally:
        server.should_exit = True
        await running


async def _listening(web: WebPart) -> socket.socket:
    """Return the socket once nobody else has the port."""
    told = ""
    while True:
        try:
            return _bound(web)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            if why != told:
                log.error("web_unavailable", listen=web.listen, why=f"{why}; trying again every {RETRY:.0f} s")  # noqa: TRY400 -- no defect
            told = why
            await asyncio.sleep(RETRY)


def _bound(web: WebPart) -> socket.socket:
    family, *_, address = socket.getaddrinfo(web.host, web.port, type=socket.SOCK_STREAM)[0]
    takes_both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    return socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=takes_both)
