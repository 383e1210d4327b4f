"""Amounts that arrive after a month should have been final. They still count, and are reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from spendwatch.domain.money import Money
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, Digest


@dataclass(frozen=True, slots=True)
class Closing:
    """Which months are final, and what counts as spend in them."""

    closed: Mapping[BillingPeriod, datetime] = field(default_factory=dict)
    """The final months, each with the moment at which it became so."""
    products: tuple[str, ...] = ()
    first_open: BillingPeriod | None = None
    """The oldest month whose bills may still change, on record or not; None: no month is over."""

    def is_over(self, period: BillingPeriod) -> bool:
        """Tell whether the month is no longer open."""
        return self.first_open is not None and period < self.first_open


@dataclass(frozen=True, slots=True)
class LateChange:
    """A final month whose spend a bill has changed. Months that nobody watched while they were open are no matter of it."""

    digest: Digest
    """Of the bill file."""
    name: str
    account: AccountId
    period: BillingPeriod
    before: Money
    after: Money
    at: datetime

    @property
    def size(self) -> Decimal:
        """By how much the month has changed, up or down."""
        return (self.after - self.before).amount.copy_abs()
