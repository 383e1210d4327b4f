"""The interface of the HTTP client that sources use. The client checks addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from spendwatch.request import HttpAnswer, Request


class HttpClient(Protocol):
    """Fetches; judges addresses; raises `UnreachableError` and `ForbiddenAddressError`."""

    async def fetch(self, request: Request) -> HttpAnswer:
        """Return the whole answer, whatever its status."""


class Attended:
    """A client that says of each answer that the work gets on: who waits for a long fetch must see that it lives."""

    def __init__(self, client: HttpClient, got_on: Callable[[], None]) -> None:
        """Ask by means of that client."""
        self._client = client
        self._got_on = got_on

    async def fetch(self, request: Request) -> HttpAnswer:
        """Return the whole answer, whatever its status."""
        try:
            return await self._client.fetch(request)
        finally:
            self._got_on()
