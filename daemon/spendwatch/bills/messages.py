"""The messages between the daemon and the reading process.

The process trusts the daemon: requests are pickled. The daemon does not trust the process, which a hostile file may control:
answers are JSON, never pickles, and the daemon validates them against these types.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spendwatch.domain.errors import Refusal
from spendwatch.domain.statement import Coverage, DayKey, Digest, ReadingHints, Stamp, Statement


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Read a file, and hold its lines."""

    bill: int
    """The number by which later requests name it."""
    path: Path
    name: str
    folder: Path
    """For the results; nobody else uses it."""
    hints: ReadingHints


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """Merge a bill with what the ledger holds, and write the results as files."""

    bill: int
    days: tuple[DayKey, ...]
    """Of the bill."""
    held: tuple[tuple[DayKey, Path, Stamp], ...]
    """Days that the ledger holds: where their lines are, and up to which stamp they were confirmed."""
    coverage: tuple[Coverage, ...]

    @property
    def places(self) -> tuple[DayKey, ...]:
        """All days; the place of one of them is the name of its files."""
        others = (key for key, _, _ in self.held if key not in self.days)
        return (*self.days, *others)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Write the lines of a day in the columns of FOCUS."""

    day: DayKey
    chunk: Path
    into: Path
    products: tuple[str, ...] | None
    """Only lines of these; None means all."""


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """Forget a bill."""

    bill: int


Request = ReadRequest | MergeRequest | ExportRequest | ForgetRequest


@dataclass(frozen=True, slots=True)
class ProgressMade:
    """How much of a phase is done, from 0 to 1; the answer follows."""

    phase: str
    share: float
    answer: Literal["progress"] = "progress"


@dataclass(frozen=True, slots=True)
class BillRead:
    """What the file says."""

    statement: Statement
    answer: Literal["read"] = "read"


@dataclass(frozen=True, slots=True)
class BillRefused:
    """Why the file cannot be understood."""

    refusals: tuple[Refusal, ...]
    digest: str
    answer: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True)
class MergedCounts:
    """What became of a day in the merge."""

    digest: Digest
    lines: int
    new: int
    changed: int
    gone: int
    stamps: tuple[Stamp, ...]


@dataclass(frozen=True, slots=True)
class DaysMerged:
    """What became of each day of the request, in the order of its places; None where nothing changed. The files are written."""

    days: tuple[MergedCounts | None, ...]
    answer: Literal["merged"] = "merged"


@dataclass(frozen=True, slots=True)
class Done:
    """The request is fulfilled, and there is nothing to say about it."""

    answer: Literal["done"] = "done"


@dataclass(frozen=True, slots=True)
class Failed:
    """The request could not be fulfilled."""

    why: str
    is_innocent: bool = False
    """The file has nothing to do with it."""
    answer: Literal["failed"] = "failed"


Answer = ProgressMade | BillRead | BillRefused | DaysMerged | Done | Failed
