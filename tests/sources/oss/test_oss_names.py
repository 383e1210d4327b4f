"""Keys are somebody else's text: as names they are kept where they can be, and lead nowhere else whatever they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucket_watch import Bucket
from servers_oss import OssServer
from spendwatch.sources.files.naming import is_temporary
from spendwatch.sources.oss.listing import name_of

pytestmark = pytest.mark.anyio

LONGEST = "账" * 341 + "x"
HOSTILE: dict[str, str] = {
    "../../etc/passwd": "_./_./etc/passwd",
    "a/../../b": "a/_./_./b",
    "./a": "_/a",
    "a//b": "a/_/b",
    "\\..\\boot.ini": "\\..\\boot.ini",
    "a\x00b\x1b[31m\u202e.csv": "a_b_[31m_.csv",
    "line\nend/\r\n.csv": "line_end/__.csv",
    ".git/config.csv": "_git/config.csv",
    "~$lock/x.csv": "_$lock/x.csv",
    "backup.tmp/x.csv": "backup.tmp_/x.csv",
    "old~/x.csv": "old~_/x.csv",
    "%2e%2e/%2F": "%2e%2e/%2F",
    " /\u3000/x": " /_/x",
    LONGEST: "账" * 50,
    f"{LONGEST[:300]}.csv": "账" * 49 + ".csv",
    "a/" * 400 + "x.csv": "a/" * 12 + "x.csv",
    "done": "done",
    "done/rejected/pending": "done/rejected/pending",
    "x.csv.why.txt": "x.csv.why.txt",
}


@dataclass(frozen=True)
class Stage:
    """The stand-in, and the source that looks at it."""

    server: OssServer
    bucket: Bucket


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with OssServer() as server:
        bucket = Bucket(server.url, tmp_path / "state" / "bucket")
        server._clock = bucket.watch.clock
        yield Stage(server, bucket)


@pytest.mark.parametrize(("key", "name"), HOSTILE.items())
def test_a_hostile_key_becomes_a_plain_name(key: str, name: str) -> None:
    assert name_of(key, "") == name


async def test_objects_with_hostile_keys_are_given_each_and_lie_nowhere_else(stage: Stage, tmp_path: Path) -> None:
    for number, key in enumerate(HOSTILE):
        assert len(key.encode()) <= 1024
        stage.server.put(key, b"%d" % number)
    given = await stage.bucket.enter()
    assert stage.bucket.source.trouble is None
    assert [content for _, content in given] == [b"%d" % number for number in range(len(HOSTILE))]
    assert sorted(stage.bucket.shelf().values()) == sorted(content for _, content in given)
    assert await stage.bucket.enter() == []
    assert _places(tmp_path) == {("state", "bucket")}


def _places(folder: Path) -> set[tuple[str, ...]]:
    return {
        path.relative_to(folder).parts[:2]
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("state-bucket.db")
    }


async def test_a_key_that_is_a_folder_of_another_and_keys_that_are_called_alike_stay_apart(stage: Stage) -> None:
    keys = ["a", "a/b", "a/b/c", "x\x01y", "x\x02y"]
    for key in keys:
        stage.server.put(key, key.encode())
    assert [name for name, _ in await stage.bucket.enter()] == ["a", "a/b", "a/b/c", "x_y", "x_y"]
    assert stage.bucket.shelf() == {
        "a": b"a",
        "a.2/b": b"a/b",
        "a.2/b.2/c": b"a/b/c",
        "x_y": b"x\x01y",
        "x_y-again2": b"x\x02y",
    }


PARTS = st.text(max_size=20) | st.sampled_from(["..", ".", "~", "~$", "..tmp", "a.part", "a" * 300, "\ud800"])


@given(st.lists(PARTS, min_size=1, max_size=30))
def test_no_name_ever_leads_anywhere_else_or_is_overlooked(parts: list[str]) -> None:
    name = name_of("/".join(parts), "")
    assert 1 <= name.count("/") + 1 <= 13
    for part in name.split("/"):
        assert part.strip(".")
        assert part.isprintable()
        assert not is_temporary(part)
        assert 0 < len(part.encode()) <= 155


@given(st.lists(st.text("abc账单XYZ0189_-.() =+,@", min_size=1, max_size=30), min_size=1, max_size=12))
def test_a_key_that_somebody_wrote_in_good_faith_is_its_name(parts: list[str]) -> None:
    plain = [f"n{part}n" for part in parts]
    assert name_of("/".join(plain), "") == "/".join(plain)
