"""Whatever the daemon does again and again leaves nothing behind in it: neither objects nor open files nor threads."""

from __future__ import annotations

import _thread
import asyncio
import gc
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from home import ZONE, TimedHome, lines_worth
from servers_http import HttpSink
from spendwatch.app import App
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.settings import load
from spendwatch.state import opened_store

_ROUNDS, _FIRST, _SPAN = 60, 20, 10
"""So many rounds are made; the first of them load, open and remember what all later ones use. What comes once is no growth."""
_COUNTED = ("objects", "files", "threads")
_GROWTH = 500
"""So many more there may be after a thousand rounds."""
_THREADS = 2


@pytest.fixture
def home(tmp_path: Path) -> Iterator[TimedHome]:
    with HttpSink() as hook:
        home = TimedHome(tmp_path, hook=hook, now=datetime(2026, 9, 10, 12, tzinfo=ZONE))
        home.furnish()
        home.watch(budget="100.00", more="remind: 1h")
        yield home


class Held(Counter[str]):
    """How many objects of each kind there are, and open files and threads."""


def held() -> Held:
    gc.collect()
    # Each connection of SQLite has up to two hundred weak references to cursors that are gone.
    found = Held(kind.__qualname__ for kind in map(type, gc.get_objects()) if kind not in {weakref.ReferenceType, Held})
    found["objects"] = found.total()
    found["files"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- nothing of the list is kept
    found["threads"] = len(os.listdir("/proc/self/task"))  # noqa: PTH208 -- as above
    return found


def held_at_rest(pool: ThreadPoolExecutor) -> Held:
    """Look while the threads of the pool wait: one that still lets go of its last work would hold some thirty objects more."""
    meeting = threading.Barrier(_THREADS + 1)
    for _ in range(_THREADS):
        pool.submit(lambda: (meeting.wait(), meeting.wait()))
    meeting.wait()
    try:
        return held()
    finally:
        meeting.wait()


async def growth(home: TimedHome, app: App, leak: Callable[[], object]) -> Counter[str]:
    """Make rounds ten minutes apart, each fifth with a bill, and return how many in a thousand rounds are held more.

    What other threads do at the moment only adds to what is held: the least of some rounds shows what stays.
    """
    pool = ThreadPoolExecutor(_THREADS)
    asyncio.get_running_loop().set_default_executor(pool)
    seen, told = list[Held](), 0
    for number in range(_ROUNDS):
        home.now += timedelta(minutes=10)
        if number % 5 == 0:
            home.drop(lines_worth(f"{60 + number / 100:.2f}", day="20260910"), exported=home.now)
        assert all(one.receipt for one in await app.once())
        told += len(home.calls())
        home.requests().clear()
        leak()
        seen.append(held_at_rest(pool))
    assert told == _ROUNDS // 6, "a threshold, and a reminder each hour"
    early, late = seen[_FIRST : _FIRST + _SPAN], seen[-_SPAN:]
    between = _ROUNDS - _SPAN - _FIRST
    return Counter(
        {what: 1000 * (min(one[what] for one in late) - min(one[what] for one in early)) // between for what in late[0]}
    )


def growth_of(home: TimedHome, reader: ReadingProcess, leak: Callable[[], object] = lambda: None) -> Counter[str]:
    def steady() -> float:
        return home.now.timestamp()

    settings = load(home.folder)
    with opened_store(settings) as store:
        app = App(settings, store, clock=lambda: home.now, monotonic=steady, reader=reader)
        gc.collect()
        gc.freeze()  # what the tests hold: to look through it takes most of the time
        try:
            return asyncio.run(growth(home, app, leak))
        finally:
            gc.unfreeze()
            app.stop()


def test_rounds_leave_nothing_behind(home: TimedHome, shared_reader: ReadingProcess) -> None:
    found = growth_of(home, shared_reader)
    assert all(found[what] < _GROWTH for what in _COUNTED), found.most_common(12)


def test_what_each_round_leaves_behind_is_found(home: TimedHome, shared_reader: ReadingProcess) -> None:
    objects, files, (out, into) = list[list[int]](), list[int](), os.pipe()

    def leak() -> None:
        objects.extend(([], [], []))
        files.append(os.open(os.devnull, os.O_RDONLY))
        _thread.start_new_thread(os.read, (out, 1))

    try:
        found = growth_of(home, shared_reader, leak)
    finally:
        for file in (into, *files, out):
            os.close(file)
    assert all(found[what] > _GROWTH for what in _COUNTED), found.most_common(12)
