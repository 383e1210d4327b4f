"""A month of the real program, file by file, with rounds between, in one process and under a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from bill_builder import a_line
from home import RESEARCH, ZONE, TimedHome
from spendwatch.app import App
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.delivery import Reason
from spendwatch.settings import load
from spendwatch.state import opened_store

DAY = timedelta(days=1)
_PAUSE = timedelta(hours=2)
Told = tuple[str, str, str, str, tuple[str, ...]]
"""When, which notification, of what kind, why, to whom."""


class MonthHome(TimedHome):
    """A home in which a month passes. Nothing is delivered: what is written down to be delivered is what counts."""

    def day_lines(self, day: date, amount: str, *, workspace: str = RESEARCH, product: str = "sfm") -> Mapping[str, str]:
        """Return one line of that day, under an id of the day."""
        name = f"{day:%Y%m}_0700v1_019_{workspace}{product}{day:%d}"
        return a_line(line_id=name, day=f"{day:%Y%m%d}", amount=amount, workspace=workspace, product=product)

    @contextmanager
    def running(self, reader: ReadingProcess) -> Iterator[Month]:
        """Give the program at work."""
        settings = load(self.folder)
        with opened_store(settings) as store:
            app = App(settings, store, clock=lambda: self.now, reader=reader)
            try:
                yield Month(self, app)
            finally:
                app.stop()

    def backtest(self, *arguments: str, expect: int = 0) -> Any:  # noqa: ANN401 -- whatever the command says
        """Return what `backtest` says of that month."""
        return self.json("backtest", *arguments, expect=expect)


@dataclass
class Month:
    """The program at work in it."""

    home: MonthHome
    app: App

    def pass_to(self, moment: datetime) -> None:
        """Let time pass, with a round every two hours, and one at that moment."""
        while self.home.now + _PAUSE < moment:
            self.home.now += _PAUSE
            self._look()
        self.home.now = moment
        self._look()

    def drop(self, lines: Sequence[Mapping[str, str]], **names: str) -> None:
        """Drop a bill now, and make a whole round but for the deliveries."""
        self.home.drop(lines, exported=self.home.now, **names)
        self.collect()

    def collect(self) -> None:
        """Collect what lies there, and judge it."""
        asyncio.run(self.app.ask_balances(at_once=True))
        for name in self.app.sources:
            asyncio.run(self.app._gather_settled(name))
        self.app.assess()

    def _look(self) -> None:
        asyncio.run(self.app.ask_balances(at_once=True))
        self.app.assess()

    def said(self) -> list[Told]:
        """Return what was written down to be sent: when, which notification, of what kind, why, to whom."""
        found: dict[str, Told] = {}
        since, until = self.home.now - timedelta(days=400), self.home.now + DAY
        for at, one in self.app.store.outbox.created(since, until):
            said, before = one.notification, found.get(one.notification.id)
            channels = (*(before[4] if before else ()), one.channel)
            found[said.id] = (
                at.astimezone(ZONE).isoformat(),
                said.id,
                said.type,
                said.reason.value,
                tuple(sorted(set(channels))),
            )
        return sorted(one for one in found.values() if one[3] != Reason.TEST.value)


def told_of(document: Any) -> list[Told]:  # noqa: ANN401 -- JSON
    """Return the same of what `backtest` says."""
    return sorted(
        (one["at"], one["id"], one["type"], one["reason"], tuple(sorted(one["channels"]))) for one in document["notifications"]
    )


def written(folder: Path) -> dict[Path, bytes]:
    """Return every file below a folder."""
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix not in {".db-shm", ".db-wal"}
    }
