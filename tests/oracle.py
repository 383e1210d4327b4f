"""The truth, the slow way: what a set of bill files says, read with the standard library alone.

It shares no code with the program. Of several versions of a line the one from the file exported last counts; within one
export the higher amount, then the later day, then the later texts.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext
from pathlib import Path

Sums = dict[tuple[str, str, str, str, str], Decimal]
"""By account, month, product, workspace and currency."""

LINE_ID, ACCOUNT, AMOUNT = "标识信息/账单明细ID", "身份信息/资源购买账号ID", "应付信息/应付金额（含税）"
MONTH, DAY, TIME = "账单信息/账单月份", "账单信息/账单日期", "账单信息/消费时间"
PRODUCT, INSTANCE, CURRENCY = "产品信息/产品Code", "资源信息/实例ID（出账粒度）", "定价信息/定价币种"
_LIST_COST, _USAGE, _OWNER = "费用信息/目录总价", "用量信息/用量", "身份信息/资源归属账号ID"
_COMMODITY, _ITEM, _UNIT = "产品信息/商品Code", "产品信息/计费项Code", "用量信息/用量单位"
_ORDER = (_LIST_COST, _USAGE, TIME, _OWNER, PRODUCT, _COMMODITY, _ITEM, INSTANCE, _UNIT, CURRENCY)

_INFERENCE = re.compile(r"([0-9]*|[A-Za-z][A-Za-z_]*);(?P<workspace>llm-[^;]*|);[^;]*;[^;]*;[^;]*(;[01]?)?", re.ASCII)
_TRAINING = re.compile(r"(?P<workspace>llm-[^;!]*)![^;!]*![^;!]*")
_PLAIN = re.compile(r"-?[0-9]{1,28}(\.[0-9]{1,10})?", re.ASCII)


def read_bill(content: bytes) -> list[dict[str, str]]:
    """Return the lines of a file; whatever is not plainly right raises `ValueError` or `csv.Error`."""
    if b"\0" in content or not content.endswith(b"\n"):
        raise ValueError
    text = content.decode("utf-8-sig")
    csv.field_size_limit(16 * 1024 * 1024)
    header, *rows = (row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row)
    if any(len(row) != len(header) for row in rows) or len(set(header)) != len(header):
        raise ValueError
    lines = [dict(zip(header, row, strict=True)) for row in rows]
    if any(not line[LINE_ID] or not _PLAIN.fullmatch(line[AMOUNT]) for line in lines):
        raise ValueError
    return lines


def month_to_date(files: Iterable[tuple[str, bytes]]) -> Sums:
    """Return the exact sums over the files, given by name and content."""
    versions: dict[tuple[str, str], tuple[tuple[object, ...], dict[str, str]]] = {}
    for name, content in files:
        lines = read_bill(content)
        exported = re.match(r"[0-9]+-([0-9]{14})_", name)
        for line in lines:
            line[ACCOUNT] = line[ACCOUNT] or name.partition("-")[0]
            line[MONTH] = line[MONTH] or line[DAY]
            identity = line[ACCOUNT], line[LINE_ID]
            age = exported[1] if exported else ""
            version = age, Decimal(line[AMOUNT]), _day(line), *(line.get(column, "") for column in _ORDER)
            if identity not in versions or version > versions[identity][0]:
                versions[identity] = version, line
    return _summed(line for _, line in versions.values())


def _summed(lines: Iterable[Mapping[str, str]]) -> Sums:
    sums: Sums = defaultdict(Decimal)
    with localcontext(prec=60):
        for line in lines:
            month = _dashed(line[MONTH])[:7]
            sums[line[ACCOUNT], month, line[PRODUCT], _workspace(line), line[CURRENCY]] += Decimal(line[AMOUNT])
    return dict(sums)


def _day(line: Mapping[str, str]) -> tuple[str, str]:
    return _dashed(line[MONTH])[:7], _dashed(line[DAY])


def _dashed(text: str) -> str:
    digits = text.replace("-", "")
    return "-".join(part for part in (digits[:4], digits[4:6], digits[6:8]) if part)


def _workspace(line: Mapping[str, str]) -> str:
    if line[PRODUCT] not in {"sfm", ""}:
        return ""
    found = _INFERENCE.fullmatch(line[INSTANCE]) or _TRAINING.fullmatch(line[INSTANCE])
    return found["workspace"] if found else ""


def spend_by_workspace(files: Iterable[Path], *, month: str, product: str) -> dict[tuple[str, str], Decimal]:
    """Return month-to-date spend by workspace and currency, over all accounts."""
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for key, amount in month_to_date((path.name, path.read_bytes()) for path in files).items():
        _, billed_in, billed_for, workspace, currency = key
        if (billed_in, billed_for) == (month, product):
            found[workspace, currency] += amount
    return dict(found)
