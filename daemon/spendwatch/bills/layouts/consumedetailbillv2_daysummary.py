"""The new bill detail summed up by day: the same charges as the detail. Its ids, if any, are not reliable."""

from __future__ import annotations

from spendwatch.bills.layouts.charges import CHINESE
from spendwatch.bills.layouts.consumedetailbillv2 import NEW_COLUMNS
from spendwatch.bills.layouts.layout import Field, Layout
from spendwatch.domain.statement import Kind, TaxBasis

CONSUME_DETAIL_V2_DAY_SUMMARY = Layout(
    name="consumedetailbillv2daysummary",
    kind=Kind.AGGREGATE,
    tax_basis=TaxBasis.INCLUDED,
    columns={**NEW_COLUMNS, Field.TIME: ("账单信息/消费时间",), Field.STARTS: ("账单信息/服务开始时间",)},
    signature=((Field.DAY,), (Field.BILLED_COST,)),
    absent=(Field.TIME, Field.STARTS),
    charges=CHINESE,
    marks=("daysummary",),
)
