"""One request for a file and its response. A part is only joined to its own file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from spendwatch.sources.fetching import Writer
from spendwatch.sources.holding import Incoming, make_sure_of_room
from spendwatch.sources.trouble import EndpointError, Trouble
from spendwatch.sources.url.memory import UrlMemory
from spendwatch.sources.url.settings import UrlConfig

WHOLE, PART, NOT_MODIFIED = 200, 206, 304

_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII)
_STRONG = re.compile(r'"[!#-~]{1,200}"', re.ASCII)
_SAME_BYTES = frozenset({"", "identity"})


class Transfer:
    """Fills a file from one answer, from its beginning or from where the last answer broke off."""

    def __init__(self, file: Incoming, memory: UrlMemory, config: UrlConfig) -> None:
        """Keep so much of the file as surely belongs to the version that is half here."""
        self._file = file
        self._memory = memory
        self._host = config.host
        self._most_bytes = config.most_bytes
        file.cut(memory.part_size if memory.part_size <= file.size else 0)
        self._asked_from = file.size
        self._total: int | None = None
        self.etag = memory.part_etag if file.size else ""
        """Of the version that is coming in, if a part of it could be joined to the rest later."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What makes the request one for the rest, or one for a newer version."""
        if self._asked_from:
            return {"range": f"bytes={self._asked_from}-", "if-range": self._memory.part_etag}
        known = {"if-none-match": self._memory.etag, "if-modified-since": self._memory.last_modified}
        return {name: value for name, value in known.items() if value}

    def receive(self, status: int, headers: Mapping[str, str]) -> Writer | None:
        """Return what takes the answer's body, None for one that is no file; `EndpointError` for a part that fits nowhere."""
        if status == WHOLE:
            self._begin(headers)
        elif status == PART:
            self._go_on(headers)
        else:
            return None
        return self._file.write

    def check_size(self) -> None:
        """Raise unless everything came that was announced for the whole file."""
        if self._total is not None and self._file.size != self._total:
            raise self._misfit(Trouble.CHANGING, f"the rest of {self._total} bytes is incomplete")

    def _begin(self, headers: Mapping[str, str]) -> None:
        self._file.cut(0)
        found = _STRONG.fullmatch(headers.get("etag", ""))
        is_plain = headers.get("content-encoding", "").lower() in _SAME_BYTES
        self.etag = found[0] if found and is_plain else ""
        self._make_room(headers)

    def _go_on(self, headers: Mapping[str, str]) -> None:
        found = _RANGE.fullmatch(headers.get("content-range", ""))
        is_plain = headers.get("content-encoding", "").lower() in _SAME_BYTES
        if not (self._asked_from and found and is_plain and headers.get("etag", self.etag) == self.etag):
            raise self._misfit(Trouble.UNEXPECTED, "it sends a part that was not requested")
        start, end, total = (int(number) for number in found.groups())
        if start != self._asked_from or end + 1 != total or total > self._most_bytes:
            what = f"it sends bytes {start} to {end} of {total}; requested was the rest from {self._asked_from}"
            raise self._misfit(Trouble.UNEXPECTED, what)
        self._total = total
        self._make_room(headers)

    def _misfit(self, trouble: Trouble, what: str) -> EndpointError:
        self._file.cut(0)
        return EndpointError(f"{self._host}: {what}", trouble)

    def _make_room(self, headers: Mapping[str, str]) -> None:
        length = headers.get("content-length", "")
        make_sure_of_room(self._file.path.parent, int(length) if length.isascii() and length.isdigit() else 0)
