"""Spend and remaining budget of one scope at one time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from spendwatch.domain.commodity import Category, category_of
from spendwatch.domain.money import EXACT, Currency, Money, share_of
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Watch
from spendwatch.domain.scope import Counts, Dimension
from spendwatch.domain.statement import AccountId, ChargeKind, WorkspaceId

_NOTHING = Decimal(0)
_SUBSCRIBED = frozenset(kind.value for kind in ChargeKind if kind.is_subscription)


@dataclass(frozen=True, slots=True)
class SpendSum:
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

    @classmethod
    def nothing(cls, currency: Currency) -> Split:
        """Return nothing spent in that currency."""
        return cls(Money.zero(currency), Money.zero(currency))

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
    totals: dict[Currency, Decimal] = {}
    for spent in sums:
        if spent.currency != currency:
            totals[spent.currency] = EXACT.add(totals.get(spent.currency, _NOTHING), spent.amount)
    return tuple(Money(amount, other) for other, amount in sorted(totals.items()) if amount)


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of one watched budget is spent."""

    watch: Watch
    period: BillingPeriod
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
    period: BillingPeriod,
    data_until: Mapping[AccountId, datetime],
) -> tuple[Standing, ...]:
    """Return the standing of every watch.

    `sums` must be grouped by account, workspace and charge, and finer where a watch matches.
    """
    by_account: dict[str, list[SpendSum]] = {}
    by_workspace: dict[tuple[str, str], list[SpendSum]] = {}
    for spent in sums:
        account = spent.values.get(Dimension.ACCOUNT, "")
        by_account.setdefault(account, []).append(spent)
        by_workspace.setdefault((account, spent.values.get(Dimension.WORKSPACE, "")), []).append(spent)
    standings = []
    for watch in watches:
        scope = watch.scope
        candidates = (
            by_account.get(scope.account, [])
            if scope.workspace is None
            else by_workspace.get((scope.account, scope.workspace), [])
        )
        match = watch.match
        picked = candidates if match is None else [spent for spent in candidates if match.fits(dict(spent.values))]
        standings.append(_stand(watch, picked, period, data_until.get(scope.account)))
    return tuple(standings)


def _stand(watch: Watch, picked: Sequence[SpendSum], period: BillingPeriod, data_until: datetime | None) -> Standing:
    split, foreign = Split.of(picked, watch.currency), foreign_of(picked, watch.currency)
    lines = sum(spent.lines for spent in picked)
    return Standing(watch, period, split.counted(watch.scope.counts), lines, foreign, data_until, split)


@dataclass(frozen=True, slots=True)
class Growth:
    """What one model and type cost in the last days, and in as many days before."""

    label: str
    recent: Money
    before: Money | None
    """None where bills lack some of those days."""


_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Course:
    """How the pay-as-you-go spend of one scope went in the last days."""

    growth: tuple[Growth, ...] = ()
    """What cost most, each beside its cost in as many days before."""
    daily: tuple[tuple[date, Money], ...] = ()
    """The spend of each day that bills cover, days without spend included."""


NO_COURSE = Course()


def course_of(
    sums: Iterable[SpendSum], watch: Watch, *, last: date, days: int, unknown: AbstractSet[date] = frozenset()
) -> Course:
    """Return how pay-as-you-go went in the `days` up to `last`.

    `sums` must be grouped by day, model, type, commodity, item and charge. An order of a subscription says nothing of what is
    used, and would dwarf every day beside it. Of the days in `unknown` nobody knows what was spent: they are left out.
    """
    daily = dict.fromkeys(_days(last, days), _NOTHING)
    earlier = _days(last - timedelta(days=days), days)
    recent: dict[str, Decimal] = {}
    before: dict[str, Decimal] = {}
    for spent in _of(sums, watch, is_subscription=False):
        day = spent.values[Dimension.DAY]
        if day in daily:
            daily[day] = EXACT.add(daily[day], spent.amount)
            side = recent
        elif day in earlier:
            side = before
        else:
            continue
        label = _label(spent)
        side[label] = EXACT.add(side.get(label, _NOTHING), spent.amount)
    most = sorted(((amount, label) for label, amount in recent.items() if amount > 0), reverse=True)[:_SHOWN]
    currency = watch.currency
    nothing = Money(_NOTHING, currency)
    is_known = unknown.isdisjoint(earlier.values())
    return Course(
        tuple(
            Growth(label, Money(amount, currency), Money(before.get(label, _NOTHING), currency) if is_known else None)
            for amount, label in most
        ),
        tuple(
            (moment, Money(daily[day], currency) if daily[day] else nothing)
            for day, moment in _days(last, days).items()
            if moment not in unknown
        ),
    )


def subscribed(sums: Iterable[SpendSum], watch: Watch) -> tuple[tuple[Category, Money], ...]:
    """Return subscription charges by what they are for, the largest first.

    `sums` must be grouped by commodity, item and charge.
    """
    totals: dict[Category, Decimal] = {}
    for spent in _of(sums, watch, is_subscription=True):
        category = _category(spent)
        totals[category] = EXACT.add(totals.get(category, _NOTHING), spent.amount)
    largest = sorted(totals.items(), key=lambda one: (-one[1], one[0]))
    return tuple((category, Money(amount, watch.currency)) for category, amount in largest if amount)


@lru_cache(maxsize=64)
def _days(last: date, days: int) -> Mapping[str, date]:
    """Return the `days` up to `last` by their ISO text, the oldest first."""
    return {(day := last - timedelta(days=back)).isoformat(): day for back in range(days - 1, -1, -1)}


def _of(sums: Iterable[SpendSum], watch: Watch, *, is_subscription: bool) -> Iterator[SpendSum]:
    match = watch.match
    for spent in sums:
        is_wanted = spent.currency == watch.currency and spent.is_subscription is is_subscription
        if is_wanted and (match is None or match.fits(dict(spent.values))):
            yield spent


def _label(spent: SpendSum) -> str:
    """Return model and type, or the category of what names neither: training, knowledge base, web search."""
    model, kind = spent.values.get(Dimension.MODEL, ""), spent.values.get(Dimension.TYPE, "")
    return " / ".join(part for part in (model, kind) if part) or _category(spent).value


def _category(spent: SpendSum) -> Category:
    return category_of(spent.values[Dimension.COMMODITY], spent.values[Dimension.ITEM])


def seen_workspaces(sums: Iterable[SpendSum]) -> frozenset[tuple[AccountId, WorkspaceId]]:
    """Return which workspaces turned up in which accounts."""
    return frozenset(
        (AccountId(spent.values.get(Dimension.ACCOUNT, "")), WorkspaceId(spent.values.get(Dimension.WORKSPACE, "")))
        for spent in sums
    )
