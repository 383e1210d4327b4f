"""The same charges in every layout, and a month in which charges come late, change and vanish."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, localcontext
from random import Random

from bill_builder import ACCOUNT, a_bill, a_line

NamedFile = tuple[str, bytes]


@dataclass(frozen=True)
class Charge:
    """One thing that somebody is charged for."""

    number: int
    day: date
    amount: Decimal
    workspace: str = "llm-a"
    api_key: str = "1200345"
    model: str = "qwen-max"
    type: str = "output_token"
    channel: str = ""
    product: str = "sfm"
    commodity: str = "sfm_inference_public_cn"
    item: str = "token_number"
    sort: str = "usage"
    hour: int = 9
    usage: str = "1.5"
    tags: str = ""
    owner: str = ACCOUNT
    month: str = ""
    outstanding: str | None = None
    """As the bill has it; None: all of it is."""

    @property
    def period(self) -> str:
        """The billing month as `YYYY-MM`."""
        return self.month or f"{self.day:%Y-%m}"

    @property
    def instance(self) -> str:
        if self.product != "sfm":
            return "cn-shanghai;standard"
        return f"{self.api_key};{self.workspace};{self.model};{self.type};{self.channel};0"

    @property
    def starts(self) -> str:
        return f"{self.day} {self.hour:02d}:00:00"

    @property
    def ends(self) -> str:
        return f"{self.day} {self.hour:02d}:59:59"

    @property
    def cost(self) -> str:
        return format(self.amount, "f")

    @property
    def is_plan(self) -> bool:
        return self.sort in {"plan", "refund"}

    @property
    def owed(self) -> str:
        return self.cost if self.outstanding is None else self.outstanding

    @property
    def paid(self) -> str:
        """What was paid, where the bill says that nothing is outstanding."""
        return self.cost if self.is_plan or (self.outstanding == "0" and self.number % 2) else "0"


_SORTS = {
    "usage": ("云资源按量费用", "后付费", "后付费账单", "PayAsYouGoBill", "Pay-As-You-Go", "Usage", ""),
    "free": ("免费额度", "后付费", "后付费账单", "PayAsYouGoBill", "Free Quota", "Usage", ""),
    "plan": ("订阅预付费用", "新购", "预付费账单", "SubscriptionOrder", "Subscription Upfront Fee", "Purchase", ""),
    "refund": ("订阅退款费用", "退款", "退款", "Refund", "Subscription Refund Fee", "Purchase", "Correction"),
    "return": ("云资源退款", "退款", "退款", "Refund", "Refund", "Usage", "Correction"),
    "adjustment": ("调账", "", "调账", "Adjustment", "Adjustment", "Adjustment", ""),
}


def table(name: str, rows: Iterable[Mapping[str, str]], columns: Sequence[str]) -> NamedFile:
    """Return a file with a table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row[column] for column in columns] for row in rows)
    return name, b"\xef\xbb\xbf" + text.getvalue().encode()


def detail(charges: Iterable[Charge], exported: str) -> NamedFile:
    """Return the console's new detail export, in Chinese."""
    lines = [
        a_line(
            line_id=f"{charge.period.replace('-', '')}_0700v1_019_{charge.number:032x}_01_{charge.number:020d}",
            day=f"{charge.day:%Y%m%d}", month=charge.period.replace("-", ""), time=charge.starts[11:], until=charge.ends,
            amount=charge.cost, instance=charge.instance, product=charge.product, commodity=charge.commodity, item=charge.item,
            charge=_SORTS[charge.sort][0], trade=_SORTS[charge.sort][1], usage=charge.usage,
        )
        for charge in charges
    ]  # fmt: skip
    return a_bill(lines, exported=exported)


def pushed_detail(charges: Iterable[Charge], day: date) -> NamedFile:
    """Return the same as it is pushed every day, complete."""
    return f"{ACCOUNT}_26888_consumeDetailBillV2_{day:%Y%m%d}.csv", detail(charges, "20260901000000")[1]


_SUMMED_UP = ("day", "period", "instance", "product", "commodity", "item", "sort")


def summary(charges: Iterable[Charge], exported: str) -> NamedFile:
    """Return the day summary of the new detail."""
    sums: dict[tuple[object, ...], list[Charge]] = defaultdict(list)
    for charge in charges:
        sums[tuple(getattr(charge, name) for name in _SUMMED_UP)].append(charge)
    with localcontext(prec=60):
        rows = [
            {
                "标识信息/账单明细ID": f"daysum_{exported}_{number}",
                "身份信息/资源购买账号ID": ACCOUNT,
                "账单信息/账单月份": members[0].period.replace("-", ""),
                "账单信息/账单日期": f"{members[0].day:%Y%m%d}",
                "账单信息/费用类型": _SORTS[members[0].sort][0],
                "账单信息/交易类型": _SORTS[members[0].sort][1],
                "产品信息/产品Code": members[0].product,
                "产品信息/商品Code": members[0].commodity,
                "产品信息/计费项Code": members[0].item,
                "资源信息/实例ID（出账粒度）": members[0].instance,
                "定价信息/定价币种": "CNY",
                "应付信息/应付金额（含税）": format(sum((one.amount for one in members), Decimal(0)), "f"),
            }
            for number, members in enumerate(sums.values())
        ]
    columns = list(rows[0]) if rows else ["账单信息/账单日期", "应付信息/应付金额（含税）"]
    return table(f"{ACCOUNT}-{exported}_consumedetailbillv2daysummary.csv", rows, columns)


def english(charges: Iterable[Charge], exported: str) -> NamedFile:
    """Return the console's new detail export in English, which has no ids."""
    rows = [
        {
            "LineItemDetails/OrderId": "",
            "IdentityDetails/ResourcePurchaseAccountId": ACCOUNT,
            "IdentityDetails/ResourceOwnerAccountId": charge.owner,
            "BillingDetails/BillingMonth": charge.period.replace("-", ""),
            "BillingDetails/BillingDate": f"{charge.day:%Y%m%d}",
            "BillingDetails/LineItemType": _SORTS[charge.sort][4],
            "ProductDetails/ProductCode": charge.product,
            "ProductDetails/CommodityCode": charge.commodity,
            "ProductDetails/BillingItemCode": charge.item,
            "ResourceDetails/InstanceId": charge.instance,
            "ResourceDetails/ResourceTag": charge.tags,
            "UsageDetails/Usage": charge.usage,
            "UsageDetails/UsageUnit": "K tokens",
            "PricingDetails/Currency": "CNY",
            "FeeDetails/GrossAmount": charge.cost,
            "PayableDetails/TaxExclusivePayableAmount": charge.cost,
        }
        for charge in charges
    ]
    return _or_header(f"{ACCOUNT}-{exported}_consumedetailbillv2.csv", rows, "BillingDetails/BillingMonth",
                      "PayableDetails/TaxExclusivePayableAmount")  # fmt: skip


def legacy(charges: Iterable[Charge], name: str, *, keyed: bool = True) -> NamedFile:
    """Return the legacy detail, by export or by push, as `name` says."""
    rows = [
        {
            "资源购买账号ID": ACCOUNT,
            "资源归属账号ID": charge.owner,
            "账单月份": charge.period,
            "账单日期": charge.day.isoformat(),
            "费用类型": _SORTS[charge.sort][0],
            "产品Code": charge.product,
            "商品Code": charge.commodity,
            "资产/资源实例ID": charge.instance,
            "实例标签": charge.tags,
            "计费项Code": charge.item,
            "用量": charge.usage,
            "用量单位": "千tokens",
            "目录总价": charge.cost,
            "应付金额": charge.cost,
            "定价币种": "CNY",
            **({"主键": f"{charge.number:032x}"} if keyed else {}),
        }
        for charge in charges
    ]
    return _or_header(name, rows, "账单月份", "应付金额", *(["主键"] if keyed else []))


def instance_detail(charges: Iterable[Charge], name: str) -> NamedFile:
    """Return the older push in Chinese, which has no keys, but what is not paid."""
    rows = [
        {
            "账期": charge.period,
            "账号ID": f"{ACCOUNT}\t",
            "产品Code": charge.product,
            "产品明细Code": charge.commodity,
            "消费类型": "预付费" if charge.is_plan else "后付费",
            "消费时间": charge.ends,
            "账单开始时间": charge.starts,
            "账单结束时间": charge.ends,
            "订单号/账单号": f"2026{charge.number:012x}\t",
            "账单类型": _SORTS[charge.sort][2],
            "实例ID": charge.instance,
            "实例标签": charge.tags,
            "计费项": charge.item,
            "用量": charge.usage,
            "用量单位": "千tokens",
            "原价": charge.cost,
            "应付金额": charge.cost,
            "现金支付": charge.paid,
            "代金券抵扣": "0",
            "欠费金额": charge.owed,
        }
        for charge in charges
    ]
    return _or_header(name, rows, "账期", "应付金额", "欠费金额")


def focus(charges: Iterable[Charge], name: str, *, site: str = "x_") -> NamedFile:
    """Return a FOCUS file."""
    rows = [
        {
            "BilledCost": charge.cost,
            "BillingAccountId": ACCOUNT,
            "BillingCurrency": "CNY",
            "BillingPeriodStart": f"{charge.period}-01T00:00:00Z",
            "ChargeCategory": _SORTS[charge.sort][5],
            "ChargeClass": _SORTS[charge.sort][6],
            "ChargePeriodEnd": f"{charge.day + timedelta(days=1)}T00:00:00Z",
            "ChargePeriodStart": f"{charge.day}T00:00:00Z",
            "ListCost": charge.cost,
            "PricingQuantity": charge.usage,
            "PricingUnit": "千tokens",
            "ServiceName": "大模型服务平台百炼" if charge.product == "sfm" else "oss",
            "SubAccountId": charge.owner,
            "Tags": charge.tags,
            f"{site}CommodityCode": charge.commodity,
            f"{site}BillingItemCode": charge.item,
            f"{site}InstanceID": charge.instance,
        }
        for charge in charges
    ]
    return _or_header(name, rows, "BilledCost", "BillingPeriodStart")


def answers(charges: Sequence[Charge], name: str, *, page: int = 3) -> NamedFile:
    """Return the pages of an answer of the API about these charges, complete."""
    pages = []
    for first in range(0, max(1, len(charges)), page):
        items = [
            {
                "InstanceID": charge.instance,
                "BillingDate": charge.day.isoformat(),
                "Item": _SORTS[charge.sort][3],
                "ProductCode": charge.product,
                "CommodityCode": charge.commodity,
                "BillingItemCode": charge.item,
                "SubscriptionType": "Subscription" if charge.is_plan else "PayAsYouGo",
                "Currency": "CNY",
                "Usage": charge.usage,
                "UsageUnit": "千tokens",
                "PretaxGrossAmount": "<cost>" + charge.cost,
                "PretaxAmount": "<cost>" + charge.cost,
                **({} if charge.outstanding is None else {"PaymentAmount": "<cost>" + charge.paid}),
                "OutstandingAmount": "<cost>" + charge.owed if charge.owed else None,
                "BillAccountID": ACCOUNT,
                "Tag": charge.tags,
            }
            for charge in charges[first : first + page]
        ]
        token = "" if first + page >= len(charges) else f"TOKEN-{first + page}"
        data = {
            "AccountID": ACCOUNT,
            "BillingCycle": charges[0].period,
            "TotalCount": len(charges),
            "NextToken": token,
            "Items": items,
        }
        pages.append({"Code": "Success", "Success": True, "Data": data})
    text = json.dumps(pages, ensure_ascii=False)
    # Amounts are JSON numbers with all their digits, which no float could hold.
    return name, re.sub('"<cost>([^"]+)"', r"\1", text).encode()


def _or_header(name: str, rows: Sequence[Mapping[str, str]], *needed: str) -> NamedFile:
    return table(name, rows, list(rows[0]) if rows else needed)


@dataclass(frozen=True)
class Month:
    """What the provider shows of one month, day by day: charges come late, change, vanish, are paid back."""

    views: Mapping[date, tuple[Charge, ...]]
    """What was to be seen at the end of each day."""

    @property
    def final(self) -> tuple[Charge, ...]:
        """What is to be seen in the end."""
        return self.views[max(self.views)]

    def until(self, day: date) -> tuple[Charge, ...]:
        """Return what was to be seen then."""
        return self.views[day]

    def generated_on(self, day: date) -> list[Charge]:
        """Return what was to be seen that day and not the day before: what a daily push tells."""
        before = {charge.number for charge in self.views.get(day - timedelta(days=1), ())}
        return [charge for charge in self.views[day] if charge.number not in before]


OWNERS = (ACCOUNT, "5000000000000003", "")


def a_month(
    dice: Random,
    *,
    days: int = 8,
    most: int = 5,
    may_vanish: bool = True,
    may_move: bool = False,
    owners: Sequence[str] = (ACCOUNT,),
) -> Month:
    """Return a random month."""
    start, numbers = date(2026, 9, 1), iter(range(1, 100_000))
    seen: list[Charge] = []
    late: dict[int, list[Charge]] = defaultdict(list)
    views: dict[date, tuple[Charge, ...]] = {}
    for offset in range(days):
        today = start + timedelta(days=offset)
        for _ in range(dice.randrange(most + 1)):
            charge = replace(_a_charge(dice, next(numbers), today), owner=dice.choice(owners))
            delay = dice.choice([0, 0, 0, 0, 1, 2])
            (seen if not delay else late[offset + delay]).append(charge)
        seen += late.pop(offset, [])
        if seen and dice.random() < 0.3:
            at = dice.randrange(len(seen))
            seen[at] = replace(seen[at], amount=_an_amount(dice))
        if may_move and seen and dice.random() < 0.3:
            at = dice.randrange(len(seen))
            seen[at] = replace(seen[at], day=start + timedelta(days=dice.randrange(days)))
        if may_vanish and seen and dice.random() < 0.15:
            seen.pop(dice.randrange(len(seen)))
        views[today] = tuple(seen)
    return Month(views)


def _a_charge(dice: Random, number: int, day: date) -> Charge:
    sort = dice.choice(["usage"] * 6 + ["free", "refund", "adjustment", "plan"])
    amount = Decimal(0) if sort == "free" else _an_amount(dice)
    product = dice.choice(["sfm"] * 5 + ["oss"])
    return Charge(
        number, day, -abs(amount) if sort == "refund" else amount,
        workspace=dice.choice(["llm-a", "llm-b", ""]), api_key=dice.choice(["1200345", "1200346", ""]),
        model=dice.choice(["qwen-max", "wan2.7-t2i"]), type=dice.choice(["input_token", "output_token"]),
        channel=dice.choice(["", "bmp", "app"]), product=product,
        sort="return" if sort == "refund" and number % 3 == 0 else sort,
        commodity="oss" if product == "oss" else "sfm_inference_public_cn",
        hour=dice.randrange(24), usage=dice.choice(["1", "1", "2.5", "0"]),
        outstanding=(None, None, "", "0", "0.0000000001", "12.5", "-0.01")[number % 7],
    )  # fmt: skip


def _an_amount(dice: Random) -> Decimal:
    whole = dice.choice([0, 0, 1, 12, 345])
    return Decimal(f"{whole}.{dice.randrange(10**10):010d}") if dice.random() < 0.7 else Decimal(f"{whole}.20")


def every_file(month: Month, dice: Random) -> list[NamedFile]:
    """Return files in all layouts that tell of the month: exports, some of them filtered, and pushes."""
    days = sorted(month.views)
    files: list[NamedFile] = []
    for day in days:
        seen = month.until(day)
        stamp = f"{day:%Y%m%d}{dice.randrange(10, 24):02d}{dice.randrange(60):02d}{dice.randrange(60):02d}"
        chosen = _chosen(seen, dice)
        files += [
            detail(chosen, stamp),
            pushed_detail(seen, day),
            summary(chosen, stamp),
            english(chosen, stamp),
            legacy(month.generated_on(day), f"{ACCOUNT}_BillingItemDetail_{day:%Y%m%d}.csv"),
            legacy(chosen, f"{ACCOUNT}-{stamp}_instanceconsumeday.csv", keyed=False),
            instance_detail(month.generated_on(day), f"{ACCOUNT}_InstanceDetail_{day:%Y%m%d}.csv"),
            instance_detail(seen, f"{day:%Y%m%d}/{ACCOUNT}_InstanceDetailMonthly_202609.csv"),
            focus(seen, f"{day:%Y%m%d}/{ACCOUNT}_focus_202609.csv"),
            *_pieces(seen, day, dice),
        ]
        asked = [charge for charge in seen if charge.day == dice.choice(days) and charge.period == "2026-09"]
        if asked:
            files.append(answers(asked, f"{ACCOUNT}_DescribeInstanceBill_{asked[0].day:%Y%m%d}_{stamp}.json"))
    return files


def _pieces(seen: Sequence[Charge], day: date, dice: Random) -> Iterator[NamedFile]:
    """Yield files that are complete for an owner, and for some of the days."""
    owner, first, last = dice.choice(OWNERS), *sorted(dice.randrange(1, 10) for _ in range(2))
    yield focus([one for one in seen if one.owner == owner], f"{day:%Y%m%d}/of-one/focus.csv")
    some = [one for one in seen if first <= one.day.day <= last]
    yield focus(some, f"{day + timedelta(days=1):%Y%m%d}0907/some/focus.csv")


def _chosen(seen: Sequence[Charge], dice: Random) -> list[Charge]:
    """Return all, or what a filter in the console leaves."""
    filters: Sequence[Callable[[Charge], bool]] = (
        lambda _: True,
        lambda _: True,
        lambda charge: charge.product == "sfm",
        lambda charge: charge.workspace == "llm-a",
        lambda charge: charge.day.day % 2 == 0,
    )
    wanted = dice.choice(filters)
    return [charge for charge in seen if wanted(charge)]
