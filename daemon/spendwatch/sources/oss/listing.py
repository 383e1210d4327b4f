"""The listing of a bucket, page by page: every object once, each page as requested, until the end. Keys are untrusted text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus
from xml.etree.ElementTree import Element

from spendwatch.domain.count import counted
from spendwatch.domain.errors import printable
from spendwatch.sources.files.naming import is_temporary
from spendwatch.sources.trouble import EndpointError, Failure, quoted
from spendwatch.xml_stream import MarkupError, Tree

OPERATION = "ListObjectsV2"
PAGE_SIZE = 1000
MOST_OBJECTS = 100_000
MOST_PAGES = 1000
MOST_ELEMENTS = 50_000
"""A page of a thousand objects has some 12,000."""
_MOST_EMPTY = 3
_LONGEST_TOKEN = 8192
_COUNT_DIGITS = 9
_LONGEST_KEY = 1024
_LONGEST_SHOWN = 200
_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)
_ETAG = re.compile(r'"?([!#-~]{1,200})"?', re.ASCII)
_MOMENT = re.compile(r"[0-9TZ:.+-]{1,40}", re.ASCII)
_DIGEST = 16
_LONGEST_PART = 150
"""Bytes; room is left for all that is added to names later."""
_MOST_FOLDERS = 12
_LONGEST_SUFFIX = 8


class StoredObject(NamedTuple):
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


class ListingPage(NamedTuple):
    """One page of a listing."""

    objects: Sequence[StoredObject]
    token: str
    """Asks for the next page; empty after the last."""


def page_of(document: bytes, *, bucket: str, prefix: str) -> ListingPage:
    """Return what a page says, or raise `EndpointError` where it does not say what was asked for."""
    if not document.strip():
        raise _error(Failure.NOT_A_BILL, "an empty answer")
    tree = Tree()
    try:
        tree.take(document, most=MOST_ELEMENTS)
    except MarkupError as error:
        raise _error(Failure.NOT_A_BILL, f"the answer {error}") from error
    root = tree.root
    if root.tag != "ListBucketResult":
        raise _error(Failure.NOT_A_BILL, f"the response is not a listing but {quoted(root.tag)}")
    is_escaped = root.findtext("EncodingType", "") == "url"
    if root.findtext("Name", "") not in {"", bucket}:
        raise _error(Failure.UNEXPECTED, f"it lists the bucket {quoted(root.findtext('Name', ''))}, requested was {bucket}")
    objects = [_object(number, entry, is_escaped=is_escaped) for number, entry in enumerate(root.iterfind("Contents"), start=1)]
    stray = next((found for found in objects if not found.key.startswith(prefix)), None)
    if stray:
        raise _error(Failure.UNEXPECTED, f"the key {quoted(stray.key)} does not begin with {quoted(prefix)}")
    _check_count(root.findtext("KeyCount", ""), len(objects))
    return ListingPage(objects, _token(root, is_escaped=is_escaped))


class Listing:
    """Takes the pages one after the other, and makes sure that together they are one listing."""

    def __init__(self, bucket: str) -> None:
        """Begin with nothing taken."""
        self._bucket = bucket
        self._tokens: set[str] = set()
        self._keys: set[str] = set()
        self._empty = 0

    def take(self, page: ListingPage) -> None:
        """Take a page; `EndpointError` when it does not fit to those before, or when they have no end."""
        before = len(self._keys)
        self._keys.update(found.identity(self._bucket) for found in page.objects)
        if len(self._keys) != before + len(page.objects):
            raise _error(Failure.CHANGING, "the same key came twice")
        if len(self._keys) > MOST_OBJECTS:
            raise _error(Failure.UNEXPECTED, f"more than {MOST_OBJECTS} objects: configure a longer prefix, or remove some")
        self._empty = 0 if page.objects else self._empty + 1
        if page.token and self._empty == _MOST_EMPTY:
            raise _error(Failure.UNEXPECTED, f"{_MOST_EMPTY} empty pages in a row announce more")
        if len(self._tokens) == MOST_PAGES:
            raise _error(Failure.UNEXPECTED, f"more than {MOST_PAGES} pages")
        if page.token in self._tokens:
            raise _error(Failure.UNEXPECTED, "the same page token came again")
        if page.token:
            self._tokens.add(page.token)


def _check_count(said: str, count: int) -> None:
    """Raise unless as many objects came as the page announces, where it does."""
    if said and (not (said.isascii() and said.isdigit() and len(said) <= _COUNT_DIGITS) or int(said) != count):
        raise _error(Failure.UNEXPECTED, f"{counted(count, 'object')} arrived, not the announced number")


def _token(root: Element, *, is_escaped: bool) -> str:
    said = root.findtext("IsTruncated", "")
    if said not in {"true", "false"}:
        raise _error(Failure.UNEXPECTED, "it does not state whether there is more")
    if said == "false":
        return ""
    token = root.findtext("NextContinuationToken", "")
    if not 0 < len(token) <= _LONGEST_TOKEN or not token.isprintable():
        raise _error(Failure.UNEXPECTED, "there is more, but no token to request it")
    # The provider escapes it with the keys; where it is not escaped, it holds no percent sign.
    return unquote(token) if is_escaped else token


def _error(trouble: Failure, what: str) -> EndpointError:
    return EndpointError(f"{OPERATION}: {what}", trouble)


def _object(number: int, entry: Element, *, is_escaped: bool) -> StoredObject:
    """Return the object of a listing's entry; `EndpointError` says what is missing."""
    try:
        size, etag = int(_matching(entry, "Size", _SIZE)), _matching(entry, "ETag", _ETAG).strip('"')
        modified = _matching(entry, "LastModified", _MOMENT)
        key = _key(entry.findtext("Key", ""), is_escaped=is_escaped)
    except ValueError as error:
        raise _error(Failure.UNEXPECTED, f"object {number} of a page: {error}") from error
    return StoredObject(key, etag, size, modified, is_link=entry.findtext("Type", "") == "Symlink")


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


def name_of(key: str, prefix: str) -> str:
    """Return the name of the object's file, its folders before it; a prefix that ends within a part leaves that part whole.

    For every key, it contains only printable characters; no part is hidden, looks unfinished, or leads upwards.
    """
    below = key[prefix.rfind("/") + 1 :]
    *folders, last = (_plain(part) for part in below.split("/"))
    return "/".join((*folders[-_MOST_FOLDERS:], last))


def _plain(part: str) -> str:
    shown = "".join(char if char.isprintable() else "_" for char in part) or "_"
    stem, dot, suffix = shown.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        stem, dot, suffix = shown, "", ""
    room = _LONGEST_PART - len(suffix.encode())
    name = f"{stem.encode()[:room].decode(errors='ignore')}{dot}{suffix}"
    if name.startswith((".", "~")):
        name = f"_{name[1:]}"
    return f"{name}_" if is_temporary(name) else name
