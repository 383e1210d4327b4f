"""Spend by any of its dimensions, of a month or of some days, beside as many days before: what `report` and the page show."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from decimal import Decimal
from fnmatch import fnmatchcase

from spendwatch.domain.commodity import category_of
from spendwatch.domain.discrepancy import Discrepancy
from spendwatch.domain.errors import printable
from spendwatch.domain.money import EXACT, Currency, Money, exact_sum, plain, share_of
from spendwatch.domain.period import BillingPeriod, DaySpan
from spendwatch.domain.policy import Policies
from spendwatch.domain.scope import TAG, Dimension, can_fit, value_of
from spendwatch.domain.series_selection import DayTotal, Unwatched, authorities, uncounted, unwatched
from spendwatch.domain.standing import SpendSum, Split
from spendwatch.domain.statement import AccountId, SeriesKey, WorkspaceId
from spendwatch.domain.suggestions import did_you_mean
from spendwatch.domain.usage import unknown_among
from spendwatch.exact_json import json_fields, json_value
from spendwatch.jobs.overview_json import split_json
from spendwatch.jobs.ports import Ledger

MONTH, CATEGORY = "month", "category"
"""No dimensions of the ledger: the billing month, and what is derived from commodity and item."""

COLUMNS = (*(dimension.value for dimension in Dimension if dimension is not Dimension.TAGS), MONTH, CATEGORY)
_USE = f"use any of {', '.join(COLUMNS)}, tag:KEY"
TIMES = frozenset({Dimension.DAY.value, MONTH})
"""Rows of these have no counterpart in the period before."""

NAMED = {one.value: one for one in (Dimension.WORKSPACE, Dimension.API_KEY, Dimension.ACCOUNT)}
"""What people give names."""

MONTHS = 12
"""So many months are shown by month where no range is given."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What is spent by what has these values, in one currency."""

    values: tuple[str, ...]
    names: tuple[str, ...]
    """What people call the values; empty where they have no name."""
    owner: str
    """Of the workspace, by its policy."""
    split: Split
    lines: int
    share: Decimal | None
    """Of all rows in the currency; None where these are not above zero."""
    before: Money | None
    """In the period before; None where nothing is on record then."""
    usage: Mapping[str, Decimal] | None
    """Quantities by the provider's units; None where they were not asked for, or are not known."""


@dataclass(frozen=True, slots=True)
class MissingDays:
    """Days of an account of which no bill tells."""

    account: AccountId
    series: str
    """Empty where no bill of the month is on record."""
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class SpendReport:
    """Everything that is shown."""

    span: DaySpan
    before: DaySpan | None
    """None where nothing is on record then, or rows have no counterpart there."""
    columns: tuple[str, ...]
    rows: tuple[ReportRow, ...]
    gone: tuple[ReportRow, ...]
    """What was spent in the period before only."""
    totals: Mapping[Currency, ReportRow]
    missing: tuple[MissingDays, ...]
    missing_before: tuple[MissingDays, ...]
    lost: tuple[date, ...]
    """Days whose lines are removed, so that usage is not known."""
    outside: tuple[Unwatched, ...]
    """What is charged for products that are not watched."""


RowKey = tuple[tuple[str, ...], Currency]
Sums = Mapping[RowKey, Sequence[SpendSum]]


def columns_of(text: str) -> tuple[str, ...]:
    """Return by what spend is to be shown, written with commas between; `ValueError` where that cannot be."""
    if found := tuple(dict.fromkeys(_column(part.strip()) for part in text.split(",") if part.strip())):
        return found
    msg = f"names nothing; {_USE}"
    raise ValueError(msg)


def _column(text: str) -> str:
    if text in COLUMNS or (text.startswith(TAG) and text != TAG):
        return text
    msg = "; ".join(filter(None, (f"cannot use {printable(text)}", _USE, did_you_mean(text, COLUMNS))))
    raise ValueError(msg)


def filter_of(text: str) -> tuple[str, str]:
    """Return what is to match, and the pattern; `ValueError` where that can never be."""
    key, equals, pattern = text.partition("=")
    if not equals or not can_fit(pattern):
        msg = f"{printable(text)} can never match" if equals else f"{printable(text)}: write KEY=PATTERN, like model=qwen*"
        raise ValueError(msg)
    return _column(key.strip()), pattern


@dataclass(frozen=True, slots=True)
class UsedQuantities:
    """Quantities by row and unit."""

    quantities: Mapping[RowKey, Mapping[str, Decimal]] | None = None
    lost: tuple[date, ...] = ()

    def of(self, keys: Iterable[RowKey]) -> Mapping[str, Decimal] | None:
        """Return those of some rows together."""
        if self.quantities is None or self.lost:
            return None
        found: dict[str, Decimal] = {}
        for key in keys:
            for unit, quantity in self.quantities.get(key, {}).items():
                found[unit] = EXACT.add(found.get(unit, Decimal(0)), quantity)
        return found


@dataclass(frozen=True, slots=True)
class SpendQuery:
    """One state of the ledger, and what is asked of it."""

    ledger: Ledger
    policies: Policies
    zone: tzinfo
    products: Sequence[str] | None
    columns: tuple[str, ...]
    filters: tuple[tuple[str, str], ...]
    compares: bool = True
    """Whether the period before is read, too."""

    def report(self, span: DaySpan, used: UsedQuantities | None = None) -> SpendReport:
        """Return the spend of these days beside that of as many before; `used`: what was used, if that is wanted."""
        used = used or UsedQuantities()
        sums, before = self.sums(span), self.sums(span.previous()) if self.compares and not TIMES & {*self.columns} else {}
        owners = {one.workspace: one.owner for one in reversed(self.policies.workspaces)}
        place = self.columns.index(Dimension.WORKSPACE) if Dimension.WORKSPACE in self.columns else None
        currencies = sorted({currency for _, currency in (*sums, *before)})
        wholes = {one: Split.of(_all(sums, one), one).total for one in currencies}

        def row(
            key: RowKey, mine: Sequence[SpendSum], was: Iterable[SpendSum], usage: Mapping[str, Decimal] | None = None
        ) -> ReportRow:
            values, currency = key
            split = Split.of(mine, currency)
            share = share_of(split.total.amount, wholes[currency].amount)
            then = Split.of(was, currency).total if before else None
            named = tuple(map(self._name, self.columns, values))
            owner = "" if place is None else owners.get(WorkspaceId(values[place]), "")
            return ReportRow(values, named, owner, split, sum(one.lines for one in mine), share, then, usage)

        rows = [row(key, mine, before.get(key, ()), used.of([key])) for key, mine in sums.items()]
        past = (row(key, (), was) for key, was in before.items() if key not in sums)
        gone = [one for one in past if one.before and one.before.amount]
        order = _by_values if self.columns[0] in TIMES else _by_spend
        blank = ("",) * len(self.columns)
        return SpendReport(
            span=span,
            before=span.previous() if before else None,
            columns=self.columns,
            rows=tuple(sorted(rows, key=order)),
            gone=tuple(sorted(gone, key=_by_values)),
            totals={
                one: row((blank, one), _all(sums, one), _all(before, one), used.of(key for key in sums if key[1] == one))
                for one in currencies
            },
            missing=tuple(self._missing(span)),
            missing_before=tuple(self._missing(span.previous())) if before else (),
            lost=used.lost,
            outside=self._outside(span),
        )

    def sums(self, span: DaySpan) -> Sums:
        """Return what was spent on these days, by the values of its columns and the currency."""
        asked = (*self.columns, *(column for column, _ in self.filters))
        needed = tuple(dict.fromkeys((*(one for column in asked for one in _needed(column)), Dimension.CHARGE)))
        found: dict[RowKey, list[SpendSum]] = {}
        for period in self.on_record(span):
            for spent in self.ledger.spend(period, needed, products=self.products, days=span.within(period)):
                if self.is_wanted(period, spent):
                    found.setdefault((self.values(period, spent), spent.currency), []).append(spent)
        return found

    def is_wanted(self, period: BillingPeriod, spent: SpendSum) -> bool:
        """Return whether all filters let it through."""
        return all(self._fits(_value(column, period, spent), column, pattern) for column, pattern in self.filters)

    def values(self, period: BillingPeriod, spent: SpendSum) -> tuple[str, ...]:
        """Return what stands in its columns."""
        return tuple(_value(column, period, spent) for column in self.columns)

    def on_record(self, span: DaySpan) -> list[BillingPeriod]:
        """Return the months of the span of which there are bills."""
        known = {period for periods in self.ledger.periods().values() for period in periods}
        return [period for period in span.months if period in known]

    def _fits(self, value: str, column: str, pattern: str) -> bool:
        name = self._name(column, value)
        return fnmatchcase(value, pattern) or (bool(name) and fnmatchcase(name, pattern))

    def _name(self, column: str, value: str) -> str:
        return self.policies.names.of(NAMED[column], value) if column in NAMED else ""

    def _missing(self, span: DaySpan) -> Iterator[MissingDays]:
        """Yield the days of which no bill of the series that counts tells, up to the newest bill of each account."""
        ledger = self.ledger
        until = {one: moment.astimezone(self.zone).date() for one, moment in ledger.data_until(self.products).items()}
        found: dict[tuple[AccountId, str], set[date]] = {}
        for period in span.months:
            counting = authorities(ledger.totals(period), self.products)
            begin = max(span.first, period.first_day)
            for account, newest in until.items():
                days = [
                    begin + timedelta(days=number)
                    for number in range((min(newest, span.end, period.after_last_day) - begin).days)
                ]
                series = counting.get((account, period))
                unknown = unknown_among(days, [series], ledger.telling_days([series])) if series else days
                found.setdefault((account, series.series if series else ""), set()).update(unknown)
        for (account, name), missing in sorted(found.items()):
            if missing:
                yield MissingDays(account, name, tuple(sorted(missing)))

    def _outside(self, span: DaySpan) -> tuple[Unwatched, ...]:
        if self.products is None:
            return ()
        totals = []
        for period in self.on_record(span):
            days = span.within(period)
            totals += [one for one in self.ledger.totals(period) if days is None or days[0] <= one.day < days[1]]
        return unwatched(totals, self.products)


def _by_values(row: ReportRow) -> tuple[object, ...]:
    return row.values, row.split.total.currency


def _by_spend(row: ReportRow) -> tuple[object, ...]:
    return -row.split.total.amount, row.values, row.split.total.currency


def _all(sums: Sums, currency: Currency) -> list[SpendSum]:
    return [one for (_, in_currency), mine in sums.items() if in_currency == currency for one in mine]


def _needed(column: str) -> tuple[Dimension, ...]:
    """Return the dimensions that this column needs."""
    if column in {CATEGORY, MONTH}:
        return (Dimension.COMMODITY, Dimension.ITEM) if column == CATEGORY else ()
    return (Dimension.TAGS if column.startswith(TAG) else Dimension(column),)


def _value(column: str, period: BillingPeriod, spent: SpendSum) -> str:
    if column == MONTH:
        return period.label
    if column == CATEGORY:
        return category_of(spent.values[Dimension.COMMODITY], spent.values[Dimension.ITEM]).value
    return value_of(column, spent.values)


def report_json(found: SpendReport) -> dict[str, object]:
    """Return it as JSON values."""
    month, before = found.span.month, found.before
    return {
        "month": json_value(month),
        "from": json_value(found.span.first),
        "to": json_value(found.span.last),
        "previous": {
            "from": json_value(before.first),
            "to": json_value(before.last),
            "missing": _missing_json(found.missing_before),
        }
        if before
        else None,
        "by": list(found.columns),
        "rows": [_plain_row(found.columns, row) for row in found.rows],
        "details": [_row_json(found.columns, row) for row in found.rows],
        "gone": [_row_json(found.columns, row) for row in found.gone],
        "totals": [_figures_json(row) for row in found.totals.values()],
        "missing": _missing_json(found.missing),
        "not_watched": outside_json(found.outside),
    }


def _missing_json(missing: Iterable[MissingDays]) -> list[dict[str, object]]:
    return [{"account": one.account, "series": one.series, "days": json_value(one.days)} for one in missing]


def _plain_row(columns: Sequence[str], row: ReportRow) -> dict[str, object]:
    """Return what programs compare rows by: nothing is added here, but to the details."""
    figures = {"currency": row.split.total.currency, "spend": plain(row.split.total.amount), "lines": row.lines}
    return {**dict(zip(columns, row.values, strict=True)), **figures}


def _row_json(columns: Sequence[str], row: ReportRow) -> dict[str, object]:
    return {**dict(_cells(columns, row)), **_figures_json(row)}


def _cells(columns: Sequence[str], row: ReportRow) -> Iterator[tuple[str, str]]:
    """Yield the values of a row by their columns, each with its name behind it, and the owner of a workspace."""
    for column, value, name in zip(columns, row.values, row.names, strict=True):
        yield column, value
        if column in NAMED:
            yield f"{column}_name", name
        if column == Dimension.WORKSPACE:
            yield "workspace_owner", row.owner


def _figures_json(row: ReportRow) -> dict[str, object]:
    units = None if row.usage is None else [{"unit": unit, "quantity": plain(many)} for unit, many in sorted(row.usage.items())]
    figures = {"lines": row.lines, "share": json_value(row.share), "previous": json_value(row.before), "usage": units}
    return {"currency": row.split.total.currency, **split_json(row.split), **figures}


def report_csv(found: SpendReport, guard: Callable[[str], str]) -> str:
    """Return the rows as CSV with a header line; `guard` makes a text safe for spreadsheets, and amounts stay numbers."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    nothing = ("",) * len(found.columns)
    blank = ReportRow(nothing, nothing, "", Split.of((), Currency("")), 0, None, None, None)
    writer.writerow([*dict(_cells(found.columns, blank)), *_figures_json(blank)])
    for row in (*found.rows, *found.gone):
        figures = {**_figures_json(row), "usage": guard(usage_text(row, {}))}
        writer.writerow([*(guard(cell) for _, cell in _cells(found.columns, row)), *figures.values()])
    return written.getvalue()


def outside_json(outside: Iterable[Unwatched]) -> list[dict[str, object]]:
    """Return what is charged for products that are not watched."""
    return [json_fields(one, "account", "product", "currency", spend="amount") for one in outside]


def usage_text(row: ReportRow, names: Mapping[str, str]) -> str:
    """Return what was used; `names`: what units are called."""
    return " + ".join(f"{plain(many)} {names.get(unit, unit)}".strip() for unit, many in sorted((row.usage or {}).items()))


@dataclass(frozen=True, slots=True)
class Told:
    """The total of one of several series of a month."""

    series: SeriesKey
    amount: Decimal
    """Of the products that are watched."""
    counts: bool
    uncounted: Discrepancy | None = None
    """What it says of days that the series that counts does not have."""


def told_by_several(ledger: Ledger, products: Sequence[str], months: Iterable[BillingPeriod]) -> Iterator[Told]:
    """Yield the totals of each series, for the months of an account that have several."""
    for month in months:
        totals = ledger.totals(month)
        counting = authorities(totals, products)
        lacking = {(one.account, one.series): one for one in uncounted(totals, products, counting)}
        by_account: dict[AccountId, dict[SeriesKey, list[DayTotal]]] = {}
        for total in totals:
            by_account.setdefault(total.series.account, {}).setdefault(total.series, []).append(total)
        for account, series in sorted(by_account.items()):
            for one, told in sorted(series.items()) if len(series) > 1 else ():
                amount = exact_sum(total.amount for total in told if total.product in products)
                yield Told(one, amount, counts=one == counting[account, month], uncounted=lacking.get((account, one.series)))
