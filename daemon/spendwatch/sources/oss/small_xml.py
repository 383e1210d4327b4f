"""Strict XML of object stores: no document type, no entities, bounded depth and size; names without their namespaces."""

from __future__ import annotations

from contextlib import suppress
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.parsers import expat

_DEEPEST = 8
_MOST_ELEMENTS = 50_000
"""A page of a thousand objects has some 12,000."""
_LONGEST_TEXT = 1 << 16
"""A key has 1,024 bytes at most, three times as many when they are escaped."""


class NoXmlError(ValueError):
    """Bytes that are no small XML document."""


def parse(document: bytes) -> Element:
    """Return the root element; `NoXmlError` with the reason in words. Attributes and comments are left aside."""
    builder = _Builder()
    try:
        # Whatever the document declares: all whom we ask write UTF-8.
        parser = XMLParser(target=builder, encoding="utf-8")  # noqa: S314 -- as above
        parser.feed(document)
        parser.close()
    except ParseError as error:
        msg = f"it is no XML ({expat.ErrorString(error.code)}, line {error.position[0]})"
        raise NoXmlError(msg) from None
    return builder.root


def beginning(document: bytes) -> Element:
    """Return of the root element what stands before the end, or before the first mistake."""
    builder = _Builder()
    with suppress(NoXmlError, ParseError):
        XMLParser(target=builder, encoding="utf-8").feed(document)  # noqa: S314 -- as above
    return builder.root


class _Builder(TreeBuilder):
    """Builds the tree, as far as it is small."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("")
        self._depth = self._count = self._length = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        del attrs
        self._depth, self._count, self._length = self._depth + 1, self._count + 1, 0
        if self._depth > _DEEPEST or self._count > _MOST_ELEMENTS:
            self._refuse("it is nested too deeply" if self._depth > _DEEPEST else f"it has more than {_MOST_ELEMENTS} elements")
        element = super().start(tag.rpartition("}")[2], {})
        if self._count == 1:
            self.root = element
        return element

    def end(self, tag: str) -> Element:
        self._depth, self._length = self._depth - 1, 0
        return super().end(tag)

    def data(self, data: str) -> None:
        self._length += len(data)
        if self._length > _LONGEST_TEXT:
            self._refuse(f"it has a text of more than {_LONGEST_TEXT} characters")
        super().data(data)

    def doctype(self, *_: object) -> NoReturn:
        self._refuse("it has a document type of its own")

    def _refuse(self, what: str) -> NoReturn:
        raise NoXmlError(what)
