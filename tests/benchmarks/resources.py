"""A FOCUS file in which most lines name a resource of their own, with tags of its own: CPU, wall time and memory of its import.

python tests/benchmarks/resources.py [--rows 1000000] [--resources 300000] [--runs 1]
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.measuring import measure, spendwatch

CONFIG = """\
accounts:
  corp: {id: acct-7001, site: intl, currency: USD, budget: 1000000.00, channels: [screen]}
sources:
  inbox: {type: folder, path: inbox}
products: [Amazon Bedrock]
channels:
  screen: {type: console}
"""

COLUMNS = (
    *("BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "ChargeCategory", "ChargePeriodStart"),
    *("ChargePeriodEnd", "ListCost", "PricingQuantity", "PricingUnit", "ServiceName", "ResourceId", "SkuId", "SubAccountId"),
    "Tags",
)


def write_bill(path: Path, rows: int, resources: int) -> None:
    """Write the file, always the same."""
    dice = random.Random(5)  # noqa: S311 -- the same file every time
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for _ in range(rows):
            one, hour = dice.randrange(resources), f"2026-11-{1 + dice.randrange(28):02d}T{dice.randrange(24):02d}"
            cost = f"{dice.randrange(1, 10**6) / 10**8:.8f}"
            start = (cost, "acct-7001", "USD", "2026-11-01T00:00:00Z", "Usage", f"{hour}:00:00Z", f"{hour}:59:59Z", cost)
            tags = json.dumps({"team": f"t{one % 40}", "app": f"a{one}"})
            what = ("Units", "Amazon Bedrock", f"arn:x:region:{one:012d}", f"SKU{one % 300}", f"sub-{one % 50}", tags)
            writer.writerow((*start, 1, *what))


def main() -> None:
    """Print a line a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--resources", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as place:
            folder, bill = Path(place), Path(place) / "focus.csv"
            write_bill(bill, options.rows, options.resources)
            (folder / "spendwatch.yaml").write_text(CONFIG)
            run = measure(spendwatch("--config", str(folder), "import", str(bill)))
        worker, own = (run.peaks.get(name, 0) for name in ("worker", "main"))
        print(
            f"{options.rows} rows, {options.resources} resources: {run.seconds:.1f} s, {run.cpu:.1f} CPU s, "
            f"{worker} and {own} MB"
        )


if __name__ == "__main__":
    main()
