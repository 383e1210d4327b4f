"""Finds archived originals to compare them with the ledger. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from spendwatch.sources.files.naming import readable
from spendwatch.sources.files.originals import OddFileError, path_of, plain_file
from spendwatch.sources.files.skipped import reason_of


@dataclass(frozen=True, slots=True)
class KeptOriginal:
    """An original, or a folder of them, that should be readable."""

    name: str
    """As the ledger has it, unless another of that name was there before; a folder's ends with `/`."""
    path: Path | None
    """Where it is open, until the next is asked for; None if it cannot be read."""
    trouble: str = ""
    """Why it cannot be read."""


@contextmanager
def opened(folder: int, place: str, name: str) -> Iterator[KeptOriginal]:
    """Hold a kept original open."""
    with ExitStack() as stack:
        try:
            found = KeptOriginal(readable(name), path_of(stack.enter_context(plain_file(folder, place))))
        except OddFileError as error:
            found = KeptOriginal(readable(name), None, str(error))
        except OSError as error:
            found = KeptOriginal(readable(name), None, reason_of(error))
        yield found
