"""Whatever the daemon does again and again leaves nothing behind in it: neither objects nor open files nor threads."""

from __future__ import annotations

import _thread
import asyncio
import gc
import os
import statistics
import weakref
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
_GROWTH = 0.5
"""So many more there may be after each round."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[TimedHome]:
    with HttpSink() as hook:
        home = TimedHome(tmp_path, hook=hook, now=datetime(2026, 9, 10, 12, tzinfo=ZONE))
        home.furnish()
        home.watch(budget="100.00", more="remind: 1h")
        yield home


def held() -> dict[str, int]:
    gc.collect()
    return {
        # Each connection of SQLite has up to two hundred weak references to cursors that are gone.
        "objects": sum(type(one) is not weakref.ReferenceType for one in gc.get_objects()),
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 -- nothing of the list is kept
        "threads": len(os.listdir("/proc/self/task")),  # noqa: PTH208 -- as above
    }


async def growth(home: TimedHome, app: App, leak: Callable[[], object]) -> dict[str, float]:
    """Make rounds ten minutes apart, each fifth with a bill, and return how much more is held after each."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    seen, told = [], 0
    for number in range(_ROUNDS):
        home.now += timedelta(minutes=10)
        if number % 5 == 0:
            home.drop(lines_worth(f"{60 + number / 100:.2f}", day="20260910"), exported=home.now)
        assert all(one.receipt for one in await app.once())
        told += len(home.calls())
        home.requests().clear()
        leak()
        seen.append(held())
    assert told == _ROUNDS // 6, "a threshold, and a reminder each hour"
    spans = [(seen[last - _SPAN], seen[last]) for last in range(_FIRST + _SPAN, _ROUNDS)]
    return {what: statistics.median(after[what] - before[what] for before, after in spans) / _SPAN for what in seen[0]}


def growth_of(home: TimedHome, reader: ReadingProcess, leak: Callable[[], object] = lambda: None) -> dict[str, float]:
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
    assert all(found[what] < _GROWTH for what in found), found


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
    assert all(found[what] > _GROWTH for what in found), found
