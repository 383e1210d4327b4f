"""The client of the reading process: one request at a time; it starts the process on demand and stops it after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spendwatch.bills.child import Child, GoneError
from spendwatch.bills.folder import PrivateFolder
from spendwatch.bills.wire import Message, NonsenseError, as_number
from spendwatch.domain.errors import ReaderFailedError, printable

Progress = Callable[[str, float], None]
"""Is told a phase (`unpacking`, `reading`, `merging`) and how much of it is done, from 0 to 1."""


class Dialogue:
    """What the daemon's side knows of the process: the process itself, the private folder, and which days are packed."""

    def __init__(self, exchange: Path, *, memory: int, idle: float, progress: Progress | None) -> None:
        """Start nothing yet."""
        self.lock = threading.RLock()
        self._exchange = exchange
        self._memory = memory
        self._idle = idle
        self._progress = progress
        self._folder: PrivateFolder | None = None
        self._child: Child | None = None
        self._packed: set[tuple[int, int]] = set()
        self._is_broken_off = False

    @property
    def child(self) -> Child | None:
        """The process, if one was started."""
        return self._child

    def running(self) -> Child:
        """Return the process, a new one if there is none or it has ended."""
        with self.lock:
            if self._child is None or not self._child.is_alive:
                self.dismiss()
                self._is_broken_off = False
                folder = self.folder()
                with usable():
                    self._child = Child(folder, memory=self._memory, idle=self._idle)
            return self._child

    def interrupt(self) -> None:
        """Kill the process without waiting for a turn: whoever has it is told so."""
        self._is_broken_off = True
        if child := self._child:
            child.kill()

    def dismiss(self) -> None:
        """End the process; the next question starts another."""
        with self.lock:
            if self._child:
                self._child.end()
                self._child = None

    def folder(self) -> Path:
        """Return the private folder."""
        with self.lock:
            if self._folder and not self._folder.path.is_dir():
                self._folder.remove()  # somebody tidied up
                self._folder = None
            if self._folder is None:
                with usable():
                    self._folder = PrivateFolder(self._exchange)
            return self._folder.path

    def close(self) -> None:
        """End the process and remove the folder."""
        with self.lock:
            self.dismiss()
            if self._folder:
                self._folder.remove()
                self._folder = None

    def ask_anyone(self, request: Message, expected: frozenset[str], *, seconds: float) -> tuple[Child, Message]:
        """Ask the running process, or a new one; return it with its answer."""
        with self.lock:
            child = self.running()
            try:
                return child, self.ask(child, request, expected, seconds=seconds)
            except GoneError:
                # It had been idle for long, and ended just when it was asked.
                child = self.running()
                return child, self.ask(child, request, expected, seconds=seconds)

    def ask(self, child: Child, request: Message, expected: frozenset[str], *, seconds: float) -> Message:
        """Return the first answer of an expected sort; a failure ends the process and raises `ReaderFailedError`.

        So many seconds without an answer or any progress are a failure, too.
        """
        with self._talking_to(child):
            child.tell(request)
            until = time.monotonic() + seconds
            while True:
                message = self._hear(child, until)
                if message.get("tell") in expected:
                    return message
                until = time.monotonic() + seconds

    def await_packed(self, child: Child, day: tuple[int, int], *, seconds: float) -> None:
        """Return when the process has packed that bill's day."""
        with self.lock:
            if day in self._packed:
                return
            with self._talking_to(child):
                until = time.monotonic() + seconds
                while day not in self._packed:
                    self._hear(child, until)

    def unpack(self, bill: int) -> None:
        """Know of no packed day of that bill any more."""
        with self.lock:
            self._packed = {day for day in self._packed if day[0] != bill}

    def tell_progress(self, phase: str, share: float) -> None:
        """Pass on how much of the phase is done."""
        if self._progress:
            self._progress(phase, share)

    @contextmanager
    def _talking_to(self, child: Child) -> Iterator[None]:
        with self.lock:
            if child is not self._child:
                msg = "the reading process that held the file is gone"
                raise ReaderFailedError(msg, is_innocent=True)
            try:
                with sensible():
                    yield
            except ReaderFailedError as error:
                self.dismiss()
                if self._is_broken_off:
                    raise ReaderFailedError(str(error), is_innocent=True) from error
                raise
            except BaseException:
                # Even an interrupt: an answer that nobody waits for would be taken for that of the next question.
                self.dismiss()
                raise

    def _hear(self, child: Child, until: float) -> Message:
        message = child.hear(until)
        match message.get("tell"):
            case "progress":
                share = message.get("share")
                self.tell_progress(str(message.get("phase")), float(share) if isinstance(share, int | float) else 0.0)
            case "packed":
                self._packed.add((as_number(message.get("bill")), as_number(message.get("day"))))
            case "failed":
                msg = f"the reading process failed: {printable(str(message.get('why')), 300)}"
                raise ReaderFailedError(msg, is_innocent=message.get("innocent") is True)
            case _:
                pass
        return message


@contextmanager
def usable() -> Iterator[None]:
    """Let a private folder that is full or gone be nobody's fault, neither the file's nor the process's."""
    try:
        yield
    except OSError as error:
        msg = f"the folder of the reading process cannot be used: {error.strerror}"
        raise ReaderFailedError(msg, is_innocent=True) from error


@contextmanager
def sensible() -> Iterator[None]:
    """Let nonsense be the failure of the process."""
    try:
        yield
    except (NonsenseError, IndexError) as error:
        msg = "the reading process sent an invalid message"
        raise ReaderFailedError(msg) from error
