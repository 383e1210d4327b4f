"""Finds archived originals to compare them with the ledger. Changes nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spendwatch.sources.files.naming import readable
from spendwatch.sources.files.originals import OddFileError, plain_file
from spendwatch.sources.files.skipped import reason_of
from spendwatch.sources.files.spool import Identity, Spool

MARK = re.compile(r"[0-9]{1,18}-[0-9a-f]{16}", re.ASCII)
"""What the mark of a ledger looks like."""


class History(Protocol):
    """What the ledger has gone through, as far as sources must know: whether it lacks what they gave to it."""

    def mark(self) -> str:
        """Return what stands for all that was recorded so far, in this ledger alone; empty for nothing."""

    def has_mark(self, mark: str) -> bool:
        """Tell whether all that the mark stands for is on record: not in a ledger begun anew, or restored from before."""


class NoHistory:
    """Of a source without a ledger."""

    def mark(self) -> str:
        """Return that nothing was recorded."""
        return ""

    def has_mark(self, mark: str) -> bool:
        """Tell that nothing is missing."""
        return bool(mark)


NO_HISTORY = NoHistory()


@dataclass(frozen=True, slots=True)
class KeptOriginal:
    """An original, or a folder of them, that should be readable."""

    name: str
    """As the ledger has it, unless another of that name was there before; a folder's ends with `/`."""
    path: Path | None
    """A private copy, gone when the next is asked for; None if it cannot be read."""
    trouble: str = ""
    """Why it cannot be read."""


def copied(folder: int, place: str, name: str, spool: Spool) -> KeptOriginal:
    """Return a kept original with a private copy; `SourceUnavailableError` when there is no room for it."""
    try:
        with plain_file(folder, place) as original:
            copy = spool.take(original, Identity.of(os.fstat(original)))
    except OddFileError as error:
        return KeptOriginal(readable(name), None, str(error))
    except OSError as error:
        return KeptOriginal(readable(name), None, reason_of(error))
    return KeptOriginal(readable(name), copy, "" if copy else "it changes while it is read")
