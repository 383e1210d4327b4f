"""What an account may still spend, term by term, and what being overdue does to which product."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from spendwatch.domain.money import Money
from spendwatch.domain.statement import AccountId


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """The terms of the provider's formula. `reported` is what the provider itself says, where we were told."""

    account: AccountId
    cash: Money
    credit: Money
    unsettled_current: Money
    unsettled_previous: Money
    data_until: datetime | None = None
    reported: Money | None = None

    @property
    def available(self) -> Money:
        """(cash + credit limit) − (unsettled this month + unsettled previous months)."""
        return (self.cash + self.credit) - (self.unsettled_current + self.unsettled_previous)

    @property
    def is_overdue(self) -> bool:
        """The provider calls an account overdue when available is below zero."""
        return self.available.amount < 0


class Cover(StrEnum):
    """What an account may still have when its balance is gone. By the provider's page on billing and cost management."""

    FREE_QUOTA = "free_quota"
    SAVINGS_PLAN = "savings_plan"
    CODING_PLAN = "coding_plan"
    TOKEN_PLAN = "token_plan"  # noqa: S105 -- the name of a product
    NONE = "none"


def covers_seen(commodities: Iterable[str], *, has_free_lines: bool) -> tuple[Cover, ...]:
    """Return the covers that the bills give reason to expect, from commodity codes and free-quota lines.

    Codes met in real bills: `sfm_GenAI_spn_cn` (savings plan), `sfm_codingplan_…`, `sfm_tokenplan…`.
    """
    codes = {code.lower() for code in commodities}
    found = []
    if has_free_lines:
        found.append(Cover.FREE_QUOTA)
    for cover, mark in ((Cover.SAVINGS_PLAN, "_spn"), (Cover.CODING_PLAN, "codingplan"), (Cover.TOKEN_PLAN, "tokenplan")):
        if any(mark in code for code in codes):
            found.append(cover)
    return tuple(found)
