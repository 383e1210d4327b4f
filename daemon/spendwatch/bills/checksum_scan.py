"""Scans every byte of a bill file once, beside the parser: its hash, and facts about its lines."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from spendwatch.domain.errors import ReaderFailedError
from spendwatch.domain.statement import Digest

_BLOCK = 1024 * 1024
_NEWLINE = 0x0A
_DIGITS = frozenset(b"0123456789")

Identity = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What the bytes of a file show before parsing."""

    digest: Digest
    newlines: int
    ends_otherwise: int
    """How many lines end with something else than a digit, as the header does."""
    ends_with_newline: bool
    is_plain: bool
    """Without NUL bytes and carriage returns."""


class ChecksumScan:
    """Surveys a file in a thread of its own. Hashing frees the interpreter, so the parser loses little."""

    def __init__(self, path: Path, *, with_digest: bool = True) -> None:
        """Begin at once. Without the digest it is quicker, and its survey has none."""
        self.path = path
        self.progress: Callable[[float], None] = lambda _: None
        """Called with the share of the file that is done."""
        self._with_digest = with_digest
        self._before = identity(path)
        self._survey: ScanResult | None = None
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="survey", daemon=True)
        self._thread.start()

    def finish(self) -> ScanResult:
        """Return the survey when it is done. A file that has changed since the beginning raises `ReaderFailedError`."""
        self._thread.join()
        if self._trouble:
            raise self._trouble
        if self._survey is None or identity(self.path) != self._before:
            msg = "the file was changed while being read"
            raise ReaderFailedError(msg, is_innocent=True)
        return self._survey

    def _run(self) -> None:
        try:
            with self.path.open("rb", buffering=0) as file:
                self._survey = _surveyed(file, self._say, with_digest=self._with_digest)
        except Exception as error:  # noqa: BLE001 -- handed to the thread that waits for us
            self._trouble = error

    def _say(self, share: float) -> None:
        self.progress(share)


def digest_of(path: Path) -> Digest:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return Digest(hashlib.file_digest(file, "sha256").hexdigest())


def identity(path: Path) -> Identity:
    """Return what changes when a file's content does."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _surveyed(file: FileIO, progress: Callable[[float], None], *, with_digest: bool) -> ScanResult:
    size = max(1, os.fstat(file.fileno()).st_size)
    digest, block, last = hashlib.sha256(), bytearray(_BLOCK), 0
    view = memoryview(block)
    newlines, otherwise, done, is_plain = 0, 0, 0, True
    while count := file.readinto(block):
        if with_digest:
            digest.update(view[:count])
        is_plain = is_plain and block.find(b"\0", 0, count) < 0 and block.find(b"\r", 0, count) < 0
        # Much faster than bytes.count before Python 3.13, as lines are long, and it shows how each of them ends.
        at = block.find(b"\n", 0, count)
        while at >= 0:
            newlines += 1
            if (block[at - 1] if at else last) not in _DIGITS:
                otherwise += 1
            at = block.find(b"\n", at + 1, count)
        last = block[count - 1]
        done += count
        progress(done / size)
    return ScanResult(Digest(digest.hexdigest() if with_digest else ""), newlines, otherwise, last == _NEWLINE, is_plain)
