"""Starts the real program at another time, which goes on from there.

python shifted.py 2026-10-05T12:00:00+08:00 --config DIR once
python shifted.py @FILE --config DIR run            # so many seconds ahead of the real time as the file says, which may change
python shifted.py '~2026-10-05T12:00:00+08:00 SOCKET' --config DIR run     # from then on, as quickly as the work is done
"""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from apscheduler.schedulers import base

from spendwatch import state

_clocks = [state.system_clock]
"""The last one is asked."""
_SELDOM = timedelta(minutes=10)
"""How often that is looked at, where time jumps, which is looked at every few seconds: a month has millions of them."""
_LOOKS = ("ASSESS_EVERY", "BALANCES_EVERY", "DELIVER_EVERY", "ALARM_EVERY", "BEAT_EVERY", "WATCH_EVERY")


def _now() -> datetime:
    return _clocks[-1]()


def put_in() -> None:
    """Put in a clock that can be set later: whoever asks for the clock gets it when imported."""
    state.system_clock = _now


def set_clock(wanted: str) -> None:
    """Set the clock to a moment, from where it goes on, or as far ahead as a file says; or leave it."""
    if wanted.startswith("@"):
        file = Path(wanted[1:])
        _follow(lambda: float(file.read_text()))
    elif wanted.startswith("~"):
        _jump(*wanted[1:].split(maxsplit=1))
    elif wanted:
        began_at, started = datetime.fromisoformat(wanted), time.monotonic()
        _clocks.append(lambda: began_at + timedelta(seconds=time.monotonic() - started))


def _follow(ahead: Callable[[], float]) -> None:
    """Let the program's clock, and that of its scheduler, be so many seconds ahead."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain moment will do
            return datetime.now(tz) + timedelta(seconds=ahead())  # noqa: TID251 -- the real time to be shifted

    base.datetime = Shifted
    _clocks.append(lambda: Shifted.now(UTC))


class _Jumps(selectors.DefaultSelector):
    """Lets no time pass in which nobody works, up to the moment that whoever tests has named, and tells when it is there.

    It says, too, how many rounds each job has made by then. What a job at work waits for takes its time.
    """

    def __init__(self, since: str, place: str) -> None:
        super().__init__()
        self._goal = datetime.fromisoformat(since).timestamp()
        self.ahead = self._goal - time.time()
        self.rounds = Counter[str]()
        self._is_led = True
        self._leader = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._leader.connect(place)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what has happened, or what time it is to go on."""
        if not timeout or _is_at_work():
            return super().select(timeout)
        while self._is_led and (left := self._goal - time.time() - self.ahead) <= 0:
            self._leader.send(json.dumps(self.rounds).encode())
            if goal := self._leader.recv(100):
                self._goal = datetime.fromisoformat(goal.decode()).timestamp()
            self._is_led = bool(goal)
        if not self._is_led:
            return super().select(timeout)
        self.ahead += min(timeout, left)
        return super().select(0)


def _is_at_work() -> bool:
    return any(getattr(task.get_coro(), "__qualname__", "") == "Daemon._once_at_a_time" for task in asyncio.all_tasks())


def _jump(since: str, place: str) -> None:
    jumps, monotonic = _Jumps(since, place), time.monotonic

    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return asyncio.SelectorEventLoop(jumps)

    asyncio.set_event_loop_policy(Policy())
    _follow(lambda: jumps.ahead)
    time.monotonic = lambda: monotonic() + jumps.ahead
    state.clock_offset = lambda: 0.0
    from spendwatch import schedule  # noqa: PLC0415 -- what it imports looks at the clocks
    from spendwatch.jobs.vitals import Vitals  # noqa: PLC0415 -- as above

    for name in _LOOKS:
        setattr(schedule, name, _SELDOM)
    noted = Vitals.round

    @contextmanager
    def counted(self: Vitals, job: str) -> Iterator[None]:
        jumps.rounds[job] += 1
        with noted(self, job):
            yield

    Vitals.round = counted  # type: ignore[method-assign]  # of this process, which is a test's


if __name__ == "__main__":
    put_in()
    set_clock(sys.argv.pop(1))
    from spendwatch.cli import main

    main()
