"""An S3-compatible server as a source: a real one, which checks signatures and permissions by another library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bucket_watch import Bucket
from endpoint_watch import StopWatch
from servers_moto import BUCKET, REGION, MotoServer
from servers_proxy import CuttingProxy
from spendwatch.sources.trouble import Failure

pytestmark = pytest.mark.anyio

READS = ("s3:ListBucket", "s3:GetObject")
KEYS = [
    "20260914/1000000000000001_2688801000001_consumeDetailBillV2_202609",
    "a b+c&d=e?#f.csv",
    "a%2Fb%25.csv",
    "a//b.csv",
    "x;y:@$,[z]'()*!.csv",
    "账单 2026/ü~.csv",
]


@pytest.fixture(scope="module")
def server() -> Iterator[MotoServer]:
    """One server for all tests of this file."""
    with MotoServer() as running:
        yield running


@pytest.fixture
def bucket(server: MotoServer, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    """A source whose key may read, in a bucket that is empty."""
    key_id, secret = server.a_key(f"reader-{tmp_path.name}", *READS)
    watch = StopWatch(datetime.now(UTC))  # noqa: TID251 -- the server has a clock of its own
    place, prefix = tmp_path / "bucket", f"{request.node.name}/"
    bucket = Bucket(
        server.url,
        place,
        watch,
        bucket=BUCKET,
        region=REGION,
        signature="s3",
        prefix=prefix,
        key_id=key_id,
        secret=secret,
        timeout="20s",
    )
    server.check_everybody()
    yield bucket
    server.check_nobody()


def _put(server: MotoServer, bucket: Bucket, key: str, content: bytes) -> None:
    server.check_nobody()
    server.put(f"{bucket.said['prefix']}{key}", content)
    server.check_everybody()


async def test_a_real_server_takes_our_signatures_whatever_a_key_is(server: MotoServer, bucket: Bucket) -> None:
    for key in KEYS:
        _put(server, bucket, key, key.encode())
    given = await bucket.enter(after=0)
    assert bucket.source.trouble is None
    assert {content.decode() for _, content in given} == set(KEYS)
    assert {name for name, _ in given} == {key.replace("//", "/_/") for key in KEYS}
    bucket.restarted()
    assert await bucket.enter(after=0) == []
    _put(server, bucket, KEYS[0], b"changed")
    assert await bucket.enter(after=0) == [(KEYS[0], b"changed")]


async def test_objects_of_several_parts_and_pages_come_whole(server: MotoServer, bucket: Bucket) -> None:
    server.check_nobody()
    server.put_in_parts(f"{bucket.said['prefix']}large.csv", b"a" * (5 << 20), b"b")
    for number in range(1100):
        server.put(f"{bucket.said['prefix']}many/{number:04d}", b"")
    server.put(f"{bucket.said['prefix']}z.csv", b"z")
    server.check_everybody()
    assert dict(await bucket.enter(after=0)) == {"large.csv": b"a" * (5 << 20) + b"b", "z.csv": b"z"}


async def test_a_connection_that_breaks_is_gone_on_with_where_it_broke(server: MotoServer, bucket: Bucket) -> None:
    content = bytes(range(256)) * 20_000
    _put(server, bucket, "a.csv", content)
    with CuttingProxy(server.port) as proxy:
        bucket.said["endpoint"] = proxy.url
        proxy.cut_after = 2_000_000
        reached = []
        for _ in range(2):
            bucket.restarted()
            assert await bucket.enter(after=0) == []
            reached.append(len(bucket.half()))
            assert content.startswith(bucket.half())
        assert bucket.trouble is Failure.UNREACHABLE
        assert 1_990_000 < reached[0] < 2_000_000 < reached[1] - reached[0] + 10_000
        proxy.cut_after = None
        bucket.restarted()
        assert await bucket.enter(after=0) == [("a.csv", content)]


async def test_an_object_that_is_replaced_while_its_half_lies_here_is_not_mixed_with_it(
    server: MotoServer, bucket: Bucket
) -> None:
    content = bytes(range(256)) * 20_000
    _put(server, bucket, "a.csv", content)
    with CuttingProxy(server.port) as proxy:
        bucket.said["endpoint"] = proxy.url
        proxy.cut_after = 2_000_000
        bucket.restarted()
        await bucket.round(after=0)
        assert len(bucket.half()) > 1_000_000
        _put(server, bucket, "a.csv", content[::-1])
        proxy.cut_after = None
        bucket.restarted()
        assert await bucket.enter(after=0) == [("a.csv", content[::-1])]


@pytest.mark.parametrize(
    ("said", "trouble", "says"),
    [
        ({"secret": "wrong"}, Failure.CREDENTIALS, r"the access key is not accepted \(SignatureDoesNotMatch\)"),
        ({"key_id": "AKIAUNKNOWN"}, Failure.CREDENTIALS, r"the access key is not accepted \(InvalidAccessKeyId\)"),
        ({"bucket": "no-such-bucket"}, Failure.PERMISSION, r"not permitted \(AccessDenied\): it needs s3:ListBucket"),
    ],
)
async def test_what_a_real_server_refuses_is_told_by_its_name(
    said: dict[str, str], trouble: Failure, says: str, server: MotoServer, bucket: Bucket
) -> None:
    _put(server, bucket, "a.csv", b"a")
    before = dict(bucket.said)
    bucket.said |= said
    bucket.restarted()
    assert await bucket.enter(after=0) == []
    assert bucket.trouble is trouble
    assert re.search(says, str(bucket.source.trouble))
    bucket.said = before
    bucket.restarted()
    assert await bucket.enter(after=0) == [("a.csv", b"a")]


async def test_a_bucket_that_is_not_there_is_told(server: MotoServer, bucket: Bucket) -> None:
    server.check_nobody()
    bucket.said["bucket"] = "no-such-bucket"
    bucket.restarted()
    await bucket.enter(after=0)
    assert (bucket.trouble, "(NoSuchBucket)" in str(bucket.source.trouble)) == (Failure.REFUSED, True)


async def test_who_may_list_and_not_read_is_told_what_is_missing(server: MotoServer, bucket: Bucket) -> None:
    server.check_nobody()
    key_id, secret = server.a_key(f"lister-{bucket.place.parent.name}", "s3:ListBucket")
    server.put(f"{bucket.said['prefix']}a.csv", b"a")
    server.check_everybody()
    bucket.said |= {"key_id": key_id, "secret": secret}
    bucket.restarted()
    assert await bucket.enter(after=0) == []
    assert bucket.trouble is Failure.PERMISSION
    assert "GetObject" in str(bucket.source.trouble)
