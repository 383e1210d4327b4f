"""`ack`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta, tzinfo

import click

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import DURATION, actor, json_option
from spendwatch.cli.screen import clean, print_list, the_one, when
from spendwatch.domain.alert import Acknowledgement, Alert
from spendwatch.domain.review import AlertsKnown
from spendwatch.exact_json import json_fields
from spendwatch.settings import Settings
from spendwatch.state import Store, opened_store, system_clock
from spendwatch.store.audit import AuditEntry


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
        if over := next((one for one in found if one.resolved_at), None):
            ended = when(over.resolved_at, settings.zone) if over.resolved_at else ""
            msg = f"{over.id[:8]} ended {ended}: there is nothing to acknowledge"
            raise click.BadParameter(msg, param_hint="ALERT")
        if ends:
            return _take_back(found, store, by)
        who, now = by or actor(), system_clock()
        said = [Acknowledgement(one.id, who, now, now + lasts if lasts else None, comment) for one in found]
        until = f"until {when(said[0].until, settings.zone)}" if said[0].until else "until it ends"
        detail = f"{until}: {comment}" if comment else until
        store.book.acknowledge(said, [_entry("acknowledge", one, detail, who) for one in found])
    for alert in found:
        click.echo(f"{alert.id[:8]} acknowledged by {clean(who)}: {clean(alert.summary)}")
    click.echo(f"No reminders and no escalation {until}, unless it gets more severe.")
    return Exit.DONE


def _check(alerts: tuple[str, ...], by: str | None, *, is_bare: bool, ends: bool, listed: bool, as_json: bool) -> None:
    if listed == bool(alerts):
        msg = "name at least one ALERT, or write --list alone"
        raise click.UsageError(msg)
    if listed and (ends or not is_bare):
        msg = "--list stands alone"
        raise click.UsageError(msg)
    if ends and not is_bare and by is None:
        msg = "--end takes neither --for nor --comment"
        raise click.UsageError(msg)
    if as_json and not listed:
        msg = "--json is for --list"
        raise click.UsageError(msg)


def _take_back(found: Sequence[Alert], store: Store, by: str | None) -> Exit:
    known = {alert.id: alert.key.matter for alert in store.book.known()}
    matters = {alert.key.matter for alert in found}
    ids = [one.alert for one in store.book.acknowledgements() if known.get(one.alert) in matters]
    acknowledged = {known[one] for one in ids}
    if free := next((alert for alert in found if alert.key.matter not in acknowledged), None):
        msg = f"{free.id[:8]} is not acknowledged; see `spendwatch ack --list`"
        raise click.BadParameter(msg, param_hint="ALERT")
    store.book.take_back(ids, [_entry("end acknowledgement", one, "", by or actor()) for one in found])
    for alert in found:
        click.echo(f"{alert.id[:8]} is no longer acknowledged: {clean(alert.summary)}")
    return Exit.DONE


def _entry(action: str, alert: Alert, detail: str, who: str) -> AuditEntry:
    return AuditEntry(system_clock(), who, action, f"{alert.id[:8]} {alert.summary}", detail)


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
