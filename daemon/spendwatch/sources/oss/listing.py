"""The listing of a bucket, page by page: every object once, each page as requested, until the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from spendwatch.domain.count import counted
from spendwatch.sources.oss.objects import StoredObject, object_of
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


@dataclass(frozen=True, slots=True)
class ListingPage:
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


def _object(number: int, entry: Element, *, is_escaped: bool) -> StoredObject:
    try:
        return object_of(entry, is_escaped=is_escaped)
    except ValueError as error:
        raise _error(Failure.UNEXPECTED, f"object {number} of a page: {error}") from error


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
