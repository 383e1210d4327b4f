"""File to committed ledger, assessment included, beside three baselines, process against process, in one run.

    python tests/benchmarks/ingest.py [--rows 100000,1000000] [--runs 3]

`scan` is the process of a bare Polars scan-and-sum of the payable column; `bare` that of a bare Polars script which does the
same work; `standard` that of a csv-and-Decimal sum. Each ratio is of wall time and of CPU time.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "fuzz"))

from benchmarks.generate import generated_bill
from benchmarks.measuring import Measured, measure, median, ratio, spendwatch
from bill_builder import ACCOUNT

HERE = Path(__file__).parent

CONFIG = f"""\
accounts:
  bench: {{id: "{ACCOUNT}", site: cn, currency: CNY, budget: 1000.00, channels: [screen]}}
sources:
  inbox: {{type: folder, path: inbox}}
defaults: {{thresholds: [50%, 80%, 100%], channels: [screen]}}
channels:
  screen: {{type: console}}
"""


def ours(bill: Path) -> Measured:
    """Import the bill into a fresh ledger."""
    folder = Path(tempfile.mkdtemp(prefix="spendwatch-bench-"))
    try:
        (folder / "spendwatch.yaml").write_text(CONFIG)
        return measure(spendwatch("--config", str(folder), "import", str(bill)))
    finally:
        shutil.rmtree(folder)


def bare(bill: Path) -> Measured:
    """Do the same work without us."""
    with tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as folder:
        return measure([sys.executable, str(HERE / "bare.py"), str(bill), folder])


def scan(bill: Path) -> Measured:
    """Only add up the payable column."""
    return measure([sys.executable, str(HERE / "scan.py"), str(bill)])


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="100000,1000000")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--skip-standard", action="store_true", help="leave out the slow baseline")
    options = parser.parse_args()
    headings = (
        "rows",
        "file",
        "MB",
        "ours s",
        "CPU s",
        "scan s",
        "bare s",
        "/scan",
        "/bare",
        "/standard",
        "worker MB",
        "main MB",
    )
    print(" ".join(f"{heading:>9}" for heading in headings))

    for rows, is_shuffled in itertools.product((int(part) for part in options.rows.split(",")), (False, True)):
        bill = generated_bill(rows, is_shuffled=is_shuffled)
        scan(bill)  # the page cache, once for all
        scans, bares, imports = zip(*((scan(bill), bare(bill), ours(bill)) for _ in range(options.runs)), strict=True)
        standard = [] if options.skip_standard else [measure([sys.executable, str(HERE / "standard.py"), str(bill)])]
        cells: tuple[object, ...] = (
            rows,
            "shuffled" if is_shuffled else "sorted",
            bill.stat().st_size >> 20,
            f"{median(imports):.2f}",
            f"{statistics.median(run.cpu for run in imports):.2f}",
            f"{median(scans):.2f}",
            f"{median(bares):.2f}",
            ratio(imports, scans),
            ratio(imports, bares),
            ratio(imports[:1], standard) if standard else "",
            max(run.peaks.get("worker", 0) for run in imports),
            max(run.peaks.get("main", 0) for run in imports),
        )
        print(" ".join(f"{cell:>9}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
