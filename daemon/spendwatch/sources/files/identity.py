"""What the file system says of a file, and by which it is known to be the same."""

from __future__ import annotations

import os
from typing import NamedTuple


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
