"""P1 and P3 while messages are being sent: reloads, stops, deaths and faults of the store leave none stuck and lose none.

Everyday a disturbance of each kind, with `--long` two hundred at random.
"""

from __future__ import annotations

import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from threading import Event

import pytest

from home import Home, Running, lines_worth
from servers_http import HttpSink, Reply

pytestmark = pytest.mark.sweep

WORKSPACES = [f"llm-{number}" for number in range(8)]


class Disturbance(StrEnum):
    """What happens in the middle of it."""

    RELOAD = "reload"
    STOP = "stop"
    DEATH = "death"
    FAULT = "fault"
    """The store refuses what concerns deliveries for a moment."""
    RELOAD_IN_FAULT = "reload in fault"


@pytest.fixture
def plan(request: pytest.FixtureRequest) -> list[Disturbance]:
    chance = random.Random(5)  # noqa: S311 -- draws disturbances, guards nothing
    kinds = list(Disturbance)
    return chance.choices(kinds, k=200) if request.config.getoption("--long") else chance.sample(kinds, len(kinds))


def _states(home: Home) -> Counter[str]:
    with closing(sqlite3.connect(home.state, timeout=30)) as ledger:
        return Counter(dict(ledger.execute("SELECT state, count(*) FROM delivery GROUP BY state").fetchall()))


def _without_deliveries(home: Home, running: Running | None = None) -> None:
    """Take the table away for a moment, and reload in it if there is somebody to do so."""
    with closing(sqlite3.connect(home.state, timeout=30, isolation_level=None)) as ledger:
        ledger.execute("ALTER TABLE delivery RENAME TO delivery_away")
        if running:
            running.process.send_signal(signal.SIGHUP)
        Event().wait(0.5)
        ledger.execute("ALTER TABLE delivery_away RENAME TO delivery")


def _disturb(home: Home, running: Running, how: Disturbance) -> Running:
    match how:
        case Disturbance.RELOAD:
            running.process.send_signal(signal.SIGHUP)
        case Disturbance.STOP:
            assert running.stop() == 0
            return home.start()
        case Disturbance.DEATH:
            running.kill()
            return home.start()
        case Disturbance.FAULT:
            _without_deliveries(home)
        case Disturbance.RELOAD_IN_FAULT:
            _without_deliveries(home, running)
    return running


def test_disturbances_in_the_middle_of_sending_leave_nothing_stuck_and_lose_nothing(
    tmp_path: Path, plan: list[Disturbance]
) -> None:
    with HttpSink([Reply(delay=0.3)]) as hook:
        home = Home(tmp_path, hook=hook)
        home.furnish()
        place = home.folder / "spendwatch.yaml"
        place.write_text(place.read_text().replace("[screen, hook]", "[hook]"))
        thresholds = ", ".join(f"{number}.00" for number in range(1, len(plan) + 1))
        for workspace in WORKSPACES:
            home.watch(workspace, name=workspace, budget="1000.00", more=f"thresholds: [{thresholds}]")
        running = home.start()
        try:
            for number, how in enumerate(plan):
                before = len(hook.requests)
                home.drop([line for one in WORKSPACES for line in lines_worth("1", workspace=one, first=number + 1)])
                home.until(lambda: len(hook.requests) > before, seconds=60)  # noqa: B023 -- called at once
                running = _disturb(home, running, how)
            home.until(lambda: set(_states(home)) == {"delivered"}, seconds=120)
        finally:
            running.stop()
        copies: dict[str, list[tuple[bytes, str]]] = {}
        for request in hook.requests:
            mark = request.headers.get("x-spendwatch-maybe-repeated", "")
            copies.setdefault(request.headers["webhook-id"], []).append((request.body, mark))
        delivered = _states(home)["delivered"]
    assert len(copies) == delivered >= len(WORKSPACES) * len(plan) // 2
    assert all(body == first[0] for first, *more in copies.values() for body, _ in more)
    assert all(mark == "yes" for _, *more in copies.values() for _, mark in more), "a repeat that says so nowhere"
