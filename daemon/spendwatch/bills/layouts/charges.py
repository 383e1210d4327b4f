"""Words with which bills name the type of a charge, in lower case; the first match counts."""

from __future__ import annotations

from spendwatch.domain.statement import ChargeKind

CHINESE = (
    ("退款", ChargeKind.REFUND),
    ("调账", ChargeKind.ADJUSTMENT),
    ("调整", ChargeKind.ADJUSTMENT),
    ("抹零", ChargeKind.ROUNDING),
    ("取整", ChargeKind.ROUNDING),
    ("免费额度", ChargeKind.FREE),
    ("按量", ChargeKind.USAGE),
    ("后付费", ChargeKind.USAGE),
    ("订阅", ChargeKind.SUBSCRIPTION),
    ("预付费", ChargeKind.SUBSCRIPTION),
)
"""Real bills say `云资源按量费用`, `免费额度`, `订阅预付费用`, `后付费`. The words for refunds and the like are inferred."""

ENGLISH = (
    ("refund", ChargeKind.REFUND),
    ("rounding", ChargeKind.ROUNDING),
    ("adjustment", ChargeKind.ADJUSTMENT),
    ("free quota", ChargeKind.FREE),
    ("pay-as-you-go", ChargeKind.USAGE),
    ("payasyougo", ChargeKind.USAGE),
    ("coverage", ChargeKind.USAGE),
    ("subscription", ChargeKind.SUBSCRIPTION),
)
"""`SubscriptionOrder`, `PayAsYouGoBill`, `Refund`, `Adjustment` are the provider's; what the new version writes is inferred."""

FOCUS = (
    ("correction", ChargeKind.REFUND),
    ("credit", ChargeKind.REFUND),
    ("adjustment", ChargeKind.ADJUSTMENT),
    ("purchase", ChargeKind.SUBSCRIPTION),
    ("usage", ChargeKind.USAGE),
)
"""The charge categories of the FOCUS specification, and the class `Correction`."""
