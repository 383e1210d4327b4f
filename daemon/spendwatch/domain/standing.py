"""Spend and remaining budget of one scope at one time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from spendwatch.domain.money import EXACT, Currency, Money, exact_sums, plain, share_of
from spendwatch.domain.period import Period
from spendwatch.domain.policy import NEARLY, WHOLE, ChannelName, FinerBudget, Severity, Threshold, Values, Watch
from spendwatch.domain.scope import AlertScope, BudgetScope, Counts, Dimension, value_of
from spendwatch.domain.statement import AccountId, ChargeKind, WorkspaceId

WatchedSince = Mapping[BudgetScope, tuple[str, date]]
"""The budgets for days or weeks, of all values together: the version of each, and the first day that it is watched for."""

_NOTHING = Decimal(0)
_SUBSCRIBED = frozenset(kind.value for kind in ChargeKind if kind.is_subscription)


class SpendSum(NamedTuple):
    """A sum out of the roll-up: the values it was grouped by, one currency, the exact amount, how many lines."""

    values: Mapping[Dimension, str]
    currency: Currency
    amount: Decimal
    lines: int

    @property
    def is_subscription(self) -> bool:
        """Whether it is a subscription charge. The sums must be grouped by charge."""
        return self.values[Dimension.CHARGE] in _SUBSCRIBED


@dataclass(frozen=True, slots=True)
class Split:
    """Spend by how it is paid for, as the provider's overview shows it."""

    pay_as_you_go: Money
    subscription: Money

    @classmethod
    def of(cls, sums: Iterable[SpendSum], currency: Currency) -> Split:
        """Sum up what is in that currency."""
        amounts = {False: _NOTHING, True: _NOTHING}
        for spent in sums:
            if spent.currency == currency:
                side = spent.is_subscription
                amounts[side] = EXACT.add(amounts[side], spent.amount)
        return cls(Money(amounts[False], currency), Money(amounts[True], currency))

    def __add__(self, other: Split) -> Split:
        """Return the exact sum of each."""
        return Split(self.pay_as_you_go + other.pay_as_you_go, self.subscription + other.subscription)

    @property
    def total(self) -> Money:
        """Both together."""
        return self.pay_as_you_go + self.subscription

    def counted(self, counts: Counts) -> Money:
        """Return what a budget that counts this counts."""
        match counts:
            case Counts.ALL:
                return self.total
            case Counts.PAY_AS_YOU_GO:
                return self.pay_as_you_go
            case Counts.SUBSCRIPTION:
                return self.subscription


def foreign_of(sums: Iterable[SpendSum], currency: Currency) -> tuple[Money, ...]:
    """Return what is in other currencies, each on its own."""
    totals = exact_sums((spent.currency, spent.amount) for spent in sums if spent.currency != currency)
    return tuple(Money(amount, other) for other, amount in sorted(totals.items()) if amount)


class Standing(NamedTuple):
    """How much of one watched budget is spent."""

    watch: Watch
    period: Period
    spend: Money
    """What the budget counts."""
    lines: int
    foreign: tuple[Money, ...]
    """Spend in other currencies than the budget's: never added, listed apart."""
    data_until: datetime | None
    split: Split
    """Everything in its scope, whether the budget counts it or not."""

    @property
    def used(self) -> Decimal | None:
        """The share of the budget that is spent, cut to four decimals."""
        return share_of(self.spend.amount, self.watch.budget.amount) if self.watch.budget else None

    @property
    def remaining(self) -> Money | None:
        """What is left of the budget; below zero when it is overspent."""
        return self.watch.budget - self.spend if self.watch.budget else None


def reckon(
    watches: Iterable[Watch],
    sums: Sequence[SpendSum],
    period: Period,
    data_until: Mapping[AccountId, datetime],
) -> tuple[Standing, ...]:
    """Return the standing of every watch.

    `sums` must be grouped by account, workspace and charge, and finer where a watch matches.
    """
    picking = Picking(watches)
    picked: dict[int, list[SpendSum]] = {id(watch): [] for watch in picking.watches}
    for spent in sums:
        for watch in picking.of(spent.values):
            picked[id(watch)].append(spent)
    return tuple(_stand(watch, picked[id(watch)], period, data_until.get(watch.scope.account)) for watch in picking.watches)


class Picking:
    """Finds the watches that count a roll-up row, however many watches there are."""

    def __init__(self, watches: Iterable[Watch]) -> None:
        """Index the watches by account and workspace, and those of single values by these."""
        self.watches = tuple(watches)
        self._plain: dict[tuple[str, str | None], list[Watch]] = {}
        self._each: dict[tuple[str, str | None], dict[str, dict[str, list[Watch]]]] = {}
        for watch in self.watches:
            place = watch.scope.account, watch.scope.workspace
            if watch.column:
                values = self._each.setdefault(place, {}).setdefault(watch.column, {})
                values.setdefault(watch.scope.value, []).append(watch)
            else:
                self._plain.setdefault(place, []).append(watch)

    def of(self, values: Mapping[Dimension, str]) -> Iterator[Watch]:
        """Yield the watches that count a row with these values."""
        account = values.get(Dimension.ACCOUNT, "")
        for place in ((account, None), (account, values.get(Dimension.WORKSPACE, ""))):
            for watch in self._plain.get(place, ()):
                if watch.match is None or watch.match.fits(values):
                    yield watch
            for column, watches in self._each.get(place, {}).items():
                for watch in watches.get(value_of(column, values), ()):
                    if watch.match is None or watch.match.fits(values):
                        yield watch


def _stand(watch: Watch, picked: Sequence[SpendSum], period: Period, data_until: datetime | None) -> Standing:
    split, foreign = Split.of(picked, watch.currency), foreign_of(picked, watch.currency)
    lines = sum(spent.lines for spent in picked)
    return Standing(watch, period, split.counted(watch.scope.counts), lines, foreign, data_until, split)


def seen_values(sums: Iterable[SpendSum], told: Iterable[AlertScope] = ()) -> Values:
    """Return what looks up the values of a column that turned up in a scope; an empty one is no value.

    Of what was `told`, the values are watched on when bills no longer name them: their totals fell, to nothing.
    """
    rows = tuple(sums)
    earlier: dict[BudgetScope, set[str]] = {}
    for scope in told:
        if isinstance(scope, BudgetScope) and scope.value:
            earlier.setdefault(replace(scope, value=""), set()).add(scope.value)

    def values(scope: BudgetScope, finer: FinerBudget) -> Iterable[str]:
        mine = (
            spent.values
            for spent in rows
            if spent.values[Dimension.ACCOUNT] == scope.account and scope.workspace in {None, spent.values[Dimension.WORKSPACE]}
        )
        return ({value_of(finer.for_each, one) for one in mine if finer.match.fits(one)} - {""}) | earlier.get(scope, set())

    return values


def seen_workspaces(sums: Iterable[SpendSum], told: Iterable[AlertScope] = ()) -> frozenset[tuple[AccountId, WorkspaceId]]:
    """Return which workspaces turned up in which accounts, now or when something was `told` of them."""
    known = ((scope.account, scope.workspace) for scope in told if isinstance(scope, BudgetScope) and scope.workspace)
    named = (
        (AccountId(spent.values.get(Dimension.ACCOUNT, "")), WorkspaceId(spent.values.get(Dimension.WORKSPACE, "")))
        for spent in sums
    )
    return frozenset((*named, *known))


class Level(NamedTuple):
    """A threshold with the amount at which it is reached."""

    at: Decimal
    height: str
    """The same as plain text."""
    label: str
    severity: Severity
    channels: tuple[ChannelName, ...] = ()
    """Its own; empty: those of its budget."""


@lru_cache(maxsize=4096)
def levels_of(thresholds: tuple[Threshold, ...], budget: Decimal | None, *, of_forecasts: bool = False) -> tuple[Level, ...]:
    """Return the thresholds that the spend can reach, or those that a forecast can, the lowest first."""
    wanted = (threshold for threshold in thresholds if threshold.is_forecast is of_forecasts)
    reachable = ((threshold.reached_at(budget), threshold) for threshold in wanted)
    found = (Level(at, plain(at), one.label, one.severity(budget), one.channels) for at, one in reachable if at is not None)
    return tuple(sorted(found, key=lambda level: level.at))


def gravity(standing: Standing) -> Severity | None:
    """Return how grave the spend is now: as the gravest threshold that it has reached.

    Three quarters of the budget, and all of it, count in any case. None if it has reached none of them. What was told, or is
    only foretold, is no matter of it.
    """
    watch = standing.watch
    levels = levels_of((*watch.thresholds, NEARLY, WHOLE), watch.budget.amount if watch.budget else None)
    reached = (level.severity for level in levels if standing.spend.amount >= level.at)
    return max(reached, key=lambda severity: severity.rank, default=None)
