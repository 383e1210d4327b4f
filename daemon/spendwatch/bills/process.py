"""The daemon's side of reading: asks the reading process, and survives its death. Polars is never imported here."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from spendwatch.bills.child import Child, GoneError
from spendwatch.bills.folder import PrivateFolder
from spendwatch.bills.messages import (
    MergedCounts,
    Message,
    NonsenseError,
    as_list,
    as_number,
    as_object,
    merged_from,
    refusals_from,
    row_from,
    statement_from,
)
from spendwatch.domain.errors import ReaderFailedError, printable
from spendwatch.domain.statement import BillFile, DayKey, Digest, ReadingHints, SpendRow, Statement

Progress = Callable[[str, float], None]
"""Is told a phase, `reading` or `merging`, and how much of it is done, from 0 to 1."""

MEMORY = 4 * 1024**3
"""How many bytes of memory the reading process may take."""

IDLE = 300.0
"""After so many seconds without work the reading process ends."""

HEAVY = 256 * 1024 * 1024
"""After a file of this size the reading process is replaced, so that the memory it has taken is given back."""

NONSENSE = "the reading process spoke nonsense"

PATIENCE = 120.0
"""How many seconds a request may take, plus what the file's size allows."""

SLOWEST = 4 * 1024 * 1024
"""How many bytes a second are read at the very least; a careful reading does four times as many on a modest machine."""


class ReadingProcess:
    """Understands bill files in a process of its own. Any thread may use it; one request is served at a time."""

    def __init__(
        self,
        exchange: Path,
        *,
        memory: int = MEMORY,
        idle: float = IDLE,
        patience: float = PATIENCE,
        progress: Progress | None = None,
    ) -> None:
        """Start nothing yet. Below `exchange` a private folder is made for handing over results."""
        self._exchange = exchange
        self._memory = memory
        self._idle = idle
        self.patience = patience
        self._progress = progress
        self._lock = threading.RLock()
        self._folder: PrivateFolder | None = None
        self._child: Child | None = None
        self._numbers = itertools.count(1)
        self._open: set[int] = set()

    @property
    def pid(self) -> int | None:
        """The id of the process that reads, if one is running."""
        return self._child.pid if self._child else None

    def prepare(self) -> None:
        """Start the process ahead of the first file, so that both need not wait for each other."""
        with self._lock:
            self._running()

    def read(self, file: BillFile, hints: ReadingHints) -> ProcessReading:
        """Understand the file, or raise `UnreadableBillError` with every refusal, or `ReaderFailedError`."""
        with self._lock:
            number = next(self._numbers)
            folder = self._private().path / f"bill-{number}"
            folder.mkdir(mode=0o700)
            request: Message = {
                "ask": "read",
                "bill": number,
                "path": str(file.path.absolute()),
                "name": file.name,
                "folder": str(folder),
                "currencies": dict(hints.currencies),
            }
            try:
                child, answer = self._first_answer(request, self.patience + file.size / SLOWEST)
                if answer.get("tell") == "refusals":
                    raise refusals_from(answer)
                statement = statement_from(as_object(answer.get("statement")))
            except NonsenseError as error:
                self._dismiss()
                raise ReaderFailedError(NONSENSE) from error
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                self._spare(file.size)
                raise
            self._open.add(number)
            return ProcessReading(self, child, statement, number=number, folder=folder, size=file.size)

    def close(self) -> None:
        """End the process and remove the private folder. Another read starts both anew."""
        with self._lock:
            self._dismiss()
            if self._folder:
                self._folder.remove()
                self._folder = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def converse(self, child: Child, request: Message | None, expected: frozenset[str], *, seconds: float) -> Message:
        """Return the next message of an expected sort; a failure ends the process and raises `ReaderFailedError`."""
        with self._lock:
            if child is not self._child:
                msg = "the reading process that held the file is gone"
                raise ReaderFailedError(msg)
            try:
                return self._answer(child, request, expected, until=time.monotonic() + seconds)
            except BaseException:
                # Even an interrupt: an answer that nobody waits for would be taken for that of the next question.
                self._dismiss()
                raise

    def _answer(self, child: Child, request: Message | None, expected: frozenset[str], *, until: float) -> Message:
        if request:
            child.tell(request)
        while True:
            message = child.hear(until)
            match message.get("tell"):
                case "progress" if self._progress:
                    share = message.get("share")
                    self._progress(str(message.get("phase")), float(share) if isinstance(share, int | float) else 0.0)
                case "failed":
                    raise ReaderFailedError(f"the reading process failed: {printable(str(message.get('why')), 300)}")
                case sort if sort in expected:
                    return message
                case _:
                    pass

    def _first_answer(self, request: Message, seconds: float) -> tuple[Child, Message]:
        expected = frozenset({"statement", "refusals"})
        child = self._running()
        try:
            return child, self.converse(child, request, expected, seconds=seconds)
        except GoneError:
            # It had been idle for long, and ended just when it was asked.
            child = self._running()
            return child, self.converse(child, request, expected, seconds=seconds)

    def forget(self, child: Child, number: int, size: int) -> None:
        """Let the process forget a bill, or replace the process after a heavy one."""
        with self._lock:
            self._open.discard(number)
            if child is self._child and not self._spare(size):
                with suppress(ReaderFailedError):
                    request: Message = {"ask": "forget", "bill": number}
                    self.converse(child, request, frozenset({"forgotten"}), seconds=self.patience)

    def _spare(self, size: int) -> bool:
        """End a process that has read a heavy file, unless it is still needed; tell whether it was ended."""
        if size <= HEAVY or self._open:
            return False
        self._dismiss()
        return True

    def _running(self) -> Child:
        if self._child is None or not self._child.is_alive:
            self._dismiss()
            self._child = Child(self._private().path, memory=self._memory, idle=self._idle)
        return self._child

    def _dismiss(self) -> None:
        if self._child:
            self._child.end()
            self._child = None

    def _private(self) -> PrivateFolder:
        if self._folder is None:
            self._folder = PrivateFolder(self._exchange)
        return self._folder


class ProcessReading:
    """A bill file that the reading process has understood and still holds."""

    def __init__(
        self, process: ReadingProcess, child: Child, statement: Statement, *, number: int, folder: Path, size: int
    ) -> None:
        """Keep what the process said."""
        self._process = process
        self._child = child
        self._statement = statement
        self._number = number
        self._folder = folder
        self._size = size
        self._packed: set[int] = set()

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
        said = confirmed or {}
        wanted: list[list[object]] = [
            [places[key], self._hand_over(places[key], held.get(key)), said[key].isoformat() if key in said else ""]
            for key in days
        ]
        counts = self._merged(wanted) if wanted else {}
        return tuple(self._day(places[key], counts) for key in days)

    def packed(self, place: int, name: str) -> Path:
        """Return the file of that name and day when it is ready."""
        while place not in self._packed:
            message = self._process.converse(self._child, None, frozenset({"packed"}), seconds=self._seconds())
            self._note(message)
        return self._folder / f"{name}-{place}"

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process forget the file."""
        self._process.forget(self._child, self._number, self._size)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _hand_over(self, place: int, chunk: bytes | None) -> str | None:
        if chunk is None:
            return None
        path = self._folder / f"held-{place}"
        path.write_bytes(chunk)
        return str(path)

    def _merged(self, wanted: list[list[object]]) -> dict[int, MergedCounts]:
        request: Message | None = {"ask": "merge", "bill": self._number, "days": wanted}
        self._packed.clear()
        while True:
            expected = frozenset({"merged", "packed"})
            message = self._process.converse(self._child, request, expected, seconds=self._seconds())
            if message.get("tell") == "merged":
                return _counts(message)
            self._note(message)
            request = None

    def _note(self, message: Message) -> None:
        with _sensible():
            self._packed.add(as_number(message.get("day")))

    def _day(self, place: int, counts: Mapping[int, MergedCounts]) -> ProcessDay:
        content = self._statement.days[place]
        fresh = MergedCounts(content.digest, content.lines, new=content.lines, changed=0)
        return ProcessDay(self, place, content.key, counts.get(place, fresh))

    def _seconds(self) -> float:
        return self._process.patience + self._size / SLOWEST


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
        with self._reading.packed(self._place, "rows").open(encoding="utf-8") as file, _sensible():
            yield from map(row_from, file)


def _counts(message: Message) -> dict[int, MergedCounts]:
    with _sensible():
        days = [as_list(day) for day in as_list(message.get("days"))]
        return {as_number(day[0]): merged_from(day[1:]) for day in days}


@contextmanager
def _sensible() -> Iterator[None]:
    try:
        yield
    except (NonsenseError, IndexError) as error:
        raise ReaderFailedError(NONSENSE) from error
