"""A baseline for the same work: 17 columns, exact decimals, distinct ids, a Parquet file a day, roll-up in SQLite, SHA-256.

    python tests/benchmarks/bare.py FILE FOLDER

It leaves out what we do not: refusals with line and column, quotes that swallow lines, versions of a line, a process of its own
with bounded memory, budgets. It rounds surplus decimals without a word.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

COLUMNS = {
    "id": "标识信息/账单明细ID",
    "account": "身份信息/资源购买账号ID",
    "owner": "身份信息/资源归属账号ID",
    "month": "账单信息/账单月份",
    "day": "账单信息/账单日期",
    "charge": "账单信息/费用类型",
    "trade": "账单信息/交易类型",
    "time": "账单信息/消费时间",
    "product": "产品信息/产品Code",
    "commodity": "产品信息/商品Code",
    "item": "产品信息/计费项Code",
    "instance": "资源信息/实例ID（出账粒度）",
    "usage": "用量信息/用量",
    "unit": "用量信息/用量单位",
    "currency": "定价信息/定价币种",
    "list_cost": "费用信息/目录总价",
    "cost": "应付信息/应付金额（含税）",
}
FEW = ["account", "owner", "month", "day", "charge", "trade", "product", "commodity", "item", "instance", "unit", "currency"]
BY = ["account", "month", "day", "instance", "item", "commodity", "product", "owner", "charge", "trade", "currency"]
TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE bill (sha256 TEXT PRIMARY KEY, lines INTEGER);
CREATE TABLE spend (account, month, day, api_key, workspace, model, type, channel, item, commodity, product, owner, charge,
                    trade, currency, cost TEXT, lines INTEGER);
"""


def main() -> None:
    """Do all of it, and print lines, sum and rows."""
    bill, folder = Path(sys.argv[1]), Path(sys.argv[2])
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(_digest, bill)
        lines = pl.scan_csv(bill, infer_schema=False).select(**{name: pl.col(column) for name, column in COLUMNS.items()})
        exact = pl.col("cost").cast(pl.Decimal(38, 10)), pl.col(FEW).cast(pl.Categorical)
        frame = lines.with_columns(*exact).collect(engine="streaming")
        if frame["id"].n_unique() != frame.height:
            frame = frame.unique("id", keep="last", maintain_order=True)
        rows = frame.group_by(BY).agg(pl.col("cost").sum(), pl.len()).sort(BY)
        for (day,), part in frame.partition_by("day", as_dict=True, include_key=False).items():
            _write(part, folder / f"{day}.parquet")
        _sync(folder)
        ledger = sqlite3.connect(folder / "ledger.db")
        ledger.executescript(TABLES)
        with ledger:
            places = ", ".join("?" * 17)
            ledger.executemany(f"INSERT INTO spend VALUES ({places})", map(_row, rows.iter_rows()))  # noqa: S608 -- question marks
            ledger.execute("INSERT INTO bill VALUES (?, ?)", (digest.result(), frame.height))
    print(frame.height, frame["cost"].sum(), rows.height)


def _digest(bill: Path) -> str:
    with bill.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(lines: pl.DataFrame, path: Path) -> None:
    unfinished = path.with_suffix(".new")
    lines.write_parquet(unfinished, compression="zstd", compression_level=1, statistics=False)
    _sync(unfinished)
    unfinished.rename(path)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)


def _row(row: tuple[object, ...]) -> tuple[object, ...]:
    account, month, day, instance, *others, cost, lines = row
    parts = [*str(instance or "").split(";"), "", "", "", "", ""][:5]
    return (account, month, day, *parts, *others, str(cost), lines)


if __name__ == "__main__":
    main()
