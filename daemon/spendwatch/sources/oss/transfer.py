"""One request for an object and its response. Bytes of two versions never mix in one file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from spendwatch.domain.errors import printable
from spendwatch.sources.fetching import Writer
from spendwatch.sources.holding import Incoming, make_sure_of_room
from spendwatch.sources.oss.objects import StoredObject
from spendwatch.sources.trouble import EndpointError, Trouble

WHOLE, PART = 200, 206

_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII)
_SAME_BYTES = frozenset({"", "identity"})


class ObjectTransfer:
    """Fills a file with one version of an object, from its beginning or from where the last answer broke off."""

    def __init__(self, found: StoredObject, file: Incoming, *, have: int) -> None:
        """Keep so much of the file as surely belongs to this version."""
        self.operation = f"GetObject {found.shown}"
        self._found = found
        self._file = file
        file.cut(have if have <= file.size and have < found.size else 0)
        self._asked_from = file.size
        self.can_go_on = True
        """Whether what has come so far could be joined to the rest later."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What makes the request one for this version, or for the rest of it."""
        rest = {"range": f"bytes={self._asked_from}-"} if self._asked_from else {}
        return {"if-match": f'"{self._found.etag}"', **rest}

    def receive(self, status: int, headers: Mapping[str, str]) -> Writer | None:
        """Return what takes the answer's body, None for one that is no object; `EndpointError` for another version's."""
        if status not in {WHOLE, PART}:
            return None
        if (etag := headers.get("etag", "").strip('"')) != self._found.etag:
            raise self._misfit(Trouble.CHANGING if etag else Trouble.UNEXPECTED, "the version differs from the listed one")
        if status == WHOLE:
            self._begin(headers)
        else:
            self._go_on(headers)
        make_sure_of_room(self._file.path.parent, self._found.size - self._file.size)
        return self._write

    def check(self) -> None:
        """Raise unless everything came that was listed."""
        if self.can_go_on and self._file.size != self._found.size:
            raise self._misfit(Trouble.UNEXPECTED, f"{self._file.size} bytes arrived, {self._found.size} were listed")

    def _write(self, piece: bytes) -> None:
        if self.can_go_on and self._file.size + len(piece) > self._found.size:
            raise self._misfit(Trouble.UNEXPECTED, f"more than the listed {self._found.size} bytes arrived")
        self._file.write(piece)

    def _begin(self, headers: Mapping[str, str]) -> None:
        self._file.cut(0)
        # Whoever stored it said that it is packed, so it is unpacked on the way, and a part of it could not be.
        self.can_go_on = headers.get("content-encoding", "").lower() in _SAME_BYTES
        length = headers.get("content-length", "")
        if length and length != str(self._found.size):
            raise self._misfit(Trouble.UNEXPECTED, f"its length is {printable(length)} bytes, {self._found.size} were listed")

    def _go_on(self, headers: Mapping[str, str]) -> None:
        found = _RANGE.fullmatch(headers.get("content-range", ""))
        rest = (self._asked_from, self._found.size - 1, self._found.size)
        is_plain = headers.get("content-encoding", "").lower() in _SAME_BYTES
        if not (self._asked_from and is_plain and found and tuple(map(int, found.groups())) == rest):
            raise self._misfit(Trouble.UNEXPECTED, "it sends a part that was not requested")

    def _misfit(self, trouble: Trouble, what: str) -> EndpointError:
        self._file.cut(0)
        return EndpointError(f"{self.operation}: {what}", trouble)
