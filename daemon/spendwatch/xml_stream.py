"""Reads untrusted XML as a stream: no document type, no entities, no endless tags, no deep nesting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element, SubElement
from xml.parsers import expat

_LONGEST = 1024 * 1024
"""A longer tag would be looked at again and again, and be held in memory; a cell holds 32,767 characters at most."""

_DEEPEST = 64
_NAMES = 1000
"""How many names of elements are remembered; a spreadsheet knows fewer."""

_STEP = 64 * 1024


class MarkupError(Exception):
    """XML that is not well formed, or a trap. The message says how, in words that follow a name."""


class Listener:
    """Receives the content of the XML; names come without their namespace. This one ignores it."""

    def starts(self, name: str, attributes: dict[str, str]) -> None:
        """An element starts."""

    def ends(self, name: str, text: str) -> None:
        """An element ends, with the text that stood in it since the last tag."""


class Tree(Listener):
    """Builds the tree of a small document."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._above = Element("")
        self._open = [self._above]

    @property
    def root(self) -> Element:
        """What came before the end, or before the first mistake."""
        return next(iter(self._above), self._above)

    def take(self, document: bytes, *, most: int) -> None:
        """Take a document of so many elements at most, or raise `MarkupError`."""
        for _ in listening((document,), self, most=most):
            pass

    def starts(self, name: str, attributes: dict[str, str]) -> None:
        """Add the element."""
        self._open.append(SubElement(self._open[-1], name, attributes))

    def ends(self, _name: str, text: str) -> None:
        """Give it its text."""
        self._open.pop().text = text


def listening(pieces: Iterable[bytes], listener: Listener, *, most: int) -> Iterator[None]:
    """Tell the listener of everything in the XML, of so many elements at most; whoever has heard enough between steps stops."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    texts = _told(parser, listener, most)
    parser.StartDoctypeDeclHandler = _refuse_document_type
    fed = 0
    try:
        for step in _steps(pieces):
            parser.Parse(step)
            fed += len(step)
            if fed - parser.CurrentByteIndex > _LONGEST or sum(map(len, texts)) > _LONGEST:
                msg = "holds an endless tag or text"
                raise MarkupError(msg)
            yield
        parser.Parse(b"", True)  # noqa: FBT003 -- expat takes no keywords
    except (expat.ExpatError, ValueError, LookupError) as error:
        msg = f"is no proper XML ({error})"
        raise MarkupError(msg) from error
    yield


def _steps(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece), _STEP):
            yield piece[at : at + _STEP]


def _told(parser: expat.XMLParserType, listener: Listener, most: int) -> list[str]:
    """Let the parser tell the listener; return the texts that it is to be told next. This is done for every tag: quickly."""
    tell_start, tell_end = listener.starts, listener.ends
    texts: list[str] = []
    known: dict[str, str] = {}
    depth, left = 0, most

    def local(name: str) -> str:
        found = name.rpartition(":")[2]
        if len(known) < _NAMES:
            known[name] = found
        return found

    def starts(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, left
        depth += 1
        left -= 1
        if depth > _DEEPEST or left < 0:
            msg = f"has too many elements, or more than {_DEEPEST} within each other"
            raise MarkupError(msg)
        texts.clear()
        tell_start(known.get(name) or local(name), attributes)

    def ends(name: str) -> None:
        nonlocal depth
        depth -= 1
        tell_end(known.get(name) or local(name), texts[0] if len(texts) == 1 else "".join(texts))
        texts.clear()

    parser.StartElementHandler = starts
    parser.EndElementHandler = ends
    parser.CharacterDataHandler = texts.append
    return texts


def _refuse_document_type(*_: object) -> None:
    msg = "has a document type of its own"
    raise MarkupError(msg)
