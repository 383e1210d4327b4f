"""What the bills of months that are over show as not paid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from spendwatch.domain.money import EXACT, Currency, Money
from spendwatch.domain.period import BillingPeriod, closes_at
from spendwatch.domain.statement import AccountId, DayKey, Stamp

BELIEVED_FOR = timedelta(days=40)
"""What was told longer ago may have been paid meanwhile, and no bill would say so."""

EARLIER = 12
"""So many months before the open ones are asked after."""


@dataclass(frozen=True, slots=True)
class OwedDay:
    """What one series says of one day that is not paid, and by which stamp it last said so."""

    key: DayKey
    currency: Currency
    amount: Decimal
    newest: Stamp


def earlier_periods(oldest_open: BillingPeriod) -> tuple[BillingPeriod, ...]:
    """Return the months before the oldest open one that may still be owed, the latest first."""
    found = [oldest_open.previous()]
    while len(found) < EARLIER:
        found.append(found[-1].previous())
    return tuple(found)


def believed_since(now: datetime, zone: tzinfo) -> Stamp:
    """Return from which stamp on it is believed that something is not paid."""
    return _stamp(now - BELIEVED_FOR, zone)


def _stamp(moment: datetime, zone: tzinfo) -> Stamp:
    return Stamp(moment.astimezone(zone).strftime("%Y%m%d%H%M%S"))


def owed(
    days: Iterable[OwedDay], account: AccountId, currency: Currency, *, now: datetime, zone: tzinfo, final_on: int
) -> Money:
    """Return what the account owes of closed months.

    Only that counts which was told after the month was final: before, everything is unpaid in the normal course of things.
    Of several series of a month the one counts that shows more, as everywhere.
    """
    sums: dict[BillingPeriod, dict[str, Decimal]] = {}
    for day in days:
        key = day.key
        if key.account != account or day.currency != currency:
            continue
        if day.newest >= max(believed_since(now, zone), _stamp(closes_at(key.period, zone, final_on=final_on), zone)):
            told = sums.setdefault(key.period, {})
            told[key.series] = EXACT.add(told.get(key.series, Decimal(0)), day.amount)
    return Money.total((max(Decimal(0), *told.values()) for told in sums.values()), currency)
