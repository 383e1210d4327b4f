"""What the daemon has done since it was started, counted in memory: for metrics and probes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from spendwatch.domain.period import Clock
from spendwatch.jobs.collect import IngestResult


@dataclass(slots=True)
class JobRuns:
    """The rounds of one job."""

    runs: int = 0
    failures: int = 0
    seconds: float = 0.0
    succeeded_at: datetime | None = None


async def _nothing() -> None:
    """Nobody is there to reload: one round by hand."""


@dataclass(slots=True)
class Vitals:
    """Counters, and how to ask the schedule."""

    clock: Clock
    monotonic: Callable[[], float]
    jobs: dict[str, JobRuns] = field(default_factory=dict)
    bills: Counter[str] = field(default_factory=Counter)
    """Bill files by what became of them."""
    lines: int = 0
    """Lines of recorded bills."""
    reloaded_at: datetime | None = None
    """When the configuration was read last without a mistake."""
    late: Callable[[], Sequence[str]] = tuple
    """Returns the jobs that make no progress."""
    reload: Callable[[], Awaitable[None]] = _nothing
    """Reads the configuration again."""

    @contextmanager
    def round(self, job: str) -> Iterator[None]:
        """Count one round of a job, and whether it ends well."""
        of, began = self.jobs.setdefault(job, JobRuns()), self.monotonic()
        of.runs += 1
        try:
            yield
        except BaseException:
            of.failures += 1
            raise
        else:
            of.succeeded_at = self.clock()
        finally:
            of.seconds += self.monotonic() - began

    def count(self, taken: IngestResult) -> None:
        """Count a bill file that was read, or could not be."""
        if taken.receipt and not taken.receipt.repeated:
            self.lines += taken.receipt.statement.lines
            self.bills["recorded"] += 1
        else:
            self.bills["repeated" if taken.receipt else "rejected" if taken.refused else "failed"] += 1
