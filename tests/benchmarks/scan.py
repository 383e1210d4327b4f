"""The baseline: a process that does nothing but let Polars read one column of a bill and add it up exactly.

python tests/benchmarks/scan.py FILE
"""

from __future__ import annotations

import sys

import polars as pl

AMOUNT = "应付信息/应付金额（含税）"


def main() -> None:
    """Print the sum."""
    lines = pl.scan_csv(sys.argv[1], infer_schema=False)
    print(lines.select(pl.col(AMOUNT).cast(pl.Decimal(38, 10)).sum()).collect(engine="streaming").item())


if __name__ == "__main__":
    main()
