"""A small document with one level, JSON or YAML, as texts with their lines: no conversion, no duplicates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from spendwatch import exact_json, yaml_text
from spendwatch.domain.errors import ConfigError, printable

MOST_BYTES = 64 * 1024
_MOST_TOLD = 10
_NO_KEYS = "it must contain keys with values, on one level"


class NoBalanceError(ValueError):
    """A document without a valid balance of this account; the message names each line and key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value as it stands there. `is_text`: it can be nothing but a text."""

    text: str
    line: int
    is_text: bool = True


def read_flat_text(data: bytes) -> Mapping[str, Entry]:
    """Return the document's entries, in their order, or raise `NoBalanceError`."""
    if len(data) > MOST_BYTES:
        msg = f"it is larger than {MOST_BYTES // 1024} KiB"
        raise NoBalanceError(msg)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"line {line}: it is not UTF-8"
        raise NoBalanceError(msg) from None
    if not text.strip():
        msg = "it is empty"
        raise NoBalanceError(msg)
    return _json(text) if text.lstrip()[0] in "{[" else _yaml(data)


def _json(text: str) -> Mapping[str, Entry]:
    try:
        found = exact_json.parse(text)
    except exact_json.NoJsonError as error:
        raise NoBalanceError(f"line {error.line}: {error}" if error.line else str(error)) from None
    return _entries(found, lambda key: _line_of(key, text))


def _yaml(data: bytes) -> Mapping[str, Entry]:
    try:
        document = yaml_text.parse(data, "")
        mistakes = document.mistakes
    except ConfigError as error:
        document, mistakes = yaml_text.Document(""), list(error.mistakes)
    if mistakes:
        told = (
            f"line {one.line}, {one.key}: {one.what}" if one.key else f"line {one.line}: {one.what}"
            for one in mistakes[:_MOST_TOLD]
        )
        raise NoBalanceError("; ".join(told))
    keys = document.tree if isinstance(document.tree, yaml_text.Keys) else None
    return _entries(keys, lambda key: place.line if keys and (place := keys.key_place(key)) else 1)


def _entries(found: object, line_of: Callable[[str], int]) -> Mapping[str, Entry]:
    if not isinstance(found, dict):
        raise NoBalanceError(_NO_KEYS)
    entries = {}
    for key, value in found.items():
        line = line_of(key)
        if isinstance(value, dict | list) or value is None or getattr(value, "is_nothing", False):
            kind = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "nothing"
            msg = f"line {line}, {_shown(key)}: must be one text, not {kind}"
            raise NoBalanceError(msg)
        entries[key] = Entry(str(value), line, is_text=isinstance(value, str))
    return entries


def _line_of(key: str, text: str) -> int:
    found = re.search(rf'"{re.escape(key)}"\s*:', text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _shown(key: str) -> str:
    return key if key.isidentifier() else printable(key)
