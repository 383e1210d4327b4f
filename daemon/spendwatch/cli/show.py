"""`status` and `report`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.outlook import balance_lines, forecast_cell
from spendwatch.cli.screen import bar, clean, console, print_json, table, when
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import EXACT, Money, plain, shown
from spendwatch.domain.period import BillingPeriod, duration_text
from spendwatch.domain.scope import Dimension, parse_tags
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.overview import AccountOverview, Mark, Overview, WorkspaceLine, look, overview_json
from spendwatch.settings import Settings, load
from spendwatch.state import Store, opened_store, system_clock

_STYLES = {Mark.OK: "", Mark.WARNING: "yellow", Mark.CRITICAL: "bold red"}
_WATCH_EVERY = 2.0


class _Month(click.ParamType[BillingPeriod]):
    name = "YYYY-MM"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> BillingPeriod:
        if isinstance(value, BillingPeriod):
            return value
        try:
            return BillingPeriod.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


month_option = click.option("--month", type=_Month(), help="Another month than the current one.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document; amounts are strings.")


@click.command()
@month_option
@json_option
@click.option("--watch", is_flag=True, help="Show it again every two seconds until Ctrl-C.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 when an alert fires, with 4 when the figures are stale.")
@click.pass_obj
def status(place: Place, month: BillingPeriod | None, *, as_json: bool, watch: bool, exit_code: bool) -> int:
    """Show spend against budget per workspace, the balance, alerts, sources, and how old the figures are."""
    settings = load(place.path(), with_secrets=False)
    with opened_store(settings, read_only=True) as store:
        overview = _look(settings, store, month)
        if as_json:
            print_json(overview_json(overview, settings.zone))
        elif watch:
            _watch(settings, store, month)
        else:
            console().print(_page(overview, settings))
    if not exit_code:
        return Exit.DONE
    return Exit.STALE if overview.is_stale else Exit.FIRING if overview.is_firing else Exit.DONE


def _look(settings: Settings, store: Store, month: BillingPeriod | None, insight: Insight | None = None) -> Overview:
    return look(
        store.ledger,
        store.book,
        store.health,
        settings.policies,
        settings.stale_after,
        zone=settings.zone,
        now=system_clock(),
        period=month,
        balances=store.balances,
        insight=insight,
    )


def _watch(settings: Settings, store: Store, month: BillingPeriod | None) -> None:
    import threading  # noqa: PLC0415 -- for its wait, which a signal ends at once

    wait, insight = threading.Event(), Insight()
    with Live(console=console(), auto_refresh=False, screen=sys.stdout.isatty()) as live:
        while True:
            live.update(_page(_look(settings, store, month, insight), settings), refresh=True)
            wait.wait(_WATCH_EVERY)


def _page(overview: Overview, settings: Settings) -> RenderableType:
    parts: list[RenderableType] = []
    for account in overview.accounts:
        parts += [_head(account, overview, settings), Text(), _workspaces(account)]
        parts += [*balance_lines(account, overview.as_of, settings.zone), Text()]
    parts += _alerts(overview, settings)
    return Group(*parts)


def _head(account: AccountOverview, overview: Overview, settings: Settings) -> Text:
    now = overview.as_of.astimezone(settings.zone)
    day = f" (day {now.day} of {overview.period.days})" if now.date() in overview.period else ""
    text = Text(f"Account {account.name or account.account}   {account.currency}   {overview.period.label}{day}", style="bold")
    age = f"{duration_text(overview.as_of - account.data_until)} old" if account.data_until else "no bills yet"
    until = when(account.data_until, settings.zone)
    sources = ", ".join(f"{source.name} {source.state}" for source in overview.sources)
    line = Text(f"\nData until {until} ({age}, {settings.zone})   sources: {sources or 'none'}", style="not bold")
    return text + line


def _workspaces(account: AccountOverview) -> RenderableType:
    headings = (
        ("WORKSPACE", "left"),
        ("NAME", "left"),
        ("SPENT", "right"),
        ("BUDGET", "right"),
        ("USED", "right"),
        ("", "left"),
        ("FORECAST", "right"),
        ("STATE", "left"),
    )
    rows = [_line(line) for line in account.workspaces]
    total = _row("TOTAL", "", account.spend.amount, account.budget, used=account.used, mark=account.mark)
    rows.append(_with_forecast(total, account.forecast))
    rows += [
        _with_forecast(_row(f"also in {money.currency}", "", money.amount, used=None, mark=Mark.OK), None)
        for money in account.foreign
    ]
    is_early = account.forecast is None and not any(line.forecast for line in account.workspaces)
    return table(_without(headings, is_early), [_without(row, is_early) for row in rows])


_T = TypeVar("_T")


def _without(row: tuple[_T, ...], is_early: bool) -> tuple[_T, ...]:  # noqa: FBT001 -- read at its two calls above
    """Leave the forecasts out where there are none."""
    return (*row[:-2], row[-1]) if is_early else row


def _line(line: WorkspaceLine) -> tuple[str, ...]:
    row = _row(line.workspace or "(no workspace)", line.name, line.spend.amount, line.budget, used=line.used, mark=line.mark)
    return _with_forecast(row, line.forecast)


def _with_forecast(row: tuple[str, ...], forecast: Forecast | None) -> tuple[str, ...]:
    return (*row[:-1], forecast_cell(forecast), row[-1])


def _row(
    place: str, name: str, spent: Decimal, budget: Money | None = None, *, used: Decimal | None, mark: Mark
) -> tuple[str, ...]:
    amount = shown(budget.amount) if budget else "none"
    share = f"{int(used * 100)}%" if used is not None else ""
    style = _STYLES[mark]
    state = f"[{style}]{mark.value}[/]" if style else mark.value
    return clean(place), clean(name), shown(spent), amount, share, bar(used), state


def _alerts(overview: Overview, settings: Settings) -> list[RenderableType]:
    troubles = [f"{source.name} is {source.state}: {source.trouble}" for source in overview.sources if source.state != "ok"]
    found: list[RenderableType] = [Text(f"STALE  {trouble}", style="yellow") for trouble in troubles]
    if not overview.alerts:
        return [*found, Text("No alert fires.")]
    rows = [
        (alert.id[:8], alert.severity.value, when(alert.since, settings.zone), clean(alert.summary))
        for alert in overview.alerts
    ]
    count = len(rows)
    found.append(Text(f"{count} alert{'s' if count != 1 else ''} firing", style="bold"))
    found.append(table([(heading, "left") for heading in ("ID", "SEVERITY", "SINCE", "WHAT")], rows, wraps="WHAT"))
    found.append(Text(f"Try: spendwatch explain {rows[0][0]}"))
    return found


_BY = ("account", "day", "workspace", "api_key", "model", "type", "channel", "item", "commodity", "product", "owner", "charge")


@click.command()
@month_option
@click.option("--by", default="workspace", show_default=True, metavar="A,B,…", help=f"Any of {', '.join(_BY)}, tag:KEY.")
@click.option("--all-products", is_flag=True, help="Also what is not Model Studio.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a header line.")
@click.pass_obj
def report(place: Place, month: BillingPeriod | None, by: str, *, all_products: bool, as_json: bool, as_csv: bool) -> int:
    """Show spend of one month, told apart as asked; the rows add up to the month's total."""
    columns = tuple(part.strip() for part in by.split(",") if part.strip())
    unknown = [column for column in columns if column not in _BY and not column.startswith("tag:")]
    if unknown or not columns:
        msg = f"cannot tell apart by {', '.join(unknown) or 'nothing'}; use any of {', '.join(_BY)}, tag:KEY"
        raise click.BadParameter(msg, param_hint="--by")
    settings = load(place.path(), with_secrets=False)
    now: datetime = system_clock()
    period = month or BillingPeriod.containing(now, settings.zone)
    with opened_store(settings, read_only=True) as store:
        rows = _sums(store, period, columns, None if all_products else settings.policies.products)
    if as_json:
        document = {
            "schema_version": 1,
            "month": period.label,
            "by": list(columns),
            "rows": [_json(columns, row) for row in rows],
        }
        print_json(document)
    elif as_csv:
        _write_csv(columns, rows)
    else:
        _print_report(period, columns, rows)
    return Exit.DONE


_Row = tuple[tuple[str, ...], str, Decimal, int]


def _sums(store: Store, period: BillingPeriod, columns: Sequence[str], products: Sequence[str] | None) -> list[_Row]:
    dimensions = tuple(dict.fromkeys(Dimension.TAGS if column.startswith("tag:") else Dimension(column) for column in columns))
    totals: dict[tuple[tuple[str, ...], str], tuple[Decimal, int]] = {}
    for spent in store.ledger.spend(period, dimensions, products=products):
        key = (tuple(_value(column, spent.values) for column in columns), str(spent.currency))
        amount, lines = totals.get(key, (Decimal(0), 0))
        totals[key] = (EXACT.add(amount, spent.amount), lines + spent.lines)
    rows = [(values, currency, amount, lines) for (values, currency), (amount, lines) in totals.items()]
    if columns[0] == "day":
        return sorted(rows, key=lambda row: (row[0], row[1]))
    return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))


def _value(column: str, values: object) -> str:
    assert isinstance(values, dict)  # noqa: S101 -- the ledger gives dictionaries
    if column.startswith("tag:"):
        return parse_tags(values[Dimension.TAGS]).get(column.removeprefix("tag:"), "")
    return str(values[Dimension(column)])


def _json(columns: Sequence[str], row: _Row) -> dict[str, object]:
    values, currency, amount, lines = row
    return {**dict(zip(columns, values, strict=True)), "currency": currency, "spend": plain(amount), "lines": lines}


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0", "＝", "＋", "－", "＠")


def _write_csv(columns: Sequence[str], rows: Sequence[_Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*columns, "currency", "spend", "lines"])
    for values, currency, amount, lines in rows:
        # A cell that a spreadsheet would take for a formula is text and gets an apostrophe; amounts stay numbers.
        texts = [f"'{value}" if value.startswith(_FORMULA) else value for value in values]
        writer.writerow([*texts, currency, plain(amount), lines])


def _print_report(period: BillingPeriod, columns: Sequence[str], rows: Sequence[_Row]) -> None:
    headings = [(column.upper(), "left") for column in columns] + [("", "left"), ("SPEND", "right"), ("LINES", "right")]
    body = [
        (*(clean(value or "-") for value in values), currency, shown(amount), str(lines))
        for values, currency, amount, lines in rows
    ]
    totals: dict[str, tuple[Decimal, int]] = {}
    for _, currency, amount, lines in rows:
        before, count = totals.get(currency, (Decimal(0), 0))
        totals[currency] = (EXACT.add(before, amount), count + lines)
    blanks = [""] * (len(columns) - 1)
    body += [("TOTAL", *blanks, currency, shown(amount), str(lines)) for currency, (amount, lines) in totals.items()]
    screen = console()
    screen.print(f"Spend in {period.label}" if rows else f"No spend on record in {period.label}.")
    if rows:
        screen.print(table(headings, body))
