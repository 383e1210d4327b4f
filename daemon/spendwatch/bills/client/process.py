"""The daemon's side of reading: calls the reading process and survives its crash. It never imports Polars."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from spendwatch.bills.checksum_scan import digest_of, identity
from spendwatch.bills.client.child import InvalidAnswerError
from spendwatch.bills.client.dialogue import Dialogue, Progress, usable
from spendwatch.bills.client.reading import ProcessReading, ProcessResolution, hand_over, with_shared
from spendwatch.bills.messages import (
    BillRead,
    DaysResolved,
    Done,
    ExportRequest,
    FindSharedRequest,
    ForgetRequest,
    ReadRequest,
    ResolveRequest,
    SharedFound,
)
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from spendwatch.domain.merging import Plan
from spendwatch.domain.statement import BillFile, DayKey, Digest, ReadingHints, Statement

MEMORY = 4 * 1024**3
"""How many bytes of memory the reading process may take."""

IDLE = 300.0
"""After so many seconds without work the reading process ends."""

HEAVY = 256 * 1024 * 1024
"""After a file of this size the reading process is replaced, so that the memory it has taken is given back."""

PATIENCE = 120.0
"""How many seconds may pass without an answer or any progress, plus what the file's size allows."""

SLOWEST = 4 * 1024 * 1024
"""How many bytes a second are read at the very least; a careful reading does four times as many on a modest machine."""

_PIECE = 1024 * 1024


class ReadingProcess:
    """Understands bill files in a process of its own. Any thread may use it, one after the other; each closes its readings."""

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
        self.patience = patience
        self._dialogue = Dialogue(exchange, memory=memory, idle=idle, progress=progress)
        self._numbers = itertools.count(1)
        self._turn = threading.RLock()
        self._open: dict[int, int] = {}

    @property
    def pid(self) -> int | None:
        """The id of the process that reads, if one is running."""
        child = self._dialogue.child
        return child.pid if child else None

    def prepare(self) -> None:
        """Start the process ahead of the first file, so that both need not wait for each other."""
        self._dialogue.running()

    def digest(self, file: BillFile) -> Digest:
        """Return the SHA-256 of the file's bytes, without understanding them."""
        return digest_of(file.path)

    def read(self, file: BillFile, hints: ReadingHints) -> ProcessReading:
        """Understand the file, or raise `UnreadableBillError` with every refusal, or `ReaderFailedError`.

        Until the reading is closed, other threads wait for their turn: who writes what one file says must not have to wait for
        another one to be read, with everybody who wants to write waiting behind.
        """
        self._turn.acquire()
        try:
            return self._begin(file, hints)
        except BaseException:
            self._turn.release()
            raise

    def _begin(self, file: BillFile, hints: ReadingHints) -> ProcessReading:
        with self._dialogue.lock:
            number = next(self._numbers)
            folder = self._dialogue.folder() / f"bill-{number}"
            with usable():
                folder.mkdir(mode=0o700)
            try:
                with _unchanged(file):
                    return self._read(file, hints, number, folder)
            except BaseException:
                if self._open.pop(number, None) is not None:
                    self._dialogue.dismiss()  # it holds a bill that is no longer needed
                shutil.rmtree(folder, ignore_errors=True)
                self._spare(file.size)
                raise

    @contextmanager
    def resolved(
        self, plan: Plan, content: Callable[[Digest], bytes], ids: Callable[[Digest], bytes]
    ) -> Iterator[ProcessResolution]:
        """Resolve days of the ledger without a new bill; `content` and `ids` give what it holds. Results last until the end."""

        def ask(request: FindSharedRequest) -> SharedFound:
            return self._dialogue.ask_anyone(request, SharedFound, seconds=self.patience)[1]

        with self._private_folder("resolve") as folder:
            plan = with_shared(plan, 0, ids, folder, ask)
            held = hand_over(plan, content, folder)
            seconds = self.patience + sum(path.stat().st_size for path in held.values()) / SLOWEST
            _, answer = self._dialogue.ask_anyone(ResolveRequest(0, plan, held, folder), DaysResolved, seconds=seconds)
            yield ProcessResolution(plan, answer, folder, {})

    def focus_lines(
        self, key: DayKey, plan: Plan, content: Callable[[Digest], bytes], products: Collection[str] | None
    ) -> Iterator[bytes]:
        """Yield the lines of a day that count by the plan, in the columns of `focus_columns`, piece by piece.

        Only those of these products; None means all. `ReaderFailedError` when the process fails.
        """
        with self._private_folder("export") as folder:
            held, into = hand_over(plan, content, folder), folder / "lines"
            seconds = self.patience + sum(path.stat().st_size for path in held.values()) / SLOWEST
            request = ExportRequest(key, plan, held, into, None if products is None else tuple(products))
            self._dialogue.ask_anyone(request, Done, seconds=seconds)
            with into.open("rb") as file:
                yield from iter(lambda: file.read(_PIECE), b"")

    @contextmanager
    def _private_folder(self, name: str) -> Iterator[Path]:
        with self._dialogue.lock:
            folder = self._dialogue.folder() / f"{name}-{next(self._numbers)}"
            folder.mkdir(mode=0o700)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def interrupt(self) -> None:
        """End the process at once, also in the middle of a file: who waits for it gets a `ReaderFailedError`."""
        self._dialogue.interrupt()

    def close(self) -> None:
        """End the process and remove the private folder. Another read starts both again."""
        self._dialogue.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _read(self, file: BillFile, hints: ReadingHints, number: int, folder: Path) -> ProcessReading:
        request = ReadRequest(number, file.path.absolute(), file.name, folder, hints)
        seconds = self.patience + file.size / SLOWEST
        child, answer = self._dialogue.ask_anyone(request, BillRead, seconds=seconds)
        if not _makes_sense(answer.statement):
            raise InvalidAnswerError
        self._open[number] = file.size
        return ProcessReading(
            self._dialogue, child, answer.statement, number=number, folder=folder, seconds=seconds, forget=self._forget
        )

    def _forget(self, reading: ProcessReading) -> None:
        """Let the process forget a bill, or replace the process after a heavy one; then it is the next one's turn."""
        dialogue = self._dialogue
        try:
            with dialogue.lock:
                size = self._open.pop(reading.number, 0)
                if reading.child is dialogue.child and not self._spare(size):
                    with suppress(ReaderFailedError):
                        dialogue.ask(reading.child, ForgetRequest(reading.number), Done, seconds=self.patience)
        finally:
            self._turn.release()

    def _spare(self, size: int) -> bool:
        """End a process that has read a heavy file, unless it is still needed; return whether it was ended."""
        if size <= HEAVY or self._open:
            return False
        self._dialogue.dismiss()
        return True


@contextmanager
def _unchanged(file: BillFile) -> Iterator[None]:
    """Believe what was understood of a file, and what was wrong with it, only if it is still what had come to rest."""
    error: Exception | None = None
    try:
        yield
    except (UnreadableBillError, ReaderFailedError) as failure:
        error = failure
    if file.as_settled and identity(file.path) != file.as_settled:
        msg = "the file was changed while being read"
        raise ReaderFailedError(msg, is_innocent=True) from error
    if error:
        raise error


def _makes_sense(statement: Statement) -> bool:
    """Return whether a statement that the process sent holds what types do not tell."""
    days, coverage = statement.days, statement.coverage
    versions = [one for one in (statement.version, *(day.version for day in days), *(one.version for one in coverage)) if one]
    moments = (statement.data_until, statement.exported_at, *(one.moment for one in versions), *(one.reach for one in coverage))
    counts = (statement.lines, *(day.lines for day in days), *statement.parts)
    is_sound = all(moment is None or moment.tzinfo for moment in moments) and all(one.cost.is_finite() for one in versions)
    return is_sound and min(counts) >= 0
