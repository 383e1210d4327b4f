"""The slow baseline: the standard library's csv reader and Decimal.

python tests/benchmarks/standard.py FILE
"""

from __future__ import annotations

import csv
import sys
from decimal import Decimal
from pathlib import Path

AMOUNT = "应付信息/应付金额（含税）"


def main() -> None:
    """Print the sum."""
    total = Decimal(0)
    with Path(sys.argv[1]).open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        place = next(rows).index(AMOUNT)
        for row in rows:
            total += Decimal(row[place])
    print(total)


if __name__ == "__main__":
    main()
