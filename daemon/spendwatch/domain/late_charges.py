"""Which months are final: amounts that arrive later still count, and are reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from spendwatch.domain.period import BillingPeriod


@dataclass(frozen=True, slots=True)
class PeriodClose:
    """Which months are final, and what counts as spend in them."""

    closed: Mapping[BillingPeriod, datetime] = field(default_factory=dict)
    """The final months, each with the moment at which it became so."""
    products: tuple[str, ...] = ()
    first_open: BillingPeriod | None = None
    """The oldest month whose bills may still change, on record or not; None: no month is over."""

    def is_over(self, period: BillingPeriod) -> bool:
        """Return whether the month is no longer open."""
        return self.first_open is not None and period < self.first_open
