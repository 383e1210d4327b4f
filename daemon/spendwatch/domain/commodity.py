"""What commodity codes mean: the category of a charge on the provider's cost page, and the effect of an overdue account."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from spendwatch.domain.statement import ChargeKind

MODEL_STUDIO = "sfm"
"""The product code of Model Studio, with which its commodity codes begin, too."""


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


@lru_cache(maxsize=1024)
def category_of(commodity: str, item: str = "") -> Category:
    """Return the category of a charge by the codes of its commodity and of its billing item."""
    codes = f"{commodity}\n{item}".lower()
    return next((category for category, marks in _MARKS if any(mark in codes for mark in marks)), Category.OTHER)


class Cover(StrEnum):
    """What an account may still have when its balance is gone. By the provider's page on billing and cost management."""

    FREE_QUOTA = "free_quota"
    SAVINGS_PLAN = "savings_plan"
    CODING_PLAN = "coding_plan"
    TOKEN_PLAN = "token_plan"  # noqa: S105 -- the name of a product
    NONE = "none"


_COVERS = {
    Category.SAVINGS_PLAN: Cover.SAVINGS_PLAN,
    Category.CODING_PLAN: Cover.CODING_PLAN,
    Category.TOKEN_PLAN: Cover.TOKEN_PLAN,
}
_RENEWED = (Cover.CODING_PLAN, Cover.TOKEN_PLAN)


def cover_of(commodity: str) -> Cover:
    """Return the plan that a commodity code belongs to, or none."""
    return _COVERS.get(category_of(commodity), Cover.NONE)


def covers_seen(commodities: Iterable[str], *, has_free_lines: bool) -> tuple[Cover, ...]:
    """Return the covers that the bills give reason to expect, from commodity codes and free-quota lines."""
    seen = {cover_of(code) for code in commodities} | ({Cover.FREE_QUOTA} if has_free_lines else set())
    return tuple(cover for cover in Cover if cover in seen and cover is not Cover.NONE)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What an account has to fear from being overdue."""

    covers: tuple[Cover, ...] = ()
    """What it may still have."""
    plans: tuple[str, ...] = ()
    """Commodity codes of plans and other subscriptions: they cannot be renewed while the account is overdue."""
    stops: tuple[str, ...] = ()
    """Commodity codes of what is paid as it is used, by no plan: suspended."""


NOTHING_TO_FEAR = Exposure()


def exposure_of(charges: AbstractSet[tuple[str, ChargeKind]]) -> Exposure:
    """Return it, from the commodity codes that were charged lately and how."""
    codes = sorted({code for code, _ in charges if code})
    subscribed = {code for code, kind in charges if kind is ChargeKind.SUBSCRIPTION}
    used = {code for code, kind in charges if kind in {ChargeKind.USAGE, ChargeKind.OTHER}}
    return Exposure(
        covers=covers_seen(codes, has_free_lines=any(kind is ChargeKind.FREE for _, kind in charges)),
        plans=tuple(code for code in codes if code in subscribed or cover_of(code) in _RENEWED),
        stops=tuple(code for code in codes if code in used - subscribed and cover_of(code) is Cover.NONE),
    )
