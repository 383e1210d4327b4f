"""A bill file as the daemon sees it while the reading process holds it: its statement, and days that are fetched lazily."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

from spendwatch.bills.child import Child
from spendwatch.bills.dialogue import Dialogue, sensible
from spendwatch.bills.messages import MergedCounts, Message, as_list, as_number, merged_from, row_from
from spendwatch.domain.statement import DayKey, Digest, SpendRow, Statement


class ProcessReading:
    """A bill file that the reading process has understood and still holds."""

    def __init__(
        self,
        dialogue: Dialogue,
        child: Child,
        statement: Statement,
        *,
        number: int,
        folder: Path,
        seconds: float,
        forget: Callable[[ProcessReading], None],
    ) -> None:
        """Keep what the process said; `seconds` is how long it may take for anything more."""
        self._dialogue = dialogue
        self._child = child
        self._statement = statement
        self._folder = folder
        self._seconds = seconds
        self._forget = forget
        self._days: tuple[int, ...] = ()
        self.number = number

    @property
    def child(self) -> Child:
        """The process that holds the file."""
        return self._child

    @property
    def statement(self) -> Statement:
        """What the file says."""
        return self._statement

    def merge(
        self,
        held: Mapping[DayKey, bytes | None],
        days: tuple[DayKey, ...],
        confirmed: Mapping[DayKey, datetime] | None = None,
    ) -> tuple[ProcessDay, ...]:
        """Merge these days with the chunks the ledger holds (None: it holds none), no older than `confirmed` says.

        What the ledger does not hold needs no merge: those days are packed while the caller already writes the first ones.
        """
        places = {content.key: place for place, content in enumerate(self._statement.days)}
        self._days = tuple(places[key] for key in days)
        self._dialogue.unpack(self.number)
        said = {key: moment.isoformat() for key, moment in (confirmed or {}).items()}
        handed = [[places[key], self._hand_over(places[key], held.get(key)), said.get(key, "")] for key in days]
        request: Message = {"ask": "merge", "bill": self.number, "days": handed}
        answer = self._dialogue.ask(self._child, request, frozenset({"merged"}), seconds=self._seconds)
        counts = _counts(answer)
        return tuple(self._day(place, counts) for place in self._days)

    def packed(self, place: int, name: str) -> Path:
        """Return the file of that name and day when it is ready."""
        self._dialogue.await_packed(self._child, (self.number, place), seconds=self._seconds)
        if name == "chunk":
            self._dialogue.tell_progress("merging", (self._days.index(place) + 1) / len(self._days))
        return self._folder / f"{name}-{place}"

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process forget the file."""
        self._forget(self)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _hand_over(self, place: int, chunk: bytes | None) -> str | None:
        if chunk is None:
            return None
        path = self._folder / f"held-{place}"
        path.write_bytes(chunk)
        return str(path)

    def _day(self, place: int, counts: Mapping[int, MergedCounts]) -> ProcessDay:
        content = self._statement.days[place]
        fresh = MergedCounts(content.digest, content.lines, new=content.lines, changed=0)
        return ProcessDay(self, place, content.key, counts.get(place, fresh))


class ProcessDay:
    """One day after the merge."""

    def __init__(self, reading: ProcessReading, place: int, key: DayKey, counts: MergedCounts) -> None:
        """Keep where the content will be found."""
        self._reading = reading
        self._place = place
        self._key = key
        self._counts = counts

    @property
    def key(self) -> DayKey:
        """Which day."""
        return self._key

    @property
    def digest(self) -> Digest:
        """Of the merged content."""
        return self._counts.digest

    @property
    def lines(self) -> int:
        """How many lines the day has now."""
        return self._counts.lines

    @property
    def new(self) -> int:
        """How many lines the ledger did not have."""
        return self._counts.new

    @property
    def changed(self) -> int:
        """How many lines the ledger had otherwise."""
        return self._counts.changed

    def chunk(self) -> bytes:
        """Return the day's lines as one compressed columnar chunk."""
        return self._reading.packed(self._place, "chunk").read_bytes()

    def rows(self) -> Iterator[SpendRow]:
        """Yield the day's roll-up."""
        with self._reading.packed(self._place, "rows").open(encoding="utf-8") as file, sensible():
            yield from map(row_from, file)


def _counts(message: Message) -> dict[int, MergedCounts]:
    with sensible():
        days = [as_list(day) for day in as_list(message.get("days"))]
        return {as_number(day[0]): merged_from(day[1:]) for day in days}
