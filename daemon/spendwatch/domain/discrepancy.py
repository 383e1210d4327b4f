"""Two figures for the same charges that do not agree: two series, days and a total, a final month and a late bill."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from spendwatch.domain.money import Money
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId

MONTH_TOTAL = "month_total"
"""The name of the provider's own total where it stands beside a series of bills. It never counts."""


class Disagreement(StrEnum):
    """What does not agree."""

    AMOUNTS = "amounts"
    """Two series differ by more than rounding, over the days that both contain completely."""
    DAYS = "days"
    """Two series, about which days there are: some lie in the one alone that does not count, and are in no sum.

    Nor may they be added: what one layout dates to its first day, another may date to its last, and so tell it, too.
    """
    TOTAL = "total"
    """The days of a source and the provider's own total of the month, for longer than lateness explains."""
    FINAL_MONTH = "final_month"
    """A final month, and a bill that came later: it counts all the same."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Both figures of one account and period."""

    kind: Disagreement
    account: AccountId
    period: BillingPeriod
    counted: Money
    """What counts. Of two series that differ about amounts: on the days below."""
    other: Money
    """What the other one says; of a final month: what it was."""
    counts: str = ""
    """The series that counts."""
    series: str = ""
    """The other one."""
    days: tuple[date, ...] = ()
    """The days that were compared, the first to the last but one, as a last day may still grow; or those that are lacking."""
    lacking: Money | None = None
    """What the other series says of the days that are lacking."""
    source: str = ""
    """Whose days and total they are."""
    digest: str = ""
    """Of the late bill file."""
    file: str = ""
    """Its name."""
    at: datetime | None = None
    """When it came."""

    @property
    def size(self) -> Decimal:
        """By how much the figures differ, up or down."""
        return (self.counted - self.other).amount.copy_abs()

    @property
    def before(self) -> Money | None:
        """What a final month was."""
        return self.other if self.kind is Disagreement.FINAL_MONTH else None

    @property
    def by_series(self) -> tuple[tuple[str, Money], ...]:
        """What each series says, the one that counts first; nothing of a final month."""
        both = (self.counts, self.counted), (self.series, self.other)
        return () if self.kind is Disagreement.FINAL_MONTH else both
