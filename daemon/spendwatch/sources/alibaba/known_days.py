"""What was offered of each day that may still change, and whether a new bill of it is accepted. Survives restarts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache

from pydantic import TypeAdapter

from spendwatch.domain.money import EXACT, plain
from spendwatch.domain.period import PROVIDER_ZONE, BillingPeriod, is_final, open_periods

Totals = Mapping[str, Decimal]
"""What is payable, by currency."""

_ZERO = Decimal(0)
_UNFINISHED = "unfinished"
_MOST_MONTHS = 18
"""How far back the provider keeps bills."""


@dataclass(frozen=True, slots=True)
class KnownDay:
    """What was last offered of one day."""

    digest: str
    totals: Totals
    fetched: str
    """When: fourteen digits, as file names have them."""
    doubted: Totals | None = None
    """Lower totals that were received once since then."""

    @classmethod
    def remembered(cls, text: str) -> KnownDay | None:
        """Return the day in such a text; None if there is none."""
        return _adapter().validate_json(text) if text else None

    @property
    def text(self) -> str:
        """All of it, to be remembered."""
        return _adapter().dump_json(self).decode()

    def believes(self, totals: Totals) -> bool:
        """Return whether these may replace the known ones: more at once, less only when two fetches agree that it is less.

        An endpoint that is in trouble shows a month without spend, and whoever trusts it goes on spending.
        """
        return not _is_less(totals, self.totals) or (self.doubted is not None and not _is_less(totals, self.doubted))


class OpenMonths:
    """The months that were not yet asked for as a whole after they had become final."""

    def __init__(self, known: Mapping[str, str]) -> None:
        """Take in what is remembered."""
        self._unfinished = {BillingPeriod.parse(label) for label in known.get(_UNFINISHED, "").split()}

    def cycles(self, now: datetime, *, final_on: int) -> tuple[BillingPeriod, ...]:
        """Return the months to be asked for, the latest first: those that may change, and those that did while we were away."""
        opened = open_periods(now, PROVIDER_ZONE, final_on=final_on)
        first = min((*self._unfinished, opened[0]))
        wanted = [opened[-1]]
        while wanted[-1] > first and len(wanted) < _MOST_MONTHS:
            wanted.append(wanted[-1].previous())
        return tuple(wanted)

    def begin(self, cycles: Iterable[BillingPeriod]) -> bool:
        """Record that these months are requested; return whether that is new."""
        before, self._unfinished = self._unfinished, set(cycles)
        return before != self._unfinished

    def finish(self, cycle: BillingPeriod, now: datetime, *, final_on: int) -> bool:
        """Record that the month was requested as a whole; return whether that is new: it will not change any more."""
        is_news = cycle in self._unfinished and is_final(cycle, now, PROVIDER_ZONE, final_on=final_on)
        self._unfinished -= {cycle} if is_news else set()
        return is_news

    def written(self) -> Mapping[str, str]:
        """Return it as it is remembered."""
        return {_UNFINISHED: " ".join(sorted(cycle.label for cycle in self._unfinished))}


def agree(one: Totals, other: Totals, tolerance: Decimal) -> bool:
    """Return whether two totals are the same, but for so much in each currency."""
    differences = (EXACT.subtract(one.get(currency, _ZERO), other.get(currency, _ZERO)) for currency in {*one, *other})
    return all(difference.copy_abs() <= tolerance for difference in differences)


def texts(totals: Totals) -> dict[str, str]:
    """Return the totals as files and logs hold them."""
    return {currency: plain(amount) for currency, amount in sorted(totals.items())}


@cache
def _adapter() -> TypeAdapter[KnownDay]:
    return TypeAdapter(KnownDay)


def _is_less(totals: Totals, than: Totals) -> bool:
    return any(totals.get(currency, _ZERO) < than.get(currency, _ZERO) for currency in {*totals, *than})
