"""The category of a charge as on the provider's cost page, derived from commodity and billing item."""

from __future__ import annotations

from enum import StrEnum


class Category(StrEnum):
    """The categories of the provider's page on billing and cost management; what is ordered in advance by its own name."""

    INFERENCE = "inference"
    TRAINING = "training"
    DEPLOYMENT = "deployment"
    KNOWLEDGE_BASE = "knowledge base"
    WEB_SEARCH = "web search"
    PROVISIONED_THROUGHPUT = "provisioned throughput"
    MODEL_UNITS = "model units"
    SAVINGS_PLAN = "savings plan"
    TOKEN_PLAN = "Token Plan"  # noqa: S105 -- the name of a product
    CODING_PLAN = "Coding Plan"
    OTHER = "other"


# Codes met in bills and in the vendor's console links are sfm_inference…, sfm_inferenceHH…, sfm_training…, sfm_deployment…,
# sfm_ptu…, sfm_modelunit…, sfm_codingplan…, sfm_tokenplan… and sfm_GenAI_spn… (a savings plan). For knowledge base and web
# search no code was found anywhere: anything with that name is put into that category. Plans come first: their commodity is
# certain, and their items may be named after anything.
_MARKS = (
    (Category.SAVINGS_PLAN, ("_spn", "savingsplan", "savings_plan")),
    (Category.CODING_PLAN, ("codingplan", "coding_plan")),
    (Category.TOKEN_PLAN, ("tokenplan", "token_plan")),
    (Category.PROVISIONED_THROUGHPUT, ("_ptu", "provisioned")),
    (Category.MODEL_UNITS, ("modelunit", "model_unit")),
    (Category.WEB_SEARCH, ("search",)),
    (Category.KNOWLEDGE_BASE, ("knowledge", "_rag")),
    (Category.TRAINING, ("training",)),
    (Category.DEPLOYMENT, ("deployment",)),
    (Category.INFERENCE, ("inference",)),
)


def category_of(commodity: str, item: str = "") -> Category:
    """Return the category of a charge by the codes of its commodity and of its billing item."""
    codes = f"{commodity}\n{item}".lower()
    return next((category for category, marks in _MARKS if any(mark in codes for mark in marks)), Category.OTHER)
