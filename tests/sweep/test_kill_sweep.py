"""P1, P2 and P3 under `kill -9`: whichever system call the program dies at, nothing is lost, wrong, or repeated needlessly.

Everyday a sample of the points, with `--long` all that are told apart; `-s` shows the table of counts.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

import pytest
from sweep.killing import BEGINNINGS, Point, Room, Victim, points, require_strace, spread
from sweep.rounds import Finding, Kind, Receivers, Round, Truth, judge, receivers, truth
from sweep.table import Outcome, table

pytestmark = pytest.mark.sweep

LANES = os.cpu_count() or 1
CHANGES = (
    *("pwrite64", "pwritev", "fdatasync", "fsync", "ftruncate", "rename", "renameat", "renameat2", "unlink", "unlinkat"),
    *("mkdir", "mkdirat", "flock", "copy_file_range", "fchmod", "chmod", "socket", "connect", "sendto", "sendmsg"),
    *("recvfrom", "recvmsg", "shutdown", "setsockopt", "pipe2", "socketpair", "kill", "wait4", "waitid", *BEGINNINGS),
)
"""Calls that change something, or that wait for somebody; imports make next to none of them."""
LOOKS = ("%file", "%desc")
"""On the state's files alone."""
WORK = ("read", "write", "openat", "mmap", "munmap", "madvise", "close", "pread64", "lseek", "prlimit64", "exit_group")
"""Of the worker that reads the bill."""

DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture(scope="module")
def long(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


class Sweep:
    """Rounds side by side, each lane with a home and receivers of its own."""

    def __init__(self, folder: Path, lanes: Sequence[Receivers]) -> None:
        self._free: SimpleQueue[tuple[Path, Receivers]] = SimpleQueue()
        for number, to in enumerate(lanes):
            self._free.put((folder / f"lane-{number}", to))
        folder, to = self._free.get()
        self.truth: Truth = truth(folder, to)
        self._free.put((folder, to))

    def one(self, *killed_at: Point, start: Sequence[str] = ()) -> Outcome:
        """Let the program die at these points, one a run, then come to rest; and judge."""
        folder, to = self._free.get()
        try:
            done = Round(folder, to, *([start] if start else [])).furnish()
            for point in killed_at:
                done.run(point)
            done.settle()
            victims = [run.victim for run in done.runs]
            return Outcome(killed_at[0], victims, judge(done, self.truth), *killed_at[1:])
        finally:
            self._free.put((folder, to))

    def all(self, chosen: Sequence[Sequence[Point]]) -> list[Outcome]:
        with ThreadPoolExecutor(LANES) as lanes:
            return list(lanes.map(lambda killed_at: self.one(*killed_at), chosen))

    def points(self, names: Sequence[str], room: Room, *, start: Sequence[str] = ()) -> list[Point]:
        """Return the points of an undisturbed round, from the first touch of the state on."""
        folder, to = self._free.get()
        try:
            calm = Round(folder, to, *([start] if start else [])).furnish()
            program = calm.program("once")
            # "openat" to see where the state is first touched: all that comes before are imports.
            asked = names if room is Room.STATE else {*names, *BEGINNINGS, "openat"}
            ended, calls = program.calls(asked, room)
            assert ended.code == 0, ended.words
            since = calm.database.parent if room is Room.WHOLE else None
            return points(calls, room, since=since)
        finally:
            self._free.put((folder, to))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    require_strace()
    with ExitStack() as stack:
        yield Sweep(tmp_path_factory.mktemp("sweep"), [stack.enter_context(receivers()) for _ in range(LANES)])


@pytest.fixture(scope="module")
def changes(sweep: Sweep) -> list[Point]:
    """Where the program changes something or waits for somebody."""
    return [point for point in sweep.points(CHANGES, Room.WHOLE) if point.call in CHANGES and point.victim is Victim.PROGRAM]


@pytest.fixture(scope="module")
def looks(sweep: Sweep) -> list[Point]:
    """Where it only looks at its state."""
    return [point for point in sweep.points(LOOKS, Room.STATE) if point.call not in CHANGES]


def show(outcomes: Sequence[Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{table(outcomes)}")


def faults(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(str(outcome) for outcome in outcomes if outcome.faults)


def test_wherever_the_program_dies_nothing_is_lost_wrong_or_needlessly_repeated(
    sweep: Sweep, changes: list[Point], looks: list[Point], long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [*changes, *spread(looks, 150)] if long else [*spread(changes, 32), *spread(looks, 8)]
    outcomes = sweep.all([(point,) for point in chosen])
    show(outcomes, capsys)
    assert not faults(outcomes)
    assert sum(outcome.is_killed for outcome in outcomes) >= (300 if long else 35)


def test_a_worker_that_dies_while_it_reads_the_bill_loses_nothing(
    sweep: Sweep, long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [point for point in sweep.points(WORK, Room.WHOLE) if point.victim is Victim.WORKER and point.call in WORK]
    outcomes = sweep.all([(point,) for point in spread(found, 40 if long else 5)])
    show(outcomes, capsys)
    assert not faults(outcomes)
    assert sum(Victim.WORKER in outcome.victims for outcome in outcomes) >= (20 if long else 2)


def test_a_second_death_in_the_recovery_loses_nothing_either(
    sweep: Sweep, changes: list[Point], long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    firsts = spread(changes, 40 if long else 4)
    seconds = random.sample(changes, len(firsts))
    outcomes = sweep.all(list(zip(firsts, seconds, strict=True)))
    show(outcomes, capsys)
    assert not faults(outcomes)


@pytest.mark.parametrize(
    ("broken", "calls", "seen"),
    [
        ("settled-first", ("connect",), {Kind.LOST}),
        ("random-ids", ("connect",), {Kind.LOST, Kind.WRONG}),
        ("two-transactions", ("fdatasync",), {Kind.LOST}),
    ],
)
def test_the_sweep_notices_a_program_that_is_broken(sweep: Sweep, broken: str, calls: tuple[str, ...], seen: set[Kind]) -> None:
    start = (sys.executable, str(DRIVER), broken)
    found = [point for point in sweep.points(calls, Room.WHOLE, start=start) if point.call in calls]
    noticed: list[Finding] = []
    for point in spread(found, 30):
        noticed = sweep.one(point, start=start).faults
        if noticed:
            break
    assert {finding.kind for finding in noticed} == seen
