"""How good the forecast is, on paper: generated months, replayed day by day as their data would have been known.

    python tests/benchmarks/backtest.py [--seeds 200] [--tuning]

Prints by character of the spend how far the foretold day of a floor and of zero was off, how often the truth lay inside the
band, how far the month's total was off, and what the conditions `runway: [7d, 3d]` were worth. Beside it, from the same run,
two baselines: month to date, linear, and the mean of the last seven days. The method's constants were chosen on the seeds
of --tuning; without it other seeds are replayed. Generated months are our own guess at reality.
"""

from __future__ import annotations

import argparse
import gc
import math
import random
import statistics
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from spendwatch.domain.forecast import Crossing, Runway, RunwayReached, forecast_period, runway_of, runway_reached
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.run_rate import HORIZON, TooEarly, run_rate_of

CNY = Currency("CNY")
DAY = timedelta(days=1)
HELD_OUT_FROM = 1000
KNOWN_SHARE = {0: 0.9 * 9 / 24, 1: 0.97}
"""Asked at noon; the data reach nine o'clock, and some of today's and yesterday's is still to come. Older days are complete."""
DATA_UNTIL = timedelta(hours=9)
ASKED_DAYS, AFTERWARDS = 31, 75
TOTALS_ON = (5, 10, 15, 20, 25)
THRESHOLDS = (timedelta(days=7), timedelta(days=3))
LOOK_AHEAD = 31
"""Only crossings of the next so many days count."""
NEVER = 60
"""Days by which a day counts as off that was not in sight, and the most any counts."""
METHODS = ("ours", "month to date", "last 7 days")
CHARACTERS = (
    "flat",
    "weekly pattern",
    "weekdays only",
    "growing 3% a day",
    "step up x3",
    "step down to a third",
    "bursty",
    "month-end spike x6",
    "new key",
    "holiday gap",
)


@dataclass(frozen=True, slots=True)
class Change:
    """When the month begins, and when in it something changes and changes back."""

    first: date
    begins: date
    ends: date

    def phases(self, character: str) -> tuple[tuple[date, str], ...]:
        """Return from which complete day on the data can show what."""
        match character:
            case "step up x3" | "step down to a third":
                return (date.min, "before it"), (self.begins + DAY, "2 days old")
            case "holiday gap":
                return (date.min, "before it"), (self.begins + DAY, "in it"), (self.ends + DAY, "after it")
            case _:
                return ((date.min, ""),)

    def factor(self, character: str, day: date, source: random.Random) -> float:
        """Return by what the character multiplies that day."""
        by = 1.0
        match character:
            case "growing 3% a day":
                by = 1.03 ** (day - self.first).days
            case "step up x3" if day >= self.begins:
                by = 3.0
            case "step down to a third" if day >= self.begins:
                by = 1 / 3
            case "bursty":
                by = source.lognormvariate(0, 0.7) * (5 if source.random() < 0.1 else 1)
            case "month-end spike x6" if (day + 2 * DAY).month != day.month:
                by = 6.0
            case "holiday gap" if self.begins <= day < self.ends:
                by = 0.03
        return by


@dataclass(frozen=True, slots=True)
class Account:
    """A generated account: what it spends each day, and from which days on its data can show that something changed."""

    first: date
    daily: Mapping[date, Decimal]
    phases: tuple[tuple[date, str], ...]
    available: float
    """The balance at the start of the month."""

    @property
    def period(self) -> BillingPeriod:
        """The month that is replayed."""
        return BillingPeriod(self.first.year, self.first.month)

    def total(self) -> float:
        """Return what the month will have cost."""
        return math.fsum(float(spent) for day, spent in self.daily.items() if day in self.period)

    def phase(self, through: date) -> str:
        """Return what the data up to that day can show."""
        return next((name for since, name in reversed(self.phases) if since <= through), "")

    def used_up(self, amount: float) -> date:
        """Return the day by whose end so much is spent since the start of the month."""
        days = [day for day in self.daily if day >= self.first]
        return days[bisect_left(list(accumulate(float(self.daily[day]) for day in days)), amount)]


def generate(character: str, seed: int) -> Account:
    """Return the account of that character and seed: always the same."""
    source = random.Random(f"{character}/{seed}")  # noqa: S311 -- no secret: the same months every time
    first = date(source.randint(2024, 2027), source.randint(1, 12), 1)
    start = first - source.randint(14, 90) * DAY
    if character == "new key":
        start = first + source.randint(0, 7) * DAY
    base, noise = 10 ** source.uniform(0, 4), source.uniform(0.06, 0.2)
    week = week_of(character, source)
    begins = first + source.randint(2, 20) * DAY
    change = Change(first, begins, begins + source.randint(3, 8) * DAY)
    daily = {}
    for count in range((first - start).days + AFTERWARDS):
        day = start + count * DAY
        share = week[day.weekday()] * change.factor(character, day, source)
        daily[day] = Decimal(str(round(base * share * source.lognormvariate(0, noise), 6)))
    reached = max(first, start) + (source.randint(6, 40) if source.random() < 2 / 3 else source.randint(60, 66)) * DAY
    available = math.fsum(float(spent) for day, spent in daily.items() if first <= day < reached) + float(daily[reached]) / 2
    return Account(first, daily, change.phases(character), available)


def week_of(character: str, source: random.Random) -> list[float]:
    """Return the weekdays' shares: working days about alike and a lower weekend, or no pattern."""
    week = [source.uniform(0.9, 1.1) for _ in range(5)] + [source.uniform(0.2, 0.6) for _ in range(2)]
    has_pattern = source.random() < 0.6
    match character:
        case "flat" | "bursty":
            return [1.0] * 7
        case "weekdays only":
            return [*week[:5], 0.0, 0.0]
        case "weekly pattern":
            return week
        case _:
            return week if has_pattern else [1.0] * 7


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known on one day at noon, and what will turn out."""

    account: Account
    today: date

    @property
    def through(self) -> date:
        """The last complete day: bills may be late by a day or two."""
        return self.today - 2 * DAY

    @property
    def data_until(self) -> datetime:
        """The moment the data reach."""
        return datetime.combine(self.today, datetime.min.time(), UTC) + DATA_UNTIL

    @property
    def complete(self) -> dict[date, Decimal]:
        """The complete days."""
        return {day: spent for day, spent in self.account.daily.items() if day <= self.through}

    @property
    def on_record(self) -> float:
        """What is on record for the month so far."""
        spent = (
            (self.today - day, spent) for day, spent in self.account.daily.items() if self.account.first <= day <= self.today
        )
        return math.fsum(float(amount) * KNOWN_SHARE.get(back.days, 1.0) for back, amount in spent)


def money(amount: float) -> Money:
    """Return the amount to the millionth."""
    return Money(Decimal(str(round(amount, 6))), CNY)


@dataclass(frozen=True, slots=True)
class Told:
    """What a method says on that day; a baseline has no band."""

    runway: Runway
    total: tuple[float, float, float]


def ours(asked: Asked) -> Told | None:
    """Return what the daemon would say."""
    pace = run_rate_of(asked.complete, through=asked.through)
    if isinstance(pace, TooEarly):
        return None
    spent, floor = money(asked.on_record), money(asked.account.available / 4)
    available = money(asked.account.available) - spent
    runway = runway_of(pace, available, [floor], data_until=asked.data_until, zone=UTC, today=asked.today)
    forecast = forecast_period(pace, spent, asked.account.period, data_until=asked.data_until, zone=UTC)
    return Told(runway, (float(forecast.low.amount), float(forecast.likely.amount), float(forecast.high.amount)))


def steady(asked: Asked, rate: float) -> Told:
    """Return what follows if every day costs the same."""
    spent, passed, whole = asked.on_record, DATA_UNTIL / DAY, asked.account.available
    rest = max(0.0, (asked.account.period.after_last_day - asked.today) / DAY - passed)

    def crossing(level: float) -> Crossing:
        left = whole - spent - level
        days = 0 if left <= 0 else int(min(passed + left / rate, HORIZON)) if rate > 0 else HORIZON
        day = asked.today + days * DAY if days < HORIZON else None
        return Crossing(money(level), asked.today, day, day, day)

    total = spent + rate * rest
    return Told(Runway(crossing(0.0), (crossing(whole / 4),), asked.through, 0), (total, total, total))


def told_by(method: str, asked: Asked) -> Told | None:
    """Return what that method says."""
    match method:
        case "ours":
            return ours(asked)
        case "month to date":
            begun = max(asked.account.first, min(asked.account.daily))
            return steady(asked, asked.on_record / ((asked.today - begun + DATA_UNTIL) / DAY))
        case _:
            week = list(asked.complete.values())[-7:]
            return steady(asked, float(sum(week)) / len(week))


@dataclass(slots=True)
class Score:
    """How one method fared with one character."""

    off: list[float] = field(default_factory=list)
    off_soon: list[float] = field(default_factory=list)
    inside: list[bool] = field(default_factory=list)
    width: list[float] = field(default_factory=list)
    total_off: list[float] = field(default_factory=list)
    total_inside: list[bool] = field(default_factory=list)

    def add_crossing(self, crossing: Crossing, truth: date) -> None:
        """Note how far that day was off."""
        lead = (truth - crossing.today).days
        off = NEVER if crossing.days is None else min(NEVER, abs(crossing.days - lead))
        self.off.append(off)
        if lead <= 7:
            self.off_soon.append(off)
        self.inside.append((crossing.soonest or date.max) <= truth <= (crossing.latest or date.max))
        if crossing.soonest is not None:
            most = NEVER if crossing.latest is None else min(NEVER, (crossing.latest - crossing.today).days)
            self.width.append((most - (crossing.soonest - crossing.today).days) / lead)

    def add_total(self, told: tuple[float, float, float], truth: float) -> None:
        """Note by how many percent the month's total was off."""
        low, likely, high = told
        self.total_off.append(100 * abs(likely / truth - 1))
        self.total_inside.append(low <= truth <= high)


@dataclass(slots=True)
class Warnings:
    """What one condition was worth over all months of one character."""

    months: int = 0
    false: int = 0
    again: int = 0
    crossings: int = 0
    missed: int = 0
    leads: list[float] = field(default_factory=list)

    def add_month(
        self, held: Sequence[date], fired: Sequence[date], threshold: timedelta, truth: date, *, counts: bool
    ) -> None:
        """Note the warnings of one month, given when the condition began to hold, and the days on which it held.

        A warning is false at more than twice the threshold. One is missed if the condition did not hold on a day between
        that and half the threshold.
        """
        self.months += 1
        self.false += sum(truth - day > 2 * threshold for day in fired)
        self.again += max(0, len(fired) - 1)
        if counts:
            self.crossings += 1
            self.missed += not any(threshold / 2 <= truth - day <= 2 * threshold for day in held)
            self.leads.extend((truth - day) / DAY for day in fired[-1:])


@dataclass(slots=True)
class Results:
    """All scores, by character and phase, and by character and threshold, of each method."""

    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    warnings: dict[tuple[str, timedelta, str], Warnings] = field(default_factory=dict)

    def replay(self, character: str, seed: int) -> None:
        """Replay one month of one account, from the first day on which there is a forecast."""
        account = generate(character, seed)
        days = [Asked(account, account.first + count * DAY) for count in range(1, ASKED_DAYS + 1)]
        days = [asked for asked in days if asked.through in account.daily and ours(asked)]
        for method in METHODS:
            told = [(asked, said) for asked in days if (said := told_by(method, asked))]
            self._score(character, method, account, told)
            self._warn(character, method, account, told)

    def _score(self, character: str, method: str, account: Account, told: Sequence[tuple[Asked, Told]]) -> None:
        zero, floor = account.used_up(account.available), account.used_up(account.available * 3 / 4)
        for asked, said in told:
            name = f"{character}, {account.phase(asked.through)}".removesuffix(", ")
            score = self.scores.setdefault((name, method), Score())
            for crossing, truth in ((said.runway.zero, zero), (said.runway.floors[0], floor)):
                if DAY <= truth - asked.today <= LOOK_AHEAD * DAY:
                    score.add_crossing(crossing, truth)
            if (asked.today - account.first).days in TOTALS_ON:
                score.add_total(said.total, account.total())

    def _warn(self, character: str, method: str, account: Account, told: Sequence[tuple[Asked, Told]]) -> None:
        truth = account.used_up(account.available)
        held: dict[timedelta, list[date]] = {threshold: [] for threshold in THRESHOLDS}
        fired: dict[timedelta, list[date]] = {threshold: [] for threshold in THRESHOLDS}
        reached: tuple[RunwayReached, ...] = ()
        for asked, said in told:
            if asked.today <= truth:
                before = {one.threshold for one in reached}
                reached = runway_reached(said.runway, THRESHOLDS, reached)
                for one in reached:
                    held[one.threshold].append(asked.today)
                    if one.threshold not in before:
                        fired[one.threshold].append(asked.today)
        counts = bool(told) and told[0][0].today + 10 * DAY <= truth <= told[-1][0].today
        for threshold in THRESHOLDS:
            warnings = self.warnings.setdefault((character, threshold, method), Warnings())
            warnings.add_month(held[threshold], fired[threshold], threshold, truth, counts=counts)


def middle(values: Iterable[float]) -> float:
    """Return the median, or not a number where there are no values."""
    found = list(values)
    return statistics.median(found) if found else math.nan


def percent(values: Iterable[bool]) -> float:
    """Return how many hold, in percent."""
    found = list(values)
    return 100 * sum(found) / len(found) if found else math.nan


def mean(values: Iterable[float]) -> float:
    """Return the mean, or not a number where there are no values."""
    found = list(values)
    return statistics.fmean(found) if found else math.nan


def show(results: Results) -> None:
    """Print the tables. Three figures side by side are: ours, month to date, last 7 days."""
    print("Days off: median, mean, and mean where a week or less was left; each ours / month to date / last 7 days.")
    print("In: the truth lay inside the band. Wide: the band's days as part of the days left, median. Total: median % off.\n")
    print(f"{'':34}{'asked':>6}{'median':>15}{'mean':>19}{'last week':>19}{'in':>7}{'wide':>7}{'total':>15}{'in':>9}")
    for name in dict.fromkeys(name for name, _ in results.scores):
        scores = [results.scores[name, method] for method in METHODS]
        one = scores[0]
        cells = (
            [middle(score.off) for score in scores],
            [mean(score.off) for score in scores],
            [mean(score.off_soon) for score in scores],
        )
        text = "  ".join("/".join(f"{figure:5.1f}" for figure in cell) for cell in cells)
        totals = "/".join(f"{middle(score.total_off):5.1f}" for score in scores)
        in_band, total_in = percent(one.inside), percent(one.total_inside)
        print(f"{name:34}{len(one.off):6}  {text}{in_band:6.0f}%{middle(one.width):7.2f}  {totals}{total_in:6.0f}%")
    print("\nWarnings: false, said again, missed of so many crossings, days ahead; each ours / month to date / last 7 days.\n")
    for name, threshold in dict.fromkeys((name, threshold) for name, threshold, _ in results.warnings):
        found = [results.warnings[name, threshold, method] for method in METHODS]
        figures = (f"{w.false:4}, {w.again:3}, {w.missed:3} of {w.crossings:3}, {middle(w.leads):4.1f}" for w in found)
        print(f"{name:24}{threshold.days:2}d in {found[0].months:3} months {'  / '.join(figures)}")


def timing(scopes: int = 10_000, days: int = 60) -> None:
    """Print how long the forecasts of so many scopes take."""
    last, source = date(2026, 9, 14), random.Random(1)  # noqa: S311 -- the same amounts every time
    many = [
        {last - back * DAY: Decimal(str(round(source.lognormvariate(3, 0.3), 6))) for back in range(days)}
        for _ in range(scopes)
    ]
    spent, month, until = money(1000), BillingPeriod(2026, 9), datetime(2026, 9, 15, 9, tzinfo=UTC)
    gc.freeze()  # as the daemon does at its start
    started = time.perf_counter()
    paces = [pace for pace in (run_rate_of(daily, through=last) for daily in many) if not isinstance(pace, TooEarly)]
    paced = time.perf_counter()
    for pace in paces:
        forecast_period(pace, spent, month, data_until=until, zone=UTC)
    foretold = time.perf_counter()
    for pace in paces:
        runway_of(pace, money(300), [money(100)], data_until=until, zone=UTC, today=date(2026, 9, 15))
    print(
        f"\n{len(paces)} scopes x {days} days: pace {paced - started:.2f} s, month {foretold - paced:.2f} s, "
        f"together {foretold - started:.2f} s; a runway of about two weeks for each {time.perf_counter() - foretold:.2f} s"
    )


def main() -> None:
    """Replay, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--tuning", action="store_true")
    options = parser.parse_args()
    first = 0 if options.tuning else HELD_OUT_FROM
    results = Results()
    for character in CHARACTERS:
        for seed in range(first, first + options.seeds):
            results.replay(character, seed)
    print(f"{options.seeds} months of each character, seeds from {first} on ({'tuning' if options.tuning else 'held out'})\n")
    show(results)
    timing()


if __name__ == "__main__":
    main()
