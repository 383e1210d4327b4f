"""A private folder for each reading process, in which big results are handed over as files."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

_PREFIX = "reader-"
_LOCK = "lock"


class PrivateFolder:
    """A folder that only its owner may enter, and that the next owner of the place above removes if it was left behind."""

    def __init__(self, above: Path) -> None:
        """Make the folder, and remove those of owners who died."""
        above.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above.resolve()))
        self._lock = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        for other in above.glob(f"{_PREFIX}*"):
            if other.name != self.path.name:
                _remove_if_left(other)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the folder."""
        self.remove()


def _remove_if_left(folder: Path) -> None:
    # Whoever lives holds the lock. Between making a folder and locking it, it has no lock file yet and is left alone.
    with suppress(OSError):
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
