"""The HTTP client: it calls only permitted addresses."""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

import httpcore
import httpx

from spendwatch import __version__
from spendwatch.addresses import Address, Network, Reach, certificate_end
from spendwatch.aside import LOOK_UP_LIMIT, LookUps, Resolver
from spendwatch.connection import ENVIRONMENT, Way
from spendwatch.domain.errors import ForbiddenAddressError, UnreachableError
from spendwatch.outgoing.bodies import ANSWER_BYTES, EXCERPT_BYTES, FAILURES, beginning, clean, headers_of, what_failed, whole
from spendwatch.outgoing.places import Place, forbidden, judge_place, parse, too_plain
from spendwatch.request import HttpAnswer, Receiver, Request

# httpcore tries to import it several times a request, and each time Python searches the whole path in vain.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]  # None: known not to be there
_BACKEND = "anyio._backends._asyncio"
_CONNECT_LIMIT = 10.0
_MOST_ADDRESSES = 8

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
_USUAL = {"user-agent": f"spendwatch/{__version__}", "accept": "*/*", "accept-encoding": "identity"}


class Outgoing:
    """Sends requests to addresses that may be called, and to no other."""

    def __init__(
        self,
        allow_networks: Sequence[Network] = (),
        way: Way | None = None,
        *,
        resolver: Resolver | None = None,
    ) -> None:
        """Allow private receivers in `allow_networks`; connect in this way, else directly."""
        self.allow_networks = tuple(allow_networks)
        self._reach = Reach(self.allow_networks)
        self._way = way or Way()
        self._look_ups = LookUps(resolver)
        # Both libraries log whole URLs and headers, which hold secrets.
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)

    @classmethod
    def to_metadata_service(cls) -> Self:
        """Return a client for the provider's metadata service, which hands out the machine's rights: for nothing else.

        No other client reaches that address, whatever networks are allowed, and this one reaches no other.
        """
        client = cls()
        client._reach = Reach(is_for_metadata=True)
        return client

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str], deadline: timedelta) -> HttpAnswer:
        """Post and return the answer, whatever its status; redirects are answers like any other.

        Raises `ForbiddenAddressError` before anything is sent, `UnreachableError` when no answer came within `deadline`.
        """
        place, is_sent = self._judged(parse(url)), asyncio.Event()
        request = Request(
            url=url,
            method="POST",
            content=content,
            headers=headers,
            credentials=dict(self._way.headers),
            most_bytes=ANSWER_BYTES,
            deadline=deadline,
            silence=deadline,
        )
        seconds = deadline.total_seconds()
        try:
            async with asyncio.timeout(seconds), self._opened(place, request, is_sent) as response:
                body = await beginning(response, ANSWER_BYTES)
                excerpt = clean(body[:EXCERPT_BYTES], (*place.secrets, *self._way.secrets))
                return HttpAnswer(response.status, headers_of(response), body, url, excerpt)
        except TimeoutError as error:
            msg = f"{place.name}: no answer within {seconds:g} s"
            raise UnreachableError(msg, was_sent=is_sent.is_set()) from error
        except UnreachableError as error:
            raise UnreachableError(str(error), was_sent=is_sent.is_set()) from error

    async def probe(self, url: str) -> datetime | None:
        """Connect, and send no request; return when the host's certificate ends. By way of a proxy only that is reached."""
        place, trouble = self._judged(parse(url)), OSError()
        for host, proxy in await self._routes(place):
            address, port = (proxy.url.host.decode(), proxy.url.port) if proxy else (host, place.port)
            is_secured = not (proxy or place.is_plain)
            tls = await asyncio.to_thread(lambda: self._tls) if is_secured else None
            try:
                async with asyncio.timeout(_CONNECT_LIMIT):
                    _, writer = await asyncio.open_connection(
                        address, port, ssl=tls, server_hostname=place.host if tls else None
                    )
            except OSError as error:
                trouble = error
                continue
            certificate = writer.get_extra_info("peercert")
            writer.transport.abort()
            return certificate_end(certificate)
        msg = f"{place.name}: {what_failed(trouble, 'no connection')}"
        raise UnreachableError(msg) from trouble

    async def fetch(self, request: Request) -> HttpAnswer:
        """Fetch an answer with its whole body, whatever its status; a body that is cut, or too large, is an error.

        Raises `ForbiddenAddressError` before anything is sent, `UnreachableError` when no whole answer came.
        """
        place = self._judged(parse(request.url))
        # A part of a file can only be asked for in the file's own bytes, so a download that may be resumed is not compressed.
        accepted = "identity" if request.into else "gzip"
        headers = {**request.headers, "accept-encoding": accepted}
        request = replace(request, headers=headers, credentials={**dict(self._way.headers), **request.credentials})
        seconds = request.deadline.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                return await self._followed(place, request)
        except TimeoutError as error:
            msg = f"{place.name}: no whole answer within {seconds:g} s"
            raise UnreachableError(msg) from error

    async def _followed(self, place: Place, request: Request) -> HttpAnswer:
        redirects = request.redirects if request.method == "GET" else 0
        for left in range(redirects, -1, -1):
            async with self._opened(place, request) as response:
                location = headers_of(response).get("location", "") if response.status in _REDIRECTS else ""
                if not (location and redirects):
                    return await _taken(response, place, request.most_bytes, request.into)
            if not left:
                break
            target = self._judged(place.led_to(location))
            request = request if place.is_origin_of(target) else _to_another_host(request)
            place = target
        msg = f"{place.name}: redirected more than {redirects} times"
        raise UnreachableError(msg)

    def _judged(self, place: Place) -> Place:
        judge_place(place, self._reach)
        return place

    async def _resolve(self, place: Place) -> Sequence[Address]:
        """Return the addresses that may be dialled. What is judged here is dialled: the name is not looked up again."""
        if place.literal is not None:
            found = [place.literal]
        else:
            try:
                texts = await self._look_ups.addresses(place.host, place.port)
            except TimeoutError as error:
                msg = f"{place.name}: the host name was not resolved within {LOOK_UP_LIMIT:g} s"
                raise UnreachableError(msg) from error
            except (OSError, UnicodeError) as error:
                msg = f"{place.name}: the host name cannot be resolved"
                raise UnreachableError(msg) from error
            found = list(dict.fromkeys(ipaddress.ip_address(text) for text in texts))
        if not found:
            msg = f"{place.name}: the host name has no address"
            raise UnreachableError(msg)
        open_to_us = [address for address in found if self._reach.may_be_dialled(address, place.port)]
        if place.is_plain and not all(self._reach.is_listed(address) for address in found):
            raise ForbiddenAddressError(too_plain(place))
        if not open_to_us:
            raise ForbiddenAddressError(forbidden(place, found[0]))
        return open_to_us[:_MOST_ADDRESSES]

    async def _routes(self, place: Place) -> Sequence[tuple[str, httpcore.Proxy | None]]:
        """Return what is dialled, in turn: the host's addresses, or the host's name by way of the proxy's.

        A proxy looks the name up itself, perhaps where we cannot. What can be judged here is judged here all the same.
        """
        found = self._proxy_for(place)
        if found is None:
            return [(str(address), None) for address in await self._resolve(place)]
        proxy, auth = found
        try:
            await self._resolve(place)
        except UnreachableError:
            if place.is_plain:
                raise
        addresses = await self._resolve(self._judged(proxy))
        return [(place.host, httpcore.Proxy(_url(proxy, str(address), b"/"), auth=auth)) for address in addresses]

    def _proxy_for(self, place: Place) -> tuple[Place, tuple[str, str] | None] | None:
        """Return the proxy by which that place is called, and our user and password for it."""
        url, auth, excepted = self._way.proxy or "", self._way.proxy_auth, self._way.no_proxy
        if url == ENVIRONMENT:
            environ = getproxies_environment()
            url, excepted = "" if place.is_plain else environ.get("https", ""), (*excepted, *environ.get("no", "").split(","))
            parts = urlsplit(url if "://" in url or not url else f"http://{url}")
            user, _, at = parts.netloc.rpartition("@")
            url, auth = url and f"{parts.scheme}://{at}", auth or unquote(user)
        if not url or place.is_among(excepted):
            return None
        proxy = parse(url)
        if not proxy.is_plain:
            msg = "a proxy is called at http://host:port: what goes through it is encrypted nevertheless"
            raise ForbiddenAddressError(msg)
        user, _, password = auth.partition(":")
        return proxy, (user, password) if auth else None

    @asynccontextmanager
    async def _opened(
        self, place: Place, request: Request, is_sent: asyncio.Event | None = None
    ) -> AsyncIterator[httpcore.Response]:
        """Hold the answer of the first address that takes the connection. `is_sent`: set once the other side may have it."""
        trouble: Exception | None = None
        if _BACKEND not in sys.modules or not (place.is_plain or "_tls" in vars(self)):
            # Certificates, and the libraries that only a request needs, take longer to load than the loop may stand still.
            try:
                await asyncio.to_thread(self._load, place)
            except OSError as error:
                msg = f"{place.name}: ca_file holds no certificate that can be read: {self._way.ca_file}"
                raise UnreachableError(msg) from error
        proxy, tls = None, None if place.is_plain else self._tls
        for host, proxy in await self._routes(place):
            # A connection for each request: pooled ones are keyed by address, and one address may serve several names.
            # Not by httpx's own client: it would read the places of redirects, and fail where one is no URL; with its
            # transport alone, a request takes half as long again.
            called = _request(request, place, host, is_sent)
            direct = httpcore.AsyncHTTPConnection(called.url.origin, tls)
            async with httpcore.AsyncConnectionPool(tls, proxy=proxy) if proxy else direct as connection:
                try:
                    response = await connection.handle_async_request(called)
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    trouble = error
                    continue
                except FAILURES as error:
                    trouble = error
                    break
                async with aclosing(response):
                    yield response
                return
        through = " through the proxy" if proxy else ""
        msg = f"{place.name}{through}: {what_failed(trouble, 'the connection was cut off before an answer')}"
        raise UnreachableError(msg) from trouble

    def _load(self, place: Place) -> ssl.SSLContext | None:
        """Do now what the first request there would do."""
        importlib.import_module(_BACKEND)
        return None if place.is_plain else self._tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = httpx.create_ssl_context(trust_env=False)
        context.load_default_certs()
        if self._way.ca_file:
            context.load_verify_locations(self._way.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


async def _taken(response: httpcore.Response, place: Place, most_bytes: int, into: Receiver | None) -> HttpAnswer:
    headers = headers_of(response)
    body = bytearray()
    write = into(response.status, headers) if into else body.extend
    if write is None:
        body.extend(await beginning(response))
    else:
        async with aclosing(whole(response, place, most_bytes)) as pieces:
            async for piece in pieces:
                write(piece)
    return HttpAnswer(response.status, headers, bytes(body), str(place.url))


def _url(place: Place, host: str, target: bytes | None = None) -> httpcore.URL:
    """Return where the place is called: at one of its addresses, or by the name that a proxy looks up."""
    return httpcore.URL(scheme=place.url.raw_scheme, host=host.encode(), port=place.port, target=target or place.url.raw_path)


def _request(request: Request, place: Place, host: str, is_sent: asyncio.Event | None) -> httpcore.Request:
    async def trace(step: str, details: Mapping[str, Any]) -> None:
        """Note that the body was begun to be sent; what a proxy is asked for first is not the request."""
        if is_sent and step == "http11.send_request_body.started" and details["request"].method != b"CONNECT":
            is_sent.set()

    headers = {**_USUAL, **request.headers, **request.credentials, "host": place.authority, "connection": "close"}
    if request.content or request.method != "GET":
        headers["content-length"] = str(len(request.content))
    limits = {"connect": _CONNECT_LIMIT, **dict.fromkeys(("read", "write"), request.silence.total_seconds())}
    return httpcore.Request(
        request.method,
        _url(place, host),
        headers=tuple(headers.items()),
        content=request.content,
        extensions={"sni_hostname": place.host, "timeout": limits, "trace": trace},
    )


def _to_another_host(request: Request) -> Request:
    """Return the request without anything that was meant for one host alone."""
    kept = {name: value for name, value in request.headers.items() if name.lower() not in _CREDENTIALS}
    return replace(request, headers=kept, credentials={})
