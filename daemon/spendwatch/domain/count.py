"""Counts in English words."""

from __future__ import annotations


def counted(number: int, one: str, several: str = "") -> str:
    """Return the number with its noun: `1 bill`, `2 bills`. `several` is for nouns whose plural is not made by an s."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"
