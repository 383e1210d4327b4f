"""The budgets for days and weeks: which of them are to be judged in a round, and how they stand."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from spendwatch.domain.alert import AlertsKnown
from spendwatch.domain.period import PROVIDER_ZONE, BillingPeriod, PeriodKind, ShortPeriod
from spendwatch.domain.policy import Policies
from spendwatch.domain.scope import BudgetScope
from spendwatch.domain.standing import Standing, WatchedSince
from spendwatch.domain.statement import DayKey
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.standings import finer_budgets, stand

_ONE_DAY = timedelta(days=1)


class JudgedDays(NamedTuple):
    """The days by which all budgets were judged last, and the policies."""

    policies: Policies | None = None
    days: Mapping[DayKey, int] | None = None


class ShortStandings(NamedTuple):
    """How budgets for days and weeks stand, where anything of it may be new."""

    standings: Sequence[Standing] = ()
    begun: WatchedSince | None = None
    """Those that are watched for the first time, to be remembered."""
    judged: JudgedDays = JudgedDays()


def kinds_of(policies: Policies) -> frozenset[PeriodKind]:
    """Return for which short periods there are budgets."""
    return frozenset(one.per for one in finer_budgets(policies) if one.per.is_short)


def current_periods(now: datetime, kinds: Collection[PeriodKind]) -> Iterator[ShortPeriod]:
    """Yield yesterday and today, and the weeks that they are in."""
    today = now.astimezone(PROVIDER_ZONE).date()
    found = (ShortPeriod.containing(day, kind) for kind in kinds for day in (today - _ONE_DAY, today))
    yield from dict.fromkeys(found)


def open_labels(now: datetime) -> frozenset[str]:
    """Return the labels of the days and weeks whose alerts stay in the lists."""
    return frozenset(one.label for one in current_periods(now, (PeriodKind.DAY, PeriodKind.WEEK)))


def worst_now(view: LedgerView, policies: Policies, now: datetime) -> Iterator[Standing]:
    """Yield for each budget for days or weeks how it stands now: yesterday or today, whichever is worse."""
    worst: dict[BudgetScope, Standing] = {}
    for period in current_periods(now, sorted(kinds_of(policies))):
        for standing in stand(view, policies, period):
            before = worst.setdefault(standing.watch.scope, standing)
            if standing.spend.amount >= before.spend.amount:
                worst[standing.watch.scope] = standing
    yield from worst.values()


def stand_short(
    view: LedgerView,
    policies: Policies,
    months: Sequence[BillingPeriod],
    known: AlertsKnown,
    *,
    since: WatchedSince,
    last: JudgedDays,
    now: datetime,
) -> ShortStandings:
    """Return how the budgets for days and weeks stand that were not judged yet as they are now.

    A late bill makes a day of the past new: it is judged for as long as its month is open. No budget is judged for a period
    that was over the day before it was first watched: a new configuration, or the first start, says nothing of old days.
    """
    kinds = kinds_of(policies)
    days, yesterday = view.days(months, policies.products), now.astimezone(PROVIDER_ZONE).date() - _ONE_DAY
    before = last.days if last.days is not None and last.policies is policies else {}
    changed = {key for key, _ in days.items() ^ before.items() if key.period in months}
    due = {ShortPeriod.containing(_day_of(key), kind) for key in changed for kind in kinds}
    # What fires may have to be repeated, whether or not anything changed.
    labels = {alert.key.period for alert in known.firing()}
    firing = {one for one in current_periods(now, sorted(kinds)) if one.label in labels}
    begun: dict[BudgetScope, tuple[str, date]] = {}
    standings: list[Standing] = []
    for period in sorted(due | firing, key=lambda one: (one.first_day, one.kind)):
        if period.span.last < yesterday and not since:
            continue  # nothing was ever watched by then
        for standing in stand(view, policies, period, known.scopes(period.label)):
            rule, version = standing.watch.scope.rule, standing.watch.version
            first = since.get(rule)
            if first is None or first[0] != version or first[1] > yesterday + _ONE_DAY:
                first = begun.setdefault(rule, (version, yesterday))
            if period.span.last >= first[1]:
                standings.append(_reminding(standing, now))
    return ShortStandings(standings, begun, JudgedDays(policies, days))


def _day_of(key: DayKey) -> date:
    """Return the day that it counts on: a bill may date a charge outside its month, which wins over the date."""
    return min(max(key.day, key.period.first_day), key.period.after_last_day - _ONE_DAY)


def _reminding(standing: Standing, now: datetime) -> Standing:
    """Return the standing without reminders if its period is over: nothing can be done about it any more."""
    is_over = now.astimezone(PROVIDER_ZONE).date() not in standing.period
    return standing._replace(watch=standing.watch._replace(remind=None)) if is_over and standing.watch.remind else standing
