"""The daemon under 50 times the usual load for some minutes: memory, files, threads, the log of SQLite, and missed polls.

python tests/benchmarks/soak.py [--minutes 20] [--every 6] [--lines 500] [--requests 5]

Usual is a bill every five minutes and a look at the page every ten seconds. Exits with 1 if memory grows by more than 5 MB
an hour in the second half, descriptors or threads grow, the log exceeds 64 MB, a round fails, or more than 2% of the polls are
missed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "programs", "fuzz"))

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.measuring import children, memory
from bill_builder import a_line
from home import RESEARCH, Home, today
from servers_http import HttpSink
from servers_web import free_port

_POLL = 2.0
_MB = 1_000_000
_PACE = "each hour"


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment, in seconds since the start."""

    at: float
    resident: float
    reader: int
    """Memory of the reading process, in MB."""
    descriptors: int
    threads: int
    log: float


def sample(pid: int, began: float, ledger: Path) -> Sample:
    """Look at the daemon without its reading process."""
    log = ledger.with_name(f"{ledger.name}-wal")
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    reader = max((memory(child, "VmRSS") for child in children(pid)), default=0)
    return Sample(
        time.monotonic() - began,
        pages * resource.getpagesize() / _MB,
        reader,
        files,
        threads,
        log.stat().st_size / _MB if log.exists() else 0.0,
    )


def drop_bills(home: Home, every: float, lines: int, end: threading.Event) -> None:
    """Drop a bill with new charges of the last days, again and again."""
    number, days = 0, max(1, today().day)
    while not end.wait(every):
        number += 1
        wanted = (
            a_line(
                line_id=f"{today():%Y%m}_0700v1_019_{number}_{one}",
                day=f"{today().replace(day=1 + one % days):%Y%m%d}",
                amount=f"0.{one % 89 + 10}",
                workspace=f"llm-{one % 50:04d}" if one % 3 else RESEARCH,
                api_key=str(1_200_000 + one % 200),
            )
            for one in range(lines)
        )
        home.drop(wanted, name=f"bill-{number:05d}.csv")


def look_at_pages(port: int, per_second: float, end: threading.Event, failures: list[str]) -> None:
    """Ask for the page, the API and the metrics in turn."""
    number = 0
    while not end.wait(1 / per_second):
        path = ("/", "/api/v1/status", "/metrics", "/readyz")[number % 4]
        number += 1
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                answer.read()
        except OSError as error:
            failures.append(f"{path}: {error}")


def counted(port: int) -> dict[tuple[str, ...], float]:
    """Return the values of /metrics by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def main() -> int:
    """Print what was measured, and a verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--every", type=float, default=6, help="seconds between bills")
    parser.add_argument("--lines", type=int, default=500, help="of each bill")
    parser.add_argument("--requests", type=float, default=5, help="a second")
    options = parser.parse_args()
    end, failures, samples = threading.Event(), list[str](), list[Sample]()
    with tempfile.TemporaryDirectory(prefix="spendwatch-soak-") as place, HttpSink() as hook:
        home, port = Home(Path(place), hook=hook), free_port()
        home.furnish(extra=f"web: {{listen: '127.0.0.1:{port}'}}", account=", first: [item, model, api_key]")
        config = home.folder / "spendwatch.yaml"
        config.write_text(config.read_text().replace("poll: 1s", f"poll: {_POLL:g}s"))
        home.watch(budget="2000.00", more="budgets: [{name: each key, for_each: api_key, budget: 20.00}]")
        running = home.start()
        began = time.monotonic()
        workers = (
            threading.Thread(target=drop_bills, args=(home, options.every, options.lines, end), daemon=True),
            threading.Thread(target=look_at_pages, args=(port, options.requests, end, failures), daemon=True),
        )
        for worker in workers:
            worker.start()
        try:
            while time.monotonic() - began < options.minutes * 60:
                end.wait(5)
                samples.append(sample(running.process.pid, began, home.state))
            found, polled = counted(port), time.monotonic() - began
        finally:
            end.set()
            for worker in workers:
                worker.join(60)
            with suppress(OSError):
                running.stop()
    return judge(samples, found, polled, failures)


def judge(samples: list[Sample], found: dict[tuple[str, ...], float], seconds: float, failures: list[str]) -> int:
    """Print the figures, and return whether one is out of bounds."""
    second_half = samples[len(samples) // 2 :]
    slope = statistics.linear_regression([one.at for one in second_half], [one.resident for one in second_half]).slope * 3600
    first, last = second_half[: len(second_half) // 3], second_half[-len(second_half) // 3 :]
    files = max(one.descriptors for one in last) - max(one.descriptors for one in first)
    threads = max(one.threads for one in last) - max(one.threads for one in first)
    log, expected = max(one.log for one in samples), seconds / _POLL
    rounds = found["spendwatch_task_duration_seconds_count", "collect:inbox"]
    failed = sum(value for key, value in found.items() if key[0] == "spendwatch_task_failures_total")
    missed = max(0.0, 1 - rounds / expected)
    bills, lines = found["spendwatch_bills_total", "recorded"], found["spendwatch_bill_lines_total",]
    print(f"{seconds:.0f} s, {bills:.0f} bills with {lines:.0f} lines, {len(failures)} failed requests")
    for failure in sorted(set(failures))[:5]:
        print(f"  {failure}")
    resident = [one.resident for one in samples]
    print(f"memory {resident[0]:.1f} MB, then {min(resident):.1f} to {max(resident):.1f} MB, at the end {resident[-1]:.1f} MB")
    print(f"slope of the second half {slope:+.1f} MB {_PACE}; reading process at most {max(one.reader for one in samples)} MB")
    print(f"descriptors {samples[-1].descriptors} ({files:+d}), threads {samples[-1].threads} ({threads:+d}), log {log:.1f} MB")
    print(f"polls {rounds:.0f} of {expected:.0f} ({missed:.1%} missed), failed rounds {failed:.0f}")
    is_good = slope <= 5 and files <= 2 and threads <= 1 and log <= 64 and not failed and missed <= 0.02 and not failures
    print("good" if is_good else "OUT OF BOUNDS")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
