"""Signs of life: a datagram to systemd, a file for a container. Driven by progress, not by a timer alone.

`python -m spendwatch.heartbeat FILE [SECONDS]` ends with 0 if the file was touched within so many seconds, else with 1.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

_SEND_TIMEOUT = 1.0
_DEFAULT_WITHIN = timedelta(minutes=2)
_USUAL_ARGUMENTS = (1, 2)


class Heartbeat:
    """Tells the service manager how we are, and that we live only while every critical task gets on."""

    def __init__(self, environ: Mapping[str, str], clock: Callable[[], float], path: Path | None = None) -> None:
        """Read `NOTIFY_SOCKET` and `WATCHDOG_USEC`; `clock` is monotonic; `path` is touched at each healthy beat."""
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watchdog = _watchdog_usec(environ)
        self._clock = clock
        self._path = path
        self._limits: dict[str, float] = {}
        self._progressed: dict[str, float] = {}
        self._proven: set[str] = set()

    def ready(self, status: str) -> bool:
        """Say that the start, or a reload, is complete."""
        return self._notify("READY=1", f"STATUS={_one_line(status)}")

    def status(self, text: str) -> bool:
        """Say in one line what we are doing."""
        return self._notify(f"STATUS={_one_line(text)}")

    def reloading(self) -> bool:
        """Say that the configuration is being read again; `ready` must follow."""
        # Both must be in one message: systemd takes a reload without its time for a failed one.
        return self._notify("RELOADING=1", f"MONOTONIC_USEC={int(self._clock() * 1_000_000)}")

    def stopping(self) -> bool:
        """Say that we are about to end."""
        return self._notify("STOPPING=1")

    def expect(self, task: str, within: timedelta) -> None:
        """Demand from now on that this task completes a round at least that often."""
        self._limits[task] = within.total_seconds()
        self._progressed.setdefault(task, self._clock())

    def dismiss(self, task: str) -> None:
        """Demand nothing of this task any more."""
        self._limits.pop(task, None)
        self._progressed.pop(task, None)

    def progress(self, task: str) -> None:
        """Note that the task has completed a round."""
        if task in self._limits:
            self._progressed[task] = self._clock()
            self._proven.add(task)

    def late(self) -> tuple[str, ...]:
        """Return the tasks that did not get on within their limit."""
        now = self._clock()
        return tuple(task for task, limit in self._limits.items() if now - self._progressed[task] > limit)

    def is_proven(self) -> bool:
        """Return whether every task got on at least once."""
        return self._limits.keys() <= self._proven

    def beat(self) -> tuple[str, ...]:
        """Feed the watchdog and touch the file, unless a task is late; return the late ones."""
        late = self.late()
        if not late:
            if self._watchdog:
                self._notify("WATCHDOG=1")
            self._touch()
        return late

    def watchdog_interval(self) -> timedelta | None:
        """Return how often to beat: half of what systemd allows, or None when it does not watch us."""
        return timedelta(microseconds=self._watchdog // 2) if self._watchdog else None

    def _touch(self) -> None:
        # A full or missing disk must not end a daemon that gets on otherwise: the missing touch says it.
        if self._path:
            with contextlib.suppress(OSError):
                self._path.touch(mode=0o600)

    def _notify(self, *lines: str) -> bool:
        """Send one datagram and return whether it was sent. Never raises: the daemon must not fail with its service manager."""
        if not self._address.startswith(("/", "@")):
            return False
        # An address with @ lives in the abstract name space, where the first byte is zero.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
                manager.settimeout(_SEND_TIMEOUT)
                manager.sendto("\n".join(lines).encode(errors="replace"), address)
        except OSError:
            return False
        return True


def is_alive(path: Path, within: timedelta, now_seconds: float) -> bool:
    """Return whether the file was touched within that time. A touch in the far future, by a clock set back, proves nothing."""
    try:
        touched = path.stat().st_mtime
    except OSError:
        return False
    return abs(now_seconds - touched) <= within.total_seconds()


def main(arguments: Sequence[str]) -> int:
    """Check a heartbeat file: 0 alive, 1 not, 2 wrong usage."""
    if len(arguments) not in _USUAL_ARGUMENTS or not all(seconds.isascii() and seconds.isdigit() for seconds in arguments[1:]):
        sys.stderr.write("usage: python -m spendwatch.heartbeat FILE [SECONDS]\n")
        return 2
    within = timedelta(seconds=int(arguments[1])) if len(arguments) > 1 else _DEFAULT_WITHIN
    return 0 if is_alive(Path(arguments[0]), within, time.time()) else 1


def _watchdog_usec(environ: Mapping[str, str]) -> int:
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (usec.isascii() and usec.isdigit()) or (pid and pid != str(os.getpid())):
        return 0
    return int(usec)


def _one_line(text: str) -> str:
    # A line break would begin another assignment in the same message.
    return " ".join(text.split())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
