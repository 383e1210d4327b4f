"""P1 to P3 after power cuts: what was told to be on record is there, and only what nobody can know is repeated.

The disks are made, not copied: one round of the real program, from a bill to its mails and webhook calls, is on record with
every write, sync and rename (`sweep.power`), and each disk is one that a power cut in it may leave. With `--long` there are
many more, and a loop device with ext4 is copied while the program writes to it: there the file system says what is left.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from home import loaded_program
from sweep.killing import Ended, Victim, require_strace
from sweep.power import CALLS, Rest, Sync, Tape
from sweep.rounds import LOADED, Finding, Kind, Receivers, Round, Scene, Stage, Truth, judge, receivers, truth

pytestmark = pytest.mark.sweep
SCRATCH = ("words.log", "strace.log", "look", "var/spool", "var/spendwatch.db-shm")
"""No part of the state: SQLite makes the index of its log anew, and the spool is swept."""
CUT_OFF = Ended(-signal.SIGKILL, "the power failed", Victim.PROGRAM)


class Noted(list[Any]):
    """What a receiver took, with the moment at which it had it."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, item: object) -> None:
        self.times.append(time.time())
        super().append(item)

    def until(self, end: float) -> list[Any]:
        return [one for one, at in zip(self, self.times, strict=True) if at < end]


@dataclass
class Recording:
    """One round of the program, and what the receivers had when."""

    tape: Tape
    mails: Noted
    calls: Noted

    def arrivals(self, cut: int) -> tuple[list[Any], list[Any]]:
        """Return what had arrived when the power failed before that event."""
        end = self.tape.times[cut] if cut < len(self.tape.times) else float("inf")
        return self.mails.until(end), self.calls.until(end)

    def before_events(self, chance: random.Random, number: int) -> list[int]:
        """Draw moments for power cuts: half of them just after something has arrived, the others anywhere."""
        arrived = [bisect_right(self.tape.times, at) for at in (*self.mails.times, *self.calls.times)]
        anywhere = range(len(self.tape.events) + 1)
        return [chance.choice((arrived, anywhere)[at % 2]) for at in range(number)]


class Lab:
    """Where a round is recorded, and where the program wakes up after a power cut."""

    def __init__(self, folder: Path, to: Receivers) -> None:
        self.folder, self.to = folder, to
        self.scene = Scene.prepare(folder / "scene", to)
        self.expected: Truth = truth(self.round())

    def round(self, *broken: str, folder: Path | None = None) -> Round:
        return Round(folder or self.folder / "home", self.to, self.scene, (*LOADED, *broken))

    def record(self, stage: Stage, *broken: str) -> Recording:
        done, before = self.round(*broken).begin(stage), self.folder / "before"
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(done.folder, before, ignore=shutil.ignore_patterns("look", "words.log", "strace.log"))
        mails, calls = Noted(), Noted()
        self.to.mail.messages, self.to.hook.requests = mails, calls
        ended, log = done.program("once", "--log-format", "json").recorded(CALLS)
        self.to.mail.messages, self.to.hook.requests = [], []
        assert ended.code == 0, ended.words
        tape = Tape.of(done.folder, before, log, but=SCRATCH)
        files, _ = tape.disk(len(tape.events), Rest.ALL, random.Random(0))  # noqa: S311 -- draws nothing here
        assert {name: (done.folder / name).read_bytes() for name in files} == files, "the record is not what happened"
        return Recording(tape, mails, calls)

    def wake_up(self, folder: Path, mails: Sequence[Any], calls: Sequence[Any], *broken: str) -> list[Finding]:
        """Let the program go on with a disk, after these had arrived; and judge."""
        self.to.mail.messages, self.to.hook.requests = list(mails), list(calls)
        done = self.round(*broken, folder=folder)
        done.runs.append(CUT_OFF)
        done.ends.append((len(mails), len(calls)))
        done._look_at_ledger()
        done.settle()
        found = judge(done, self.expected)
        verified = loaded_program().call(["", "--config", str(folder), "ledger", "verify"], {**os.environ, "NO_COLOR": "1"})
        if verified.returncode:
            found.append(Finding(Kind.WRONG, f"`ledger verify` says {verified.returncode}: {verified.stdout}{verified.stderr}"))
        return [one for one in found if one.kind is not Kind.LITTER]

    def after(self, recording: Recording, cut: int, rest: Rest, chance: random.Random, *broken: str) -> list[Finding]:
        folder = self.folder / "home"
        recording.tape.lay_out(recording.tape.disk(cut, rest, chance), folder)
        return self.wake_up(folder, *recording.arrivals(cut), *broken)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    require_strace()
    with receivers() as to:
        yield Lab(tmp_path_factory.mktemp("power"), to)


@pytest.fixture(scope="module")
def recordings(lab: Lab) -> dict[Stage, Recording]:
    return {stage: lab.record(stage) for stage in (Stage.FRESH, Stage.LEDGER)}


@pytest.fixture(scope="module")
def effort(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How many: so many everyday, or so many with `--long`."""
    is_long = bool(request.config.getoption("--long"))
    return lambda everyday, long: long if is_long else everyday


def content(disk: tuple[Any, Any], folder: Path) -> str:
    """Return the digest of all that a ledger holds, as SQLite reads it from that disk; empty where there is none yet."""
    files, _ = disk
    place = folder / "spendwatch.db"
    for end in ("", "-wal", "-shm", "-journal"):
        part = place.with_name(place.name + end)
        part.unlink(missing_ok=True)
        if (found := files.get(f"var/{part.name}")) is not None:
            part.write_bytes(found)
    if not place.exists():
        return ""
    with closing(sqlite3.connect(place)) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        dump = "\n".join(ledger.iterdump())
    return hashlib.sha256(dump.encode()).hexdigest() if "INSERT" in dump else ""


def synced(tape: Tape) -> list[int]:
    """Return after which events a commit may count as on record."""
    return [at for at, event in enumerate(tape.events, 1) if isinstance(event, Sync)]


def test_after_a_power_cut_the_ledger_is_a_past_state_of_its_own_and_no_older_than_what_was_synced(
    recordings: dict[Stage, Recording], tmp_path: Path, effort: Callable[[int, int], int], capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(11)  # noqa: S311 -- draws disks, guards nothing
    newer = Counter[Rest]()
    for recording in recordings.values():
        tape = recording.tape
        states = [(at, content(tape.disk(at, Rest.ALL, chance), tmp_path)) for at in [0, *synced(tape), len(tape.events)]]
        assert len({state for _, state in states}) > 10, "next to nothing was committed"
        for _ in range(effort(100, 5000)):
            before_sync = [at - 1 for at in synced(tape)]
            cut = chance.choice(chance.choice((before_sync, range(len(tape.events) + 1))))
            rest = chance.choice(list(Rest))
            found = content(tape.disk(cut, rest, chance), tmp_path)
            on_record = [state for at, state in states if at <= cut][-1]
            coming = next((state for at, state in states if at > cut), on_record)
            assert found in {on_record, coming}, f"{rest}, before event {cut}"
            newer[rest] += found != on_record
    with capsys.disabled():
        print(f"\ndisks with a commit that was written and not yet synced: {dict(newer)}")
    assert newer[Rest.ALL], "no cut was between a commit's last write and its sync"
    assert not newer[Rest.NOTHING]


def test_a_disk_that_ignores_syncs_would_be_noticed(recordings: dict[Stage, Recording], tmp_path: Path) -> None:
    """The control of the test above."""
    tape = recordings[Stage.LEDGER].tape
    kept = [at for at, event in enumerate(tape.events) if not isinstance(event, Sync)]
    careless = replace(tape, events=[tape.events[at] for at in kept], times=[tape.times[at] for at in kept])
    chance = random.Random(12)  # noqa: S311 -- draws disks, guards nothing
    whole = content(tape.disk(len(tape.events), Rest.NOTHING, chance), tmp_path)
    assert content(careless.disk(len(kept), Rest.NOTHING, chance), tmp_path) != whole


def test_after_a_power_cut_the_program_loses_nothing_and_repeats_only_what_nobody_can_know(
    lab: Lab, recordings: dict[Stage, Recording], effort: Callable[[int, int], int], capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(13)  # noqa: S311 -- draws disks, guards nothing
    found = Counter[Kind]()
    for batch in range(effort(1, 16)):
        if batch:  # another one, because signatures are too old for their verifier after five minutes
            recordings = {stage: lab.record(stage) for stage in recordings}
        planned = {Stage.LEDGER: effort(5, 18), Stage.FRESH: effort(3, 7)}
        drawn = {stage: recordings[stage].before_events(chance, many) for stage, many in planned.items()}
        cuts = [(recordings[stage], cut) for stage, some in drawn.items() for cut in some]
        for number, (recording, cut) in enumerate(cuts):
            rest = list(Rest)[number % len(Rest)]
            findings = lab.after(recording, cut, rest, chance)
            assert [str(one) for one in findings if one.kind is not Kind.REPEATED] == [], f"{rest}, before event {cut}"
            found.update(one.kind for one in findings)
    with capsys.disabled():
        print(f"\nafter power cuts: {dict(found)}")
    assert found[Kind.REPEATED], "no cut was between an arrival and its record: the test sees nothing"


def test_the_power_cuts_notice_a_program_that_syncs_at_checkpoints_alone(lab: Lab) -> None:
    """The control: `synchronous=NORMAL`, as many guides advise."""
    recording = lab.record(Stage.LEDGER, "seldom-synced")
    chance = random.Random(14)  # noqa: S311 -- draws disks, guards nothing
    last = len(recording.tape.events)
    cuts = (last * share // 10 for share in (9, 8, 7, 6))
    faults = chain.from_iterable(lab.after(recording, cut, Rest.NOTHING, chance, "seldom-synced") for cut in cuts)
    assert next((one for one in faults if one.kind in {Kind.LOST, Kind.OUTSIDE}), None), "nothing was lost without syncs"


class Disk:
    """An ext4 file system on a loop device. Nothing reaches it by time: it has what was synced, and what ext4 adds to that."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() or not (Path("/dev/loop-control").exists() and shutil.which("mkfs.ext4")):
            pytest.skip("needs root, loop devices and mkfs.ext4")
        self.image, self.copied, self.place = folder / "disk", folder / "copied", folder / "mounted"
        self.place.mkdir()
        with self.image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", self.image], check=True)

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        subprocess.run(["mount", "-o", "loop,commit=300", self.image, self.place], check=True)
        try:
            yield self.place / "home"
        finally:
            end = time.monotonic() + 30
            while subprocess.run(["umount", "-q", self.place], check=time.monotonic() > end).returncode:
                time.sleep(0.05)  # noqa: TID251 -- a reading process notices that nobody needs it any more


def after_a_real_cut(
    lab: Lab, disk: Disk, template: Path, *broken: str, seconds: float = 30.0, arrivals: int = 1000
) -> list[Finding]:
    """Let the program work for so long, or until so much has arrived; copy the disk, and let it go on with the copy."""
    shutil.copy(template, disk.image)
    lab.to.empty()
    with disk.mounted() as home, (lab.folder / "words").open("wb") as said:
        program = lab.round(*broken, folder=home).program("once")
        running = loaded_program().begin(program.loaded, program.environment, said.fileno(), said.fileno())
        end = time.monotonic() + seconds
        while time.monotonic() < end and running.poll() is None:
            if len(lab.to.mail.messages) + len(lab.to.hook.requests) >= arrivals:
                break
            time.sleep(0.001)  # noqa: TID251 -- the moment of the cut is what is drawn
        running.send_signal(signal.SIGSTOP)
        shutil.copy(disk.image, disk.copied)
        running.send_signal(signal.SIGKILL)
        running.wait()
    lab.to.taken()
    shutil.copy(disk.copied, disk.image)
    with disk.mounted() as home:
        return lab.wake_up(home, lab.to.mail.messages, lab.to.hook.requests, *broken)


@pytest.mark.long
def test_a_copy_of_a_disk_that_the_program_writes_to_loses_nothing_and_without_syncs_it_does(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the disk itself reorders is not in such a copy: that is what the made disks are for."""
    disk, template = Disk(tmp_path), tmp_path / "template"
    with disk.mounted() as home:
        lab.round(folder=home).begin(Stage.LEDGER)
    shutil.copy(disk.image, template)
    with disk.mounted() as home:
        began = time.monotonic()
        assert lab.round(folder=home).run().code == 0
        whole = time.monotonic() - began
    chance, found = random.Random(15), Counter[Kind]()  # noqa: S311 -- draws moments, guards nothing
    for number in range(200):
        seconds, arrivals = chance.uniform(0.2, 1.1) * whole, chance.randint(1, len(lab.expected.keys))
        moment = {"arrivals": arrivals} if number % 2 else {"seconds": seconds}
        findings = after_a_real_cut(lab, disk, template, **moment)
        assert [str(one) for one in findings if one.kind is not Kind.REPEATED] == [], f"cut {number}, {moment}"
        found.update(one.kind for one in findings)
    broken = (after_a_real_cut(lab, disk, template, "seldom-synced", arrivals=number) for number in range(1, 8))
    lost = next((one for some in broken for one in some if one.kind in {Kind.LOST, Kind.OUTSIDE}), None)
    with capsys.disabled():
        print(f"\nafter power cuts of a loop device: {dict(found)}; without syncs: {lost}")
    assert lost, "nothing was lost without syncs"
