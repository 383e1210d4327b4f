"""The protocol between the daemon and the reading process: JSON, never pickles, because a hostile file may control the process.

Every message from that process is untrusted input.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

LENGTH = 4
"""Each message follows its length, written with so many bytes, the highest first."""

LONGEST = 64 * 1024 * 1024

Message = Mapping[str, object]


class NonsenseError(Exception):
    """The other side said something that makes no sense."""


def packed(message: Message) -> bytes:
    """Return the message as bytes, its length in front."""
    content = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    return len(content).to_bytes(LENGTH, "big") + content


def unpacked(content: bytes) -> Message:
    """Return the message that the bytes after its length hold."""
    try:
        message = json.loads(content)
    except ValueError as error:
        raise NonsenseError from error
    return as_object(message)


def as_object(value: object) -> Message:
    """Return the value if it is an object."""
    if not isinstance(value, dict):
        raise NonsenseError
    return cast("Message", value)


def as_list(value: object) -> list[object]:
    """Return the value if it is a list."""
    if not isinstance(value, list):
        raise NonsenseError
    return cast("list[object]", value)


def as_text(value: object) -> str:
    """Return the value if it is text."""
    if not isinstance(value, str):
        raise NonsenseError
    return value


def as_number(value: object) -> int:
    """Return the value if it is a whole number that is not negative."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise NonsenseError
    return value
