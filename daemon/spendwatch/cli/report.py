"""`report`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import click

from spendwatch.bills.cells import guarded
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.exporting import counted_days
from spendwatch.cli.options import Parsed, first_option, json_option, last_option, month_option, refuse, span_of
from spendwatch.cli.screen import Rows, clean, console, fitting, print_json, print_whole, table
from spendwatch.cli.totals import outside_text
from spendwatch.domain.merging import Plan
from spendwatch.domain.money import EXACT, Currency, shown
from spendwatch.domain.period import BillingPeriod, DaySpan, days_text
from spendwatch.domain.policy import Policies, with_name
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import DayKey
from spendwatch.exact_json import json_value
from spendwatch.jobs.spend_report import (
    COLUMNS,
    MONTH,
    MONTHS,
    ReportRow,
    RowKey,
    SpendQuery,
    SpendReport,
    UsedQuantities,
    columns_of,
    filter_of,
    report_csv,
    report_json,
    usage_text,
)
from spendwatch.settings import Settings
from spendwatch.state import Store, opened_store, system_clock


@click.command()
@month_option
@first_option
@last_option
@click.option(
    "--by",
    "columns",
    type=Parsed("A,B,…", tuple, columns_of),
    default="workspace",
    show_default=True,
    help=f"Any of {', '.join(COLUMNS)}, tag:KEY.",
)
@click.option(
    "--where",
    "filters",
    type=Parsed("KEY=PATTERN", tuple, filter_of),
    multiple=True,
    help="Only spend that matches, as in `match`, by id or name; repeatable.",
)
@click.option("--usage", is_flag=True, help="Show tokens, images, seconds, too; reads the lines on record, so it takes longer.")
@click.option("--all-products", is_flag=True, help="Include products that are not watched.")
@json_option
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write the month with its charts to a page that shows on its own; - for standard output.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header line.")
@click.pass_obj
def report(
    place: Place,
    *,
    month: BillingPeriod | None,
    first: date | None,
    last: date | None,
    columns: tuple[str, ...],
    filters: tuple[tuple[str, str], ...],
    usage: bool,
    all_products: bool,
    as_json: bool,
    as_csv: bool,
    html: Path | None,
) -> int:
    """Break down the spend of a month, or of some days. The rows add up to the total.

    The spend of the month before, or of as many days before, stands beside it. By month and without a range, the last twelve
    months are shown. A charge that is dated outside its billing month counts on that month's first or last day.
    """
    if as_json and as_csv:
        refuse("give either --json or --csv")
    if html:
        if first or last or filters or usage or all_products or as_json or as_csv:
            refuse("--html goes with --month alone")
        return _write_page(place.settings(), html, month)
    settings = place.settings()
    now: datetime = system_clock()
    today = now.astimezone(settings.zone).date()
    span = span_of(month, first, last, today, months=MONTHS if MONTH in columns else 1)
    products = None if all_products else settings.policies.products
    with opened_store(settings, read_only=True) as store, store.ledger.snapshot():
        seen = SpendQuery(store.ledger, settings.policies, settings.zone, products, columns, filters)
        found = seen.report(span, _used(store, seen, span) if usage else None)
    if as_json:
        print_json({"schema_version": 1, "as_of": json_value(now, settings.zone), **report_json(found)})
    elif as_csv:
        click.echo(report_csv(found, guarded), nl=False)
    else:
        _print_report(found, is_filtered=bool(filters))
    for line in () if as_json else _remarks(found, settings.policies):
        click.echo(line, err=as_csv)
    return Exit.DONE


def _write_page(settings: Settings, file: Path, month: BillingPeriod | None) -> Exit:
    from spendwatch.letters.language import Language  # noqa: PLC0415 -- the other forms need no page
    from spendwatch.web.standalone import month_page  # noqa: PLC0415 -- as above

    is_chinese = os.environ.get("LC_ALL", os.environ.get("LANG", "")).startswith("zh")
    with opened_store(settings, read_only=True) as store:
        page = month_page(settings, store, system_clock(), month, Language.ZH if is_chinese else Language.EN)
    if str(file) == "-":
        click.echo(page, nl=False)
        return Exit.DONE
    file.write_text(page, encoding="utf-8")
    click.echo(f"{file}: {len(page.encode()) / 1000:,.0f} kB")
    return Exit.DONE


def _used(store: Store, seen: SpendQuery, span: DaySpan) -> UsedQuantities:
    """Return how much was used, from the lines that count."""
    ledger, found, lost = store.ledger, dict[RowKey, dict[str, Decimal]](), list[date]()
    with ReadingProcess.apart() as reader:
        for period, day, plan in _days(store, seen, span):
            if ledger.given_up(plan.contents):
                lost.append(day.day)
                continue
            for used in reader.usage(day, plan, lambda digest: ledger.content(digest) or b"", seen.products):
                values = {Dimension(name): value for name, value in used.values.items() if name != "currency"}
                values |= {Dimension.ACCOUNT: day.account, Dimension.DAY: day.day.isoformat()}
                spent = SpendSum(values, Currency(used.values["currency"]), used.quantity, 0)
                if seen.is_wanted(period, spent):
                    units = found.setdefault((seen.values(period, spent), spent.currency), {})
                    units[used.unit] = EXACT.add(units.get(used.unit, Decimal(0)), used.quantity)
    return UsedQuantities(found, tuple(lost))


def _days(store: Store, seen: SpendQuery, span: DaySpan) -> Iterator[tuple[BillingPeriod, DayKey, Plan]]:
    for period in seen.on_record(span):
        days = span.within(period)
        for day, plan in counted_days(store, period, seen.products):
            if days is None or days[0] <= day.day < days[1]:
                yield period, day, plan


_LESS = ("OWNER", "PAY-AS-YOU-GO", "LINES", "SUBSCRIPTION", "SHARE", "BEFORE")
"""What is left out one after the other on ever narrower screens."""
_WRAPS = (40, 26)
"""Where the one column that may wrap does so, and where if the screen is narrow."""


def _print_report(found: SpendReport, *, is_filtered: bool) -> None:
    screen = console()
    word = "in" if found.span.month else "from"
    none = f"No spend on record {word} {found.span.label}{' matches --where' if is_filtered else ''}."
    screen.print(f"Spend {word} {found.span.label}" if found.rows else none)
    if found.rows or found.gone:
        tables = (_table(found, set(_LESS[:number])) for number in range(len(_LESS) + 1))
        print_whole(screen, fitting(screen, tables))


def _table(found: SpendReport, left_out: set[str]) -> Rows:
    rows, before = (*found.rows, *found.gone), found.before
    # Both sides are shown where there are both and the columns do not say it already.
    is_mixed = "charge" not in found.columns and any(row.split.subscription.amount for row in rows)
    is_there = {"OWNER": any(row.owner for row in rows), "PAY-AS-YOU-GO": is_mixed, "SUBSCRIPTION": is_mixed}
    is_there |= {"BEFORE": before is not None, "USAGE": any(row.usage for row in rows)}
    left_out = left_out | {heading for heading, has_some in is_there.items() if not has_some}
    figures = [heading for heading in _FIGURES if heading not in left_out]

    def cells(label: Sequence[str], row: ReportRow) -> tuple[str, ...]:
        return (*label, *(_FIGURES[heading](row) for heading in figures))

    body = [cells([clean(with_name(*pair) or "-") for pair in zip(row.values, row.names, strict=True)], row) for row in rows]
    body += [cells(("TOTAL", *("",) * (len(found.columns) - 1)), row) for row in found.totals.values()]
    names = {"BEFORE": before.month.label} if before and before.month else {}
    heads = [*map(str.upper, found.columns), *(names.get(heading, heading) for heading in figures)]
    # A row may have several units; the first column wraps only where nothing else can be left out.
    is_narrow = left_out >= set(_LESS)
    wraps = "USAGE" if "USAGE" in figures else heads[0] if is_narrow else ""
    right = {*_FIGURES, *names.values()} - {"OWNER", ""}
    return table(heads, body, right=right, wraps=wraps, wraps_at=_WRAPS[is_narrow])


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


def _percent(row: ReportRow) -> str:
    if row.share is None:
        return ""
    tenths = EXACT.multiply(row.share, Decimal(100)).quantize(Decimal("0.1"), rounding=ROUND_DOWN)
    return f"{tenths or '0.0'}%" if tenths or row.split.total.amount <= 0 else "<0.1%"


_FIGURES: Mapping[str, Callable[[ReportRow], str]] = {
    "OWNER": lambda row: clean(row.owner),
    "": lambda row: row.split.total.currency,
    "SPEND": lambda row: shown(row.split.total.amount),
    "SHARE": _percent,
    "BEFORE": lambda row: shown(row.before.amount) if row.before else "",
    "PAY-AS-YOU-GO": lambda row: shown(row.split.pay_as_you_go.amount),
    "SUBSCRIPTION": lambda row: shown(row.split.subscription.amount),
    "LINES": lambda row: str(row.lines),
    "USAGE": lambda row: clean(usage_text(row, _UNITS)),
}
"""What stands behind the names of a row, by heading."""


def _remarks(found: SpendReport, policies: Policies) -> Iterator[str]:
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
