"""The client of the reading process: one request at a time; it starts the process on demand and stops it after a failure."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TypeVar

from spendwatch.bills.client.child import Child, GoneError, InvalidAnswerError
from spendwatch.bills.messages import BillRefused, Failed, ProgressMade, Request
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError, printable, what_to_do

Progress = Callable[[str, float], None]
"""Called with a phase (`unpacking`, `reading`, `merging`) and the share of it that is done, from 0 to 1."""

A = TypeVar("A")

MEMORY = 4 * 1024**3
"""How many bytes of memory the reading process may take."""

IDLE = 300.0
"""After so many seconds without work the reading process ends."""

_PREFIX = "reader-"


class PrivateFolder:
    """A folder for large results that only its owner may enter; the next owner of the place removes one left behind."""

    def __init__(self, above: Path) -> None:
        """Make the folder, and remove those of owners who died."""
        above.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path, self._lock = _locked(above.resolve())
        sweep(above)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep(above: Path) -> None:
    """Remove the folders whose owners died. Who lives holds a lock on the folder itself, which dies with him."""
    for folder in above.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = _open(folder)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _locked(above: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
        with suppress(FileNotFoundError):
            lock = _open(path)
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Between its making and its locking another process may have swept it away.
            if path.exists():
                return path, lock
            os.close(lock)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


@dataclass(eq=False)
class Dialogue:
    """What the daemon's side knows of the process: the process itself, and the private folder. One thread at a time uses it."""

    exchange: Path
    """Below it the private folder is made, for handing over results."""
    _: KW_ONLY
    memory: int = MEMORY
    idle: float = IDLE
    progress: Progress | None = None
    child: Child | None = field(default=None, init=False)
    """The process, if one was started."""
    _folder: PrivateFolder | None = field(default=None, init=False)
    _is_broken_off: bool = field(default=False, init=False)

    def running(self) -> Child:
        """Return the process, a new one if there is none or it has ended."""
        if self.child is None or not self.child.is_alive:
            self.dismiss()
            self._is_broken_off = False
            folder = self.folder()
            with usable():
                self.child = Child(folder, memory=self.memory, idle=self.idle)
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
                self._folder = PrivateFolder(self.exchange)
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
            if self.progress:
                self.progress(answer.phase, answer.share)
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
