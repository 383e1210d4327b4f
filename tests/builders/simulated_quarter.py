"""One quarter of alerts: generated accounts, replayed morning by morning as their bills would arrive.

Each account is one workspace with a budget, the thresholds 50%, 80%, 100% and `forecast 100%`, and `spike`. The rules are those
of the daemon. Beside them, with the same data: a forecast that extends the month to date in a straight line, and days above the
mean of the last 30 plus three standard deviations. Generated accounts are our own guess at reality.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from math import isnan, nan

from spendwatch.domain.alert import Alert, AlertKey, AlertsKnown, Rule
from spendwatch.domain.delivery import Reason
from spendwatch.domain.forecast import forecast_period
from spendwatch.domain.forecast_alerts import Foretold, false_before, forecast_conditions, not_reached
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.notification import Facts
from spendwatch.domain.period import PROVIDER_ZONE, BillingPeriod
from spendwatch.domain.policy import ChannelName, Severity, Threshold, Watch
from spendwatch.domain.review import Condition, Verdict, one_message_per_matter, review_conditions
from spendwatch.domain.run_rate import REMEMBERED, RunRate, run_rate_of
from spendwatch.domain.scope import BudgetScope
from spendwatch.domain.spike import Spike, spike_on
from spendwatch.domain.standing import Split, Standing
from spendwatch.domain.statement import AccountId, WorkspaceId
from spendwatch.domain.thresholds import threshold_conditions

CNY, DAY = Currency("CNY"), timedelta(days=1)
CHARACTERS = ("calm", "growing", "bursty", "refunds", "late files", "Chinese holidays")
QUARTER, BEFORE, WEEKS = 91, 60, 13
CUT = (Decimal("0.34"), Decimal("0.97"))
"""A round at nine in the morning knows so much of today and yesterday; older days are complete, unless their file is late."""
SPIKE = (3.0, 10.0)
"""A spike costs so many usual days more."""
JUDGED = 7
FINAL_ON = 4
HOLIDAYS = (
    (date(2026, 1, 1), date(2026, 1, 3)),
    (date(2026, 2, 15), date(2026, 2, 23)),
    (date(2026, 4, 4), date(2026, 4, 6)),
    (date(2026, 5, 1), date(2026, 5, 5)),
    (date(2026, 6, 19), date(2026, 6, 21)),
    (date(2026, 9, 25), date(2026, 9, 27)),
    (date(2026, 10, 1), date(2026, 10, 7)),
)
WORKED = frozenset(date(2026, *day) for day in ((1, 4), (2, 14), (2, 28), (5, 9), (9, 20), (10, 10)))
"""Weekend days that are worked in place of holidays."""
STARTS = (date(2026, 1, 1), date(2026, 4, 1), date(2026, 7, 1), date(2026, 9, 1))


@dataclass(frozen=True, slots=True)
class Account:
    """A generated account."""

    first: date
    usage: Mapping[date, Decimal]
    refunds: Mapping[date, Decimal]
    late: Mapping[date, int]
    """By how many days the bill of a day is late."""
    spikes: frozenset[date]
    budget: Decimal
    least: Decimal

    @property
    def mornings(self) -> Sequence[date]:
        """The days of the quarter, and those on which its last month may still change."""
        return [self.first + count * DAY for count in range(1, QUARTER + FINAL_ON + 1)]

    def months(self) -> Sequence[BillingPeriod]:
        """The months that are whole."""
        found = [BillingPeriod(self.first.year, self.first.month)]
        while found[-1].next().after_last_day <= self.first + (QUARTER + 2) * DAY:
            found.append(found[-1].next())
        return found

    def known(self, day: date, today: date) -> Decimal | None:
        """Return what is on record of a day in the morning of another; None where its bill is late."""
        back, late = (today - day).days, self.late.get(day, 0)
        if late and back <= late:
            return None
        return self.usage[day] * CUT[back] if back < len(CUT) else self.usage[day]

    def spent(self, month: BillingPeriod, today: date) -> Decimal:
        """Return the month to date."""
        days = (month.first_day + count * DAY for count in range(month.days))
        return sum(
            ((self.known(day, today) or Decimal(0)) - self.refunds.get(day, Decimal(0)) for day in days if day <= today),
            Decimal(0),
        )


def generate(character: str, seed: int) -> Account:
    """Return the account of that character and seed: always the same."""
    source = random.Random(f"{character}/{seed}")  # noqa: S311 -- no secret: the same quarters every time
    first = source.choice(STARTS)
    base, noise = 10 ** source.uniform(1, 3.5), source.uniform(0.08, 0.25)
    has_week = source.random() < 2 / 3
    week = [source.uniform(0.9, 1.1) for _ in range(5)] + [source.uniform(0.15, 0.6) for _ in range(2)]
    growth = source.uniform(1.003, 1.02) if character == "growing" else 1.0
    at = first + source.randint(3, 25) * DAY
    usage, refunds, late, spikes = {}, {}, {}, set()
    for count in range(BEFORE + QUARTER + FINAL_ON + 2):
        day = first + (count - BEFORE) * DAY
        usual = base * growth**count
        share = week[day.weekday()] if has_week else 1.0
        if character == "Chinese holidays":
            if any(start <= day <= end for start, end in HOLIDAYS):
                share = source.uniform(0.05, 0.2)
            elif day in WORKED:
                share = 1.0
        spent = usual * share * source.lognormvariate(0, noise)
        if character == "bursty":
            spent *= source.lognormvariate(0, 0.4) * (3 if source.random() < 0.05 else 1)
        if day == at and count < BEFORE + QUARTER:
            spent += usual * source.uniform(*SPIKE)
            spikes.add(day)
            at = day + source.randint(8, 40) * DAY
        usage[day] = Decimal(str(round(spent, 4)))
        if character == "refunds" and source.random() < 0.06:
            refunds[day] = Decimal(str(round(usual * source.uniform(0.5, 6), 4)))
        if character == "late files" and source.random() < 0.15:
            late[day] = source.randint(2, 3)
    month = statistics.median(float(sum(list(usage.values())[start : start + 30])) for start in range(BEFORE, BEFORE + 60, 10))
    budget = Decimal(str(round(month * source.uniform(0.75, 1.35), 2)))
    return Account(first, usage, refunds, late, frozenset(spikes), budget, Decimal(str(round(base / 2, 2))))


@dataclass(slots=True)
class Score:
    """How one method fared."""

    workspaces: int = 0
    messages: int = 0
    duplicates: int = 0
    thresholds: int = 0
    missed: int = 0
    late_thresholds: int = 0
    """Reached, and reported only after the month was over."""
    forecasts: int = 0
    false_forecasts: int = 0
    worst_forecasts: int = 0
    overspent: int = 0
    foreseen: int = 0
    leads: list[int] = field(default_factory=list)
    """Days from a forecast alert to the day on which the budget was used up."""
    spikes: int = 0
    found: int = 0
    delays: list[int] = field(default_factory=list)
    days: int = 0
    false_days: int = 0

    def add_forecast(self, account: Account, month: BillingPeriod, fired: date | None) -> None:
        """Note whether the budget of a month was used up, and whether a forecast alert said so before."""
        totals = accumulate(
            account.usage[month.first_day + n * DAY] - account.refunds.get(month.first_day + n * DAY, Decimal(0))
            for n in range(month.days)
        )
        crossed = next((month.first_day + n * DAY for n, total in enumerate(totals) if total >= account.budget), None)
        self.overspent += crossed is not None
        if fired is None:
            return
        self.forecasts += 1
        if crossed is None:
            self.false_forecasts += 1
        elif fired <= crossed:
            self.foreseen += 1
            self.leads.append((crossed - fired).days)

    def add_spikes(self, account: Account, told: Mapping[date, date]) -> None:
        """Note which spikes were reported, each with the morning on which it was."""
        days = [account.first + count * DAY for count in range(QUARTER)]
        self.days += len(days) - len(account.spikes)
        self.spikes += len(account.spikes)
        for day in days:
            if day in told:
                if day in account.spikes:
                    self.found += 1
                    self.delays.append((told[day] - day).days)
                else:
                    self.false_days += 1


class Replay:
    """The daemon's rules, morning by morning."""

    def __init__(self, account: Account) -> None:
        self.account = account
        thresholds = (
            *(Threshold(share=Decimal(share) / 100) for share in (50, 80, 100)),
            Threshold(share=Decimal(1), is_forecast=True),
        )
        scope = BudgetScope(AccountId("1"), WorkspaceId("llm-a"))
        self.watch = Watch(
            scope, "Research", CNY, Money(account.budget, CNY), thresholds, (ChannelName("mail"),), spike=account.least
        )
        self.alerts: dict[str, Alert] = {}
        self.held: Foretold = {}
        self.said: list[tuple[date, AlertKey]] = []
        self.begun: list[AlertKey] = []

    def run(self) -> None:
        """Let the quarter pass."""
        for today in self.account.mornings:
            now = datetime(today.year, today.month, today.day, 9, tzinfo=PROVIDER_ZONE)
            known = AlertsKnown(self.alerts.values())
            conditions = [*self._of_months(today, now, known), *self._of_spikes(today)]
            verdict = one_message_per_matter(review_conditions(conditions, known, now=now))
            self._commit(today, verdict)

    def _commit(self, today: date, verdict: Verdict) -> None:
        self.begun += [alert.key for alert in verdict.alerts if alert.id not in self.alerts]
        self.alerts |= {alert.id: alert for alert in verdict.alerts}
        keys = {alert.id: alert.key for alert in verdict.alerts}
        self.said += [(today, keys[one.alert]) for one in verdict.notifications if one.reason is Reason.FIRED]

    def _of_months(self, today: date, now: datetime, known: AlertsKnown) -> Iterator[Condition]:
        month = BillingPeriod(today.year, today.month)
        open_months = (
            (month.previous(), month)
            if today.day <= FINAL_ON and month.previous().first_day >= self.account.first
            else (month,)
        )
        totals = [(period, Money(self.account.spent(period, today), CNY)) for period in open_months]
        standings = [Standing(self.watch, period, spent, 1, (), now, Split(spent, Money.zero(CNY))) for period, spent in totals]
        reported = not_reached(self.held, standings, known, month)
        for standing in standings:
            yield from threshold_conditions(standing, known)
            if standing.period == month:
                through = today - 2 * DAY
                history = {day: self.account.known(day, today) for day in days_up_to(through, REMEMBERED)}
                daily = {day: spent for day, spent in history.items() if spent is not None}
                pace = run_rate_of(daily, through=through, unknown={day for day, one in history.items() if one is None})
                likely = (
                    forecast_period(pace, standing.spend, month, data_until=now, zone=PROVIDER_ZONE)
                    if isinstance(pace, RunRate)
                    else None
                )
                was_false = self.watch.scope in false_before(reported, month)
                found, foretold = forecast_conditions(standing, likely, known, self.held, was_false=was_false)
                self.held = {**reported, **foretold}
                yield from found

    def _of_spikes(self, today: date) -> Iterator[Condition]:
        amounts = series(self.account, today)
        for back in range(JUDGED - 1, -1, -1):
            day = today - back * DAY
            spent = self.account.known(day, today)
            if spent is None or day < self.account.first:
                continue
            before = amounts[: len(amounts) - 1 - back]
            found = spike_on(day, Money(spent, CNY), before[-REMEMBERED:], self.watch, is_complete=back > 1)
            if isinstance(found, Spike):
                key = AlertKey(Rule.SPIKE, self.watch.scope, day.isoformat(), f"{day:%Y-%m}")
                yield Condition(
                    key=key,
                    holds=True,
                    severity=Severity.WARNING,
                    summary="",
                    facts=Facts(spike=found),
                    channels=self.watch.channels,
                )


def days_up_to(last: date, count: int) -> Sequence[date]:
    """Return so many days up to that one."""
    return [last - back * DAY for back in range(count - 1, -1, -1)]


def series(account: Account, today: date) -> list[float]:
    """Return what is on record of the days up to today, NaN where a bill is late."""
    known = (account.known(day, today) for day in days_up_to(today, REMEMBERED + JUDGED))
    return [nan if one is None else float(one) for one in known]


def replay(account: Account, score: Score) -> None:
    """Replay the daemon's rules and note how they fared."""
    run = Replay(account)
    run.run()
    score.workspaces += 1
    score.messages += len(run.said)
    score.duplicates += len(run.said) - len({key for _, key in run.said}) + len(run.begun) - len(set(run.begun))
    earlier = score.false_forecasts
    for month in account.months():
        final = account.spent(month, month.after_last_day + FINAL_ON * DAY)
        highest = max(account.spent(month, month.first_day + n * DAY) for n in range(month.days + FINAL_ON))
        reached = {key.threshold for key in run.begun if key.rule is Rule.THRESHOLD_REACHED and key.period == month.label}
        for share in (50, 80, 100):
            if max(final, highest) >= account.budget * share / 100:
                score.thresholds += 1
                score.missed += f"{share}%" not in reached
        # One that fires together with a threshold is named in its message: it counts as well.
        mine = (one for one in run.alerts.values() if one.key.rule is Rule.FORECAST and one.key.period == month.label)
        score.add_forecast(account, month, min((one.told_at.date() for one in mine if one.told_at), default=None))
    score.worst_forecasts = max(score.worst_forecasts, score.false_forecasts - earlier)
    score.add_spikes(account, {date.fromisoformat(key.threshold): day for day, key in run.said if key.rule is Rule.SPIKE})


def replay_naive(account: Account, score: Score) -> None:
    """Replay the two baselines: the month to date in a straight line, and mean + 3 sigma of the last 30 days."""
    score.workspaces += 1
    earlier = score.false_forecasts
    for month in account.months():
        fired = None
        for count in range(2, month.days):
            today = month.first_day + count * DAY
            if account.spent(month, today) / (count + Decimal("0.375")) * month.days >= account.budget:
                fired = today
                break
        score.messages += fired is not None
        score.add_forecast(account, month, fired)
    score.worst_forecasts = max(score.worst_forecasts, score.false_forecasts - earlier)
    told: dict[date, date] = {}
    for today in account.mornings:
        amounts = series(account, today)
        for back in range(JUDGED):
            day, spent = today - back * DAY, amounts[len(amounts) - 1 - back]
            before = [one for one in amounts[len(amounts) - 31 - back : len(amounts) - 1 - back] if not isnan(one)]
            if len(before) > 1 and spent > statistics.fmean(before) + 3 * statistics.pstdev(before) and spent >= account.least:
                told.setdefault(day, today)
    score.messages += len(told)
    score.add_spikes(account, told)


def replay_all(seeds: Iterable[int]) -> Mapping[str, tuple[Score, Score]]:
    """Return by character how the daemon's rules fared, and the baselines."""
    scores = {character: (Score(), Score()) for character in CHARACTERS}
    for seed in seeds:
        for character, (ours, naive) in scores.items():
            account = generate(character, seed)
            replay(account, ours)
            replay_naive(account, naive)
    return scores


def total(scores: Iterable[Score]) -> Score:
    """Return all of them together."""
    whole = Score()
    for one in scores:
        for name in Score.__slots__:
            mine, more = getattr(whole, name), getattr(one, name)
            setattr(whole, name, max(mine, more) if name == "worst_forecasts" else mine + more)
    return whole
