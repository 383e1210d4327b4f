"""`status`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import json_option, month_option
from spendwatch.cli.outlook import balance_lines, forecast_cell
from spendwatch.cli.screen import Rows, bar, clean, console, fitting, print_json, table, when
from spendwatch.cli.totals import outside_text
from spendwatch.domain.count import counted
from spendwatch.domain.discrepancy import Discrepancy
from spendwatch.domain.errors import LedgerUnavailableError, printable
from spendwatch.domain.money import shown
from spendwatch.domain.period import BillingPeriod, days_text, duration_text
from spendwatch.domain.scope import Counts
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.overview import AccountOverview, BudgetState, Overview, WorkspaceLine, look
from spendwatch.jobs.overview_json import overview_json
from spendwatch.jobs.running import Running
from spendwatch.settings import Settings
from spendwatch.state import Store, opened_store, system_clock

_STYLES = {
    BudgetState.NONE: "",
    BudgetState.OK: "",
    BudgetState.UNKNOWN: "yellow",
    BudgetState.WARNING: "yellow",
    BudgetState.CRITICAL: "bold red",
}
_WATCH_EVERY = 2.0


@click.command()
@month_option
@json_option
@click.option("--watch", is_flag=True, help="Refresh every two seconds until Ctrl-C.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 if an alert fires, with 4 if the figures are stale.")
@click.pass_obj
def status(place: Place, month: BillingPeriod | None, *, as_json: bool, watch: bool, exit_code: bool) -> int:
    """Show spend and budget per workspace, the balance, alerts, sources, and the age of the figures."""
    settings = place.settings()
    try:
        with opened_store(settings, read_only=True) as store:
            overview, running = _look(settings, store, month), _running(store)
            if as_json:
                print_json({**overview_json(overview, settings.zone), **running.json(settings.zone)})
            elif watch:
                _watch(settings, store, month)
            else:
                console().print(_page(overview, running, settings, console()))
    except LedgerUnavailableError as error:
        if not exit_code:
            raise
        click.echo(f"spendwatch: {error}", err=True)
        return Exit.STALE
    if not exit_code:
        return Exit.DONE
    is_stale = overview.is_stale or bool(running.trouble(overview.as_of, settings.zone))
    return Exit.STALE if is_stale else Exit.FIRING if overview.is_firing else Exit.DONE


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
        types=settings.source_types,
        balances=store.balances,
        insight=insight,
    )


def _watch(settings: Settings, store: Store, month: BillingPeriod | None) -> None:
    import threading  # noqa: PLC0415 -- for its wait, which a signal ends at once

    wait, insight = threading.Event(), Insight()
    screen = console()
    with Live(console=screen, auto_refresh=False, screen=sys.stdout.isatty()) as live:
        while True:
            live.update(_page(_look(settings, store, month, insight), _running(store), settings, screen), refresh=True)
            wait.wait(_WATCH_EVERY)


def _running(store: Store) -> Running:
    return Running(store.database.is_taken(), store.health.daemon(), store.outbox.counts(), store.outbox.next_due())


def _first_lines(running: Running, now: datetime, settings: Settings) -> list[RenderableType]:
    daemon, messages = running.lines(now)
    trouble = running.trouble(now, settings.zone)
    found = [Text(clean(daemon)), *([Text(messages, style="yellow" if running.dead else "")] if messages else [])]
    return [*found, *([Text(f"STALE  {clean(trouble)}", style="bold red")] if trouble else []), Text()]


def _page(overview: Overview, running: Running, settings: Settings, screen: Console) -> RenderableType:
    parts: list[RenderableType] = _first_lines(running, overview.as_of, settings)
    for account in overview.accounts:
        parts += [_head(account, overview, settings), Text(), workspaces_table(account, screen), *_counting(account)]
        balance = balance_lines(account, overview.as_of, settings.zone) if overview.is_of_now else []
        parts += [*balance, Text()]
    parts += [*_sources(overview, settings), *_readings(overview), *_alerts(overview, settings)]
    return Group(*parts)


def _sources(overview: Overview, settings: Settings) -> list[RenderableType]:
    headings = ("SOURCE", "TYPE", "STATE", "LAST SUCCESS", "LAST BILL", "TROUBLE")
    rows = [
        (
            clean(source.name),
            source.type,
            source.state,
            when(source.last_success, settings.zone),
            when(source.last_bill, settings.zone),
            clean(": ".join(filter(None, (source.cause, source.trouble)))),
        )
        for source in overview.sources
    ]
    return [table(headings, rows, wraps="TROUBLE"), Text()] if rows else []


def _head(account: AccountOverview, overview: Overview, settings: Settings) -> Text:
    now = overview.as_of.astimezone(settings.zone)
    day = f" (day {now.day} of {overview.period.days})" if now.date() in overview.period else ""
    text = Text(f"Account {account.name or account.account}   {account.currency}   {overview.period.label}{day}", style="bold")
    age = f"{duration_text(overview.as_of - account.data_until)} old" if account.data_until else "no bill on record"
    until = when(account.data_until, settings.zone)
    sources = ", ".join(f"{source.name} {source.state}" for source in overview.sources)
    line = Text(f"\nData until {until} ({age}, {settings.zone})   sources: {sources or 'none'}", style="not bold")
    days = ", ".join(f"{category} {day}" for category, day in account.used_on) if len(account.used_on) > 1 else ""
    line += Text(f"\nLatest usage: {days}" if days else "")
    late = "\nFrom the billing API: up to 24 h late, and without usage that is not settled yet; actual spend may be higher."
    missing = "".join(f"\n{_not_counted(one)}" for one in account.uncounted)
    old = "\nForecast and runway: not available, the data are too old." if account.is_too_old and overview.is_of_now else ""
    outside = outside_text(settings.policies.products, account.outside)
    others = f"\n{outside[:1].upper()}{outside[1:]}." if outside else ""
    return text + line + Text(f"{late if account.lags else ''}{old}{missing}{others}", style="not bold")


def _not_counted(one: Discrepancy) -> str:
    told = f"{one.lacking} of {days_text(one.days)} by {one.series}"
    return f"Not counted: {told}; {one.counts} counts and lacks these days."


_HEADINGS = {
    "who": "WORKSPACE",
    "workspace": "WORKSPACE",
    "name": "NAME",
    "spent": "SPENT",
    "pay_as_you_go": "PAY-AS-YOU-GO",
    "subscription": "SUBSCRIPTION",
    "budget": "BUDGET",
    "used": "USED",
    "bar": "",
    "forecast": "FORECAST",
    "about": "FORECAST",
    "state": "STATE",
}
_NUMBERS = ("SPENT", "PAY-AS-YOU-GO", "SUBSCRIPTION", "BUDGET", "USED", "FORECAST")
_LONGEST_NAME = 24
_NARROWER = (
    {"who", "about"},
    {"who", "about", "bar"},
    {"who", "forecast", "bar"},
    {"who", "forecast", "bar", "pay_as_you_go"},
    {"workspace", "name", "forecast", "bar", "pay_as_you_go"},
    {"workspace", "name", "forecast", "bar", "pay_as_you_go", "about"},
)
"""What is left out, on ever narrower screens: the picture, the band of the forecast, what can be subtracted, ids."""


def workspaces_table(account: AccountOverview, screen: Console) -> Rows:
    """Return what the screen has room for: fewer columns rather than figures that are cut."""
    rows = [_row(line.workspace or "(no workspace)", line.name, line) for line in account.workspaces]
    rows.append(_row("TOTAL", "", account))
    for money in account.foreign:
        other = f"also in {money.currency}"
        rows.append({"who": other, "workspace": other, "spent": shown(money.amount)})
    lines: list[WorkspaceLine | AccountOverview] = [account, *account.workspaces]
    absent: set[str] = set() if any(line.forecast for line in lines) else {"forecast", "about"}
    if not any(line.split.subscription.amount for line in lines):
        absent |= {"pay_as_you_go", "subscription"}

    def without(left_out: set[str]) -> Rows:
        keys = [key for key in _HEADINGS if key not in left_out | absent]
        cells = [tuple(row.get(key, "") for key in keys) for row in rows]
        names = "NAME" if "name" in keys else "WORKSPACE"
        return table([_HEADINGS[key] for key in keys], cells, right=_NUMBERS, wraps=names, wraps_at=_LONGEST_NAME)

    return fitting(screen, map(without, _NARROWER))


def _row(place: str, name: str, one: WorkspaceLine | AccountOverview) -> dict[str, str]:
    style, state = _STYLES[one.mark], "-" if one.mark is BudgetState.NONE else one.mark.value
    return {
        "who": clean(name or place),
        "workspace": clean(place),
        "name": clean(name),
        "spent": shown(one.spend.amount),
        "pay_as_you_go": shown(one.split.pay_as_you_go.amount),
        "subscription": shown(one.split.subscription.amount),
        "budget": shown(one.budget.amount) if one.budget else "none",
        "used": f"{int(one.used * 100)}%" if one.used is not None else "",
        "bar": bar(one.used),
        "forecast": forecast_cell(one.forecast),
        "about": forecast_cell(one.forecast).partition(" ")[0],
        "state": f"[{style}]{state}[/]" if style else state,
    }


_MOST_NAMES = 5


def _counting(account: AccountOverview) -> Iterator[Text]:
    """Yield which budgets do not count everything: their shares, forecasts and states go by what they count."""
    for counts in (Counts.PAY_AS_YOU_GO, Counts.SUBSCRIPTION):
        lines = (line for line in account.workspaces if line.counts is counts)
        names = [*(["TOTAL"] if account.counts is counts else []), *(line.name or line.workspace for line in lines)]
        if names:
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            yield Text(f"The budget counts {counts.note.strip(' ()')}: {', '.join(names[:_MOST_NAMES])}{more}")


def _readings(overview: Overview) -> list[RenderableType]:
    """Return how far long bills are read: what they say is not in the figures yet."""
    return [
        Text(
            f"Reading {printable(reading.file)} ({reading.size / 1e6:,.0f} MB, {reading.source}): {reading.phase} "
            f"{int(reading.share * 100)}%, for {duration_text(overview.as_of - reading.began_at)}"
        )
        for reading in overview.readings
    ]


def _alerts(overview: Overview, settings: Settings) -> list[RenderableType]:
    troubles = [f"{source.name} is {source.state}: {source.trouble}" for source in overview.sources if source.state != "ok"]
    for account in overview.accounts:
        if account.silence or not account.data_until:
            what = f"no new bill for {duration_text(account.silence)}" if account.silence else "no bill on record"
            troubles.append(f"account {account.name or account.account}: {what}")
    found: list[RenderableType] = [Text(f"STALE  {trouble}", style="yellow") for trouble in troubles]
    if not overview.alerts:
        return [*found, Text("No alert fires.")]
    rows = [
        (alert.id[:8], alert.severity.value, when(alert.since, settings.zone), clean(alert.summary))
        for alert in overview.alerts
    ]
    found.append(Text(f"{counted(len(rows), 'alert')} firing", style="bold"))
    found.append(table(("ID", "SEVERITY", "SINCE", "WHAT"), rows, wraps="WHAT"))
    untold = (alert.id[:8] for alert in overview.alerts if alert.id in overview.undelivered)
    found += [Text(f"UNDELIVERED  {one}: nobody could be notified; see `spendwatch deliveries`", style="red") for one in untold]
    found.append(Text(f"Try: spendwatch explain {rows[0][0]}"))
    return found
