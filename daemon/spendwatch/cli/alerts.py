"""`alerts`."""

from __future__ import annotations

import click

from spendwatch.cli import Place
from spendwatch.cli.options import json_option
from spendwatch.cli.screen import clean, console, marked, print_list, when
from spendwatch.domain.alert import Acknowledgement, Alert
from spendwatch.domain.review import AlertsKnown
from spendwatch.jobs.overview_json import alert_json
from spendwatch.state import opened_store, system_clock


@click.command()
@click.option("--all", "everything", is_flag=True, help="Include alerts that have ended.")
@json_option
@click.pass_obj
def alerts(place: Place, *, everything: bool, as_json: bool) -> int:
    """List firing alerts, or all alerts."""
    settings = place.settings()
    with opened_store(settings, read_only=True) as store:
        found = [alert for alert in store.book.alerts() if everything or alert.is_firing]
        known = AlertsKnown(store.book.known(), store.book.acknowledgements())
        notified, undelivered = store.book.notified(), {which for one in store.book.undelivered() for which in one.alerts}

    now, screen = system_clock(), console()

    def said(alert: Alert) -> Acknowledgement | None:
        return known.acknowledged(alert.key.matter, now) if alert.is_firing else None

    def json(alert: Alert) -> dict[str, object]:
        is_lost, zone = alert.id in undelivered, settings.zone
        return alert_json(alert, zone, notified.get(alert.id, 0), is_undelivered=is_lost, acknowledged=said(alert))

    def row(alert: Alert) -> tuple[str, ...]:
        times = f"{notified.get(alert.id, 0)}x" if alert.times_told else "with another"
        times = "undelivered" if alert.id in undelivered else times
        since = when(alert.since, settings.zone)
        severity = marked(alert.severity.value, screen) if alert.is_firing else f"  {alert.severity.value}"
        return alert.id[:8], severity, "acknowledged" if said(alert) else alert.state.value, since, times, clean(alert.summary)

    headings = ("ID", "SEVERITY", "STATE", "SINCE", "DELIVERED", "WHAT")
    none = "No alert on record." if everything else "No alert fires."
    return print_list("alerts", found, json if as_json else None, headings, row, none=none, wraps="WHAT")
