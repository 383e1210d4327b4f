"""Responses of the API `DescribeInstanceBill`, saved as JSON, one page or all; read as a table of their fields."""

from __future__ import annotations

from spendwatch.bills.layouts.charges import ENGLISH
from spendwatch.bills.layouts.layout import Field, Layout
from spendwatch.domain.statement import Kind, TaxBasis

API_COLUMNS = {
    Field.ACCOUNT: ("AccountID",),
    Field.PERIOD: ("BillingCycle",),
    Field.CHARGE: ("Item",),
    Field.TRADE: ("SubscriptionType",),
    Field.PRODUCT: ("ProductCode",),
    Field.SERVICE: ("ProductName",),
    Field.REGION: ("Region",),
    Field.CURRENCY: ("Currency",),
    Field.LIST_COST: ("PretaxGrossAmount",),
    Field.BILLED_COST: ("PretaxAmount",),
    Field.OUTSTANDING: ("OutstandingAmount",),
    Field.PAID_IN_CASH: ("PaymentAmount",),
    Field.PAID_BY_VOUCHER: ("DeductedByCashCoupons",),
    Field.PAID_BY_CARD: ("DeductedByPrepaidCard",),
}
"""What answers of the API have in common with the pushes of instance details in English."""

DESCRIBE_INSTANCE_BILL = Layout(
    name="describeinstancebill",
    kind=Kind.UPSERT,
    tax_basis=TaxBasis.EXCLUDED,
    columns={
        **API_COLUMNS,
        Field.OWNER: ("BillAccountID", "OwnerID"),
        Field.DAY: ("BillingDate",),
        Field.COMMODITY: ("CommodityCode", "ProductType"),
        Field.ITEM: ("BillingItemCode",),
        Field.ITEM_NAME: ("BillingItem",),
        Field.INSTANCE: ("InstanceID",),
        Field.USAGE: ("Usage",),
        Field.UNIT: ("UsageUnit",),
        Field.PAID_BY_REFUND: ("AdjustAmount",),
        Field.TAGS: ("Tag",),
    },
    signature=((Field.PERIOD, Field.DAY), (Field.BILLED_COST,), (Field.INSTANCE,)),
    charges=ENGLISH,
    granularities=("month",),
    covers_days=True,
)
"""The provider calls the payable amount `Pretax`; for accounts in China it is what is due, tax and all (inferred)."""
