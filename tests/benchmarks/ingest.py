"""File to committed ledger, assessment included, beside two baselines, process against process, in one run.

    python tests/benchmarks/ingest.py [--rows 100000,1000000] [--runs 3]

`scan` is the process of a bare Polars scan-and-sum of the payable column; `standard` that of a csv-and-Decimal sum.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "fuzz"))

from benchmarks.generate import generated_bill
from benchmarks.measuring import Measured, measure, median, spendwatch
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


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="100000,1000000")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--skip-standard", action="store_true", help="leave out the slow baseline")
    options = parser.parse_args()
    headings = ("rows", "MB", "ours s", "scan s", "standard s", "/scan", "/standard", "worker MB", "main MB")
    print(" ".join(f"{heading:>10}" for heading in headings))

    for rows in (int(part) for part in options.rows.split(",")):
        bill = generated_bill(rows)
        scans, imports = [], []
        measure([sys.executable, str(HERE / "scan.py"), str(bill)])  # the page cache, once for both
        for _ in range(options.runs):
            scans.append(measure([sys.executable, str(HERE / "scan.py"), str(bill)]))
            imports.append(ours(bill))
        standard = None if options.skip_standard else measure([sys.executable, str(HERE / "standard.py"), str(bill)]).seconds
        ratio = sorted(a.seconds / b.seconds for a, b in zip(imports, scans, strict=True))[len(scans) // 2]
        worker = max(run.peaks.get("worker", 0) for run in imports)
        own = max(run.peaks.get("main", 0) for run in imports)
        shown = f"{standard:10.2f}" if standard else " " * 10
        beside = f"{median(imports) / standard:9.2f}" if standard else " " * 9
        print(
            f"{rows:10d} {bill.stat().st_size >> 20:6d} {median(imports):8.2f} {median(scans):8.2f} {shown} "
            f"{ratio:6.2f} {beside} {worker:9d} {own:8d}",
            flush=True,
        )


if __name__ == "__main__":
    main()
