"""The files beside an SQLite ledger: permissions, suitable disks, and locks that end with their process."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spendwatch.domain.errors import LedgerUnavailableError, UnsuitableDiskError
from spendwatch.store.trouble import file_trouble

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_SHARED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ncpfs", "ocfs2", "gfs2", "virtiofs"}
    | {"acfs", "beegfs", "gpfs", "orangefs", "prl_fs", "vboxsf"}
)
_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs"})
"""The root file system of rootless containers: one host, whatever its name says."""
_MOUNTS = Path("/proc/self/mountinfo")
_SOON = 0.01
_PART = ".part"
_OLD = 86400


def make_private_folder(folder: Path) -> None:
    """Make the folder and what is missing above it, for the owner alone, whatever the umask says."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(_FOLDER_MODE)


def make_private_file(path: Path) -> None:
    """Make an empty file for the owner alone, unless there is one.

    A database that exists is never opened here: closing it would drop the locks that SQLite holds on it in this process.
    """
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE)
    except FileExistsError:
        return
    try:
        os.fchmod(file, _FILE_MODE)
    finally:
        os.close(file)


def file_id(path: Path) -> tuple[int, int] | None:
    """Return which file has that name now; None where none has."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def new_private_file(folder: Path, prefix: str) -> Path:
    """Make an empty file for the owner alone, under a name that nobody could know before, and put a link there."""
    import tempfile  # noqa: PLC0415 -- only for backups: it loads three ways to compress

    file, name = tempfile.mkstemp(_PART, prefix, folder)
    os.close(file)
    return Path(name)


def remove_old_parts(folder: Path, beginning: bytes) -> None:
    """Remove what killed programs left of such files, a day after they were written to last: nobody goes on with them."""
    for part in folder.glob(f".*{_PART}"):
        with suppress(OSError), part.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > _OLD and file.read(len(beginning)) == beginning:
                part.unlink()


def publish_new(part: Path, target: Path) -> None:
    """Give a whole file its final name, so that it survives a power cut; `FileExistsError` where there is one already."""
    _sync(part)
    try:
        os.link(part, target)  # a rename would overwrite
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        part.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def file_system_of(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds the path, by the kernel's list of mounts; empty when it is unknown."""
    best, found = -1, ""
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split()
        if not separator or len(fields) < 5:  # noqa: PLR2004 -- the mount point is the fifth field
            continue
        point = Path(fields[4].encode("latin-1", "replace").decode("unicode_escape", "replace"))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), after.split()[0]
    return found


def is_shared_between_hosts(file_system: str) -> bool:
    """Return whether several hosts, or a foreign kernel, may see the same files: SQLite's write-ahead log needs one host."""
    return file_system in _SHARED or (file_system.startswith("fuse.") and file_system not in _LOCAL_FUSE)


def require_local_disk(path: Path) -> None:
    """Refuse a network file system."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    kind = file_system_of(path, mounts)
    if is_shared_between_hosts(kind):
        advice = "write state: with a path on a local disk, or postgresql://user@host/database"
        msg = f"{path} is on a network file system ({kind}), where SQLite may lose data: {advice}"
        raise UnsuitableDiskError(msg)


class FileLock:
    """A lock on a file of its own, for one holder among all processes; the kernel frees it when the holder dies."""

    def __init__(self, path: Path) -> None:
        """Know the file; it is opened when the lock is first taken."""
        self._path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Take the lock, or return False at once."""
        if self._file is None:
            make_private_file(self._path)
            self._file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_taken(self) -> bool:
        """Return whether another process holds the lock."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def free(self) -> None:
        """Let others take it."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Free the lock and close its file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Turn:
    """Whose turn it is to write: one thread of one process."""

    def __init__(self, path: Path, patience: float, place: str) -> None:
        """Wait at most `patience` seconds for a turn; `place` is what the lock protects, for messages."""
        self._threads = threading.Lock()
        self._processes = FileLock(path)
        self._patience = patience
        self._place = place
        self._pause = threading.Event()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the turn; `LedgerUnavailableError` when it does not become free in time."""
        end = time.monotonic() + self._patience
        if not self._threads.acquire(timeout=self._patience):
            raise self._busy()
        try:
            self._wait_for_processes(end)
            try:
                yield
            finally:
                self._processes.free()
        finally:
            self._threads.release()

    def close(self) -> None:
        """Close the lock's file."""
        self._processes.close()

    def _wait_for_processes(self, end: float) -> None:
        with file_trouble(self._place):
            while not self._processes.take():
                if time.monotonic() >= end:
                    raise self._busy()
                self._pause.wait(_SOON)

    def _busy(self) -> LedgerUnavailableError:
        return LedgerUnavailableError(
            f"the ledger at {self._place} is busy: another writer has held it for {self._patience:g} s"
        )
