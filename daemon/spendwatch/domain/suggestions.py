"""Suggests the intended word for a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 100
_SHORTEST = 3
_LISTED = 12


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?`, or an empty text where nothing comes close."""
    from difflib import get_close_matches  # noqa: PLC0415 -- only for mistakes

    by_fold = {name.casefold(): name for name in known}
    fold = word[:_LONGEST].casefold()
    begun = [name for name in by_fold if len(fold) >= _SHORTEST and name.startswith(fold)]
    close = begun or get_close_matches(fold, by_fold, n=1)
    return f"did you mean '{by_fold[close[0]]}'?" if close else ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return what was probably meant, else what is known."""
    names = sorted(known)
    listed = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
    return did_you_mean(word, names) or (f"known: {listed}" if names else "none is known")
