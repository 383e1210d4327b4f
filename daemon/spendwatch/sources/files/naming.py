"""Rules for file names: which are not bills, or not yet, how they are shown, and names of duplicates. No disk access."""

from __future__ import annotations

import os
from collections.abc import Iterator

MANY = 10_000
"""So many files of one name are numbered; with more, something is wrong."""

_TEMPORARY_STARTS = (".", "~$")
_TEMPORARY_ENDS = (".part", ".tmp", ".crdownload", ".download", ".partial", ".filepart", ".swp", "~")
_COMPANION_ENDS = (".md5", ".sha1", ".sha256", ".sha512", ".crc", ".sig", ".asc", ".ok", ".done", ".ready")
_COMPANIONS = frozenset(
    {"_success", "desktop.ini", "thumbs.db", "md5sums", "sha256sums"}
    | {"lost+found", "@eadir", "$recycle.bin", "system volume information"}
)
_PACKED = (".zip", ".gz", ".xlsx", ".xls", ".parquet")
_WHY = ".why.txt"
_LONGEST = 255
_LONGEST_SUFFIX = 16


def is_temporary(name: str) -> bool:
    """Return whether the name is one of files that are still being written, that people do not see, or that go with others.

    Checksums and marks of completion lie beside bills, and every system leaves folders and files of its own.
    """
    plain = name.casefold()
    return plain.startswith(_TEMPORARY_STARTS) or plain.endswith((*_TEMPORARY_ENDS, *_COMPANION_ENDS)) or plain in _COMPANIONS


def endings(name: str) -> tuple[bytes, ...]:
    """Return how a complete file of this name ends; nothing where the format has no end mark."""
    if name.lower().endswith(_PACKED):
        return ()
    return (b"}", b"]") if name.lower().endswith(".json") else (b"\n", b"\n\x00")


def readable(name: str) -> str:
    r"""Return a file's name as proper text; bytes that are no UTF-8 read as `\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def spelled(name: str) -> str:
    """Return a text by which the name is remembered: `readable`, and another one for every name."""
    return readable(name.replace("\\", "\\\\"))


def twin(name: str, number: int) -> str:
    """Return the name itself for 1, else with `.number` before its suffix; never longer than a file system allows.

    With a dash or a line before it, a number would read like that of a part.
    """
    if number == 1:
        return name
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 -- pathlib refuses or bends names that a folder may well hold
    if len(os.fsencode(suffix)) > _LONGEST_SUFFIX:
        stem, suffix = name, ""
    return extended(stem, f".{number}{suffix}")


def again(name: str, number: int) -> str:
    """Return the name itself for 1, else one for another version of that file; a bare number would read like that of a part."""
    stem, dot, suffix = name.rpartition(".")
    return name if number == 1 else extended(stem or suffix, f"-again{number}{dot if stem else ''}{suffix if stem else ''}")


def twins(name: str) -> Iterator[str]:
    """Yield the name, and then one twin after the other."""
    return (twin(name, number) for number in range(1, MANY))


def extended(name: str, ending: str) -> str:
    """Return the name with the ending, shortened before it where a file system would refuse the whole."""
    room = _LONGEST - len(os.fsencode(ending))
    while len(os.fsencode(name)) > room:
        name = name[:-1]
    return name + ending


def reason_name(name: str) -> str:
    """Return what the text file is called that says why a file of that name was rejected."""
    return extended(name, _WHY)
