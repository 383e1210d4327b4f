"""Whose figures are those of the billing API, so that whoever reads them must know that they are late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from spendwatch.domain.layouts import lags
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Policies
from spendwatch.domain.statement import AccountId
from spendwatch.jobs.ports import Ledger


class Lagging:
    """Knows of each account and period whether the series that counts is the API's."""

    def __init__(self, ledger: Ledger, policies: Policies, current: BillingPeriod) -> None:
        """Ask the ledger when somebody first needs it."""
        self._ledger = ledger
        self._products = policies.products
        self._current = current
        self._counting: dict[BillingPeriod, Mapping[AccountId, str]] = {}

    def noted_in(self, said: Sequence[Notification]) -> tuple[Notification, ...]:
        """Return the notifications, each of which says whether its figures are late."""
        return tuple(replace(one, facts=replace(one.facts, lags=True)) if self._is_late(one) else one for one in said)

    def accounts(self, period: BillingPeriod) -> frozenset[AccountId]:
        """Return the accounts whose figures of that period are the API's; where a month has just begun, of the one before."""
        return frozenset(account for account, series in self._around(period).items() if lags(series))

    def _is_late(self, said: Notification) -> bool:
        facts = said.facts
        period = BillingPeriod.parse(facts.period) if facts.period else self._current
        if facts.account:
            return facts.account in self.accounts(period)
        # What is said of no account tells the latest bill of all of them.
        series = self._around(period).values()
        return bool(series) and all(map(lags, series))

    def _around(self, period: BillingPeriod) -> Mapping[AccountId, str]:
        return {**self._of(period.previous()), **self._of(period)}

    def _of(self, period: BillingPeriod) -> Mapping[AccountId, str]:
        if period not in self._counting:
            self._counting[period] = self._ledger.counting(period, self._products)
        return self._counting[period]
