"""The console's new bill detail in Chinese: up to 61 columns, with a stable id in every line."""

from __future__ import annotations

from spendwatch.bills.layouts.charges import CHINESE
from spendwatch.bills.layouts.layout import Field, Layout
from spendwatch.domain.statement import Kind, TaxBasis

NEW_COLUMNS = {
    Field.ACCOUNT: ("身份信息/资源购买账号ID",),
    Field.OWNER: ("身份信息/资源归属账号ID",),
    Field.PERIOD: ("账单信息/账单月份",),
    Field.DAY: ("账单信息/账单日期",),
    Field.CHARGE: ("账单信息/费用类型",),
    Field.TRADE: ("账单信息/交易类型",),
    Field.PRODUCT: ("产品信息/产品Code",),
    Field.SERVICE: ("产品信息/产品名称",),
    Field.COMMODITY: ("产品信息/商品Code",),
    Field.ITEM: ("产品信息/计费项Code",),
    Field.INSTANCE: ("资源信息/实例ID（出账粒度）",),
    Field.SELECTOR: ("产品信息/选型配置", "定价信息/目录价因子"),
    Field.USAGE: ("用量信息/用量",),
    Field.UNIT: ("用量信息/用量单位",),
    Field.CURRENCY: ("定价信息/定价币种",),
    Field.LIST_COST: ("费用信息/目录总价",),
    Field.BILLED_COST: ("应付信息/应付金额（含税）",),
    Field.TAGS: ("资源信息/实例标签", "资源信息/资源标签", "资源信息/标签"),
}
"""What the detail and its day summary have in common. No header with a tag column was ever seen: its names are inferred."""

CONSUME_DETAIL_V2 = Layout(
    name="consumedetailbillv2",
    kind=Kind.UPSERT,
    tax_basis=TaxBasis.INCLUDED,
    columns={
        **NEW_COLUMNS,
        Field.LINE_ID: ("标识信息/账单明细ID",),
        Field.RECORD: ("标识信息/订单号",),
        Field.TIME: ("账单信息/消费时间",),
        Field.STARTS: ("账单信息/服务开始时间",),
        Field.ENDS: ("账单信息/服务结束时间",),
    },
    signature=((Field.LINE_ID,), (Field.BILLED_COST,), (Field.PERIOD, Field.DAY)),
    charges=CHINESE,
    marks=("consumedetailbillv2",),
)
