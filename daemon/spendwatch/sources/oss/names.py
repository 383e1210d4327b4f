"""The file name of an object: its key below the prefix.

For every key, the name contains only printable characters; no part is hidden, looks unfinished, or leads upwards.
"""

from __future__ import annotations

from spendwatch.sources.files.naming import is_temporary

_LONGEST_PART = 150
"""Bytes; room is left for all that is added to names later."""
_MOST_FOLDERS = 12
_LONGEST_SUFFIX = 8


def name_of(key: str, prefix: str) -> str:
    """Return the name of the object's file, its folders before it; a prefix that ends within a part leaves that part whole."""
    below = key[prefix.rfind("/") + 1 :]
    *folders, last = (_plain(part) for part in below.split("/"))
    return "/".join((*folders[-_MOST_FOLDERS:], last))


def _plain(part: str) -> str:
    shown = "".join(char if char.isprintable() else "_" for char in part) or "_"
    stem, dot, suffix = shown.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        stem, dot, suffix = shown, "", ""
    room = _LONGEST_PART - len(suffix.encode())
    name = f"{stem.encode()[:room].decode(errors='ignore')}{dot}{suffix}"
    if name.startswith((".", "~")):
        name = f"_{name[1:]}"
    return f"{name}_" if is_temporary(name) else name
