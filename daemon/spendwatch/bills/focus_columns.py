"""The columns of the ledger's lines in the FOCUS format."""

from __future__ import annotations

COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "SubAccountId",
    "Tags",
    "x_CommodityCode",
    "x_BillingItemCode",
    "x_InstanceID",
    "x_LineId",
    "x_Workspace",
    "x_ApiKeyId",
    "x_Model",
)
"""The mandatory columns of FOCUS 1.0 to 1.2 in the order of their names, and what else we know."""
