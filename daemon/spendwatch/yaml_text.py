"""YAML as text: every scalar stays exactly as written and knows its line and column.

YAML's own types turn money and times into something else: `12:30` is 750, `010` is 8, `no` is false, and the second of two
equal keys wins silently. Here nothing is converted; anchors, aliases, tags, merge keys and repeated keys are mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn, Union

import yaml

from spendwatch.domain.errors import ConfigError, ConfigMistake, printable

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 10_000
MAX_MISTAKES = 50
"""Of one file; whoever makes more is not helped by reading them all, and nobody else is flooded."""

NOT_LISTED = "further mistakes of this file are not listed"

Text = Union[str, None, list["Text"], dict[str, "Text"]]  # noqa: UP007 -- `|` cannot name the type within itself
"""What a file says: text, nothing (empty, `null` or `~`), a list, or keys with values."""

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
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
"""Control characters, separators that only YAML takes for line ends, and marks that show text in another order."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def mistake(self, key: str, what: str) -> ConfigMistake:
        """Return a mistake made here."""
        return ConfigMistake(self.file, self.line, self.column, key, what)


@dataclass(slots=True)
class Document:
    """What one file says, and where it says it."""

    file: str
    tree: Text = None
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    """Where each key or list item begins."""
    values: dict[KeyPath, Place] = field(default_factory=dict)
    """Where each value begins."""
    mistakes: list[ConfigMistake] = field(default_factory=list)
    unreadable: set[KeyPath] = field(default_factory=set)
    """Of which nothing more need be said than stands in the mistakes."""


def path_text(path: KeyPath) -> str:
    """Return the path as people write it: `budgets[0].match.model`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in path[:_LONGEST_PATH])
    return text.removeprefix(".") + ("…" if len(path) > _LONGEST_PATH else "")


def parse(data: bytes, file: str) -> Document:
    """Read one file; what cannot be read at all raises `ConfigError`, lesser mistakes stand in the document."""
    document = Document(file)
    text = _decode(data, file)
    reader = _Reader(document)
    try:
        for event in _events(text):
            reader.take(event)
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


def _events(text: str) -> Iterator[yaml.Event]:
    # Events come one by one, without recursion: what is too deep or too much is refused before it is built.
    yield from yaml.parse(text, Loader=_LOADER)


def _syntax(error: yaml.YAMLError, file: str) -> ConfigMistake:
    if not isinstance(error, yaml.MarkedYAMLError):
        return Place(file).mistake("", "not readable as YAML")
    mark = error.problem_mark or error.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
    about = ", ".join(part for part in (error.context, error.problem) if part)
    hint = next((f"; {hint}" for words, hint in _HINTS.items() if words in about), "")
    return place.mistake("", f"not readable as YAML: {about}{hint}")


@dataclass(slots=True)
class _Open:
    """A list or a mapping whose end has not come yet."""

    path: KeyPath
    into: list[Text] | dict[str, Text]
    key: str | None = None
    """The key whose value comes next."""
    dropped: bool = False
    """Whether the value that comes next is left out of the tree, because its key was refused."""


class _Reader:
    """Builds the tree from events, with a stack of its own."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: list[_Open] = []
        self._values = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        mark = event.start_mark
        place = Place(self._document.file, mark.line + 1, mark.column + 1) if mark else Place(self._document.file)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(place, "a second document begins: one file, one document")
            case yaml.AliasEvent():
                self._count(place)
                self._refuse_in_line(place, f"aliases (*{_shown(event.anchor or '')}) are not supported: write the value")
                self._scalar("", place, plain=False)
            case yaml.ScalarEvent():
                self._count(place)
                self._check_node(event, place)
                self._scalar(event.value, place, plain=bool(event.implicit[0]))
            case yaml.SequenceStartEvent():
                self._check_node(event, place)
                self._begin([], place)
            case yaml.MappingStartEvent():
                self._check_node(event, place)
                self._begin({}, place)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._open.pop()
            case _:
                pass

    def _scalar(self, text: str, place: Place, *, plain: bool) -> None:
        here = self._open[-1] if self._open else None
        value = None if plain and text in _NOTHING else text
        if here is None:
            self._root(value, place)
        elif isinstance(here.into, dict) and here.key is None:
            self._key(here, text, place)
        else:
            self._put(here, value, place)

    def _root(self, value: Text, place: Place) -> KeyPath:
        self._document.tree = value
        self._document.values[()] = place
        return ()

    def _key(self, here: _Open, text: str, place: Place) -> None:
        path = (*here.path, text)
        first = self._document.keys.get(path)
        if text == "<<":
            self._refuse(place, "merge keys (<<) are not supported: write the keys themselves", here.path)
        elif not text:
            self._refuse(place, "a key is empty", here.path)
        elif first:
            self._refuse(place, f"is here and on line {first.line}, column {first.column}: keep one of them", path)
        here.dropped = text in {"<<", ""} or first is not None
        here.key = f"{text} (again)" if first else text
        self._document.keys.setdefault((*here.path, here.key), place)

    def _put(self, here: _Open, value: Text, place: Place) -> KeyPath:
        if isinstance(here.into, list):
            path: KeyPath = (*here.path, len(here.into))
            here.into.append(value)
            self._document.keys[path] = place
        else:
            path = (*here.path, here.key or "")
            if not here.dropped:
                here.into[here.key or ""] = value
            here.key, here.dropped = None, False
        self._document.values[path] = place
        return path

    def _begin(self, into: list[Text] | dict[str, Text], place: Place) -> None:
        self._count(place)
        here = self._open[-1] if self._open else None
        if here is None:
            path = self._root(into, place)
        elif isinstance(here.into, dict) and here.key is None:
            self._stop(place, "a key must be a text, not a list or a mapping")
        elif len(self._open) >= MAX_DEPTH:
            self._stop(place, f"nested deeper than {MAX_DEPTH} levels")
        else:
            path = self._put(here, into, place)
        self._open.append(_Open(path, into))

    def _check_node(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, place: Place) -> None:
        if event.anchor is not None:
            self._refuse_in_line(place, f"anchors (&{_shown(event.anchor)}) are not supported: write the value there")
        if event.tag is not None:
            tag = _shown(event.tag.replace("tag:yaml.org,2002:", "!!"))
            self._refuse_in_line(place, f"tags ({tag}) are not supported: every value is a string")

    def _count(self, place: Place) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            self._stop(place, f"more than {MAX_VALUES} values")

    def _refuse_in_line(self, place: Place, what: str) -> None:
        """Refuse once a line: whoever writes aliases writes many."""
        if not any(mistake.line == place.line for mistake in self._document.mistakes):
            self._refuse(place, what)

    def _refuse(self, place: Place, what: str, path: KeyPath | None = None) -> None:
        here = path if path is not None else self._here()
        self._document.mistakes.append(place.mistake(path_text(here), what))
        if len(self._document.mistakes) >= MAX_MISTAKES:
            raise ConfigError(*self._document.mistakes, place.mistake("", NOT_LISTED))

    def _stop(self, place: Place, what: str) -> NoReturn:
        raise ConfigError(*self._document.mistakes, place.mistake(path_text(self._here()), what))

    def _here(self) -> KeyPath:
        if not self._open:
            return ()
        here = self._open[-1]
        return here.path if here.key is None else (*here.path, here.key)


def _shown(text: str) -> str:
    return text if text.isprintable() and len(text) <= 80 else printable(text)  # noqa: PLR2004 -- as long as `printable` shows
