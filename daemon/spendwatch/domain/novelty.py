"""What an account is charged for that it was never charged for before: models, keys, workspaces, billing items and the like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import NamedTuple

from spendwatch.domain.commodity import Category, category_of
from spendwatch.domain.money import EXACT, Currency, Money
from spendwatch.domain.policy import Names, Part
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import AccountId

NOVEL = (
    Dimension.ITEM,
    Dimension.COMMODITY,
    Dimension.MODEL,
    Dimension.API_KEY,
    Dimension.WORKSPACE,
    Dimension.CHANNEL,
    Dimension.REGION,
)
"""The dimensions whose first costs can be reported, the most telling first."""
_BY = (Dimension.MODEL, Dimension.ITEM, Dimension.API_KEY, Dimension.WORKSPACE)
"""What is told of a first cost beside its value: for what it was, and by whom."""
GROUPED = (Dimension.ACCOUNT, *NOVEL)
"""The dimensions that sums must be grouped by for first costs."""
_NAMED = frozenset({Dimension.ITEM, Dimension.COMMODITY})
_USUAL = frozenset({Category.INFERENCE, Category.OTHER})


class ChargedValue(NamedTuple):
    """A value that bills on record name in a dimension, in lines that cost something, or in those of a free quota."""

    account: AccountId
    product: str
    dimension: Dimension
    value: str
    is_free: bool
    since: date
    until: date
    """The first and the last day of such lines."""
    revision: int
    """That of the ledger when it came on record."""


class Learnt(NamedTuple):
    """From where on something new of an account is reported; all that came before was learnt silently."""

    account: AccountId
    what: str
    """A dimension, or another condition that has to learn."""
    revision: int
    """What was on record at this revision of the ledger is known."""
    day: date
    """What was charged before this day is known, too, even if its bill arrives later."""

    def knows(self, one: ChargedValue) -> bool:
        """Return whether a value is none that is reported."""
        return one.revision <= self.revision or one.since < self.day


def learnt(account: AccountId, what: str, revision: int, *, until: datetime, first_day: date, zone: tzinfo) -> Learnt:
    """Return that all is known up to now: bills reach `until`, and the account's first whole day follows `first_day`."""
    last = (until - timedelta.resolution).astimezone(zone).date()
    return Learnt(account, what, revision, max(last, first_day + timedelta(days=1)))


NewValues = Mapping[tuple[Dimension, str], date]
"""Values that bills name for the first time, each with its first day."""


def new_values(values: Iterable[ChargedValue], reports: Mapping[Dimension, Learnt]) -> NewValues:
    """Return what is new in these dimensions."""
    days: dict[tuple[Dimension, str], date] = {}
    for one in values:
        report = None if one.is_free else reports.get(one.dimension)
        if report and not report.knows(one):
            place = one.dimension, one.value
            days[place] = min(one.since, days.get(place, one.since))
    return days


def ended_quotas(values: Iterable[ChargedValue], report: Learnt) -> NewValues:
    """Return the models that cost something since their free quota ended.

    The last free day is not after the first paid one, and paid days follow it. Where free and paid lines go on side by side,
    the paid ones are something that no free quota covers, as batch calls are.
    """
    models = [one for one in values if one.dimension is Dimension.MODEL]
    free = {(one.product, one.value): one for one in models if one.is_free}
    days = {}
    for one in models:
        before = None if one.is_free or report.knows(one) else free.get((one.product, one.value))
        if before and before.until <= one.since and before.until < one.until:
            days[one.dimension, one.value] = one.since
    return days


@dataclass(frozen=True, slots=True)
class FirstCost:
    """A value that costs something for the first time."""

    part: Part
    day: date
    spent: Money
    """Since then, as far as months are open."""
    by: tuple[Part, ...] = ()
    """For what and by whom, where it is one alone."""
    category: Category | None = None
    """Of a billing item or commodity, where it says more than their codes."""


def first_costs(days: NewValues, sums: Iterable[SpendSum], currency: Currency, names: Names) -> Iterator[FirstCost]:
    """Yield what the new values of one account cost, each with its first day, the most telling dimension first.

    `sums` are those of that account.
    """
    rows: dict[tuple[Dimension, str], list[SpendSum]] = {}
    for spent in sums:
        if spent.currency == currency:
            for dimension in NOVEL:
                if (key := (dimension, spent.values[dimension])) in days:
                    rows.setdefault(key, []).append(spent)
    found = (_first_cost(key, days[key], mine, currency, names) for key, mine in rows.items())
    yield from sorted(
        (one for one in found if one.spent.amount > 0),
        key=lambda one: (NOVEL.index(one.part.dimension), -one.spent.amount, one.part.value),
    )


def _first_cost(key: tuple[Dimension, str], day: date, rows: Iterable[SpendSum], currency: Currency, names: Names) -> FirstCost:
    dimension, value = key
    total, seen = Decimal(0), dict[Dimension, set[str]]()
    categories: set[Category] = set()
    for spent in rows:
        total = EXACT.add(total, spent.amount)
        categories.add(category_of(spent.values[Dimension.COMMODITY], spent.values[Dimension.ITEM]))
        for other in _BY:
            seen.setdefault(other, set()).add(spent.values[other])
    by = (_only(other, values, names) for other, values in seen.items() if other is not dimension)
    category = categories.pop() if dimension in _NAMED and len(categories) == 1 and not categories & _USUAL else None
    return FirstCost(_part(dimension, value, names), day, Money(total, currency), tuple(filter(None, by)), category)


def threshold_of(part: Part) -> str:
    """Return how the key of an alert names a value."""
    return f"{part.dimension}:{part.value}"


def _only(dimension: Dimension, values: set[str], names: Names) -> Part | None:
    """Return the one value that there is; None where there are several, or none."""
    (value,) = values if len(values) == 1 else ("",)
    return _part(dimension, value, names) if value else None


def _part(dimension: Dimension, value: str, names: Names) -> Part:
    return Part(dimension, value, names.of(dimension, value))
