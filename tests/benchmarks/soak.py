"""The daemon over time: memory, files, threads, SQLite's log, polls. It is started anew, as an operator starts it.

    python tests/benchmarks/soak.py [--minutes 20] [--every 6] [--lines 500] [--requests 5]    under 50 times the usual load
    python tests/benchmarks/soak.py --days 30                                                  as many days, in minutes

Usual is a bill every five minutes and a look at the page every ten seconds. Two readers take turns, so that one always has the
ledger open. In simulated days the daemon runs without a page, and nobody waits for what it waits for (`JumpingHome`): each day
has four bills, and each poll and each reminder that is due is expected. Exits with 1 if a figure is out of bounds.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "programs", "fuzz"))

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.measuring import children, memory
from bill_builder import a_line
from home import RESEARCH, ZONE, Home, JumpingHome, Running, today
from servers_http import HttpSink
from servers_postgres import free_port
from spendwatch.domain.period import BillingPeriod, closes_at

_POLL = 2.0
_MB = 1_000_000
_HELD = 1.5
"""For so many seconds each of the two readers holds its view of the ledger."""
_STEP = timedelta(hours=6)
"""Between two bills of a simulated day."""
_POLLS = timedelta(minutes=10)
"""Between two polls of it."""
_START = timedelta(minutes=1)
"""So long the start may take."""

_REMIND, _FINAL_ON, _WHOLE = timedelta(days=1), 4, 30
"""After so long a threshold is reported again, until that day of the next month; in so many days two months reach five."""

GROWTH_PER_HOUR = 5.0
"""By so many MB memory may grow in an hour of 50 times the usual load, in the second half."""
GROWTH_PER_DAY = 0.1
"""By so many MB it may grow in a simulated day, in the second half."""
FILES, THREADS = 2, 1
"""By so many the most open files and threads of the last third may exceed those of the third before."""
LOG = 64.0
"""So many MB SQLite's log may have."""
MISSED = 0.02
"""The share of polls that may come late, where other programs share the machine."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment, in hours of load or simulated days since the start."""

    at: float
    resident: float
    reader: int
    """Memory of the reading process, in MB."""
    descriptors: int
    threads: int
    log: float


@dataclass(slots=True)
class Judgement:
    """Figures beside their bounds."""

    is_good: bool = True

    def figure(self, what: str, value: float, bound: float, *, unit: str = "") -> None:
        """Print a figure and whether it is in bounds."""
        is_good = value <= bound
        self.is_good &= is_good
        print(f"{'ok ' if is_good else 'OUT'} {what}: {value:.4g}{unit}, at most {bound:g}{unit}")

    def curves(self, samples: Sequence[Sample], growth: float, per: str) -> None:
        """Judge what was sampled."""
        second = samples[len(samples) // 2 :]
        line = statistics.linear_regression([one.at for one in second], [one.resident for one in second])
        shown = samples[:: max(1, len(samples) // 12)]
        print(f"    memory in MB: {' '.join(f'{one.resident:.1f}' for one in (*shown, samples[-1]))}")
        print(f"    the reading process: at most {max(one.reader for one in samples)} MB")
        third = len(second) // 3
        before, last = second[:third], second[-third:]
        self.figure(f"memory, second half, a{per}", line.slope, growth, unit=" MB")
        for what, bound in (("descriptors", FILES), ("threads", THREADS)):
            grown = max(getattr(one, what) for one in last) - max(getattr(one, what) for one in before)
            self.figure(f"more {what} ({getattr(samples[-1], what)})", grown, bound)
        self.figure("SQLite's log", max(one.log for one in samples), LOG, unit=" MB")


def sample(pid: int, at: float, ledger: Path) -> Sample:
    """Look at the daemon without its reading process."""
    log, place = ledger.with_name(f"{ledger.name}-wal"), Path(f"/proc/{pid}")
    resident = next(line for line in (place / "smaps_rollup").read_text().splitlines() if line.startswith("Rss:"))
    return Sample(
        at,
        int(resident.split()[1]) * 1024 / _MB,
        max((memory(child, "VmRSS") for child in children(pid)), default=0),
        len(list((place / "fd").iterdir())),
        len(list((place / "task").iterdir())),
        log.stat().st_size / _MB if log.exists() else 0.0,
    )


@dataclass(slots=True)
class Load:
    """Work for the daemon, by threads that end together."""

    home: Home
    port: int
    end: threading.Event = field(default_factory=threading.Event)
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def put_on(self, *works: Callable[[], None]) -> Iterator[None]:
        """Work until the end."""
        workers = [threading.Thread(target=work, daemon=True) for work in works]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            self.end.set()
            for worker in workers:
                worker.join(60)

    def drop_bills(self, every: float, lines: int) -> None:
        """Drop a bill with new charges of the last days, again and again."""
        number, days = 0, max(1, today().day)
        while not self.end.wait(every):
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
            self.home.drop(wanted, name=f"bill-{number:05d}.csv")

    def look_at_pages(self, per_second: float) -> None:
        """Ask for the page, the API and the metrics in turn."""
        number = 0
        while not self.end.wait(1 / per_second):
            path = ("/", "/api/v1/status", "/metrics", "/readyz")[number % 4]
            number += 1
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                    answer.read()
            except OSError as error:
                self.failures.append(f"{path}: {error}")

    def hold_open(self) -> None:
        """Let one of two views of the ledger be open at any time."""
        views = [sqlite3.connect(f"file:{self.home.state}?mode=ro", uri=True, isolation_level=None) for _ in range(2)]
        with closing(views[0]), closing(views[1]):
            while not self.end.wait(_HELD):
                for view, other in (views, reversed(views)):
                    view.execute("BEGIN")
                    view.execute("SELECT count(*) FROM statement").fetchall()
                    if other.in_transaction:
                        other.execute("COMMIT")
                    self.end.wait(_HELD)


def counted(port: int) -> dict[tuple[str, ...], float]:
    """Return the values of /metrics by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def under_load(place: Path, hook: HttpSink, options: argparse.Namespace) -> bool:
    """Put it under load for some minutes; return whether all is in bounds."""
    load, samples = Load(Home(place, hook=hook), free_port()), list[Sample]()
    home = load.home
    home.furnish(extra=f"web: {{listen: '127.0.0.1:{load.port}'}}", account=", first: [item, model, api_key]")
    _poll_every(home, f"{_POLL:g}s")
    home.watch(budget="2000.00", more="budgets: [{name: each key, for_each: api_key, budget: 20.00}]")
    with _started(home) as running:
        began = time.monotonic()
        works = (
            lambda: load.drop_bills(options.every, options.lines),
            lambda: load.look_at_pages(options.requests),
            load.hold_open,
        )
        with load.put_on(*works):
            while (passed := time.monotonic() - began) < options.minutes * 60:
                load.end.wait(5)
                samples.append(sample(running.process.pid, passed / 3600, home.state))
            found, polled = counted(load.port), time.monotonic() - began
    rounds, due = found["spendwatch_task_duration_seconds_count", "collect:inbox"], polled / _POLL
    bills, lines = found["spendwatch_bills_total", "recorded"], found["spendwatch_bill_lines_total",]
    print(f"{polled:.0f} s, {bills:.0f} bills with {lines:.0f} lines, {rounds:.0f} polls of {due:.0f}")
    for failure in sorted(set(load.failures))[:5]:
        print(f"    {failure}")
    judgement = Judgement()
    judgement.curves(samples, GROWTH_PER_HOUR, "n hour")
    judgement.figure("polls missed", max(0.0, 1 - rounds / due), MISSED)
    judgement.figure("failed rounds", sum(of for key, of in found.items() if key[0] == "spendwatch_task_failures_total"), 0)
    judgement.figure("failed requests", len(load.failures), 0)
    return judgement.is_good


def through_days(place: Path, hook: HttpSink, days: int) -> bool:
    """Let so many days pass, the turn of a month among them; return whether all is in bounds."""
    began = today().replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=45)
    home, samples, judgement = JumpingHome(place, hook=hook, since=began), list[Sample](), Judgement()
    home.furnish()
    _poll_every(home, f"{_POLLS.total_seconds():g}s")
    home.watch(budget="580.00", more="remind: 1d")
    now, polls = began, 0
    with _started(home) as running:
        first = home.pass_to(now + _START)["collect:inbox"]
        while now < began + timedelta(days=days):
            home.drop(_lines_of(now), exported=now, name=f"{now:%Y%m%d%H%M%S}.csv")
            now += _STEP
            polls = home.pass_to(now + _START)["collect:inbox"] - first
            samples.append(sample(running.process.pid, (now - began) / timedelta(days=1), home.state))
        home.let_go()
        log = running.log()
    due, bills = (now - began) // _POLLS, log.count("bill_recorded")
    told = [(call["data"]["month"], datetime.fromisoformat(call["timestamp"]), call["data"]["reason"]) for call in home.calls()]
    reasons = dict(Counter(reason for _, _, reason in told))
    print(f"{days} days from {began:%Y-%m-%d}, {bills} of {len(samples)} bills, {polls} of {due} polls, messages {reasons}")
    judgement.curves(samples, GROWTH_PER_DAY, " day")
    judgement.figure("polls missed", due - polls, 0)
    judgement.figure("bills missed", len(samples) - bills, 0)
    judgement.figure("thresholds not reported", 5 - reasons.get("fired", 0) if days >= _WHOLE else 0, 0)
    judgement.figure("reminders missed or too early", _amiss(told, now), 0)
    judgement.figure("failed rounds", log.count("job_failed"), 0)
    return judgement.is_good


def _amiss(told: Sequence[tuple[str, datetime, str]], end: datetime) -> int:
    """Return how often a month was silent for longer than a day and two looks until it was final, and what came too early."""
    amiss = 0
    for month in {month for month, _, _ in told}:
        final = closes_at(BillingPeriod.parse(month), ZONE, final_on=_FINAL_ON)
        moments = sorted((at, reason) for of, at, reason in told if of == month)
        for (before, _), (at, reason) in pairwise([*moments, (min(end, final), "")]):
            amiss += at - before > _REMIND + 2 * _POLLS or (reason == "repeated" and at - before < _REMIND)
    return amiss


def _lines_of(now: datetime) -> Iterator[dict[str, str]]:
    """Yield the charges of six hours."""
    for one in range(50):
        workspace = RESEARCH if one < 10 else f"llm-{one:04d}"
        name = f"{now:%Y%m}_0700v1_019_{now:%d%H}_{one}"
        yield a_line(line_id=name, day=f"{now:%Y%m%d}", amount="1.00", workspace=workspace, api_key=str(1_200_000 + one))


@contextmanager
def _started(home: Home) -> Iterator[Running]:
    home.environment["MALLOC_ARENA_MAX"] = "2"  # as the service and the image have it
    running = home.start(anew=True)
    running.notify.close()  # nobody would read it: each message would wait a second for its turn
    try:
        yield running
    finally:
        with suppress(OSError):
            running.stop()


def _poll_every(home: Home, pace: str) -> None:
    config = home.folder / "spendwatch.yaml"
    config.write_text(config.read_text().replace("poll: 1s", f"poll: {pace}"))


def main() -> int:
    """Print what was measured, and a verdict on each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--every", type=float, default=6, help="seconds between bills")
    parser.add_argument("--lines", type=int, default=500, help="of each bill")
    parser.add_argument("--requests", type=float, default=5, help="a second")
    parser.add_argument("--days", type=int, help="simulate so many days instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spendwatch-soak-") as place, HttpSink() as hook:
        is_good = through_days(Path(place), hook, options.days) if options.days else under_load(Path(place), hook, options)
    print("good" if is_good else "OUT OF BOUNDS")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
