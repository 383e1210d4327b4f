"""How quick and how small the program is: --help, status, ready, memory at rest, and how long the event loop stands still.

    python tests/benchmarks/daemon.py [--rows 1000000]

Times of commands stand beside that of the bare interpreter, in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "fuzz"))

from benchmarks.generate import generated_bill
from benchmarks.ingest import CONFIG
from benchmarks.measuring import memory, spendwatch
from spendwatch.app import App
from spendwatch.schedule import keep_for_life
from spendwatch.settings import load
from spendwatch.state import opened_store


def seconds(command: Sequence[str], runs: int = 7) -> float:
    """Return the median time of a command."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def ready_and_rest(folder: Path) -> tuple[float, int, bool]:
    """Start the daemon: return seconds until READY, resident MB at rest, and whether Polars was loaded."""
    place = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(place))
        notify.settimeout(30)
        started = time.perf_counter()
        environment = {**os.environ, "NOTIFY_SOCKET": str(place)}
        process = subprocess.Popen(spendwatch("--config", str(folder), "run"), env=environment, stderr=subprocess.DEVNULL)
        while b"READY=1" not in notify.recv(4096):
            pass
        ready = time.perf_counter() - started
        subprocess.run(["sleep", "5"], check=True)
        resident, maps = memory(process.pid, "VmRSS"), Path(f"/proc/{process.pid}/maps").read_text()
        process.terminate()
        process.wait(30)
    return ready, resident, "polars" in maps


async def longest_stall(folder: Path, bill: Path) -> tuple[float, float]:
    """Collect a bill in the daemon's own way; return the longest time that the loop stood still, and how long it all took."""
    settings = load(folder)
    (folder / "inbox").mkdir(exist_ok=True)
    shutil.copyfile(bill, folder / "inbox" / bill.name)
    longest, last = 0.0, time.perf_counter()
    with opened_store(settings) as store:
        app = App(settings, store)
        keep_for_life()
        started = time.perf_counter()
        work = asyncio.create_task(app.once())
        while not work.done():
            last = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - last - 0.001)
        taken = await work
        app.close()
    assert [one.refused or one.failed for one in taken] == [""], taken
    return longest, time.perf_counter() - started


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    bill = generated_bill(rows)
    folder = Path(tempfile.mkdtemp(prefix="spendwatch-bench-"))
    try:
        (folder / "spendwatch.yaml").write_text(CONFIG.replace("path: inbox", "path: inbox, settle: 0s"))
        bare = seconds([sys.executable, "-c", "pass"])
        shown = seconds(spendwatch("--help"))
        print(f"--help {shown * 1000:.0f} ms, bare interpreter {bare * 1000:.0f} ms, ratio {shown / bare:.1f}")
        stall, took = asyncio.run(longest_stall(folder, bill))
        print(f"collecting {rows} rows: {took:.2f} s, the event loop stood still for at most {stall * 1000:.1f} ms")
        status = seconds(spendwatch("--config", str(folder), "status", "--month", "2026-09"))
        print(f"status on {rows} lines {status * 1000:.0f} ms, ratio to the bare interpreter {status / bare:.1f}")
        size = (folder / "var" / "spendwatch.db").stat().st_size
        print(f"ledger {size / 2**20:.0f} MB, {size / rows:.0f} bytes a line")
        ready, resident, has_polars = ready_and_rest(folder)
        print(f"ready after {ready * 1000:.0f} ms; at rest {resident} MB resident, Polars loaded: {has_polars}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
