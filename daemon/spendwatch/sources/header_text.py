"""What a header of a request can carry. Imports nothing: settings are checked with it."""

from __future__ import annotations


def is_sendable(text: str) -> bool:
    """Tell whether a header can carry the text as it is."""
    return text.isascii() and text.isprintable()
