"""YAML as text: every text stays exactly as written and knows its line and column.

YAML's own types turn money and times into something else: `12:30` is 750, `010` is 8, `no` is false, and the second of two
equal keys wins silently. Here nothing is converted; anchors, aliases, tags, merge keys and repeated keys are mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn, Self, TypeAlias, TypeVar

import yaml

from spendwatch.domain.errors import ConfigError, ConfigMistake, printable

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 10_000
MAX_MISTAKES = 50
"""Mistakes listed for one file."""

NOT_LISTED = "further mistakes of this file are not listed"

KeyPath = tuple[str | int, ...]
"""Where in a file: keys, and numbers within lists."""

_HINTS = {
    "found character that cannot start": "indent with blanks, not with a tab; put a text that begins with @, ` or % in quotes",
    "tab character": "indent with blanks, not with a tab",
    "mapping values are not allowed": "each key needs a line of its own, and a blank after its colon",
    "expected ',' or": "a [ or { is not closed",
    "did not find expected key": "the keys of one block begin in the same column",
}
"""What to do where the parser's words name only what it did not expect."""

_LONGEST_PATH = 8
_NOTHING = frozenset({"", "~", "null"})
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
"""Control characters, separators that only YAML takes for line ends, and marks that show text in another order."""


class Place(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def mistake(self, key: str, what: str) -> ConfigMistake:
        """Return a mistake made here."""
        return ConfigMistake(self.file, self.line, self.column, key, what)


class Scalar(str):
    """A text, and where it is written. `is_nothing`: empty, `null` or `~`."""

    __slots__ = ("is_nothing", "place")
    place: Place
    is_nothing: bool

    def __new__(cls, text: str, place: Place, *, is_nothing: bool = False) -> Self:
        """Return the text with its place."""
        made = super().__new__(cls, text)
        made.place, made.is_nothing = place, is_nothing
        return made


class Items(list["Node"]):
    """A list, and where it begins."""

    place: Place


class Keys(dict[str, "Node"]):
    """Keys with values, and where they begin. Keys are `Scalar`s."""

    place: Place

    def copy(self) -> Keys:
        """Return a copy that begins at the same place."""
        return _placed(Keys(self), self.place)

    def key_place(self, name: str) -> Place | None:
        """Return where that key is written, if it is."""
        return next((key.place for key in self if key == name and isinstance(key, Scalar)), None) if name in self else None


Node: TypeAlias = Scalar | Items | Keys
"""What a file says."""
P = TypeVar("P", Items, Keys)


def _placed(node: P, place: Place) -> P:
    node.place = place
    return node


@dataclass(slots=True)
class Document:
    """What one file says, and its mistakes."""

    file: str
    tree: Node | None = None
    mistakes: list[ConfigMistake] = field(default_factory=list)


def path_text(path: KeyPath) -> str:
    """Return the path as people write it: `budgets[0].match.model`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in path[:_LONGEST_PATH])
    return text.removeprefix(".") + ("…" if len(path) > _LONGEST_PATH else "")


def parse(data: bytes, file: str) -> Document:
    """Read one file; what cannot be read at all raises `ConfigError`, lesser mistakes stand in the document."""
    document = Document(file)
    try:
        _Reader(document, _decode(data, file)).read()
    except yaml.YAMLError as error:
        raise ConfigError(*document.mistakes, _syntax(error, file)) from None
    return document


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise ConfigError(Place(file).mistake("", f"larger than 1 MiB ({len(data)} bytes)"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(Place(file, line).mistake("", "not UTF-8 text: save the file as UTF-8")) from None
    if found := _UNSEEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        raise ConfigError(Place(file, line, column).mistake("", f"an invisible character: U+{ord(found[0]):04X}"))
    return text


def _syntax(error: yaml.YAMLError, file: str) -> ConfigMistake:
    if not isinstance(error, yaml.MarkedYAMLError):
        return Place(file).mistake("", "not readable as YAML")
    mark = error.problem_mark or error.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
    about = ", ".join(part for part in (error.context, error.problem) if part)
    hint = next((f"; {hint}" for words, hint in _HINTS.items() if words in about), "")
    return place.mistake("", f"not readable as YAML: {about}{hint}")


class _Reader:
    """Builds the tree from the parser's events. Its own `compose` ends the process (signal 11) on a million brackets."""

    def __init__(self, document: Document, text: str) -> None:
        self._document = document
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self._values = 0

    def read(self) -> None:
        """Read the one document."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if self._document.tree is not None:
                    self._stop(self._place(event), (), "a second document begins: one file, one document")
                self._document.tree = self._node(next(self._events), ())

    def _node(self, event: yaml.Event, path: KeyPath) -> Node:
        place = self._checked(event, path)
        match event:
            case yaml.ScalarEvent():
                return Scalar(event.value, place, is_nothing=bool(event.implicit[0]) and event.value in _NOTHING)
            case yaml.SequenceStartEvent():
                items = _placed(Items(), place)
                while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                    items.append(self._node(event, (*path, len(items))))
                return items
            case yaml.MappingStartEvent():
                keys = _placed(Keys(), place)
                while not isinstance(event := next(self._events), yaml.MappingEndEvent):
                    self._add(keys, event, path)
                return keys
            case _:
                return Scalar("", place)

    def _add(self, keys: Keys, event: yaml.Event, path: KeyPath) -> None:
        if isinstance(event, yaml.CollectionStartEvent):
            self._stop(self._place(event), path, "a key must be a text, not a list or a mapping")
        place = self._checked(event, path)
        text = event.value if isinstance(event, yaml.ScalarEvent) else ""
        first = keys.key_place(text)
        if text == "<<":
            self._refuse(place, path, "merge keys (<<) are not supported: write the keys themselves")
        elif not text:
            self._refuse(place, path, "a key is empty")
        elif first:
            self._refuse(place, (*path, text), f"is here and on line {first.line}, column {first.column}: keep one of them")
        value = self._node(next(self._events), (*path, text))
        if text not in {"<<", ""} and not first:
            keys[Scalar(text, place)] = value

    def _checked(self, event: yaml.Event, path: KeyPath) -> Place:
        """Return where a key or value begins; note what is more than text, and stop at what is too much."""
        place, above = self._place(event), path[:-1] if path and isinstance(path[-1], int) else path
        self._values += 1
        if self._values > MAX_VALUES:
            self._stop(place, above, f"more than {MAX_VALUES} values")
        if len(path) >= MAX_DEPTH and isinstance(event, yaml.CollectionStartEvent):
            self._stop(place, above, f"nested deeper than {MAX_DEPTH} levels")
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        refused = []
        if isinstance(event, yaml.AliasEvent):
            refused.append(f"aliases (*{_shown(anchor or '')}) are not supported: write the value")
        elif anchor is not None:
            refused.append(f"anchors (&{_shown(anchor)}) are not supported: write the value there")
        if tag is not None:
            tag = _shown(tag.replace("tag:yaml.org,2002:", "!!"))
            refused.append(f"tags ({tag}) are not supported: every value is a string")
        # Once a line: aliases come in numbers.
        if refused and not any(mistake.line == place.line for mistake in self._document.mistakes):
            self._refuse(place, above, refused[0])
        return place

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self._document.file, mark.line + 1, mark.column + 1) if mark else Place(self._document.file)

    def _refuse(self, place: Place, path: KeyPath, what: str) -> None:
        self._document.mistakes.append(place.mistake(path_text(path), what))
        if len(self._document.mistakes) >= MAX_MISTAKES:
            raise ConfigError(*self._document.mistakes, place.mistake("", NOT_LISTED))

    def _stop(self, place: Place, path: KeyPath, what: str) -> NoReturn:
        raise ConfigError(*self._document.mistakes, place.mistake(path_text(path), what))


def _shown(text: str) -> str:
    return text if text.isprintable() and len(text) <= 80 else printable(text)  # noqa: PLR2004 -- as long as `printable` shows
