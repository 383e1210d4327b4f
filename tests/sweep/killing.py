"""Ends a program by SIGKILL at a chosen system call, and finds the calls that there are to choose from. Needs strace.

strace counts the calls of each thread by itself: "the third" is the third of whichever thread gets so far first.
It kills at the entrance, so the call itself no longer takes place: to die after it is to die at the next one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from home import loaded_program

PATIENCE = 60.0
"""Seconds after which a run hangs. That includes what it left running: strace stays until the last process is gone."""


class Room(StrEnum):
    """Which calls are counted."""

    STATE = "state"
    """Those that concern the given files: imports make thousands of the same calls."""
    WHOLE = "whole"
    """All of the program's."""


class Victim(StrEnum):
    """Which process makes the call, and dies of it."""

    PROGRAM = "program"
    WORKER = "worker"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """The nth call of that name."""

    call: str
    number: int
    room: Room = Room.WHOLE
    victim: Victim = Victim.PROGRAM
    """Who is expected to die; threads may race."""

    def __str__(self) -> str:
        return f"{self.call}#{self.number}{'@state' if self.room is Room.STATE else ''}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    code: int
    words: str
    victim: Victim = Victim.NOBODY
    hangs: bool = False


def require_strace() -> None:
    """Skip where there is no strace; with SPENDWATCH_NO_SKIP=1, fail."""
    if shutil.which("strace"):
        return
    why = "no strace here: install it (Debian: strace)"
    if os.environ.get("SPENDWATCH_NO_SKIP") == "1":
        pytest.fail(why)
    pytest.skip(why)


@dataclass(frozen=True, slots=True)
class Program:
    """What is run, and which files are its state."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    """For strace's log and what the program says."""
    state: Sequence[Path]
    """Files and folders, whether they are there yet or not."""
    loaded: Sequence[str] = ()
    """The arguments of spendwatch, if it is forked from one that is loaded: loading takes thousands of calls, always the same.

    Its reading process is not among what is traced then.
    """

    def run(self) -> Ended:
        """Run it to its end."""
        return self._end(self.command)

    def run_until(self, point: Point) -> Ended:
        """Run it until the point; a point that is not reached kills nobody."""
        log = self.folder / "strace.log"
        log.unlink(missing_ok=True)
        inject = f"inject={point.call}:signal=SIGKILL:when={point.number}"
        ended = self._traced(log, (point.call,), point.room, "-e", inject)
        return Ended(ended.code, ended.words, _victim(ended.code, log), ended.hangs)

    def calls(self, names: Collection[str], room: Room) -> tuple[Ended, list[Call]]:
        """Run it to its end; return its calls of these names in their order."""
        log = self.folder / "strace.log"
        ended = self._traced(log, names, room, "-y")
        return ended, list(_calls(log.read_text(errors="replace").splitlines()))

    def recorded(self, names: Collection[str]) -> tuple[Ended, str]:
        """Run it to its end; return strace's log of these calls with all that they write, and when."""
        log = self.folder / "strace.log"
        ended = self._traced(log, names, Room.WHOLE, "-y", "-ttt", "-s", str(1 << 20))
        return ended, log.read_text(errors="replace")

    def _traced(self, log: Path, names: Collection[str], room: Room, *more: str) -> Ended:
        # --seccomp-bpf would make it cheaper, but then the signal is not delivered at the call.
        paths = [part for path in self.state for part in ("-P", str(path))] if room is Room.STATE else []
        trace = ["-e", f"trace={','.join(names)}", "-e", "signal=KILL", *more]
        tracer = ["strace", "-f", "-qq", "-o", str(log), *paths, *trace]
        return self._end_held(tracer) if self.loaded else self._end([*tracer, *self.command])

    def _end_held(self, tracer: Sequence[str]) -> Ended:
        words = self.folder / "words.log"
        with words.open("wb") as said:
            held = loaded_program().begin(self.loaded, self.environment, said.fileno(), said.fileno(), is_held=True)
            traced = subprocess.Popen([*tracer, "-p", str(held.pid)], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            status, end = Path(f"/proc/{held.pid}/status"), time.monotonic() + PATIENCE
            while "TracerPid:\t0" in status.read_text() and time.monotonic() < end:
                time.sleep(0.005)  # noqa: TID251 -- nothing tells when it is attached
            hangs = True
            while hangs and time.monotonic() < end:
                with suppress(ProcessLookupError):
                    os.kill(held.pid, signal.SIGCONT)  # more than once: strace may still be about to see that it is stopped
                with suppress(subprocess.TimeoutExpired):
                    traced.wait(1.0)
                    hangs = False
            if hangs:
                os.kill(held.pid, signal.SIGKILL)
                traced.kill()
                traced.wait()
            return Ended(held.wait(), words.read_text(errors="replace"), hangs=hangs)

    def _end(self, command: Sequence[str]) -> Ended:
        words = self.folder / "words.log"
        with words.open("wb") as said:
            process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
            try:
                code, hangs = process.wait(PATIENCE), False
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # a session of its own: nobody else is in it
                code, hangs = process.wait(), True
        return Ended(code, words.read_text(errors="replace"), hangs=hangs)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as strace wrote it down."""

    thread: int
    process: int
    name: str
    line: str


_LINE = re.compile(r"(?P<thread>\d+) +(?P<resumed><\.\.\. )?(?P<name>\w+)[( ](?P<rest>.*)")
_RESULT = re.compile(r" = (?P<number>\d+)(?:<[^>]*>)?$")
BEGINNINGS = ("clone", "clone3", "fork", "vfork")
"""To be asked for wherever threads are to be told from processes."""


def _calls(lines: Iterable[str]) -> Iterator[Call]:
    process_of: dict[int, int] = {}
    begun: dict[int, str] = {}
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        thread, name = int(found["thread"]), found["name"]
        process = process_of.setdefault(thread, thread)
        whole = begun.pop(thread, "") + line if found["resumed"] else line
        if line.endswith("<unfinished ...>"):
            begun[thread] = line
        if name in BEGINNINGS and (child := _RESULT.search(line)):
            process_of[int(child["number"])] = process if "CLONE_THREAD" in whole else int(child["number"])
        if not found["resumed"]:
            yield Call(thread, process, name, line)


def points_in(calls: Sequence[Call], room: Room, *, since: Path | None = None) -> list[Point]:
    """Return every point there is: for each name and number, who gets so far first.

    `since`: only from the first call on that names this path.
    """
    counts: dict[tuple[int, str], int] = {}
    most: dict[str, int] = {}
    found: list[Point] = []
    begins = next((at for at, call in enumerate(calls) if since is None or str(since) in call.line), len(calls))
    for at, call in enumerate(calls):
        number = counts[call.thread, call.name] = counts.get((call.thread, call.name), 0) + 1
        if number > most.get(call.name, 0):
            most[call.name] = number
            victim = Victim.PROGRAM if call.process == calls[0].process else Victim.WORKER
            if at >= begins:
                found.append(Point(call.name, number, room, victim))
    return found


def spread(items: Iterable[Point], most: int) -> list[Point]:
    """Return at most so many points: of rare calls all, of frequent ones as many each, evenly spread."""
    groups: dict[str, list[Point]] = {}
    for item in sorted(items):
        groups.setdefault(item.call, []).append(item)
    chosen: list[Point] = []
    for at, group in enumerate(sorted(groups.values(), key=len)):
        size = min(len(group), (most - len(chosen)) // (len(groups) - at))
        chosen += [group[(2 * number + 1) * len(group) // (2 * size)] for number in range(size)]
    return chosen


def _victim(code: int, log: Path) -> Victim:
    """strace ends as the program did; a death that is only in its log was another process's."""
    if code == -signal.SIGKILL:
        return Victim.PROGRAM
    died = log.exists() and "+++ killed by SIGKILL +++" in log.read_text(errors="replace")
    return Victim.WORKER if died else Victim.NOBODY
