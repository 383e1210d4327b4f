"""The run rate of every workspace, account and finer budget, recomputed only when its complete days change."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import groupby, repeat
from math import nan
from typing import NamedTuple

from spendwatch.domain.forecast import Forecast, forecast_period
from spendwatch.domain.health import Freshness
from spendwatch.domain.money import EXACT, Money
from spendwatch.domain.period import BillingPeriod, DaySpan
from spendwatch.domain.policy import AccountPolicy, Policies, Watch
from spendwatch.domain.run_rate import RunRate, TooEarly, days_up_to, run_rate_of
from spendwatch.domain.scope import MATCHABLE, BudgetScope, Counts, Dimension, Portion
from spendwatch.domain.series_selection import DayTotal, authorities
from spendwatch.domain.standing import Picking
from spendwatch.domain.statement import AccountId, SeriesKey, WorkspaceId
from spendwatch.domain.usage import Usage, days_that_count, last_complete_day, unknown_days
from spendwatch.jobs.ledger_view import LedgerView

Daily = dict[date, Decimal]
_NOTHING_YET = TooEarly(0)
_PLACE = (Dimension.ACCOUNT, Dimension.WORKSPACE)


class _Ground(NamedTuple):
    """What a pace rests on: if it is the same, so is the pace."""

    policies: Policies
    through: date
    series: tuple[SeriesKey, ...]
    days: frozenset[Hashable]
    unknown: frozenset[date]


class History(NamedTuple):
    """What a scope spent on each day that counts for its run rate."""

    through: date
    """The last complete day."""
    series: tuple[SeriesKey, ...]
    amounts: array[float]
    """The oldest first; NaN where nothing is known."""
    latest: Mapping[date, Decimal]
    """The exact amounts of the last `KEPT` days."""


KEPT = 5
"""Complete days whose exact amounts are kept: lines of them may come late."""


class RunRates:
    """Paces, kept from round to round."""

    def __init__(self) -> None:
        """Begin with none."""
        self._scopes: dict[AccountId, dict[BudgetScope, RunRate | TooEarly]] = {}
        self._histories: dict[AccountId, dict[BudgetScope, History]] = {}
        self._balances: dict[AccountId, RunRate | TooEarly] = {}
        self._grounds: dict[tuple[AccountId, bool], _Ground] = {}
        self._seen: dict[bool, tuple[int, Policies]] = {}

    def of(self, scope: BudgetScope) -> RunRate | TooEarly | None:
        """Return the pace of what a budget watches; None if the account was never looked at, and for subscriptions alone.

        What is subscribed has no pace: a budget that counts it, too, goes by the same one as pay-as-you-go alone.
        """
        known = self._scopes.get(scope.account)
        return None if known is None or scope.counts is Counts.SUBSCRIPTION else known.get(scope.of_all, _NOTHING_YET)

    def history(self, scope: BudgetScope) -> History | None:
        """Return what a scope that is watched for spikes spent so far; None if the account was never looked at."""
        return self._histories.get(scope.account, {}).get(scope.of_all)

    def of_balance(self, account: AccountId) -> RunRate | TooEarly:
        """Return the pace at which the balance is used up: that of all products."""
        return self._balances.get(account, _NOTHING_YET)

    def look(self, view: LedgerView, policies: Policies, watches: Iterable[Watch], zone: tzinfo) -> None:
        """Check whether the run rates of budgets still hold, and recompute those that do not."""
        if self._seen.get(False) == (seen := (view.revision, policies)):
            return
        wanted = tuple(watch for watch in watches if not watch.scope.per.is_short)
        finer = [watch for watch in wanted if watch.scope.budget]
        for_spikes = {watch.scope.of_all for watch in wanted if watch.spike}
        for policy in policies.accounts:
            self._scopes.setdefault(policy.account, {})
        for policy, ground in self._changed(view, policies, policies.accounts, zone, is_whole=False):
            mine = [watch for watch in finer if watch.scope.account == policy.account]
            by = (*_PLACE, *MATCHABLE, Dimension.TAGS) if mine else _PLACE
            days = days_that_count(ground.through)
            usage = view.ledger.usage(ground.series, by, products=policies.products, days=days)
            paces, histories = dict[BudgetScope, RunRate | TooEarly](), dict[BudgetScope, History]()
            for scope, daily in _daily(usage, policy, mine):
                paces[scope] = run_rate_of(daily, through=ground.through, unknown=ground.unknown)
                if scope in for_spikes:
                    histories[scope] = _history(daily, ground)
            self._scopes[policy.account], self._histories[policy.account] = paces, histories
        self._seen[False] = seen

    def look_at_balances(self, view: LedgerView, policies: Policies, zone: tzinfo) -> None:
        """The same for the paces of whole accounts, all products."""
        if self._seen.get(True) == (seen := (view.revision, policies)):
            return
        watched = [policy for policy in policies.accounts if policy.balance]
        for policy, ground in self._changed(view, policies, watched, zone, is_whole=True):
            usage = view.ledger.usage(ground.series, (Dimension.ACCOUNT,), products=None, days=days_that_count(ground.through))
            daily = {one.currency: one.daily for one in usage}.get(policy.currency, {})
            self._balances[policy.account] = run_rate_of(daily, through=ground.through, unknown=ground.unknown)
        self._seen[True] = seen

    def _changed(
        self, view: LedgerView, policies: Policies, wanted: Sequence[AccountPolicy], zone: tzinfo, *, is_whole: bool
    ) -> Iterator[tuple[AccountPolicy, _Ground]]:
        products = None if is_whole else policies.products
        until = view.data_until(products)
        for policy in wanted:
            if policy.account not in until:
                continue
            through = last_complete_day(until[policy.account], zone)
            first, _ = days_that_count(through)
            last = until[policy.account].astimezone(zone).date()
            totals = (one for period in DaySpan(first, last + timedelta(days=1)).months for one in view.totals(period))
            mine = [one for one in totals if one.series.account == policy.account]
            ground = _ground(view, policies, mine, products, through)
            if self._grounds.get((policy.account, is_whole)) != ground:
                yield policy, ground
                self._grounds[policy.account, is_whole] = ground


def _ground(
    view: LedgerView, policies: Policies, mine: Sequence[DayTotal], products: Sequence[str] | None, through: date
) -> _Ground:
    series = tuple(sorted(authorities(mine, products).values()))
    told = view.ledger.telling_days(series)
    first, end = days_that_count(through)
    days = {(key, *newest) for key, newest in told.lines.items() if first <= key.day < end}
    sums = {total for total in mine if total.series in series and first <= total.day < end}
    return _Ground(policies, through, series, frozenset((*days, *sums)), unknown_days(series, told, through))


def _daily(usage: Iterable[Usage], policy: AccountPolicy, finer: Sequence[Watch]) -> Iterator[tuple[BudgetScope, Daily]]:
    """Yield what each workspace, the account and each finer budget spent on each day."""
    account, whole, picking = policy.account, Daily(), Picking(finer)
    picked: dict[BudgetScope, Daily] = {watch.scope.of_all: {} for watch in finer}
    for workspace, group in groupby(usage, key=lambda one: WorkspaceId(one.values[Dimension.WORKSPACE])):
        mine = Daily()
        for one in (one for one in group if one.currency == policy.currency):
            add_daily(mine, one.daily)
            for watch in picking.of(one.values) if finer else ():
                add_daily(picked[watch.scope.of_all], one.daily)
        add_daily(whole, mine)
        yield BudgetScope(account, workspace), mine
    yield BudgetScope(account), whole
    yield from picked.items()


def _history(daily: Daily, ground: _Ground) -> History:
    days = days_up_to(ground.through)
    amounts = array("d", map(float, map(daily.get, days, repeat(0))))
    for day in ground.unknown:
        amounts[days.index(day)] = nan
    return History(ground.through, ground.series, amounts, {day: daily[day] for day in days[-KEPT:] if day in daily})


def add_daily(daily: Daily, more: Mapping[date, Decimal]) -> None:
    """Add what else was spent on each day."""
    for day, amount in more.items():
        daily[day] = EXACT.add(daily[day], amount) if day in daily else amount


def forecast(
    paces: RunRates,
    scope: BudgetScope,
    spent: Money,
    period: BillingPeriod,
    fresh: Freshness,
    *,
    until: datetime | None,
    zone: tzinfo,
) -> Forecast | None:
    """Return what the period will probably cost; None while it is too early, or where the data are too old."""
    pace = paces.of(scope)
    if scope.portion is Portion.UNTAGGED:
        return None  # its spend lacks the latest days
    if until is None or not isinstance(pace, RunRate) or fresh.is_too_old(scope.account, until):
        return None
    return forecast_period(pace, spent, period, data_until=until, zone=zone)
