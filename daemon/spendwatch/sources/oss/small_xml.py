"""Strict XML of object stores: no document type, no entities, bounded depth and size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

_DEEPEST = 8
_MOST_ELEMENTS = 50_000
"""A page of a thousand objects has some 12,000."""
_LONGEST_TEXT = 1 << 16
"""A key has 1,024 bytes at most, three times as many when they are escaped."""


class NoXmlError(ValueError):
    """Bytes that are no small XML document."""


@dataclass(slots=True)
class Element:
    """An element, what stands in it, and the elements in it."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Element]:
        """Yield the elements of that name that stand right in it."""
        return (child for child in self.children if child.name == name)

    def said(self, name: str) -> str:
        """Return the text of the first element of that name; empty where there is none."""
        return next(self.all(name), _NONE).text


_NONE = Element("")


def parse(document: bytes) -> Element:
    """Return the root element; `NoXmlError` with the reason in words. Attributes and comments are left aside."""
    reading = _Reading()
    reading.take(document)
    return reading.root


def beginning(document: bytes) -> Element:
    """Return of the root element what stands before the end, or before the first mistake."""
    reading = _Reading()
    with suppress(NoXmlError):
        reading.take(document)
    return reading.root


class _Reading:
    def __init__(self) -> None:
        self._open = [Element("")]
        self._count = 0
        # Whatever the document declares: all whom we ask write UTF-8.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._say
        self._parser.StartDoctypeDeclHandler = self._refuse

    @property
    def root(self) -> Element:
        return next(iter(self._open[0].children), _NONE)

    def take(self, document: bytes) -> None:
        try:
            self._parser.Parse(document, True)  # noqa: FBT003 -- expat's own signature
        except expat.ExpatError as error:
            msg = f"it is no XML ({expat.ErrorString(error.code)}, line {error.lineno})"
            raise NoXmlError(msg) from None

    def _begin(self, name: str, _attributes: object) -> None:
        self._count += 1
        if len(self._open) > _DEEPEST or self._count > _MOST_ELEMENTS:
            msg = "it is nested too deeply" if len(self._open) > _DEEPEST else f"it has more than {_MOST_ELEMENTS} elements"
            raise NoXmlError(msg)
        element = Element(name)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _say(self, text: str) -> None:
        element = self._open[-1]
        if len(element.text) + len(text) > _LONGEST_TEXT:
            msg = f"it has a text of more than {_LONGEST_TEXT} characters"
            raise NoXmlError(msg)
        element.text += text

    def _refuse(self, *_: object) -> NoReturn:
        msg = "it has a document type of its own"
        raise NoXmlError(msg)
