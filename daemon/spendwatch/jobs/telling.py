"""Enriches notifications with figures that are fetched only then: growth, forecasts, services that may stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta, tzinfo
from typing import Any

from spendwatch.domain.alert import AlertState
from spendwatch.domain.category import Category
from spendwatch.domain.health import Freshness
from spendwatch.domain.money import Money
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Policies, Watch
from spendwatch.domain.scope import AlertScope, Counts, Dimension
from spendwatch.domain.standing import Course, SpendSum, course_of, subscribed
from spendwatch.domain.statement import AccountId, SeriesKey
from spendwatch.domain.usage import unknown_days
from spendwatch.jobs.forecasts import forecast
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.paces import Paces
from spendwatch.jobs.standings import dimensions

_GROWTH_DAYS = 7
_CATEGORY = (Dimension.COMMODITY, Dimension.ITEM)
"""By what is told which category a charge is of."""

Watched = Mapping[AlertScope, Watch]
"""The budgets by their scopes."""

_Figures = dict[str, Any]
"""What is to be added to the facts, by field."""


def told_in_full(
    said: Sequence[Notification],
    view: LedgerView,
    policies: Policies,
    watched: Watched,
    paces: Paces,
    *,
    fresh: Freshness,
    zone: tzinfo,
) -> tuple[Notification, ...]:
    """Return the notifications with all their figures, each of which says whether they are late."""
    history = _History(view, policies.products, finer=any(watch.match for watch in watched.values()))
    month = BillingPeriod.containing(fresh.now, zone)

    def in_full(one: Notification) -> Notification:
        scope, rule, found = one.facts.scope, one.rule, _Figures()
        if _lags(one, view, policies, month):
            found["lags"] = True
        if rule.is_about_spend or rule.is_about_balance:
            found["used_on"] = view.used_on(scope.account, policies.products)
        if rule.is_about_spend and (watch := watched.get(scope)):
            found |= _grown(one, history, watch) | _foreseen(one, watch, paces, month, zone, fresh=fresh)
        elif rule.is_about_balance and one.state is AlertState.FIRING:
            found["exposure"] = view.exposure(scope.account, fresh.now.astimezone(zone).date())
        # Once, and not figure by figure: to copy the facts is what takes longest where there are ten thousand.
        return replace(one, facts=replace(one.facts, **found)) if found else one

    return tuple(map(in_full, said))


def _lags(said: Notification, view: LedgerView, policies: Policies, month: BillingPeriod) -> bool:
    facts = said.facts
    lagging = view.lagging(BillingPeriod.parse(facts.period) if facts.period else month, policies.products)
    if facts.scope.account:
        return lagging.get(facts.scope.account, False)
    # What is said of no account tells the latest bill of all of them.
    return bool(lagging) and all(lagging.values())


def _grown(said: Notification, history: _History, watch: Watch) -> _Figures:
    facts, period, counts = said.facts, BillingPeriod.parse(said.facts.period), watch.scope.counts
    course = None if counts is Counts.SUBSCRIPTION else history.course(watch, period)
    found = _Figures(course=course) if course else _Figures()
    if counts is not Counts.PAY_AS_YOU_GO and facts.split and facts.split.subscription.amount:
        found["subscribed"] = history.subscribed(watch, period)
    return found


def _foreseen(
    said: Notification, watch: Watch, paces: Paces, month: BillingPeriod, zone: tzinfo, *, fresh: Freshness
) -> _Figures:
    facts = said.facts
    if facts.forecast is not None or facts.spend is None or facts.period != month.label:
        return {}
    likely = forecast(paces, watch.scope, facts.spend, month, fresh, until=facts.data_until, zone=zone)
    too_old = fresh.is_too_old(watch.scope.account, facts.data_until)
    return {"forecast": likely, "too_old": too_old} if likely or too_old else {}


_Grouped = Mapping[tuple[str, str], Sequence[SpendSum]]
"""Sums by account and workspace; those of a whole account under an empty workspace."""


class _History:
    """The last days' spend, fetched once for all notifications of a round."""

    def __init__(self, view: LedgerView, products: Sequence[str], *, finer: bool) -> None:
        self._view = view
        self._products = products
        self._finer = finer

    def course(self, watch: Watch, period: BillingPeriod) -> Course | None:
        """Return how the spend went in the last days of the period that its account's bills tell of."""
        grouped, lasts = self._view.once(("history", period, self._finer), lambda: self._fetch(period))
        account = watch.scope.account
        if (last := lasts.get(account)) is None:
            return None
        sums = grouped.get((account, watch.scope.workspace or ""), ())
        unknown = self._view.once(("unknown", account, period), lambda: self._unknown_days(account, period, last))
        return course_of(sums, watch, last=last, days=_GROWTH_DAYS, unknown=unknown)

    def subscribed(self, watch: Watch, period: BillingPeriod) -> tuple[tuple[Category, Money], ...]:
        """Return the subscription charges of the period by what they are for, the largest first."""
        orders = self._view.once(("orders", period, self._finer), lambda: self._ordered(period))
        return subscribed(orders.get((watch.scope.account, watch.scope.workspace or ""), ()), watch)

    def _ordered(self, period: BillingPeriod) -> _Grouped:
        by = tuple(dict.fromkeys((*dimensions(finer=self._finer), *_CATEGORY)))
        rows = self._view.ledger.spend(period, by, products=self._products)
        return _grouped(row for row in rows if row.is_subscription)

    def _unknown_days(self, account: AccountId, period: BillingPeriod, last: date) -> frozenset[date]:
        counting = ((month, self._view.counting(month, self._products).get(account)) for month in (period.previous(), period))
        series = [SeriesKey(account, month, name) for month, name in counting if name]
        return unknown_days(series, self._view.ledger.held(series), last)

    def _fetch(self, period: BillingPeriod) -> tuple[_Grouped, Mapping[str, date]]:
        """Return the sums of each account's last days in the period, and the last day of each."""
        named = (Dimension.DAY, Dimension.MODEL, Dimension.TYPE, *_CATEGORY)
        by = tuple(dict.fromkeys((*dimensions(finer=self._finer), *named)))
        rows = list(self._view.ledger.spend(period, by, products=self._products))
        lasts: dict[str, date] = {}
        for row in rows:
            if (day := _day(row)) in period:
                account = row.values[Dimension.ACCOUNT]
                lasts[account] = max(day, lasts.get(account, day))
        firsts = {account: last - timedelta(days=2 * _GROWTH_DAYS - 1) for account, last in lasts.items()}
        if (first := min(firsts.values(), default=period.first_day)) < period.first_day:
            rows += self._view.ledger.spend(period.previous(), by, products=self._products, days=(first, period.first_day))
        wanted = (
            row for row in rows if (since := firsts.get(row.values[Dimension.ACCOUNT])) is not None and _day(row) >= since
        )
        return _grouped(wanted), lasts


def _grouped(rows: Iterable[SpendSum]) -> _Grouped:
    found: dict[tuple[str, str], list[SpendSum]] = {}
    for row in rows:
        account, workspace = row.values[Dimension.ACCOUNT], row.values[Dimension.WORKSPACE]
        found.setdefault((account, workspace), []).append(row)
        if workspace:
            found.setdefault((account, ""), []).append(row)
    return found


def _day(row: SpendSum) -> date:
    return date.fromisoformat(row.values[Dimension.DAY])
