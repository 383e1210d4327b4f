"""Builds bill files as the provider's console exports them: 61 columns, UTF-8 with BOM, LF.

name, content = a_bill([a_line(day="20260912", amount="12.5", workspace="llm-a"), a_line(line_id="x", amount="-1")])
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence

ACCOUNT = "1000000000000001"
EXPORTED = "20260915093012"
TAGS = "资源信息/实例标签"

COLUMNS: tuple[str, ...] = (
    "标识信息/账单明细ID", "标识信息/订单号", "身份信息/客户名称", "身份信息/资源购买账号ID", "身份信息/资源购买账号",
    "身份信息/资源归属账号ID", "身份信息/资源归属账号", "账单信息/服务主体", "账单信息/账单月份", "账单信息/账单日期",
    "账单信息/费用类型", "账单信息/交易类型", "账单信息/消费时间", "账单信息/服务开始时间", "账单信息/服务结束时间",
    "产品信息/产品Code", "产品信息/产品名称", "产品信息/商品Code", "产品信息/商品名称", "产品信息/计费项Code",
    "产品信息/计费项名称", "产品信息/选型配置", "产品信息/规格", "资源信息/资源ID", "资源信息/实例ID（出账粒度）",
    "资源信息/资源名称", "资源信息/地域Code", "资源信息/地域", "资源信息/可用区", "时长信息/抵扣前时长",
    "时长信息/抵扣时长", "时长信息/时长", "时长信息/时长单位", "时长信息/时长详情", "用量信息/抵扣前用量",
    "用量信息/抵扣用量", "用量信息/用量", "用量信息/用量单位", "用量信息/用量详情", "定价信息/官网目录价",
    "定价信息/价格单位", "定价信息/目录价用量阶梯", "定价信息/用量阶梯累计规则",
    "定价信息/目录价转换信息", "定价信息/目录价因子",
    "定价信息/定价币种", "费用信息/目录总价",
    "费用信息/计费公式", "费用信息/计费辅助信息", "费用信息/计费过程",
    "费用信息/计费规则说明", "订阅抵扣信息/订阅抵扣目录总价", "订阅抵扣信息/订阅抵扣后金额", "订阅抵扣信息/订阅抵扣金额",
    "订阅抵扣信息/订阅抵扣详情", "优惠信息/优惠金额", "优惠信息/优惠后金额", "优惠信息/优惠详情",
    "优惠券抵扣信息/优惠券抵扣金额",
    "优惠券抵扣信息/优惠券抵扣详情", "应付信息/应付金额（含税）",
)  # fmt: skip

LINE_ID, PAYER, OWNER, MONTH, DAY, AMOUNT = (COLUMNS[at] for at in (0, 3, 5, 8, 9, 60))
CHARGE, TRADE, TIME, STARTS, ENDS = (COLUMNS[at] for at in (10, 11, 12, 13, 14))
PRODUCT, COMMODITY, ITEM, INSTANCE = (COLUMNS[at] for at in (15, 17, 19, 24))
USAGE, UNIT, CURRENCY, LIST_COST = (COLUMNS[at] for at in (36, 37, 45, 46))

_numbers = itertools.count(1)


def a_line_id(number: int, month: str = "202609") -> str:
    """Return an id of the provider's shape."""
    return f"{month}_0700v1_019_{number:032x}_01_{number:020d}"


def a_line(
    *,
    line_id: str | None = None,
    account: str = ACCOUNT,
    owner: str | None = None,
    day: str = "20260912",
    month: str | None = None,
    time: str = "11:21:00",
    until: str | None = None,
    amount: str = "0.024816",
    list_cost: str | None = None,
    api_key: str = "1200345",
    workspace: str = "llm-demo0a1b2c3d4e",
    model: str = "qwen3.6-plus",
    type: str = "context_0-256k_input_token",  # noqa: A002 -- the bill's own word
    channel: str = "",
    instance: str | None = None,
    product: str = "sfm",
    commodity: str = "sfm_inference_public_cn",
    item: str = "token_number",
    charge: str = "云资源按量费用",
    trade: str = "后付费",
    usage: str = "12.408",
    unit: str = "千tokens",
    currency: str = "CNY",
    tags: str | None = None,
    cells: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return one line as cells by column name; `cells` overrides or adds any cell as it stands in the file."""
    date = day if "-" in day or not day else f"{day[:4]}-{day[4:6]}-{day[6:8]}"
    starts = f"{date} {time}" if date else ""
    configuration = [{"name": "Token类型", "value": type}, {"name": "文本生成模型规格", "value": model}]
    factors = {"文本生成模型规格": model, "Token类型": type}
    line = dict.fromkeys(COLUMNS, "") | {
        LINE_ID: a_line_id(next(_numbers), (month or day)[:6]) if line_id is None else line_id,
        "身份信息/客户名称": "示例科技",
        PAYER: account,
        "身份信息/资源购买账号": "demo-account",
        OWNER: account if owner is None else owner,
        "身份信息/资源归属账号": "demo-account",
        "账单信息/服务主体": "通义云启（杭州）信息技术有限公司",
        MONTH: date[:7].replace("-", "") if month is None else month,
        DAY: day,
        CHARGE: charge,
        TRADE: trade,
        TIME: starts,
        STARTS: starts,
        ENDS: starts if until is None else until,
        PRODUCT: product,
        "产品信息/产品名称": "大模型服务平台百炼",
        COMMODITY: commodity,
        "产品信息/商品名称": "百炼大模型推理",
        ITEM: item,
        "产品信息/计费项名称": "大模型文本消耗量",
        "产品信息/选型配置": _json(configuration),
        INSTANCE: f"{api_key};{workspace};{model};{type};{channel};0" if instance is None else instance,
        "资源信息/地域Code": "cn-beijing",
        "资源信息/地域": "华北2（北京）",
        "用量信息/抵扣前用量": usage,
        "用量信息/抵扣用量": "0",
        USAGE: usage,
        UNIT: unit,
        "定价信息/官网目录价": "0.002",
        "定价信息/价格单位": "元/千tokens",
        "定价信息/目录价因子": _json(factors),
        CURRENCY: currency,
        LIST_COST: amount if list_cost is None else list_cost,
        "费用信息/计费公式": "官网目录价*用量",
        "费用信息/计费过程": _calculation(usage),
        "优惠信息/优惠金额": "0",
        "优惠信息/优惠后金额": amount,
        "优惠券抵扣信息/优惠券抵扣金额": "0",
        AMOUNT: amount,
    }
    return line | ({} if tags is None else {TAGS: tags}) | dict(cells or {})


def a_bill(
    lines: Iterable[Mapping[str, str]],
    *,
    account: str = ACCOUNT,
    exported: str = EXPORTED,
    columns: Sequence[str] | None = None,
) -> tuple[str, bytes]:
    """Return the file's name and its bytes. Columns beyond the usual ones (tags, say) follow at the end; `columns` cuts."""
    rows = list(lines)
    extra = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in COLUMNS]
    header = list(columns) if columns is not None else [*COLUMNS, *extra]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([row.get(name, "") for name in header] for row in rows)
    return a_bill_name(account, exported), b"\xef\xbb\xbf" + text.getvalue().encode()


def a_bill_name(account: str = ACCOUNT, exported: str = EXPORTED) -> str:
    """Return a name as the console gives it."""
    return f"{account}-{exported}_consumedetailbillv2.csv"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _calculation(usage: str) -> str:
    values = {"baseprice_factor": "0.002", "quantity_factor": usage}
    parts = {
        "priceExpression": "baseprice_factor*quantity_factor",
        "priceExpressionFactorValueMap": values,
        "precision": "10",
        "round": "4",
    }
    return _json({"priceExpressInfo": parts})
