"""`report`."""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import ROUND_DOWN, Decimal
from fnmatch import fnmatchcase
from pathlib import Path

import click

from spendwatch.bills.cells import guarded
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.exporting import counted_days
from spendwatch.cli.options import first_option, json_option, last_option, month_option, span_of
from spendwatch.cli.screen import Rows, clean, console, fitting, print_json, print_whole, table
from spendwatch.cli.totals import outside_json, outside_text
from spendwatch.domain.commodity import category_of
from spendwatch.domain.errors import printable
from spendwatch.domain.merging import Plan
from spendwatch.domain.money import EXACT, Currency, Money, plain, share_of, shown
from spendwatch.domain.period import BillingPeriod, DaySpan, days_text
from spendwatch.domain.policy import Policies, with_name
from spendwatch.domain.scope import TAG, Dimension, can_fit, value_of
from spendwatch.domain.series_selection import Unwatched, authorities, unwatched
from spendwatch.domain.standing import SpendSum, Split
from spendwatch.domain.statement import AccountId, DayKey, WorkspaceId
from spendwatch.domain.usage import unknown_among
from spendwatch.exact_json import json_value
from spendwatch.jobs.overview_json import split_json
from spendwatch.settings.suggestions import did_you_mean
from spendwatch.state import Store, opened_store, system_clock

_MONTH, _CATEGORY = "month", "category"
"""No dimensions of the ledger: the billing month, and what is derived from commodity and item."""

_BY = (*(dimension.value for dimension in Dimension if dimension is not Dimension.TAGS), _MONTH, _CATEGORY)
_TIMES = frozenset({Dimension.DAY.value, _MONTH})
"""Rows of these have no counterpart in the period before."""

_NAMED = {one.value: one for one in (Dimension.WORKSPACE, Dimension.API_KEY, Dimension.ACCOUNT)}
"""What people give names."""

_MONTHS = 12
"""So many months are shown by month where no range is given."""


@click.command()
@month_option
@first_option
@last_option
@click.option("--by", default="workspace", show_default=True, metavar="A,B,…", help=f"Any of {', '.join(_BY)}, tag:KEY.")
@click.option(
    "--where", multiple=True, metavar="KEY=PATTERN", help="Only spend that matches, as in `match`, by id or name; repeatable."
)
@click.option("--usage", is_flag=True, help="Show tokens, images, seconds, too; reads the lines on record, so it takes longer.")
@click.option("--all-products", is_flag=True, help="Include products that are not watched.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header line.")
@click.pass_obj
def report(
    place: Place,
    *,
    month: BillingPeriod | None,
    first: date | None,
    last: date | None,
    by: str,
    where: Sequence[str],
    usage: bool,
    all_products: bool,
    as_json: bool,
    as_csv: bool,
) -> int:
    """Break down the spend of a month, or of some days. The rows add up to the total.

    The spend of the month before, or of as many days before, stands beside it. By month and without a range, the last twelve
    months are shown. A charge that is dated outside its billing month counts on that month's first or last day.
    """
    if as_json and as_csv:
        msg = "give either --json or --csv"
        raise click.UsageError(msg)
    columns = tuple(dict.fromkeys(_known(part.strip(), "--by") for part in by.split(",") if part.strip()))
    if not columns:
        msg = f"names nothing; use any of {', '.join(_BY)}, tag:KEY"
        raise click.BadParameter(msg, param_hint="--by")
    filters = tuple(map(_filter, where))
    settings = place.settings()
    now: datetime = system_clock()
    today = now.astimezone(settings.zone).date()
    span = span_of(month, first, last, today, months=_MONTHS if _MONTH in columns else 1)
    products = None if all_products else settings.policies.products
    with opened_store(settings, read_only=True) as store, store.ledger.snapshot():
        seen = _Ledger(store, settings.policies, settings.zone, products, columns, filters)
        found = seen.report(span, seen.used(span) if usage else _Used())
    if as_json:
        print_json({"schema_version": 1, "as_of": json_value(now, settings.zone), **_json(found)})
    elif as_csv:
        _write_csv(found)
    else:
        _print_report(found, is_filtered=bool(filters))
    for line in () if as_json else _remarks(found, settings.policies):
        click.echo(line, err=as_csv)
    return Exit.DONE


def _known(column: str, hint: str) -> str:
    if column not in _BY and not (column.startswith(TAG) and column != TAG):
        msg = f"cannot use {printable(column)}; use any of {', '.join(_BY)}, tag:KEY; {did_you_mean(column, _BY)}".rstrip("; ")
        raise click.BadParameter(msg, param_hint=hint)
    return column


def _filter(text: str) -> tuple[str, str]:
    key, equals, pattern = text.partition("=")
    if not equals or not can_fit(pattern):
        msg = f"{printable(text)} can never match" if equals else f"{printable(text)}: write KEY=PATTERN, like model=qwen*"
        raise click.BadParameter(msg, param_hint="--where")
    return _known(key.strip(), "--where"), pattern


@dataclass(frozen=True, slots=True)
class _Row:
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
class _Missing:
    """Days of an account of which no bill tells."""

    account: AccountId
    series: str
    """Empty where no bill of the month is on record."""
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class _Report:
    """Everything that is shown."""

    span: DaySpan
    before: DaySpan | None
    """None where nothing is on record then, or rows have no counterpart there."""
    columns: tuple[str, ...]
    rows: tuple[_Row, ...]
    gone: tuple[_Row, ...]
    """What was spent in the period before only."""
    totals: Mapping[Currency, _Row]
    missing: tuple[_Missing, ...]
    missing_before: tuple[_Missing, ...]
    lost: tuple[date, ...]
    """Days whose lines are removed, so that usage is not known."""
    outside: tuple[Unwatched, ...]
    """What is charged for products that are not watched."""


_Key = tuple[tuple[str, ...], Currency]
_Sums = dict[_Key, list[SpendSum]]


@dataclass(frozen=True, slots=True)
class _Used:
    """Quantities by row and unit."""

    quantities: Mapping[_Key, Mapping[str, Decimal]] | None = None
    lost: tuple[date, ...] = ()

    def of(self, keys: Iterable[_Key]) -> Mapping[str, Decimal] | None:
        """Return those of some rows together."""
        if self.quantities is None or self.lost:
            return None
        found: dict[str, Decimal] = {}
        for key in keys:
            for unit, quantity in self.quantities.get(key, {}).items():
                found[unit] = EXACT.add(found.get(unit, Decimal(0)), quantity)
        return found


@dataclass(frozen=True, slots=True)
class _Ledger:
    """One state of the ledger, and what is asked of it."""

    store: Store
    policies: Policies
    zone: tzinfo
    products: Sequence[str] | None
    columns: tuple[str, ...]
    filters: tuple[tuple[str, str], ...]

    def report(self, span: DaySpan, used: _Used) -> _Report:
        """Return the spend of these days beside that of as many before."""
        sums, before = self._sums(span), {} if _TIMES & {*self.columns} else self._sums(span.previous())
        owners = {one.workspace: one.owner for one in reversed(self.policies.workspaces)}
        place = self.columns.index(Dimension.WORKSPACE) if Dimension.WORKSPACE in self.columns else None
        currencies = sorted({currency for _, currency in (*sums, *before)})
        wholes = {one: Split.of(_all(sums, one), one).total for one in currencies}

        def row(
            key: _Key, mine: Sequence[SpendSum], was: Iterable[SpendSum], usage: Mapping[str, Decimal] | None = None
        ) -> _Row:
            values, currency = key
            split = Split.of(mine, currency)
            share = share_of(split.total.amount, wholes[currency].amount)
            then = Split.of(was, currency).total if before else None
            named = tuple(map(self._name, self.columns, values))
            owner = "" if place is None else owners.get(WorkspaceId(values[place]), "")
            return _Row(values, named, owner, split, sum(one.lines for one in mine), share, then, usage)

        rows = [row(key, mine, before.get(key, ()), used.of([key])) for key, mine in sums.items()]
        past = (row(key, (), was) for key, was in before.items() if key not in sums)
        gone = [one for one in past if one.before and one.before.amount]
        order = _by_values if self.columns[0] in _TIMES else _by_spend
        blank = ("",) * len(self.columns)
        return _Report(
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

    def _sums(self, span: DaySpan) -> _Sums:
        asked = (*self.columns, *(column for column, _ in self.filters))
        needed = tuple(dict.fromkeys((*(one for column in asked for one in _needed(column)), Dimension.CHARGE)))
        found: _Sums = {}
        for period in self._on_record(span):
            for spent in self.store.ledger.spend(period, needed, products=self.products, days=span.within(period)):
                if self._is_wanted(period, spent):
                    found.setdefault((self._values(period, spent), spent.currency), []).append(spent)
        return found

    def used(self, span: DaySpan) -> _Used:
        """Return how much was used, from the lines that count."""
        ledger, found, lost = self.store.ledger, dict[_Key, dict[str, Decimal]](), list[date]()
        with tempfile.TemporaryDirectory(prefix="spendwatch-") as folder, ReadingProcess(Path(folder)) as reader:
            for period, day, plan in self._days(span):
                if ledger.given_up(plan.contents):
                    lost.append(day.day)
                    continue
                for used in reader.usage(day, plan, lambda digest: ledger.content(digest) or b"", self.products):
                    values = {Dimension(name): value for name, value in used.values.items() if name != "currency"}
                    values |= {Dimension.ACCOUNT: day.account, Dimension.DAY: day.day.isoformat()}
                    spent = SpendSum(values, Currency(used.values["currency"]), used.quantity, 0)
                    if self._is_wanted(period, spent):
                        units = found.setdefault((self._values(period, spent), spent.currency), {})
                        units[used.unit] = EXACT.add(units.get(used.unit, Decimal(0)), used.quantity)
        return _Used(found, tuple(lost))

    def _days(self, span: DaySpan) -> Iterator[tuple[BillingPeriod, DayKey, Plan]]:
        for period in self._on_record(span):
            days = span.within(period)
            for day, plan in counted_days(self.store, period, self.products):
                if days is None or days[0] <= day.day < days[1]:
                    yield period, day, plan

    def _is_wanted(self, period: BillingPeriod, spent: SpendSum) -> bool:
        return all(self._fits(_value(column, period, spent), column, pattern) for column, pattern in self.filters)

    def _values(self, period: BillingPeriod, spent: SpendSum) -> tuple[str, ...]:
        return tuple(_value(column, period, spent) for column in self.columns)

    def _on_record(self, span: DaySpan) -> list[BillingPeriod]:
        known = {period for periods in self.store.ledger.periods().values() for period in periods}
        return [period for period in span.months if period in known]

    def _fits(self, value: str, column: str, pattern: str) -> bool:
        name = self._name(column, value)
        return fnmatchcase(value, pattern) or (bool(name) and fnmatchcase(name, pattern))

    def _name(self, column: str, value: str) -> str:
        return self.policies.names.of(_NAMED[column], value) if column in _NAMED else ""

    def _missing(self, span: DaySpan) -> Iterator[_Missing]:
        """Yield the days of which no bill of the series that counts tells, up to the newest bill of each account."""
        ledger = self.store.ledger
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
                yield _Missing(account, name, tuple(sorted(missing)))

    def _outside(self, span: DaySpan) -> tuple[Unwatched, ...]:
        if self.products is None:
            return ()
        totals = []
        for period in self._on_record(span):
            days = span.within(period)
            totals += [one for one in self.store.ledger.totals(period) if days is None or days[0] <= one.day < days[1]]
        return unwatched(totals, self.products)


def _by_values(row: _Row) -> tuple[object, ...]:
    return row.values, row.split.total.currency


def _by_spend(row: _Row) -> tuple[object, ...]:
    return -row.split.total.amount, row.values, row.split.total.currency


def _all(sums: _Sums, currency: Currency) -> list[SpendSum]:
    return [one for (_, in_currency), mine in sums.items() if in_currency == currency for one in mine]


def _needed(column: str) -> tuple[Dimension, ...]:
    """Return the dimensions that this column needs."""
    if column in {_CATEGORY, _MONTH}:
        return (Dimension.COMMODITY, Dimension.ITEM) if column == _CATEGORY else ()
    return (Dimension.TAGS if column.startswith(TAG) else Dimension(column),)


def _value(column: str, period: BillingPeriod, spent: SpendSum) -> str:
    if column == _MONTH:
        return period.label
    if column == _CATEGORY:
        return category_of(spent.values[Dimension.COMMODITY], spent.values[Dimension.ITEM]).value
    return value_of(column, spent.values)


def _json(found: _Report) -> dict[str, object]:
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


def _missing_json(missing: Iterable[_Missing]) -> list[dict[str, object]]:
    return [{"account": one.account, "series": one.series, "days": json_value(one.days)} for one in missing]


def _plain_row(columns: Sequence[str], row: _Row) -> dict[str, object]:
    """Return what programs compare rows by: nothing is added here, but to the details."""
    figures = {"currency": row.split.total.currency, "spend": plain(row.split.total.amount), "lines": row.lines}
    return {**dict(zip(columns, row.values, strict=True)), **figures}


def _row_json(columns: Sequence[str], row: _Row) -> dict[str, object]:
    return {**dict(_cells(columns, row)), **_figures_json(row)}


def _cells(columns: Sequence[str], row: _Row) -> Iterator[tuple[str, str]]:
    """Yield the values of a row by their columns, each with its name behind it, and the owner of a workspace."""
    for column, value, name in zip(columns, row.values, row.names, strict=True):
        yield column, value
        if column in _NAMED:
            yield f"{column}_name", name
        if column == Dimension.WORKSPACE:
            yield "workspace_owner", row.owner


def _figures_json(row: _Row) -> dict[str, object]:
    units = None if row.usage is None else [{"unit": unit, "quantity": plain(many)} for unit, many in sorted(row.usage.items())]
    figures = {"lines": row.lines, "share": json_value(row.share), "previous": json_value(row.before), "usage": units}
    return {"currency": row.split.total.currency, **split_json(row.split), **figures}


def _write_csv(found: _Report) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    blank = _Row(("",) * len(found.columns), ("",) * len(found.columns), "", Split.nothing(Currency("")), 0, None, None, None)
    writer.writerow([*dict(_cells(found.columns, blank)), *_figures_json(blank)])
    for row in (*found.rows, *found.gone):
        # Amounts stay numbers.
        figures = {**_figures_json(row), "usage": guarded(_usage(row, {}))}
        writer.writerow([*(guarded(cell) for _, cell in _cells(found.columns, row)), *figures.values()])


_LESS = ("owner", "pay_as_you_go", "lines", "subscription", "share", "before")
"""What is left out one after the other on ever narrower screens."""
_WRAPS = (40, 26)
"""Where the one column that may wrap does so, and where if the screen is narrow."""


def _print_report(found: _Report, *, is_filtered: bool) -> None:
    screen = console()
    word = "in" if found.span.month else "from"
    none = f"No spend on record {word} {found.span.label}{' matches --where' if is_filtered else ''}."
    screen.print(f"Spend {word} {found.span.label}" if found.rows else none)
    if found.rows or found.gone:
        tables = (_table(found, set(_LESS[:number])) for number in range(len(_LESS) + 1))
        print_whole(screen, fitting(screen, tables))


def _table(found: _Report, left_out: set[str]) -> Rows:
    rows = (*found.rows, *found.gone)
    # Both sides are shown where there are both and the columns do not say it already.
    if "charge" in found.columns or not any(row.split.subscription.amount for row in rows):
        left_out = left_out | {"pay_as_you_go", "subscription"}
    if not any(row.owner for row in rows):
        left_out = left_out | {"owner"}
    if not found.before:
        left_out = left_out | {"before"}
    if not any(row.usage for row in rows):
        left_out = left_out | {"usage"}
    before = found.before.month if found.before else None
    headings = {
        "spend": "SPEND",
        "share": "SHARE",
        "before": before.label if before else "BEFORE",
        "pay_as_you_go": "PAY-AS-YOU-GO",
        "subscription": "SUBSCRIPTION",
        "lines": "LINES",
        "usage": "USAGE",
    }
    figures = [key for key in headings if key not in left_out]
    owner = ["OWNER"] if "owner" not in left_out else []

    def cells(label: Sequence[str], row: _Row) -> tuple[str, ...]:
        split = row.split
        shown_figures = {
            "spend": shown(split.total.amount),
            "share": _percent(row),
            "before": shown(row.before.amount) if row.before else "",
            "pay_as_you_go": shown(split.pay_as_you_go.amount),
            "subscription": shown(split.subscription.amount),
            "lines": str(row.lines),
            "usage": clean(_usage(row, _UNITS)),
        }
        return (*label, *([clean(row.owner)] if owner else []), split.total.currency, *(shown_figures[key] for key in figures))

    body = [cells([_label(*pair) for pair in zip(row.values, row.names, strict=True)], row) for row in rows]
    body += [cells(("TOTAL", *("",) * (len(found.columns) - 1)), row) for row in found.totals.values()]
    heads = [*map(str.upper, found.columns), *owner, "", *(headings[key] for key in figures)]
    # A row may have several units; the first column wraps only where nothing else can be left out.
    is_narrow = left_out >= set(_LESS)
    wraps = "USAGE" if "usage" in figures else heads[0] if is_narrow else ""
    return table(heads, body, right=tuple(headings.values()), wraps=wraps, wraps_at=_WRAPS[is_narrow])


_UNITS = {
    "千tokens": "k tokens",
    "张": "images",
    "秒": "s",
    "次": "calls",
    "个": "pieces",
    "字符": "characters",
    "万字": "10k characters",
}
"""The provider's units in English."""


def _usage(row: _Row, names: Mapping[str, str]) -> str:
    return " + ".join(f"{plain(many)} {names.get(unit, unit)}".strip() for unit, many in sorted((row.usage or {}).items()))


def _label(value: str, name: str) -> str:
    return clean(with_name(value, name) or "-")


def _percent(row: _Row) -> str:
    if row.share is None:
        return ""
    tenths = EXACT.multiply(row.share, Decimal(100)).quantize(Decimal("0.1"), rounding=ROUND_DOWN)
    return f"{tenths or '0.0'}%" if tenths or row.split.total.amount <= 0 else "<0.1%"


def _remarks(found: _Report, policies: Policies) -> Iterator[str]:
    """Yield what the figures do not say."""
    if found.before and not found.before.month:
        yield f"Before: from {found.before.label}."
    if found.lost:
        yield f"Usage is not shown: the lines of {days_text(found.lost)} were removed by `retention`."
    for one in (*found.missing, *found.missing_before) if found.rows else ():
        name, by = policies.names.of(Dimension.ACCOUNT, one.account) or one.account, f" ({one.series})" if one.series else ""
        yield f"Account {name}: no bill{by} covers {days_text(one.days)}; spend of these days may be missing."
    if found.outside:
        yield outside_text(policies.products, found.outside)
