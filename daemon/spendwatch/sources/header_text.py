"""Which characters a request header may contain. Imports nothing, because settings use it."""

from __future__ import annotations


def is_sendable(text: str) -> bool:
    """Return whether a header can carry the text as it is."""
    return text.isascii() and text.isprintable()
