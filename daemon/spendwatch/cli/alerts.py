"""`alerts` and `ack`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta, tzinfo
from functools import partial

import click

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import DURATION, actor, json_option, refuse
from spendwatch.cli.screen import clean, console, marked, print_list, the_one, when
from spendwatch.domain.alert import Acknowledgement, Alert, AlertsKnown
from spendwatch.exact_json import json_fields
from spendwatch.settings import Settings
from spendwatch.state import Store, opened_store, system_clock
from spendwatch.views import changes
from spendwatch.views.listings import ListedAlerts


@click.command()
@click.option("--all", "everything", is_flag=True, help="Include alerts that have ended.")
@json_option
@click.pass_obj
def alerts(place: Place, *, everything: bool, as_json: bool) -> int:
    """List firing alerts, or all alerts."""
    settings = place.settings()
    with opened_store(settings, read_only=True) as store:
        found = ListedAlerts.of(store, system_clock(), everything=everything)
    screen, json = console(), partial(found.json, zone=settings.zone)

    def row(alert: Alert) -> tuple[str, ...]:
        times = f"{found.notified.get(alert.id, 0)}x" if alert.times_told else "with another"
        times = "undelivered" if alert.id in found.undelivered else times
        since, state = when(alert.since, settings.zone), "acknowledged" if found.acknowledged(alert) else alert.state.value
        severity = marked(alert.severity.value, screen) if alert.is_firing else f"  {alert.severity.value}"
        return alert.id[:8], severity, state, since, times, clean(alert.summary)

    headings = ("ID", "SEVERITY", "STATE", "SINCE", "DELIVERED", "WHAT")
    none = "No alert on record." if everything else "No alert fires."
    return print_list("alerts", found.alerts, json if as_json else None, headings, row, none=none, wraps="WHAT")


@click.command(short_help="Acknowledge alerts: stop their reminders and escalation.")
@click.argument("alerts", metavar="[ALERT]...", nargs=-1)
@click.option("--for", "lasts", type=DURATION, help="For how long, like 4h. Default: until it ends or gets more severe.")
@click.option("--comment", default="", help="Why, for the others.")
@click.option("--by", metavar="NAME", help="Who takes care of it. Default: you.")
@click.option("--end", "ends", is_flag=True, help="Take it back: reminders and escalation go on.")
@click.option("--list", "listed", is_flag=True, help="List what is acknowledged now.")
@json_option
@click.pass_obj
def ack(
    place: Place,
    alerts: tuple[str, ...],
    lasts: timedelta | None,
    comment: str,
    by: str | None,
    *,
    ends: bool,
    listed: bool,
    as_json: bool,
) -> int:
    """Tell that somebody takes care of ALERT (an id or its beginning).

    There are no reminders and no escalation of what it is about, until it ends, gets more severe, or the time is over.
    A new alert is never held back, nor is the message that it has ended.
    """
    settings = place.settings()
    _check(alerts, by, is_bare=not (lasts or comment or by), ends=ends, listed=listed, as_json=as_json)
    with opened_store(settings, read_only=listed) as store:
        if listed:
            return _list(store, settings, as_json=as_json)
        found = [the_one(store.book.find(alert), "alert", alert, "spendwatch alerts") for alert in dict.fromkeys(alerts)]
        who, now = by or actor(), system_clock()
        try:
            if ends:
                return _take_back(found, store, who)
            until = changes.acknowledge(store, found, settings.zone, who=who, now=now, lasts=lasts, comment=comment)
        except ValueError as error:
            refuse(str(error), "ALERT")
    for alert in found:
        click.echo(f"{alert.id[:8]} acknowledged by {clean(who)}: {clean(alert.summary)}")
    click.echo(f"No reminders and no escalation {until}, unless it gets more severe.")
    return Exit.DONE


def _check(alerts: tuple[str, ...], by: str | None, *, is_bare: bool, ends: bool, listed: bool, as_json: bool) -> None:
    if listed == bool(alerts):
        refuse("name at least one ALERT, or write --list alone")
    if listed and (ends or not is_bare):
        refuse("--list stands alone")
    if ends and not is_bare and by is None:
        refuse("--end takes neither --for nor --comment")
    if as_json and not listed:
        refuse("--json is for --list")


def _take_back(found: Sequence[Alert], store: Store, who: str) -> Exit:
    changes.take_back(store, found, who, system_clock())
    for alert in found:
        click.echo(f"{alert.id[:8]} is no longer acknowledged: {clean(alert.summary)}")
    return Exit.DONE


def _in_force(store: Store) -> Iterator[tuple[Acknowledgement, Alert]]:
    """Yield what holds now, with the alert that was named."""
    alerts, said = store.book.known(), store.book.acknowledgements()
    known, by_id, now = AlertsKnown(alerts, said), {alert.id: alert for alert in alerts}, system_clock()
    for one in sorted(said, key=lambda one: one.at):
        alert = by_id.get(one.alert)
        if alert and known.acknowledged(alert.key.matter, now) == one:
            yield one, alert


def _list(store: Store, settings: Settings, *, as_json: bool) -> Exit:
    zone: tzinfo = settings.zone

    def json(one: tuple[Acknowledgement, Alert]) -> dict[str, object]:
        return json_fields(one[0], "alert", "by", "at", "until", "comment", zone=zone) | {"summary": one[1].summary}

    def row(one: tuple[Acknowledgement, Alert]) -> tuple[str, ...]:
        said, alert = one
        until = when(said.until, zone) if said.until else "it ends"
        return alert.id[:8], clean(said.by), when(said.at, zone), until, clean(said.comment), clean(alert.summary)

    headings = ("ID", "BY", "AT", "UNTIL", "COMMENT", "WHAT")
    found, none = list(_in_force(store)), "Nothing is acknowledged."
    return print_list("acknowledged", found, json if as_json else None, headings, row, none=none, wraps="WHAT")
