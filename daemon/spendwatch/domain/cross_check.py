"""The sum of a month's days beside the provider's own total, reported if one does not catch up with the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from spendwatch.domain.discrepancy import MONTH_TOTAL, Disagreement, Discrepancy
from spendwatch.domain.layouts import API_LAG, API_LAYOUT
from spendwatch.domain.money import EXACT, Currency, Money
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, SourceName


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Both figures of one period in one currency, as they were last asked for.

    Either may be late, and while a month goes on one of them nearly always is: that they differ says nothing. That the one
    which is behind has not reached, a whole lag later, what the other said at the beginning, says that something is missing.
    """

    source: SourceName
    account: AccountId
    period: BillingPeriod
    currency: Currency
    days: Decimal
    total: Decimal
    at: datetime
    tolerance: Decimal = Decimal(0)
    """The provider drops what is below a cent when it settles."""
    goal: Decimal | None = None
    """What the figure that is behind has to reach; None while both agree."""
    since: datetime | None = None
    """Since when it has to."""

    @property
    def agrees(self) -> bool:
        """Whether both say the same, but for the tolerance."""
        return EXACT.subtract(self.days, self.total).copy_abs() <= self.tolerance

    @property
    def discrepancy(self) -> Discrepancy | None:
        """What to report once lateness no longer explains the difference."""
        if self.since is None or self.at - self.since < API_LAG:
            return None
        return Discrepancy(
            Disagreement.TOTAL,
            self.account,
            self.period,
            Money(self.days, self.currency),
            Money(self.total, self.currency),
            API_LAYOUT,
            MONTH_TOTAL,
            source=self.source,
        )

    def following(self, before: CrossCheck | None) -> CrossCheck:
        """Return the check with its goal, given the one before it."""
        if self.agrees:
            return replace(self, goal=None, since=None)
        behind, ahead = sorted((self.days, self.total))
        goal = before.goal if before and (before.days < before.total) is (self.days < self.total) else None
        if before is None or goal is None or behind >= EXACT.subtract(goal, self.tolerance):
            return replace(self, goal=ahead, since=self.at)
        # A refund may lower the goal, nothing raises it.
        return replace(self, goal=min(goal, ahead), since=before.since)
