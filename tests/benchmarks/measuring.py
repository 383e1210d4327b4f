"""Whole processes measured from outside: wall time, CPU time, and the peak memory of each process by what it is."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one command."""

    seconds: float
    cpu: float = 0.0
    """CPU seconds of the command and of all its children: less than wall time they depend on what else the machine does."""
    peaks: Mapping[str, int] = field(default_factory=dict)
    """Peak resident memory in MB, of the command itself (`main`) and of its reading process (`worker`)."""


def measure(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Measured:
    """Run the command to its end; a failure raises `CalledProcessError`."""
    peaks: dict[str, int] = {}
    started = time.perf_counter()
    told = dict(os.environ if env is None else env)
    told.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled already
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=told)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks, ended), daemon=True)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    code = process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    ended.set()
    watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return Measured(seconds, usage.ru_utime + usage.ru_stime, peaks)


def _watch(pid: int, peaks: dict[str, int], ended: threading.Event) -> None:
    while not ended.wait(0.05):
        _note("main", pid, peaks)
        for child in children(pid):
            _note("worker", child, peaks)


def children(pid: int) -> list[int]:
    """Return the direct children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(stat.parent.name))
    return found


def _note(name: str, pid: int, peaks: dict[str, int]) -> None:
    peak = memory(pid, "VmHWM")
    if peak:
        peaks[name] = max(peak, peaks.get(name, 0))


def memory(pid: int, field_name: str) -> int:
    """Return a memory figure of a process in MB, such as VmRSS or VmHWM; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith(field_name)), "")
    return int(line.split()[1]) // 1024 if line else 0


def median(runs: Sequence[Measured]) -> float:
    """Return the median wall time."""
    return statistics.median(run.seconds for run in runs)


def ratio(runs: Sequence[Measured], others: Sequence[Measured]) -> str:
    """Return how many times the others' wall and CPU time it took, the median of runs that followed each other."""
    wall = statistics.median(run.seconds / other.seconds for run, other in zip(runs, others, strict=True))
    cpu = statistics.median(run.cpu / other.cpu for run, other in zip(runs, others, strict=True))
    return f"{wall:.2f}/{cpu:.2f}"


def spendwatch(*arguments: str) -> list[str]:
    """Return the command line of our own program."""
    return [sys.executable, "-m", "spendwatch", *arguments]


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a measured process."""
    return {**os.environ, **changes}
