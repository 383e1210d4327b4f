"""Sample bills in the real format: the new-version detail export, 61 columns, as in the provider's console."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from spendwatch.domain.money import EXACT, exact_sum, plain

ACCOUNT = "1000000000000001"

COLUMNS = (
    "标识信息/账单明细ID", "标识信息/订单号", "身份信息/客户名称", "身份信息/资源购买账号ID",
    "身份信息/资源购买账号", "身份信息/资源归属账号ID", "身份信息/资源归属账号", "账单信息/服务主体",
    "账单信息/账单月份", "账单信息/账单日期", "账单信息/费用类型", "账单信息/交易类型",
    "账单信息/消费时间", "账单信息/服务开始时间", "账单信息/服务结束时间", "产品信息/产品Code",
    "产品信息/产品名称", "产品信息/商品Code", "产品信息/商品名称", "产品信息/计费项Code",
    "产品信息/计费项名称", "产品信息/选型配置", "产品信息/规格", "资源信息/资源ID",
    "资源信息/实例ID（出账粒度）", "资源信息/资源名称", "资源信息/地域Code", "资源信息/地域",
    "资源信息/可用区", "时长信息/抵扣前时长", "时长信息/抵扣时长", "时长信息/时长",
    "时长信息/时长单位", "时长信息/时长详情", "用量信息/抵扣前用量", "用量信息/抵扣用量",
    "用量信息/用量", "用量信息/用量单位", "用量信息/用量详情", "定价信息/官网目录价",
    "定价信息/价格单位", "定价信息/目录价用量阶梯", "定价信息/用量阶梯累计规则", "定价信息/目录价转换信息",
    "定价信息/目录价因子", "定价信息/定价币种", "费用信息/目录总价", "费用信息/计费公式",
    "费用信息/计费辅助信息", "费用信息/计费过程", "费用信息/计费规则说明", "订阅抵扣信息/订阅抵扣目录总价",
    "订阅抵扣信息/订阅抵扣后金额", "订阅抵扣信息/订阅抵扣金额", "订阅抵扣信息/订阅抵扣详情",
    "优惠信息/优惠金额", "优惠信息/优惠后金额", "优惠信息/优惠详情", "优惠券抵扣信息/优惠券抵扣金额",
    "优惠券抵扣信息/优惠券抵扣详情", "应付信息/应付金额（含税）",
)  # fmt: skip


class Habit(NamedTuple):
    """One sort of use: who uses which model, at which price, and how it grows."""

    api_key: str
    workspace: str
    model: str
    type: str
    channel: str
    price: Decimal
    """CNY for a thousand tokens."""
    daily: int
    """Thousands of tokens on an ordinary day."""
    growing: int
    """More thousands of tokens with every day."""

    @property
    def instance(self) -> str:
        """The id that bills give it."""
        return f"{self.api_key};{self.workspace};{self.model};{self.type};{self.channel};0"

    def tokens(self, day: int, pace: Decimal) -> Decimal:
        """Return how many thousands of tokens that day of the month takes; the first is 0."""
        return EXACT.multiply(Decimal(self.daily + self.growing * day), pace)


PLAN = "spn-demo0001"
PLAN_PRICE = Decimal("20.00")
PACE = Decimal("1.3")
"""How many times the ordinary tokens are used in the month of the demo."""
RESEARCH, TRAINING = "llm-demo0a1b2c3d4e", "llm-demo5f6a7b8c9d"

HABITS = (
    Habit("1200345", RESEARCH, "qwen3.6-plus", "context_0-256k_input_token", "", Decimal("0.002"), 620, 10),
    Habit("1200345", RESEARCH, "qwen3.6-plus", "context_0-256k_output_token", "", Decimal("0.012"), 180, 8),
    Habit("1200345", RESEARCH, "qwen3.8-max", "output_token", "", Decimal("0.036"), 90, 14),
    Habit("", RESEARCH, "qwen3.6-plus", "context_0-256k_output_token", "bmp", Decimal("0.012"), 25, 1),
    Habit("1200346", TRAINING, "qwen3.8-max", "input_token", "", Decimal("0.012"), 110, 3),
    Habit("1200346", TRAINING, "qwen3.8-max", "output_token", "", Decimal("0.036"), 35, 1),
)


def sample_bill(month_start: datetime, until: datetime, *, pace: Decimal = Decimal(1)) -> tuple[str, bytes]:
    """Return name and bytes of a month-to-date export made at `until` (both in the billing zone)."""
    rows = list(_rows(month_start, until, pace))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return f"{ACCOUNT}-{until:%Y%m%d%H%M%S}_consumedetailbillv2.csv", b"\xef\xbb\xbf" + text.getvalue().encode()


def _rows(month_start: datetime, until: datetime, pace: Decimal) -> Iterator[dict[str, str]]:
    yield _plan_row(min(month_start + timedelta(hours=10), until - timedelta(minutes=1)))
    day = 0
    while (start := month_start + timedelta(days=day)) < until:
        for number, habit in enumerate(HABITS):
            # Nine in the morning; on the first day of a month perhaps just now.
            moment = min(start + timedelta(hours=9, minutes=number), until - timedelta(minutes=1))
            yield _row(habit, moment, habit.tokens(day, pace), f"{start:%Y%m%d}-{number}")
        day += 1


def _plan_row(moment: datetime) -> dict[str, str]:
    """Return the price of a savings plan: a line that belongs to no workspace."""
    line = _line(moment, f"{moment:%Y%m}-plan", "云资源", PLAN_PRICE)
    return line | {
        "账单信息/费用类型": "订阅预付费用",
        "账单信息/交易类型": "新购",
        "产品信息/商品Code": "sfm_GenAI_spn_cn",
        "产品信息/商品名称": "百炼AI通用型节省计划",
        "产品信息/计费项Code": "sfm_spn_fee",
        "资源信息/实例ID（出账粒度）": PLAN,
        "用量信息/用量": "1",
        "用量信息/用量单位": "个",
    }


def _row(habit: Habit, moment: datetime, tokens: Decimal, seed: str) -> dict[str, str]:
    amount = EXACT.multiply(habit.price, tokens)
    facts = {"文本生成模型规格": habit.model, "Token类型": habit.type}
    choices = [{"name": name, "value": value} for name, value in facts.items()]
    return _line(moment, seed, "千tokens", amount) | {
        "产品信息/选型配置": json.dumps(choices, ensure_ascii=False),
        "资源信息/实例ID（出账粒度）": habit.instance,
        "资源信息/地域Code": "cn-beijing",
        "资源信息/地域": "华北2（北京）",
        "用量信息/用量": plain(tokens),
        "定价信息/官网目录价": plain(habit.price),
        "定价信息/价格单位": "元/千tokens",
        "定价信息/目录价因子": json.dumps(facts, ensure_ascii=False),
    }


def _line(moment: datetime, seed: str, unit: str, cost: Decimal) -> dict[str, str]:
    digits = hashlib.sha256(seed.encode()).hexdigest()
    amount = plain(cost)
    return {
        "标识信息/账单明细ID": f"{moment:%Y%m}_0700v1_019_{digits[:32]}_01_{int(digits[32:48], 16) % 10**20:020d}",
        "身份信息/客户名称": "示例科技",
        "身份信息/资源购买账号ID": ACCOUNT,
        "身份信息/资源购买账号": "demo-account",
        "身份信息/资源归属账号ID": ACCOUNT,
        "身份信息/资源归属账号": "demo-account",
        "账单信息/账单月份": f"{moment:%Y%m}",
        "账单信息/账单日期": f"{moment:%Y%m%d}",
        "账单信息/费用类型": "云资源按量费用",
        "账单信息/交易类型": "后付费",
        "账单信息/消费时间": f"{moment:%Y-%m-%d %H:%M:00}",
        "账单信息/服务开始时间": f"{moment:%Y-%m-%d %H:%M:00}",
        "账单信息/服务结束时间": f"{moment + timedelta(minutes=1):%Y-%m-%d %H:%M:00}",
        "产品信息/产品Code": "sfm",
        "产品信息/产品名称": "大模型服务平台百炼",
        "产品信息/商品Code": "sfm_inference_public_cn",
        "产品信息/商品名称": "百炼大模型推理",
        "产品信息/计费项Code": "token_number",
        "产品信息/计费项名称": "大模型文本消耗量",
        "用量信息/用量单位": unit,
        "定价信息/定价币种": "CNY",
        "费用信息/目录总价": amount,
        "费用信息/计费公式": "官网目录价*用量",
        "优惠信息/优惠金额": "0",
        "优惠信息/优惠后金额": amount,
        "优惠券抵扣信息/优惠券抵扣金额": "0",
        "应付信息/应付金额（含税）": amount,
    }


def growing_bills(month_start: datetime, until: datetime, shares: Sequence[Decimal], total: Decimal) -> list[tuple[str, bytes]]:
    """Return exports of the same month, each a later one, whose totals are these shares of about `total` (CNY)."""
    ordinary = (Decimal(row["应付信息/应付金额（含税）"]) for row in _rows(month_start, until, Decimal(1)))
    used = exact_sum(ordinary) - PLAN_PRICE  # the plan costs the same at any pace
    bills = []
    for number, share in enumerate(shares):
        pace = ((total * share - PLAN_PRICE) / used).quantize(Decimal("0.001"))
        made = until - timedelta(seconds=len(shares) - number)
        bills.append(sample_bill(month_start, made, pace=pace))
    return bills
