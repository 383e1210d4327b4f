"""What one quarter of alerts is worth, on paper (`simulated_quarter`): too many, too late, missed, false.

    python tests/benchmarks/quarter.py [--seeds 100] [--tuning]

Prints for each kind of account, beside two baselines: messages a week, false forecast alarms, months over budget that were
foreseen, and spikes. The rule for spikes was chosen on the seeds of --tuning; without it other seeds are replayed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "builders"))

from simulated_quarter import WEEKS, Score, replay_all, total

HELD_OUT_FROM = 1000


def ratio(part: int, whole: int) -> float:
    """Return a share; 0 of nothing."""
    return part / whole if whole else 0.0


def mean(values: Sequence[int]) -> float:
    """Return the mean; 0 of nothing."""
    return statistics.fmean(values) if values else 0.0


def line(name: str, method: str, one: Score) -> str:
    """Return one line of the table."""
    return (
        f"{name:17}{method:8}{ratio(one.messages, one.workspaces) / WEEKS:9.2f}"
        f"{one.false_forecasts:8} of {one.forecasts:4}{ratio(one.false_forecasts, one.workspaces):6.2f}{one.worst_forecasts:5}"
        f"{one.foreseen:6} of {one.overspent:4}{mean(one.leads):6.1f}"
        f"{100 * ratio(one.found, one.spikes):8.1f}%{100 * ratio(one.false_days, one.days):7.2f}%{mean(one.delays):6.1f}"
    )


def main() -> None:
    """Replay, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--tuning", action="store_true")
    options = parser.parse_args()
    first, began = 0 if options.tuning else HELD_OUT_FROM, time.perf_counter()
    scores = replay_all(range(first, first + options.seeds))
    print(f"{options.seeds} quarters of each character, seeds from {first} on ({'tuning' if options.tuning else 'held out'})\n")
    print(
        "Messages a week; false forecast alarms, per workspace and quarter, and the most of one; months over budget that were"
    )
    print("foreseen, days ahead; spikes found, false days, days until reported.\n")
    print(
        f"{'':25}{'messages':>9}{'false forecasts':>16}{'each':>6}{'most':>5}"
        f"{'foreseen':>14}{'ahead':>6}{'recall':>9}{'false':>8}{'delay':>6}"
    )
    for name, (ours, naive) in scores.items():
        print(line(name, "ours", ours))
        print(line("", "naive", naive))
    ours, naive = total(one for one, _ in scores.values()), total(one for _, one in scores.values())
    print(line("all", "ours", ours))
    print(line("", "naive", naive))
    print(
        f"\n{ours.duplicates} duplicates, {ours.missed} of {ours.thresholds} thresholds missed; "
        f"{time.perf_counter() - began:.0f} s for {ours.workspaces} workspaces"
    )


if __name__ == "__main__":
    main()
