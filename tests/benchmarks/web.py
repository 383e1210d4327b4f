"""How quick the page is while a bill is read, how large it is, and how small the daemon stays with and without it.

    python tests/benchmarks/web.py [--rows 1000000] [--workspaces 200] [--seconds 60]

The overview is asked for 50 times a second, at fixed moments, whether or not the answer before has come: an answer that is late
is not left out. It is kept for a minute, so that nearly all answers are copies; the first one tells how long it takes to make.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "fuzz", "programs"))

import shifted
from benchmarks.generate import generated_bill
from benchmarks.ingest import CONFIG
from benchmarks.measuring import memory, spendwatch

NOW = "2026-09-30T12:00:00+08:00"
RATE = 50
PORT = 18_080


@contextmanager
def running(folder: Path, config: str) -> Iterator[int]:
    """Run the daemon, and give its process id once it is ready."""
    (folder / "spendwatch.yaml").write_text(config)
    place = folder / "notify"
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(place))
        notify.settimeout(60)
        command = [sys.executable, shifted.__file__, NOW, "--config", str(folder), "run"]
        environment = {**os.environ, "NOTIFY_SOCKET": str(place)}
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            while b"READY=1" not in notify.recv(4096):
                pass
            yield process.pid
        finally:
            process.terminate()
            process.wait(60)


async def ask(path: str) -> tuple[float, int]:
    """Ask once over a connection of its own; return the seconds it took and the size of the answer."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAccept: text/html\r\n\r\n".encode())
    answer = await reader.read(-1)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    return time.perf_counter() - started, len(answer)


async def load(seconds: int) -> list[float]:
    """Ask at a fixed rate; return how long each answer took from the moment it was due."""
    begin, times = asyncio.get_running_loop().time() + 0.1, []

    async def one(number: int) -> None:
        due = begin + number / RATE
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        await ask("/")
        times.append(asyncio.get_running_loop().time() - due)

    await asyncio.gather(*(one(number) for number in range(seconds * RATE)))
    return sorted(times)


def told(name: str, times: list[float]) -> None:
    """Print the usual quantiles."""
    shown = (f"p{part:g} {times[min(len(times) - 1, int(len(times) * part / 100))] * 1000:.1f}" for part in (50, 95, 99, 99.9))
    print(f"{name}: {', '.join(shown)}, most {times[-1] * 1000:.0f} ms")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workspaces", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    bill = generated_bill(given.rows, exported="20260930093012", workspaces=given.workspaces)
    again = generated_bill(given.rows, exported="20260930113012", workspaces=given.workspaces)
    folder = Path(tempfile.mkdtemp(prefix="spendwatch-bench-"))
    config = CONFIG.replace("path: inbox", "path: inbox, settle: 0s, poll: 1s")
    try:
        inbox = folder / "inbox"
        inbox.mkdir()
        (folder / "spendwatch.yaml").write_text(config)
        subprocess.run(spendwatch("--config", str(folder), "import", str(bill)), check=True, capture_output=True)
        with running(folder, config) as pid:
            time_to_rest()
            print(f"without the page: {memory(pid, 'VmRSS')} MB resident at rest")
        with running(folder, f"{config}web: {{listen: '127.0.0.1:{PORT}'}}\n") as pid:
            time_to_rest()
            print(f"with the page, before anybody asked: {memory(pid, 'VmRSS')} MB")
            first, size = asyncio.run(ask("/"))
            print(f"the first overview {first * 1000:.0f} ms, {size / 1000:.0f} kB; further workspaces: ", end="")
            print(f"{asyncio.run(ask('/?offset=50'))[1] / 1000:.0f} kB")
            told(f"{RATE} a second", asyncio.run(load(given.seconds)))
            print(f"after that: {memory(pid, 'VmRSS')} MB")
            shutil.copyfile(again, inbox / ".new")
            (inbox / ".new").rename(inbox / again.name)
            told(f"{RATE} a second while a bill of {given.rows} lines is read", asyncio.run(load(given.seconds)))
            print(f"after that: {memory(pid, 'VmRSS')} MB")
    finally:
        shutil.rmtree(folder)


def time_to_rest() -> None:
    """Let the daemon make its first round."""
    subprocess.run(["sleep", "8"], check=True)


if __name__ == "__main__":
    main()
