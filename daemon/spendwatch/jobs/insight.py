"""What is read out of the ledger for several rounds, and kept as long as the ledger does not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal

from spendwatch.domain.cover import Exposure, exposure_of
from spendwatch.domain.owed import OwedDay, believed_since, earlier_periods
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Policies
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import AccountId, ChargeKind
from spendwatch.jobs.paces import Paces
from spendwatch.jobs.ports import Ledger

Charged = Mapping[tuple[str, str], Decimal]
"""By account and currency."""

_PLANS_SEEN = timedelta(days=40)
"""A plan whose last order is older will have been seen to renew, or has ended."""

_REST = timedelta(minutes=10)
"""Where there are very many budgets, forecasts wait so long for each other: they rest on days, not on minutes."""


class Insight:
    """Paces, what months cost, what is owed of earlier ones, and which plans there are."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.paces = Paces()
        self._owed: tuple[tuple[int, BillingPeriod, date], Sequence[OwedDay]] | None = None
        self._looked_at: datetime | None = None
        self._foreseen: tuple[tuple[int, BillingPeriod], Policies] | None = None
        self._charged: tuple[int, dict[BillingPeriod, Charged]] = (-1, {})
        self._charges: tuple[tuple[int, date], Mapping[AccountId, frozenset[tuple[str, ChargeKind]]]] | None = None

    def is_rested(self, now: datetime) -> bool:
        """Tell whether it is time again for what takes long where there is much of it; if so, its time begins anew."""
        if self._looked_at is not None and timedelta() <= now - self._looked_at < _REST:
            return False
        self._looked_at = now
        return True

    def has_foreseen(self, ground: tuple[int, BillingPeriod], policies: Policies) -> bool:
        """Tell whether forecasts were judged on that revision of the ledger, in that month, by these policies."""
        return self._foreseen is not None and self._foreseen[0] == ground and self._foreseen[1] is policies

    def foresaw(self, ground: tuple[int, BillingPeriod], policies: Policies) -> None:
        """Note that they were, and that what followed is on record."""
        self._foreseen = ground, policies

    def owed(self, ledger: Ledger, oldest_open: BillingPeriod, now: datetime, zone: tzinfo) -> Sequence[OwedDay]:
        """Return what the bills of the months before the open ones show as not paid."""
        place = (ledger.revision(), oldest_open, now.astimezone(zone).date())
        if self._owed is None or self._owed[0] != place:
            self._owed = place, ledger.owed(earlier_periods(oldest_open), believed_since(now, zone))
        return self._owed[1]

    def charged(self, ledger: Ledger, period: BillingPeriod) -> Charged:
        """Return what was charged in that month, all products."""
        revision = ledger.revision()
        if self._charged[0] != revision:
            self._charged = revision, {}
        found = self._charged[1]
        if period not in found:
            found[period] = {
                (one.values[Dimension.ACCOUNT], one.currency): one.amount
                for one in ledger.spend(period, (Dimension.ACCOUNT,), products=None)
            }
        return found[period]

    def exposure(self, ledger: Ledger, account: AccountId, today: date) -> Exposure:
        """Return what the account has to fear from being overdue, by its bills of the last forty days."""
        place = (ledger.revision(), today)
        if self._charges is None or self._charges[0] != place:
            self._charges = place, ledger.recent_charges(today - _PLANS_SEEN)
        return exposure_of(self._charges[1].get(account, frozenset()))
