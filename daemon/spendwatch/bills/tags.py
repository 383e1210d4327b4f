"""Reads a cell of resource tags into one canonical text, so that equal tag sets are equal texts."""

from __future__ import annotations

import json
import re

_BETWEEN = re.compile(r";\s*(?=key:)")
_TAG = re.compile(r"key:(?P<key>.+?) value:(?P<value>.*)", re.DOTALL)


def canonical_tags(cell: str) -> str:
    """Return the tags as a JSON object with sorted keys, empty for none.

    The provider writes `key:k value:v; key:k2 value:v2`. What is written otherwise is kept whole, under the empty key.
    """
    text = cell.strip()
    if not text:
        return ""
    found = [_TAG.fullmatch(part) for part in _BETWEEN.split(text.rstrip("; "))]
    tags = {tag["key"].strip(): tag["value"].strip() for tag in found if tag}
    return _json(tags if len(tags) == len(found) else {"": text})


def _json(tags: dict[str, str]) -> str:
    return json.dumps(tags, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
