"""The same invented use as the billing API tells it: what each day cost, and how the account stands."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from spendwatch.demo.billing_api import Document
from spendwatch.demo.bills import ACCOUNT, HABITS, PLAN, PLAN_PRICE, Habit
from spendwatch.domain.money import EXACT, exact_sum, plain

_CENT = Decimal("0.01")


def day_bill(day: date, *, pace: Decimal) -> list[Document]:
    """Return the lines of a day's bill by billing item."""
    lines = [_habit_line(day, habit, habit.tokens(day.day - 1, pace)) for habit in HABITS]
    return [*lines, _plan_line(day)] if day.day == 1 else lines


def payable(lines: list[Document]) -> Decimal:
    """Return what the lines cost together."""
    return exact_sum(line["PretaxAmount"] for line in lines)


def fund_account(*, cash: Decimal, refund: Decimal, current: Decimal, previous: Decimal) -> Document:
    """Return how the account stands with that cash, refunds of credit, and use of this and earlier months, not paid yet."""
    current, previous = (used.quantize(_CENT, rounding=ROUND_HALF_UP) for used in (current, previous))
    terms = {
        "AvailableAmount": cash + refund - current - previous,
        "CashAmount": cash,
        "CreditAmount": Decimal(0),
        "CreditRefundAmount": refund,
        "UnclearedAmount": current + previous,
        "CurrentMonthUnclearedAmount": current,
        "HistoryMonthUnclearedAmount": previous,
    }
    return {
        **{name: f"{amount:.2f}" for name, amount in terms.items()},
        "Currency": "CNY",
        "FundAccountId": "20000000000001",
        "FundAccountOwnerAccountId": ACCOUNT,
        "FundAccountStatus": "NORMAL",
        "FundAccountType": "DIRECT_USER",
        "OriginalCashAmountList": [{"Amount": f"{cash:.2f}", "Currency": "CNY"}],
    }


def _habit_line(day: date, habit: Habit, tokens: Decimal) -> Document:
    return {
        **_line(day, habit.instance, EXACT.multiply(habit.price, tokens)),
        "Item": "PayAsYouGoBill",
        "ProductType": "sfm_inference_public_cn",
        "CommodityCode": "sfm_inference_public_cn",
        "BillingItem": "大模型文本消耗量",
        "BillingItemCode": "token_number",
        "SubscriptionType": "PayAsYouGo",
        "Usage": plain(tokens),
        "UsageUnit": "千tokens",
        "ListPrice": plain(habit.price),
        "ListPriceUnit": "元/千tokens",
        "Region": "华北2（北京）",
    }


def _plan_line(day: date) -> Document:
    """Return the price of a savings plan: a line that belongs to no workspace."""
    return {
        **_line(day, PLAN, PLAN_PRICE),
        "Item": "SubscriptionOrder",
        "ProductType": "sfm_GenAI_spn_cn",
        "CommodityCode": "sfm_GenAI_spn_cn",
        "BillingItem": "",
        "BillingItemCode": "sfm_spn_fee",
        "SubscriptionType": "Subscription",
        "Usage": "1",
        "UsageUnit": "个",
    }


def _line(day: date, instance: str, amount: Decimal) -> Document:
    return {
        "InstanceID": instance,
        "BillingDate": day.isoformat(),
        "ProductCode": "sfm",
        "ProductName": "大模型服务平台百炼",
        "Currency": "CNY",
        "PretaxGrossAmount": amount,
        "InvoiceDiscount": Decimal(0),
        "PretaxAmount": amount,
        "OutstandingAmount": amount,
        "BillAccountID": ACCOUNT,
        "OwnerID": ACCOUNT,
    }
