"""`report`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

import click

from spendwatch.bills.cells import guarded
from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import json_option, month_option
from spendwatch.cli.screen import Rows, clean, console, fitting, print_json, print_whole, table
from spendwatch.cli.totals import outside_json, outside_of, outside_text
from spendwatch.domain.commodity import category_of
from spendwatch.domain.money import Currency, shown
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.scope import Dimension, parse_tags
from spendwatch.domain.standing import SpendSum, Split
from spendwatch.jobs.overview_json import split_json
from spendwatch.state import Store, opened_store, system_clock

_CATEGORY = "category"
"""Not on record: derived from commodity and item."""

_BY = (*(dimension.value for dimension in Dimension if dimension is not Dimension.TAGS), _CATEGORY)


@click.command()
@month_option
@click.option("--by", default="workspace", show_default=True, metavar="A,B,…", help=f"Any of {', '.join(_BY)}, tag:KEY.")
@click.option("--all-products", is_flag=True, help="Include products that are not watched.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header line.")
@click.pass_obj
def report(place: Place, month: BillingPeriod | None, by: str, *, all_products: bool, as_json: bool, as_csv: bool) -> int:
    """Break down the spend of one month. The rows add up to the month's total."""
    columns = tuple(part.strip() for part in by.split(",") if part.strip())
    unknown = [column for column in columns if column not in _BY and not column.startswith("tag:")]
    if unknown or not columns:
        msg = f"cannot break down by {', '.join(unknown) or 'nothing'}; use any of {', '.join(_BY)}, tag:KEY"
        raise click.BadParameter(msg, param_hint="--by")
    settings = place.settings()
    now: datetime = system_clock()
    period = month or BillingPeriod.containing(now, settings.zone)
    products = settings.policies.products
    with opened_store(settings, read_only=True) as store, store.ledger.snapshot():
        rows = _sums(store, period, columns, None if all_products else products)
        outside = () if all_products else outside_of(store.ledger, products, [period])
    if as_json:
        document = {
            "schema_version": 1,
            "month": period.label,
            "by": list(columns),
            "rows": [_json(columns, row) for row in rows],
            "totals": [{"currency": one, **split_json(split), "lines": n} for one, (split, n) in _totals(rows).items()],
            "not_watched": outside_json(outside),
        }
        print_json(document)
    elif as_csv:
        _write_csv(columns, rows)
    else:
        _print_report(period, columns, rows)
    if outside and not as_json:
        click.echo(outside_text(products, outside), err=as_csv)
    return Exit.DONE


_Row = tuple[tuple[str, ...], Currency, Split, int]


def _sums(store: Store, period: BillingPeriod, columns: Sequence[str], products: Sequence[str] | None) -> list[_Row]:
    needed = (dimension for column in columns for dimension in _needed(column))
    found: dict[tuple[tuple[str, ...], Currency], list[SpendSum]] = {}
    for spent in store.ledger.spend(period, tuple(dict.fromkeys((*needed, Dimension.CHARGE))), products=products):
        values = tuple(_value(column, spent.values) for column in columns)
        found.setdefault((values, spent.currency), []).append(spent)
    rows = [_row(values, currency, sums) for (values, currency), sums in found.items()]
    if columns[0] == "day":
        return sorted(rows, key=lambda row: (row[0], row[1]))
    return sorted(rows, key=lambda row: (-row[2].total.amount, row[0], row[1]))


def _row(values: tuple[str, ...], currency: Currency, sums: Sequence[SpendSum]) -> _Row:
    return values, currency, Split.of(sums, currency), sum(spent.lines for spent in sums)


def _needed(column: str) -> tuple[Dimension, ...]:
    """Return the dimensions that this column needs."""
    if column == _CATEGORY:
        return Dimension.COMMODITY, Dimension.ITEM
    return (Dimension.TAGS if column.startswith("tag:") else Dimension(column),)


def _value(column: str, values: Mapping[Dimension, str]) -> str:
    if column == _CATEGORY:
        return category_of(values[Dimension.COMMODITY], values[Dimension.ITEM]).value
    if column.startswith("tag:"):
        return parse_tags(values[Dimension.TAGS]).get(column.removeprefix("tag:"), "")
    return values[Dimension(column)]


def _json(columns: Sequence[str], row: _Row) -> dict[str, object]:
    values, currency, split, lines = row
    spend = split_json(split)["spend"]
    return {**dict(zip(columns, values, strict=True)), "currency": currency, "spend": spend, "lines": lines}


def _totals(rows: Sequence[_Row]) -> dict[Currency, tuple[Split, int]]:
    found: dict[Currency, tuple[Split, int]] = {}
    for _, currency, split, lines in rows:
        before, count = found.get(currency, (Split.nothing(currency), 0))
        found[currency] = before + split, count + lines
    return found


def _write_csv(columns: Sequence[str], rows: Sequence[_Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*columns, "currency", "spend", "pay_as_you_go", "subscription", "lines"])
    for values, currency, split, lines in rows:
        # Amounts stay numbers.
        writer.writerow([*map(guarded, values), currency, *split_json(split).values(), lines])


def _print_report(period: BillingPeriod, columns: Sequence[str], rows: Sequence[_Row]) -> None:
    screen = console()
    screen.print(f"Spend in {period.label}" if rows else f"No spend on record in {period.label}.")
    blanks = ("",) * (len(columns) - 1)
    body = [(tuple(clean(value or "-") for value in row[0]), *row[1:]) for row in rows]
    body += [(("TOTAL", *blanks), currency, split, lines) for currency, (split, lines) in _totals(rows).items()]
    # Both sides are shown where there are both and the columns do not say it already; one of them if the screen is narrow.
    is_mixed = "charge" not in columns and any(split.subscription.amount for _, _, split, _ in rows)
    if rows:
        sides = _SIDES if is_mixed else _SIDES[-1:]
        print_whole(screen, fitting(screen, (_table(columns, body, one) for one in sides)))


_SIDES = (("pay_as_you_go", "subscription"), ("subscription",), ())


def _table(columns: Sequence[str], rows: Sequence[_Row], sides: Sequence[str]) -> Rows:
    numbers = ("SPEND", *(side.upper().replace("_", "-") for side in sides), "LINES")
    return table(
        [*map(str.upper, columns), "", *numbers],
        [
            (*values, currency, *(shown(getattr(split, side).amount) for side in ("total", *sides)), str(lines))
            for values, currency, split, lines in rows
        ],
        right=numbers,
    )
