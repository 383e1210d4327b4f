"""What the money of one scope went to: by model, API key and workspace, else by category, commodity and item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from math import floor
from typing import NamedTuple

from spendwatch.domain.commodity import Category, category_of
from spendwatch.domain.money import EXACT, Currency, Money, exact_sum, exact_sums, share_of
from spendwatch.domain.policy import Names, Part, Watch
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.usage import is_paced

SHOWN = 5
"""So many causes are listed; what is left is one further row."""

MOST_SPENDERS = 100
"""So many of each kind are named to a program."""

ENOUGH = Decimal("0.8")
"""The listed causes make so much of the whole, or it is split less finely."""

_CHARGE = (Dimension.COMMODITY, Dimension.ITEM)
_USED = (
    (Dimension.MODEL, Dimension.API_KEY, Dimension.WORKSPACE, *_CHARGE),
    (Dimension.API_KEY, Dimension.WORKSPACE),
    (Dimension.MODEL, Dimension.WORKSPACE, *_CHARGE),
    (Dimension.WORKSPACE,),
    (Dimension.MODEL, *_CHARGE),
    (Dimension.COMMODITY,),
)
"""How pay-as-you-go is split, the most telling way first. What names a model needs no commodity and no item."""
_ORDERED = ((Dimension.WORKSPACE, *_CHARGE), (Dimension.COMMODITY,))
"""How subscriptions are split."""
_MAIN = (Dimension.API_KEY, Dimension.WORKSPACE, Dimension.MODEL, Dimension.COMMODITY)
_NOTHING, _ALL = Decimal(0), Decimal(1)

TELLING = (
    Dimension.WORKSPACE,
    Dimension.API_KEY,
    Dimension.CHANNEL,
    Dimension.MODEL,
    *_CHARGE,
    Dimension.PRODUCT,
    Dimension.CHARGE,
)
"""The dimensions that sums must be grouped by for their causes."""


class Main(NamedTuple):
    """A value that makes at least half of the spend."""

    part: Part
    share: Decimal
    """Of the whole, cut to four decimals."""


class Spender(NamedTuple):
    """An API key, a workspace or a model, and what it cost."""

    part: Part
    spent: Money


class Cause(NamedTuple):
    """A part of the spend, and who or what it was spent by."""

    spent: Money
    share: Decimal | None = None
    """Of the whole, in tenths of a percent; all shares add up to one. None where the whole is not above zero."""
    parts: tuple[Part, ...] = ()
    """The most telling first."""
    category: Category | None = None
    """None where it is of several, or of a product that is not watched."""
    before: Money | None = None
    """In as many days before; None where bills lack some of those days."""
    more: int = 0
    """Of the rest: how many further causes it sums up."""


@dataclass(frozen=True, slots=True)
class Causes:
    """What the money of one scope went to, the largest first."""

    rows: tuple[Cause, ...] = ()
    rest: Cause | None = None
    """All that is not listed, so that the shares add up."""
    main: tuple[Main, ...] = ()
    """The one API key, workspace and model that makes at least half of it, else the commodity."""
    categories: tuple[Category, ...] = ()
    """All that was charged for, the largest first."""

    @property
    def all(self) -> tuple[Cause, ...]:
        """The listed causes and the rest."""
        return (*self.rows, self.rest) if self.rest else self.rows


NO_CAUSES = Causes()


@dataclass(frozen=True, slots=True)
class Course:
    """How the pay-as-you-go spend of one scope went in the last days."""

    causes: Causes = NO_CAUSES
    """What cost most, each beside its cost in as many days before."""
    daily: tuple[tuple[date, Money], ...] = ()
    """The spend of each day that bills cover, days without spend included."""
    spenders: tuple[Spender, ...] = ()
    """Of the days of the causes, where an action is wanted: keys, workspaces and models, each kind from the largest on."""


NO_COURSE = Course()

_Key = tuple[tuple[tuple[Dimension, str], ...], Category | None]


class _Split(NamedTuple):
    """Sums split in one way."""

    way: tuple[Dimension, ...]
    groups: Mapping[_Key, Decimal]
    listed: Sequence[tuple[_Key, Decimal]]
    """The largest."""
    shown: Decimal

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left."""
        return len(self.listed) == len(self.groups)


@dataclass(frozen=True, slots=True)
class Splitting:
    """How sums become causes: what is called what, what all of it has in common, which products have categories."""

    currency: Currency
    names: Names
    shared: frozenset[Dimension]
    """What is the same in all of it, as the workspace in the spend of one: it tells nothing."""
    products: Sequence[str]
    """The watched products: charges for others have no category."""
    lists_spenders: bool = False

    def of(
        self,
        sums: Sequence[SpendSum],
        before: Iterable[SpendSum] | None = None,
        *,
        ways: Sequence[tuple[Dimension, ...]] = _USED,
        most: int = SHOWN,
        enough: Decimal = ENOUGH,
    ) -> Causes:
        """Return the causes of the sums, split as finely as `most` of them make `enough` of the whole."""
        whole = exact_sum([spent.amount for spent in sums])
        tried: list[_Split] = []
        for way in _telling(ways, self.shared):
            tried.append(self._split(sums, way, most))
            if tried[-1].is_whole or tried[-1].shown >= EXACT.multiply(enough, whole):
                break
        finest, chosen = tried[0], tried[-1]
        if not chosen.listed:
            return NO_CAUSES
        rest = None if chosen.is_whole else EXACT.subtract(whole, chosen.shown)
        earlier = None if before is None else self._grouped(before, chosen.way)
        found = list(self._causes(chosen.listed, rest, earlier, whole))
        last = None if rest is None else found.pop()._replace(more=len(chosen.groups) - len(chosen.listed))
        return Causes(tuple(found), last, tuple(self._main(sums, whole)), _categories(finest.groups))

    def _split(self, sums: Sequence[SpendSum], way: tuple[Dimension, ...], most: int) -> _Split:
        groups = self._grouped(sums, way)
        ordered = sorted(groups.items(), key=lambda one: (-one[1], one[0][0], one[0][1] or ""))
        listed = [(key, amount) for key, amount in ordered[:most] if amount > 0]
        return _Split(way, groups, listed, exact_sum(amount for _, amount in listed))

    def _causes(
        self,
        listed: Sequence[tuple[_Key, Decimal]],
        rest: Decimal | None,
        earlier: Mapping[_Key, Decimal] | None,
        whole: Decimal,
    ) -> Iterator[Cause]:
        """Yield the listed causes, and what is left."""
        shares = shares_of([*(amount for _, amount in listed), *([] if rest is None else [rest])], whole)
        compared = _NOTHING
        for place, (key, amount) in enumerate(listed):
            before = None if earlier is None else earlier.get(key, _NOTHING)
            compared = compared if before is None else EXACT.add(compared, before)
            named, category = key
            yield Cause(self._money(amount), shares[place], tuple(map(self._part, named)), category, self._money_if(before))
        if rest is not None:
            before = None if earlier is None else EXACT.subtract(exact_sum(earlier.values()), compared)
            yield Cause(self._money(rest), shares[-1], before=self._money_if(before))

    def _money_if(self, amount: Decimal | None) -> Money | None:
        return None if amount is None else Money(amount, self.currency)

    def _money(self, amount: Decimal) -> Money:
        return Money(amount, self.currency)

    def _part(self, named: tuple[Dimension, str]) -> Part:
        return Part(*named, self.names.known.get(named, ""))

    def _grouped(self, sums: Iterable[SpendSum], way: tuple[Dimension, ...]) -> dict[_Key, Decimal]:
        groups = exact_sums((self._key(spent, way), spent.amount) for spent in sums)
        return {key: amount for key, amount in groups.items() if amount}

    def _key(self, spent: SpendSum, way: tuple[Dimension, ...]) -> _Key:
        values = spent.values
        has_model = Dimension.MODEL in way and bool(values[Dimension.MODEL])
        named = [(one, values[one]) for one in way if values[one] and not (has_model and one in _CHARGE)]
        if Dimension.API_KEY in way and not values[Dimension.API_KEY] and values[Dimension.CHANNEL]:
            # No key: a call from the console. Its channel says which part of it.
            named.append((Dimension.CHANNEL, values[Dimension.CHANNEL]))
        is_by_charge = Dimension.COMMODITY in way or not named
        if not named:
            named = [(one, value) for one in (*_CHARGE, Dimension.PRODUCT) if (value := values[one])]
        return tuple(named), self._category(spent) if is_by_charge else None

    def _category(self, spent: SpendSum) -> Category | None:
        values = spent.values
        is_watched = values[Dimension.PRODUCT] in self.products
        return category_of(values[Dimension.COMMODITY], values[Dimension.ITEM]) if is_watched else None

    def spenders(self, sums: Sequence[SpendSum]) -> Iterator[Spender]:
        """Yield what a program needs to act on the spend, if it is asked to."""
        for dimension in (Dimension.API_KEY, Dimension.WORKSPACE, Dimension.MODEL) if self.lists_spenders else ():
            found = sorted(_totals(sums, dimension).items(), key=lambda one: (-one[1], one[0]))
            named = ((self._part((dimension, value)), amount) for value, amount in found[:MOST_SPENDERS] if amount > 0)
            yield from (Spender(part, self._money(amount)) for part, amount in named)

    def _main(self, sums: Sequence[SpendSum], whole: Decimal) -> Iterator[Main]:
        if whole <= 0:
            return
        has_main = False
        for dimension in _MAIN:
            if dimension in self.shared or (has_main and dimension is Dimension.COMMODITY):
                continue
            totals = _totals(sums, dimension)
            value = max(totals, key=totals.__getitem__, default="")
            if value and EXACT.add(totals[value], totals[value]) >= whole:
                has_main = True
                share = _ALL if totals[value] >= whole else share_of(totals[value], whole) or _NOTHING
                yield Main(self._part((dimension, value)), share)


def _totals(sums: Iterable[SpendSum], dimension: Dimension) -> dict[str, Decimal]:
    return exact_sums((value, spent.amount) for spent in sums if (value := spent.values[dimension]))


def _categories(finest: Mapping[_Key, Decimal]) -> tuple[Category, ...]:
    totals = exact_sums((category, amount) for (_, category), amount in finest.items() if category)
    return tuple(sorted((one for one, amount in totals.items() if amount > 0), key=lambda one: (-totals[one], one)))


def splitting_of(watch: Watch, names: Names, products: Sequence[str], *, lists_spenders: bool = False) -> Splitting:
    """Return how the sums of one scope become causes."""
    workspace = None if watch.scope.workspace is None else Dimension.WORKSPACE
    return Splitting(watch.currency, names, frozenset(filter(None, (workspace, watch.dimension))), products, lists_spenders)


def course_of(
    sums: Iterable[SpendSum],
    watch: Watch,
    splitting: Splitting,
    *,
    last: date,
    days: int,
    unknown: AbstractSet[date] = frozenset(),
    causes_of: int = 0,
) -> Course:
    """Return how pay-as-you-go went in the `days` up to `last`; `causes_of`: its causes are of fewer of the last days.

    `sums` must be grouped by day and by all that is `TELLING`. An order of a subscription says nothing of what is used, and
    would dwarf every day beside it. Of the days in `unknown` nobody knows what was spent: they are left out.
    """
    mine = list(_of(sums, watch, is_subscription=False))
    daily = exact_sums((spent.values[Dimension.DAY], spent.amount) for spent in mine)
    late, earlier = (_days(end, causes_of or days) for end in (last, last - timedelta(days=days)))
    recent, before = ([spent for spent in mine if spent.values[Dimension.DAY] in some] for some in (late, earlier))
    is_known, nothing = unknown.isdisjoint(earlier.values()), Money.zero(watch.currency)
    return Course(
        splitting.of(recent, before if is_known else None),
        tuple(
            (moment, Money(spent, watch.currency) if (spent := daily.get(day)) else nothing)
            for day, moment in _days(last, days).items()
            if moment not in unknown
        ),
        tuple(splitting.spenders(recent)),
    )


def course_on(
    sums: Sequence[SpendSum],
    watch: Watch,
    splitting: Splitting,
    *,
    day: date,
    days: int,
    unknown: AbstractSet[date] = frozenset(),
) -> Course:
    """Return the same up to `day`, with the causes of that day alone, each beside what it cost a week before."""
    before = day - timedelta(days=days)
    parts = {on: [one for one in sums if one.values[Dimension.DAY] == on.isoformat()] for on in (day, before)}
    found = {on: [one for one in _of(mine, watch, is_subscription=False) if is_paced(one)] for on, mine in parts.items()}
    causes = splitting.of(found[day], None if before in unknown else found[before])
    return replace(course_of(sums, watch, splitting, last=day, days=days, unknown=unknown), causes=causes)


def subscribed(sums: Iterable[SpendSum], watch: Watch, splitting: Splitting) -> Causes:
    """Return what subscriptions were ordered for, by commodity and item. `sums` must be grouped by all that is `TELLING`."""
    return splitting.of(list(_of(sums, watch, is_subscription=True)), ways=_ORDERED)


@cache
def _telling(ways: Sequence[tuple[Dimension, ...]], shared: frozenset[Dimension]) -> Sequence[tuple[Dimension, ...]]:
    """Return the ways to split without what all has in common; never one that splits by nothing in place of another."""
    return tuple(dict.fromkeys(tuple(one for one in way if one not in shared) for way in ways)) if shared else ways


@lru_cache(maxsize=64)
def _days(last: date, days: int) -> Mapping[str, date]:
    """Return the `days` up to `last` by their ISO text, the oldest first."""
    return {(day := last - timedelta(days=back)).isoformat(): day for back in range(days - 1, -1, -1)}


def _of(sums: Iterable[SpendSum], watch: Watch, *, is_subscription: bool) -> Iterator[SpendSum]:
    for spent in sums:
        is_wanted = spent.currency == watch.currency and spent.is_subscription is is_subscription
        if is_wanted and watch.fits(spent.values):
            yield spent


def shares_of(amounts: Sequence[Decimal], whole: Decimal) -> Sequence[Decimal | None]:
    """Return the shares in tenths of a percent so that they add up: what a cut leaves over goes to what lost most by it."""
    if whole <= 0 or len(amounts) == 1:
        return [_ALL if whole > 0 else None] * len(amounts)
    exact = [Fraction(amount) * 1000 / Fraction(whole) for amount in amounts]
    cut = [floor(one) for one in exact]
    most_lost = sorted(range(len(cut)), key=lambda place: (cut[place] - exact[place], place))
    for place in most_lost[: 1000 - sum(cut)]:
        cut[place] += 1
    return [Decimal(one).scaleb(-3) for one in cut]
