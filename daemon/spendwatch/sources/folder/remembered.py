"""Which files of a read-only folder are finished: kept across restarts, and safe to lose.

A fingerprint represents a name with an identity: a changed file has another one and is offered again. The fingerprint of a
rejected file includes the reader: another version of this program, or another configuration, may be able to read it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch import __version__
from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.kept import MARK, History
from spendwatch.sources.files.skipped import Once, reason_of
from spendwatch.sources.files.spool import Identity

_log: FilteringBoundLogger = structlog.get_logger()

MOST_REMEMBERED = 200_000
"""Files of one source; so many cost 25 MB."""
_SIZE = 16
_LONGEST = 100 + _SIZE * MOST_REMEMBERED * 2
_SAVE_AFTER = 30.0
_HEADER = re.compile(rb"spendwatch settled files, ledger (%s|)\n" % MARK.pattern.encode())
_KEPT = ""


class Remembered:
    """The fingerprints of one source's settled files, in a file of our own."""

    def __init__(
        self,
        source: SourceName,
        file: Path,
        monotonic: Callable[[], float],
        once: Once,
        *,
        history: History,
        hints: Callable[[], str],
    ) -> None:
        """Know the file, which is read when it is first needed.

        `history` is the ledger's; `hints`, what else decides which files can be understood.
        """
        self._source = source
        self._file = file
        self._history = history
        self._hints = hints
        self._reader = __version__
        self._monotonic = monotonic
        self._once = once
        self._looks = 0
        self._met: dict[bytes, int] | None = None
        """Each fingerprint, and the number of the look that met it last."""
        self._mark = ""
        self._unsaved_since: float | None = None

    def begin(self) -> None:
        """Begin a look at the folder."""
        self._looks += 1
        self._reader = f"{__version__} {self._hints()}"

    def has(self, name: str, identity: Identity) -> bool:
        """Tell whether the file is done with as it is."""
        return self.is_kept(name, identity) or self._meets(_fingerprint(name, identity, self._reader))

    def is_kept(self, name: str, identity: Identity) -> bool:
        """Tell whether the ledger has the file as it is."""
        return self._meets(_fingerprint(name, identity, _KEPT))

    def add(self, name: str, identity: Identity, *, refused: bool) -> None:
        """Remember that the file is done with as it is."""
        known, self._mark = self._known(), self._history.mark()
        known[_fingerprint(name, identity, self._reader if refused else _KEPT)] = self._looks
        now = self._monotonic()
        self._unsaved_since = now if self._unsaved_since is None else self._unsaved_since
        if now - self._unsaved_since >= _SAVE_AFTER:
            self.save()

    def make_room(self) -> bool:
        """Forget what the last look did not meet, if too much is remembered; tell whether that helped."""
        known = self._known()
        if len(known) > MOST_REMEMBERED:
            self._met = known = {one: look for one, look in known.items() if look == self._looks}
        return len(known) <= MOST_REMEMBERED

    def save(self) -> None:
        """Write down what is new, whole or not at all. Not to be able to is no trouble before the next start."""
        if self._unsaved_since is None:
            return
        self._unsaved_since = None
        new = self._file.with_name(f"{self._file.name}.new")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
                file.write(b"spendwatch settled files, ledger %s\n" % self._mark.encode())
                file.writelines(self._known())
            new.replace(self._file)
        except OSError as error:
            self._once.tell("settled_files_not_saved", file=str(self._file), reason=reason_of(error))
        else:
            self._once.is_over("settled_files_not_saved")

    def _meets(self, fingerprint: bytes) -> bool:
        known = self._known()
        if fingerprint not in known:
            return False
        known[fingerprint] = self._looks
        return True

    def _known(self) -> dict[bytes, int]:
        if self._met is None:
            self._met = self._loaded()
        return self._met

    def _loaded(self) -> dict[bytes, int]:
        data = self._read()
        found = _HEADER.match(data)
        if found is None or (len(data) - found.end()) % _SIZE:
            return {}
        mark = found[1].decode()
        if mark and not self._history.has_mark(mark):
            # Another ledger, or one restored from a backup: it may lack what was read since.
            _log.warning("settled_files_forgotten", source=self._source, reason="the ledger is older: all files are read again")
            return {}
        self._mark = mark
        return {data[start : start + _SIZE]: 0 for start in range(found.end(), len(data), _SIZE)}

    def _read(self) -> bytes:
        with suppress(OSError):
            opened = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(opened, "rb") as file:
                return file.read(_LONGEST)
        return b""


def _fingerprint(name: str, identity: Identity, reader: str) -> bytes:
    # Without the device: its number may change whenever a network file system is mounted.
    said = f"{identity.inode} {identity.size} {identity.modified_ns} {identity.changed_ns} {reader}"
    return blake2b(os.fsencode(name) + b"\0" + said.encode(), digest_size=_SIZE).digest()
