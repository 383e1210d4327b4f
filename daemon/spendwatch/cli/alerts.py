"""`alerts`."""

from __future__ import annotations

import click

from spendwatch.cli import Place
from spendwatch.cli.options import json_option
from spendwatch.cli.screen import clean, console, marked, print_list, when
from spendwatch.domain.alert import Alert
from spendwatch.state import opened_store, system_clock
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
    screen = console()

    def json(alert: Alert) -> dict[str, object]:
        return found.json(alert, settings.zone)

    def row(alert: Alert) -> tuple[str, ...]:
        times = f"{found.notified.get(alert.id, 0)}x" if alert.times_told else "with another"
        times = "undelivered" if alert.id in found.undelivered else times
        since, state = when(alert.since, settings.zone), "acknowledged" if found.acknowledged(alert) else alert.state.value
        severity = marked(alert.severity.value, screen) if alert.is_firing else f"  {alert.severity.value}"
        return alert.id[:8], severity, state, since, times, clean(alert.summary)

    headings = ("ID", "SEVERITY", "STATE", "SINCE", "DELIVERED", "WHAT")
    none = "No alert on record." if everything else "No alert fires."
    return print_list("alerts", found.alerts, json if as_json else None, headings, row, none=none, wraps="WHAT")
