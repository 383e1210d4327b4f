"""The message that a month is final, with its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo

from spendwatch.domain.alert import AlertKey, AlertsKnown, Rule
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import Money, exact_sums, plain
from spendwatch.domain.month_close import FORECAST_DAYS, ClosedMonth, FinalFigure, forecasts_of
from spendwatch.domain.period import BillingPeriod, closes_at, open_periods
from spendwatch.domain.policy import Policies, Severity, Watch
from spendwatch.domain.review import Condition
from spendwatch.domain.scope import AlertScope, Counts, Dimension
from spendwatch.domain.standing import Standing
from spendwatch.domain.statement import SeriesKey
from spendwatch.domain.thresholds import budget_facts
from spendwatch.domain.usage import days_that_count, unknown_days
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.standings import stand

_NEWS_FOR = timedelta(days=7)
"""For so long after a month is final it is news, as where spendwatch did not run on that day."""


def month_close_conditions(
    view: LedgerView, policies: Policies, known: AlertsKnown, *, zone: tzinfo, now: datetime
) -> list[Condition]:
    """Return that the latest final month is final, for each account and workspace that wants to know.

    A workspace whose channels all get the message about its account has none of its own.
    """
    period = open_periods(now, zone, final_on=policies.month_final_on)[0].previous()
    is_wanted = any(one.month_closed for one in policies.accounts) or any(one.month_closed for one in policies.workspaces)
    if not is_wanted or now - closes_at(period, zone, final_on=policies.month_final_on) >= _NEWS_FOR:
        return []
    whole = [one for one in stand(view, policies, period) if not one.watch.scope.budget]
    told = {one.watch.scope.account: set(one.watch.month_closed) for one in whole if one.watch.scope.is_whole_account}
    wanted = [
        one
        for one in whole
        if one.lines
        and set(one.watch.month_closed) - (told[one.watch.scope.account] if one.watch.scope.workspace else set())
        and known.latest(_key(one)) is None
    ]
    if not wanted:
        return []
    earlier = stand(view, policies, period.previous())
    before: dict[AlertScope, Money] = {one.watch.scope: one.spend for one in earlier if one.lines}
    return [_condition(one, _closed(view, policies, _parts(one, whole), period, before=before, zone=zone)) for one in wanted]


def _key(standing: Standing) -> AlertKey:
    return AlertKey(Rule.MONTH_CLOSED, standing.watch.scope, period=standing.period.label)


def _parts(standing: Standing, whole: Sequence[Standing]) -> list[Standing]:
    """Return the scope itself, and the workspaces of an account, the most expensive first."""
    scope = standing.watch.scope
    of_account = [one for one in whole if scope.is_whole_account and one.watch.scope.account == scope.account]
    others = (one for one in of_account if one is not standing)
    return [standing, *sorted(others, key=lambda one: (-one.spend.amount, one.watch.name))]


def _closed(
    view: LedgerView,
    policies: Policies,
    parts: Sequence[Standing],
    period: BillingPeriod,
    *,
    before: Mapping[AlertScope, Money],
    zone: tzinfo,
) -> ClosedMonth:
    standing, watch = parts[0], parts[0].watch
    ends_on = standing.data_until.astimezone(zone).date() if standing.data_until else period.first_day
    return ClosedMonth(
        tuple(
            FinalFigure(one.watch.name, one.watch.scope.label, one.spend, one.watch.budget, before.get(one.watch.scope))
            for one in parts
        ),
        tuple(_forecasts(view, policies, watch, period, zone)),
        tuple(_corrections(view, policies, watch, period, zone)),
        ends_on if ends_on < period.after_last_day - timedelta(days=1) else None,
    )


def _condition(standing: Standing, closed: ClosedMonth) -> Condition:
    watch, period = standing.watch, standing.period
    budget = f" of {watch.budget}" if watch.budget else ""
    return Condition(
        key=_key(standing),
        severity=Severity.NOTICE,
        summary=f"{period.label} of {watch.name} is final: {standing.spend}{budget}",
        facts=budget_facts(standing, closed=closed),
        channels=watch.month_closed,
        amount=plain(standing.spend.amount),
    )


def _forecasts(view: LedgerView, policies: Policies, watch: Watch, period: BillingPeriod, zone: tzinfo) -> Iterator[Forecast]:
    """Yield what the forecast says of the month by the data of some of its days, as they are on record now."""
    account, products = watch.scope.account, policies.products
    if watch.scope.counts is Counts.SUBSCRIPTION:
        return
    months = (period.previous().previous(), period.previous(), period)
    found = ((month, view.counting(month, products).get(account)) for month in months)
    series = [SeriesKey(account, month, name) for month, name in found if name]
    telling = view.ledger.telling_days(series)
    first, _ = days_that_count(date(period.year, period.month, FORECAST_DAYS[0]))
    place = (Dimension.ACCOUNT, Dimension.WORKSPACE)
    usage = view.ledger.usage(series, place, products=products, days=(first, period.after_last_day))
    daily = exact_sums(
        (day, amount)
        for one in usage
        if watch.fits_place(one.values) and one.currency == watch.currency
        for day, amount in one.daily.items()
    )
    sums = view.ledger.spend(period, (*place, Dimension.CHARGE, Dimension.DAY), products=products)
    mine = (one for one in sums if watch.fits_place(one.values) and one.currency == watch.currency)
    counted = (one for one in mine if watch.scope.counts is Counts.ALL or not one.is_subscription)
    spent = exact_sums((date.fromisoformat(one.values[Dimension.DAY]), one.amount) for one in counted)
    money = {day: Money(amount, watch.currency) for day, amount in spent.items()}
    yield from forecasts_of(period, daily, money, lambda through: unknown_days(series, telling, through), zone)


def _corrections(
    view: LedgerView, policies: Policies, watch: Watch, period: BillingPeriod, zone: tzinfo
) -> Iterator[tuple[str, Money, Money]]:
    """Yield the earlier months that changed since the month before was final, each with what it was and what it is."""
    if not watch.scope.is_whole_account:
        return
    since = closes_at(period.previous(), zone, final_on=policies.month_final_on)
    mine = [one for one in view.ledger.late(since) if one.account == watch.scope.account and one.before]
    for month in sorted({one.period for one in mine}):
        changes = [one for one in mine if one.period == month]
        yield month.label, changes[0].other, changes[-1].counted
