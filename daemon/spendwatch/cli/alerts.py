"""`alerts` and `explain`."""

from __future__ import annotations

import click

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import json_option
from spendwatch.cli.screen import clean, console, print_json, print_list, table, the_one, when
from spendwatch.domain.alert import Alert
from spendwatch.domain.commodity import category_of
from spendwatch.domain.count import counted
from spendwatch.domain.money import plain, shown
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import watches
from spendwatch.domain.scope import Counts, Dimension
from spendwatch.domain.standing import SpendSum, seen_values, seen_workspaces
from spendwatch.exact_json import json_fields
from spendwatch.jobs.overview_json import alert_json
from spendwatch.jobs.standings import dimensions
from spendwatch.settings import Settings
from spendwatch.state import Store, opened_store

_EXPLAINED_ROWS = 12


@click.command()
@click.option("--all", "everything", is_flag=True, help="Include alerts that have ended.")
@json_option
@click.pass_obj
def alerts(place: Place, *, everything: bool, as_json: bool) -> int:
    """List firing alerts, or all alerts."""
    settings = place.settings()
    with opened_store(settings, read_only=True) as store:
        found = [alert for alert in store.book.alerts() if everything or alert.is_firing]
        notified, undelivered = store.book.notified(), {one.alert for one in store.book.undelivered()}

    def json(alert: Alert) -> dict[str, object]:
        return alert_json(alert, settings.zone, notified.get(alert.id, 0), is_undelivered=alert.id in undelivered)

    def row(alert: Alert) -> tuple[str, ...]:
        times = f"{notified.get(alert.id, 0)}x" if alert.times_told else "with another"
        times = "undelivered" if alert.id in undelivered else times
        since = when(alert.since, settings.zone)
        return alert.id[:8], alert.severity.value, alert.state.value, since, times, clean(alert.summary)

    headings = ("ID", "SEVERITY", "STATE", "SINCE", "NOTIFIED", "WHAT")
    none = "No alert on record." if everything else "No alert fires."
    return print_list("alerts", found, json if as_json else None, headings, row, none=none, wraps="WHAT")


@click.command()
@click.argument("alert")
@json_option
@click.pass_obj
def explain(place: Place, alert: str, *, as_json: bool) -> int:
    """Show why ALERT (an id or its beginning) was sent: the rule, the figures, the bills, who was notified."""
    settings = place.settings()
    with opened_store(settings, read_only=True) as store:
        found = the_one(store.book.find(alert), "alert", alert, "spendwatch alerts --all")
        behind = _behind(found, settings, store)
        if as_json:
            print_json(_explained_json(found, behind, store, settings))
        else:
            _explained(found, behind, store, settings)
    return Exit.DONE


def _behind(alert: Alert, settings: Settings, store: Store) -> list[SpendSum]:
    """Return the sums that make up the scope's spend, the largest first."""
    if not alert.key.rule.is_about_spend or not alert.key.period:
        return []
    period = BillingPeriod.parse(alert.key.period)
    by = (*dimensions(finer=True), Dimension.DAY, Dimension.COMMODITY)
    sums = store.ledger.spend(period, by, products=settings.policies.products)
    watch = next(
        (
            watch
            for watch in watches(settings.policies, seen_workspaces(sums), seen_values(sums))
            if watch.scope == alert.key.scope
        ),
        None,
    )
    if watch is None:
        return []
    mine = [
        spent
        for spent in sums
        if spent.values[Dimension.ACCOUNT] == watch.scope.account
        and watch.scope.workspace in {None, spent.values[Dimension.WORKSPACE]}
        and watch.scope.counts in {Counts.ALL, Counts.SUBSCRIPTION if spent.is_subscription else Counts.PAY_AS_YOU_GO}
        and watch.fits(spent.values)
    ]
    return sorted(mine, key=lambda spent: -spent.amount)


def _explained(alert: Alert, behind: list[SpendSum], store: Store, settings: Settings) -> None:
    screen = console()
    zone = settings.zone
    screen.print(f"[bold]Alert {alert.id}[/bold]   {alert.severity.value}, {alert.state.value}")
    screen.print(clean(alert.summary))
    screen.print()
    screen.print(
        f"Rule        {alert.key.rule.type}   scope {clean(alert.key.scope.label)}   threshold {alert.key.threshold or '-'}"
    )
    screen.print(f"Period      {alert.key.period or f'episode {alert.episode}'}")
    screen.print(
        f"Fired       {when(alert.since, zone)}" + (f", ended {when(alert.resolved_at, zone)}" if alert.resolved_at else "")
    )
    if alert.amount:
        screen.print(f"Figure      {alert.amount} when it fired")
    times = counted(alert.times_told, "notification")
    told = (
        f"{times}, the last {when(alert.told_at, zone)}"
        if alert.times_told and alert.told_at
        else "covered by a more severe alert"
    )
    screen.print(f"Decision    {told}")
    if any(one.alert == alert.id for one in store.book.undelivered()):
        screen.print("Undelivered nobody could be notified; it is sent again when a channel of its policy works")
    if behind:
        sums = counted(len(behind), "sum of bill lines", "sums of bill lines")
        screen.print(f"\nParts of the spend ({sums} now, the largest first)")
        rows = [
            (
                spent.values[Dimension.DAY],
                clean(spent.values[Dimension.MODEL] or _category(spent)),
                clean(spent.values[Dimension.TYPE] or "-"),
                clean(spent.values[Dimension.API_KEY] or "-"),
                clean(spent.values[Dimension.CHANNEL] or "-"),
                shown(spent.amount),
                str(spent.lines),
            )
            for spent in behind[:_EXPLAINED_ROWS]
        ]
        names = ("DAY", "MODEL", "TYPE", "API KEY", "CHANNEL", "SPEND", "LINES")
        screen.print(table(names, rows, right=("SPEND", "LINES"), wraps="TYPE"))
        _bill_files(alert, store, settings)
    screen.print("\nDeliveries")
    deliveries = store.book.deliveries_of(alert.id)
    rows = [
        (
            delivery.notification.reason.value,
            delivery.channel,
            clean(delivery.target or "-"),
            delivery.state.value,
            str(delivery.attempts),
            when(delivery.settled_at, zone) if delivery.settled_at else "",
            clean(delivery.last_error),
        )
        for delivery in deliveries
    ]
    headings = ("REASON", "CHANNEL", "TARGET", "STATE", "ATTEMPTS", "SETTLED", "LAST ERROR")
    none = "none: no channel has a recipient" if alert.times_told else "none: covered by a more severe alert"
    screen.print(table(headings, rows) if rows else none)


def _category(spent: SpendSum) -> str:
    return category_of(spent.values[Dimension.COMMODITY], spent.values[Dimension.ITEM]).value


def _bill_files(alert: Alert, store: Store, settings: Settings) -> None:
    period = BillingPeriod.parse(alert.key.period)
    files = [one for one in store.ledger.statements(limit=1000) if period in one.periods]
    screen = console()
    screen.print(f"\nBill files of {period.label}")
    for one in files[:_EXPLAINED_ROWS]:
        counts = f"{counted(one.lines, 'line')}, {one.new} new, {one.changed} changed"
        screen.print(f"  {when(one.received_at, settings.zone)}  {clean(one.name)}  {counts}")


def _explained_json(alert: Alert, behind: list[SpendSum], store: Store, settings: Settings) -> dict[str, object]:
    return {
        "schema_version": 1,
        "alert": alert_json(
            alert,
            settings.zone,
            store.book.notified().get(alert.id, 0),
            is_undelivered=any(one.alert == alert.id for one in store.book.undelivered()),
        ),
        "amount_when_fired": alert.amount or None,
        "made_of": [
            {**{dimension.value: value for dimension, value in spent.values.items()}, "currency": spent.currency}
            | {"spend": plain(spent.amount), "lines": spent.lines}
            for spent in behind
        ],
        "deliveries": [
            json_fields(one, "id", notification="notification.id", reason="notification.reason")
            | json_fields(one, "channel", "target", "state", "attempts", "last_error")
            for one in store.book.deliveries_of(alert.id)
        ],
    }
