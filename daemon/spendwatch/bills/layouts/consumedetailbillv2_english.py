"""The new bill detail of the international site, `Group/Field`: no known header has an id of the line."""

from __future__ import annotations

from spendwatch.bills.layouts.charges import ENGLISH
from spendwatch.bills.layouts.layout import Field, Layout
from spendwatch.domain.statement import Kind, TaxBasis

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
