"""One request for a file and its response. A part is only joined to its own version, or the download restarts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from spendwatch.domain.errors import printable
from spendwatch.request import Writer
from spendwatch.sources.download_store import Incoming, make_sure_of_room
from spendwatch.sources.trouble import EndpointError, Failure

WHOLE, PART, NOT_MODIFIED = 200, 206, 304

_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII)
_STRONG = re.compile(r'"[!#-~]{1,200}"', re.ASCII)


class Download:
    """Fills a file with one version of what is asked for, from its beginning or from where the last answer broke off."""

    def __init__(
        self, what: str, file: Incoming, *, etag: str, have: int, most_bytes: int, listed_size: int | None = None
    ) -> None:
        """Keep so much of the file as surely belongs to the version with that ETag.

        With a `listed_size`, no other version is wanted, and this is its size.
        """
        self.what = what
        self._file = file
        self._most_bytes = most_bytes
        self._listed_size = listed_size
        self._wanted = etag
        is_rest = have <= file.size and (listed_size is None or have < listed_size)
        file.cut(have if is_rest else 0)
        self._asked_from = file.size
        self._total = listed_size
        self.etag = etag if file.size else ""
        """Of the version that is coming in, if a part of it could be joined to the rest later."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What makes the request one for the rest, or for that version alone."""
        rest = {"range": f"bytes={self._asked_from}-"} if self._asked_from else {}
        if self._listed_size is not None:
            return {"if-match": self._wanted, **rest}
        return {**rest, "if-range": self._wanted} if rest else {}

    def receive(self, status: int, headers: Mapping[str, str]) -> Writer | None:
        """Return what takes the answer's body, None for one that is no file; `EndpointError` for what fits nowhere."""
        if status not in {WHOLE, PART}:
            return None
        said = headers.get("etag", "")
        if self._listed_size is not None and said.strip('"') != self._wanted.strip('"'):
            raise self._misfit(Failure.CHANGING if said else Failure.UNEXPECTED, "the version differs from the listed one")
        is_plain = headers.get("content-encoding", "").lower() in {"", "identity"}
        if status == WHOLE:
            self._begin(headers, said, is_plain=is_plain)
        else:
            self._go_on(headers, said, is_plain=is_plain)
        length = headers.get("content-length", "")
        announced = int(length) if length.isascii() and length.isdigit() else 0
        make_sure_of_room(self._file.path.parent, announced)
        return self._write

    def check(self) -> None:
        """Raise unless everything came that was announced for the whole file."""
        if self._total is not None and self._file.size != self._total:
            kind = Failure.CHANGING if self._listed_size is None else Failure.UNEXPECTED
            raise self._misfit(kind, f"{self._file.size} bytes arrived, {self._total} were announced")

    def _write(self, piece: bytes) -> None:
        if self._listed_size is not None and self._total is not None and self._file.size + len(piece) > self._total:
            raise self._misfit(Failure.UNEXPECTED, f"more than the listed {self._total} bytes arrived")
        self._file.write(piece)

    def _begin(self, headers: Mapping[str, str], said: str, *, is_plain: bool) -> None:
        self._file.cut(0)
        # It may be stored as packed: it is unpacked on the way, which a part of it could not be.
        self._total = self._listed_size if is_plain else None
        strong = self._wanted if self._listed_size is not None else said if _STRONG.fullmatch(said) else ""
        self.etag = strong if is_plain else ""
        length = headers.get("content-length", "")
        if length and self._listed_size is not None and length != str(self._listed_size):
            raise self._misfit(Failure.UNEXPECTED, f"its length is {printable(length)} bytes, {self._listed_size} were listed")

    def _go_on(self, headers: Mapping[str, str], said: str, *, is_plain: bool) -> None:
        found = _RANGE.fullmatch(headers.get("content-range", ""))
        is_same = self._listed_size is not None or not said or said == self.etag
        if not (self._asked_from and found and is_plain and is_same):
            raise self._misfit(Failure.UNEXPECTED, "it sends a part that was not requested")
        start, end, total = (int(number) for number in found.groups())
        is_wanted = total <= self._most_bytes if self._listed_size is None else total == self._listed_size
        if start != self._asked_from or end + 1 != total or not is_wanted:
            what = f"it sends bytes {start} to {end} of {total}; requested was the rest from {self._asked_from}"
            raise self._misfit(Failure.UNEXPECTED, what)
        self._total = total

    def _misfit(self, trouble: Failure, what: str) -> EndpointError:
        self._file.cut(0)
        self.etag = ""
        return EndpointError(f"{self.what}: {what}", trouble)
