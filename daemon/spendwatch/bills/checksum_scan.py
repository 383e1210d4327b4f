"""Scans every byte of a bill file once, beside the parser: its hash, and facts about its lines."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from spendwatch.domain.errors import ReaderFailedError
from spendwatch.domain.statement import Digest

_BLOCK = 1024 * 1024
_NEWLINE = 0x0A
_DIGITS = frozenset(b"0123456789")

Identity = tuple[int, int, int, int, int]


class ScanResult(NamedTuple):
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
        pool = ThreadPoolExecutor(1, "survey")
        self._survey = pool.submit(self._surveyed)
        pool.shutdown(wait=False)

    def finish(self) -> ScanResult:
        """Return the survey when it is done. A file that has changed since the beginning raises `ReaderFailedError`."""
        survey = self._survey.result()
        if identity(self.path) != self._before:
            msg = "the file was changed while being read"
            raise ReaderFailedError(msg, is_innocent=True)
        return survey

    def _surveyed(self) -> ScanResult:
        digest, block, last = hashlib.sha256(), bytearray(_BLOCK), 0
        view = memoryview(block)
        newlines, otherwise, done, is_plain = 0, 0, 0, True
        with self.path.open("rb", buffering=0) as file:
            size = max(1, os.fstat(file.fileno()).st_size)
            while count := file.readinto(block):
                if self._with_digest:
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
                self.progress(done / size)
        sha256 = Digest(digest.hexdigest() if self._with_digest else "")
        return ScanResult(sha256, newlines, otherwise, last == _NEWLINE, is_plain)


def digest_of(path: Path) -> Digest:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return Digest(hashlib.file_digest(file, "sha256").hexdigest())


def identity(path: Path) -> Identity:
    """Return what changes when a file's content does."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
