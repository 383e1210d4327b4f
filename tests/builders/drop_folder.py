"""A drop folder for tests: its source, with a monotonic clock that only the test moves, and mounts of real file systems."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scratch_memory import ScratchMemory
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.failure import Failure
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.sources.folder.source import FolderSource

NOW = datetime(2026, 9, 16, 4, 0, tzinfo=UTC)
SETTLE = timedelta(seconds=10)
IS_ROOT = os.geteuid() == 0

STRANGER = """
import json, os, resource, sys, time
from structlog.testing import capture_logs
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.sources.folder.source import FolderSource
from spendwatch.store.opening import open_database
from spendwatch.store.source_memory import SourceMemory
place = Path(sys.argv[1])
memory = SourceMemory(open_database(str(place / "ledger.db")))
"""
"""How a program begins that has a source of its own on the same folder and ledger; it is told where they lie."""


class Inbox:
    """A drop folder, its source, and a monotonic clock that only the test moves."""

    def __init__(self, place: Path, *, settle: timedelta = SETTLE, recursive: bool = False, move: bool = True) -> None:
        self.path = place / "inbox"
        self.path.mkdir(mode=0o755)
        self.seconds = 1000.0
        self.settle = settle
        self.recursive = recursive
        self.move = move
        self.memory = ScratchMemory(place / "ledger.db")
        self.hints = ""
        self.others: tuple[Path, ...] = ()
        self.unread = ""
        self.clock: Callable[[], datetime] = lambda: NOW
        self.source = self.restarted()

    def restarted(self) -> FolderSource:
        self.source = FolderSource(
            SourceName("inbox"),
            self.path,
            self.settle,
            lambda: self.seconds,
            recursive=self.recursive,
            move=self.move,
            memory=self.memory,
            hints=lambda: self.hints,
            others=lambda: self.others,
        )
        return self.source

    def drop(self, name: str, text: str = "a,b\n1,2\n") -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def look(self) -> list[BillFile]:
        """Return what is given; what cannot be read stands in `unread`."""
        found: list[BillFile] = []
        with self.noting_unread():
            found.extend(self.source.arrivals(self.clock()))
        return found

    @contextmanager
    def noting_unread(self) -> Iterator[None]:
        self.unread = ""
        try:
            yield
        except SourceUnavailableError as error:
            if error.trouble is not Failure.UNREAD:
                raise
            self.unread = str(error)

    def look_after(self, seconds: float) -> list[BillFile]:
        self.seconds += seconds
        return self.look()

    def settled(self) -> list[BillFile]:
        """Look twice, the settle time apart."""
        self.look()
        return self.look_after(self.settle.total_seconds())

    def kept(self) -> list[str]:
        """Look twice and keep all that there is; return the names."""
        self.look()
        self.seconds += self.settle.total_seconds()
        names = []
        with self.noting_unread():
            for file in self.source.arrivals(self.clock()):
                self.source.keep(file)
                names.append(file.name)
        return names

    def texts(self, files: Sequence[BillFile]) -> list[tuple[str, str]]:
        return [(file.name, file.path.read_text(encoding="utf-8")) for file in files]

    def held_in(self, folder: str) -> dict[str, str]:
        """Return the files of a folder and of those below it, by their names within it."""
        place = self.path / folder
        files = (path for path in place.rglob("*") if path.is_file())
        return {str(path.relative_to(place)): path.read_text(encoding="utf-8") for path in files}


def mounted(place: Path, *options: str) -> Iterator[Path]:
    """Mount there, and take it away again."""
    if not IS_ROOT:
        pytest.skip("mounts a file system, which only root may")
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", *options, str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def open_descriptors() -> int:
    """Return how many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))
