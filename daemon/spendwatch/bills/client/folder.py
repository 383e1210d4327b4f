"""A private folder for each reading process, for passing large results as files."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_PREFIX = "reader-"


class PrivateFolder:
    """A folder that only its owner may enter, and that the next owner of the place above removes if it was left behind."""

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
