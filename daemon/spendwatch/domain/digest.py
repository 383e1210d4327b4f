"""The SHA-256 of a text, by which something is the same one."""

from __future__ import annotations


def text_digest(text: str) -> str:
    """Return it as hexadecimal digits."""
    import hashlib  # noqa: PLC0415 -- it loads OpenSSL, which a command that only looks can do without

    return hashlib.sha256(text.encode()).hexdigest()
