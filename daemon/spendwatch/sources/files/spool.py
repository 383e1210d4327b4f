"""Private copies of bill files: only these are parsed. Does not know where the originals are."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from spendwatch.domain.errors import SourceUnavailableError, what_to_do

_CHUNK = 1 << 20
_RESERVE = 64 << 20
_TENTH = 10
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_RANGE_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY})


class Identity(NamedTuple):
    """What must stay the same for a file to be the very same file with the very same bytes."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, seen: os.stat_result) -> Identity:
        """Take the identity out of what `stat` says. Times are compared, never read as an age: the share's clock is foreign."""
        return cls(seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)

    @property
    def in_place(self) -> str:
        """What must stay the same for a file that is not moved, as text."""
        # Without the device: its number may change whenever a network file system is mounted.
        return f"{self.inode} {self.size} {self.modified_ns} {self.changed_ns}"

    @property
    def archived(self) -> str:
        """What must stay the same for a file that we moved and then left alone, as text; it may come from a backup."""
        return f"{self.size} {self.modified_ns}"

    def is_same_file(self, other: Identity) -> bool:
        """Compare all but the change time, which a rename alone may set."""
        return self[:4] == other[:4]


class Spool:
    """A folder of private copies. Each copy is locked while somebody needs it, so that only a dead one's are swept away."""

    def __init__(self, folder: Path) -> None:
        """Use this folder; it is made, for our eyes alone, when it is first needed."""
        self._folder = folder
        self._locks: dict[Path, int] = {}

    def clear(self) -> int:
        """Remove the copies that a dead process left, and return how many they were."""
        if not self._folder.is_dir():
            return 0
        return sum(removed_if_orphaned(copy) for copy in self._folder.glob("*.bill"))

    def take(self, original: int, identity: Identity) -> Path | None:
        """Copy an open file, or return None if it is not, before and after, what it was when it had settled.

        `SourceUnavailableError` when there is no room.
        """
        if Identity.of(os.fstat(original)) != identity:
            return None
        self._make_sure_of_room(identity.size)
        copy, target = self._new_copy()
        try:
            _copy(original, target, identity.size)
            is_whole = os.fstat(target).st_size == identity.size and Identity.of(os.fstat(original)) == identity
        except OSError as error:
            self.drop(copy)
            if error.errno in _FULL:
                raise self._no_room(identity.size, os.strerror(error.errno)) from error
            raise
        if not is_whole:
            self.drop(copy)
            return None
        return copy

    def drop(self, copy: Path) -> None:
        """Delete a copy. Deleting it twice does nothing."""
        copy.unlink(missing_ok=True)
        lock = self._locks.pop(copy, None)
        if lock is not None:
            os.close(lock)

    def _make_sure_of_room(self, size: int) -> None:
        # A sparse file costs its maker nothing and would fill the disk on which the ledger lives.
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            room = os.statvfs(self._folder)
        except OSError as error:
            raise self._unusable(error) from error
        reserve = min(_RESERVE, room.f_blocks * room.f_frsize // _TENTH)
        if size > room.f_bavail * room.f_frsize - reserve:
            raise self._no_room(size, os.strerror(errno.ENOSPC))

    def _new_copy(self) -> tuple[Path, int]:
        while True:
            copy = self._folder / f"{secrets.token_hex(16)}.bill"
            try:
                target = os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise self._unusable(error) from error
            fcntl.flock(target, fcntl.LOCK_EX)
            if os.fstat(target).st_nlink:
                self._locks[copy] = target
                return copy, target
            os.close(target)  # another process swept it away before the lock was on it

    def _no_room(self, size: int, why: str) -> SourceUnavailableError:
        return SourceUnavailableError(f"no disk space in {self._folder} for the private copy of a file of {size} bytes: {why}")

    def _unusable(self, error: OSError) -> SourceUnavailableError:
        advice = what_to_do(error)
        why = f"{error.strerror}; {advice}" if advice else f"{error.strerror}"
        return SourceUnavailableError(f"the spool {self._folder} cannot be used: {why}")


def _copy(original: int, target: int, size: int) -> None:
    """Copy no more than `size` bytes: a file that grows while it is read is refused anyway."""
    copied = 0
    try:
        while copied < size and (step := os.copy_file_range(original, target, size - copied, copied, copied)):
            copied += step
    except OSError as error:
        if error.errno not in _NO_RANGE_COPY:
            raise
    # Some file systems cannot, and some say "nothing more" of a file that has bytes: read the rest the plain way.
    while copied < size and (chunk := os.pread(original, min(_CHUNK, size - copied), copied)):
        view = memoryview(chunk)
        while view:
            written = os.pwrite(target, view, copied)
            copied, view = copied + written, view[written:]


def removed_if_orphaned(copy: Path) -> bool:
    """Remove a file of ours that no living process holds, and tell whether it is gone."""
    try:
        found = os.open(copy, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            return False
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
        copy.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(found)
    return True
