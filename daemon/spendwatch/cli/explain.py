"""`explain`: an alert with the figures of its decision and those of now, the bills behind it, and every delivery."""

from __future__ import annotations

import click

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import json_option, refuse
from spendwatch.cli.screen import clean, console, print_json, table, the_one, when
from spendwatch.domain.alert import Rule
from spendwatch.domain.causes import Cause, Causes
from spendwatch.domain.count import counted
from spendwatch.domain.money import Money, plain, shown
from spendwatch.domain.period import parse_period
from spendwatch.exact_json import cause_json, json_fields, json_value
from spendwatch.jobs.overview_json import alert_json, held_json
from spendwatch.letters.charts import cause_named, share_text
from spendwatch.letters.json_body import facts_json
from spendwatch.letters.words import Words
from spendwatch.settings import Settings
from spendwatch.state import opened_store, system_clock
from spendwatch.views.explanation import (
    Explained,
    explained,
    figures,
    heading,
    held_text,
    troubles,
    without_deliveries,
    words_of,
)

_MOST_BILLS = 6


@click.command()
@click.argument("alert", required=False)
@click.option("--why-not", metavar="SCOPE", help="Why nothing was sent about this workspace, account, API key or finer budget.")
@click.option(
    "--rule", metavar="RULE", type=click.Choice(sorted({one.type for one in Rule})), help="With --why-not: only this."
)
@json_option
@click.pass_obj
def explain(place: Place, alert: str | None, *, why_not: str | None, rule: str | None, as_json: bool) -> int:
    """Show why ALERT (an id or its beginning) was sent: the rule, the figures then and now, the bills, who was notified.

    With --why-not and a name or id instead: the figures of now beside each threshold, floor and forecast, how much is missing,
    what was sent already, when and to whom, and what keeps messages back.
    """
    if (alert is None) == (why_not is None) or (rule and not why_not):
        refuse("give an ALERT, or --why-not SCOPE and perhaps --rule RULE")
    settings = place.settings()
    if why_not is not None:
        from spendwatch.cli.why_not import explain_why_not  # noqa: PLC0415 -- seldom needed

        return explain_why_not(settings, why_not, rule, as_json=as_json)
    assert alert is not None  # noqa: S101 -- one of both was given
    with opened_store(settings, read_only=True) as store:
        found = explained(
            the_one(store.book.find(alert), "alert", alert, "spendwatch alerts --all"), store, settings, system_clock()
        )
    if as_json:
        print_json(_json(found, settings))
    else:
        _print(found, settings)
    return Exit.DONE


# --- on the screen


def _print(found: Explained, settings: Settings) -> None:
    screen, alert = console(), found.alert
    screen.print(f"[bold]Alert {alert.id}[/bold]   {alert.severity.value}, {alert.state.value}")
    screen.print(f"{clean(alert.summary)}\n", soft_wrap=False)
    for label, value in heading(found, settings):
        screen.print(f"{label:<12}{clean(value)}")
    screen.print()
    told, words = found.told, words_of(alert, found.now, settings)
    then, now = dict(figures(told, words)) if told else {}, dict(figures(found.now, words))
    names = list(dict.fromkeys((*then, *now)))
    if names:
        rows = [(name, str(then.get(name, "-")), str(now.get(name, "-"))) for name in names]
        screen.print(table(("", "AT THE DECISION", "NOW"), rows, right=("AT THE DECISION", "NOW")))
    for line in troubles(found, words):
        screen.print(clean(line), soft_wrap=False)
    if told:
        period = parse_period(told.period) if told.period else None
        is_short = period is not None and period.kind.is_short
        since = f"on {told.spike.day}" if told.spike else f"of {told.period if is_short else 'the 7 days'} before the decision"
        _print_causes(f"Pay-as-you-go {since}", told.course.causes, words)
        _print_causes(f"Subscriptions of {told.period if is_short else 'the month'} until the decision", told.subscribed, words)
    month = str(found.now.spike.day) if found.now.spike else found.now.period
    _print_causes(f"What the spend of {month} is made of now", found.causes, words)
    _print_bills(found, settings)
    _print_deliveries(found, words)


def _print_causes(title: str, causes: Causes, words: Words) -> None:
    if not causes.rows:
        return
    has_before = any(cause.before is not None for cause in causes.all)

    def row(cause: Cause) -> tuple[str, ...]:
        what, who = cause_named(words, cause)
        before = shown(cause.before.amount) if cause.before else "-"
        return shown(cause.spent.amount), share_text(cause), *([before] if has_before else []), clean(what), clean(who)

    headings = ("SPEND", "SHARE", *(["WEEK BEFORE"] if has_before else []), "WHAT", "WHO")
    whole = Money.total((cause.spent.amount for cause in causes.all), causes.rows[0].spent.currency)
    console().print(f"\n{clean(title)}: {whole}")
    console().print(table(headings, [row(one) for one in causes.all], right=("SPEND", "SHARE", "WEEK BEFORE"), wraps="WHO"))


def _print_bills(found: Explained, settings: Settings) -> None:
    screen, decided = console(), found.alert.since
    then = [one for one in found.bills if one.received_at <= decided]
    later = found.bills[: len(found.bills) - len(then)]
    for title, bills in (("Bills behind the decision", then), ("Bills since then", later)):
        if bills:
            screen.print(f"\n{title}")
        for one in bills[:_MOST_BILLS]:
            counts = f"{counted(one.lines, 'line')}, {one.new} new, {one.changed} changed"
            screen.print(f"  {when(one.received_at, settings.zone)}  {counts}\n    {clean(one.name)}")
        if len(bills) > _MOST_BILLS:
            screen.print(f"  and {len(bills) - _MOST_BILLS} more")


def _print_deliveries(found: Explained, words: Words) -> None:
    screen = console()
    screen.print("\nDeliveries")
    for row in found.held:
        screen.print(clean(held_text(row, words)), soft_wrap=False)
    if not found.deliveries and found.held:
        return
    if not found.deliveries:
        screen.print(without_deliveries(found, words))
        return
    rows = [
        (
            one.notification.reason.value,
            one.channel,
            clean(one.target or "-"),
            one.state.value,
            str(one.attempts),
            words.moment(one.settled_at) if one.settled_at else "",
        )
        for one in found.deliveries
    ]
    screen.print(table(("REASON", "CHANNEL", "TARGET", "STATE", "TRIES", "SETTLED"), rows, right=("TRIES",), wraps="TARGET"))
    errors = dict.fromkeys((one.channel, one.target, one.last_error) for one in found.deliveries if one.last_error)
    for channel, target, error in errors:
        screen.print(f"  {channel}{f', {clean(target)}' if target else ''}: {clean(error)}", soft_wrap=False)
    for note in found.channels:
        screen.print(clean(note), soft_wrap=False)


# --- as JSON


def _json(found: Explained, settings: Settings) -> dict[str, object]:
    alert, zone = found.alert, settings.zone
    words = words_of(alert, found.told or found.now, settings)
    return {
        "schema_version": 1,
        "alert": alert_json(
            alert, zone, found.times_notified, is_undelivered=found.is_undelivered, acknowledged=found.acknowledged
        ),
        "rule": words.of_rule("rule"),
        "amount_when_fired": alert.amount or None,
        "decision": found.decision
        and found.told
        and {
            **json_fields(found.decision, "created_at", zone=zone, told_by="alert"),
            **facts_json(found.told, zone),
        },
        "now": {"at": json_value(system_clock(), zone), **facts_json(found.now, zone)},
        "causes": [cause_json(cause, "spend") for cause in found.causes.all],
        "made_of": [
            {**{dimension.value: value for dimension, value in spent.values.items()}, "currency": spent.currency}
            | {"spend": plain(spent.amount), "lines": spent.lines}
            for spent in found.made_of
        ],
        "bills": [
            json_fields(one, "name", "layout", "received_at", "lines", "new", "changed", zone=zone) for one in found.bills
        ],
        "held": [held_json(row, zone) for row in found.held],
        "deliveries": [
            json_fields(one, "id", notification="notification.id", reason="notification.reason")
            | json_fields(one, "channel", "target", "state", "attempts", "last_error", "settled_at", zone=zone)
            for one in found.deliveries
        ],
    }
