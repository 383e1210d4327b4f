"""`status`."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import datetime, tzinfo
from functools import partial
from typing import TYPE_CHECKING

import click
from rich.console import Console, Group, RenderableType
from rich.text import Text

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import json_option, month_option, refuse
from spendwatch.cli.outlook import balance_lines
from spendwatch.cli.screen import age_text, clean, console, flow, held_by, legend, marked, print_json, shortened, table, when
from spendwatch.cli.spending import budgets_of, spending_table
from spendwatch.cli.totals import outside_text
from spendwatch.domain.alert import AlertId, Rule
from spendwatch.domain.count import counted
from spendwatch.domain.errors import LedgerUnavailableError, printable
from spendwatch.domain.money import Money
from spendwatch.domain.period import BillingPeriod, days_text, duration_text, labels_in
from spendwatch.domain.policy import Severity
from spendwatch.domain.scope import Counts
from spendwatch.domain.statement import UNASSIGNED
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.matters import MatterLine
from spendwatch.jobs.overview import AccountOverview, BudgetState, Overview
from spendwatch.jobs.running import Running
from spendwatch.settings import Settings
from spendwatch.state import Store, opened_store, system_clock
from spendwatch.views.moments import channel_notes
from spendwatch.views.status import looked, running_of, status_json

if TYPE_CHECKING:
    from spendwatch.domain.notification import Message

_WATCH_EVERY = 2.0
_MOST_ROWS, _MOST_MATTERS = 20, 10
"""What is shown of all accounts together: forty workspaces that cross at once stay below sixty lines."""
_MOST_LINES = 2
"""Of one matter."""
_MOST_NAMES = 5
_WHAT = "WHAT NEEDS YOU"
_OF_OPEN_MONTHS = "of an open month"
"""A bill of a month that is final does not show that bills still come."""
_SHARES = re.compile(r"(\b[0-9.]+)%, (?=[0-9.]+%)")
"""`50%, 80%`, which is read more quickly as `50, 80%`."""


@click.command()
@month_option
@json_option
@click.option("--all", "everything", is_flag=True, help="Show every workspace, finer budget, alert and source.")
@click.option("--watch", is_flag=True, help="Refresh every two seconds until Ctrl-C.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 if an alert fires, with 4 if the figures are stale.")
@click.pass_obj
def status(place: Place, month: BillingPeriod | None, *, as_json: bool, everything: bool, watch: bool, exit_code: bool) -> int:
    """Show what needs you, spend and budget per workspace, the balance, alerts, and the age of the figures."""
    if watch and (as_json or not sys.stdout.isatty()):
        refuse("--watch needs a terminal, and no --json")
    if not watch:
        gc.disable()  # it would take a twentieth of the time, of a command that ends at once
    settings = place.settings()
    drawn = partial(page, zone=settings.zone, products=settings.policies.products, everything=everything)
    try:
        with opened_store(settings, read_only=True) as store:
            overview, running = looked(settings, store, system_clock(), month), running_of(settings, store, system_clock())
            if as_json:
                print_json(status_json(overview, running, settings.zone))
            elif watch:
                _watch(settings, store, month, drawn)
            else:
                console().print(drawn(overview, running, console()))
    except LedgerUnavailableError as error:
        if not exit_code:
            raise
        click.echo(f"spendwatch: {error}", err=True)
        return Exit.STALE
    if not exit_code:
        return Exit.DONE
    is_stale = overview.is_stale or bool(running.trouble(overview.as_of, settings.zone))
    return Exit.STALE if is_stale else Exit.FIRING if overview.is_firing else Exit.DONE


def _watch(settings: Settings, store: Store, month: BillingPeriod | None, drawn: Callable[..., RenderableType]) -> None:
    import threading  # noqa: PLC0415 -- for its wait, which a signal ends at once

    from rich.live import Live  # noqa: PLC0415 -- only needed here

    wait, insight = threading.Event(), Insight()
    screen = console()
    with Live(console=screen, auto_refresh=False, screen=True) as live:
        while True:
            overview = looked(settings, store, system_clock(), month, insight)
            running = running_of(settings, store, overview.as_of)
            live.update(drawn(overview, running, screen), refresh=True)
            wait.wait(_WATCH_EVERY)


def page(
    overview: Overview,
    running: Running,
    screen: Console,
    *,
    zone: tzinfo,
    products: Sequence[str] = (),
    everything: bool = False,
) -> RenderableType:
    """Return what `status` shows; `everything`: nothing is folded."""
    accounts = overview.accounts
    rows = None if everything else max(5, _MOST_ROWS // max(1, len(accounts)))
    parts: list[RenderableType] = [_title(overview, zone, screen), *_service(overview, running, zone, screen)]
    for account in accounts:
        parts += ["", flow(screen, [_name(account), _until(account, overview.as_of, zone)])] if len(accounts) > 1 else [""]
        parts += [flow(screen, [line]) for line in _remarks(account, overview, products)]
        parts += [spending_table(account, screen, rows), *(flow(screen, [line]) for line in _counting(account))]
        balance = balance_lines(account, overview.as_of, zone, screen) if overview.is_of_now else []
        parts += ["", *balance] if balance else []
    parts += [*_matters(overview, zone, screen, everything=everything), ""]
    parts += _sources(overview, zone, screen, everything=everything)
    return Group(*parts, *(flow(screen, [line]) for line in _readings(overview)), _foot(overview, zone, screen))


def _title(overview: Overview, zone: tzinfo, screen: Console) -> Text:
    """Return the first line: whose money, and which month."""
    now = overview.as_of.astimezone(zone)
    day = f", day {now.day} of {overview.period.days}" if now.date() in overview.period else ""
    month = f"[bold]{overview.period.first_day:%B %Y}[/]{day}"
    names = [_name(account) for account in overview.accounts]
    return flow(screen, [*names, month] if len(names) == 1 else [month, counted(len(names), "account")], gap="  ")


def _name(account: AccountOverview) -> str:
    return f"[bold]{clean(account.name or account.account)}[/]  {account.currency}"


def _until(account: AccountOverview, now: datetime, zone: tzinfo) -> str:
    if account.data_until is None:
        return "[yellow]no bill on record[/]"
    return f"bills up to {when(account.data_until, zone)} ({age_text(now - account.data_until)} old)"


def _service(overview: Overview, running: Running, zone: tzinfo, screen: Console) -> Iterator[Text]:
    """Yield up to when there are bills, whether the daemon runs, what needs a person, and why more may be spent."""
    now = overview.as_of
    state, daemon = running.line(now)
    until = [_until(account, now, zone) for account in overview.accounts] if len(overview.accounts) == 1 else []
    yield flow(screen, [*until, marked(state, screen, daemon)], indent="")
    trouble = running.trouble(now, zone)
    stale = [*([trouble] if trouble else []), *_stale(overview)]
    needs = sorted((*_needs(overview), *running.messages(now)), key=lambda need: -Severity(need[0]).rank)
    if needs or not (stale or overview.matters):
        yield flow(
            screen, [marked(word, screen, clean(text)) for word, text in needs or [("ok", "nothing needs you")]], indent=""
        )
    for line in _held(overview, zone):
        yield flow(screen, [marked("notice", screen, line)], indent="")
    for line in channel_notes(running.channels, now, zone):
        yield flow(screen, [marked("warning", screen, clean(line))])
    for line in stale:
        yield flow(screen, [marked("critical", screen, f"STALE  {clean(line)}")])


def _needs(overview: Overview) -> Iterator[tuple[str, str]]:
    """Yield what needs a person in a few words, each with the word for how grave it is."""
    overdue = set()
    for account in overview.accounts if overview.is_of_now else ():
        if account.balance and account.balance.is_overdue:
            overdue.add(account.account)
            available = account.balance.available
            yield "critical", f"{account.name or account.account} overdue by {Money(-available.amount, available.currency)}"
    budgets = [budget for account in overview.accounts for budget in budgets_of(account)]
    for mark, noun, what in (
        (BudgetState.CRITICAL, "budget", "used up"),
        (BudgetState.WARNING, "budget", "nearly used up"),
        (BudgetState.WARNING, "amount", "reached"),
    ):
        names = [name for name, its_mark, has_budget in budgets if its_mark is mark and has_budget == (noun == "budget")]
        if names:
            yield mark.value, f"{noun} of {names[0]} {what}" if len(names) == 1 else f"{len(names)} {noun}s {what}"
    if not overview.is_of_now:
        return
    others = [line for line in overview.matters if not line.rule.is_about_spend]
    if any(line.rule.is_about_balance and line.alerts[0].key.scope.account not in overdue for line in others):
        yield "warning", "balance low"
    if rejected := sum(line.rule is Rule.REJECTED for line in others):
        yield "warning", f"{counted(rejected, 'bill')} rejected"
    if rest := sum(not (line.rule.is_about_balance or line.rule is Rule.REJECTED) for line in others):
        yield "warning", counted(rest, "other alert")


def _held(overview: Overview, zone: tzinfo) -> Iterator[str]:
    """Yield how many messages wait, for what and until when."""
    waiting: dict[tuple[datetime, str], list[Message]] = {}
    for one in overview.held:
        if one.row:
            waiting.setdefault((one.row.until, held_by(one.row)), []).append(one)
    for (until, why), found in sorted(waiting.items()):
        yield f"{counted(len(found), 'message')} held by {why} until {when(until, zone)}"


def _stale(overview: Overview) -> Iterator[str]:
    for source in overview.sources:
        if source.state != "ok":
            yield f"{source.name} is {source.state}: {': '.join(filter(None, (source.cause, source.trouble)))}"
    for account in overview.accounts:
        if account.silence or not account.data_until:
            what = f"no new bill for {duration_text(account.silence)}" if account.silence else "no bill on record"
            yield f"account {account.name or account.account}: {what}"


def _remarks(account: AccountOverview, overview: Overview, products: Sequence[str]) -> Iterator[str]:
    """Yield what has to be known of the figures below."""
    if len(account.used_on) > 1:
        yield f"Latest usage: {', '.join(f'{category} {day}' for category, day in account.used_on)}"
    if account.lags:
        yield "From the billing API: up to 24 h late, and without usage that is not settled yet; actual spend may be higher."
    if account.is_too_old and overview.is_of_now:
        yield "Forecast and runway: not available, the data are too old."
    for one in account.uncounted:
        told = f"{one.lacking} of {days_text(one.days)} by {clean(one.series)}"
        yield f"Not counted: {told}; {clean(one.counts)} counts and lacks these days."
    if outside := outside_text(products, account.outside):
        yield f"{clean(outside[:1].upper() + outside[1:])}."


def _counting(account: AccountOverview) -> Iterator[str]:
    """Yield which budgets do not count everything: their shares, forecasts and states go by what they count."""
    for counts in (Counts.PAY_AS_YOU_GO, Counts.SUBSCRIPTION):
        lines = (clean(line.name or line.workspace) for line in account.workspaces if line.counts is counts)
        names = [*(["the whole account"] if account.counts is counts else []), *lines]
        if names:
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            yield f"The budget counts {counts.note.strip(' ()')}: {', '.join(names[:_MOST_NAMES])}{more}"


def _matters(overview: Overview, zone: tzinfo, screen: Console, *, everything: bool) -> Iterator[RenderableType]:
    """Yield one row for all alerts of one matter, and what is spent without a budget; then every alert, if wanted."""
    month = labels_in(overview.period)
    wanted = [line for line in overview.matters if overview.is_of_now or line.alerts[0].key.period in month]
    shown = wanted if everything else wanted[:_MOST_MATTERS]
    held = {one.said.alert for one in overview.held}
    rows = [(marked(line.severity.value, screen), _matter_text(line, held), line.alerts[0].id[:8]) for line in shown]
    rows += [(marked("notice", screen), text, "") for account in overview.accounts if (text := _unlimited(account))]
    if rows and overview.is_of_now:
        room = _MOST_LINES * (screen.width - len("x critical") - len("12345678") - 4) - len(" …")
        cells = [(mark, clean(text if everything else shortened(text, room, screen)), name) for mark, text, name in rows]
        yield ""
        yield table(("SEVERITY", _WHAT, "ID"), cells, wraps=_WHAT)
    if len(wanted) > len(shown):
        yield f"and {len(wanted) - len(shown)} more: spendwatch status --all"
    if everything and overview.alerts:
        each = [
            (marked(one.severity.value, screen), when(one.since, zone), clean(one.summary), one.id[:8])
            for one in overview.alerts
        ]
        yield ""
        yield table(("SEVERITY", "SINCE", "EACH ALERT AS IT BEGAN", "ID"), each, wraps="EACH ALERT AS IT BEGAN")


def _matter_text(line: MatterLine, held: Container[AlertId]) -> str:
    if line.is_undelivered:
        return f"UNDELIVERED, nobody could be notified: {line.text}"
    if not line.notified:
        return f"{line.text}; {'held' if any(one.id in held for one in line.alerts) else 'not delivered yet'}"
    by = f"; acknowledged by {line.acknowledged.by}" if line.acknowledged else ""
    reached = _SHARES.sub(r"\1, ", ", ".join(line.reached))
    at = " at " if line.rule.is_about_spend else ": "
    return f"{line.text}{by}; notified{at}{reached}" if reached else line.text + by


def _unlimited(account: AccountOverview) -> str:
    """Return what is spent in workspaces without a budget, where others have one."""
    workspaces = [line for line in account.workspaces if line.workspace != UNASSIGNED]
    without = [line for line in workspaces if line.mark in {BudgetState.NONE, BudgetState.UNKNOWN} and not line.budget]
    without = [line for line in without if line.spend.amount > 0 and not line.budgets]
    if not without or not any(line.budget for line in workspaces):
        return ""
    if len(without) == 1:
        return f"{without[0].name or without[0].workspace} spends {without[0].spend} and has no budget"
    total = Money.total((line.spend.amount for line in without), account.currency)
    return f"{len(without)} workspaces spend {total} and have no budget"


def _sources(overview: Overview, zone: tzinfo, screen: Console, *, everything: bool) -> Iterator[RenderableType]:
    if not everything:
        found = (
            f"{marked('ok' if one.state == 'ok' else 'warning', screen, clean(one.name))} {one.state}, "
            f"{f'last bill {when(one.last_bill, zone)}' if one.last_bill else f'no bill {_OF_OPEN_MONTHS} yet'}"
            for one in overview.sources
        )
        yield flow(screen, ["Sources", *found])
        return
    headings = ("SOURCE", "TYPE", "STATE", "LAST SUCCESS", "LAST BILL", "TROUBLE")
    rows = [
        (
            clean(source.name),
            source.type,
            source.state,
            when(source.last_success, zone),
            when(source.last_bill, zone) if source.last_bill else f"none {_OF_OPEN_MONTHS}",
            clean(": ".join(filter(None, (source.cause, source.trouble)))),
        )
        for source in overview.sources
    ]
    if rows:
        yield table(headings, rows, wraps="TROUBLE")


def _readings(overview: Overview) -> Iterator[str]:
    """Yield how far long bills are read: what they say is not in the figures yet."""
    for reading in overview.readings:
        yield clean(
            f"Reading {printable(reading.file)} ({reading.size / 1e6:,.0f} MB, {reading.source}): {reading.phase} "
            f"{int(reading.share * 100)}%, for {duration_text(overview.as_of - reading.began_at)}"
        )


def _foot(overview: Overview, zone: tzinfo, screen: Console) -> Text:
    """Return what the marks of bars mean, in which zone times are, and where to read more."""
    known = [account for account in overview.accounts if account.data_until]
    bars = any(account.budget or any(line.budget for line in account.workspaces) for account in known)
    if not overview.is_of_now:
        more = "balance and alerts of now: spendwatch status"
    else:
        explain = f"spendwatch explain {overview.matters[0].alerts[0].id[:8]}, " if overview.matters else ""
        more = f"more: {explain}spendwatch report --by model,api_key"
    parts = [legend(screen)] if bars else []
    parts += [f"times: {zone}", more]
    return flow(screen, [f"[dim]{part}[/]" for part in parts], indent="")
