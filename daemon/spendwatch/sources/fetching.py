"""The interface of the HTTP client that sources use. The client checks addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol, TypeAlias

Writer: TypeAlias = Callable[[bytes], object]
Receiver: TypeAlias = Callable[[int, Mapping[str, str]], Writer | None]
"""Is told the status and the headers, and returns what takes the body; None: the body is of no interest."""


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

    async def fetch(
        self,
        url: str,
        *,
        most_bytes: int,
        deadline: timedelta,
        silence: timedelta,
        method: str = "GET",
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        redirects: int = 0,
        into: Receiver | None = None,
    ) -> HttpAnswer:
        """Return the whole answer, whatever its status. `credentials` are headers for the URL's own host alone."""


class Attended:
    """A client that says of each answer that the work gets on: who waits for a long fetch must see that it lives."""

    def __init__(self, client: HttpClient, got_on: Callable[[], None]) -> None:
        """Ask by means of that client."""
        self._client = client
        self._got_on = got_on

    async def fetch(
        self,
        url: str,
        *,
        most_bytes: int,
        deadline: timedelta,
        silence: timedelta,
        method: str = "GET",
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        redirects: int = 0,
        into: Receiver | None = None,
    ) -> HttpAnswer:
        """Return the whole answer, whatever its status."""
        try:
            return await self._client.fetch(
                url,
                most_bytes=most_bytes,
                deadline=deadline,
                silence=silence,
                method=method,
                content=content,
                headers=headers,
                credentials=credentials,
                redirects=redirects,
                into=into,
            )
        finally:
            self._got_on()
