"""What a sweep found, counted by system call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.killing import Point, Victim
from sweep.rounds import Finding, Kind, Stage

COLUMNS = ("points", "killed", "worker", *(kind.value for kind in Kind))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a program that was killed at one point, or at a second one in its recovery, too."""

    stage: Stage
    killed_at: Sequence[Point]
    victims: Sequence[Victim]
    findings: Sequence[Finding]

    @property
    def faults(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.kind not in {Kind.REPEATED, Kind.LITTER}]

    @property
    def is_killed(self) -> bool:
        return Victim.PROGRAM in self.victims

    def __str__(self) -> str:
        where = f"{self.stage}: {', then '.join(map(str, self.killed_at))}"
        return f"{where}: {'; '.join(map(str, self.faults)) or 'nothing wrong'}"


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the counts as text."""
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        row = counts.setdefault(", ".join(point.call for point in outcome.killed_at), Counter())
        row.update(_counted(outcome))
    width = max(map(len, counts), default=0) + 2
    total = Counter[str]()
    lines = ["call".ljust(width) + "".join(f"{column:>{len(column) + 3}}" for column in COLUMNS)]
    for name, row in sorted(counts.items()):
        total += row
        lines.append(_line(name, row, width))
    return "\n".join([*lines, _line("all", total, width)])


def _counted(outcome: Outcome) -> Counter[str]:
    counted = Counter({"points": 1, "killed": int(outcome.is_killed), "worker": int(Victim.WORKER in outcome.victims)})
    counted.update(finding.kind.value for finding in outcome.findings)
    return counted


def _line(name: str, row: Counter[str], width: int) -> str:
    return name.ljust(width) + "".join(f"{row[column]:>{len(column) + 3}}" for column in COLUMNS)
