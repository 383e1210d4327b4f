"""Days that cost far more than usual: of accounts, workspaces and finer budgets that are watched for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import groupby
from math import nan

from spendwatch.domain.alert import AlertKey, AlertsKnown, Rule
from spendwatch.domain.money import Money, plain, shown
from spendwatch.domain.notification import Facts
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Policies, Severity, Watch
from spendwatch.domain.review import Condition
from spendwatch.domain.scope import MATCHABLE, Dimension
from spendwatch.domain.spike import Spike, spike_on
from spendwatch.domain.standing import Picking
from spendwatch.domain.statement import AccountId
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.run_rates import Daily, History, RunRates, add_daily

_DAY = timedelta(days=1)
_LONGEST_AGO = timedelta(days=10)
"""What was spent earlier is no news, as where old bills are read for the first time."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A spike of one watched scope."""

    watch: Watch
    spike: Spike

    @property
    def key(self) -> AlertKey:
        """What the alert is about: once for each scope and day."""
        day = self.spike.day
        return AlertKey(Rule.SPIKE, self.watch.scope, day.isoformat(), BillingPeriod(day.year, day.month).label)

    @property
    def excess(self) -> Decimal:
        """How much more it is than the band."""
        return (self.spike.found.spend - self.spike.found.high).amount

    def explains(self, wider: _Found) -> bool:
        """Return whether the other, of a scope that includes this one, would be no spike without it."""
        mine, other = self.watch.scope, wider.watch.scope
        is_part = not other.budget and (other.workspace is None or (mine.workspace == other.workspace and bool(mine.budget)))
        return is_part and mine != other and wider.excess - self.excess < wider.spike.least.amount


def watched_for_spikes(watches: Iterable[Watch]) -> Sequence[Watch]:
    """Return the watches of scopes of which unusual days are reported."""
    return [watch for watch in watches if watch.spike is not None]


def spike_conditions(
    view: LedgerView,
    policies: Policies,
    watches: Sequence[Watch],
    paces: RunRates,
    known: AlertsKnown,
    *,
    periods: Sequence[BillingPeriod],
    zone: tzinfo,
    now: datetime,
) -> list[Condition]:
    """Return the spikes of the last days that bills reach, as far as they belong to a month that is not final.

    A day is judged as soon as there are lines of it: one that is above the band stays so. One message speaks for a scope and
    for the wider ones that are unusual only because of it.
    """
    since = now.astimezone(zone).date() - _LONGEST_AGO
    found: dict[tuple[AccountId, date], list[_Found]] = {}
    for watch, recent in _recent(view, policies, watches, paces, zone):
        if history := paces.history(watch.scope):
            for one in _spikes(watch, history, recent, since):
                if any(one.day in period for period in periods):
                    found.setdefault((watch.scope.account, one.day), []).append(_Found(watch, one))
    until = view.data_until(policies.products)
    return [
        condition for (account, _), together in found.items() for condition in _conditions(together, known, until.get(account))
    ]


def _recent(
    view: LedgerView, policies: Policies, watches: Sequence[Watch], paces: RunRates, zone: tzinfo
) -> Iterator[tuple[Watch, Daily]]:
    """Yield each watch with what its scope spent on the days after the last complete one, as far as bills reach."""
    until = view.data_until(policies.products)
    by_account = groupby(sorted(watches, key=lambda watch: watch.scope.account), key=lambda watch: watch.scope.account)
    for account, group in by_account:
        mine = list(group)
        history = next(filter(None, (paces.history(watch.scope) for watch in mine)), None)
        if history is None or account not in until:
            continue
        is_finer = any(watch.scope.budget for watch in mine)
        by = (Dimension.ACCOUNT, Dimension.WORKSPACE, *((*MATCHABLE, Dimension.TAGS) if is_finer else ()))
        days = history.through + _DAY, until[account].astimezone(zone).date() + _DAY
        picking, found = Picking(mine), {id(watch): Daily() for watch in mine}
        for one in view.ledger.usage(history.series, by, products=policies.products, days=days):
            for watch in picking.of(one.values):
                if one.currency == watch.currency:
                    add_daily(found[id(watch)], one.daily)
        yield from ((watch, found[id(watch)]) for watch in mine)


def _spikes(watch: Watch, history: History, recent: Daily, since: date) -> Iterator[Spike]:
    least, before = watch.spike or Decimal(0), len(history.amounts)
    amounts = history.amounts
    if recent:
        last = (max(recent) - history.through).days
        after = (history.through + count * _DAY for count in range(1, last + 1))
        amounts = amounts + type(amounts)("d", (float(recent[day]) if day in recent else nan for day in after))
    for day, spent in sorted({**history.latest, **recent}.items()):
        if day < since or spent < least:
            continue
        place, money = before + (day - history.through).days - 1, Money(spent, watch.currency)
        found = spike_on(day, money, amounts[:place], watch, is_complete=day <= history.through)
        if isinstance(found, Spike):
            yield found


def _conditions(together: Sequence[_Found], known: AlertsKnown, until: datetime | None) -> Iterator[Condition]:
    """Yield the spikes of one account and day, in groups of a cause and the wider scopes that are unusual because of it."""
    causes = {one.key: _cause(one, together, known) for one in together}
    groups: dict[AlertKey, list[_Found]] = {}
    for one in together:
        root = one
        while cause := causes[root.key]:
            root = cause
        groups.setdefault(root.key, []).append(one)
    for key, members in groups.items():
        cause, *wider = sorted(members, key=lambda one: one.key != key)
        also = tuple(replace(each.spike.found, least=each.spike.least) for each in wider)
        for one in (cause, *wider):
            yield Condition(
                key=one.key,
                severity=Severity.WARNING,
                summary=_summary(one.spike),
                facts=Facts(
                    scope=one.watch.scope,
                    account_name=one.watch.account_name,
                    name=one.watch.name,
                    owner=one.watch.owner,
                    period=one.key.period,
                    counts=one.watch.scope.counts,
                    spike=replace(one.spike, also=also if one is cause else ()),
                    data_until=until,
                ),
                channels=one.watch.channels,
                group=f"{key.rule} {key.scope.account} {key.scope.text} {key.threshold}",
                grave=int(one.key == key),
                amount=plain(one.spike.found.spend.amount),
            )


def _summary(spike: Spike) -> str:
    found, so_far = spike.found, "" if spike.is_complete else " so far"
    usual = f"{found.low} to {shown(found.high.amount)}"
    return f"{found.name} cost {found.spend} on {spike.day:%a} {spike.day}{so_far}, usually {usual}"


def _cause(one: _Found, together: Sequence[_Found], known: AlertsKnown) -> _Found | None:
    """Return the spike that explains this one and whose message speaks for it: not one that others were notified of before."""
    if known.latest(one.key):
        return None
    speaks = (
        other
        for other in together
        if other.explains(one) and (not known.latest(other.key) or set(one.watch.channels) <= set(other.watch.channels))
    )
    return max(speaks, key=lambda other: other.excess, default=None)
