"""An object of a bucket as its listing describes it. Its key is untrusted text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element

from spendwatch.domain.errors import printable
from spendwatch.sources.files.naming import is_temporary

_LONGEST_KEY = 1024
_LONGEST_SHOWN = 200
_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)
_ETAG = re.compile(r'"?([!#-~]{1,200})"?', re.ASCII)
_MOMENT = re.compile(r"[0-9TZ:.+-]{1,40}", re.ASCII)
_DIGEST = 16


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of one object."""

    key: str
    etag: str
    """Without quotation marks."""
    size: int
    modified: str
    """As received: it is only compared, and orders objects."""
    is_link: bool = False

    def identity(self, bucket: str) -> str:
        """Return what stands for the object, whichever version of it there is."""
        return blake2b(f"{bucket}\0{self.key}".encode(), digest_size=_DIGEST).hexdigest()

    @property
    def state(self) -> str:
        """What stands for this version of it."""
        return blake2b(f"{self.etag}\0{self.size}\0{self.modified}".encode(), digest_size=_DIGEST).hexdigest()

    @property
    def shown(self) -> str:
        """The key as one line for people."""
        return printable(self.key, _LONGEST_SHOWN)

    @property
    def is_bill(self) -> bool:
        """Whether it can be a bill: a folder's marker, an empty object and one that is being written cannot."""
        return self.size > 0 and not is_temporary(self.key.rpartition("/")[2]) and not self.key.endswith("/")


def object_of(entry: Element, *, is_escaped: bool) -> StoredObject:
    """Return the object of a listing's entry, or raise `ValueError`, which says what is missing."""
    size, etag, modified = (
        _matching(entry, name, pattern) for name, pattern in (("Size", _SIZE), ("ETag", _ETAG), ("LastModified", _MOMENT))
    )
    return StoredObject(
        _key(entry.findtext("Key", ""), is_escaped=is_escaped),
        etag.strip('"'),
        int(size),
        modified,
        is_link=entry.findtext("Type", "") == "Symlink",
    )


def _key(said: str, *, is_escaped: bool) -> str:
    try:
        key = unquote_plus(said, errors="strict") if is_escaped else said
    except UnicodeDecodeError as error:
        msg = "its Key is no UTF-8"
        raise ValueError(msg) from error
    if not 0 < len(key.encode()) <= _LONGEST_KEY:
        msg = f"its Key is not 1 to {_LONGEST_KEY} bytes long"
        raise ValueError(msg)
    return key


def _matching(entry: Element, name: str, pattern: re.Pattern[str]) -> str:
    said = entry.findtext(name, "").strip()
    if not pattern.fullmatch(said):
        msg = f"it has no {name}" if not said else f"its {name} is none"
        raise ValueError(msg)
    return said
