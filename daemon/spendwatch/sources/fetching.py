"""The interface of the HTTP client that sources use. The client checks addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from spendwatch.request import Request


class HttpAnswer(Protocol):
    """What came back, its body whole."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""

    @property
    def body(self) -> bytes:
        """Unpacked; empty when it was written elsewhere, only its beginning when it was of no interest."""

    @property
    def url(self) -> str:
        """Where it came from in the end."""


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
