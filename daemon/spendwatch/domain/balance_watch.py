"""The memory of a balance between two rounds: top-ups, since when it is not below zero, runways reached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from spendwatch.domain.balance import TOLERANCE, Position
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.forecast import Runway, RunwayReached, runway_reached
from spendwatch.domain.money import Money
from spendwatch.domain.run_rate import TooEarly, TooOld
from spendwatch.domain.statement import AccountId

CLEAR_FOR = timedelta(hours=1)
"""For so long an overdue account must not be below zero before it counts as recovered, where no top-up tells so at once."""


@dataclass(frozen=True, slots=True)
class TopUp:
    """Money that came in: seen between two looks, so at least so much."""

    amount: Money
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class BalanceWatch:
    """The balance as it was at the last look, and what must not be forgotten of the looks before."""

    account: AccountId
    origin: Origin
    funds: Money | None
    """Cash, credit limit and credit refunds."""
    net: Money | None
    """What could be spent by the reading alone; None where bills have a part in it."""
    top_up: TopUp | None = None
    """The last one."""
    positive_since: datetime | None = None
    """Since when available is not below zero; None while it is."""
    runway: tuple[RunwayReached, ...] = ()
    overdue_since: datetime | None = None
    """Since when it is below zero, or was last; time above zero in between is left out."""


def watch_balance(before: BalanceWatch | None, balance: Position, *, now: datetime) -> BalanceWatch:
    """Return what is to be remembered of this look. A top-up lets go of every runway that was reached."""
    net = None if balance.is_by_bills else balance.net
    watch = BalanceWatch(balance.reading.account, balance.reading.origin, balance.funds, net)
    if before is not None:
        # What came in before the account fell below zero has nothing to do with how it gets out again.
        falls = balance.is_overdue and before.positive_since is not None
        earlier = None if falls else before.top_up
        watch = replace(
            watch,
            top_up=earlier,
            positive_since=before.positive_since,
            overdue_since=_overdue_since(before, now) if falls else before.overdue_since,
            runway=before.runway,
        )
        if came_in := _came_in(before, watch):
            # Several payments that only together settle the debt are one.
            one_of_several = earlier if before.positive_since is None else None
            watch = replace(watch, top_up=_together(one_of_several, came_in, now), runway=())
    if balance.is_overdue:
        return replace(watch, positive_since=None, overdue_since=watch.overdue_since or now)
    return watch if watch.positive_since else replace(watch, positive_since=now)


def with_runway(watch: BalanceWatch, runway: Runway | TooEarly | TooOld, thresholds: Iterable[timedelta]) -> BalanceWatch:
    """Return what is remembered with the runways that are reached now."""
    return replace(watch, runway=runway_reached(runway, thresholds, watch.runway))


def is_clear(watch: BalanceWatch, since: datetime, *, now: datetime) -> bool:
    """Return whether an account that was overdue since then has recovered: by a top-up, or for some time.

    An available balance that wavers about zero is one episode and not many.
    """
    if watch.positive_since is None:
        return False
    return (watch.top_up is not None and watch.top_up.seen_at >= since) or now - watch.positive_since >= CLEAR_FOR


def _overdue_since(before: BalanceWatch, now: datetime) -> datetime:
    """Return since when an account counts as overdue that falls below zero: one that had recovered, since now."""
    earlier = before.overdue_since
    if earlier is None or before.positive_since is None or is_clear(before, earlier, now=now):
        return now
    return earlier + (now - before.positive_since)


def _together(earlier: TopUp | None, came_in: Money, now: datetime) -> TopUp:
    if earlier is None or earlier.amount.currency != came_in.currency:
        return TopUp(came_in, now)
    return TopUp(earlier.amount + came_in, now)


def _came_in(before: BalanceWatch, now: BalanceWatch) -> Money | None:
    """Return by how much money rose that no bill touches; a settlement takes off cash what it takes off the unsettled."""
    if before.origin is not now.origin:
        return None  # another source may count otherwise: that is no money
    rises = [_rise(before.funds, now.funds), _rise(before.net, now.net)]
    found = [rise for rise in rises if rise is not None and rise.amount > TOLERANCE]
    return max(found, default=None)


def _rise(before: Money | None, now: Money | None) -> Money | None:
    if before is None or now is None or before.currency != now.currency:
        return None
    return now - before
