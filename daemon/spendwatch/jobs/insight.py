"""What rounds remember of each other: run rates, evaluated forecasts, and unchanged data of the ledger."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta
from typing import Any

from spendwatch.domain.alert import Acknowledgement, AlertsKnown
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Policies
from spendwatch.jobs.days_and_weeks import JudgedDays
from spendwatch.jobs.ports import AlertBook
from spendwatch.jobs.run_rates import RunRates

_REST = timedelta(minutes=10)
"""Where there are very many budgets, forecasts wait so long for each other: they rest on days, not on minutes."""


class Insight:
    """Paces, and what need not be read or judged again while the ledger does not change."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.paces = RunRates()
        self.judged_days = JudgedDays()
        self.closed_by: Policies | None = None
        """By which policies it was looked for what is no longer watched."""
        self.closed_in: Sequence[BillingPeriod] = ()
        """In which months. If a clock showed another one for a while, alerts that were not looked at may go on."""
        self.foreseen: tuple[int, BillingPeriod, Policies] | None = None
        """On what forecasts were judged of which all that follows is on record: a revision of the ledger, a month, policies."""
        self._looked_at: datetime | None = None
        self._kept: tuple[int, dict[Hashable, Any]] = (-1, {})
        self._alerts: tuple[tuple[int, Sequence[Acknowledgement]], AlertsKnown] | None = None

    def alerts(self, book: AlertBook) -> AlertsKnown:
        """Return the alerts on record and who acknowledged them; they are read when something of that has changed."""
        state = book.revision(), book.acknowledgements()
        if self._alerts is None or self._alerts[0] != state:
            self._alerts = None  # there may be very many of them: not twice
            self._alerts = state, AlertsKnown(book.known(), state[1])
        return self._alerts[1]

    def kept(self, revision: int) -> dict[Hashable, Any]:
        """Return what was read at that revision of the ledger; what was read at another is forgotten."""
        if self._kept[0] != revision:
            self._kept = revision, {}
        return self._kept[1]

    def is_rested(self, now: datetime) -> bool:
        """Return whether it is time again for what takes long where there is much of it; if so, its time begins anew."""
        if self._looked_at is not None and timedelta() <= now - self._looked_at < _REST:
            return False
        self._looked_at = now
        return True
