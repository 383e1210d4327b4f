"""The parts of an unpacked bill file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Part:
    """A text bill, csv or json, in whatever encoding it came."""

    name: str
    """The member's name, folders included; the file's own where it is no archive. Nobody has checked it."""
    path: Path


@dataclass(frozen=True, slots=True)
class Opened:
    """The text bills of one bill file, in the order of their names; at least one."""

    parts: tuple[Part, ...]
    remarks: tuple[str, ...] = ()
    """What the operator should know, though it is no reason to refuse."""
