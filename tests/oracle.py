"""The truth, the slow way: what a set of bill files says, read with the standard library alone.

It shares no code with the program. Files say the same money in several series; for each account and month one series counts,
the one that shows most; of equals the one that sums up less, then that with more lines. Within a series:

- lines with an id of the provider: of several versions the one from the newest statement counts; within one the dearest, then
  the one of the later day, then the later texts;
- lines of files made by rule (pushes), which have no id, are known by their whole content, and by how often it occurs;
- other lines without an id are replaced together with all that are for the same thing on the same day; of equally new versions
  the one with more lines counts, then the dearest;
- a line with an id counts on one day of a month;
- of numbered parts of which nothing tells when they were written, the one that came last under a name replaces the others;
- a complete statement takes away what it lacks and what is older: than itself, if it came from complete ones alone, else than
  what it reaches. It does so on the days from its first to its last line, and of the owners that its lines have, where its
  layout tells owners.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, localcontext
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

Sums = dict[tuple[str, str, str, str, str], Decimal]
"""By account, month, product, workspace and currency."""

LINE_ID, ACCOUNT, AMOUNT = "标识信息/账单明细ID", "身份信息/资源购买账号ID", "应付信息/应付金额（含税）"
MONTH, DAY, TIME = "账单信息/账单月份", "账单信息/账单日期", "账单信息/消费时间"
PRODUCT, INSTANCE, CURRENCY = "产品信息/产品Code", "资源信息/实例ID（出账粒度）", "定价信息/定价币种"

_JUNK = " \t\r\n\u00a0\u3000\ufeff"
_TOTALS = {"合计", "总计", "小计", "total", "grand total", "subtotal"}
_AMOUNT = re.compile(r"-?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]+)?|-?[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True)
class Layout:
    """Which header name means what."""

    name: str
    needs: tuple[str, ...]
    """Names that a header of it has; `a|b` for either."""
    lacks: tuple[str, ...]
    line_id: str
    account: str
    month: str
    day: str
    """Where the date stands, alone or before a time."""
    amount: str
    product: str
    instance: str
    currency: str
    alike: tuple[str, ...]
    """What is the same in lines that are for the same thing, beside day, product, instance, currency and sort."""
    content: tuple[str, ...]
    """What else tells lines of pushes apart."""
    reach: tuple[str, ...]
    """Where moments stand up to which lines charge."""
    kind: str = "upsert"
    commodity: str = "商品Code"
    service: str = "产品名称"
    """The product's name, where there is no code of it."""
    charge: str = "费用类型"
    trade: str = "交易类型"
    outstanding: str = ""
    paid: tuple[str, ...] = ()
    """What was paid of a line: where all of it is nothing, nothing outstanding says nothing."""
    tags: str = "实例标签|资源标签|标签"
    null: str = ""
    """How a cell says that there is nothing."""


_SORTS = (
    ("refund", ("退款", "refund", "correction", "credit")), ("rounding", ("抹零", "取整", "rounding")),
    ("adjustment", ("调账", "调整", "adjustment")), ("free", ("免费额度", "free quota")),
    ("usage", ("按量", "后付费", "pay-as-you-go", "payasyougo", "coverage")),
    ("subscription", ("订阅", "预付费", "subscription", "purchase")), ("usage", ("usage",)),
)  # fmt: skip
"""What sort of charge a line is, by the words in its two cells; the first that is found counts."""

_OWNERS = {"资源归属账号ID", "ResourceOwnerAccountId", "OwnerID", "SubAccountId", "BillAccountID|OwnerID"}
_V2 = ("资源归属账号ID", "商品Code", "计费项Code", "用量单位")
LAYOUTS = (
    Layout(
        "consumedetailbillv2", ("账单明细ID", "应付金额(含税)", "账单月份|账单日期"), (), "账单明细ID", "资源购买账号ID",
        "账单月份", "账单日期|服务开始时间|消费时间", "应付金额(含税)", "产品Code", "实例ID(出账粒度)", "定价币种", _V2, (),
        ("消费时间", "服务开始时间", "服务结束时间"),
    ),
    Layout(
        "consumedetailbillv2daysummary", ("账单日期", "应付金额(含税)"), ("消费时间", "服务开始时间"), "", "资源购买账号ID",
        "账单月份", "账单日期", "应付金额(含税)", "产品Code", "实例ID(出账粒度)", "定价币种",
        _V2, (), (), "aggregate",
    ),
    Layout(
        "consumedetailbillv2-en", ("BillingMonth|BillingDate", "TaxExclusivePayableAmount"), (), "",
        "ResourcePurchaseAccountId", "BillingMonth", "BillingDate", "TaxExclusivePayableAmount", "ProductCode", "InstanceId",
        "Currency", ("OrderId", "ResourceOwnerAccountId", "CommodityCode", "BillingItemCode", "UsageUnit"),
        ("Usage", "GrossAmount"), (), commodity="CommodityCode", service="ProductName", charge="LineItemType", trade="",
        tags="ResourceTag",
    ),
    Layout(
        "billingitemdetail", ("应付金额", "账单月份|账期|账单周期|账单日期|账务日期"), ("欠费金额",), "主键", "资源购买账号ID",
        "账单月份|账期|账单周期", "账单日期|账务日期|消费时间|扣费时间", "应付金额", "产品Code",
        "资产/资源实例ID|实例ID(出账粒度)|实例ID|资产ID", "定价币种",
        ("资源归属账号ID", "商品Code", "计费项Code", "用量单位"), ("用量", "目录总价"), ("消费时间", "扣费时间"),
        service="产品名称|产品", trade="", tags="实例标签|标签",
    ),
    Layout(
        "instancedetail", ("账期", "应付金额", "欠费金额"), (), "", "账号ID", "账期", "账单开始时间|消费时间", "应付金额",
        "产品Code", "实例ID", "",
        ("订单号/账单号", "账单开始时间", "产品明细Code", "计费项", "用量单位"),
        ("账单结束时间", "用量", "原价"), ("消费时间", "账单开始时间", "账单结束时间"),
        commodity="产品明细Code", service="产品", charge="账单类型", trade="消费类型",
        outstanding="欠费金额", paid=("现金支付", "代金券抵扣", "储值卡支付金额"),
        tags="实例标签",
    ),
    Layout(
        "instancedetail-en", ("BillingCycle", "PretaxAmount"), (), "", "AccountID", "BillingCycle",
        "UsageStartTime|PaymentTime", "PretaxAmount", "ProductCode", "InstanceID", "Currency",
        ("RecordID", "UsageStartTime", "OwnerID", "ProductType"),
        ("UsageEndTime", "PretaxGrossAmount"), ("PaymentTime", "UsageStartTime", "UsageEndTime"),
        commodity="ProductType", service="ProductName", charge="Item", trade="SubscriptionType",
        outstanding="OutstandingAmount", paid=("PaymentAmount", "DeductedByCashCoupons", "DeductedByPrepaidCard"),
        tags="Tag|InstanceTag",
    ),
    Layout(
        "focus", ("BilledCost", "BillingPeriodStart"), (), "", "BillingAccountId", "BillingPeriodStart", "ChargePeriodStart",
        "BilledCost", "", "x_InstanceID|ResourceId", "BillingCurrency",
        ("ChargePeriodStart", "SubAccountId", "ServiceName", "x_CommodityCode|SkuId", "x_BillingItemCode|SkuPriceId",
         "PricingUnit"),
        ("ChargePeriodEnd", "PricingQuantity", "ListCost"), ("ChargePeriodStart", "ChargePeriodEnd"), "snapshot",
        commodity="x_CommodityCode|SkuId", service="ServiceName", charge="ChargeCategory", trade="ChargeClass", tags="Tags",
        null="NULL",
    ),
)  # fmt: skip
API = Layout(
    "describeinstancebill", (), (), "", "AccountID", "BillingCycle", "BillingDate", "PretaxAmount", "ProductCode",
    "InstanceID", "Currency",
    ("BillAccountID|OwnerID", "CommodityCode|ProductType", "BillingItemCode", "UsageUnit"),
    ("Usage", "PretaxGrossAmount"), (), commodity="CommodityCode|ProductType", service="ProductName", charge="Item",
    trade="SubscriptionType", outstanding="OutstandingAmount",
    paid=("PaymentAmount", "DeductedByCashCoupons", "DeductedByPrepaidCard", "AdjustAmount"),
    tags="Tag",
)  # fmt: skip


@dataclass(frozen=True)
class Hints:
    """What the configuration knows: the currency of each account, and whose bills are those that name nobody."""

    currencies: Mapping[str, str] = field(default_factory=dict)
    account: str = ""


NO_HINTS = Hints()

NamedContent = tuple[str, bytes]
"""The name of a file and what it holds."""


@dataclass(frozen=True)
class Line:
    """One line as it counts."""

    account: str
    month: str
    day: str
    amount: Decimal
    product: str
    workspace: str
    currency: str
    tags: str
    """A JSON object with sorted keys; empty for none."""
    line_id: str
    alike: tuple[str, ...]
    content: tuple[str, ...]
    order: tuple[str, ...]
    sort: str = "other"
    owner: str = ""
    """The account or sub-account that it is charged for, where the bill tells."""
    outstanding: Decimal | None = None
    """What of it is not paid yet, where the bill tells."""

    @property
    def unsettled(self) -> Decimal:
        """What is subtracted from a balance that comes from bills: a subscription is paid when it is ordered."""
        if self.sort.startswith("subscription"):
            return Decimal(0)
        return self.amount if self.outstanding is None else self.outstanding


@dataclass(frozen=True)
class Statement:
    """What one file says."""

    series: str
    identity: str
    """id, group or content."""
    kind: str
    stamp: str
    reach: Mapping[tuple[str, str], str]
    """For complete ones, by account and month, up to when they reach."""
    days: Mapping[tuple[str, str], frozenset[str]]
    """The days that a complete one is complete for, by account and month."""
    owners: frozenset[str] | None
    """Those that a complete one is complete for; None: all."""
    part: int
    """Its number; 0 where it has none."""
    slot: str
    """The name of a part of which nothing tells when it was written; empty for all others."""
    lines: Sequence[Line]


def _selection(name: str, layout: Layout, kind: str) -> Iterator[str]:
    """Yield what else than the usual bill the file is: the whole money once more, divided or summed up."""
    own = name.casefold().split("/")[-1]
    yield from [word for word in ("splitdetailbillv2", "costdetailbillv2", "splititemdetail") if word in own][:1]
    if kind == "aggregate" and layout.kind != "aggregate":
        yield "aggregate"


@dataclass(frozen=True)
class Row:
    """One line of a table, its cells by the names of their columns; `a|b` is the first of them that there is."""

    columns: Mapping[str, int]
    cells: Sequence[str]
    null: str = ""

    def has(self, told: str) -> bool:
        """Tell whether there is such a column."""
        return any(normal(one) in self.columns for one in told.split("|") if one)

    def raw(self, told: str) -> str:
        """Return what stands there; nothing without such a column."""
        places = (self.columns.get(normal(one)) for one in told.split("|") if one)
        return next((self.cells[place] for place in places if place is not None), "")

    def cell(self, told: str) -> str:
        """Return it without what clings to it."""
        text = _clean(self.raw(told))
        return "" if text == self.null else text


class UnreadableError(ValueError):
    """What is not plainly right."""


@cache
def normal(name: str) -> str:
    """Return a header name as names are compared."""
    text = re.sub(r"\s", "", unicodedata.normalize("NFKC", name.replace("\ufeff", ""))).casefold()
    head, slash, rest = text.partition("/")
    return rest if slash and (head.endswith("信息") or re.fullmatch(r"[a-z]+details", head)) else text


def read_statement(name: str, content: bytes, hints: Hints = NO_HINTS) -> Statement:
    """Return what a file says; whatever is not plainly right raises `ValueError` or `csv.Error`."""
    return _read(name, content, tuple(hints.currencies.items()), hints.account)


@lru_cache(maxsize=128)
def _read(name: str, content: bytes, currencies: tuple[tuple[str, str], ...], account: str) -> Statement:
    """Read it once for all sums that a test asks for."""
    text, hints = _decoded(content), Hints(dict(currencies), account)
    if text.lstrip()[:1] in {"{", "["}:
        pages = _pages(text)
        layout, table = API, _items(pages)
        kind = "snapshot" if _is_complete(pages) else "upsert"
    else:
        table = _table(text)
        layout = _recognised(name, table[0])
        kind = _kind(name) if layout.kind != "aggregate" else ""
        kind = kind or layout.kind
    return _statement(name, layout, kind, table, hints)


def _decoded(content: bytes) -> str:
    """Return the text of a file, which must not end within a line."""
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030").removeprefix("\ufeff")


def _table(text: str) -> list[list[str]]:
    if "\0" in text or not text.endswith(("\n", "\r")):
        raise UnreadableError
    csv.field_size_limit(16 * 1024 * 1024)
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(map(_clean, row))]
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise UnreadableError
    return rows


def _pages(text: str) -> list[Any]:
    """Return the answers in a file: one, a list of them, or one a line."""
    try:
        said = _parsed(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise
        said = [_parsed(line) for line in text.splitlines() if line.strip()]
    pages = said if isinstance(said, list) else [said]
    if not pages:
        raise UnreadableError
    return pages


def _parsed(text: str) -> Any:  # noqa: ANN401 -- whatever JSON holds
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise UnreadableError
        return dict(pairs)

    return json.loads(text, parse_float=str, parse_int=str, parse_constant=_no_number, object_pairs_hook=once)


def _no_number(text: str) -> Any:  # noqa: ANN401 -- it never returns
    raise UnreadableError(text)


def _items(pages: Sequence[Any]) -> list[list[str]]:
    """Return the items of the answers as a table."""
    read = [one for one in (*vars(API).values(), *API.alike, *API.content, *API.paid) if isinstance(one, str)]
    known = {name for one in read for name in one.split("|")}
    rows: list[dict[str, str]] = []
    for page in pages:
        if not isinstance(page, dict) or page.get("Success") is False or not isinstance(page.get("Data"), dict):
            raise UnreadableError
        data = page["Data"]
        items = data.get("Items")
        items = items.get("Item") if isinstance(items, dict) else items
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise UnreadableError
        said = {name: data[name] for name in ("AccountID", "BillingCycle") if data.get(name) is not None}
        rows += [{name: _cell(value) for name, value in {**said, **item}.items() if name in known} for item in items]
        if any(item.get(name) is None for item in items for name in ("InstanceID", "PretaxAmount")):
            raise UnreadableError
    counts = [page["Data"].get("TotalCount") for page in pages]
    told = [int(count) for count in counts if isinstance(count, str) and re.fullmatch("[0-9]{1,9}", count)]
    if max(told, default=len(rows)) < len(rows):
        raise UnreadableError
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [names, *([row.get(name, "") for name in names] for row in rows)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise UnreadableError
    return value


def _is_complete(pages: Sequence[Any]) -> bool:
    count = sum(len(items if isinstance(items := page["Data"]["Items"], list) else items["Item"]) for page in pages)
    return not pages[-1]["Data"].get("NextToken") and all(page["Data"].get("TotalCount") == str(count) for page in pages)


def _recognised(name: str, header: Sequence[str]) -> Layout:
    names = [normal(cell) for cell in header]
    fitting = []
    for layout in LAYOUTS:
        has = all(any(normal(one) in names for one in needed.split("|")) for needed in layout.needs)
        if has and not any(normal(one) in names for one in layout.lacks):
            fitting.append(layout)
    for told, meant in (("daysummary", "consumedetailbillv2daysummary"), ("consumedetailbillv2", "consumedetailbillv2")):
        by_name = [layout for layout in fitting if layout.name == meant and told in name.casefold()]
        fitting = by_name if len(fitting) > 1 and by_name else fitting
    if len(fitting) != 1:
        raise UnreadableError
    (layout,) = fitting
    for told in (getattr(layout, part) for part in ("line_id", "account", "month", "day", "amount", "product", "instance")):
        read = [one for one in map(normal, told.split("|")) if one and one in names]
        if any(names.count(one) > 1 for one in (read if told == layout.day else read[:1])):
            raise UnreadableError
    return layout


def _kind(name: str) -> str:
    own = name.casefold().split("/")[-1]
    if "daysummary" in own:
        return "aggregate"
    if re.search(r"(billingitemdetail|instancedetail)_20[0-9]{6}(?![0-9])", own):
        return "delta"
    if re.search(r"(detailmonthly|splititemdetaildaily|(billingitem|instance)detail)_20[0-9]{4}(?![0-9])", own):
        return "snapshot"
    if re.match(r"[0-9]+_[0-9]+_([a-z]+billv2|focus)_20[0-9]{4}", own) or re.search(r"(^|[_-])focus[_.-]", own):
        return "snapshot"
    return ""


def _exported(name: str) -> str:
    """Return the stamp that a name tells; empty if it tells none."""
    *folders, own = name.casefold().split("/")
    if found := re.search(r"(?<![0-9])(20[0-9]{12})(?![0-9])", own):
        return found[1]
    if found := re.match(r"[0-9]+_([0-9]+_)?[a-z0-9]+_(20[0-9]{6})(?![0-9-])", own):
        return _next_day(found[2])
    if re.match(r"[0-9]+_([0-9]+_)?[a-z0-9]+_20[0-9]{4}(?![0-9-])", own):
        own = ""
    for folder in reversed(folders):
        if found := re.search(r"(?<![0-9])(20[0-9]{12})(?![0-9])", folder):
            return found[1]
        if found := re.search(r"(?<![0-9])(20[0-9]{10})(?![0-9])", folder):
            return f"{found[1]}00"
        if re.search(r"(20[0-9]{2}-?[0-9]{2}-?[0-9]{2})[-_]20[0-9]{2}-?[0-9]{2}-?[0-9]{2}", folder):
            continue
        if found := re.search(r"(?<![0-9])(20[0-9]{2})-?([0-9]{2})-?([0-9]{2})(?![0-9])", folder):
            return _next_day("".join(found.groups()))
    return ""


def _part(name: str) -> int:
    """Return the number that stands at the end, behind all dates; 0 if none does."""
    own = name.casefold().rpartition("/")[2]
    if found := re.search(r"^part_([0-9]+)_([0-9]{4})\.|-(0[0-9]{4})\.", own):
        return int("".join(filter(None, found.groups())))
    if not re.match(r"(?!20[0-9]{12}(?![0-9]))[0-9]{12,32}(?![0-9])", own, re.ASCII):
        return 0
    dates = list(re.finditer(r"20[0-9]{2}(-?[0-9]{2}){1,5}", own, re.ASCII))
    behind = own[dates[-1].end() :] if dates else own
    found = re.search(r"(_|[_-]part[_-]?)([0-9]{1,5})(\.[a-z0-9]+)*$", behind, re.ASCII)
    return int(found[2]) if found else 0


def _next_day(day: str) -> str:
    return (datetime.strptime(day, "%Y%m%d") + timedelta(days=1)).strftime("%Y%m%d000000")  # noqa: DTZ007 -- wall time


def _statement(name: str, layout: Layout, kind: str, table: list[list[str]], hints: Hints) -> Statement:
    header, *rows = table
    columns = {normal(cell): place for place, cell in reversed(list(enumerate(header)))}
    named = re.match(r"(?!20[0-9]{12}(?![0-9]))([0-9]{12,32})(?![0-9])", name.rsplit("/", maxsplit=1)[-1])
    lines: list[Line] = []
    moments: list[str] = []
    for row in (Row(columns, cells, layout.null) for cells in rows):
        if not _is_total(layout, row):
            lines.append(_line(layout, row, named[1] if named else "", hints))
            moments += [_moment(row.cell(told)) for told in layout.reach if lines[-1].sort in {"usage", "free", "other"}]
    has_ids = bool(layout.line_id) and normal(layout.line_id) in columns
    if has_ids and any(not line.line_id for line in lines):
        raise UnreadableError
    if kind == "snapshot" and _part(name) and not _exported(name):
        kind = "upsert"
    identity = "id" if has_ids else "content" if kind in {"delta", "snapshot"} else "group"
    lines = _once(lines) if has_ids else lines
    data_until = max(filter(None, moments), default="") or max(
        (line.day.replace("-", "") + "000000" for line in lines), default=""
    )
    exported = _exported(name)
    stamp = exported or data_until
    reach: dict[tuple[str, str], str] = {}
    if kind == "snapshot" and data_until:
        # Sums of both signs sort right once they are all above zero.
        weight = (_total(lines) + 10**28).scaleb(10, Context(prec=60))
        stamp = f"{max(stamp, data_until)}/{len(lines):012d}/{int(weight):039d}"
        for line in lines:
            place = (line.account, line.month)
            end = (date.fromisoformat(line.day) + timedelta(days=1)).strftime("%Y%m%d000000")
            reach[place] = max(reach.get(place, ""), min(end, data_until))
    slot = name.casefold() if _part(name) and not exported and kind != "snapshot" else ""
    stamp += "~" if slot else ""
    days = {
        place: _complete_days(
            {line.day for line in lines if (line.account, line.month) == place}, layout, _pushed(name, place[1])
        )
        for place in reach
    }
    owns = any(normal(one) in columns for told in _OWNERS.intersection(layout.alike) for one in told.split("|"))
    owners = frozenset(line.owner for line in lines) if owns and layout is not API else None
    series = ".".join((_series(layout, columns, identity), *_selection(name, layout, kind)))
    return Statement(series, identity, kind, stamp, reach, days, owners, _part(name), slot, lines)


def _pushed(name: str, month: str) -> str:
    """Return the first day of the month if the provider pushes the month so far under such a name."""
    own = name.casefold().rpartition("/")[2]
    is_pushed = re.match(r"[0-9]+_([0-9]+_)?[a-z0-9]+_20[0-9]{4}([0-9]{2})?(?![0-9-])", own)
    return f"{month}-01" if is_pushed and _kind(name) == "snapshot" else "9999-12-31"


def _complete_days(named: set[str], layout: Layout, pushed: str) -> frozenset[str]:
    """Return the days that a file is complete for: those between its first and its last, or those that the API names."""
    if layout is API:
        return frozenset(named)
    first, last = (date.fromisoformat(day) for day in (min(pushed, *named), max(named)))
    return frozenset((first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1))


def _once(lines: Sequence[Line]) -> list[Line]:
    """Return the lines, of those with one id the one that counts."""
    best: dict[tuple[str, str], Line] = {}
    for line in lines:
        place = (line.account, line.line_id)
        best[place] = max(best.get(place, line), line, key=_rank)
    return list(best.values())


def _rank(line: Line) -> tuple[Any, ...]:
    return line.amount, line.month, line.day, line.order


def _is_total(layout: Layout, row: Row) -> bool:
    """Tell whether the line sums up others: it says so, and has neither a date nor an instance that say something else."""

    def word(cell: str) -> str:
        return _clean(cell).rstrip(":：").casefold()

    told = {word(row.cell(place)) for place in (*layout.day.split("|"), layout.instance)}
    return bool(_TOTALS & set(map(word, row.cells))) and told <= _TOTALS | {""}


def _series(layout: Layout, columns: Mapping[str, int], identity: str) -> str:
    parts = [layout.name]
    if layout.name == "billingitemdetail":
        parts += [] if {"计费项code", "计费项"} & columns.keys() else ["instance"]
        parts += [] if {"账单日期", "账务日期", "消费时间", "扣费时间"} & columns.keys() else ["month"]
    if layout is API and columns and "billingdate" not in columns:
        parts.append("month")
    if layout.line_id and identity == "content":
        parts.append("unkeyed")
    if identity == "group" and layout.kind != "aggregate":
        parts.append("export")
    return ".".join(parts)


def _line(layout: Layout, row: Row, named: str, hints: Hints) -> Line:
    cell, account = row.cell, _account(row.cell(layout.account), named, hints)
    if layout.name != "focus" and not re.fullmatch(r"[0-9]{1,32}", account):
        raise UnreadableError
    day, month = _day(layout, row), _month(cell(layout.month))
    month = month or day[:7]
    if not month:
        raise UnreadableError
    currency = cell(layout.currency) or hints.currencies.get(account, "")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise UnreadableError
    instance, product = cell(layout.instance), _product(layout, row)
    first, *others = (row.raw(told) if _is_moment(told) else _owner(told, cell(told), account) for told in layout.alike)
    sort = _sort(cell(layout.charge), cell(layout.trade), cell(layout.commodity))
    figures = map(row.raw, ("目录总价", "用量", "消费时间|扣费时间|服务开始时间"))
    return Line(
        account=account,
        month=month,
        day=day or f"{month}-01",
        amount=_amount(cell(layout.amount), decimals=30 if layout.name == "focus" else 10),
        product=product,
        workspace=_workspace(instance, product),
        currency=currency,
        tags=(tags := tags_in(cell(layout.tags))),
        line_id=cell(layout.line_id),
        alike=(first, product, *others, instance, currency, sort),
        content=tuple(row.raw(told) for told in layout.content),
        order=(*figures, first, product, *others, instance, currency, sort, tags),
        sort=sort,
        owner=next((_owner(told, cell(told), account) for told in layout.alike if told in _OWNERS), ""),
        outstanding=_outstanding(layout, row),
    )


def _outstanding(layout: Layout, row: Row) -> Decimal | None:
    said = row.cell(layout.outstanding)
    if said in {"", "-"}:
        return None
    paid = [row.cell(column) for column in layout.paid if row.has(column)]
    is_paid = any(re.match("[^1-9eE]*[1-9]", cell) for cell in paid)
    is_silent = not _amount(said) and _amount(row.cell(layout.amount)) and paid and not is_paid
    return None if is_silent else _amount(said)


def _sort(charge: str, trade: str, commodity: str) -> str:
    """Return what sort of charge it is; what is subscription money begins with that word."""
    told = [
        sort for cell in (charge.casefold(), trade.casefold()) for sort, words in _SORTS if any(word in cell for word in words)
    ]
    plans = [sort for sort in told if sort in {"usage", "subscription"}]
    if not plans and any(mark in commodity.lower() for mark in ("_spn", "codingplan", "tokenplan")):
        plans = ["subscription"]
    others = [sort for sort in told if sort not in {"usage", "subscription"}]
    if plans[:1] == ["subscription"] and others[:1] in (["refund"], ["adjustment"]):
        return f"subscription_{others[0]}"
    return (others or plans or ["other"])[0]


def _account(said: str, named: str, hints: Hints) -> str:
    only = next(iter(hints.currencies)) if len(hints.currencies) == 1 else ""
    account = _lengthened(said or named or hints.account or only, hints.currencies)
    if not account or (hints.currencies and account not in hints.currencies):
        raise UnreadableError
    return account


def _owner(column: str, said: str, account: str) -> str:
    """Return the cell; where it is an owner's id that a spreadsheet has shortened and that may be the account's, that."""
    return (_lengthened(said, [account]) or said) if column in _OWNERS else said


def _lengthened(said: str, known: Iterable[str]) -> str:
    """Return the id that a spreadsheet has shortened; empty where that cannot be told."""
    if not _SHORTENED.fullmatch(said):
        return said
    digits = len(said.lower().partition("e")[0].partition(".")[2])
    shown = f"{Decimal(said):.{digits}E}"
    meant = [one for one in known if one.isdigit() and f"{Decimal(one):.{digits}E}" == shown]
    return meant[0] if len(meant) == 1 else ""


def _product(layout: Layout, row: Row) -> str:
    if code := row.cell(layout.product):
        return code
    name = "" if row.has(layout.product) else row.cell(layout.service)
    is_ours = name.lower() in {"大模型服务平台百炼", "alibaba cloud model studio"}
    return "sfm" if is_ours or row.cell(layout.commodity).lower().startswith("sfm") else name


def _day(layout: Layout, row: Row) -> str:
    """Return the date, which may stand in any of its columns."""
    for told in layout.day.split("|"):
        if found := row.cell(told):
            # A mark glued to the date is cleaned off there as it is at the edge of any cell.
            return _date(_clean(re.split("[ T\t]", found)[0]) if _is_moment(told) else found)
    return ""


def _is_moment(name: str) -> bool:
    return bool(re.search("时间|Time|Start", name))


def _clean(cell: str) -> str:
    return cell.strip(_JUNK).lstrip("'`")


def _amount(text: str, *, decimals: int = 10) -> Decimal:
    """Return the amount with ten decimals; where there may be more of them, the nearest one, of two the even one."""
    if text in {"", "-"}:
        return Decimal(0)
    if not _AMOUNT.fullmatch(text):
        raise UnreadableError
    with localcontext(prec=400):
        amount = Decimal(text.replace(",", ""))
        if abs(amount) >= Decimal("1e28"):
            raise UnreadableError
        is_long = amount != amount.quantize(Decimal("1e-10"))
        if is_long and (abs(amount) >= Decimal("1e27") or amount != amount.quantize(Decimal(1).scaleb(-decimals))):
            raise UnreadableError
        return amount.quantize(Decimal("1e-10"))


def _date(text: str) -> str:
    if not text:
        return ""
    clock = r"([ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
    found = re.fullmatch(rf"(2[0-9]{{3}})([0-9]{{2}})([0-9]{{2}}){clock}", text, re.ASCII) or re.fullmatch(
        rf"(2[0-9]{{3}})[-/.]([0-9]{{1,2}})[-/.]([0-9]{{1,2}}){clock}", text, re.ASCII
    )
    found = found or re.fullmatch(r"(2[0-9]{3})年([0-9]{1,2})月([0-9]{1,2})日", text, re.ASCII)
    if not found:
        raise UnreadableError
    return date(int(found[1]), int(found[2]), int(found[3])).isoformat()


def _month(text: str) -> str:
    if not text:
        return ""
    if found := re.fullmatch(r"(2[0-9]{3})[-/.]?([0-9]{2})|(2[0-9]{3})[-/.]([0-9])", text, re.ASCII):
        year, month = (found[1], found[2]) if found[1] else (found[3], found[4])
    elif found := re.fullmatch(r"([A-Za-z]{3})-([0-9]{2})", text, re.ASCII):
        names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        if found[1].lower() not in names:
            raise UnreadableError
        year, month = f"20{found[2]}", str(names.index(found[1].lower()) + 1)
    elif found := re.fullmatch(r"(2[0-9]{3})年([0-9]{1,2})月", text, re.ASCII):
        year, month = found[1], found[2]
    else:
        return _date(text)[:7]
    return date(int(year), int(month), 1).isoformat()[:7]


def _moment(text: str) -> str:
    found = re.match(r"(2[0-9]{3})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})", text, re.ASCII)
    return "".join(found.groups()) if found else ""


_SHORTENED = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]{1,3}", re.ASCII)


def _workspace(instance: str, product: str) -> str:
    return workspace_in(instance) if product in {"sfm", ""} else ""


def workspace_in(instance: str) -> str:
    """Return the workspace that an instance id names; empty for none."""
    parts = [_clean(part) for part in re.split("[;!]", instance)]
    where = {(";", 5): 1, (";", 6): 1, ("!", 3): 0}.get(("".join(set(re.findall("[;!]", instance))), len(parts)))
    if where is not None and parts[where].startswith("llm-"):
        return parts[where]
    named = {part for part in parts if part.startswith("llm-")}
    return named.pop() if len(named) == 1 else ""


def tags_in(cell: str) -> str:
    """Return the tags that a cell holds, as a JSON object with sorted keys; empty for none."""
    text = cell.strip()
    tags: dict[str, Any] = {"": text} if text else {}
    if text.startswith("{"):
        with suppress(ValueError, RecursionError):
            said = dict(json.loads(text).items())
            _dumped(said).encode()  # half a surrogate pair and an infinite number are nothing that can be written again
            tags = said
    else:
        named = [re.fullmatch("(?s)key:(.+?) value:(.*)", part) for part in re.split(r";\s*(?=key:)", text.rstrip("; "))]
        pairs = [part.split(":", 1) for part in text.split(";") if part.strip()]
        if all(named):
            tags = {tag[1].strip(): tag[2].strip() for tag in named if tag}
        elif not any(named) and any(len(pair) > 1 for pair in pairs) and all(pair[0].strip() for pair in pairs):
            tags = {pair[0].strip(): "".join(pair[1:]).strip() for pair in pairs}
    return _dumped(tags) if tags else ""


def _dumped(tags: Any) -> str:  # noqa: ANN401 -- whatever JSON holds
    return json.dumps(tags, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def month_to_date(files: Iterable[tuple[str, bytes]], hints: Hints = NO_HINTS, products: Sequence[str] | None = None) -> Sums:
    """Return the exact sums over the files, given by name and content."""
    return _summed(_chosen(files, hints, products))


def unsettled(files: Iterable[tuple[str, bytes]], hints: Hints = NO_HINTS) -> dict[tuple[str, str, str], Decimal]:
    """Return what is unsettled by the files, all products, by account, month and currency."""
    sums: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    with localcontext(prec=60):
        for line in _chosen(files, hints, None):
            sums[line.account, line.month, line.currency] += line.unsettled
    return dict(sums)


def _chosen(files: Iterable[tuple[str, bytes]], hints: Hints, products: Sequence[str] | None) -> Iterator[Line]:
    """Yield the lines that count, of the one series of each account and month that counts."""
    found: dict[tuple[str, str], dict[str, list[Line]]] = defaultdict(dict)
    # The same file once more changes nothing.
    statements = [read_statement(name, content, hints) for name, content in dict.fromkeys(files)]
    for series in {statement.series for statement in statements}:
        mine = [statement for statement in statements if statement.series == series]
        for place in {(line.account, line.month) for statement in mine for line in statement.lines}:
            if counting := list(_counting(mine, place)):
                found[place][series] = counting
    return (line for told in found.values() for line in _heaviest(told, products))


def _heaviest(told: Mapping[str, Sequence[Line]], products: Sequence[str] | None) -> Sequence[Line]:
    lines = Counter(line.currency for counting in told.values() for line in counting)
    currency = min(lines, key=lambda one: (-lines[one], one))

    def weight(series: str) -> tuple[Decimal, Decimal, int, int, str]:
        mine = [line for line in told[series] if line.currency == currency]
        asked = [line for line in mine if products is None or line.product in products]
        summed = sum(series.startswith(word) for word in ("consumedetailbillv2daysummary", "describeinstancebill"))
        summed += sum(word in series.split(".")[1:] for word in ("aggregate", "instance", "month"))
        return _total(asked), _total(mine), -summed, len(told[series]), series

    return told[max(told, key=weight)]


def _total(lines: Iterable[Line]) -> Decimal:
    with localcontext(prec=60):
        return sum((line.amount for line in lines), Decimal(0))


def _counting(statements: Sequence[Statement], place: tuple[str, str]) -> Iterator[Line]:
    """Yield the lines of one series, account and month that count."""

    def is_gone(stamp: str, line: Line) -> bool:
        of_day = [one for one in statements if place in one.reach and line.day in one.days[place]]
        complete = [one for one in of_day if one.owners is None or line.owner in one.owners]
        bounds = [one.stamp if "/" in stamp else one.reach[place] for one in complete]
        return stamp < max(bounds, default="")

    versions: dict[tuple[object, int], list[tuple[tuple[Any, ...], Sequence[Line]]]] = defaultdict(list)
    newest: dict[object, str] = defaultdict(str)
    is_group = statements[0].identity == "group"
    last = {
        statement.slot: statement
        for statement in statements
        if any((one.account, one.month) == place for one in statement.lines)
    }
    for statement in statements:
        if statement.slot and last.get(statement.slot) is not statement:
            continue
        lines = [line for line in statement.lines if (line.account, line.month) == place]
        part = 0 if statement.identity == "id" else statement.part
        for known_by, age, members in _VERSIONS[statement.identity](lines):
            versions[known_by, part].append(((statement.stamp, *age), members))
            newest[known_by] = max(newest[known_by], statement.stamp)
    found: list[tuple[tuple[Any, ...], _Found]] = []
    for (known_by, part), told in versions.items():
        latest = max((age[0] for age, _ in told if age[0].endswith("~")), default="")
        by_age = {(latest if is_group and age[0].endswith("~") else age[0], *age[1:]): (age, members) for age, members in told}
        age, members = by_age[max(by_age)]
        are_undated = age[0].endswith("~") and newest[known_by].endswith("~")
        is_newest = age[0] == newest[known_by] or are_undated or not is_group
        if is_newest and not is_gone(age[0], members[0]):
            found.append((age, (part if age[0].endswith("~") else 0, part > 0, members)))
    if statements[0].identity == "id":
        by_id = {members[0].line_id: members for _, (_, _, members) in sorted(found, key=lambda one: one[0])}
        return (line for members in by_id.values() for line in members)
    return _without_copies([one for _, one in found])


_Found = tuple[int, bool, Sequence[Line]]
"""Lines of what may be a push of its own, and whether they stand in a part."""


def _without_copies(found: Sequence[_Found]) -> Iterator[Line]:
    """Yield of lines of parts as many as the push has that has most of them, and of others as many as these have more."""
    pushes: dict[int, Counter[object]] = defaultdict(Counter)
    for push, is_part, members in found:
        pushes[push].update(_content(line) for line in members if is_part)
    most: Counter[object] = Counter()
    for alike in pushes.values():
        most |= alike
    left = {is_part: Counter(most) for is_part in (True, False)}
    for _, is_part, members in found:
        for line in members:
            left[is_part][_content(line)] -= 1
            if (left[is_part][_content(line)] >= 0) == is_part:
                yield line


def _content(line: Line) -> tuple[object, ...]:
    return line.day, line.alike, line.content, line.amount


_Version = tuple[object, tuple[Any, ...], Sequence[Line]]


def _by_id(lines: Sequence[Line]) -> Iterator[_Version]:
    return (((line.line_id, line.day), _rank(line), [line]) for line in lines)


def _by_content(lines: Sequence[Line]) -> Iterator[_Version]:
    times: Counter[object] = Counter()
    for line in lines:
        same = _content(line)
        times[same] += 1
        yield (same, times[same]), (), [line]


def _by_group(lines: Sequence[Line]) -> Iterator[_Version]:
    groups: dict[object, list[Line]] = defaultdict(list)
    for line in lines:
        groups[line.day, line.alike].append(line)
    return ((group, (len(members), _total(members)), members) for group, members in groups.items())


_VERSIONS = {"id": _by_id, "content": _by_content, "group": _by_group}


def _summed(lines: Iterable[Line]) -> Sums:
    sums: Sums = defaultdict(Decimal)
    with localcontext(prec=60):
        for line in lines:
            sums[line.account, line.month, line.product, line.workspace, line.currency] += line.amount
    return dict(sums)


def spend_by_day(
    files: Iterable[tuple[str, bytes]], hints: Hints = NO_HINTS, products: Sequence[str] | None = None
) -> dict[tuple[str, str, str, str], Decimal]:
    """Return the exact sums over the files of these products, by month, day, workspace and currency."""
    found: dict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
    with localcontext(prec=60):
        for line in _chosen(files, hints, products):
            if products is None or line.product in products:
                found[line.month, line.day, line.workspace, line.currency] += line.amount
    return dict(found)


def spend_by_tags(content: NamedContent, hints: Hints = NO_HINTS) -> dict[tuple[str, str], Decimal]:
    """Return the sums over the lines of one file by their tags and currency."""
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    with localcontext(prec=60):
        for line in read_statement(*content, hints).lines:
            found[line.tags, line.currency] += line.amount
    return dict(found)


def naive_sum(files: Iterable[tuple[str, bytes]], hints: Hints = NO_HINTS, *, product: str) -> Decimal:
    """Return what one gets who just adds up all lines of all files, as scripts do."""
    lines = (line for name, content in files for line in read_statement(name, content, hints).lines)
    return _total(line for line in lines if line.product == product)


def spend_by_workspace(files: Iterable[Path], *, month: str, product: str) -> dict[tuple[str, str], Decimal]:
    """Return month-to-date spend by workspace and currency, over all accounts."""
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for key, amount in month_to_date((path.name, path.read_bytes()) for path in files).items():
        _, billed_in, billed_for, workspace, currency = key
        if (billed_in, billed_for) == (month, product):
            found[workspace, currency] += amount
    return dict(found)
