"""What was offered of each day that may still change, and whether a new bill of it is accepted. Survives restarts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from spendwatch.domain.errors import InvalidAmountError
from spendwatch.domain.money import EXACT, parse_amount, plain
from spendwatch.domain.period import PROVIDER_ZONE, STAMP, BillingPeriod, is_final, open_periods

Totals = Mapping[str, Decimal]
"""What is payable, by currency."""

_ZERO = Decimal(0)
_UNFINISHED = "unfinished"
_MOST_MONTHS = 18
"""So far back the provider tells bills."""


@dataclass(frozen=True, slots=True)
class KnownDay:
    """What was last offered of one day."""

    digest: str
    totals: Totals
    fetched: str
    """When: fourteen digits, as file names have them."""
    doubted: Totals | None = None
    """Lower totals that were said once since then."""

    def believes(self, totals: Totals) -> bool:
        """Tell whether these may replace the known ones: more at once, less only when two fetches agree that it is less.

        An endpoint that is in trouble shows a month without spend, and whoever trusts it goes on spending.
        """
        return not _is_less(totals, self.totals) or (self.doubted is not None and not _is_less(totals, self.doubted))


class Memory:
    """The days, and the months that were not yet asked for as a whole after they had become final."""

    def __init__(self, found: Mapping[str, object]) -> None:
        """Take in what was remembered; what cannot be read is forgotten, and offered once more."""
        self.days = dict(read(found))
        self._unfinished = set(_months(found.get(_UNFINISHED)))

    def cycles(self, now: datetime, *, final_on: int) -> tuple[BillingPeriod, ...]:
        """Return the months to be asked for, the latest first: those that may change, and those that did while we were away."""
        opened = open_periods(now, PROVIDER_ZONE, final_on=final_on)
        first = min((*self._unfinished, opened[0]))
        wanted = [opened[-1]]
        while wanted[-1] > first and len(wanted) < _MOST_MONTHS:
            wanted.append(wanted[-1].previous())
        return tuple(wanted)

    def begin(self, cycles: Iterable[BillingPeriod]) -> bool:
        """Note that these months are asked for; tell whether that is news."""
        before, self._unfinished = self._unfinished, set(cycles)
        return before != self._unfinished

    def finish(self, cycle: BillingPeriod, now: datetime, *, final_on: int) -> bool:
        """Note that the month was asked for as a whole; tell whether that is news: whether it will not change any more."""
        is_news = cycle in self._unfinished and is_final(cycle, now, PROVIDER_ZONE, final_on=final_on)
        self._unfinished -= {cycle} if is_news else set()
        return is_news

    def written(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return {**written(self.days), _UNFINISHED: sorted(cycle.label for cycle in self._unfinished)}


def _months(found: object) -> Iterator[BillingPeriod]:
    for label in found if isinstance(found, list) else ():
        with suppress(ValueError):
            yield BillingPeriod.parse(str(label))


def agree(one: Totals, other: Totals, tolerance: Decimal) -> bool:
    """Tell whether two totals are the same, but for so much in each currency."""
    differences = (EXACT.subtract(one.get(currency, _ZERO), other.get(currency, _ZERO)) for currency in {*one, *other})
    return all(difference.copy_abs() <= tolerance for difference in differences)


def texts(totals: Totals) -> dict[str, str]:
    """Return the totals as files and logs hold them."""
    return {currency: plain(amount) for currency, amount in sorted(totals.items())}


def written(days: Mapping[str, KnownDay]) -> dict[str, object]:
    """Return the days as JSON holds them."""
    return {
        key: {
            "digest": day.digest,
            "totals": texts(day.totals),
            "fetched": day.fetched,
            **({} if day.doubted is None else {"doubted": texts(day.doubted)}),
        }
        for key, day in sorted(days.items())
    }


def read(memory: Mapping[str, object]) -> Iterator[tuple[str, KnownDay]]:
    """Yield what was remembered; a day that cannot be read is forgotten, and offered once more."""
    for key, day in memory.items():
        with suppress(ValueError, TypeError, KeyError, InvalidAmountError):
            yield key, _day(day)


def _is_less(totals: Totals, than: Totals) -> bool:
    return any(totals.get(currency, _ZERO) < than.get(currency, _ZERO) for currency in {*totals, *than})


def _day(found: object) -> KnownDay:
    if not isinstance(found, dict):
        msg = "no day"
        raise TypeError(msg)
    fetched = str(found["fetched"])
    datetime.strptime(fetched, STAMP)  # noqa: DTZ007 -- only asked whether it is one
    doubted = _amounts(found["doubted"]) if "doubted" in found else None
    return KnownDay(str(found["digest"]), _amounts(found["totals"]), fetched, doubted)


def _amounts(found: object) -> Totals:
    if not isinstance(found, dict):
        msg = "no amounts"
        raise TypeError(msg)
    return {str(currency): parse_amount(str(text)) for currency, text in found.items()}
