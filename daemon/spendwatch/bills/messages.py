"""The messages between the daemon and the reading process.

The process trusts the daemon: requests are pickled. The daemon does not trust the process, which a hostile file may control:
answers are JSON, never pickles, and the daemon validates them against these types.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from spendwatch.domain.errors import Refusal
from spendwatch.domain.merging import Plan
from spendwatch.domain.statement import DayKey, Digest, ReadingHints, Statement


class ReadRequest(NamedTuple):
    """Read a file, and hold its lines instead of those of the last one."""

    path: Path
    name: str
    folder: Path
    """For the results; private to the reading process."""
    hints: ReadingHints


class FindSharedRequest(NamedTuple):
    """Find the days of a plan that have a line in common with another day of their month."""

    plan: Plan
    ids: Path
    """The ids of what the ledger holds, one content after the other."""
    sizes: dict[Digest, int]
    """How many bytes of that belong to each."""


class ResolveRequest(NamedTuple):
    """Resolve days, and write roll-ups and fresh contents, which the bill has that is held, as files."""

    plan: Plan
    contents: tuple[Digest, ...]
    """Those that the ledger holds, in the order of their files."""
    folder: Path


class ExportRequest(NamedTuple):
    """Write the lines of a day in the columns of FOCUS, or how much was used."""

    day: DayKey
    plan: Plan
    contents: tuple[Digest, ...]
    into: Path
    products: tuple[str, ...] | None
    """Only lines of these; None means all."""
    is_usage: bool = False


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """Forget the bill that is held."""


Request = ReadRequest | FindSharedRequest | ResolveRequest | ExportRequest | ForgetRequest


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
class SharedFound:
    """Which days of the plan have a line in common with another one."""

    days: tuple[DayKey, ...]
    answer: Literal["shared"] = "shared"


@dataclass(frozen=True, slots=True)
class DayOutcome:
    """What became of a day."""

    lines: int
    new: int
    changed: int
    gone: int
    is_linked: bool
    """Lines of it stand on another day of the month, too."""
    lost_lines: int
    """How many lines counted before and count on no day now."""
    lost: tuple[tuple[str, str], ...]
    """What these cost, by currency, beyond what is new on the day."""


@dataclass(frozen=True, slots=True)
class DaysResolved:
    """What became of each day of the plan, and then of the others; None where nothing changed. The files are written."""

    days: tuple[DayOutcome | None, ...]
    answer: Literal["resolved"] = "resolved"


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


Answer = ProgressMade | BillRead | BillRefused | SharedFound | DaysResolved | Done | Failed
