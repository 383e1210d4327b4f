"""Enriches notifications with figures that are fetched only then: growth, forecasts, services that may stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta, tzinfo
from functools import cache
from typing import Any

from spendwatch.domain.alert import AlertState, Rule
from spendwatch.domain.causes import NO_COURSE, TELLING, Causes, Course, course_of, course_on, splitting_of, subscribed
from spendwatch.domain.health import Freshness
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import PROVIDER_ZONE, BillingPeriod, DaySpan, Period, ShortPeriod, month_of, parse_period
from spendwatch.domain.policy import Page, Policies, Watch
from spendwatch.domain.scope import AlertScope, BudgetScope, Counts, Dimension, Portion, value_of
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import AccountId, SeriesKey
from spendwatch.domain.usage import last_complete_day, unknown_days
from spendwatch.jobs.ledger_view import LedgerView, spend_within
from spendwatch.jobs.run_rates import RunRates, forecast
from spendwatch.jobs.standings import dimensions

_GROWTH_DAYS = 7
Watched = Mapping[AlertScope, Watch]
"""The budgets by their scopes."""

_Figures = dict[str, Any]
"""What is to be added to the facts, by field."""


def enriched(
    said: Sequence[Notification],
    view: LedgerView,
    policies: Policies,
    watched: Watched,
    paces: RunRates,
    *,
    fresh: Freshness,
    zone: tzinfo,
) -> tuple[Notification, ...]:
    """Return the notifications with all their figures, each of which says whether they are late."""
    history = _History(view, policies, [watch for one in said if (watch := watched.get(one.facts.scope))])
    of_balance = _History(view, policies, [], of_all_products=True)
    month = BillingPeriod.containing(fresh.now, zone)
    pages = {policy.account: policies.links.get(policy.site, {}) for policy in policies.accounts}

    @cache
    def of_account(account: AccountId, period: str, *, uses: bool) -> _Figures:
        found = _Figures(lags=True) if _lags(account, period, view, policies, month) else _Figures()
        return found | {"used_on": view.used_on(account, policies.products)} if uses else found

    def in_full(one: Notification) -> Notification:
        scope, rule = one.facts.scope, one.rule
        uses = rule.is_about_spend or rule.is_about_balance or rule is Rule.SPIKE
        found = dict(of_account(scope.account, one.facts.period, uses=uses))
        if rule.is_about_spend and (watch := watched.get(scope)):
            found |= _grown(one, history, watch) | _foreseen(one, watch, paces, month, zone, fresh=fresh)
        elif (spike := one.facts.spike) and (watch := watched.get(scope)):
            period = BillingPeriod(spike.day.year, spike.day.month)
            found["course"] = history.course(watch, period, on=spike.day) or NO_COURSE
        elif rule.is_about_balance and one.state is AlertState.FIRING:
            found["exposure"] = view.exposure(scope.account, fresh.now.astimezone(zone).date())
            found |= _spending(scope.account, of_balance, policies, month)
        wanted, known = _linked(rule) if one.state is AlertState.FIRING else (), pages.get(scope.account, {})
        own = ((Page.ALERT, f"{policies.public_url}/alerts/{one.alert}"),) if policies.public_url else ()
        if links := (*own, *((page, known[page]) for page in wanted if page in known)):
            found["links"] = links
        return one.with_figures(**found) if found else one

    return tuple(map(in_full, said))


def _linked(rule: Rule) -> tuple[Page, ...]:
    if rule.is_about_balance:
        return Page.RECHARGE, Page.BILL_DETAILS
    is_costly = rule.is_about_spend or rule.is_about_news or rule is Rule.SPIKE
    return (Page.BILL_DETAILS, Page.API_KEYS) if is_costly else ()


def _lags(account: AccountId, period: str, view: LedgerView, policies: Policies, month: BillingPeriod) -> bool:
    lagging = view.lagging(month_of(period) if period else month, policies.products)
    if account:
        return lagging.get(account, False)
    # A notification without an account shows the latest bill of all accounts.
    return bool(lagging) and all(lagging.values())


def _grown(said: Notification, history: _History, watch: Watch) -> _Figures:
    facts, period, counts = said.facts, parse_period(said.facts.period), watch.scope.counts
    asked = watch.asked({facts.threshold, *facts.also})
    course = None if counts is Counts.SUBSCRIPTION else history.course(watch, period, lists_spenders=bool(asked))
    found = _Figures(course=course) if course else _Figures()
    if asked:
        found["actions"] = asked
    if counts is not Counts.PAY_AS_YOU_GO and facts.split and facts.split.subscription.amount:
        found["subscribed"] = history.subscribed(watch, period)
    return found


def _spending(account: AccountId, history: _History, policies: Policies, month: BillingPeriod) -> _Figures:
    """Return what spends the money of an account, whatever the product. Where a month has just begun, the one before tells."""
    if (policy := policies.account(account)) is None:
        return {}
    watch = Watch(BudgetScope(account), policy.name, policy.currency, None, (), ())
    course = history.course(watch, month) or history.course(watch, month.previous()) or NO_COURSE
    return {"course": replace(course, daily=()), "subscribed": history.subscribed(watch, month)}


def _foreseen(
    said: Notification, watch: Watch, paces: RunRates, month: BillingPeriod, zone: tzinfo, *, fresh: Freshness
) -> _Figures:
    facts = said.facts
    if facts.forecast is not None or facts.spend is None or facts.period != month.label:
        return {}
    likely = forecast(paces, watch.scope, facts.spend, month, fresh, until=facts.data_until, zone=zone)
    too_old = fresh.is_too_old(watch.scope.account, facts.data_until)
    return {"forecast": likely, "too_old": too_old} if likely or too_old else {}


_Grouped = Mapping[tuple[str, str], Sequence[SpendSum]]
"""Sums by account and workspace; those of a whole account under an empty workspace."""


_FEW = 500
"""So many workspaces can be named in one query."""


class _History:
    """The last days' spend of the workspaces that notifications are about, fetched once for all of them."""

    def __init__(
        self, view: LedgerView, policies: Policies, watches: Sequence[Watch], *, of_all_products: bool = False
    ) -> None:
        self._view = view
        self._watched = policies.products
        self._products = None if of_all_products else policies.products
        self._names = policies.names
        self._finer = any(watch.match for watch in watches)
        named = {watch.scope.workspace for watch in watches}
        is_few = watches and None not in named and len(named) <= _FEW
        self._named = {name for name in named if name is not None} if is_few else None

    def course(self, watch: Watch, period: Period, *, on: date | None = None, lists_spenders: bool = False) -> Course | None:
        """Return the spend of the last days of the period that its account's bills cover; `on`: of the days up to that one.

        What that day cost is then compared with what it cost a week before; so is what a day or a week cost so far.
        """
        lasts, grouped = self._view.once(("history", period, self._products), lambda: self._fetch(period))
        account = watch.scope.account
        if (last := lasts.get(account)) is None:
            return None
        if watch.scope.portion is Portion.UNTAGGED and (until := self._view.data_until(self._products).get(account)):
            last = min(last, last_complete_day(until, PROVIDER_ZONE))  # tags of later days have not arrived
        sums = self._of(watch, ("history", period), grouped)
        place = ("unknown", account, period, self._products)
        unknown = self._view.once(place, lambda: self._unknown_days(account, period, last))
        splitting = splitting_of(watch, self._names, self._watched, lists_spenders=lists_spenders)
        if on is not None:
            return course_on(sums, watch, splitting, day=on, days=_GROWTH_DAYS, unknown=unknown)
        mine = (last - period.first_day).days + 1 if isinstance(period, ShortPeriod) else 0
        return course_of(sums, watch, splitting, last=last, days=_GROWTH_DAYS, unknown=unknown, causes_of=mine)

    def subscribed(self, watch: Watch, period: Period) -> Causes:
        """Return what subscriptions of the period were ordered for, the largest first."""
        orders = self._view.once(("orders", period, self._products), lambda: self._ordered(period))
        mine = self._of(watch, ("orders", period), orders)
        return subscribed(mine, watch, splitting_of(watch, self._names, self._watched))

    def _of(self, watch: Watch, what: tuple[str, Period], grouped: _Grouped) -> Sequence[SpendSum]:
        """Return the sums that a watch may count; of very many values that have a budget each, only those of its own."""
        place = watch.scope.account, watch.scope.workspace or ""
        mine = grouped.get(place, ())
        if not watch.column:
            return mine
        key = (*what, self._products, place, watch.column)
        return self._view.once(key, lambda: _by_value(mine, watch.column)).get(watch.scope.value, ())

    def _spend(self, span: DaySpan, *more: Dimension) -> Sequence[SpendSum]:
        by = tuple(dict.fromkeys((*dimensions(finer=self._finer), *more, *TELLING)))
        return spend_within(self._view.ledger, span, by, self._products, self._named)

    def _ordered(self, period: Period) -> _Grouped:
        return _grouped(row for row in self._spend(period.span) if row.is_subscription)

    def _unknown_days(self, account: AccountId, period: Period, last: date) -> frozenset[date]:
        months = (period.span.months[0].previous(), *period.span.months)
        counting = ((month, self._view.counting(month, self._products).get(account)) for month in months)
        series = [SeriesKey(account, month, name) for month, name in counting if name]
        return unknown_days(series, self._view.ledger.telling_days(series), last)

    def _lasts(self, period: Period) -> Mapping[AccountId, date]:
        """Return the last day of each account in the period."""
        lasts = dict[AccountId, date]()
        for month in period.span.months:
            counting = self._view.counting(month, self._products)
            for total in self._view.totals(month):
                account = total.series.account
                counts = counting.get(account) == total.series.series
                if counts and (self._products is None or total.product in self._products) and total.day in period:
                    lasts[account] = max(total.day, lasts.get(account, total.day))
        return lasts

    def _fetch(self, period: Period) -> tuple[Mapping[AccountId, date], _Grouped]:
        """Return the last day of each account in the period, and the sums of the days up to that one."""
        if not (lasts := self._lasts(period)):
            return {}, {}
        firsts = {account: last - timedelta(days=2 * _GROWTH_DAYS - 1) for account, last in lasts.items()}
        span = DaySpan(min(firsts.values()), max(lasts.values()) + timedelta(days=1))
        dated = ((row, firsts.get(AccountId(row.values[Dimension.ACCOUNT]))) for row in self._spend(span, Dimension.DAY))
        return lasts, _grouped(row for row, since in dated if since and row.values[Dimension.DAY] >= since.isoformat())


def _grouped(rows: Iterable[SpendSum]) -> _Grouped:
    found: dict[tuple[str, str], list[SpendSum]] = {}
    for row in rows:
        account, workspace = row.values[Dimension.ACCOUNT], row.values[Dimension.WORKSPACE]
        found.setdefault((account, workspace), []).append(row)
        if workspace:
            found.setdefault((account, ""), []).append(row)
    return found


def _by_value(rows: Iterable[SpendSum], column: str) -> Mapping[str, Sequence[SpendSum]]:
    found: dict[str, list[SpendSum]] = {}
    for row in rows:
        found.setdefault(value_of(column, row.values), []).append(row)
    return found
