"""The client of the reading process: one request at a time; it starts the process on demand and stops it after a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from spendwatch.bills.client.child import Child, GoneError, InvalidAnswerError
from spendwatch.bills.client.folder import PrivateFolder
from spendwatch.bills.messages import BillRefused, Failed, ProgressMade, Request
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError, printable, what_to_do

Progress = Callable[[str, float], None]
"""Called with a phase (`unpacking`, `reading`, `merging`) and the share of it that is done, from 0 to 1."""

A = TypeVar("A")


class Dialogue:
    """What the daemon's side knows of the process: the process itself, and the private folder. One thread at a time uses it."""

    def __init__(self, exchange: Path, *, memory: int, idle: float, progress: Progress | None) -> None:
        """Start nothing yet."""
        self.child: Child | None = None
        """The process, if one was started."""
        self._exchange = exchange
        self._memory = memory
        self._idle = idle
        self._progress = progress
        self._folder: PrivateFolder | None = None
        self._is_broken_off = False

    def running(self) -> Child:
        """Return the process, a new one if there is none or it has ended."""
        if self.child is None or not self.child.is_alive:
            self.dismiss()
            self._is_broken_off = False
            folder = self.folder()
            with usable():
                self.child = Child(folder, memory=self._memory, idle=self._idle)
        return self.child

    def interrupt(self) -> None:
        """Kill the process without waiting for a turn, from any thread: a running request fails."""
        self._is_broken_off = True
        if child := self.child:
            child.kill()

    def dismiss(self) -> None:
        """End the process; the next question starts another."""
        if self.child:
            self.child.end()
            self.child = None

    def folder(self) -> Path:
        """Return the private folder."""
        if self._folder and not self._folder.path.is_dir():
            self._folder.remove()
            self._folder = None
        if self._folder is None:
            with usable():
                self._folder = PrivateFolder(self._exchange)
        return self._folder.path

    def close(self) -> None:
        """End the process and remove the folder."""
        self.dismiss()
        if self._folder:
            self._folder.remove()
            self._folder = None

    def ask(self, request: Request, expected: type[A], *, seconds: float, child: Child | None = None) -> A:
        """Return the answer of that process, or of any, or raise `UnreadableBillError`.

        A failure ends the process and raises `ReaderFailedError`. So many seconds without an answer or any progress are one.
        """
        if child:
            if child is not self.child:
                msg = "the reading process that held the file is gone"
                raise ReaderFailedError(msg, is_innocent=True)
            return self._asked(child, request, expected, seconds)
        try:
            return self._asked(self.running(), request, expected, seconds)
        except GoneError:
            # It had been idle for long, and ended just when it was asked.
            return self._asked(self.running(), request, expected, seconds)

    def _asked(self, child: Child, request: Request, expected: type[A], seconds: float) -> A:
        try:
            answer = self._answer(child, request, expected, seconds)
        except ReaderFailedError as error:
            self.dismiss()
            if self._is_broken_off:
                raise ReaderFailedError(str(error), is_innocent=True) from error
            raise
        except BaseException:
            # Even an interrupt: an answer that is not read would be taken for that of the next request.
            self.dismiss()
            raise
        if isinstance(answer, BillRefused):
            raise UnreadableBillError(*answer.refusals, digest=answer.digest)
        return answer

    def _answer(self, child: Child, request: Request, expected: type[A], seconds: float) -> A | BillRefused:
        child.tell(request)
        while isinstance(answer := child.hear(seconds), ProgressMade):
            if self._progress:
                self._progress(answer.phase, answer.share)
        match answer:
            case expected() | BillRefused(refusals=(_, *_)):
                return answer
            case Failed():
                msg = f"the reading process failed: {printable(answer.why, 300)}"
                raise ReaderFailedError(msg, is_innocent=answer.is_innocent)
            case _:
                raise InvalidAnswerError


@contextmanager
def usable() -> Iterator[None]:
    """Blame neither the file nor the process for a private folder that is full or gone."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        why = "; ".join(filter(None, (where, what_to_do(error))))
        msg = f"the folder of the reading process cannot be used: {why}"
        raise ReaderFailedError(msg, is_innocent=True) from error
