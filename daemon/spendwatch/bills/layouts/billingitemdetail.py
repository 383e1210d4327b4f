"""The old bill details in Chinese, exported or pushed: 39 columns in full, many shorter variants, most with a key."""

from __future__ import annotations

from spendwatch.bills.layouts.charges import CHINESE
from spendwatch.bills.layouts.layout import Field, Layout
from spendwatch.domain.statement import Kind, TaxBasis

BILLING_ITEM_DETAIL = Layout(
    name="billingitemdetail",
    kind=Kind.UPSERT,
    tax_basis=TaxBasis.UNKNOWN,
    columns={
        Field.LINE_ID: ("主键",),
        Field.ACCOUNT: ("资源购买账号ID",),
        Field.OWNER: ("资源归属账号ID",),
        Field.PERIOD: ("账单月份", "账期", "账单周期"),
        Field.DAY: ("账单日期", "账务日期"),
        Field.TIME: ("消费时间", "扣费时间"),
        Field.CHARGE: ("费用类型",),
        Field.PRODUCT: ("产品Code",),
        Field.SERVICE: ("产品名称", "产品"),
        Field.COMMODITY: ("商品Code",),
        Field.ITEM: ("计费项Code",),
        Field.ITEM_NAME: ("计费项",),
        Field.INSTANCE: ("资产/资源实例ID", "实例ID（出账粒度）", "实例ID", "资产ID"),
        Field.REGION: ("地域",),
        Field.USAGE: ("用量",),
        Field.UNIT: ("用量单位",),
        Field.CURRENCY: ("定价币种",),
        Field.LIST_COST: ("目录总价",),
        Field.BILLED_COST: ("应付金额",),
        Field.OUTSTANDING: ("欠费金额",),
        Field.TAGS: ("实例标签", "标签"),
    },
    signature=((Field.PERIOD, Field.DAY), (Field.BILLED_COST,)),
    absent=(Field.OUTSTANDING,),
    charges=CHINESE,
    granularities=("instance", "month"),
)
