"""The final figures of a month: what each scope cost beside its budget, and how well the forecast did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal

from spendwatch.domain.forecast import Forecast, forecast_period
from spendwatch.domain.money import Money
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.run_rate import RunRate, run_rate_of
from spendwatch.domain.usage import days_that_count

FORECAST_DAYS = (10, 20)
"""By the data of these days of the month its forecast is checked."""


@dataclass(frozen=True, slots=True)
class FinalFigure:
    """What a scope cost in the month, and in the month before."""

    name: str
    scope: str
    """As JSON shows it."""
    spend: Money
    budget: Money | None
    before: Money | None
    """None where no bill of the month before is on record."""


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """The final figures of one month."""

    figures: tuple[FinalFigure, ...]
    """That of the scope itself first, then those of the workspaces in it."""
    forecasts: tuple[Forecast, ...]
    """What the forecast said by the data of some days, computed from the days on record now; none where it was too early."""
    corrections: tuple[tuple[str, Money, Money], ...]
    """Earlier months that changed since the last month was final: what they were, and what they are."""
    ends_on: date | None = None
    """The last day that bills reach, where that is not the end of the month."""


def forecasts_of(
    period: BillingPeriod,
    daily: Mapping[date, Decimal],
    spent: Mapping[date, Money],
    unknown: Callable[[date], frozenset[date]],
    zone: tzinfo,
) -> Iterator[Forecast]:
    """Yield what the forecast says of the month by the data of the checked days.

    `daily` is usage alone, as for any run rate; `spent` is everything that counts in the month; `unknown` returns the days
    of which nothing is known up to a day.
    """
    for day in FORECAST_DAYS:
        through = date(period.year, period.month, day)
        first, end = days_that_count(through)
        known = {on: amount for on, amount in daily.items() if first <= on < end}
        pace = run_rate_of(known, through=through, unknown=unknown(through))
        so_far = [money for on, money in spent.items() if on <= through]
        if isinstance(pace, RunRate) and so_far:
            total = sum(so_far[1:], so_far[0])
            until = datetime.combine(through + timedelta(days=1), time(), zone)
            yield forecast_period(pace, total, period, data_until=until, zone=zone)
