"""The name of a downloaded file: the endpoint's, in plain characters, because some layouts depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from urllib.parse import unquote, urlsplit

from spendwatch.domain.statement import SourceName

_SUFFIXES = (".csv", ".zip", ".json", ".xlsx", ".gz")
_LONGEST = 150
_LONGEST_SUFFIX = 8
_PLAIN = frozenset("._-()")


def file_name(headers: Mapping[str, str], url: str, source: SourceName, head: bytes, stamp: str) -> str:
    """Return a name for the file; it holds no separator, whatever the endpoint says. `stamp` is the time in a name of ours."""
    said = _disposition(headers.get("content-disposition", ""))
    # The end of a path may be a secret; one that looks like a file is a file.
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    for name in (said, last if last.lower().endswith(_SUFFIXES) else ""):
        if plain := _plainly(name):
            return plain if plain.lower().endswith(_SUFFIXES) else f"{plain}{_suffix(head)}"
    return f"{_plainly(source)}_{stamp}{_suffix(head)}"


def _disposition(text: str) -> str:
    message = Message()
    message["content-disposition"] = text.replace("\r", "").replace("\n", "")
    try:
        return message.get_filename() or ""
    except (LookupError, ValueError, UnicodeError):  # an unknown charset
        return ""


def _plainly(name: str) -> str:
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(char if char.isalnum() or char in _PLAIN else "_" for char in last).lstrip(".")
    stem, dot, suffix = shown.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        stem, suffix = shown, ""
    return f"{_cut(stem)}{dot if suffix else ''}{suffix}"


def _cut(stem: str) -> str:
    """Return the beginning of the name that a file system can hold with everything that is added to it later."""
    return stem.encode()[:_LONGEST].decode(errors="ignore")


def _suffix(head: bytes) -> str:
    if head.startswith(b"PK"):
        return ".zip"
    return ".json" if head.lstrip()[:1] in {b"{", b"["} else ".csv"
