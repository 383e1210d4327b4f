"""An answer that is fetched came whole, from a place that may be called, and told nobody else our secrets."""

from __future__ import annotations

import gzip
import io
import ipaddress
import logging
import random
import tracemalloc
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TypedDict, Unpack

import pytest

from servers_http import Fault, HttpSink, Reply
from spendwatch.addresses import METADATA_SERVICE, Reach
from spendwatch.connection import Way
from spendwatch.domain.errors import ForbiddenAddressError, UnreachableError
from spendwatch.outgoing import Outgoing
from spendwatch.request import HttpAnswer, Receiver, Request, Writer

pytestmark = pytest.mark.anyio

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
BODY = b"a,b\n1,2\n"
REDIRECTS = [301, 302, 303, 307, 308]


class Asked(TypedDict, total=False):
    """What a test may say of its own."""

    method: str
    content: bytes
    headers: Mapping[str, str]
    credentials: Mapping[str, str]
    redirects: int
    into: Receiver


async def _fetch(
    url: str,
    *,
    outgoing: Outgoing | None = None,
    seconds: float = 5,
    silence: float = 5,
    most_bytes: int = 1_000_000,
    **asked: Unpack[Asked],
) -> HttpAnswer:
    client = outgoing or Outgoing(LOOPBACK)
    limits = timedelta(seconds=seconds), timedelta(seconds=silence)
    return await client.fetch(Request(url=url, most_bytes=most_bytes, deadline=limits[0], silence=limits[1], **asked))


async def _failing(
    reply: Reply, *, seconds: float = 5, silence: float = 5, most_bytes: int = 1_000_000, into: Receiver | None = None
) -> str:
    """Fetch what is no whole answer, and return what is said of it."""
    asked: Asked = {} if into is None else {"into": into}
    with HttpSink([reply]) as sink, pytest.raises(UnreachableError) as caught:
        await _fetch(sink.url("/path"), seconds=seconds, silence=silence, most_bytes=most_bytes, **asked)
    assert "/path" not in str(caught.value)
    return str(caught.value)


def _raw(head: str, body: bytes) -> Reply:
    return Reply(body=f"HTTP/1.1 {head}\r\n\r\n".encode() + body, fault=Fault.RAW)


def _chunked(body: bytes, *, end: bytes = b"0\r\n\r\n") -> Reply:
    return _raw("200 OK\r\ntransfer-encoding: chunked", b"%x\r\n%s\r\n%s" % (len(body), body, end))


# --- a whole answer


async def test_an_answer_comes_with_its_whole_body_its_headers_and_where_it_came_from() -> None:
    with HttpSink([Reply(200, {"ETag": '"1"', "content-type": "text/csv"}, BODY * 10_000)]) as sink:
        fetched = await _fetch(sink.url("/bill?a=%2B"), headers={"x-kind": "test"}, credentials={"authorization": "Bearer x"})
        (request,) = sink.requests
    assert (fetched.status, fetched.body, fetched.url) == (200, BODY * 10_000, sink.url("/bill?a=%2B"))
    assert (fetched.headers["etag"], fetched.headers["content-type"]) == ('"1"', "text/csv")
    assert (request.method, request.path, request.body) == ("GET", "/bill?a=%2B", b"")
    assert (request.headers["x-kind"], request.headers["authorization"]) == ("test", "Bearer x")
    assert request.headers["host"] == f"127.0.0.1:{sink.port}"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_other_methods_carry_a_body_and_follow_no_redirect(method: str) -> None:
    with HttpSink() as other, HttpSink([Reply(307, {"location": other.url()}, b"moved")]) as sink:
        fetched = await _fetch(sink.url(), method=method, content=b"a=b", redirects=3)
        (request,) = sink.requests
        assert (fetched.status, fetched.body, other.connections) == (307, b"moved", 0)
    assert (request.method, request.body) == (method, b"a=b")


@pytest.mark.parametrize("status", [200, 206, 304, 400, 403, 404, 429, 500, 503])
async def test_every_status_is_an_answer(status: int) -> None:
    with HttpSink([Reply(status, {"retry-after": "3"}, b"" if status == 304 else b"why")]) as sink:
        fetched = await _fetch(sink.url())
    assert (fetched.status, fetched.headers["retry-after"]) == (status, "3")
    assert fetched.body == (b"" if status == 304 else b"why")


async def test_conditions_and_ranges_are_sent_as_asked_for() -> None:
    asked = {"if-none-match": '"1"', "if-modified-since": "x", "range": "bytes=10-", "if-range": '"1"'}
    with HttpSink() as sink:
        await _fetch(sink.url(), headers=asked)
        (request,) = sink.requests
    assert asked.items() <= request.headers.items()


async def test_a_chunked_answer_is_whole_when_its_end_came() -> None:
    with HttpSink([_chunked(BODY)]) as sink:
        assert (await _fetch(sink.url())).body == BODY


# --- what is not whole is no answer


@pytest.mark.parametrize("length", [1, len(BODY) - 1])
async def test_a_body_shorter_than_it_says_is_an_error_wherever_it_is_cut(length: int) -> None:
    reply = Reply(200, {"content-length": str(len(BODY))}, BODY[:length])
    assert "cut off in the middle of the answer" in await _failing(reply)


@pytest.mark.parametrize("end", [b"", b"0", b"0\r\n", b"5\r\nhal", b"zz\r\n\r\n"])
async def test_a_cut_chunk_is_an_error(end: bytes) -> None:
    assert "cut off in the middle of the answer" in await _failing(_chunked(BODY, end=end))


async def test_an_answer_that_ends_with_the_connection_alone_is_refused_for_a_cut_one_would_look_whole() -> None:
    assert "has no length, so that" in await _failing(_raw("200 OK\r\nconnection: close", BODY))


async def test_a_reset_in_the_body_is_an_error() -> None:
    assert "cut off in the middle of the answer" in await _failing(Reply(fault=Fault.CUT_IN_BODY))


@pytest.mark.parametrize(
    ("fault", "says"),
    [(Fault.CUT, "cut off before an answer"), (Fault.GARBAGE, "cut off"), (Fault.ENDLESS_HEADERS, "cut off")],
)
async def test_no_answer_at_all_is_an_error(fault: Fault, says: str) -> None:
    with HttpSink([Reply(fault=fault)]) as sink, pytest.raises(UnreachableError, match=says):
        await _fetch(sink.url())


# --- time


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.STALLED])
async def test_silence_is_given_up_long_before_the_deadline(fault: Fault) -> None:
    assert "timed out" in await _failing(Reply(body=BODY, fault=fault), silence=0.3, seconds=60)


@pytest.mark.parametrize("fault", [Fault.DRIPPING, Fault.ENDLESS_CONTINUE, Fault.ENDLESS_BODY])
async def test_what_never_falls_silent_is_given_up_at_the_deadline(fault: Fault) -> None:
    reply = Reply(body=BODY * 100, fault=fault)
    assert "no whole answer within 0.5 s" in await _failing(reply, seconds=0.5, most_bytes=1 << 40)


# --- size, and what is packed


async def test_an_answer_that_says_it_is_too_large_is_not_even_begun() -> None:
    taken: list[bytes] = []
    reply = Reply(200, {"content-length": str(1 << 40)}, BODY)
    said = await _failing(reply, most_bytes=1000, into=lambda _status, _headers: taken.append)
    assert "larger than 1000 bytes" in said
    assert taken == []


@pytest.mark.parametrize("size", [0, 999, 1000])
async def test_an_answer_of_exactly_the_allowed_size_is_taken(size: int) -> None:
    with HttpSink([Reply(body=b"x" * size)]) as sink:
        assert len((await _fetch(sink.url(), most_bytes=1000)).body) == size


async def test_an_endless_answer_is_given_up_at_the_allowed_size() -> None:
    assert "larger than 100000 bytes" in await _failing(Reply(fault=Fault.ENDLESS_BODY), most_bytes=100_000)


def _packed(body: bytes, coding: str = "gzip") -> Reply:
    return Reply(200, {"content-encoding": coding}, body)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
async def test_a_packed_answer_is_unpacked(coding: str) -> None:
    body = random.Random(1).randbytes(300_000) + b"0" * 600_000  # noqa: S311 -- noise
    with HttpSink([_packed(gzip.compress(body), coding)]) as sink:
        fetched = await _fetch(sink.url())
        assert sink.requests[0].headers["accept-encoding"] == "gzip"
    assert fetched.body == body


async def test_several_gzip_members_are_one_body() -> None:
    with HttpSink([_packed(gzip.compress(b"one,") + gzip.compress(b"") + gzip.compress(b"two"))]) as sink:
        assert (await _fetch(sink.url())).body == b"one,two"


async def test_every_cut_of_a_packed_answer_is_an_error() -> None:
    whole = gzip.compress(BODY * 3)
    replies = [_packed(whole[:length]) for length in range(1, len(whole))]
    with HttpSink([*replies, _packed(whole)]) as sink:
        for _ in replies:
            with pytest.raises(UnreachableError, match="damaged or cut off"):
                await _fetch(sink.url())
        assert (await _fetch(sink.url())).body == BODY * 3


@pytest.mark.parametrize(
    "damage",
    [b"no gzip at all", gzip.compress(BODY)[:-8] + bytes(8), gzip.compress(BODY) + b"\0\0"],
    ids=["no_gzip", "wrong_checksum", "surplus"],
)
async def test_a_damaged_packed_answer_is_an_error(damage: bytes) -> None:
    assert "damaged or cut off" in await _failing(_packed(damage))


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "x"])
async def test_a_coding_that_was_not_asked_for_is_refused(coding: str) -> None:
    assert "not requested" in await _failing(_packed(gzip.compress(BODY), coding))


async def test_a_bomb_stops_at_the_allowed_size_and_takes_little_memory() -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    tracemalloc.start()
    try:
        with HttpSink([_packed(bomb)]) as sink, pytest.raises(UnreachableError, match="larger than 1000000 bytes"):
            await _fetch(sink.url())
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


async def test_a_packed_stream_that_unpacks_to_nothing_is_bounded_too() -> None:
    empty = gzip.compress(b"") * 10_000
    assert "larger than 100000 bytes" in await _failing(_packed(empty), most_bytes=100_000)


# --- into a file


class Taker:
    """Takes bodies of status 200 into a file, and asks for no other."""

    def __init__(self) -> None:
        self.file = io.BytesIO()
        self.told: list[tuple[int, str]] = []

    def __call__(self, status: int, headers: Mapping[str, str]) -> Writer | None:
        self.told.append((status, headers.get("etag", "")))
        return self.file.write if status == 200 else None


async def test_a_body_goes_where_the_receiver_says_once_it_knows_the_status_and_the_headers() -> None:
    taker = Taker()
    with HttpSink([Reply(200, {"etag": '"1"'}, BODY * 50_000)]) as sink:
        fetched = await _fetch(sink.url(), into=taker)
        assert sink.requests[0].headers["accept-encoding"] == "identity", "only the file's own bytes can be resumed"
    assert (taker.file.getvalue(), fetched.body, taker.told) == (BODY * 50_000, b"", [(200, '"1"')])


async def test_of_a_body_that_nobody_wants_only_the_beginning_is_kept() -> None:
    taker = Taker()
    with HttpSink([Reply(503, fault=Fault.ENDLESS_BODY)]) as sink:
        fetched = await _fetch(sink.url(), into=taker)
    assert (taker.file.getvalue(), len(fetched.body), fetched.status) == (b"", 4096, 503)


async def test_a_disk_that_refuses_is_no_trouble_of_the_network() -> None:
    def full(_piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    with HttpSink([Reply(body=BODY)]) as sink, pytest.raises(OSError, match="No space left"):
        await _fetch(sink.url(), into=lambda _status, _headers: full)


# --- redirects


@pytest.mark.parametrize("status", REDIRECTS)
async def test_redirects_are_followed_only_where_asked_for(status: int) -> None:
    with HttpSink([Reply(body=BODY)]) as last, HttpSink([Reply(status, {"location": last.url("/x#here")}, b"moved")]) as first:
        asked = await _fetch(first.url(), redirects=1)
        assert (asked.status, asked.body, asked.url) == (200, BODY, last.url("/x"))
        plain = await _fetch(first.url())
        assert (plain.status, plain.body, plain.url) == (status, b"moved", first.url())


async def test_a_place_named_in_part_is_on_the_same_host() -> None:
    moves = [Reply(302, {"location": "/second?x=1"}), Reply(302, {"location": "third"}), Reply(body=BODY)]
    with HttpSink(moves) as sink:
        fetched = await _fetch(sink.url("/a/first"), redirects=3, credentials={"authorization": "Bearer x"})
        assert [request.path for request in sink.requests] == ["/a/first", "/second?x=1", "/third"]
        assert {request.headers.get("authorization") for request in sink.requests} == {"Bearer x"}
    assert fetched.url == sink.url("/third")


async def test_more_redirects_than_allowed_are_an_error() -> None:
    with HttpSink([Reply(302, {"location": "/again"})]) as sink:
        with pytest.raises(UnreachableError, match="redirected more than 3 times"):
            await _fetch(sink.url(), redirects=3)
        assert len(sink.requests) == 4


async def test_no_secret_goes_to_another_host_nor_comes_back_with_it() -> None:
    with HttpSink(host="127.0.0.2") as other, HttpSink() as sink:
        sink.replies = [Reply(302, {"location": other.url("/there")}), Reply(body=BODY)]
        other.replies = [Reply(302, {"location": sink.url("/back")})]
        headers = {"x-kind": "test", "Authorization": "Basic canary", "Cookie": "canary"}
        await _fetch(sink.url(), redirects=3, headers=headers, credentials={"x-api-key": "canary"})
        first, back = sink.requests
        (there,) = other.requests
    assert (first.headers["x-api-key"], first.headers["authorization"], first.headers["cookie"]) == (
        "canary",
        "Basic canary",
        "canary",
    )
    for request in (there, back):
        assert "canary" not in "".join(request.headers.values())
        assert request.headers["x-kind"] == "test"
    assert there.headers["host"] == f"127.0.0.2:{other.port}"


async def test_another_port_is_another_host() -> None:
    with HttpSink() as other, HttpSink([Reply(302, {"location": other.url()})]) as sink:
        await _fetch(sink.url(), redirects=1, credentials={"x-api-key": "canary"})
        assert "x-api-key" not in other.requests[0].headers


async def test_a_redirect_from_https_to_plain_http_is_never_followed() -> None:
    with HttpSink() as plain, HttpSink([Reply(302, {"location": plain.url()})], tls_names=("127.0.0.1",)) as sink:
        outgoing = Outgoing(LOOPBACK, way=Way(ca_file=str(sink.ca_file)))
        with pytest.raises(ForbiddenAddressError, match="from https to plain http"):
            await _fetch(sink.url(), redirects=3, outgoing=outgoing)
        assert plain.connections == 0


async def test_a_redirect_from_plain_http_to_https_is_followed() -> None:
    with HttpSink([Reply(body=BODY)], tls_names=("127.0.0.1",)) as secure, HttpSink() as sink:
        sink.replies = [Reply(302, {"location": secure.url()})]
        outgoing = Outgoing(LOOPBACK, way=Way(ca_file=str(secure.ca_file)))
        assert (await _fetch(sink.url(), redirects=1, outgoing=outgoing)).body == BODY


@pytest.mark.parametrize("location", ["http://user:pw@127.0.0.1/", "https://ex ample/", "//[::1", "http://\xe4.example/", "#"])
async def test_a_redirect_to_what_is_oddly_spelled_is_refused(location: str) -> None:
    with HttpSink([_raw(f"302 Moved\r\nlocation: {location}\r\ncontent-length: 0", b"")]) as sink:
        with pytest.raises(ForbiddenAddressError, match="redirects to an "):
            await _fetch(sink.url(), redirects=3)
        assert len(sink.requests) == 1


async def test_every_place_on_the_way_is_judged_anew() -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1" if host == "first.example.test" else "10.0.0.1"]

    with HttpSink() as sink:
        sink.replies = [Reply(302, {"location": f"http://second.example.test:{sink.port}/"})]
        outgoing = Outgoing(LOOPBACK, resolver=resolve)
        with pytest.raises(ForbiddenAddressError):
            await _fetch(f"http://first.example.test:{sink.port}/", redirects=3, outgoing=outgoing)
    assert asked == ["first.example.test", "second.example.test"]


# --- secrets


async def test_nothing_of_a_url_a_query_or_a_header_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    replies = [
        Reply(fault=Fault.CUT),
        Reply(fault=Fault.CUT_IN_BODY),
        _packed(b"canary"),
        Reply(302, {"location": "/canary?canary"}),
        Reply(302, {"location": "http://10.0.0.1/canary?canary"}),
        Reply(302, {"location": "http://canary:canary@127.0.0.1/"}),
        Reply(200, {"content-length": str(1 << 50)}, b"canary"),
    ]
    for reply in replies:
        with HttpSink([reply]) as sink, pytest.raises((UnreachableError, ForbiddenAddressError)) as caught:
            await _fetch(sink.url("/canary?canary"), redirects=2, credentials={"authorization": "canary"})
        told.append(str(caught.value))
    with HttpSink([Reply(body=b"canary")]) as sink:
        told.append(repr(await _fetch(sink.url("/canary?canary"))))
    assert "canary" not in "".join(told)
    assert "canary" not in caplog.text


# --- the machine's own rights


def test_only_the_client_made_for_it_reaches_the_metadata_service() -> None:
    everything = Reach((ipaddress.ip_network("100.64.0.0/10"), ipaddress.ip_network("0.0.0.0/0")))
    mapped = ipaddress.IPv6Address(f"::ffff:{METADATA_SERVICE}")
    for address in (METADATA_SERVICE, mapped, ipaddress.IPv6Address("64:ff9b::6464:64c8")):
        assert not everything.may_be_dialled(address, 80)
        assert not everything.is_listed(address)
    metadata = Reach(is_for_metadata=True)
    assert metadata.may_be_dialled(METADATA_SERVICE, 80)
    for text in ("1.1.1.1", "127.0.0.1", "10.0.0.1", "100.100.100.100", "2606:4700::1111"):
        assert not metadata.may_be_dialled(ipaddress.ip_address(text), 80)


@pytest.mark.parametrize("url", ["http://100.100.100.200/latest/", "https://100.100.100.200/", "http://[::ffff:6464:64c8]/"])
async def test_no_list_of_networks_opens_the_metadata_service(url: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        await _fetch(url, outgoing=Outgoing((ipaddress.ip_network("100.64.0.0/10"),)))


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://name.example.test:{port}/", "https://1.1.1.1/"])
async def test_the_client_for_the_metadata_service_calls_nothing_else(url: str) -> None:
    with HttpSink() as sink:
        with pytest.raises(ForbiddenAddressError):
            await _fetch(url.format(port=sink.port), outgoing=Outgoing.to_metadata_service())
        assert sink.connections == 0
