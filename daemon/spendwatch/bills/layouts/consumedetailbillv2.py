"""The console's new bill detail in Chinese, its summary by day, and the detail of the international site."""

from __future__ import annotations

from spendwatch.bills.layouts.charges import CHINESE, ENGLISH
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
    Field.REGION: ("资源信息/地域Code", "资源信息/地域"),
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
"""Up to 61 columns, with a stable id in every line."""

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
"""The same charges as the detail. Its ids, if any, are not reliable."""

CONSUME_DETAIL_V2_ENGLISH = Layout(
    name="consumedetailbillv2-en",
    kind=Kind.UPSERT,
    tax_basis=TaxBasis.EXCLUDED,
    columns={
        Field.RECORD: ("LineItemDetails/OrderId",),
        Field.ACCOUNT: ("IdentityDetails/ResourcePurchaseAccountId",),
        Field.OWNER: ("IdentityDetails/ResourceOwnerAccountId",),
        Field.PERIOD: ("BillingDetails/BillingMonth",),
        Field.DAY: ("BillingDetails/BillingDate",),
        Field.CHARGE: ("BillingDetails/LineItemType",),
        Field.PRODUCT: ("ProductDetails/ProductCode",),
        Field.SERVICE: ("ProductDetails/ProductName",),
        Field.COMMODITY: ("ProductDetails/CommodityCode",),
        Field.ITEM: ("ProductDetails/BillingItemCode",),
        Field.INSTANCE: ("ResourceDetails/InstanceId",),
        Field.REGION: ("ResourceDetails/RegionCode",),
        Field.USAGE: ("UsageDetails/Usage",),
        Field.UNIT: ("UsageDetails/UsageUnit",),
        Field.CURRENCY: ("PricingDetails/Currency",),
        Field.LIST_COST: ("FeeDetails/GrossAmount",),
        Field.BILLED_COST: ("PayableDetails/TaxExclusivePayableAmount",),
        Field.TAGS: ("ResourceDetails/ResourceTag",),
    },
    signature=((Field.PERIOD, Field.DAY), (Field.BILLED_COST,)),
    charges=ENGLISH,
)
"""`Group/Field`: no known header has an id of the line."""
