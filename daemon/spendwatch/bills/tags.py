"""Parses a cell of resource tags into one canonical text, so that equal tag sets are equal texts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

UNKNOWN = '{"":'
"""How the canonical text of tags in an unknown notation begins."""

_BETWEEN = re.compile(r";\s*(?=key:)")
_TAG = re.compile(r"key:(?P<key>.+?) value:(?P<value>.*)", re.DOTALL)


def canonical_tags(cell: str) -> str:
    """Return the tags as a JSON object with sorted keys, empty for none.

    Bills write `key:k value:v; key:k2 value:v2`, `k:v;k2:v2` (the first colon parts key and value), or a JSON object. What is
    written otherwise is kept whole, under the empty key.
    """
    text = cell.strip()
    if not text:
        return ""
    tags = _object(text) if text.startswith("{") else _spelled_out(text) or _pairs(text)
    if tags is not None:
        try:
            told = _json(tags)
            told.encode()
        except ValueError:  # a number without end, or half a surrogate pair
            pass
        else:
            return told if tags else ""
    return _json({"": text})


def _object(text: str) -> Mapping[str, object] | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _spelled_out(text: str) -> Mapping[str, object] | None:
    found = [_TAG.fullmatch(part) for part in _BETWEEN.split(text.rstrip("; "))]
    if not any(found):
        return None
    # One that has no value may be cut off: the whole is kept as it is.
    return {tag["key"].strip(): tag["value"].strip() for tag in found if tag} if all(found) else {"": text}


def _pairs(text: str) -> Mapping[str, object] | None:
    parts = [part.partition(":") for part in text.split(";") if part.strip()]
    if not any(colon for _, colon, _ in parts) or not all(key.strip() for key, _, _ in parts):
        return None
    return {key.strip(): value.strip() for key, _, value in parts}


_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode
