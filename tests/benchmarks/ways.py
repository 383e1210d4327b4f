"""The same lines in other ways than a new bill in UTF-8, process against process, in one run.

    python tests/benchmarks/ways.py [--rows 1000000] [--runs 3]

`scan` is the process of a bare Polars scan-and-sum of the payable column of the UTF-8 bill. `pushed again` is the whole
month a day after all but its last day was entered; `the same` is a file whose bytes are on record.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "fuzz"))

from benchmarks.forms import forms
from benchmarks.generate import DAYS, generated_bill
from benchmarks.ingest import CONFIG, HERE
from benchmarks.measuring import Measured, measure, spendwatch
from bill_builder import ACCOUNT, a_bill_name


def without_last_day(bill: Path) -> Path:
    """Return the path of the bill as it was pushed a day earlier; it is written only once."""
    path = bill.parent / "day-before" / a_bill_name(ACCOUNT, "20260930093012")
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        last = f",202609{DAYS:02d},".encode()
        unfinished = path.with_suffix(".part")
        with bill.open("rb") as source, unfinished.open("wb") as target:
            target.writelines(line for line in source if last not in line)
        unfinished.rename(path)
    return path


@contextmanager
def ledger(*entered: Path) -> Iterator[Path]:
    """Give a configuration whose ledger holds these bills."""
    folder = Path(tempfile.mkdtemp(prefix="spendwatch-bench-"))
    try:
        (folder / "spendwatch.yaml").write_text(CONFIG)
        for bill in entered:
            measure(spendwatch("--config", str(folder), "import", str(bill)))
        yield folder
    finally:
        shutil.rmtree(folder)


def entering(bill: Path, *before: Path, runs: int) -> list[Measured]:
    """Enter the bill where those before it are on record, each time anew."""
    found = []
    for _ in range(runs):
        with ledger(*before) as folder:
            found.append(measure(spendwatch("--config", str(folder), "import", str(bill))))
    return found


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    bill = generated_bill(options.rows)
    found = dict(forms(bill))
    # Names tell how new a bill is: each form goes by the one that the console gives.
    with tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as place:
        named = Path(place) / bill.name
        named.symlink_to(found["GB18030"])
        ways = (
            ("new, UTF-8", bill, ()),
            ("new, GB18030", named, ()),
            ("new, gzip", found["gzip"], ()),
            ("new, zip", found["zip"], ()),
            ("pushed again", bill, (without_last_day(bill),)),
            ("the same", bill, (bill,)),
        )
        print(f"{'way':14} {'ours s':>8} {'scan s':>8} {'/scan':>6} {'worker MB':>10}")
        for name, path, before in ways:
            measure([sys.executable, str(HERE / "scan.py"), str(bill)])  # the page cache
            scans = [measure([sys.executable, str(HERE / "scan.py"), str(bill)]).seconds for _ in range(options.runs)]
            ours = entering(path, *before, runs=options.runs)
            seconds, scan = statistics.median(run.seconds for run in ours), statistics.median(scans)
            worker = max(run.peaks.get("worker", 0) for run in ours)
            print(f"{name:14} {seconds:8.2f} {scan:8.2f} {seconds / scan:6.2f} {worker:10d}", flush=True)


if __name__ == "__main__":
    main()
