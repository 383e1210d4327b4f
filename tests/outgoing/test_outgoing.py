from __future__ import annotations

import asyncio
import gzip
import ipaddress
import logging
import re
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta

import pytest

from servers_http import Fault, HttpSink, Reply
from servers_postgres import free_port
from spendwatch.addresses import is_own
from spendwatch.aside import Resolver
from spendwatch.connection import Way
from spendwatch.domain.errors import ForbiddenAddressError, UnreachableError
from spendwatch.outgoing import Outgoing, judge
from spendwatch.request import HttpAnswer, Request

pytestmark = pytest.mark.anyio

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)

DENIED_ADDRESSES = (
    "0.0.0.0",  # noqa: S104 -- not bound but refused
    "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.254", "127.0.0.1",
    "127.1.2.3", "168.63.129.16", "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.1",
    "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
    "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
)  # fmt: skip
DENIED_IPV6 = (
    "::", "::1", "::7f00:1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1",
    "::ffff:100.100.100.200", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe",
    "64:ff9b::6464:64c8", "64:ff9b:1::7f00:1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1",
    "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::", "2002:6464:64c8::", "3fff::1", "5f00::1", "fc00::1",
    "fd12:3456:789a::1", "fe80::1", "fec0::1", "ff02::1", "ff05::2", "0:0:0:0:0:0:0:1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
)  # fmt: skip
ODD_SPELLINGS = (
    "https://2130706433/", "https://017700000001/", "https://0x7f000001/", "https://0x7F.0x0.0x0.0x1/",
    "https://0177.0.0.1/", "https://127.1/", "https://127.0.1/", "https://0/", "https://0x0/", "https://127.0.0.01/",
    "https://127.0.0.1./", "https://127.000.000.001/", "https://1684301000/", "https://0x646464c8/",
    "https://100.100.25800/", "https://0144.0144.0144.0310/", "https://256.256.256.256/", "https://127.0.0.1.1/",
    "https://127.0.0.0x1/", "https://localhost./", "https://hooks.example.test./", "https://[::1%25lo]/",
    "https://[::1%lo]/", "https://[fe80::1%25eth0]/", "https://[::1/", "https://::1/", "https://[v1.a]/",
    "https://[127.0.0.1]/", "https://[]/", "https://1.1.1.1 @127.0.0.1/", "https://hooks.example.test@127.0.0.1/",
    "https://user:pw@hooks.example.test/", "https://user@hooks.example.test/", "https://@hooks.example.test/",
    "https://hooks.example.test:443@127.0.0.1/", "https://127.0.0.1:80\\@hooks.example.test/",
    "https://hooks.example.test\\@127.0.0.1/", "https://hooks.example.test#@127.0.0.1/",
    "https://hooks.example.test?@127.0.0.1/", "https://127%2e0%2e0%2e1/", "https://127.0.0.1%00.example.test/",
    "https://%31%32%37.0.0.1/", "https://hooks.example.test%2f@127.0.0.1/", "https://１２７.0.0.1/", "https://127。0。0。1/",
    "https://ⓛocalhost/", "https://lоcalhost/", "https://①②⑦.0.0.1/", "https://127.0.0.1\t/", "https://127.\t0.0.1/",
    "https://hooks.example.test\n.evil/", "https://hooks.example.test\r\nHost: x/", " https://hooks.example.test/",
    "https://hooks.example.test /", "https:// hooks.example.test/", "ht\ntps://hooks.example.test/",
    "https:///127.0.0.1/", "https:/127.0.0.1/", "https:127.0.0.1", "https://", "https:///", "", "//127.0.0.1/",
    "127.0.0.1", "/etc/passwd", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:25/_MAIL",
    "dict://127.0.0.1:11211/stat", "unix:///run/docker.sock", "ldap://127.0.0.1/", "data:text/plain,x",
    "javascript:alert(1)", "jar:https://127.0.0.1!/", "https+unix://%2Frun%2Fx/", "ws://127.0.0.1/",
    "https://hooks..example.test/", "https://.example.test/", "https://-a.example.test/", "https://a_.-/",
    f"https://{'a' * 64}.example.test/", f"https://{'a.' * 140}test/", "https://hooks.example.test:0/",
    "https://hooks.example.test:65536/", "https://hooks.example.test:99999/", "https://hooks.example.test:-1/",
    "https://hooks.example.test:٤٤٣/", "https://hooks.example.test:4 43/", "https://hooks.example.test:443:443/",
    "https://exa<mple.test/", "https://exa|mple.test/", "https://*/", "https://$(id).example.test/",
    "http://hooks.example.test/", "http://1.1.1.1/", "HTTP://hooks.example.test/",
)  # fmt: skip
NAMES_LEADING_TO = {
    f"name{number}.example.test": address for number, address in enumerate((*DENIED_ADDRESSES, *DENIED_IPV6, "fe80::1%lo"))
}
_PLAIN_LOCATION = re.compile(r"[!-~]+", re.ASCII)
"""What a header can hold in one piece."""
HOSTILE = (
    *(f"https://{address}/" for address in DENIED_ADDRESSES),
    *(f"https://[{address}]/" for address in DENIED_IPV6),
    *ODD_SPELLINGS,
    *(f"https://{name}/" for name in NAMES_LEADING_TO),
    "https://localhost/",
    "https://LOCALHOST/",
    "https://ip6-localhost/",
)


@pytest.fixture(scope="module")
def listeners() -> Iterator[Sequence[HttpSink]]:
    """Whoever is called here, on whichever address of this machine, is counted."""
    with HttpSink(host="0.0.0.0") as four, HttpSink(host="::", port=four.port) as six:  # noqa: S104 -- on purpose
        yield four, six


def _with_port(url: str, port: int) -> str:
    head, slashes, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if not slashes or not authority or ":" in authority.rpartition("]")[2]:
        return url
    return f"{head}://{authority}:{port}{slash}{path}"


def _lookup(names: dict[str, str]) -> Resolver:
    def resolve(host: str, _port: int) -> Sequence[str]:
        if host in names:
            return [names[host]]
        return ["127.0.0.1", "::1"]

    return resolve


async def _post(outgoing: Outgoing, url: str, *, seconds: float = 5) -> HttpAnswer:
    return await outgoing.post(url, content=b"{}", headers={"x-kind": "test"}, deadline=timedelta(seconds=seconds))


async def _fetch(outgoing: Outgoing, url: str) -> HttpAnswer:
    patience = timedelta(seconds=5)
    return await outgoing.fetch(Request(url=url, most_bytes=1000, deadline=patience, silence=patience, redirects=3))


CALLS: Sequence[Callable[[Outgoing, str], Awaitable[object]]] = (_post, _fetch)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("url", HOSTILE)
async def test_a_hostile_url_is_refused_without_a_connection(
    url: str, call: Callable[[Outgoing, str], Awaitable[object]], listeners: Sequence[HttpSink]
) -> None:
    outgoing = Outgoing(resolver=_lookup(NAMES_LEADING_TO))
    for spelled in {url, _with_port(url, listeners[0].port)}:
        with pytest.raises(ForbiddenAddressError):
            await call(outgoing, spelled)
    assert [sink.connections for sink in listeners] == [0, 0]


@pytest.mark.parametrize("url", [url for url in HOSTILE if _PLAIN_LOCATION.fullmatch(url)])
async def test_a_redirect_to_a_hostile_url_is_refused_without_a_connection(url: str, listeners: Sequence[HttpSink]) -> None:
    outgoing = Outgoing((ipaddress.ip_network("127.0.0.7/32"),), resolver=_lookup(NAMES_LEADING_TO))
    for spelled in {url, _with_port(url, listeners[0].port)}:
        with HttpSink([Reply(302, {"location": spelled})], host="127.0.0.7") as first:
            with pytest.raises((ForbiddenAddressError, UnreachableError)):
                await _fetch(outgoing, first.url())
            assert len(first.requests) in {1, 4}, "what looks like a path of the first host leads back to it, three times"
    assert [sink.connections for sink in listeners] == [0, 0]


def test_the_hostile_urls_are_at_least_120() -> None:
    assert len(set(HOSTILE)) >= 120
    assert sum(1 for url in set(HOSTILE) if _PLAIN_LOCATION.fullmatch(url)) >= 120


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/a?b=c",
        "https://hooks.example.com:8443/a",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://[64:ff9b::101:101]/",
        "https://xn--fsqu00a.example/",
        "HTTPS://Hooks.Example.COM/",
    ],
)
def test_public_receivers_pass_the_check_of_the_configuration(url: str) -> None:
    judge(url)


def test_private_receivers_pass_the_check_only_where_their_network_is_allowed() -> None:
    allow = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8"))
    for url in (
        "https://10.1.2.3/",
        "http://10.1.2.3/",
        "https://[fd00::1]/",
        "https://[::ffff:10.1.2.3]/",
        "http://inside.example/",
    ):
        judge(url, allow)
    for url in ("https://10.2.0.1/", "http://1.1.1.1/", "https://[fc00::1]/"):
        with pytest.raises(ForbiddenAddressError):
            judge(url, allow)


async def test_a_name_that_changes_its_address_between_two_calls_does_not_get_through() -> None:
    with HttpSink(host="127.0.0.2") as meant, HttpSink(host="127.0.0.1", port=meant.port) as hidden:
        answers = iter([["127.0.0.2"], ["127.0.0.1"]])
        outgoing = Outgoing((ipaddress.ip_network("127.0.0.2/32"),), resolver=lambda _host, _port: next(answers))
        url = f"http://flips.example.test:{meant.port}/"
        assert (await _post(outgoing, url)).status == 200
        with pytest.raises(ForbiddenAddressError):
            await _post(outgoing, url)
        assert (len(meant.requests), hidden.connections) == (1, 0)


async def test_a_name_is_looked_up_once_for_each_call_and_the_host_header_keeps_it() -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with HttpSink() as sink:
        await _post(Outgoing(LOOPBACK, resolver=resolve), f"http://hooks.example.test:{sink.port}/a?b=c")
        (request,) = sink.requests
    assert asked == ["hooks.example.test"]
    assert request.headers["host"] == f"hooks.example.test:{sink.port}"
    assert (request.path, request.body, request.headers["x-kind"]) == ("/a?b=c", b"{}", "test")


async def test_of_several_addresses_the_denied_ones_are_left_out_and_the_others_tried_in_turn() -> None:
    with HttpSink(tls_names=("hooks.example.test",)) as sink:
        allow = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("127.0.0.3/32"))
        resolver: Resolver = lambda _host, _port: ["10.0.0.1", "127.0.0.3", "127.0.0.1"]  # noqa: E731 -- shorter than a def
        outgoing = Outgoing(allow, way=Way(ca_file=str(sink.ca_file)), resolver=resolver)
        assert (await _post(outgoing, f"https://hooks.example.test:{sink.port}/")).status == 200


async def test_plain_http_needs_every_address_of_the_name_to_be_allowed() -> None:
    with HttpSink() as sink:
        outgoing = Outgoing(LOOPBACK, resolver=lambda _host, _port: ["127.0.0.1", "1.1.1.1"])
        with pytest.raises(ForbiddenAddressError, match="plain http"):
            await _post(outgoing, f"http://hooks.example.test:{sink.port}/")
        assert sink.connections == 0


async def test_the_machines_own_address_is_denied_though_it_be_public(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ipaddress.ip_address("1.2.3.4")
    monkeypatch.setattr("spendwatch.addresses.is_own", lambda address, _port: address == own)
    outgoing = Outgoing(resolver=lambda _host, _port: [str(own)])
    with pytest.raises(ForbiddenAddressError, match="our own"):
        await _post(outgoing, "https://hooks.example.test/")


def test_own_addresses_are_told_from_others_without_sending() -> None:
    assert is_own(ipaddress.ip_address("127.0.0.1"), 443)
    assert not is_own(ipaddress.ip_address("1.1.1.1"), 443)


async def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    with HttpSink(tls_names=("127.0.0.1",)) as sink:
        with pytest.raises(UnreachableError, match="certificate is not valid"):
            await _post(Outgoing(LOOPBACK), sink.url())
        assert sink.requests == []


async def test_a_certificate_for_another_name_is_refused() -> None:
    with HttpSink(tls_names=("other.example.test",)) as sink:
        outgoing = Outgoing(LOOPBACK, way=Way(ca_file=str(sink.ca_file)), resolver=lambda _host, _port: ["127.0.0.1"])
        with pytest.raises(UnreachableError, match="certificate is not valid"):
            await _post(outgoing, f"https://hooks.example.test:{sink.port}/")
        assert sink.requests == []


async def test_tls_is_proven_by_the_name_while_a_judged_address_is_dialled() -> None:
    with HttpSink(tls_names=("hooks.example.test",)) as sink:
        outgoing = Outgoing(LOOPBACK, way=Way(ca_file=str(sink.ca_file)), resolver=lambda _host, _port: ["127.0.0.1"])
        answer = await _post(outgoing, f"https://hooks.example.test:{sink.port}/hook")
    assert answer.status == 200
    assert sink.requests[0].headers["host"] == f"hooks.example.test:{sink.port}"


def test_tls_below_1_2_is_not_spoken() -> None:
    assert Outgoing()._tls.minimum_version is ssl.TLSVersion.TLSv1_2
    assert Outgoing()._tls.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_never_followed(status: int) -> None:
    with HttpSink() as other, HttpSink([Reply(status, {"location": other.url()})]) as sink:
        answer = await _post(Outgoing(LOOPBACK), sink.url())
        assert (answer.status, answer.headers["location"], other.connections) == (status, other.url(), 0)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault.SILENT, "no answer within"),
        (Fault.ENDLESS_CONTINUE, "no answer within"),
        (Fault.CUT, "cut off"),
        (Fault.GARBAGE, "cut off"),
        (Fault.ENDLESS_HEADERS, "cut off"),
    ],
)
async def test_an_answer_that_never_comes_is_unreachable_within_the_deadline(fault: Fault, says: str) -> None:
    # A slow machine may not even ask within half a second: then it is given longer.
    asked, patience = 0, [30.0] if says == "cut off" else [0.5, 2, 8, 30]
    while patience and not asked:
        seconds = patience.pop(0)
        with HttpSink([Reply(fault=fault)]) as sink:
            with pytest.raises(UnreachableError, match=f"{says} {seconds:g} s" if says != "cut off" else says) as caught:
                await _post(Outgoing(LOOPBACK), sink.url("/secret-path"), seconds=seconds)
            assert "secret" not in str(caught.value)
            asked = len(sink.requests)
    assert asked == 1


async def test_a_closed_port_and_an_unknown_name_are_unreachable() -> None:
    with pytest.raises(UnreachableError, match="connection refused"):
        await _post(Outgoing(LOOPBACK), f"http://127.0.0.1:{free_port()}/")

    def nowhere(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(UnreachableError, match="cannot be resolved"):
        await _post(Outgoing(LOOPBACK, resolver=nowhere), "https://gone.example.test/")


async def test_a_name_without_any_address_may_get_one_later() -> None:
    with pytest.raises(UnreachableError, match="has no address"):
        await _post(Outgoing(resolver=lambda _host, _port: []), "https://empty.example.test/")


async def test_a_name_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()

    def hang(_host: str, _port: int) -> Sequence[str]:
        end.wait(10)
        return []

    monkeypatch.setattr("spendwatch.aside.LOOK_UP_LIMIT", 0.1)
    with pytest.raises(UnreachableError, match="not resolved within"):
        await _post(Outgoing(resolver=hang), "https://slow.example.test/")
    end.set()


@pytest.mark.parametrize("fault", [Fault.ENDLESS_BODY, Fault.CUT_IN_BODY])
async def test_the_status_counts_though_the_body_never_ends(fault: Fault) -> None:
    with HttpSink([Reply(503, fault=fault)]) as sink:
        answer = await _post(Outgoing(LOOPBACK), sink.url())
    assert answer.status == 503
    assert len(answer.excerpt) <= 200


async def test_a_compressed_bomb_stays_compressed() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    with HttpSink([Reply(500, {"content-encoding": "gzip"}, bomb)]) as sink:
        answer = await _post(Outgoing(LOOPBACK), sink.url())
        assert sink.requests[0].headers["accept-encoding"] == "identity"
    assert answer.status == 500
    assert "000" not in answer.excerpt


async def test_the_excerpt_is_one_clean_line() -> None:
    body = "no\r\n\x1b[31mway \u202eevil\u2028here ".encode() + b"\xff" * 500
    with HttpSink([Reply(400, {}, body)]) as sink:
        answer = await _post(Outgoing(LOOPBACK), sink.url())
    assert answer.excerpt.startswith("no [31mway evil here")
    assert answer.excerpt.isprintable()
    assert len(answer.excerpt) == 200


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpSink() as proxy, HttpSink() as sink:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await _post(Outgoing(LOOPBACK), sink.url())
        assert (len(sink.requests), proxy.connections) == (1, 0)


async def test_nothing_of_a_url_but_its_host_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outgoing = Outgoing(LOOPBACK)
    told = []
    with HttpSink([Reply(500, fault=Fault.CUT)]) as sink:
        for url in (
            sink.url("/canary?key=canary"),
            "https://10.9.9.9/canary?canary",
            "http://user:canary@127.0.0.1/",
            "canary",
        ):
            with pytest.raises((UnreachableError, ForbiddenAddressError)) as caught:
                await _post(outgoing, url)
            told.append(str(caught.value))
    assert "canary" not in "".join(told)
    assert "canary" not in caplog.text


async def test_names_that_cannot_be_looked_up_hold_up_neither_others_nor_the_threads_of_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go, held_up = threading.Event(), set[int]()

    def resolve(host: str, _port: int) -> list[str]:
        if host.startswith("slow"):
            held_up.add(threading.get_ident())
            let_go.wait(300)
        return ["127.0.0.1"]

    try:
        with HttpSink() as sink:
            outgoing = Outgoing(LOOPBACK, resolver=resolve)
            await _post(outgoing, sink.url())  # what is loaded at the first request is no matter here
            urls = [f"http://slow{number % 10}.example.test:{sink.port}/" for number in range(40)]
            with monkeypatch.context() as patch:
                patch.setattr("spendwatch.aside.LOOK_UP_LIMIT", 3600)
                waiting = [asyncio.create_task(_post(outgoing, url, seconds=3600)) for url in urls]
                await asyncio.sleep(0)
                await _post(outgoing, f"http://quick.example.test:{sink.port}/")
                await asyncio.gather(*(asyncio.to_thread(int) for _ in range(100)))
                assert not any(task.done() for task in waiting)
            for task in waiting:
                task.cancel()
            again = [_post(outgoing, url, seconds=300) for url in urls]
            for failed in await asyncio.gather(*again, return_exceptions=True):
                assert "not resolved within 5 s" in str(failed)
            assert len(held_up) == 10
    finally:
        let_go.set()


async def test_an_answer_that_repeats_the_secret_parts_of_the_address_is_quoted_without_them() -> None:
    said = rb"Cannot POST /hooks/T0PSECRET?token=a%2Fbcdef&x=1: no hook t0psecret, no token a/bcdef; \/hooks\/T0PSECRET"
    with HttpSink([Reply(404, {}, said)]) as sink:
        answer = await _post(Outgoing(LOOPBACK), sink.url("/hooks/T0PSECRET?token=a%2Fbcdef&x=1"))
    assert answer.excerpt == r"Cannot POST ***: no hook ***, no token ***; \/***\/***"


async def test_an_answer_that_is_cut_where_it_repeats_a_secret_shows_no_part_of_it() -> None:
    with HttpSink([Reply(404, {}, b"x" * 195 + b"/T0PSECRET-of-many-letters")]) as sink:
        answer = await _post(Outgoing(LOOPBACK), sink.url("/T0PSECRET-of-many-letters"))
    assert "T0P" not in answer.excerpt


@pytest.mark.parametrize(("fault", "was_sent"), [(Fault.CUT, True), (Fault.SILENT, True), (Fault.GARBAGE, True), (None, False)])
async def test_a_lost_answer_is_told_apart_from_a_request_that_was_never_sent(fault: Fault | None, *, was_sent: bool) -> None:
    with ExitStack() as stack:
        sink = stack.enter_context(HttpSink([Reply(fault=fault or Fault.NONE)]))
        if fault is None:
            stack.close()
        with pytest.raises(UnreachableError) as caught:
            await _post(Outgoing(LOOPBACK), sink.url(), seconds=2)
    assert caught.value.was_sent is was_sent
