"""Where a URL leads, by one parser; unusual spellings are rejected. Makes no request."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_plus

import httpx

from spendwatch.addresses import Address, Network, Reach
from spendwatch.domain.errors import ForbiddenAddressError

_HIGHEST_PORT = 65535
_SHORTEST_SECRET = 5
"""Shorter parts of a path are words like `hook`."""
_USUAL_PORTS = {"https": 443, "http": 80}

_PLAIN_URL = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+", re.ASCII)
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)*", re.ASCII
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads."""

    url: httpx.URL
    host: str
    port: int
    literal: Address | None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is encrypted on the way."""
        return self.url.scheme == "http"

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.url.port is None else f"{host}:{self.url.port}"

    @property
    def name(self) -> str:
        """For messages: a path may be a secret."""
        return f"{self.url.scheme}://{self.authority}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What a quotation must not repeat: path and query, whole and in parts, as sent and as meant; the longest first."""
        target = self.url.raw_path.decode("ascii")
        whole = (target, *target.partition("?")[::2])
        parts = (part for part in re.split(r"[/:]|[?&;](?:[^=&;]*=)?", target) if len(part) >= _SHORTEST_SECRET)
        texts = {form for text in (*whole, *parts) for form in (text, unquote_plus(text)) if len(form.strip("/?")) > 1}
        return tuple(sorted(texts, key=len, reverse=True))

    def is_among(self, hosts: Iterable[str]) -> bool:
        """Return whether the host, or a domain that it belongs to, is one of these; `*` is every host."""
        listed = [one.strip().lower().removeprefix("*.").strip(".") for one in hosts]
        return any(one == "*" or (one and f".{self.host}".endswith(f".{one}")) for one in listed)

    def is_origin_of(self, other: Place) -> bool:
        """Return whether the other one is on the same host and port, reached the same way."""
        return (self.url.scheme, self.host, self.port) == (other.url.scheme, other.host, other.port)

    def led_to(self, location: str) -> Place:
        """Return where a redirect leads, or raise `ForbiddenAddressError`."""
        try:
            # The fragment is for browsers; it is never sent.
            target = parse(str(self.url.join(_plain(location.partition("#")[0]))))
        except (httpx.InvalidURL, ValueError) as error:
            msg = f"{self.name} redirects to an invalid URL"
            raise ForbiddenAddressError(msg) from error
        except ForbiddenAddressError as error:
            msg = f"{self.name} redirects to an address that may not be called: {error}"
            raise ForbiddenAddressError(msg) from error
        if target.is_plain and not self.is_plain:
            msg = f"{self.name} redirects from https to plain http, which is never followed"
            raise ForbiddenAddressError(msg)
        return target


def judge(url: str, allow_networks: Sequence[Network] = ()) -> None:
    """Raise `ForbiddenAddressError` when the URL alone shows that it will never be called. Asks no network."""
    judge_place(parse(url), Reach(tuple(allow_networks)))


def judge_place(place: Place, reach: Reach) -> None:
    """Raise `ForbiddenAddressError` when the place alone shows that it is out of reach."""
    if place.literal is not None and not reach.may_be_called(place.literal):
        raise ForbiddenAddressError(forbidden(place, place.literal))
    if (place.is_plain and not reach.may_be_plain(place.host)) or (place.literal is None and reach.is_for_metadata):
        raise ForbiddenAddressError(too_plain(place))


@lru_cache(maxsize=64)
def parse(url: str) -> Place:
    """Return where the URL leads, or raise `ForbiddenAddressError` for what is not spelled plainly."""
    try:
        parsed = httpx.URL(_plain(url))
        port = parsed.port or _USUAL_PORTS.get(parsed.scheme, 0)
    except (httpx.InvalidURL, ValueError) as error:
        msg = "not a URL like https://hooks.example.com/path"
        raise ForbiddenAddressError(msg) from error
    if parsed.scheme not in _USUAL_PORTS or "://" not in url:
        msg = "a URL begins with https://"
        raise ForbiddenAddressError(msg)
    if not 0 < port <= _HIGHEST_PORT or parsed.port == 0:
        msg = "the URL's port is not between 1 and 65535"
        raise ForbiddenAddressError(msg)
    if parsed.userinfo or "@" in url.split("/")[2]:
        msg = "a URL must not hold a user name or a password"
        raise ForbiddenAddressError(msg)
    host = parsed.raw_host.decode("ascii")
    return Place(parsed, host, port, _literal(host))


def forbidden(place: Place, address: Address) -> str:
    """Return why that address is not dialled."""
    leads = "is" if place.literal else f"leads to {address},"
    return f"{place.name} {leads} a private or special address or our own; list its network in allow_networks if intended"


def too_plain(place: Place) -> str:
    """Return why nothing is sent there without encryption."""
    return f"{place.name}: plain http goes only to networks listed in allow_networks"


def _plain(url: str) -> str:
    if not _PLAIN_URL.fullmatch(url):
        msg = "a URL holds plain characters only; write other letters as xn--… in the host and as %… behind it, and no fragment"
        raise ForbiddenAddressError(msg)
    return url


def _literal(host: str) -> Address | None:
    """Return the address that the host spells out, None for a name; other spellings of addresses are refused."""
    try:
        if ":" in host:
            if "%" not in host:
                return ipaddress.IPv6Address(host)
        elif _NUMBER.fullmatch(host.rpartition(".")[2]):
            return ipaddress.IPv4Address(host)
        elif _HOST_NAME.fullmatch(host):
            return None
    except ipaddress.AddressValueError:
        pass
    msg = "the URL's host is neither a plain host name nor a plainly written address"
    raise ForbiddenAddressError(msg)
