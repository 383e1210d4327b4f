"""Requests by way of an HTTP proxy: what may be called stays the same, and TLS is proven from end to end."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from servers_http import Fault, HttpSink, Reply
from servers_proxy import ConnectProxy
from spendwatch.connection import AuthorizedConnection, Connection, Way
from spendwatch.domain.errors import ForbiddenAddressError, UnreachableError
from spendwatch.outgoing import Outgoing
from spendwatch.request import HttpAnswer, Request

pytestmark = pytest.mark.anyio

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
HOST = "hooks.example.test"
PUBLIC = "93.184.215.14"


def _unknown(_host: str, _port: int) -> Sequence[str]:
    raise socket.gaierror


def _public(_host: str, _port: int) -> Sequence[str]:
    return [PUBLIC]


async def _post(outgoing: Outgoing, url: str, seconds: float = 3) -> HttpAnswer:
    return await outgoing.post(url, content=b"{}", headers={}, deadline=timedelta(seconds=seconds))


@pytest.mark.parametrize("resolver", [_unknown, _public], ids=["unknown here", "known here"])
async def test_a_name_is_called_by_way_of_the_proxy_and_its_certificate_is_proven(resolver: object) -> None:
    with HttpSink(tls_names=(HOST,)) as sink, ConnectProxy(sink.port) as proxy:
        way = Way(ca_file=str(sink.ca_file), proxy=proxy.url)
        answer = await _post(Outgoing(LOOPBACK, way, resolver=resolver), f"https://{HOST}/hook")  # type: ignore[arg-type]
        assert (answer.status, proxy.asked) == (200, [f"CONNECT {HOST}:443 HTTP/1.1"])
        assert sink.requests[0].headers["host"] == HOST
        assert "proxy-authorization" not in sink.requests[0].headers


async def test_a_certificate_that_is_not_the_hosts_gets_nothing() -> None:
    with HttpSink(tls_names=("another.example.test",)) as sink, ConnectProxy(sink.port) as proxy:
        outgoing = Outgoing(LOOPBACK, Way(ca_file=str(sink.ca_file), proxy=proxy.url), resolver=_unknown)
        with pytest.raises(UnreachableError, match="through the proxy: the TLS certificate is not valid") as caught:
            await _post(outgoing, f"https://{HOST}/hook")
        assert sink.requests == []
    assert not caught.value.was_sent


@pytest.mark.parametrize(
    ("url", "leads_to"),
    [
        ("https://169.254.169.254/latest", None),
        ("https://100.100.100.200/latest", None),
        ("https://10.0.0.7/", None),
        ("https://[::1]/", None),
        ("https://metadata.example.test/", "100.100.100.200"),
        ("https://inside.example.test/", "10.0.0.7"),
        ("https://0x7f000001/", None),
        (f"http://{PUBLIC}/", None),
        (f"http://{HOST}/", PUBLIC),
    ],
)
async def test_what_may_not_be_called_is_not_asked_of_the_proxy_either(url: str, leads_to: str | None) -> None:
    with ConnectProxy(9) as proxy:
        resolver = (lambda _host, _port: [leads_to]) if leads_to else None
        with pytest.raises(ForbiddenAddressError):
            await _post(Outgoing(LOOPBACK, Way(proxy=proxy.url), resolver=resolver), url)
        assert proxy.asked == []


async def test_a_plain_name_that_is_unknown_here_is_not_asked_of_the_proxy() -> None:
    with ConnectProxy(9) as proxy:
        with pytest.raises(UnreachableError, match="cannot be resolved"):
            await _post(Outgoing(LOOPBACK, Way(proxy=proxy.url), resolver=_unknown), f"http://{HOST}/")
        assert proxy.asked == []


async def test_a_redirect_is_judged_before_the_proxy_is_asked_for_it() -> None:
    with HttpSink([Reply(302, {"location": "https://10.0.0.7/"})], tls_names=(HOST,)) as sink, ConnectProxy(sink.port) as proxy:
        way = Way(ca_file=str(sink.ca_file), proxy=proxy.url)
        limit = timedelta(seconds=3)
        request = Request(url=f"https://{HOST}/", most_bytes=100, deadline=limit, silence=limit, redirects=3)
        with pytest.raises(ForbiddenAddressError, match="private or special"):
            await Outgoing(LOOPBACK, way, resolver=_unknown).fetch(request)
        assert len(proxy.asked) == 1


async def test_the_proxy_itself_must_be_in_allow_networks() -> None:
    with ConnectProxy(9) as proxy:
        with pytest.raises(ForbiddenAddressError, match="list its network in allow_networks if intended"):
            await _post(Outgoing((), Way(proxy=proxy.url), resolver=_unknown), f"https://{HOST}/")
        assert proxy.asked == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"login": "us:pass-canary"}, "through the proxy: HTTP 407: it wants another user name or password"),
        ({"refusal": 403}, "through the proxy: HTTP 403: it does not allow that host"),
        ({"refusal": 502}, "through the proxy: HTTP 502: it cannot reach that host"),
    ],
)
async def test_the_proxys_own_refusal_is_told_and_no_secret_with_it(settings: dict[str, object], said: str) -> None:
    with ConnectProxy(9, **settings) as proxy:  # type: ignore[arg-type]  # one of them
        way = Way(proxy=proxy.url, proxy_auth="us:wrong-canary")
        with pytest.raises(UnreachableError, match=said) as caught:
            await _post(Outgoing(LOOPBACK, way, resolver=_unknown), f"https://{HOST}/hook")
    assert not caught.value.was_sent
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(way)


async def test_user_and_password_go_to_the_proxy_alone() -> None:
    with HttpSink(tls_names=(HOST,)) as sink, ConnectProxy(sink.port, login="us:pa:ss") as proxy:
        way = Way(ca_file=str(sink.ca_file), proxy=proxy.url, proxy_auth="us:pa:ss")
        assert (await _post(Outgoing(LOOPBACK, way, resolver=_unknown), f"https://{HOST}/hook")).status == 200


async def test_a_request_that_was_cut_behind_the_proxy_may_have_been_taken() -> None:
    with HttpSink([Reply(fault=Fault.CUT)], tls_names=(HOST,)) as sink, ConnectProxy(sink.port) as proxy:
        outgoing = Outgoing(LOOPBACK, Way(ca_file=str(sink.ca_file), proxy=proxy.url), resolver=_unknown)
        with pytest.raises(UnreachableError) as caught:
            await _post(outgoing, f"https://{HOST}/hook")
    assert caught.value.was_sent


async def test_a_proxy_that_is_gone_is_told() -> None:
    with ConnectProxy(9) as proxy:
        gone = proxy.url
    with pytest.raises(UnreachableError, match="through the proxy: connection refused"):
        await _post(Outgoing(LOOPBACK, Way(proxy=gone), resolver=_unknown), f"https://{HOST}/")


@pytest.mark.parametrize("listed", [("example.test",), (".example.test",), ("*.example.test",), (HOST,), ("*",), ("x", HOST)])
async def test_hosts_and_domains_may_be_excepted(listed: tuple[str, ...]) -> None:
    with HttpSink(tls_names=(HOST,)) as sink, ConnectProxy(9) as proxy:
        way = Way(ca_file=str(sink.ca_file), proxy=proxy.url, no_proxy=listed)
        outgoing = Outgoing(LOOPBACK, way, resolver=lambda _host, _port: ["127.0.0.1"])
        assert (await _post(outgoing, f"https://{HOST}:{sink.port}/hook")).status == 200
        assert proxy.asked == []


@pytest.mark.parametrize(
    ("proxy", "no_proxy", "is_asked"), [(None, "", False), ("environment", "", True), ("environment", HOST, False)]
)
async def test_the_environments_proxy_is_used_where_the_settings_say_so_and_only_there(
    proxy: str | None, no_proxy: str, is_asked: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpSink(tls_names=(HOST,)) as sink, ConnectProxy(sink.port, login="us:pa@ss") as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://us:pa%40ss@127.0.0.1:{server.port}")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        way = Way(ca_file=str(sink.ca_file), proxy=proxy)
        outgoing = Outgoing(LOOPBACK, way, resolver=lambda _host, _port: ["127.0.0.1"])
        assert (await _post(outgoing, f"https://{HOST}:{sink.port}/hook")).status == 200
        assert bool(server.asked) == is_asked


async def test_headers_and_credentials_go_with_every_request_and_no_answer_repeats_them() -> None:
    reply = Reply(401, body=b"you sent canary-token and finops-7")
    with HttpSink([reply]) as sink:
        config = AuthorizedConnection.model_validate(
            {"auth": "bearer", "auth_secret": "canary-token", "headers": {"X-Team": "finops-7"}}
        )
        answer = await _post(Outgoing(LOOPBACK, config.way), sink.url("/hook"))
        headers = sink.requests[0].headers
    assert (headers["authorization"], headers["x-team"]) == ("Bearer canary-token", "finops-7")
    assert answer.excerpt == "you sent *** and ***"
    assert "canary" not in repr(config.way) + repr(config)


async def test_an_authority_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    outgoing = Outgoing(LOOPBACK, Way(ca_file=str(tmp_path / "ca.pem")))
    with pytest.raises(UnreachableError, match=r"ca_file holds no certificate that can be read: .*ca\.pem"):
        await _post(outgoing, "https://127.0.0.1:9/")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"proxy": "http://us:canary@proxy:3128"}, "proxy_auth_file"),
        ({"proxy": "https://proxy:3128"}, "write http://host:port, or environment"),
        ({"proxy": "proxy:3128"}, "write http://host:port"),
        ({"no_proxy": ["a"]}, "need also proxy"),
        ({"proxy": "environment", "proxy_auth": "canary"}, "must hold user:password"),
        ({"headers": {"Authorization": "canary"}}, "said by auth and auth_file"),
        ({"headers": {"Host": "x"}}, "not a header that may be set"),
        ({"headers": {"X-A": "a\r\nb"}}, "not allowed in a header"),
        ({"headers": {"X A": "a"}}, "not a header that may be set"),
    ],
)
def test_connections_that_cannot_work_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        Connection.model_validate(wrong)
    assert "canary" not in str(caught.value)
