"""The truth about bills, on the standard library alone: what every other way of reading and adding must equal.

A line counts once, by its id. Of several versions the one from the file exported last counts (the 14 digits in the file's
name; without them the latest time in the file), then the higher amount.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from decimal import Context, Decimal
from pathlib import Path

LINE_ID, ACCOUNT, MONTH, PRODUCT = "标识信息/账单明细ID", "身份信息/资源购买账号ID", "账单信息/账单月份", "产品信息/产品Code"
INSTANCE, CURRENCY, AMOUNT = "资源信息/实例ID（出账粒度）", "定价信息/定价币种", "应付信息/应付金额（含税）"
TIMES = ("账单信息/服务结束时间", "账单信息/消费时间", "账单信息/服务开始时间")

EXACT = Context(prec=80)

Line = dict[str, str]


def lines_of(files: Iterable[Path]) -> list[Line]:
    """Return every line that counts."""
    newest: dict[tuple[str, str], tuple[tuple[str, Decimal, str], Line]] = {}
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        found = re.match(r"\d{5,32}-(\d{14})", path.name)
        stamp = found[1] if found else max((re.sub(r"\D", "", row[TIMES[0]]) for row in rows), default="")
        for row in rows:
            key = row[ACCOUNT], row[LINE_ID]
            rank = stamp, Decimal(row[AMOUNT]), row[INSTANCE]
            if key not in newest or newest[key][0] <= rank:
                newest[key] = rank, row
    return [row for _, row in newest.values()]


def workspace_of(instance: str) -> str:
    """Return the workspace that an instance id names."""
    return next((part for part in re.split("[;!]", instance) if part.startswith("llm-")), "")


def spend_by_workspace(files: Iterable[Path], *, month: str, product: str | None = None) -> dict[tuple[str, str], Decimal]:
    """Return the sums of one month (`YYYY-MM`) by workspace and currency."""
    sums: dict[tuple[str, str], Decimal] = {}
    for line in lines_of(files):
        if line[MONTH].replace("-", "") == month.replace("-", "") and product in {None, line[PRODUCT]}:
            key = workspace_of(line[INSTANCE]), line[CURRENCY]
            sums[key] = EXACT.add(sums.get(key, Decimal(0)), Decimal(line[AMOUNT]))
    return sums
