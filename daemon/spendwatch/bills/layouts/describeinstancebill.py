"""Responses of the API `DescribeInstanceBill`, saved as JSON, one page or all; read as a table of their fields."""

from __future__ import annotations

from spendwatch.bills.layouts.charges import ENGLISH
from spendwatch.bills.layouts.layout import Field, Layout
from spendwatch.domain.statement import Kind, TaxBasis

DESCRIBE_INSTANCE_BILL = Layout(
    name="describeinstancebill",
    kind=Kind.UPSERT,
    tax_basis=TaxBasis.EXCLUDED,
    columns={
        Field.ACCOUNT: ("AccountID",),
        Field.OWNER: ("BillAccountID", "OwnerID"),
        Field.PERIOD: ("BillingCycle",),
        Field.DAY: ("BillingDate",),
        Field.CHARGE: ("Item",),
        Field.TRADE: ("SubscriptionType",),
        Field.PRODUCT: ("ProductCode",),
        Field.SERVICE: ("ProductName",),
        Field.COMMODITY: ("CommodityCode", "ProductType"),
        Field.ITEM: ("BillingItemCode",),
        Field.ITEM_NAME: ("BillingItem",),
        Field.INSTANCE: ("InstanceID",),
        Field.REGION: ("Region",),
        Field.USAGE: ("Usage",),
        Field.UNIT: ("UsageUnit",),
        Field.CURRENCY: ("Currency",),
        Field.LIST_COST: ("PretaxGrossAmount",),
        Field.BILLED_COST: ("PretaxAmount",),
        Field.OUTSTANDING: ("OutstandingAmount",),
        Field.PAID_IN_CASH: ("PaymentAmount",),
        Field.PAID_BY_VOUCHER: ("DeductedByCashCoupons",),
        Field.PAID_BY_CARD: ("DeductedByPrepaidCard",),
        Field.PAID_BY_REFUND: ("AdjustAmount",),
        Field.TAGS: ("Tag",),
    },
    signature=((Field.PERIOD, Field.DAY), (Field.BILLED_COST,), (Field.INSTANCE,)),
    charges=ENGLISH,
    granularities=("month",),
    covers_days=True,
)
"""The provider calls the payable amount `Pretax`; for accounts in China it is what is due, tax and all (inferred)."""
