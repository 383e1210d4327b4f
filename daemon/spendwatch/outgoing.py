"""Every HTTP request that leaves the daemon passes here: addresses are judged first, and TLS is always proven.

Knows nothing of what is sent. The only room that imports the HTTP library.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import httpx

from spendwatch import __version__
from spendwatch.domain.errors import ForbiddenAddressError, UnreachableError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns every address of a host name, as text. May block: it is called in a thread."""

_RESOLVE_LIMIT = 5.0
_CONNECT_LIMIT = 10.0
_BODY_LIMIT = 2.0
"""Seconds for the answer's body, which only serves the error text: its status has already decided."""
_ANSWER_BYTES = 4096
_EXCERPT = 200
_MOST_ADDRESSES = 8
_HIGHEST_PORT = 65535

# The standard library's is_private and is_global change between versions and call several of these public.
_DENIED: tuple[Network, ...] = (
    *map(ipaddress.IPv4Network, (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )),
    # Protocol assignments with Teredo among them, documentation, 6to4, documentation again: nobody's receiver lives there.
    *map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),
)  # fmt: skip
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_PLAIN_URL = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+", re.ASCII)
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)*", re.ASCII
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers by lower-case name, and the body's beginning as one clean line."""

    status: int
    headers: Mapping[str, str]
    excerpt: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a URL leads, as one parser understands it."""

    url: httpx.URL
    host: str
    port: int
    literal: Address | None

    @property
    def is_plain(self) -> bool:
        return self.url.scheme == "http"

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.url.port is None else f"{host}:{self.url.port}"

    @property
    def name(self) -> str:
        """For messages: a webhook's path may be its secret."""
        return f"{self.url.scheme}://{self.authority}"


class Outgoing:
    """Sends requests to addresses that may be called, and to no other."""

    def __init__(
        self,
        allow_networks: Sequence[Network] = (),
        *,
        ca_file: Path | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        """Allow private receivers in `allow_networks`; trust `ca_file` beside the usual authorities."""
        self._allow = tuple(allow_networks)
        self._ca_file = ca_file
        self._resolver = resolver or _addresses
        # An own, small pool: a hanging name server must not take the threads that the ledger works in.
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="resolve")
        # Both libraries log whole URLs and headers, which hold secrets.
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str], deadline: timedelta) -> Answer:
        """Post and return the answer, whatever its status; redirects are answers like any other.

        Raises `ForbiddenAddressError` before anything is sent, `UnreachableError` when no answer came within `deadline`.
        """
        place = _parse(url)
        _judge_place(place, self._allow)
        seconds = deadline.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                addresses = await self._resolve(place)
                return await self._try_each(place, addresses, content, headers)
        except TimeoutError as error:
            msg = f"{place.name}: no answer within {seconds:g} s"
            raise UnreachableError(msg) from error

    async def _resolve(self, place: _Place) -> Sequence[Address]:
        """Return the addresses that may be dialled. What is judged here is dialled: the name is not looked up again."""
        if place.literal is not None:
            found = [place.literal]
        else:
            lookup = asyncio.get_running_loop().run_in_executor(self._threads, self._resolver, place.host, place.port)
            try:
                texts = await asyncio.wait_for(lookup, _RESOLVE_LIMIT)
            except TimeoutError as error:
                msg = f"{place.name}: the host name was not resolved within {_RESOLVE_LIMIT:g} s"
                raise UnreachableError(msg) from error
            except (OSError, UnicodeError) as error:
                msg = f"{place.name}: the host name cannot be resolved"
                raise UnreachableError(msg) from error
            found = list(dict.fromkeys(ipaddress.ip_address(text) for text in texts))
        if not found:
            msg = f"{place.name}: the host name has no address"
            raise UnreachableError(msg)
        open_to_us = [address for address in found if self._may_dial(address, place.port)]
        if place.is_plain and not all(_is_allowed(address, self._allow) for address in found):
            msg = f"{place.name}: plain http goes only to networks listed in allow_networks"
            raise ForbiddenAddressError(msg)
        if not open_to_us:
            raise ForbiddenAddressError(_forbidden(place, found[0]))
        return open_to_us[:_MOST_ADDRESSES]

    def _may_dial(self, address: Address, port: int) -> bool:
        return _is_allowed(address, self._allow) or not (_is_denied(address) or _is_own(address, port))

    async def _try_each(
        self, place: _Place, addresses: Sequence[Address], content: bytes, headers: Mapping[str, str]
    ) -> Answer:
        trouble: httpx.HTTPError | OSError | None = None
        for address in addresses:
            try:
                return await self._post_to(place, address, content, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                trouble = error
            except (httpx.HTTPError, OSError) as error:
                trouble = error
                break
        msg = f"{place.name}: {_what_failed(trouble)}"
        raise UnreachableError(msg) from trouble

    async def _post_to(self, place: _Place, address: Address, content: bytes, headers: Mapping[str, str]) -> Answer:
        sent = {"user-agent": f"spendwatch/{__version__}", **headers, "host": place.authority, "accept-encoding": "identity"}
        timeout = httpx.Timeout(None, connect=_CONNECT_LIMIT)
        # A client for each request: pooled connections are told apart by address, and one address may serve several names.
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False, timeout=timeout) as client,
            client.stream(
                "POST",
                place.url.copy_with(host=str(address)),
                content=content,
                headers=sent,
                extensions={"sni_hostname": place.host},
            ) as response,
        ):
            body = await _beginning(response)
            return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, _clean(body))

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = httpx.create_ssl_context(trust_env=False)
        context.load_default_certs()
        if self._ca_file:
            context.load_verify_locations(self._ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def judge(url: str, allow_networks: Sequence[Network] = ()) -> None:
    """Raise `ForbiddenAddressError` when the URL alone shows that it will never be called. Asks no network."""
    _judge_place(_parse(url), allow_networks)


def _judge_place(place: _Place, allow: Sequence[Network]) -> None:
    if place.literal is not None and _is_denied(place.literal) and not _is_allowed(place.literal, allow):
        raise ForbiddenAddressError(_forbidden(place, place.literal))
    if place.is_plain and not (allow if place.literal is None else _is_allowed(place.literal, allow)):
        msg = f"{place.name}: plain http goes only to networks listed in allow_networks"
        raise ForbiddenAddressError(msg)


def _parse(url: str) -> _Place:
    if not _PLAIN_URL.fullmatch(url):
        msg = "a URL holds plain characters only; write other letters as xn--… in the host and as %… behind it, and no fragment"
        raise ForbiddenAddressError(msg)
    try:
        parsed = httpx.URL(url)
        port = parsed.port or {"https": 443, "http": 80}.get(parsed.scheme, 0)
    except (httpx.InvalidURL, ValueError) as error:
        msg = "not a URL like https://hooks.example.com/path"
        raise ForbiddenAddressError(msg) from error
    if parsed.scheme not in {"https", "http"} or "://" not in url:
        msg = "a URL begins with https://"
        raise ForbiddenAddressError(msg)
    if not 0 < port <= _HIGHEST_PORT or parsed.port == 0:
        msg = "the URL's port is not between 1 and 65535"
        raise ForbiddenAddressError(msg)
    if parsed.userinfo or "@" in url.split("/")[2]:
        msg = "a URL must not hold a user name or a password"
        raise ForbiddenAddressError(msg)
    host = parsed.raw_host.decode("ascii")
    return _Place(parsed, host, port, _literal(host))


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


def _is_allowed(address: Address, allow: Sequence[Network]) -> bool:
    inner = _unwrapped(address)
    return any(inner in network for network in allow if network.version == inner.version)


def _is_denied(address: Address) -> bool:
    inner = _unwrapped(address)
    if isinstance(inner, ipaddress.IPv6Address) and (inner not in _GLOBAL_IPV6 or inner.scope_id):
        return True
    return any(inner in network for network in _DENIED if network.version == inner.version)


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that a mapped or NAT64 one stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_own(address: Address, port: int) -> bool:
    """Tell whether the address is one of this machine's: the kernel then chooses it as the source too. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 -- the version of IP
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), port))
            return bool(ipaddress.ip_address(probe.getsockname()[0]) == address)
        except OSError:
            return False


def _addresses(host: str, port: int) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _forbidden(place: _Place, address: Address) -> str:
    leads = "is" if place.literal else f"leads to {address},"
    return f"{place.name} {leads} a private or special address or our own; list its network in allow_networks if that is meant"


def _what_failed(error: BaseException | None) -> str:
    """Return what went wrong in words of our own: the library's may quote what was sent."""
    timed_out = isinstance(error, httpx.TimeoutException)
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError():
                return f"the TLS certificate is not proven ({cause.verify_message.rstrip('.')})"
            case ssl.SSLError():
                return "the TLS handshake failed"
            case ConnectionRefusedError():
                return "connection refused"
            case _:
                cause = cause.__cause__ or cause.__context__
    if timed_out:
        return "timed out"
    return "no connection" if isinstance(error, httpx.ConnectError) else "the connection was cut off before an answer"


async def _beginning(response: httpx.Response) -> bytes:
    """Return the raw beginning of the body, never decompressed; its end or its failure does not matter."""
    body = b""
    try:
        async with asyncio.timeout(_BODY_LIMIT):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) >= _ANSWER_BYTES:
                    break
    except (TimeoutError, httpx.HTTPError, OSError):
        pass
    return body[:_ANSWER_BYTES]


def _clean(body: bytes) -> str:
    text = body.decode("utf-8", errors="replace")
    shown = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(shown.split())[:_EXCERPT]
