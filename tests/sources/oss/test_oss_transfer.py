"""Objects of a bucket over several connections, and those that cannot be had: no two versions meet, and the rest goes on."""

from __future__ import annotations

import asyncio
import gzip
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bucket_watch import Bucket, Stage
from oss_lies import Stored
from spendwatch.sources.trouble import Failure

pytestmark = pytest.mark.anyio

BILL = "账单信息/账单月份,应付信息/应付金额（含税）\n202609,0.000069\n".encode()
BIG = BILL * 20_000


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage.opened(tmp_path) as opened:
        yield opened


async def test_a_connection_that_breaks_is_gone_on_with_where_it_broke(stage: Stage) -> None:
    stage.server.put("a.csv", BIG)
    stage.server.put("b.csv", BILL)
    stage.server.cut_after = 500_000
    for reached in (500_000, 1_000_000):
        assert await stage.bucket.enter() == []
        assert (stage.bucket.trouble, stage.bucket.half()) == (Failure.UNREACHABLE, BIG[:reached])
        stage.bucket.restarted()
    stage.server.cut_after = None
    assert await stage.bucket.enter() == [("a.csv", BIG), ("b.csv", BILL)]
    asked = [(call.headers["if-match"], call.headers.get("range")) for call in stage.server.calls if call.key == "a.csv"]
    etag = stage.server.objects["a.csv"].etag
    assert asked == [(etag, None), (etag, "bytes=500000-"), (etag, "bytes=1000000-")]
    assert stage.server.sent == len(BIG) + len(BILL), "not a byte came twice"


async def test_an_object_that_was_replaced_meanwhile_is_begun_anew(stage: Stage) -> None:
    stage.server.put("a.csv", BIG)
    stage.server.cut_after = 500_000
    await stage.bucket.enter()
    stage.server.put("a.csv", BIG[::-1])
    stage.server.cut_after = None
    assert await stage.bucket.enter() == [("a.csv", BIG[::-1])]


async def test_an_object_that_is_replaced_between_the_listing_and_the_request_comes_with_the_next_round(stage: Stage) -> None:
    stage.server.put("a.csv", BIG)

    def replaced_when_asked_for(call: object) -> bool:
        if getattr(call, "key", ""):
            stage.server.objects["a.csv"] = Stored(BIG[::-1], number=9)
        return False

    stage.server.pause_before = replaced_when_asked_for
    assert await stage.bucket.enter() == []
    assert stage.bucket.trouble is Failure.CHANGING
    assert await stage.bucket.enter() == [("a.csv", BIG[::-1])]
    assert stage.bucket.source.trouble is None


async def test_a_store_that_knows_no_parts_sends_the_whole_again(stage: Stage) -> None:
    stage.server.put("a.csv", BIG)
    stage.server.cut_after = 500_000
    await stage.bucket.enter()
    stage.server.cut_after, stage.server.knows_parts = None, False
    assert await stage.bucket.enter() == [("a.csv", BIG)]


async def test_an_object_that_was_stored_packed_is_unpacked_and_never_joined(stage: Stage) -> None:
    packed = gzip.compress(BIG, 0)
    stage.server.objects["a.csv"] = Stored(packed, headers={"content-encoding": "gzip"})
    stage.server.cut_after = 500_000
    assert await stage.bucket.enter() == []
    stage.server.cut_after = None
    assert await stage.bucket.enter() == [("a.csv", BIG)]
    assert "range" not in stage.server.calls[-1].headers


async def test_a_cancelled_fetch_goes_on_where_it_was(stage: Stage) -> None:
    stage.server.put("a.csv", BIG)
    stage.server.cut_after, stage.server.stalls = 500_000, True
    task = asyncio.create_task(stage.bucket.source.fetch(stage.bucket.watch.now))
    while len(stage.bucket.half()) < 500_000:  # noqa: ASYNC110 -- a file tells nobody that it grows
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stage.server.cut_after, stage.server.stalls = None, False
    had = len(stage.bucket.half())
    assert await stage.bucket.enter() == [("a.csv", BIG)]
    assert stage.server.calls[-1].headers["range"] == f"bytes={had}-"


# --- what cannot be had


async def test_an_archived_object_is_told_of_and_asked_for_again_hours_later(stage: Stage) -> None:
    stage.server.put("new.csv", BILL)
    stage.server.objects["old.csv"] = Stored(b"x", storage="ColdArchive")
    with capture_logs() as logs:
        assert await stage.bucket.enter() == [("new.csv", BILL)]
        await stage.bucket.enter()
    assert [(log["name"], log["reason"]) for log in logs] == [("old.csv", "archived: restore it to have it read")]
    assert (stage.bucket.source.trouble, stage.server.gets()) == (None, ["old.csv", "new.csv"])
    stage.server.objects["old.csv"] = Stored(b"x")
    assert await stage.bucket.enter(after=5 * 3600) == [("old.csv", b"x")]


async def test_a_symbolic_link_is_told_of_once_and_never_followed(stage: Stage) -> None:
    stage.server.objects["link.csv"] = Stored(b"x", kind="Symlink")
    with capture_logs() as logs:
        for _ in range(3):
            assert await stage.bucket.enter() == []
    assert [(log["name"], log["reason"]) for log in logs] == [("link.csv", "a symbolic link")]
    assert stage.server.gets() == []


async def test_an_object_that_is_too_large_is_told_of_and_not_asked_for(stage: Stage) -> None:
    stage.server.put("huge.csv", b"x" * 1_000_001)
    stage.server.put("a.csv", BILL)
    stage.bucket.said["max_megabytes"] = 1
    stage.bucket.restarted()
    assert await stage.bucket.enter() == [("a.csv", BILL)]
    assert "the object 'huge.csv' has 1000001 bytes, more than max_megabytes allows" in str(stage.bucket.source.trouble)
    assert stage.server.gets() == ["a.csv"]


async def test_a_full_disk_is_told_and_heals(stage: Stage) -> None:
    stage.server.put("a.csv", BIG)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with capture_logs():  # what is printed goes into a file, too
            assert await stage.bucket.enter() == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "for downloads: File too large" in str(stage.bucket.source.trouble)
    assert await stage.bucket.enter() == [("a.csv", BIG)]


async def test_a_place_that_cannot_be_used_is_told(stage: Stage, tmp_path: Path) -> None:
    stage.server.put("a.csv", BILL)
    (tmp_path / "blocked").touch()
    bucket = Bucket(stage.server.url, tmp_path / "blocked" / "pushes", stage.bucket.watch)
    assert await bucket.round() == []
    assert "cannot be used" in str(bucket.source.trouble)
