"""What the overview shows beside `status`: the course of the month, how each workspace goes, and what the money went to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from glob import escape
from typing import NamedTuple

from markupsafe import Markup

from spendwatch.domain.balance import Position
from spendwatch.domain.causes import shares_of
from spendwatch.domain.money import EXACT, Money, exact_sum, exact_sums, share_of
from spendwatch.domain.period import BillingPeriod, DaySpan
from spendwatch.domain.policy import Threshold
from spendwatch.domain.scope import TAG, Dimension, parse_tags
from spendwatch.domain.standing import levels_of
from spendwatch.jobs.overview import AccountOverview, Overview, WorkspaceLine
from spendwatch.jobs.spend_report import CATEGORY, ReportRow, SpendQuery
from spendwatch.web.charts import MonthChart, sparkline
from spendwatch.web.formats import Formats
from spendwatch.web.reading import Reader

TOPS = (Dimension.MODEL, Dimension.API_KEY, Dimension.TYPE, Dimension.CHANNEL)
_MOST_TAGS = 2
_MOST_ROWS = 6
_WEEK = 7
_SHOWN_BEFORE = timedelta(days=30)
Tops = Sequence[tuple[ReportRow, Decimal | None]]
"""The rows with the most spend, each with its share in tenths of a percent."""


@dataclass(frozen=True, slots=True)
class Day:
    """What one day cost, and the month until its end."""

    day: date
    spend: Money
    total: Money


class Course(NamedTuple):
    """How the spend of an account or a workspace goes."""

    days: tuple[Day, ...]
    categories: tuple[str, ...]
    """The largest first, as the chart colours them."""
    chart: Markup


class Trend(NamedTuple):
    """The last weeks of a workspace."""

    spark: Markup
    change: Decimal | None
    """The last seven known days beside the seven before: 0.25 is a quarter more."""


class AccountView(NamedTuple):
    """One account on the page."""

    line: AccountOverview
    course: Course
    trends: Mapping[str, Trend]
    tops: Sequence[tuple[str, Tops]]
    terms: Sequence[tuple[str, str, Money]]
    """The balance as a sum: sign, name of the text, amount."""


def account_views(overview: Overview, reader: Reader, formats: Formats) -> Iterator[AccountView]:
    """Yield the accounts of an overview."""
    policies = {policy.account: policy for policy in reader.settings.policies.accounts}
    for number, line in enumerate(overview.accounts):
        asked = Asked(reader, overview.period, line, (("account", escape(line.account)),))
        daily = asked.daily()
        policy = policies[line.account]
        yield AccountView(
            line=line,
            course=course_of(asked, daily, line, policy.thresholds, formats, name=f"chart-{number}"),
            trends={workspace: _trend(spent, line, reader) for workspace, spent in daily.items()},
            tops=list(asked.tops()),
            terms=tuple(_terms(line.balance)) if line.balance else (),
        )


_Daily = Mapping[str, Mapping[tuple[date, str], Decimal]]
"""By workspace, what each day and category cost."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A part of a month, of which figures are asked for."""

    reader: Reader
    period: BillingPeriod
    account: AccountOverview
    filters: tuple[tuple[str, str], ...]

    def query(self, *columns: str, compares: bool = True) -> SpendQuery:
        """Return the question for its spend by these columns, as `report` asks it."""
        policies = self.reader.settings.policies
        ledger, zone = self.reader.store.ledger, self.reader.settings.zone
        return SpendQuery(ledger, policies, zone, policies.products, columns, self.filters, compares=compares)

    def daily(self) -> _Daily:
        """Return what each day cost, from some days before the month on."""
        month = DaySpan.of_months(self.period)
        sums = self.query(Dimension.WORKSPACE, Dimension.DAY, CATEGORY).sums(DaySpan(month.first - _SHOWN_BEFORE, month.end))
        found: dict[str, dict[tuple[date, str], Decimal]] = {}
        for ((workspace, day, category), currency), several in sums.items():
            if currency == self.account.currency:
                amount = exact_sum(one.amount for one in several)
                found.setdefault(workspace, {})[date.fromisoformat(day), category] = amount
        return found

    def tops(self, columns: Sequence[str] = TOPS) -> Iterator[tuple[str, Tops]]:
        """Yield the spend by each of these columns, and by the tags with the most of it."""
        keys = Counter[str]()
        for spent in self.reader.store.ledger.spend(
            self.period, (Dimension.TAGS,), products=self.reader.settings.policies.products
        ):
            keys.update(dict.fromkeys(parse_tags(spent.values[Dimension.TAGS]), spent.lines))
        for column in (*columns, *(f"{TAG}{key}" for key, _ in keys.most_common(_MOST_TAGS))):
            rows = self.query(column, compares=False).report(DaySpan.of_months(self.period)).rows
            found = [row for row in rows if row.split.total.currency == self.account.currency]
            if any(row.values[0] for row in found):
                amounts = [row.split.total.amount for row in found]
                yield column, list(zip(found, shares_of(amounts, exact_sum(amounts)), strict=True))[:_MOST_ROWS]


def course_of(
    asked: Asked,
    daily: _Daily,
    line: AccountOverview | WorkspaceLine | None,
    thresholds: tuple[Threshold, ...],
    formats: Formats,
    *,
    name: str,
) -> Course:
    """Return the days of the month up to the last that any bill tells of, and their chart; `line`: whose budget it is."""
    account, period, texts = asked.account, asked.period, formats.texts
    spent = exact_sums((key, amount) for days in daily.values() for key, amount in days.items() if key[0] in period)
    sizes = exact_sums((category, amount) for (_, category), amount in spent.items())
    categories = tuple(sorted(sizes, key=lambda one: -sizes[one]))
    known = _known_days(asked, max((day for day, _ in spent), default=date.min))
    parts = [[spent.get((day, category), Decimal(0)) for category in categories] for day in known]
    days, total = [], Decimal(0)
    for day, amounts in zip(known, parts, strict=True):
        total = EXACT.add(total, cost := exact_sum(amounts))
        days.append(Day(day, Money(cost, account.currency), Money(total, account.currency)))
    budget = line.budget.amount if line and line.budget else None
    levels = [(level.label, level.at) for level in levels_of(thresholds, budget)]
    likely = line.forecast if line else None
    chart = MonthChart(
        title=f"{texts['cumulative']}, {formats.reader.month(period)}, {account.currency}",
        description=texts["chart_text"].format(
            spend=formats.reader.money(days[-1].total) if days else "–", day=days[-1].day if days else "–"
        ),
        days=period.days,
        daily=parts,
        levels=levels or ([("100%", budget)] if budget else []),
        band=(likely.low.amount, likely.likely.amount, likely.high.amount) if likely else None,
    )
    return Course(tuple(days), categories, chart.svg(name))


def _known_days(asked: Asked, charged: date) -> list[date]:
    """Return the days of the month that bills tell of: what comes after the last one is not zero but unknown."""
    if (until := asked.account.data_until) is None:
        return []
    # Data reach to the end of a day: the moment after it belongs to the next one.
    last = max(charged, (until - timedelta(microseconds=1)).astimezone(asked.reader.settings.zone).date())
    first = asked.period.first_day
    return [first + timedelta(days=number) for number in range(asked.period.days) if first + timedelta(days=number) <= last]


def _trend(spent: Mapping[tuple[date, str], Decimal], line: AccountOverview, reader: Reader) -> Trend:
    if line.data_until is None:
        return Trend(Markup(""), None)
    last = (line.data_until - timedelta(microseconds=1)).astimezone(reader.settings.zone).date()
    days = [last - timedelta(days=back) for back in reversed(range(_SHOWN_BEFORE.days))]
    by_day = exact_sums((day, amount) for (day, _), amount in spent.items())
    daily = [by_day.get(day, Decimal(0)) for day in days]
    now, before = exact_sum(daily[-_WEEK:]), exact_sum(daily[-2 * _WEEK : -_WEEK])
    return Trend(sparkline(daily), share_of(EXACT.subtract(now, before), before))


def _terms(balance: Position) -> Iterable[tuple[str, str, Money]]:
    """Yield what the available balance is made of."""
    reading = balance.reading
    if reading.cash is None:
        if reading.reported is not None:
            yield "", "reported", reading.reported
    else:
        yield "", "cash", reading.cash
        yield "+", "credit", reading.credit or Money.zero(balance.currency)
        if reading.credit_refund is not None:
            yield "+", "credit_refund", reading.credit_refund
        current, previous = balance.unsettled_current, balance.unsettled_previous
        if current is not None and previous is not None:
            yield "−", "unsettled_current", current
            yield "−", "unsettled_previous", previous
        elif balance.unsettled is not None:
            yield "−", "unsettled", balance.unsettled
    if balance.spent_since is not None:
        yield "−", "spent_since", balance.spent_since
    yield "=", "available", balance.available
