"""Which version of each object was passed on last. Kept across restarts; without it all are passed on again, harmlessly."""

from __future__ import annotations

import os
import re
import struct
import threading
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spendwatch.sources.holding import store_folder

_HEADER = b"spendwatch objects, 1\n"
_RECORD = struct.Struct(">Q16s16s16s")
_TOKEN = re.compile(r"([0-9]{12})-([0-9a-f]{32})-([0-9a-f]{32})-([0-9a-f]{32})", re.ASCII)
_MOST_KNOWN = 200_000
"""Objects of one source; so many cost 60 MB."""
_LONGEST = len(_HEADER) + _RECORD.size * _MOST_KNOWN * 3
_MUCH = 1000
_OURS = os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an object that was given, or is about to be."""

    number: int
    """Counts up: of two versions of an object the one with the higher number was given later."""
    identity: bytes
    """Stands for the object."""
    state: bytes
    """Stands for what its listing said of it."""
    digest: bytes
    """The beginning of its content's SHA-256."""

    @property
    def token(self) -> str:
        """All of it as a name."""
        return f"{self.number:012d}-{self.identity.hex()}-{self.state.hex()}-{self.digest.hex()}"

    @classmethod
    def read(cls, token: str) -> Version | None:
        """Return the version that a name tells, None for one that is none."""
        if not (found := _TOKEN.fullmatch(token)):
            return None
        return cls(int(found[1]), *(bytes.fromhex(part) for part in found.groups()[1:]))


class Versions:
    """The latest version of each object, in a file of our own. Safe to be used from several threads."""

    def __init__(self, file: Path, waiting: Iterable[Version]) -> None:
        """Read the file; what waits to be entered was given, too."""
        self._file = file
        self._lock = threading.Lock()
        self._settled: dict[bytes, Version] = {}
        self._waiting: dict[bytes, Version] = {}
        self._last = 0
        self._records = 0
        self._is_sound = False
        """Whether records may be added to the file as it is."""
        self._read()
        for version in waiting:
            self.given(version)

    def knows(self, identity: bytes, state: bytes) -> bool:
        """Tell whether this version of the object was the last that was given."""
        known = self._latest(identity)
        return known is not None and known.state == state

    def is_news(self, version: Version) -> bool:
        """Tell whether the object had another content when it was given last."""
        known = self._latest(version.identity)
        return known is None or known.digest != version.digest

    def following(self, identity: bytes, state: bytes, digest: bytes) -> Version:
        """Return what a version is called that was given after all others."""
        return Version(self._last + 1, identity, state, digest)

    def given(self, version: Version) -> None:
        """Know that the version waits to be entered; where it waits tells so after a restart."""
        with self._lock:
            self._note(self._waiting, version)

    def settled(self, version: Version) -> None:
        """Remember that nothing is to be done about the version any more; `OSError` where that cannot be written down."""
        with self._lock:
            self._note(self._settled, version)
            if self._waiting.get(version.identity) == version:
                del self._waiting[version.identity]
            if self._is_sound and self._records < 2 * len(self._settled) + _MUCH:
                self._append(version)
            else:
                self._write()

    def make_room(self, listed: Container[bytes]) -> None:
        """Forget the objects that are not listed any more, if too much is known."""
        with self._lock:
            if len(self._settled) > _MOST_KNOWN:
                self._settled = {identity: known for identity, known in self._settled.items() if identity in listed}

    def _latest(self, identity: bytes) -> Version | None:
        known = [found for found in (self._settled.get(identity), self._waiting.get(identity)) if found]
        return max(known, key=lambda version: version.number, default=None)

    def _note(self, among: dict[bytes, Version], version: Version) -> None:
        self._last = max(self._last, version.number)
        known = among.get(version.identity)
        if known is None or known.number < version.number:
            among[version.identity] = version

    def _append(self, version: Version) -> None:
        self._is_sound = False
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_APPEND | _OURS), "wb") as file:
            file.write(_record(version))
            file.flush()
            os.fsync(file.fileno())
        self._records, self._is_sound = self._records + 1, True

    def _write(self) -> None:
        new = self._file.with_name(f"{self._file.name}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _OURS, 0o600), "wb") as file:
            file.write(_HEADER)
            file.writelines(map(_record, self._settled.values()))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)
        store_folder(self._file.parent)
        self._records, self._is_sound = len(self._settled), True

    def _read(self) -> None:
        data = b""
        with suppress(OSError), os.fdopen(os.open(self._file, os.O_RDONLY | os.O_NONBLOCK | _OURS), "rb") as file:
            data = file.read(_LONGEST)
        if not data.startswith(_HEADER):
            return
        # A power cut in the middle of a record leaves a piece of it at the end.
        whole = (len(data) - len(_HEADER)) // _RECORD.size * _RECORD.size
        for found in _RECORD.iter_unpack(data[len(_HEADER) : len(_HEADER) + whole]):
            self._note(self._settled, Version(*found))
            self._records += 1
        self._is_sound = len(data) == len(_HEADER) + whole


def _record(version: Version) -> bytes:
    return _RECORD.pack(version.number, version.identity, version.state, version.digest)
