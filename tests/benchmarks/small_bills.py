"""Many small bills of one month, entered in batches: what a bill costs must hardly depend on how many are on record.

    python tests/benchmarks/small_bills.py [--batches 4] [--bills 200]

Each bill has ten lines of one day. The ratio compares a batch with the first one, in CPU-seconds.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "fuzz"))

from benchmarks.ingest import CONFIG
from benchmarks.measuring import measure, spendwatch
from bill_builder import ACCOUNT, a_bill, a_line

_LINES = 10
_DAYS = 28


def small_bill(number: int, folder: Path) -> Path:
    """Write the bill of that number; its name tells that it is newer than those before it."""
    day = f"202609{1 + number % _DAYS:02d}"
    lines = [a_line(line_id=f"id-{number}-{line}", day=day, amount="0.01", workspace=f"llm-{line}") for line in range(_LINES)]
    hours, minute = divmod(number, 60)
    moment = f"202610{1 + hours // 24:02d}{hours % 24:02d}{minute:02d}00"
    name, content = a_bill(lines, account=ACCOUNT, exported=moment)
    (folder / name).write_bytes(content)
    return folder / name


def main() -> None:
    """Print a line for each batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--bills", type=int, default=200)
    options = parser.parse_args()
    folder, first = Path(tempfile.mkdtemp(prefix="spendwatch-bench-")), 0.0
    try:
        (folder / "spendwatch.yaml").write_text(CONFIG)
        print(f"{'on record':>10} {'CPU s':>8} {'wall s':>8} {'/first':>8}")
        for batch in range(options.batches):
            bills = [small_bill(batch * options.bills + number, folder) for number in range(options.bills)]
            took = measure(spendwatch("--config", str(folder), "import", *map(str, bills)))
            first = first or took.cpu
            print(f"{batch * options.bills:10d} {took.cpu:8.2f} {took.seconds:8.2f} {took.cpu / first:8.2f}", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
