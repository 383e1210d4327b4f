"""What sources remember, in a ledger of its own, and what becomes of it when that is restored from a backup or begun anew."""

from __future__ import annotations

import tempfile
from functools import cache
from itertools import count
from pathlib import Path

from spendwatch.store.copying import copy_all
from spendwatch.store.database import Database
from spendwatch.store.opening import open_database
from spendwatch.store.source_memory import SourceMemory

_numbers = count(1)
_opened: list[Database] = []


def close_all() -> None:
    """Close every ledger that a test has opened here."""
    while _opened:
        _opened.pop().close()


@cache
def _empty_ledger() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        open_database(str(path)).close()
        return path.read_bytes()


class ScratchMemory(SourceMemory):
    """The memory in the ledger at that path; what a process before this one remembered there is remembered."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(_empty_ledger())
        self.path = path
        self.ledger = open_database(str(path))
        _opened.append(self.ledger)
        super().__init__(self.ledger)

    def backup(self) -> Path:
        """Return a backup of the ledger as it is now."""
        path = self.path.with_name(f"backup-{next(_numbers)}.db")
        path.write_bytes(_empty_ledger())
        self._copied(self.path, path)
        return path

    def restore(self, backup: Path) -> None:
        """Put a backup in place of the ledger."""
        self._copied(backup, self.path)

    def begin_anew(self) -> None:
        """Put an empty ledger in place of the ledger."""
        self.restore(ScratchMemory(self.path.with_name(f"empty-{next(_numbers)}.db")).path)

    @staticmethod
    def _copied(original: Path, copy: Path) -> None:
        source, target = open_database(str(original)), open_database(str(copy))
        copy_all(source, target)
        source.close()
        target.close()
