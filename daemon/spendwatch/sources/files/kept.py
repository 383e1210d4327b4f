"""Originals that were kept, found again: to be compared with what the ledger says of them. Changes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from spendwatch.sources.files.naming import readable
from spendwatch.sources.files.originals import OddFileError, plain_file
from spendwatch.sources.files.skipped import reason_of
from spendwatch.sources.files.spool import Identity, Spool


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
