"""The older pushes of instance details, 41 columns in Chinese, 37 in English: no key, but with the outstanding amount."""

from __future__ import annotations

from spendwatch.bills.layouts.charges import CHINESE, ENGLISH
from spendwatch.bills.layouts.describeinstancebill import API_COLUMNS
from spendwatch.bills.layouts.layout import Field, Layout
from spendwatch.domain.statement import Kind, TaxBasis

INSTANCE_DETAIL = Layout(
    name="instancedetail",
    kind=Kind.UPSERT,
    tax_basis=TaxBasis.UNKNOWN,
    columns={
        Field.RECORD: ("订单号/账单号",),
        Field.ACCOUNT: ("账号ID",),
        Field.PERIOD: ("账期",),
        Field.TIME: ("消费时间",),
        Field.STARTS: ("账单开始时间",),
        Field.ENDS: ("账单结束时间",),
        Field.CHARGE: ("账单类型",),
        Field.TRADE: ("消费类型",),
        Field.PRODUCT: ("产品Code",),
        Field.SERVICE: ("产品",),
        Field.COMMODITY: ("产品明细Code",),
        Field.ITEM: ("计费项",),
        Field.INSTANCE: ("实例ID",),
        Field.REGION: ("地域",),
        Field.USAGE: ("用量",),
        Field.UNIT: ("用量单位",),
        Field.LIST_COST: ("原价",),
        Field.BILLED_COST: ("应付金额",),
        Field.OUTSTANDING: ("欠费金额",),
        Field.PAID_IN_CASH: ("现金支付",),
        Field.PAID_BY_VOUCHER: ("代金券抵扣",),
        Field.PAID_BY_CARD: ("储值卡支付金额",),
        Field.TAGS: ("实例标签",),
    },
    signature=((Field.PERIOD,), (Field.BILLED_COST,), (Field.OUTSTANDING,)),
    charges=CHINESE,
)

INSTANCE_DETAIL_ENGLISH = Layout(
    name="instancedetail-en",
    kind=Kind.UPSERT,
    tax_basis=TaxBasis.EXCLUDED,
    columns={
        **API_COLUMNS,
        Field.RECORD: ("RecordID",),
        Field.OWNER: ("OwnerID",),
        Field.TIME: ("PaymentTime",),
        Field.STARTS: ("UsageStartTime",),
        Field.ENDS: ("UsageEndTime",),
        Field.COMMODITY: ("ProductType",),
        Field.INSTANCE: ("InstanceID", "Instance ID (Billing Granularity)", "Asset/Resource Instance ID"),
        Field.TAGS: ("Tag", "Instance Tag"),
    },
    signature=((Field.PERIOD,), (Field.BILLED_COST,)),
    charges=ENGLISH,
)
"""The vendor's list of names has no currency: it is taken from the configuration, with a remark."""
