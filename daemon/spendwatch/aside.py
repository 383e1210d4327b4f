"""Runs calls that may hang in threads of their own, so that neither the store, the loop nor the exit waits for them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns every address of a host name, as text. May block: it is called in a thread."""

LOOK_UP_LIMIT = 5.0
_MOST = 32
"""Look-ups under way; there are not so many names in a configuration, but a redirect may lead anywhere."""


async def aside(call: Callable[[], T]) -> T:
    """Call it in a thread of its own and return what it returns. If the caller is cancelled, the thread ends by itself."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(put: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if answer.done() else put())

    def work() -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 -- it is raised in the caller
            trouble = error
            settle(lambda: answer.set_exception(trouble))
        else:
            settle(lambda: answer.set_result(result))

    threading.Thread(target=work, name="aside", daemon=True).start()
    return await answer


class LookUps:
    """Looks host names up, one look-up at a time for each: a name server that hangs takes one thread for each name."""

    def __init__(self, resolver: Resolver | None = None) -> None:
        """Ask the system, or that resolver."""
        self._resolver = resolver or _addresses
        self._under_way: dict[tuple[str, int], asyncio.Task[Sequence[str]]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return every address of the host, or raise `OSError`, `UnicodeError` or `TimeoutError`."""
        place = (host, port)
        task = self._under_way.get(place)
        if task is None:
            if len(self._under_way) >= _MOST:
                msg = "too many host name lookups are running"
                raise OSError(msg)
            task = self._under_way[place] = asyncio.create_task(aside(lambda: self._resolver(host, port)))
            task.add_done_callback(lambda done: self._ended(place, done))
        return await asyncio.wait_for(asyncio.shield(task), LOOK_UP_LIMIT)

    def _ended(self, place: tuple[str, int], done: asyncio.Task[Sequence[str]]) -> None:
        self._under_way.pop(place, None)
        if not done.cancelled():
            done.exception()  # the caller may have been cancelled


def _addresses(host: str, port: int) -> Sequence[str]:
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
