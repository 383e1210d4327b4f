"""An https endpoint as a source: what changed comes whole, over several connections if need be, and a login page is no bill."""

from __future__ import annotations

import base64
import gzip
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from endpoint_watch import LOOPBACK, StopWatch
from folders import environment
from scratch_memory import ScratchMemory
from servers_file import FileServer
from servers_http import Fault, HttpSink, Reply
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.outgoing import Outgoing
from spendwatch.sources.download_store import DownloadStore, Incoming
from spendwatch.sources.trouble import EndpointError, Failure
from spendwatch.sources.url.answers import file_name
from spendwatch.sources.url.settings import UrlConfig
from spendwatch.sources.url.source import UrlSource

pytestmark = pytest.mark.anyio

BILL = "账单信息/账单月份,应付信息/应付金额（含税）\n202609,0.000069\n".encode()
JSON = {"content-type": "application/json"}
SECRET = "canary-secret"


class Asking:
    """A source on one address."""

    def __init__(self, url: str, place: Path, *, timeout: str = "60s", **said: object) -> None:
        self.place = place
        self.watch = StopWatch()
        self.memory = ScratchMemory(place.with_name(f"{place.name}.db"))
        self.config = UrlConfig.model_validate({"type": "url", "url": url, "timeout": timeout, **said})
        self.source = self.restarted()

    def restarted(self) -> UrlSource:
        downloads = DownloadStore(self.place, SourceName("feed"), self.memory, self.watch.monotonic)
        self.source = UrlSource(downloads, Outgoing(LOOPBACK), self.config)
        return self.source

    async def round(self, *, after: float = 3600) -> Sequence[BillFile]:
        self.watch.pass_by(after)
        await self.source.fetch(self.watch.now)
        files: list[BillFile] = []
        try:
            for file in self.source.arrivals(self.watch.now):
                files += [file]
        except SourceUnavailableError:
            pass
        return files

    async def enter(self) -> Sequence[tuple[str, bytes]]:
        """Fetch, put everything away as a ledger would, and return what it was."""
        files = await self.round()
        taken = [(file.name, file.path.read_bytes()) for file in files]
        for file in files:
            self.source.keep(file)
        return taken

    @property
    def trouble(self) -> Failure | None:
        return self.source.trouble.trouble if isinstance(self.source.trouble, EndpointError) else None

    def half(self) -> bytes:
        path = self.place / "incoming" / "resumed.download"
        return path.read_bytes() if path.exists() else b""


@dataclass(frozen=True)
class Stage:
    """A server with one file, and a source that asks for it."""

    server: FileServer
    asking: Asking


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with FileServer(BILL) as server:
        yield Stage(server, Asking(server.url(), tmp_path / "feed"))


# --- one file


async def test_a_bill_is_given_once_under_the_name_that_the_endpoint_tells(stage: Stage) -> None:
    stage.server.served.headers = {
        "content-disposition": 'attachment; filename="1000000000000001_BillingItemDetail_202609.csv"'
    }
    (file,) = await stage.asking.round()
    assert (file.name, file.size, file.source) == ("1000000000000001_BillingItemDetail_202609.csv", len(BILL), "feed")
    assert file.path.read_bytes() == BILL
    assert file.path.stat().st_mode & 0o777 == 0o600
    stage.asking.source.keep(file)
    assert (stage.asking.place / "originals" / "done" / file.name).read_bytes() == BILL
    assert stage.asking.half() == b""


async def test_a_bill_fetched_after_the_clock_was_set_back_is_called_newer_than_the_one_before(tmp_path: Path) -> None:
    with HttpSink([Reply(200, {}, BILL), Reply(200, {}, BILL + b"202609,2\n")]) as sink:
        asking = Asking(sink.url("/hooks/bills"), tmp_path / "feed")
        asking.watch.now += timedelta(days=30)
        ((first, _),) = await asking.enter()
        asking.watch.now -= timedelta(days=30)
        asking.restarted()
        ((second, _),) = await asking.enter()
    assert second > first


async def test_what_did_not_change_is_not_even_sent_again_nor_after_a_restart(stage: Stage) -> None:
    assert await stage.asking.enter() == [("bill.csv", BILL)]
    stage.asking.restarted()
    assert await stage.asking.enter() == []
    assert stage.asking.trouble is None
    assert stage.server.sent == len(BILL)
    assert stage.server.requests[1].headers["if-none-match"] == stage.server.etag
    stage.server.served.content = BILL + b"202609,1\n"
    assert await stage.asking.enter() == [("bill.csv", BILL + b"202609,1\n")]


async def test_a_server_without_validators_is_asked_again_and_its_bytes_compared(stage: Stage) -> None:
    stage.server.served.has_etag = False
    stage.server.served.headers = {"last-modified": "Sat, 05 Sep 2026 04:00:00 GMT"}
    assert len(await stage.asking.enter()) == 1
    assert await stage.asking.enter() == []
    assert stage.server.requests[1].headers["if-modified-since"] == "Sat, 05 Sep 2026 04:00:00 GMT"
    assert "if-none-match" not in stage.server.requests[1].headers
    assert stage.server.sent == 2 * len(BILL)


async def test_what_is_remembered_of_one_address_is_not_used_for_another(stage: Stage, tmp_path: Path) -> None:
    await stage.asking.enter()
    other = Asking(stage.server.url("/other.csv"), tmp_path / "feed")
    assert await other.enter() == [("other.csv", BILL)]
    assert "if-none-match" not in stage.server.requests[1].headers


async def test_not_modified_without_having_been_asked_is_no_answer(tmp_path: Path) -> None:
    with HttpSink([Reply(304)]) as sink:
        asking = Asking(sink.url(), tmp_path / "feed")
        assert await asking.round() == []
    assert asking.trouble is Failure.REFUSED


async def test_a_file_that_was_left_waits_and_one_that_was_refused_is_not_given_again(stage: Stage) -> None:
    (file,) = await stage.asking.round()
    stage.asking.source.leave(file)
    (again,) = await stage.asking.round()
    assert again == BillFile(file.name, file.path, file.size, file.source, stage.asking.watch.now)
    stage.asking.source.reject(again, "no bill of ours")
    assert await stage.asking.round() == []
    why = stage.asking.place / "originals" / "rejected" / "bill.csv.why.txt"
    assert why.read_text(encoding="utf-8") == "no bill of ours\n"


async def test_two_versions_under_one_name_lie_beside_each_other(stage: Stage) -> None:
    await stage.asking.round()
    stage.server.served.content = BILL + b"202609,1\n"
    assert [file.name for file in await stage.asking.round()] == ["bill.csv", "bill.csv"]


async def test_a_packed_answer_is_unpacked_and_never_resumed(stage: Stage) -> None:
    stage.server.served.content = gzip.compress(BILL)
    stage.server.served.headers = {"content-encoding": "gzip"}
    assert await stage.asking.enter() == [("bill.csv", BILL)]
    stage.server.served.content = gzip.compress(BILL * 5000, 0)
    stage.server.served.cut_after = 100_000
    assert await stage.asking.enter() == []
    assert (stage.asking.trouble, stage.asking.half()) == (Failure.UNREACHABLE, b"")


# --- over several connections


BIG = BILL * 20_000


async def test_a_connection_that_breaks_is_gone_on_with_where_it_broke(stage: Stage) -> None:
    stage.server.served.content, stage.server.served.cut_after = BIG, 500_000
    assert await stage.asking.enter() == []
    assert stage.asking.trouble is Failure.UNREACHABLE
    assert stage.asking.half() == BIG[:500_000]
    assert await stage.asking.enter() == []
    stage.asking.restarted()
    stage.server.served.cut_after = None
    assert await stage.asking.enter() == [("bill.csv", BIG)]
    assert [request.headers.get("range") for request in stage.server.requests] == [None, "bytes=500000-", "bytes=1000000-"]
    assert {request.headers["if-range"] for request in stage.server.requests[1:]} == {stage.server.etag}
    assert stage.server.sent == len(BIG), "not a byte came twice"


async def test_a_bill_that_changed_meanwhile_is_begun_anew(stage: Stage) -> None:
    stage.server.served.content, stage.server.served.cut_after = BIG, 500_000
    await stage.asking.enter()
    stage.server.served.content, stage.server.served.cut_after = BIG[::-1], None
    assert await stage.asking.enter() == [("bill.csv", BIG[::-1])]


async def test_a_server_that_knows_no_parts_sends_the_whole_again(stage: Stage) -> None:
    stage.server.served.content, stage.server.served.cut_after = BIG, 500_000
    await stage.asking.enter()
    stage.server.served.knows_parts, stage.server.served.cut_after = False, None
    assert await stage.asking.enter() == [("bill.csv", BIG)]


@pytest.mark.parametrize("validator", ["weak", "none"])
async def test_without_a_strong_validator_nothing_is_kept_of_a_half(validator: str, stage: Stage) -> None:
    stage.server.served.content, stage.server.served.cut_after = BIG, 500_000
    stage.server.served.is_weak, stage.server.served.has_etag = validator == "weak", validator != "none"
    await stage.asking.enter()
    assert stage.asking.half() == b""
    stage.server.served.cut_after = None
    assert await stage.asking.enter() == [("bill.csv", BIG)]
    assert "range" not in stage.server.requests[1].headers


@pytest.mark.parametrize(
    "falsify",
    [
        {"content-range": f"bytes 0-{len(BIG) - 1}/{len(BIG)}"},
        {"content-range": f"bytes 500000-{len(BIG) - 2}/{len(BIG)}"},
        {"content-range": f"bytes 500000-{len(BIG) - 1}/*"},
        {"content-range": f"bytes 500000-{len(BIG) - 1}/99999999999"},
        {"content-range": ""},
        {"content-range": "nonsense"},
        {"etag": '"another"'},
        {"content-encoding": "gzip"},
    ],
)
async def test_a_part_that_does_not_fit_is_never_joined(falsify: dict[str, str], stage: Stage) -> None:
    stage.server.served.content, stage.server.served.cut_after = BIG, 500_000
    await stage.asking.enter()
    stage.server.served.cut_after, stage.server.served.falsify = None, falsify
    assert await stage.asking.enter() == []
    assert stage.asking.trouble is Failure.UNEXPECTED
    assert stage.asking.half() == b""
    stage.server.served.falsify = {}
    assert await stage.asking.enter() == [("bill.csv", BIG)]


async def test_a_rest_that_is_shorter_than_announced_is_no_whole(stage: Stage) -> None:
    stage.server.served.content, stage.server.served.cut_after = BIG, 500_000
    await stage.asking.enter()
    stage.server.served.cut_after, stage.server.served.rest = None, b"short"
    assert await stage.asking.enter() == []
    assert (stage.asking.trouble, stage.asking.half()) == (Failure.CHANGING, b"")
    assert f"500005 bytes arrived, {len(BIG)} were announced" in str(stage.asking.source.trouble)


async def test_a_part_that_the_server_no_longer_has_is_dropped(stage: Stage) -> None:
    stage.server.served.content, stage.server.served.cut_after = BIG, 500_000
    await stage.asking.enter()
    stage.server.served.cut_after, stage.server.served.has_part = None, False
    assert await stage.asking.enter() == []
    assert (stage.asking.trouble, stage.asking.half()) == (Failure.REFUSED, b"")
    assert await stage.asking.enter() == [("bill.csv", BIG)]


def _killed_while_fetching(url: str, place: Path, *, once_it_has: int) -> None:
    """Let a real process fetch, and kill it when so many bytes are there."""
    program = f"""
import asyncio
from pathlib import Path
from test_url import Asking
asyncio.run(Asking({url!r}, Path({str(place)!r})).round())
"""
    half = place / "incoming" / "resumed.download"
    with subprocess.Popen([sys.executable, "-c", program], env=environment()) as process:
        while not half.exists() or half.stat().st_size < once_it_has:
            assert process.poll() is None, "it ended before it was killed"
            threading.Event().wait(0.01)
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("has_part_already", [False, True])
async def test_a_kill_in_the_middle_gives_nothing_and_what_was_not_stored_is_not_gone_on_with(
    *, has_part_already: bool, stage: Stage
) -> None:
    stage.server.served.content, stage.server.served.cut_after = BIG, 300_000
    if has_part_already:
        await stage.asking.enter()
    stage.server.served.stalls = True
    _killed_while_fetching(stage.server.url(), stage.asking.place, once_it_has=600_000 if has_part_already else 300_000)
    stage.asking.restarted()
    assert list(stage.asking.source.arrivals(stage.asking.watch.now)) == []
    stage.server.served.cut_after = None
    assert await stage.asking.enter() == [("bill.csv", BIG)]
    assert "range" not in stage.server.requests[-1].headers


async def test_a_version_that_replaced_another_s_half_is_never_joined_to_it(stage: Stage) -> None:
    stage.server.served.content, stage.server.served.cut_after = BIG, 300_000
    await stage.asking.enter()
    stage.server.served.content, stage.server.served.stalls, stage.server.served.cut_after = BIG[::-1], True, 400_000
    _killed_while_fetching(stage.server.url(), stage.asking.place, once_it_has=400_000)
    stage.server.served.content, stage.server.served.stalls, stage.server.served.cut_after = BIG, False, None
    stage.asking.restarted()
    assert await stage.asking.enter() == [("bill.csv", BIG)]


async def test_an_address_that_cannot_be_reached_keeps_the_half(stage: Stage) -> None:
    stage.server.served.content, stage.server.served.cut_after = BIG, 300_000
    await stage.asking.enter()
    stage.server.served.cut_after = 0
    await stage.asking.enter()
    assert len(stage.asking.half()) == 300_000
    stage.server.served.cut_after = None
    assert await stage.asking.enter() == [("bill.csv", BIG)]
    assert stage.server.sent == len(BIG)


async def test_two_processes_never_write_into_one_half(stage: Stage) -> None:
    (stage.asking.place / "incoming").mkdir(parents=True, mode=0o700)
    other = Incoming(stage.asking.place / "incoming" / "resumed.download", is_new=False)
    assert await stage.asking.round() == []
    assert "cannot be used: Resource temporarily unavailable" in str(stage.asking.source.trouble)
    other.close()
    assert len(await stage.asking.round()) == 1


# --- what is no bill


NO_BILLS: Sequence[tuple[str, Reply, Failure, str]] = [
    ("empty", Reply(200, JSON), Failure.NOT_A_BILL, "an empty answer"),
    ("blank", Reply(200, {}, b" \r\n\xef\xbb\xbf"), Failure.NOT_A_BILL, "an empty answer"),
    ("login", Reply(200, {}, b"\xef\xbb\xbf\n<!doctype html><title>Sign in"), Failure.NOT_A_BILL, "HTML or XML page"),
    ("xml", Reply(200, JSON, b"<Error><Code>x</Code></Error>"), Failure.NOT_A_BILL, "HTML or XML"),
    ("html", Reply(200, {"content-type": "Text/HTML; charset=x"}, BILL), Failure.NOT_A_BILL, "claims to be HTML"),
    ("half", Reply(200, JSON, b'{"Data": {"Items": ['), Failure.NOT_A_BILL, "it is not JSON"),
    ("nan", Reply(200, JSON, b'{"Data": {"a": NaN}}'), Failure.NOT_A_BILL, "NaN is no number"),
    ("twice", Reply(200, JSON, b'{"Data": {}, "Data": {}}'), Failure.NOT_A_BILL, "'Data' is in it twice"),
    ("error", Reply(200, JSON, b'{"Code": "NoPermission", "Message": "no \\u202e"}'), Failure.NOT_A_BILL, "'no \\\\u202e'"),
    ("failed", Reply(200, JSON, b'{"success": false, "data": {}}'), Failure.NOT_A_BILL, "an error instead of a bill"),
    ("oauth", Reply(200, JSON, b'{"error": {"code": 1}}'), Failure.NOT_A_BILL, "an error instead of a bill"),
    ("nothing", Reply(200, JSON, b"{}"), Failure.NOT_A_BILL, "an empty answer"),
    ("no list", Reply(200, JSON, b"[]"), Failure.NOT_A_BILL, "an empty answer"),
    ("401", Reply(401, {}, b"who are you"), Failure.CREDENTIALS, "status 401: 'who are you'"),
    ("403", Reply(403, {}, b"<html>no</html>"), Failure.PERMISSION, "status 403$"),
    ("404", Reply(404), Failure.REFUSED, "status 404$"),
    ("429", Reply(429, {"retry-after": "120"}), Failure.THROTTLED, "status 429"),
    ("500", Reply(500), Failure.UNAVAILABLE, "status 500"),
    ("503", Reply(503, {"retry-after": "120"}, f"{SECRET} Bearer".encode()), Failure.UNAVAILABLE, r"'\*\*\* Bearer'"),
    ("300", Reply(300, {}), Failure.REFUSED, "status 300"),
    ("unasked part", Reply(206, {"content-range": "bytes 0-9/10"}, BILL[:10]), Failure.UNEXPECTED, "not requested"),
    ("cut", Reply(200, {"content-length": "9999"}, BILL), Failure.UNREACHABLE, "cut off in the middle"),
    ("huge", Reply(200, {"content-length": "2000000001"}, BILL), Failure.UNREACHABLE, "larger than 2000000 bytes"),
    ("silent", Reply(fault=Fault.SILENT), Failure.UNREACHABLE, "timed out|no whole answer"),
    ("garbage", Reply(fault=Fault.GARBAGE), Failure.UNREACHABLE, "cut off"),
]


@pytest.mark.parametrize(("reply", "trouble", "says"), [one[1:] for one in NO_BILLS], ids=[one[0] for one in NO_BILLS])
async def test_what_is_no_bill_is_told_and_not_given_and_forgotten_with_the_next_honest_answer(
    reply: Reply, trouble: Failure, says: str, tmp_path: Path
) -> None:
    with HttpSink([reply, Reply(200, {}, BILL)]) as sink:
        url = sink.url("/canary?canary")
        patience = "1s" if reply.fault is Fault.SILENT else "60s"  # a slow machine must not make a silent one of another
        asking = Asking(url, tmp_path / "feed", timeout=patience, auth="bearer", secret=SECRET, max_megabytes=2)
        assert await asking.round() == []
        assert asking.trouble is trouble
        assert re.search(says, str(asking.source.trouble))
        assert "canary" not in repr(asking.source.trouble)
        assert asking.half() == b""
        (file,) = await asking.round()
    assert asking.source.trouble is None
    assert file.path.read_bytes() == BILL


async def test_after_trouble_a_pause_grows_and_an_endpoint_may_ask_for_a_longer_one(tmp_path: Path) -> None:
    replies = [Reply(503), Reply(503), Reply(429, {"retry-after": "600"}), Reply(200, {}, BILL)]
    with HttpSink(replies) as sink:
        asking = Asking(sink.url(), tmp_path / "feed")
        await asking.round()
        for asked, pause in enumerate((30, 60, 600), start=1):
            await asking.round(after=pause - 1)
            assert (len(sink.requests), asking.trouble is None) == (asked, False)
            await asking.round(after=1)
        assert (len(sink.requests), asking.source.trouble) == (4, None)


async def test_a_large_document_is_left_to_whoever_reads_it(stage: Stage, tmp_path: Path) -> None:
    stage.server.served.content = b'[{"Data": {"Items": [' + b"7," * 40_000_000
    ((_, content),) = await Asking(stage.server.url(), tmp_path / "large").enter()
    assert len(content) == len(stage.server.served.content)


# --- by what right


@pytest.mark.parametrize(
    ("said", "header", "value"),
    [
        ({"auth": "bearer", "secret": SECRET}, "authorization", f"Bearer {SECRET}"),
        (
            {"auth": "basic", "username": "finops", "secret": SECRET},
            "authorization",
            f"Basic {base64.b64encode(f'finops:{SECRET}'.encode()).decode()}",
        ),
        ({"auth": "header", "header": "X-Api-Key", "secret": SECRET}, "x-api-key", SECRET),
        ({}, "authorization", None),
    ],
)
async def test_who_we_are_is_said_to_the_endpoint_and_to_nobody_it_sends_us_to(
    said: dict[str, str], header: str, value: str | None, tmp_path: Path
) -> None:
    with HttpSink([Reply(200, {}, BILL)], host="127.0.0.2") as store, HttpSink() as sink:
        sink.replies = [Reply(302, {"location": store.url("/1000000000000001-20260905_bill.csv?signature=canary")})]
        asking = Asking(sink.url(), tmp_path / "feed", **said)
        (file,) = await asking.round()
        assert sink.requests[0].headers.get(header) == value
        assert header not in store.requests[0].headers
        assert SECRET not in f"{asking.config!r} {asking.source!r} {store.requests[0].headers}"
    assert file.name == "1000000000000001-20260905_bill.csv"


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"auth": "basic", "secret": SECRET}, "needs also username"),
        ({"auth": "header", "secret": SECRET}, "needs also header"),
        ({"auth": "bearer"}, "needs also auth_file"),
        ({"auth": "header", "header": "Range", "secret": SECRET}, "the header Range is reserved"),
        ({"auth": "header", "header": "a b", "secret": SECRET}, "pattern"),
        ({"auth": "bearer", "secret": f"{SECRET}\nx: y"}, "characters that are not allowed in a header"),
        ({"auth": "bearer", "secret": f"{SECRET}ä"}, "characters that are not allowed in a header"),
        ({"auth": "digest"}, "'none', 'bearer', 'basic' or 'header'"),
        ({"secret_flie": "x"}, "secret_flie"),
        ({"max_megabytes": 0}, "greater than or equal to 1"),
        ({"poll": "0s"}, "a second at least"),
        ({"token_field": "a..b"}, "pattern"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_with_it(said: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        UrlConfig.model_validate({"type": "url", "url": "https://canary.example.com/", **said})
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


# --- pages


def _page(number: int, token: object = "", total: object = 3, **head: object) -> bytes:
    data = {"TotalCount": total, "NextToken": token, "Items": [{"InstanceID": f"i-{number}"}]}
    return json.dumps({"RequestId": f"R-{number}", "Data": data, **head}).encode()


def _pages(*bodies: bytes, links: Sequence[str] = ()) -> list[Reply]:
    all_links = (*links, *("" for _ in bodies))
    return [
        Reply(200, {**JSON, **({"link": link} if link else {})}, body) for body, link in zip(bodies, all_links, strict=False)
    ]


async def test_pages_that_are_named_by_links_are_one_file(tmp_path: Path) -> None:
    bodies = [_page(1), _page(2), _page(3)]
    links = ['</bills?page=2>; rel="next last"', '<http://example.com/>; rel=prev, <?page=3&x=%2B>;title="a,b" ; rel=NEXT']
    with HttpSink(_pages(*bodies, links=links)) as sink:
        asking = Asking(sink.url("/bills"), tmp_path / "feed", paging="link", auth="bearer", secret=SECRET)
        ((name, content),) = await asking.enter()
        assert [request.path for request in sink.requests] == ["/bills", "/bills?page=2", "/bills?page=3&x=%2B"]
        assert {request.headers["authorization"] for request in sink.requests} == {f"Bearer {SECRET}"}
    assert content == b"[" + b",\n".join(bodies) + b"]\n"
    assert name == "feed_20260905130000.json"


async def test_pages_that_are_named_by_a_token_are_one_file(tmp_path: Path) -> None:
    bodies = [_page(1, "T=&1"), _page(2, "T2"), _page(3, None)]
    with HttpSink(_pages(*bodies)) as sink:
        asking = Asking(sink.url("/bills?a=b&NextToken=x"), tmp_path / "feed", paging="token")
        ((_, content),) = await asking.enter()
        assert [request.path for request in sink.requests] == [
            "/bills?a=b&NextToken=x",
            "/bills?a=b&NextToken=T%3D%261",
            "/bills?a=b&NextToken=T2",
        ]
    assert [page["Data"]["Items"] for page in json.loads(content)] == [[{"InstanceID": f"i-{n}"}] for n in (1, 2, 3)]


async def test_pages_that_say_the_same_under_another_request_id_are_not_given_again(tmp_path: Path) -> None:
    first = [_page(1, "T", total=2), _page(2, total=2)]
    again = [body.replace(b"R-", b"R-7") for body in first]
    changed = [first[0], first[1].replace(b"i-2", b"i-9")]
    with HttpSink(_pages(*first, *again, *changed)) as sink:
        asking = Asking(sink.url("/bills"), tmp_path / "feed", paging="token")
        assert len(await asking.enter()) == 1
        asking.restarted()
        assert await asking.enter() == []
        assert len(await asking.enter()) == 1


LOOP = '</bills?page=2>; rel="next"'
NO_ONE_BILL: Sequence[tuple[str, str, list[Reply], Failure, str]] = [
    ("loop", "link", _pages(_page(1), _page(2), links=[LOOP, LOOP]), Failure.UNEXPECTED, "the same next page again"),
    ("home", "link", _pages(_page(1), links=["</bills>; rel=next"]), Failure.UNEXPECTED, "the same next page again"),
    ("same token", "token", _pages(_page(1, "T"), _page(2, "T")), Failure.UNEXPECTED, "the same next page again"),
    ("away", "link", _pages(_page(1), links=["<https://evil.example.com/>; rel=next"]), Failure.UNEXPECTED, "on another host"),
    ("number", "token", _pages(_page(1, 7)), Failure.UNEXPECTED, "Data.NextToken is not a token"),
    ("twice", "token", _pages(_page(1, "T"), _page(1, "T")), Failure.CHANGING, "the same page came twice"),
    ("too few", "token", _pages(_page(1, "T"), _page(2)), Failure.CHANGING, "2 lines arrived, not the announced number"),
    ("changing", "token", _pages(_page(1, "T", 2), _page(2, "", 3)), Failure.CHANGING, "2 lines arrived"),
    ("not json", "token", _pages(BILL), Failure.NOT_A_BILL, "it is not JSON"),
    ("login", "token", _pages(_page(1, "T"), b"<html>"), Failure.NOT_A_BILL, "it is not JSON"),
    ("error", "token", _pages(_page(1, "T"), b'{"Code": "x"}'), Failure.NOT_A_BILL, "an error instead of a bill: 'x'"),
    ("503", "token", [*_pages(_page(1, "T")), Reply(503)], Failure.UNAVAILABLE, "status 503"),
    ("cut", "token", [*_pages(_page(1, "T")), Reply(fault=Fault.CUT)], Failure.UNREACHABLE, "cut off"),
    ("redirect", "token", [Reply(302, {"location": "/x"})], Failure.REFUSED, "status 302"),
]


@pytest.mark.parametrize(
    ("paging", "replies", "trouble", "says"), [one[1:] for one in NO_ONE_BILL], ids=[one[0] for one in NO_ONE_BILL]
)
async def test_pages_that_are_no_one_bill_are_told_and_not_given(
    *, paging: str, replies: list[Reply], trouble: Failure, says: str, tmp_path: Path
) -> None:
    rounds = 3 if trouble is Failure.CHANGING else 1
    with HttpSink([*replies * rounds, *_pages(_page(1, total=1))]) as sink:
        asking = Asking(sink.url("/bills"), tmp_path / "feed", paging=paging)
        assert await asking.round() == []
        assert asking.trouble is trouble
        assert re.search(says, str(asking.source.trouble))
        assert len(sink.requests) == len(replies) * rounds
        assert list((asking.place / "incoming").iterdir()) == []
        assert len(await asking.round()) == 1
    assert asking.source.trouble is None


async def test_pages_that_change_are_begun_anew_at_once(tmp_path: Path) -> None:
    with HttpSink(_pages(_page(1, "T", 2), _page(2, "", 3), _page(1, "T", 2), _page(2, "", 2))) as sink:
        asking = Asking(sink.url("/bills"), tmp_path / "feed", paging="token")
        ((_, content),) = await asking.enter()
    assert len(json.loads(content)) == 2


async def test_endless_pages_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spendwatch.sources.url.pages.MOST_PAGES", 5)
    with HttpSink(_pages(*(_page(number, f"T{number}") for number in range(9)))) as sink:
        asking = Asking(sink.url("/bills"), tmp_path / "feed", paging="token")
        await asking.round()
        assert (asking.trouble, len(sink.requests)) == (Failure.UNEXPECTED, 5)


async def test_pages_that_are_too_large_together_are_given_up(tmp_path: Path) -> None:
    bodies = [_page(number, f"T{number}", filler="x" * 400_000) for number in range(9)]
    with HttpSink(_pages(*bodies)) as sink:
        asking = Asking(sink.url("/bills"), tmp_path / "feed", paging="token", max_megabytes=1)
        await asking.round()
        assert len(sink.requests) == 3
    assert "larger than 1000000 bytes together" in str(asking.source.trouble)


# --- names


@pytest.mark.parametrize(
    ("headers", "path", "name"),
    [
        ({"content-disposition": 'attachment; filename="bill 9.csv"'}, "/x", "bill_9.csv"),
        ({"content-disposition": "attachment; filename*=UTF-8''%E8%B4%A6%E5%8D%95.csv"}, "/x", "账单.csv"),
        ({"content-disposition": 'attachment; filename="../../etc/passwd"'}, "/x", "passwd.csv"),
        ({"content-disposition": 'attachment; filename="..\\\\..\\\\boot.ini.csv"'}, "/x", "boot.ini.csv"),
        ({"content-disposition": 'attachment; filename=".hidden.csv"'}, "/x", "hidden.csv"),
        ({"content-disposition": 'attachment; filename="a\x00\x1b\u202eb.csv"'}, "/x", "a___b.csv"),
        ({"content-disposition": "attachment; filename*=nonsense''%ff.csv"}, "/a.zip", "ÿ.csv"),
        ({"content-disposition": f'attachment; filename="{"账" * 200}.csv"'}, "/x", f"{'账' * 50}.csv"),
        ({"content-disposition": 'attachment; filename="a.muchtoolongforasuffix"'}, "/x", "a.muchtoolongforasuffix.csv"),
        ({"content-disposition": "inline"}, "/bills/2026%2F09.csv", "09.csv"),
        ({"content-disposition": ""}, "/secret-path-token", "feed_20260905120000.csv"),
        ({}, "/hooks/secret-token/", "feed_20260905120000.csv"),
        ({}, f"/{'x' * 400}.csv", f"{'x' * 150}.csv"),
    ],
)
def test_a_file_is_called_as_the_endpoint_says_in_plain_characters(headers: dict[str, str], path: str, name: str) -> None:
    assert file_name(headers, f"https://x.example.com{path}?q=.csv", SourceName("feed"), b"a,b", "20260905120000") == name


@given(st.text(max_size=300))
def test_no_name_ever_leads_anywhere_else(text: str) -> None:
    name = file_name(
        {"content-disposition": f'attachment; filename="{text}"'}, "https://x/", SourceName("f"), b"PK", "20260905120000"
    )
    assert "/" not in name
    assert name.strip(".")
    assert not name.startswith(".")
    assert name.isprintable()
    assert len(name.encode()) <= 255
