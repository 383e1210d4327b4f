"""What an object store says that is not so: told by its name, nothing of it given, and over with the next honest answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucket_watch import Stage
from oss_lies import BUCKET, KEY_ID, LISTING_LIES, OBJECT_LIES, REFUSALS, SECRET, Call, Lie
from servers_oss import OssServer
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.sources.oss.listing import page_of
from spendwatch.sources.trouble import EndpointError, Failure

pytestmark = pytest.mark.anyio

T = Failure
ONE, TWO = "push/20260904/1000000000000001_BillingItemDetail_20260903.csv", "push/2.csv"
OBJECTS = {ONE: b"a,b\n1,2\n" * 500, TWO: b"c,d\n"}
CUT = "cut off in the middle of the answer"

LISTING: Mapping[str, tuple[Failure, str]] = {
    "empty": (T.NOT_A_BILL, "ListObjectsV2: an empty answer"),
    "blank": (T.NOT_A_BILL, "an empty answer"),
    "html": (T.NOT_A_BILL, r"the answer is no proper XML \(syntax error: line 1"),
    "xhtml": (T.NOT_A_BILL, "the response is not a listing but 'html'"),
    "json": (T.NOT_A_BILL, r"the answer is no proper XML \(not well-formed \(invalid token\): line 1"),
    "redirect": (T.REFUSED, "rejected with status 302"),
    "half": (T.NOT_A_BILL, r"is no proper XML \((no element found|unclosed token)"),
    "two documents": (T.NOT_A_BILL, r"is no proper XML \(junk after document element"),
    "bomb": (T.NOT_A_BILL, "the answer has a document type of its own"),
    "outside": (T.NOT_A_BILL, "the answer has a document type of its own"),
    "deep": (T.NOT_A_BILL, "has too many elements, or more than 64 within each other"),
    "many": (T.NOT_A_BILL, "has too many elements"),
    "long": (T.UNEXPECTED, "object 1 of a page: its Key is not 1 to 1024 bytes long"),
    "giant": (T.UNREACHABLE, "larger than 8388608 bytes"),
    "gbk": (T.NOT_A_BILL, r"is no proper XML \(multi-byte encodings are not supported"),
    "no utf8": (T.NOT_A_BILL, r"is no proper XML \(not well-formed"),
    "control": (T.NOT_A_BILL, r"is no proper XML \(not well-formed"),
    "cut": (T.UNREACHABLE, CUT),
    "silent": (T.UNREACHABLE, "timed out|no whole answer"),
    "other root": (T.NOT_A_BILL, "the response is not a listing but 'ListAllMyBucketsResult'"),
    "other bucket": (T.UNEXPECTED, "it lists the bucket 'another', requested was bills-test"),
    "other prefix": (T.UNEXPECTED, "the key 'elsewhere/2.csv' does not begin with 'push/'"),
    "no key": (T.UNEXPECTED, "object 1 of a page: its Key is not 1 to 1024 bytes long"),
    "long key": (T.UNEXPECTED, "object 1 of a page: its Key is not 1 to 1024 bytes long"),
    "no utf8 in a key": (T.UNEXPECTED, "object 1 of a page: its Key is no UTF-8"),
    "no etag": (T.UNEXPECTED, "object 1 of a page: it has no ETag"),
    "odd etag": (T.UNEXPECTED, "object 1 of a page: its ETag is none"),
    "no size": (T.UNEXPECTED, "object 1 of a page: it has no Size"),
    "negative size": (T.UNEXPECTED, "object 1 of a page: its Size is none"),
    "endless size": (T.UNEXPECTED, "object 1 of a page: its Size is none"),
    "no moment": (T.UNEXPECTED, "object 1 of a page: it has no LastModified"),
    "odd moment": (T.UNEXPECTED, "object 1 of a page: its LastModified is none"),
    "wrong count": (T.UNEXPECTED, "2 objects arrived, not the announced number"),
    "no count": (T.UNEXPECTED, "2 objects arrived, not the announced number"),
    "no end said": (T.UNEXPECTED, "it does not state whether there is more"),
    "token lost": (T.UNEXPECTED, "there is more, but no token to request it"),
    "token giant": (T.UNEXPECTED, "there is more, but no token to request it"),
    "page twice": (T.CHANGING, "the same key came twice"),
    "same token": (T.UNEXPECTED, "the same page token came again"),
    "endless pages": (T.UNEXPECTED, "more than 7 pages"),
    "empty pages": (T.UNEXPECTED, "3 empty pages in a row announce more"),
}
REFUSED: Mapping[str, tuple[Failure, str]] = {
    "no permission": (T.PERMISSION, r"not permitted \(AccessDenied\): it needs the RAM action oss:(ListObjects|GetObject)"),
    "bad signature": (
        T.CREDENTIALS,
        r"the access key is not accepted \(SignatureDoesNotMatch\): the secret does not belong to this key$",
    ),
    "unknown key": (
        T.CREDENTIALS,
        r"the access key is not accepted \(InvalidAccessKeyId\): it is not known there, deleted or disabled$",
    ),
    "bad token": (
        T.CREDENTIALS,
        r"the access key is not accepted \(InvalidSecurityToken\): it has expired, or its token belongs to another key$",
    ),
    "expired token": (T.CREDENTIALS, r"the access key is not accepted \(SecurityTokenExpired\)$"),
    "clock": (T.CLOCK, r"the time of the signature is not accepted \(RequestTimeTooSkewed\): this machine's clock is"),
    "no bucket": (T.REFUSED, r"rejected with status 404 \(NoSuchBucket\): 'The specified bucket does not exist.'"),
    "in debt": (T.REFUSED, r"rejected with status 403 \(InDebtOverdue\): 'Current user is indebted Overdue'"),
    "elsewhere": (
        T.REFUSED,
        r"the bucket is not in this region: its endpoint is 'oss-cn-beijing.aliyuncs.com' \(AccessDenied\)",
    ),
    "moved": (T.REFUSED, r"the bucket is not in this region \(PermanentRedirect\)"),
    "slow down": (T.THROTTLED, r"too many calls \(SlowDown\)"),
    "too many": (T.THROTTLED, r"too many calls \(HTTP 429\)"),
    "limit": (T.THROTTLED, r"too many calls \(TotalQpsLimitExceeded\)"),
    "unavailable": (T.UNAVAILABLE, r"rejected with status 503 \(ServiceUnavailable\): 'Please try again later.'"),
    "inner": (T.UNAVAILABLE, r"\(InternalError\): 'It says \\u202e\[31m\*\*\*\\u202e\[0m'"),
    "odd code": (T.REFUSED, "rejected with status 400: 'no'"),
    "login": (T.CREDENTIALS, r"the access key is not accepted \(HTTP 401\)"),
    "forbidden": (T.PERMISSION, r"not permitted \(HTTP 403\)"),
    "bare": (T.UNAVAILABLE, "rejected with status 502"),
    "not modified": (T.REFUSED, "rejected with status 304"),
}
OBJECT: Mapping[str, tuple[Failure, str]] = {
    "html": (T.UNEXPECTED, "GetObject 'push/2.csv': the version differs from the listed one"),
    "empty": (T.UNEXPECTED, "the version differs from the listed one"),
    "no etag": (T.UNEXPECTED, "the version differs from the listed one"),
    "other etag": (T.CHANGING, "the version differs from the listed one"),
    "unasked part": (T.UNEXPECTED, "it sends a part that was not requested"),
    "part": (T.UNEXPECTED, "it sends a part that was not requested"),
    "short": (T.UNEXPECTED, "its length is '3' bytes, 4 were listed"),
    "long": (T.UNEXPECTED, "its length is '5' bytes, 4 were listed"),
    "endless": (T.UNEXPECTED, "more than the listed 4 bytes arrived"),
    "other coding": (T.UNREACHABLE, "an encoding that was not requested"),
    "damaged gzip": (T.UNREACHABLE, "damaged or cut off"),
    "cut": (T.UNREACHABLE, CUT),
    "replaced": (T.CHANGING, r"rejected with status 412 \(PreconditionFailed\)"),
    "gone": (T.CHANGING, r"rejected with status 404 \(NoSuchKey\): 'The specified key does not exist.'"),
}


@dataclass(frozen=True)
class Liar(Stage):
    """A stand-in that lies, and the source that looks at it."""

    def lie(self, lie: Lie, to: Callable[[Call], bool]) -> None:
        """Lie to those calls."""
        self.server.lie, self.server.lies_to = lie, to
        if lie.name == "silent":
            self.wait_for("1s")

    def wait_for(self, timeout: str) -> None:
        """Wait so long for each answer from now on."""
        self.bucket.said["timeout"] = timeout
        self.bucket.restarted()

    async def expect(self, trouble: Failure, says: str) -> None:
        """Look, and check what is told, and that nothing secret is."""
        await self.bucket.round()
        told = self.bucket.source.trouble
        assert isinstance(told, EndpointError)
        assert told.trouble is trouble, str(told)
        assert re.search(says, str(told)), str(told)
        assert not any(secret in repr(told) for secret in (KEY_ID, SECRET))
        with pytest.raises(SourceUnavailableError, match=says):
            list(self.bucket.source.arrivals(self.bucket.watch.now))

    async def recover(self) -> None:
        """Look again at an honest store, and check that all is well and all is there."""
        self.server.lie = None
        if self.bucket.said["timeout"] == "1s":
            self.wait_for("60s")
        files = await self.bucket.round()
        assert self.bucket.source.trouble is None
        found = {file.name: file.path.read_bytes() for file in files}
        assert found == {key.removeprefix("push/"): content for key, content in OBJECTS.items()}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Liar]:
    with Liar.opened(tmp_path, OBJECTS, prefix="push/") as opened:
        yield opened


def _by_name(lies: tuple[Lie, ...], told: Mapping[str, tuple[Failure, str]]) -> list[object]:
    assert {lie.name for lie in lies} == set(told), "every lie is tried"
    return [pytest.param(lie, *told[lie.name], id=lie.name) for lie in lies]


@pytest.mark.parametrize(("lie", "trouble", "says"), _by_name(LISTING_LIES, LISTING))
async def test_a_listing_that_lies_gives_nothing(
    lie: Lie, trouble: Failure, says: str, stage: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spendwatch.sources.oss.listing.MOST_PAGES", 7)
    stage.lie(lie, lambda call: not call.key)
    await stage.expect(trouble, says)
    assert stage.bucket.waiting() == []
    assert stage.server.gets() == [], "nothing is fetched before the listing is whole"
    await stage.recover()


@pytest.mark.parametrize(("lie", "trouble", "says"), _by_name(REFUSALS, REFUSED))
async def test_a_listing_that_is_refused_gives_nothing(lie: Lie, trouble: Failure, says: str, stage: Liar) -> None:
    stage.lie(lie, lambda call: not call.key)
    await stage.expect(trouble, says)
    assert (stage.bucket.waiting(), stage.server.gets()) == ([], [])
    await stage.recover()


@pytest.mark.parametrize(("lie", "trouble", "says"), _by_name((*OBJECT_LIES, *REFUSALS), {**OBJECT, **REFUSED}))
async def test_an_object_that_lies_is_not_given(lie: Lie, trouble: Failure, says: str, stage: Liar) -> None:
    stage.lie(lie, lambda call: call.key == TWO)
    await stage.expect(trouble, says)
    assert "2.csv" not in [file.name for file in stage.bucket.waiting()]
    await stage.recover()


OF_ONE = {T.CHANGING, T.UNEXPECTED, T.PERMISSION, T.REFUSED}


@pytest.mark.parametrize("lie", [*OBJECT_LIES, *REFUSALS], ids=lambda lie: lie.name)
async def test_what_is_wrong_with_one_object_does_not_hold_up_the_others(lie: Lie, stage: Liar) -> None:
    stage.lie(lie, lambda call: call.key == TWO)
    await stage.bucket.round()
    first_round = [file.name for file in stage.bucket.waiting()]
    assert (first_round == [ONE.removeprefix("push/")]) is (stage.bucket.trouble in OF_ONE)
    for _ in range(3 if lie.name == "cut" else 1):
        await stage.bucket.round()
        assert stage.bucket.trouble is not None
    assert [file.name for file in stage.bucket.waiting()] == [ONE.removeprefix("push/")], "without progress it comes last"


@pytest.mark.parametrize("lie", [lie for lie in REFUSALS if REFUSED[lie.name][0] is T.THROTTLED], ids=lambda lie: lie.name)
async def test_a_store_that_is_asked_too_often_is_left_alone_for_as_long_as_it_says(lie: Lie, stage: Liar) -> None:
    stage.lie(lie, lambda call: bool(call.key))
    await stage.bucket.round()
    asked = len(stage.server.calls)
    assert stage.server.gets() == [TWO], "nor are the other objects asked for"
    await stage.bucket.round(after=119)
    assert (len(stage.server.calls), stage.bucket.trouble) == (asked, T.THROTTLED)
    stage.server.lie = None
    assert len(await stage.bucket.round(after=1)) == 2
    assert stage.bucket.source.trouble is None


async def test_a_store_in_trouble_is_asked_ever_more_seldom(stage: Liar) -> None:
    stage.server.keys.clear()
    pauses = []
    for _ in range(7):
        await stage.bucket.round(after=0)
        asked, waited = len(stage.server.refused), 0
        while len(stage.server.refused) == asked:
            await stage.bucket.round(after=10)
            waited += 10
        pauses.append(waited)
    assert pauses == [30, 60, 120, 240, 480, 900, 900]


async def test_three_objects_in_a_row_that_may_not_be_read_end_the_round(stage: Liar) -> None:
    denied = next(lie for lie in REFUSALS if lie.name == "no permission")
    for number in range(10):
        stage.server.put(f"push/more{number}.csv", b"x")
    stage.lie(denied, lambda call: bool(call.key))
    await stage.bucket.round()
    assert stage.server.gets() == [TWO, ONE, "push/more0.csv"]
    assert stage.bucket.trouble is T.PERMISSION
    stage.lie(denied, lambda call: call.key in {TWO, ONE, "push/more0.csv", "push/more5.csv"})
    files = await stage.bucket.round()
    assert len(files) == 8, "those that were refused come last, and hold up none"


PAGE = OssServer(OBJECTS)._page(Call("GET", "", {"max-keys": "9"}, "", {})).body


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_comes_in_place_of_a_listing_is_told_of(body: bytes) -> None:
    with pytest.raises(EndpointError):
        page_of(body, bucket=BUCKET, prefix="")


@given(st.lists(st.tuples(st.integers(0, len(PAGE) - 1), st.binary(max_size=3)), min_size=1, max_size=4))
def test_a_listing_that_was_damaged_is_told_of_or_still_says_something_that_can_be_asked_for(
    damage: list[tuple[int, bytes]],
) -> None:
    body = PAGE
    for place, piece in damage:
        body = body[:place] + piece + body[place + len(piece) :]
    try:
        page = page_of(body, bucket=BUCKET, prefix="push/")
    except EndpointError:
        return
    for found in page.objects:
        assert found.key.startswith("push/")
        assert (found.size >= 0, found.etag != "", found.modified != "") == (True, True, True)
