"""P1, P2 and P3 under `kill -9`: whichever system call the program dies at, nothing is lost, wrong, or repeated needlessly.

Everyday a sample of the points, in a program that was loaded before; with `--long` all that are told apart, in one that starts
from nothing. `-s` shows the table of counts.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest

from sweep.killing import BEGINNINGS, Point, Room, Victim, points_in, require_strace, spread
from sweep.rounds import LOADED, PROGRAM, Finding, Kind, Receivers, Round, Scene, Stage, judge, receivers, truth
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
WORK = (
    *("statx", "write", "readlink", "connect", "madvise", "prlimit64", "futex", "rt_sigaction", "rt_sigprocmask", "prctl"),
    *("sched_getaffinity", "sched_yield", "eventfd2", "dup2", "setsid", "chdir", "exit", *BEGINNINGS),
)
"""Of the worker that reads the bill: what it does more often than the program itself had done by then."""


@pytest.fixture(scope="module")
def effort(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How many: so many everyday, or so many with `--long`."""
    is_long = bool(request.config.getoption("--long"))
    return lambda everyday, long: long if is_long else everyday


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a home comes from, and where the program dies in it, one point a run."""

    stage: Stage
    killed_at: Sequence[Point]


class Sweep:
    """Rounds side by side, each lane with a home and receivers of its own."""

    def __init__(self, folder: Path, lanes: Sequence[Receivers], start: Sequence[str]) -> None:
        self._start = start
        self._scene = Scene.prepare(folder, lanes[0])
        self._free: SimpleQueue[tuple[Path, Receivers]] = SimpleQueue()
        for number, to in enumerate(lanes):
            self._free.put((folder / f"lane-{number}", to))
        with self._round() as calm:
            self._truth = truth(calm)

    def one(self, plan: Plan, *, start: Sequence[str] = ()) -> Outcome:
        """Let the program die, then come to rest; and judge."""
        with self._round(start) as done:
            done.begin(plan.stage)
            for point in plan.killed_at:
                done.run(point)
            done.settle()
            return Outcome(plan.stage, plan.killed_at, [run.victim for run in done.runs], judge(done, self._truth))

    def all(self, plans: Sequence[Plan], *, start: Sequence[str] = ()) -> list[Outcome]:
        with ThreadPoolExecutor(LANES) as lanes:
            return list(lanes.map(lambda plan: self.one(plan, start=start), plans))

    def points(self, stage: Stage, names: Sequence[str], room: Room, *, start: Sequence[str] = ()) -> list[Point]:
        """Return the points of an undisturbed round, from the first touch of the state on."""
        with self._round(start) as calm:
            calm.begin(stage)
            # "openat" to see where the state is first touched: all that comes before are imports.
            asked = names if room is Room.STATE else {*names, *BEGINNINGS, "openat"}
            ended, calls = calm.program("once").calls(asked, room)
            assert ended.code == 0, ended.words
            since = calm.database.parent if room is Room.WHOLE else None
            found = points_in(calls, room, since=since)
            return found if room is Room.STATE else [point for point in found if point.call in names]

    def each_stage(self, ask: Callable[[Stage], list[Point]]) -> dict[Stage, list[Point]]:
        with ThreadPoolExecutor(LANES) as lanes:
            return dict(zip(Stage, lanes.map(ask, Stage), strict=True))

    @contextmanager
    def _round(self, start: Sequence[str] = ()) -> Iterator[Round]:
        folder, to = self._free.get()
        try:
            yield Round(folder, to, self._scene, start or self._start)
        finally:
            self._free.put((folder, to))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, effort: Callable[[int, int], int]) -> Iterator[Sweep]:
    require_strace()
    with ExitStack() as stack:
        lanes = [stack.enter_context(receivers()) for _ in range(LANES)]
        yield Sweep(tmp_path_factory.mktemp("sweep"), lanes, (LOADED, PROGRAM)[effort(0, 1)])


@pytest.fixture(scope="module")
def changes(sweep: Sweep) -> Mapping[Stage, list[Point]]:
    """Where the program changes something or waits for somebody."""
    found = sweep.each_stage(lambda stage: sweep.points(stage, CHANGES, Room.WHOLE))
    return {stage: [point for point in points if point.victim is Victim.PROGRAM] for stage, points in found.items()}


@pytest.fixture(scope="module")
def looks(sweep: Sweep) -> Mapping[Stage, list[Point]]:
    """Where it only looks at its state."""
    found = sweep.each_stage(lambda stage: sweep.points(stage, LOOKS, Room.STATE))
    return {
        stage: [point for point in points if point.call not in CHANGES and point.victim is Victim.PROGRAM]
        for stage, points in found.items()
    }


def sample(found: Mapping[Stage, Sequence[Point]], sizes: Mapping[Stage, int]) -> list[Plan]:
    return [Plan(stage, (point,)) for stage, most in sizes.items() for point in spread(found[stage], most)]


def require_no_fault(outcomes: Sequence[Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{table(outcomes)}")
    if faulty := [str(outcome) for outcome in outcomes if outcome.faults]:
        pytest.fail("\n".join(faulty), pytrace=False)


def test_wherever_the_program_dies_nothing_is_lost_wrong_or_needlessly_repeated(
    sweep: Sweep,
    changes: Mapping[Stage, list[Point]],
    looks: Mapping[Stage, list[Point]],
    effort: Callable[[int, int], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    changing = {Stage.FRESH: effort(5, 60), Stage.LEDGER: effort(12, 150), Stage.OUTBOX: effort(12, 150)}
    outcomes = sweep.all(
        [
            *sample(changes, changing),
            *sample(looks, dict.fromkeys(Stage, effort(1, 20))),
        ]
    )
    require_no_fault(outcomes, capsys)
    assert sum(outcome.is_killed for outcome in outcomes) >= effort(26, 300)


def test_a_worker_that_dies_while_it_reads_the_bill_loses_nothing(
    sweep: Sweep, effort: Callable[[int, int], int], capsys: pytest.CaptureFixture[str]
) -> None:
    points = sweep.points(Stage.LEDGER, WORK, Room.WHOLE, start=PROGRAM)
    found = spread([point for point in points if point.victim is Victim.WORKER], effort(4, 40))
    outcomes = sweep.all([Plan(Stage.LEDGER, (point,)) for point in found], start=PROGRAM)
    require_no_fault(outcomes, capsys)
    assert sum(Victim.WORKER in outcome.victims for outcome in outcomes) >= effort(2, 20)


def test_a_second_death_in_the_recovery_loses_nothing_either(
    sweep: Sweep, changes: Mapping[Stage, list[Point]], effort: Callable[[int, int], int], capsys: pytest.CaptureFixture[str]
) -> None:
    firsts = spread(changes[Stage.LEDGER], effort(3, 40))
    # After a first death there are fewer deliveries left than at the stage that the second point is taken from: some
    # points are no longer reached.
    seconds = random.sample(changes[Stage.OUTBOX], len(firsts))
    outcomes = sweep.all([Plan(Stage.LEDGER, pair) for pair in zip(firsts, seconds, strict=True)])
    require_no_fault(outcomes, capsys)
    assert sum(outcome.is_killed for outcome in outcomes) >= effort(2, 30)


@pytest.mark.parametrize(
    ("broken", "stage", "call", "seen"),
    [
        ("settled-first", Stage.OUTBOX, "connect", {Kind.LOST}),
        ("random-ids", Stage.OUTBOX, "connect", {Kind.LOST, Kind.WRONG}),
        ("two-transactions", Stage.LEDGER, "fdatasync", {Kind.LOST, Kind.WRONG}),
    ],
)
def test_the_sweep_notices_a_program_that_is_broken(
    sweep: Sweep, broken: str, stage: Stage, call: str, seen: set[Kind]
) -> None:
    start = (*LOADED, broken)
    found = [Plan(stage, (point,)) for point in sweep.points(stage, (call,), Room.WHOLE, start=start)]
    noticed: list[Finding] = []
    while found and not noticed:
        batch, found = found[:LANES], found[LANES:]
        noticed = [fault for outcome in sweep.all(batch, start=start) for fault in outcome.faults]
    assert seen <= {finding.kind for finding in noticed}
