"""Reading processes that are forked from one that has loaded Polars already, for programs that are forked themselves.

How a reading process is started is shown where tests start the program from nothing.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import IO

_MOST = 1 << 20
"""Bytes of a request: arguments and environment."""


class Forked:
    """A process that somebody forked for us: its id and its exit code come over a socket. As much of `Popen` as is used."""

    def __init__(self, end: socket.socket) -> None:
        self.pid = int(end.recv(16))
        self._end = end
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return its exit code, or raise `TimeoutExpired` if that does not come."""
        if self.returncode is None:
            self._end.settimeout(timeout)
            try:
                self.returncode = int(self._end.recv(16))
            except (TimeoutError, BlockingIOError) as error:
                raise subprocess.TimeoutExpired(__name__, timeout or 0.0) from error
            self._end.close()
        return self.returncode


def nursed(nursery: socket.socket, command: Sequence[str], log: IO[bytes], *, cwd: Path, env: Mapping[str, str]) -> Forked:
    """Return a reading process of that nursery."""
    connection, *limits = command[-3:]
    request = json.dumps({"limits": limits, "folder": str(cwd), "environment": dict(env)}).encode()
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        socket.send_fds(nursery, [request], [int(connection), log.fileno(), theirs.fileno()])
    return Forked(ours)


def put_in(nursery: socket.socket) -> None:
    """Let the reading processes of this very process come from there."""
    from spendwatch.bills.client import child  # noqa: PLC0415 -- the nursery itself has no use for it

    def start(command: Sequence[str], *, stdout: IO[bytes], cwd: Path, env: Mapping[str, str], **_others: object) -> Forked:
        return nursed(nursery, command, stdout, cwd=cwd, env=env)

    stand_in = SimpleNamespace(Popen=start, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired)
    vars(child)["subprocess"] = stand_in


def _forked(request: Mapping[str, object], connection: int, log: int, end: int) -> None:
    """Become a reading process below one that tells its exit code."""
    if child := os.fork():
        os.close(connection)
        _, status = os.waitpid(child, 0)
        with suppress(OSError):
            os.write(end, str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    os.setsid()
    os.write(end, str(os.getpid()).encode())
    os.close(end)
    for target in (1, 2):
        os.dup2(log, target)
    os.close(log)
    os.chdir(str(request["folder"]))
    environment, limits = request["environment"], request["limits"]
    assert isinstance(environment, dict)
    assert isinstance(limits, list)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv[1:] = [str(connection), *limits]


def main() -> None:
    """Fork for each request until nobody asks any more."""
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        while True:
            request, files, _, _ = socket.recv_fds(requests, _MOST, 3)
            if not request:
                return
            from spendwatch.bills import worker  # noqa: PLC0415 -- once somebody needs it

            gc.collect()
            gc.freeze()
            if os.fork() == 0:
                requests.close()
                _forked(json.loads(request), *files)
                worker.main()
            for file in files:
                os.close(file)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


if __name__ == "__main__":
    main()
