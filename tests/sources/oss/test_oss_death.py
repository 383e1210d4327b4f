"""A bucket as a source, killed at any moment: nothing is lost, and nothing that was put away is given again."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bucket_watch import Bucket, Stage
from folders import environment
from oss_lies import Call

pytestmark = pytest.mark.anyio

OLD, NEW = "20260904/1_BillingItemDetail_20260903.csv", "20260905/1_BillingItemDetail_20260904.csv"
OBJECTS = {OLD: b"a,b\n1,2\n", NEW: b"a,b\n" + b"3,4\n" * 100_000}


@dataclass(frozen=True)
class Deaths(Stage):
    """The stand-in, and a source beside which a process of its own works."""

    def killed(self, *, once: Callable[[], bool]) -> None:
        """Let a real process fetch and put away, and kill it in that moment."""
        program = [sys.executable, "-m", "bucket_watch", self.server.url, str(self.bucket.place)]
        with subprocess.Popen(program, env=environment()) as process:
            while not once():
                assert process.poll() is None, "it ended before it was killed"
                threading.Event().wait(0.005)
            process.kill()
        self.server.pause_before, self.server.cut_after, self.server.stalls = lambda _: False, None, False
        self.bucket.restarted()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Deaths]:
    with Deaths.opened(tmp_path) as opened:
        for key, content in OBJECTS.items():
            opened.server.put(key, content)
        yield opened


def _is_get(key: str) -> Callable[[Call], bool]:
    return lambda call: call.key == key


@pytest.mark.parametrize("key", ["", OLD, NEW])
async def test_a_kill_before_any_answer_loses_nothing(key: str, stage: Deaths) -> None:
    stage.server.pause_before = _is_get(key)
    stage.killed(once=lambda: stage.server.hanging == 1)
    waiting = [file.name for file in stage.bucket.waiting()]
    assert waiting == ([OLD] if key == NEW else []), "what was whole waits; it was not put away yet"
    assert dict(await stage.bucket.enter()) == OBJECTS
    assert stage.bucket.shelf() == OBJECTS
    assert stage.server.gets().count(OLD) == (2 if key == OLD else 1)


@pytest.mark.parametrize("has_part_already", [False, True])
async def test_a_kill_in_the_middle_of_an_object_gives_no_part_of_it(*, has_part_already: bool, stage: Deaths) -> None:
    stage.server.cut_after = 100_000
    if has_part_already:
        await stage.bucket.round(after=0)
        assert len(stage.bucket.half()) == 100_000
    reached = 200_000 if has_part_already else 100_000
    stage.server.stalls = True
    stage.killed(once=lambda: len(stage.bucket.half()) == reached)
    assert [file.name for file in stage.bucket.waiting()] == [OLD]
    assert dict(await stage.bucket.enter()) == OBJECTS
    assert stage.bucket.shelf() == OBJECTS
    assert "range" not in stage.server.calls[-1].headers, "what was not stored for sure is not gone on with"


async def test_an_object_that_was_replaced_while_its_half_lay_here_is_begun_anew(stage: Deaths) -> None:
    stage.server.cut_after = 100_000
    await stage.bucket.round(after=0)
    stage.server.put(NEW, OBJECTS[NEW][::-1])
    stage.server.cut_after = 150_000
    stage.server.stalls = True
    stage.killed(once=lambda: len(stage.bucket.half()) == 150_000)
    stage.server.put(NEW, OBJECTS[NEW])
    assert dict(await stage.bucket.enter()) == OBJECTS


def _killed_at_each_step(url: str, place: Path) -> int:
    program = [sys.executable, "-m", "bucket_deaths", url, str(place)]
    return int(subprocess.run(program, env=environment(), check=True, capture_output=True, text=True).stdout)


async def test_killed_at_every_step_the_next_round_is_exact(stage: Deaths, tmp_path: Path) -> None:
    steps = _killed_at_each_step(stage.server.url, tmp_path / "deaths")
    assert steps > 40
    died_while = {"fetching": 0, "waiting": 0, "put away": 0}
    for step in range(1, steps + 1):
        bucket = Bucket(stage.server.url, tmp_path / "deaths" / str(step), stage.bucket.watch)
        waiting, put_away = [file.name for file in bucket.waiting()], bucket.shelf()
        died_while["put away" if put_away else "waiting" if waiting else "fetching"] += 1
        given = dict(await bucket.enter())
        assert bucket.source.trouble is None
        assert given.keys().isdisjoint(put_away), f"killed at step {step}"
        assert bucket.shelf() == OBJECTS, f"killed at step {step}"
        assert bucket.shelf("pending") == {}
        assert await bucket.enter() == []
        bucket.restarted()
        assert await bucket.enter() == []
    assert min(died_while.values()) >= 5
