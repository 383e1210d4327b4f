"""Orders of plans and other subscriptions: what was ordered, until when, and whether it was renewed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from spendwatch.domain.commodity import Category, category_of
from spendwatch.domain.money import EXACT, Currency, Money
from spendwatch.domain.novelty import ChargedValue
from spendwatch.domain.period import PROVIDER_ZONE
from spendwatch.domain.policy import Part
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum

ORDERED = (Dimension.ACCOUNT, Dimension.COMMODITY, Dimension.DAY, Dimension.ENDS, Dimension.CHARGE)
"""The dimensions that sums must be grouped by for what orders cost."""


_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlanOrder:
    """What was ordered of one commodity on one day until one end."""

    commodity: Part
    category: Category
    day: date
    ends: str
    """As the bill writes it; empty where it does not tell."""
    spent: Money | None = None
    """None where its month is final."""
    before: date | None = None
    """The day of the order of the same commodity before it."""
    renewed: date | None = None
    """The day of the order that goes on where it ends."""

    @property
    def key(self) -> str:
        """The order, as the key of an alert names it."""
        return f"{self.commodity.value} {self.day} {self.ends}".rstrip()

    @property
    def ends_at(self) -> datetime | None:
        """When it ends; None where no bill tells that."""
        try:
            return datetime.fromisoformat(self.ends).replace(tzinfo=PROVIDER_ZONE) if self.ends else None
        except ValueError:
            return None


def plan_orders(values: Iterable[ChargedValue], ahead: timedelta) -> Sequence[PlanOrder]:
    """Return the orders of an account, the oldest first; one that comes so long before the end of another renews it."""
    found: list[PlanOrder] = []
    for one in values:
        if one.dimension is Dimension.ENDS:
            commodity, _, rest = one.value.partition(" ")
            ends = rest.partition(" ")[2]
            found.append(PlanOrder(Part(Dimension.COMMODITY, commodity), category_of(commodity), one.since, ends))
    found.sort(key=lambda order: (order.day, order.ends, order.commodity))
    return [_in_turn(order, [one for one in found if one.commodity == order.commodity], ahead) for order in found]


def _in_turn(order: PlanOrder, alike: Sequence[PlanOrder], ahead: timedelta) -> PlanOrder:
    before = max((one.day for one in alike if one.day < order.day), default=None)
    if (end := order.ends_at) is None:
        return replace(order, before=before)
    later = (one for one in alike if one.day > order.day and end - _beginning(one.day) < ahead + _ONE_DAY)
    renewed = min((one.day for one in later if one.ends_at is None or one.ends_at > end), default=None)
    return replace(order, before=before, renewed=renewed)


def _beginning(day: date) -> datetime:
    return datetime.combine(day, time(), PROVIDER_ZONE)


def cost_of(order: PlanOrder, sums: Iterable[SpendSum], currency: Currency) -> Money | None:
    """Return what the order cost, by sums of its account; None where they do not have it."""
    place = order.commodity.value, order.day.isoformat(), order.ends
    wanted = (Dimension.COMMODITY, Dimension.DAY, Dimension.ENDS)
    mine = [
        one
        for one in sums
        if one.is_subscription and one.currency == currency and tuple(one.values[by] for by in wanted) == place
    ]
    total = Decimal(0)
    for one in mine:
        total = EXACT.add(total, one.amount)
    return Money(total, currency) if mine else None
