"""Billing periods: a calendar month, and the days and weeks within; the start included, the end excluded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from spendwatch.domain.errors import printable

Clock = Callable[[], datetime]
"""Says what time it is, with its zone. Only the composition root knows the real one."""

FIRST_RELEASE = datetime(2026, 1, 1, tzinfo=UTC)
"""Nobody ran this program before: a clock that shows an earlier time was never set."""

PROVIDER_ZONE = timezone(timedelta(hours=8))
"""The clock on the provider's wall: days, months and the times in file names are by it, wherever an account is."""

STAMP = "%Y%m%d%H%M%S"
"""How file names write a moment by that clock."""

EARLIEST_DAY, LATEST_DAY = date(2000, 1, 1), date(2199, 12, 31)
"""What people ask for lies between them."""

_LABEL = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
_WEEK_LABEL = re.compile(r"([0-9]{4})-W([0-9]{2})", re.ASCII)
_DECEMBER = 12


class PeriodKind(StrEnum):
    """For how long a budget is."""

    MONTH = "month"
    DAY = "day"
    WEEK = "week"

    __hash__ = str.__hash__

    @property
    def is_short(self) -> bool:
        """Whether it is shorter than a billing month."""
        return self is not PeriodKind.MONTH

    @property
    def adverb(self) -> str:
        """How often there is one: also the key of such a budget in the configuration."""
        return "daily" if self is PeriodKind.DAY else f"{self.value}ly"


def stamp_after(now: datetime, last: str) -> str:
    """Return the moment as file names write it, but later than the last: of two versions the newer counts, by these times."""
    stamp = now.astimezone(PROVIDER_ZONE).strftime(STAMP)
    if stamp > last:
        return stamp
    return (datetime.strptime(last, STAMP).replace(tzinfo=PROVIDER_ZONE) + timedelta(seconds=1)).strftime(STAMP)


@dataclass(frozen=True, slots=True, order=True)
class BillingPeriod:
    """One billing month."""

    year: int
    month: int

    def __post_init__(self) -> None:
        """Refuse what is not a month."""
        if not (1 <= self.month <= _DECEMBER and 1 <= self.year <= 9998):  # noqa: PLR2004 -- datetime's own range, less one
            msg = f"not a month: {self.year}-{self.month}"
            raise ValueError(msg)

    @classmethod
    def parse(cls, label: str) -> BillingPeriod:
        """Return the period written as `YYYY-MM`; anything else raises `ValueError`."""
        found = _LABEL.fullmatch(label)
        if not found:
            msg = f"not a month like 2026-09: {label!r}"
            raise ValueError(msg)
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def containing(cls, moment: datetime, zone: tzinfo) -> BillingPeriod:
        """Return the period in which the moment falls, as clocks in the billing zone show it."""
        local = moment.astimezone(zone)
        return cls(local.year, local.month)

    @property
    def label(self) -> str:
        """The period as `YYYY-MM`."""
        return _label(self.year, self.month)

    @property
    def first_day(self) -> date:
        """The first day."""
        return date(self.year, self.month, 1)

    @property
    def after_last_day(self) -> date:
        """The first day of the next period."""
        return date(self.year + self.month // _DECEMBER, self.month % _DECEMBER + 1, 1)

    @property
    def days(self) -> int:
        """How many days the period has."""
        return (self.after_last_day - self.first_day).days

    @property
    def kind(self) -> PeriodKind:
        """That it is a month."""
        return PeriodKind.MONTH

    @property
    def span(self) -> DaySpan:
        """Its days."""
        return DaySpan(self.first_day, self.after_last_day)

    @property
    def within(self) -> str:
        """The period for people, with its preposition."""
        return f"in {self.label}"

    def __contains__(self, day: date) -> bool:
        """Return whether the day belongs to the period."""
        return self.first_day <= day < self.after_last_day

    def next(self) -> BillingPeriod:
        """Return the period after this one."""
        return BillingPeriod(self.year + 1, 1) if self.month == _DECEMBER else BillingPeriod(self.year, self.month + 1)

    def previous(self) -> BillingPeriod:
        """Return the period before this one."""
        return BillingPeriod(self.year - 1, _DECEMBER) if self.month == 1 else BillingPeriod(self.year, self.month - 1)

    def starts_at(self, zone: tzinfo) -> datetime:
        """Return the first moment of the period."""
        return datetime(self.year, self.month, 1, tzinfo=zone)


class DaySpan(NamedTuple):
    """Days in a row: the first, and the first that no longer belongs."""

    first: date
    end: date

    @classmethod
    def asked(
        cls, month: BillingPeriod | None, first: date | None, last: date | None, today: date, *, months: int = 1
    ) -> DaySpan:
        """Return the days that are asked for; where nothing is, so many months up to this one. `ValueError` if it has none."""
        if first or last:
            until = last or max(today, first or today)
            begin = first or until.replace(day=1)
            if begin > until:
                msg = f"{begin} is after {until}"
                raise ValueError(msg)
            return cls(begin, until + timedelta(days=1))
        return cls.of_months(month or BillingPeriod(today.year, today.month), 1 if month else months)

    @classmethod
    def of_months(cls, last: BillingPeriod, count: int = 1) -> DaySpan:
        """Return so many whole months up to that one."""
        first = last
        for _ in range(count - 1):
            first = first.previous()
        return cls(first.first_day, last.after_last_day)

    @property
    def last(self) -> date:
        """The last day."""
        return self.end - timedelta(days=1)

    @property
    def months(self) -> tuple[BillingPeriod, ...]:
        """The billing months that it has days of."""
        found = [BillingPeriod(self.first.year, self.first.month)]
        while self.last not in found[-1]:
            found.append(found[-1].next())
        return tuple(found)

    @property
    def month(self) -> BillingPeriod | None:
        """The month that it is, if it is a whole one and no more."""
        months = self.months
        return months[0] if len(months) == 1 and self == DaySpan.of_months(months[0]) else None

    @property
    def label(self) -> str:
        """The span for people."""
        month = self.month
        return month.label if month else f"{self.first} to {self.last}" if self.last > self.first else str(self.first)

    def previous(self) -> DaySpan:
        """Return as many whole months before whole months, else as many days before."""
        if self.first.day == 1 and self.end.day == 1:
            return DaySpan.of_months(self.months[0].previous(), len(self.months))
        return DaySpan(self.first - (self.end - self.first), self.first)

    def within(self, period: BillingPeriod) -> tuple[date, date] | None:
        """Return which days of a billing month belong; None for all.

        Some bills date a charge outside its month, which wins over the date: it belongs to the month's first or last day.
        """
        if self.first <= period.first_day and period.after_last_day <= self.end:
            return None
        return (
            date.min if self.first <= period.first_day else self.first,
            date.max if period.after_last_day <= self.end else self.end,
        )


@dataclass(frozen=True, slots=True, order=True)
class ShortPeriod:
    """A day by the provider's clock, or a week of such days from Monday on."""

    first_day: date
    kind: PeriodKind

    @classmethod
    def containing(cls, day: date, kind: PeriodKind) -> ShortPeriod:
        """Return the day itself, or its week."""
        return cls(day - timedelta(days=day.weekday()) if kind is PeriodKind.WEEK else day, kind)

    @property
    def label(self) -> str:
        """The day as `YYYY-MM-DD`, the week as ISO 8601 counts it: `YYYY-Www`."""
        return self.first_day.strftime("%G-W%V" if self.kind is PeriodKind.WEEK else "%Y-%m-%d")

    @property
    def after_last_day(self) -> date:
        """The first day behind it."""
        return self.first_day + timedelta(days=7 if self.kind is PeriodKind.WEEK else 1)

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.after_last_day - self.first_day).days

    @property
    def span(self) -> DaySpan:
        """Its days."""
        return DaySpan(self.first_day, self.after_last_day)

    @property
    def within(self) -> str:
        """The period for people, with its preposition."""
        return f"{'in' if self.kind is PeriodKind.WEEK else 'on'} {self.label}"

    def __contains__(self, day: date) -> bool:
        """Return whether the day belongs to the period."""
        return self.first_day <= day < self.after_last_day


Period = BillingPeriod | ShortPeriod
"""What a budget is for."""


@lru_cache(maxsize=1024)
def parse_period(label: str) -> Period:
    """Return the period with this label: `2026-09`, `2026-09-16` or `2026-W38`; anything else raises `ValueError`."""
    if found := _WEEK_LABEL.fullmatch(label):
        return ShortPeriod(date.fromisocalendar(int(found[1]), int(found[2]), 1), PeriodKind.WEEK)
    if len(label) == len("2026-09-16"):
        return ShortPeriod(date.fromisoformat(label), PeriodKind.DAY)
    return BillingPeriod.parse(label)


def parse_day(text: str) -> date:
    """Return the day written as `2026-09-12`; else `ValueError`."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not EARLIEST_DAY <= day <= LATEST_DAY or text != day.isoformat():
        msg = f"not a day: {printable(text)}; write it like 2026-09-12"
        raise ValueError(msg)
    return day


def labels_in(month: BillingPeriod) -> Sequence[str]:
    """Return the labels of a month, its days and its weeks, those included that end behind it."""
    days = [month.first_day + timedelta(days=count) for count in range(month.days)]
    short = (ShortPeriod.containing(day, kind).label for day in days for kind in PeriodKind if kind.is_short)
    return month.label, *dict.fromkeys(short)


def month_of(label: str) -> BillingPeriod:
    """Return the billing month of a period by its label; of a week that of its last day."""
    return parse_period(label).span.months[-1]


@lru_cache(maxsize=256)
def _label(year: int, month: int) -> str:
    return f"{year:04d}-{month:02d}"


def open_periods(now: datetime, zone: tzinfo, *, final_on: int) -> tuple[BillingPeriod, ...]:
    """Return the periods whose bills may still change, the oldest first.

    The previous month stays open until the end of day `final_on` of this month (facts: bills are final on the 2nd to the 4th).
    """
    current = BillingPeriod.containing(now, zone)
    if now.astimezone(zone).day <= final_on:
        return current.previous(), current
    return (current,)


def is_final(period: BillingPeriod, now: datetime, zone: tzinfo, *, final_on: int) -> bool:
    """Return whether the provider should no longer change the period."""
    return period < open_periods(now, zone, final_on=final_on)[0]


def closes_at(period: BillingPeriod, zone: tzinfo, *, final_on: int) -> datetime:
    """Return the moment from which on the provider should no longer change the period: the end of day `final_on` behind it."""
    last = period.next().first_day + timedelta(days=final_on)
    return datetime(last.year, last.month, last.day, tzinfo=zone)


@dataclass(frozen=True, slots=True)
class PeriodClose:
    """Which months are final, and what counts as spend in them."""

    closed: Mapping[BillingPeriod, datetime] = field(default_factory=dict)
    """The final months, each with the moment at which it became so."""
    products: tuple[str, ...] = ()
    first_open: BillingPeriod | None = None
    """The oldest month whose bills may still change, on record or not; None: no month is over."""

    def is_over(self, period: BillingPeriod) -> bool:
        """Return whether the month is no longer open."""
        return self.first_open is not None and period < self.first_open


def days_text(days: Iterable[date], *, span: str = "{low} to {high}", comma: str = ", ") -> str:
    """Return days for people, those in a row as the first to the last of them."""
    runs: list[list[date]] = []
    for day in sorted(days):
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return comma.join(span.format(low=run[0], high=run[-1]) if len(run) > 1 else str(run[0]) for run in runs)


def parse_duration(text: str) -> timedelta:
    """Return the duration written as `30s`, `10m`, `26h`, `3d` or a chain of these (`1h30m`); else `ValueError`."""
    if not _DURATION.fullmatch(text):
        msg = f"not a duration: {printable(text)}; write it like 30s, 10m, 26h, 3d or 1h30m"
        raise ValueError(msg)
    return timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))


def duration_label(duration: timedelta) -> str:
    """Return a duration as it is configured, in its largest whole unit: `7d`, `4h`, `90m`."""
    seconds = int(duration.total_seconds())
    unit, size = next((unit, size) for unit, size in _SECONDS.items() if seconds % size == 0)
    return f"{seconds // size}{unit}" if seconds else "0s"


def duration_text(duration: timedelta) -> str:
    """Return a duration for people, its two largest units: `3 d 4 h`, `12 min`, `45 s`."""
    seconds = max(0, int(duration.total_seconds()))
    parts = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= size:
            parts.append(f"{seconds // size} {name}")
            seconds %= size
    return " ".join(parts[:2]) or "0 s"


_DURATION = re.compile(r"(?:[0-9]{1,6}[dhms]){1,4}", re.ASCII)
_PART = re.compile(r"([0-9]+)([dhms])", re.ASCII)
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
