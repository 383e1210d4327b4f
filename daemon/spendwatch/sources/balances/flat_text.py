"""A small document of one level, JSON or YAML, as texts with their lines: nothing is converted, nothing stands twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from spendwatch.domain.errors import printable
from spendwatch.sources.exact_json import NoJsonError, parse

MOST_BYTES = 64 * 1024
_MOST_ENTRIES = 200
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_KEYS = "it must hold keys with values, and nothing within each other"


class NoFlatTextError(ValueError):
    """Bytes that are no such document; the message begins with the line, where there is one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value as it stands there. `is_text`: it can be nothing but a text."""

    text: str
    line: int
    is_text: bool = True


def read_flat_text(data: bytes) -> Mapping[str, Entry]:
    """Return the document's entries, in their order, or raise `NoFlatTextError`."""
    if len(data) > MOST_BYTES:
        msg = f"it is larger than {MOST_BYTES // 1024} KiB"
        raise NoFlatTextError(msg)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"line {line}: it is not UTF-8"
        raise NoFlatTextError(msg) from None
    if not text.strip():
        msg = "it is empty"
        raise NoFlatTextError(msg)
    return _json(text) if text.lstrip()[0] in "{[" else _yaml(text)


def _json(text: str) -> Mapping[str, Entry]:
    try:
        found = parse(text.encode())
    except NoJsonError as error:
        raise NoFlatTextError(f"line {error.line}: {error}" if error.line else str(error)) from None
    if not isinstance(found, dict):
        raise NoFlatTextError(_NO_KEYS)
    entries = {}
    for key, value in found.items():
        line = _line_of(key, text)
        if isinstance(value, dict | list) or value is None:
            msg = f"line {line}, {_shown(key)}: must be one text, not {_KINDS.get(type(value), 'nothing')}"
            raise NoFlatTextError(msg)
        entries[key] = Entry(value if isinstance(value, str) else str(value), line, is_text=isinstance(value, str))
    return entries


_KINDS: Mapping[type, str] = {dict: "an object", list: "a list"}


def _line_of(key: str, text: str) -> int:
    found = re.search(rf'"{re.escape(key)}"\s*:', text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _yaml(text: str) -> Mapping[str, Entry]:
    entries: dict[str, Entry] = {}
    key: str | None = None
    for line, value in _scalars(text):
        if key is None:
            key = value
            if key in entries:
                msg = f"line {line}, {_shown(key)}: stands there twice"
                raise NoFlatTextError(msg)
        else:
            entries[key] = Entry(value, line)
            key = None
        if len(entries) > _MOST_ENTRIES:
            msg = f"line {line}: more than {_MOST_ENTRIES} values"
            raise NoFlatTextError(msg)
    return entries


def _scalars(text: str) -> Iterator[tuple[int, str]]:
    """Yield keys and values in turn, each with its line."""
    depth = documents = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark else 1
            documents += isinstance(event, yaml.DocumentStartEvent)
            depth += isinstance(event, yaml.MappingStartEvent)
            is_odd = isinstance(event, yaml.AliasEvent | yaml.SequenceStartEvent) or depth > 1 or documents > 1
            is_marked = isinstance(event, yaml.NodeEvent) and (event.anchor or getattr(event, "tag", None))
            if is_odd or is_marked or (isinstance(event, yaml.ScalarEvent) and not depth):
                msg = f"line {line}: {_NO_KEYS}"
                raise NoFlatTextError(msg)
            if isinstance(event, yaml.ScalarEvent):
                yield line, event.value
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        msg = f"{where}it is no YAML ({error.problem})"
        raise NoFlatTextError(msg) from None
    except yaml.YAMLError:
        msg = "it is no YAML"
        raise NoFlatTextError(msg) from None


def _shown(key: str) -> str:
    return key if key.isidentifier() else printable(key)
