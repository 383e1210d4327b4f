"""A bill file that the reading process holds: its statement, and days that are fetched on demand."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from spendwatch.bills.child import Child
from spendwatch.bills.dialogue import Dialogue, sensible, usable
from spendwatch.bills.messages import MergedCounts, MergeRequest, merge_message, merged_from, row_from
from spendwatch.bills.wire import Message, as_list, as_number
from spendwatch.domain.merging import MergePlan
from spendwatch.domain.statement import DayContent, DayKey, Digest, SpendRow, Stamp, Statement


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
        self._handed = itertools.count()
        self._awaited = 0
        self.number = number

    @property
    def child(self) -> Child:
        """The process that holds the file."""
        return self._child

    @property
    def statement(self) -> Statement:
        """What the file says."""
        return self._statement

    def merge(self, plan: MergePlan, chunk: Callable[[DayKey], bytes]) -> tuple[ProcessDay, ...]:
        """Merge the statement with what the ledger holds, as planned, and return the days that are to be written.

        What the ledger does not hold needs no merge: those days are packed while the caller already writes the first ones.
        """
        days = (*plan.differing, *plan.fresh)
        others = plan.elsewhere
        contents = {content.key: content for content in self._statement.days}
        self._awaited = len(days)
        self._dialogue.unpack(self.number)
        request = MergeRequest(
            days,
            plan.whole,
            tuple((key, self._hand_over(key, chunk), plan.confirmed[key]) for key in (*plan.differing, *others)),
            plan.coverage,
        )
        message = merge_message(self.number, request)
        answer = self._dialogue.ask(self._child, message, frozenset({"merged"}), seconds=self._seconds)
        counts = _counts(answer)
        return tuple(
            ProcessDay(self, place, key, counts.get(place) or self._as_stated(contents[key]), is_packed=place in counts)
            for place, key in enumerate((*days, *others))
            if place in counts or key in contents
        )

    def packed(self, place: int, name: str) -> Path:
        """Return the file of that name and day when it is ready."""
        self._dialogue.await_packed(self._child, (self.number, place), seconds=self._seconds)
        return self.file(place, name)

    def file(self, place: int, name: str) -> Path:
        """Return the file of that name and day."""
        if name == "chunk" and place < self._awaited:
            self._dialogue.tell_progress("merging", (place + 1) / self._awaited)
        return self._folder / f"{name}-{place}"

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process forget the file."""
        self._forget(self)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _hand_over(self, key: DayKey, chunk: Callable[[DayKey], bytes]) -> Path:
        path, content = self._folder / f"held-{next(self._handed)}", chunk(key)
        with usable():
            path.write_bytes(content)
        return path

    def _as_stated(self, content: DayContent) -> MergedCounts:
        return MergedCounts(content.digest, content.lines, content.lines, 0, 0, (self._statement.stamp,))


class ProcessDay:
    """One day after the merge."""

    def __init__(self, reading: ProcessReading, place: int, key: DayKey, counts: MergedCounts, *, is_packed: bool) -> None:
        """Keep where the content will be found, or is already."""
        self._reading = reading
        self._place = place
        self._key = key
        self._counts = counts
        self._is_packed = is_packed

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

    @property
    def gone(self) -> int:
        """How many lines the ledger had and that are no longer there."""
        return self._counts.gone

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """The different stamps of the lines; none if they are too many to tell."""
        return self._counts.stamps

    def chunk(self) -> bytes:
        """Return the day's lines as one compressed columnar chunk."""
        return self._file("chunk").read_bytes()

    def rows(self) -> Iterator[SpendRow]:
        """Yield the day's roll-up."""
        with self._file("rows").open(encoding="utf-8") as file, sensible():
            yield from map(row_from, file)

    def _file(self, name: str) -> Path:
        return self._reading.file(self._place, name) if self._is_packed else self._reading.packed(self._place, name)


def _counts(message: Message) -> dict[int, MergedCounts]:
    with sensible():
        days = [as_list(day) for day in as_list(message.get("days"))]
        return {as_number(day[0]): merged_from(day[1:]) for day in days}
