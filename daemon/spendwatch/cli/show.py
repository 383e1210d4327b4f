"""`status`."""

from __future__ import annotations

import sys
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import json_option, month_option
from spendwatch.cli.outlook import balance_lines, forecast_cell
from spendwatch.cli.screen import bar, clean, console, print_json, table, when
from spendwatch.domain.authority import Uncounted
from spendwatch.domain.count import counted
from spendwatch.domain.errors import printable
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import Money, shown
from spendwatch.domain.period import BillingPeriod, days_text, duration_text
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.overview import AccountOverview, Mark, Overview, WorkspaceLine, look, overview_json
from spendwatch.jobs.running import Running
from spendwatch.settings import Settings
from spendwatch.state import Store, opened_store, system_clock

_STYLES = {Mark.OK: "", Mark.WARNING: "yellow", Mark.CRITICAL: "bold red"}
_WATCH_EVERY = 2.0


@click.command()
@month_option
@json_option
@click.option("--watch", is_flag=True, help="Show it again every two seconds until Ctrl-C.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 when an alert fires, with 4 when the figures are stale.")
@click.pass_obj
def status(place: Place, month: BillingPeriod | None, *, as_json: bool, watch: bool, exit_code: bool) -> int:
    """Show spend against budget per workspace, the balance, alerts, sources, and how old the figures are."""
    settings = place.settings()
    with opened_store(settings, read_only=True) as store:
        overview = _look(settings, store, month)
        running = _running(store)
        if as_json:
            print_json({**overview_json(overview, settings.zone), **running.json(settings.zone)})
        elif watch:
            _watch(settings, store, month)
        else:
            console().print(_page(overview, running, settings))
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
    with Live(console=console(), auto_refresh=False, screen=sys.stdout.isatty()) as live:
        while True:
            live.update(_page(_look(settings, store, month, insight), _running(store), settings), refresh=True)
            wait.wait(_WATCH_EVERY)


def _running(store: Store) -> Running:
    return Running(store.database.is_taken(), store.health.daemon(), store.outbox.counts(), store.outbox.next_due())


def _first_lines(running: Running, now: datetime, settings: Settings) -> list[RenderableType]:
    daemon, messages = running.lines(now)
    trouble = running.trouble(now, settings.zone)
    found = [Text(clean(daemon)), *([Text(messages, style="yellow" if running.dead else "")] if messages else [])]
    return [*found, *([Text(f"STALE  {clean(trouble)}", style="bold red")] if trouble else []), Text()]


def _page(overview: Overview, running: Running, settings: Settings) -> RenderableType:
    parts: list[RenderableType] = _first_lines(running, overview.as_of, settings)
    for account in overview.accounts:
        parts += [_head(account, overview, settings), Text(), _workspaces(account)]
        balance = balance_lines(account, overview.as_of, settings.zone) if overview.is_of_now else []
        parts += [*balance, Text()]
    parts += [*_sources(overview, settings), *_readings(overview), *_alerts(overview, settings)]
    return Group(*parts)


def _sources(overview: Overview, settings: Settings) -> list[RenderableType]:
    headings = [(heading, "left") for heading in ("SOURCE", "TYPE", "STATE", "LAST SUCCESS", "LAST BILL", "TROUBLE")]
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
    late = "\nFrom the billing API: up to 24 h late, and without usage that is not settled yet; more may be spent."
    missing = "".join(f"\n{_not_counted(one)}" for one in account.uncounted)
    return text + line + Text(f"{late if account.lags else ''}{missing}", style="not bold")


def _not_counted(one: Uncounted) -> str:
    told = f"{Money(one.amount, one.currency)} of {days_text(one.days)} by {one.other.series}"
    return f"Not counted: {told}; {one.counts.series} counts, and lacks these days."


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
    found: list[RenderableType] = [Text(f"STALE  {trouble}", style="yellow") for trouble in troubles]
    if not overview.alerts:
        return [*found, Text("No alert fires.")]
    rows = [
        (alert.id[:8], alert.severity.value, when(alert.since, settings.zone), clean(alert.summary))
        for alert in overview.alerts
    ]
    found.append(Text(f"{counted(len(rows), 'alert')} firing", style="bold"))
    found.append(table([(heading, "left") for heading in ("ID", "SEVERITY", "SINCE", "WHAT")], rows, wraps="WHAT"))
    found.append(Text(f"Try: spendwatch explain {rows[0][0]}"))
    return found
