"""FOCUS, the open specification of billing data, 1.0 preview to 1.4, with or without the provider's own `x_` columns."""

from __future__ import annotations

from spendwatch.bills.layouts.charges import FOCUS as CHARGES
from spendwatch.bills.layouts.layout import Field, Layout
from spendwatch.domain.statement import Kind, TaxBasis

FOCUS = Layout(
    name="focus",
    kind=Kind.SNAPSHOT,
    tax_basis=TaxBasis.UNKNOWN,
    columns={
        Field.ACCOUNT: ("BillingAccountId",),
        Field.OWNER: ("SubAccountId",),
        Field.PERIOD: ("BillingPeriodStart",),
        Field.STARTS: ("ChargePeriodStart",),
        Field.ENDS: ("ChargePeriodEnd",),
        Field.CHARGE: ("ChargeCategory",),
        Field.TRADE: ("ChargeClass",),
        Field.SERVICE: ("ServiceName",),
        Field.CATEGORY: ("ServiceCategory",),
        Field.PROVIDER: ("ServiceProviderName", "ProviderName"),
        Field.PUBLISHER: ("PublisherName", "HostProviderName"),
        Field.ISSUER: ("InvoiceIssuerName",),
        Field.COMMODITY: ("x_CommodityCode", "SkuId"),
        Field.ITEM: ("x_BillingItemCode", "SkuPriceId"),
        Field.INSTANCE: ("x_InstanceID", "ResourceId"),
        Field.REGION: ("RegionId",),
        Field.USAGE: ("PricingQuantity",),
        Field.UNIT: ("PricingUnit",),
        Field.CURRENCY: ("BillingCurrency",),
        Field.LIST_COST: ("ListCost",),
        Field.BILLED_COST: ("BilledCost",),
        Field.TAGS: ("Tags",),
    },
    signature=((Field.BILLED_COST,), (Field.PERIOD,)),
    charges=CHARGES,
    null="NULL",
    is_of_others=True,
)
"""Of dates only the date part counts: whether the provider shifts its days to UTC is not known."""

OTHER_DATASETS = {
    "InvoiceDetail": "InvoiceDetailId",
    "BillingPeriod": "BillingPeriodStatus",
    "ContractCommitment": "ContractCommitmentId",
}
"""The datasets of FOCUS beside cost and usage, each with its own column, where charge period and service are missing."""
