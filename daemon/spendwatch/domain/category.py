"""What sort of service a charge is for, as people know it from the provider's cost page: told by commodity and billing item."""

from __future__ import annotations

from enum import StrEnum


class Category(StrEnum):
    """The categories of the provider's page on billing and cost management."""

    INFERENCE = "inference"
    TRAINING = "training"
    DEPLOYMENT = "deployment"
    KNOWLEDGE_BASE = "knowledge base"
    WEB_SEARCH = "web search"
    PLAN = "plan"
    OTHER = "other"


# Codes met in real bills and in the vendor's console links are sfm_inference…, sfm_inferenceHH…, sfm_training…,
# sfm_deployment…, sfm_codingplan…, sfm_tokenplan… and sfm_GenAI_spn… (a savings plan). For knowledge base and web search no
# code was found anywhere; what calls itself so counts as such.
_MARKS = (
    (Category.WEB_SEARCH, ("search",)),
    (Category.KNOWLEDGE_BASE, ("knowledge", "_rag")),
    (Category.PLAN, ("_spn", "codingplan", "tokenplan")),
    (Category.TRAINING, ("training",)),
    (Category.DEPLOYMENT, ("deployment",)),
    (Category.INFERENCE, ("inference",)),
)


def category_of(commodity: str, item: str) -> Category:
    """Return the category of a charge by the codes of its commodity and of its billing item."""
    codes = f"{commodity}\n{item}".lower()
    return next((category for category, marks in _MARKS if any(mark in codes for mark in marks)), Category.OTHER)
