"""P1 and P3 of the outbox with three channels under `kill -9`, 500 times in the life of a ledger, with `--long` 5,000 times.

Each round commits one more alert and delivers it beside what the rounds before left over, and dies at some system call of some
thread: commits, writes of the database, connections, requests, answers.
"""

from __future__ import annotations

import errno
import hashlib
import platform
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from servers_http import HttpSink, Reply
from servers_smtp import SmtpSink
from sweep.rounds import MARK, MARK_NAME, Arrival, Key, are_quiet, message_id
from sweep.warm import READERS, UNAVAILABLE

pytestmark = pytest.mark.sweep
CALLS = 2600
"""Of a round with what another one left over, about."""


class Life:
    """One ledger, three receivers, and a loaded program that dies."""

    def __init__(self, place: Path, mail: SmtpSink, hook: HttpSink, chat: HttpSink) -> None:
        self.place, self.mail, self.hook, self.chat = place, mail, hook, chat
        ports = [str(server.port) for server in (mail, hook, chat)]
        warm = Path(__file__).with_name("warm.py")
        self.program = subprocess.Popen(
            [sys.executable, str(warm), str(place), *ports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.labels = ["first"]
        self.arrivals: list[Arrival] = []
        self.attempting: list[frozenset[Key]] = []

    def round(self, at: int, *, error: int = 0) -> tuple[int, int]:
        """Commit one more alert and deliver, up to that system call; return how many there were, and how it ended."""
        assert self.program.stdin
        assert self.program.stdout
        self.labels.append(f"{len(self.labels)}%")
        self.program.stdin.write(f"{at} {self.labels[-1]} {error}\n")
        self.program.stdin.flush()
        calls, code = map(int, self.program.stdout.readline().split())
        assert are_quiet(self.mail, self.hook, self.chat)
        self.arrivals += self._new()
        self.attempting.append(self._attempting())
        return calls, code

    def _new(self) -> Iterator[Arrival]:
        run = len(self.attempting)
        for receiver, content in self.mail.messages:
            yield Arrival(Key(receiver, message_id(content)), content.removeprefix(MARK), content.startswith(MARK), run)
        for one in self.hook.requests:
            yield Arrival(Key("hook", one.headers["webhook-id"]), one.body, MARK_NAME in one.headers, run)
        for one in self.chat.requests:  # which has no id: what is the same is the same message
            yield Arrival(Key("chat", _digest(one.body)), one.body, is_marked=True, run=run)
        for kept in (self.mail.messages, self.hook.requests, self.chat.requests):
            kept.clear()

    def _attempting(self) -> frozenset[Key]:
        """Look at a copy of the ledger as the round left it: opening the thing itself would mend it."""
        copy = self.place.parent / "look.db"
        for end in ("", "-wal"):
            shutil.copy(f"{self.place}{end}", f"{copy}{end}") if Path(f"{self.place}{end}").exists() else None
        with closing(sqlite3.connect(copy)) as ledger:
            rows = ledger.execute(
                "SELECT channel, target, notification, rendered FROM delivery WHERE state = 'attempting'"
            ).fetchall()
        for end in ("", "-wal", "-shm"):
            Path(f"{copy}{end}").unlink(missing_ok=True)
        return frozenset(
            Key(target or channel, _digest(rendered) if channel == "chat" and rendered else number)
            for channel, target, number, rendered in rows
        )

    def on_record(self) -> tuple[int, dict[str, int]]:
        """Return how many alerts there are, and how many deliveries by state."""
        with closing(sqlite3.connect(self.place)) as ledger:
            assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            ((alerts,),) = ledger.execute("SELECT count(*) FROM alert").fetchall()
            return alerts, dict(ledger.execute("SELECT state, count(*) FROM delivery GROUP BY state").fetchall())

    def repeats(self) -> Iterator[tuple[Arrival, Arrival]]:
        """Yield each copy that came again, with the one before it."""
        last: dict[Key, Arrival] = {}
        for one in self.arrivals:
            if one.key in last:
                yield last[one.key], one
            last[one.key] = one

    def is_excused(self, earlier: Arrival, later: Arrival) -> bool:
        """Return whether nobody could know better: the first one came in a round that died before its outcome was on record."""
        was_open = earlier.key in self.attempting[earlier.run] and later.run > earlier.run
        return was_open and later.is_marked and later.content == earlier.content


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def life(tmp_path: Path, empty_ledger: Path) -> Iterator[Life]:
    place = tmp_path / "state" / "spendwatch.db"
    place.parent.mkdir(mode=0o700)
    shutil.copy(empty_ledger, place)
    with ExitStack() as stack:
        mail, hook = stack.enter_context(SmtpSink()), stack.enter_context(HttpSink())
        found = Life(place, mail, hook, stack.enter_context(HttpSink([Reply(body=b"ok")])))
        yield found
        found.program.communicate(timeout=30)


@pytest.fixture
def effort(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How many: so many everyday, or so many with `--long`."""
    is_long = bool(request.config.getoption("--long"))
    return lambda everyday, long: long if is_long else everyday


def require_no_fault(life: Life, words: str, capsys: pytest.CaptureFixture[str]) -> list[tuple[Arrival, Arrival]]:
    """Let it come to rest, and judge; return what was repeated."""
    assert [life.round(0)[1] for _ in range(2)] == [0, 0]
    alerts, states = life.on_record()
    repeats, expected = list(life.repeats()), alerts * (len(READERS) + 2)
    with capsys.disabled():
        print(f"\n{words}, {expected} copies, {len(repeats)} of them repeated in the window")
    assert states == {"delivered": expected}
    assert len({one.key for one in life.arrivals}) == expected, "lost, or told without an alert"
    assert [(str(earlier.key), earlier.run) for earlier, later in repeats if not life.is_excused(earlier, later)] == []
    return repeats


def test_wherever_it_dies_every_channel_gets_each_message_and_repeats_only_what_nobody_can_know(
    life: Life, effort: Callable[[int, int], int], capsys: pytest.CaptureFixture[str]
) -> None:
    number = effort(500, 5000)
    chance = random.Random(7)  # noqa: S311 -- the order of deaths, guards nothing
    points = chance.sample([1 + at * CALLS // number for at in range(number)], number)
    killed = sum(life.round(point) == (point, -signal.SIGKILL) for point in points)
    repeats = require_no_fault(life, f"{killed} of {len(points)} killed", capsys)
    assert killed >= len(points) * 9 // 10
    assert repeats, "no death was in the window: the sweep sees nothing"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="where results of calls stand is known of x86-64")
def test_whichever_write_of_the_outbox_fails_it_is_said_and_nothing_is_lost(
    life: Life, effort: Callable[[int, int], int], capsys: pytest.CaptureFixture[str]
) -> None:
    writes, code = life.round(10**9, error=errno.ENOSPC)
    assert (writes > 20, code) == (True, 0), "nothing failed"
    step = max(1, writes * 2 // effort(40, 400))
    ended = Counter(life.round(at, error=error)[1] for at in range(1, writes + 1, step) for error in (errno.ENOSPC, errno.EIO))
    require_no_fault(life, f"{ended.total()} failing writes", capsys)
    assert set(ended) <= {0, UNAVAILABLE}, "a failure that is no expected error"
    assert ended[UNAVAILABLE] >= ended.total() * 2 // 3, "a checkpoint may fail unsaid: it is made again"
