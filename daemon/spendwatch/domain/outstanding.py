"""The outstanding amounts in the bills of past months."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import NamedTuple

from spendwatch.domain.money import EXACT, Currency, Money, exact_sums
from spendwatch.domain.period import BillingPeriod, closes_at
from spendwatch.domain.statement import AccountId, DayKey

BELIEVED_FOR = timedelta(days=40)
"""What was last billed longer ago may have been paid since; no bill shows that."""

EARLIER = 12
"""So many months before the open ones are asked after."""


class OutstandingDay(NamedTuple):
    """What one series says of one day that is not paid, and when it last said so."""

    key: DayKey
    currency: Currency
    amount: Decimal
    newest: datetime


@dataclass(frozen=True, slots=True)
class Charged:
    """What bills charge an account in a currency, by how it is paid."""

    account: AccountId
    currency: Currency
    unsettled: Decimal = Decimal(0)
    """Pay-as-you-go: the outstanding amount where bills show one, else the billed cost."""
    ordered: Decimal = Decimal(0)
    """Subscriptions, less their refunds: paid when ordered, so it is never unsettled."""

    def __add__(self, other: Charged) -> Charged:
        """Return both together."""
        unsettled, ordered = EXACT.add(self.unsettled, other.unsettled), EXACT.add(self.ordered, other.ordered)
        return replace(self, unsettled=unsettled, ordered=ordered)


@dataclass(frozen=True, slots=True)
class SettledPeriod:
    """A month that has become final: what was charged in it is taken for paid from then on. Nobody saw that it was."""

    period: BillingPeriod
    amount: Money
    """What was unsettled in it, less what its bills still show as not paid."""
    at: datetime
    """Since when it counts so."""


def earlier_periods(oldest_open: BillingPeriod) -> tuple[BillingPeriod, ...]:
    """Return the months before the oldest open one that may still be owed, the latest first."""
    found = [oldest_open.previous()]
    while len(found) < EARLIER:
        found.append(found[-1].previous())
    return tuple(found)


def believed_since(now: datetime) -> datetime:
    """Return since when it is believed that something is not paid."""
    return now - BELIEVED_FOR


def settled_period(
    unsettled: Callable[[BillingPeriod], Money],
    days: Iterable[OutstandingDay],
    account: AccountId,
    *,
    oldest_open: BillingPeriod,
    told_at: datetime,
    now: datetime,
    zone: tzinfo,
    final_on: int,
) -> SettledPeriod | None:
    """Return the last final month in which anything was unsettled that counts as settled.

    Looked for are the last final month, and those before it that became final after `told_at`, the moment of the reading.
    """
    known = tuple(days)
    for period in earlier_periods(oldest_open):
        at, spent = closes_at(period, zone, final_on=final_on), unsettled(period)
        mine = (day for day in known if day.key.period == period)
        amount = spent - owed(mine, account, spent.currency, now=now, zone=zone, final_on=final_on)
        if amount.amount > 0:
            return SettledPeriod(period, amount, at)
        if at <= told_at:
            break
    return None


def owed(
    days: Iterable[OutstandingDay], account: AccountId, currency: Currency, *, now: datetime, zone: tzinfo, final_on: int
) -> Money:
    """Return what the account owes of closed months.

    Only that counts which was told after the month was final: before, everything is unpaid in the normal course of things.
    Of several series of a month the one counts that shows more, as everywhere.
    """
    mine = (day for day in days if day.key.account == account and day.currency == currency)
    since = believed_since(now)
    told = (day for day in mine if day.newest >= max(since, closes_at(day.key.period, zone, final_on=final_on)))
    most: dict[BillingPeriod, Decimal] = {}
    for series, amount in exact_sums((day.key.month, day.amount) for day in told).items():
        most[series.period] = max(amount, most.get(series.period, Decimal(0)))
    return Money.total(most.values(), currency)
