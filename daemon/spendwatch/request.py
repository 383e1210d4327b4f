"""One HTTP request and its answer, as sources and channels know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, TypeAlias

Writer: TypeAlias = Callable[[bytes], object]
Receiver: TypeAlias = Callable[[int, Mapping[str, str]], Writer | None]
"""Called with status and headers; returns what receives the body, or None to ignore it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that is not sent yet. Its address and its headers may be secrets."""

    url: str = field(repr=False)
    most_bytes: int
    """Of the body; a larger one is an error."""
    deadline: timedelta
    """How long all of it may take."""
    silence: timedelta
    """How long the other side may send nothing."""
    method: str = "GET"
    content: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers for the URL's own host: no redirect takes them to another."""
    redirects: int = 0
    """How many are followed, by `GET` alone, never from https to http."""
    into: Receiver | None = None
    """Takes the body, which is kept in memory otherwise."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes = field(repr=False)
    """Of a post up to 64 kB; else whole, its beginning where it was of no interest, empty when it was written elsewhere."""
    url: str = field(repr=False)
    """Where it came from in the end."""
    excerpt: str = ""
    """The beginning of the body of a post, as one clean line without secrets."""


class HttpClient(Protocol):
    """Fetches; judges addresses; raises `UnreachableError` and `ForbiddenAddressError`."""

    async def fetch(self, request: Request) -> HttpAnswer:
        """Return the whole answer, whatever its status."""


class HttpPoster(Protocol):
    """Sends requests; judges addresses, and raises the same."""

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str], deadline: timedelta) -> HttpAnswer:
        """Post and return the answer, whatever its status."""


def is_sendable(text: str) -> bool:
    """Return whether a header can carry the text as it is."""
    return text.isascii() and text.isprintable()
