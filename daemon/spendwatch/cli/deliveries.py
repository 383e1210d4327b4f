"""`deliveries` and `notify-test`."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Set as AbstractSet
from contextlib import redirect_stdout, suppress
from functools import partial
from typing import NamedTuple

import click

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import actor, json_option, list_unless_told, refuse
from spendwatch.cli.screen import clean, console, flow, marked, print_json, print_list, the_one, when
from spendwatch.domain.count import counted
from spendwatch.domain.delivery import DeliveryState
from spendwatch.domain.errors import DeliveryError, LedgerUnavailableError
from spendwatch.domain.notification import Delivery, Notification, first_attempt
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.suggestions import did_you_mean, suggestion
from spendwatch.exact_json import json_fields
from spendwatch.jobs.ports import Channel
from spendwatch.jobs.sample_alert import FIRST, as_test, samples
from spendwatch.settings import Settings
from spendwatch.state import Store, opened_store, system_clock
from spendwatch.views import changes
from spendwatch.views.listings import ListedDeliveries
from spendwatch.views.moments import channel_notes


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def deliveries(ctx: click.Context, *, as_json: bool) -> None:
    """List, retry or cancel deliveries."""
    list_unless_told(ctx, list_deliveries, as_json=as_json)


@deliveries.command("list")
@click.option("--state", type=click.Choice([state.value for state in DeliveryState]), help="Only deliveries in this state.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@json_option
@click.pass_obj
def list_deliveries(place: Place, state: str | None = None, limit: int = 50, *, as_json: bool = False) -> int:
    """List deliveries, the newest first."""
    settings = place.settings()
    with opened_store(settings, read_only=True) as store:
        found = ListedDeliveries.of(store, settings, system_clock(), (DeliveryState(state),) if state else None, limit)

    def row(one: Delivery) -> tuple[str, ...]:
        moment = when(one.settled_at or found.next_attempt(one) or one.due_at, settings.zone)
        names = one.id[:8], one.channel, clean(one.target or "-"), one.state.value, str(one.attempts)
        return (*names, moment, clean(one.notification.type), clean(one.last_error))

    headings = ("ID", "CHANNEL", "TARGET", "STATE", "ATTEMPTS", "SETTLED OR NEXT", "WHAT", "LAST ERROR")
    none, less = "No delivery on record.", ("ATTEMPTS", "WHAT")
    json = partial(found.json, zone=settings.zone)
    if not as_json:
        screen = console(err=True)
        for note in channel_notes(found.channels, found.now, settings.zone):
            screen.print(flow(screen, [marked("warning", screen, clean(note))]))
    return print_list(
        "deliveries", found.deliveries, json if as_json else None, headings, row, none=none, wraps="LAST ERROR", less=less
    )


_delivery = click.argument("delivery", required=False)


@deliveries.command(short_help="Retry deliveries now, even if they are dead.")
@_delivery
@click.option("--all", "everything", is_flag=True, help="All deliveries that have not arrived.")
@click.option("--channel", metavar="NAME", help="All of this channel that have not arrived.")
@click.pass_obj
def retry(place: Place, delivery: str | None, channel: str | None, *, everything: bool) -> int:
    """Retry DELIVERY (an id or its beginning) now, even if it is dead; or all waiting and dead ones."""
    settings = place.settings()
    with opened_store(settings) as store:
        if delivery is None or channel or everything:
            return _retry_all(settings, store, _named(store, settings, delivery, channel, everything=everything))
        found = the_one(store.outbox.find(delivery), "delivery", delivery, "spendwatch deliveries list")
        try:
            now = changes.retry(store, settings, found.id, system_clock())
        except ValueError as error:
            refuse(str(error), "DELIVERY")
        quiet = settings.routes[now.channel].quiet_until(now.notification.loudness, system_clock())
    return _retried(now, when(quiet, settings.zone) if quiet else "")


def _named(
    store: Store, settings: Settings, delivery: str | None, channel: str | None, *, everything: bool
) -> AbstractSet[ChannelName]:
    """Return the channels that are meant, configured or with deliveries on record."""
    if (delivery is not None) + (channel is not None) + everything != 1:
        refuse("name one DELIVERY, or --channel NAME, or --all")
    known = settings.channels.keys() | {name for name, _ in store.outbox.counts()}
    if channel is not None and channel not in known:
        refuse(f"there is no channel {channel!r}; known are {', '.join(sorted(known))}", "--channel")
    return {name for name in known if channel in {None, name}}


def _retry_all(settings: Settings, store: Store, channels: AbstractSet[ChannelName]) -> Exit:
    changes.take_up(store)
    reachable = channels & settings.channels.keys()
    count = store.outbox.requeue(channels=reachable, now=system_clock())
    store.health.retry_channels(reachable)
    if gone := sorted(channels - reachable):
        click.echo(f"Not retried, because the configuration does not have the channel any more: {', '.join(gone)}", err=True)
    due = counted(count, "delivery is", "deliveries are")
    click.echo(f"{due} due now: the daemon or `spendwatch once` retries." if count else "No delivery is waiting or dead.")
    return Exit.DONE


def _retried(delivery: Delivery, quiet: str) -> Exit:
    if delivery.state is DeliveryState.ATTEMPTING:
        click.echo(f"{delivery.id} is being sent now; if that fails, the daemon retries.", err=True)
        return Exit.TRY_AGAIN
    if delivery.state is not DeliveryState.PENDING:
        refuse(f"{delivery.id} is {delivery.state.value}: only a waiting or dead delivery can be retried", "DELIVERY")
    later = f"{delivery.id} is sent after quiet hours, at {quiet}."
    click.echo(later if quiet else f"{delivery.id} is due now: the daemon or `spendwatch once` sends it.")
    return Exit.DONE


@deliveries.command()
@_delivery
@click.option("--all", "everything", is_flag=True, help="All deliveries that wait.")
@click.option("--channel", metavar="NAME", help="All of this channel that wait.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def cancel(place: Place, delivery: str | None, channel: str | None, *, everything: bool, yes: bool) -> int:
    """Cancel DELIVERY (an id or its beginning), or all that wait. They stay on record as cancelled."""
    settings = place.settings()
    with opened_store(settings) as store:
        if delivery is None or channel or everything:
            channels = _named(store, settings, delivery, channel, everything=everything)
            if not yes and not click.confirm(f"Cancel everything that waits for {', '.join(sorted(channels))}?", err=True):
                return Exit.INTERRUPTED
            count = store.outbox.cancel(channels=channels, now=system_clock())
            click.echo(f"{counted(count, 'delivery is', 'deliveries are')} cancelled.")
            return Exit.DONE
        found = the_one(store.outbox.find(delivery), "delivery", delivery, "spendwatch deliveries list")
        store.outbox.cancel(found.id, now=system_clock())
        (now,) = store.outbox.find(found.id)
    if now.state is not DeliveryState.CANCELLED:
        refuse(f"{now.id} is {now.state.value}: only a waiting delivery can be cancelled", "DELIVERY")
    click.echo(f"{now.id} is cancelled.")
    return Exit.DONE


@click.command()
@click.argument("channel", required=False)
@click.option(
    "--like",
    metavar="NAME",
    default=FIRST,
    show_default=True,
    help="Which message to show: overdue, forecast, digest, report, resolved, …, or a rule's type like spend.spike.",
)
@json_option
@click.pass_obj
def notify_test(place: Place, channel: str | None, *, like: str, as_json: bool) -> int:
    """Send a message marked TEST over CHANNEL, or over every channel, and show what the receiver answers.

    Its figures are invented. There is a sample of every message that spendwatch sends: an unknown NAME lists them.
    """
    from spendwatch.app import open_channels  # noqa: PLC0415 -- the other commands here only look
    from spendwatch.logs import configure, hide  # noqa: PLC0415 -- the same
    from spendwatch.settings.lint import UNUSED, used_channels  # noqa: PLC0415 -- the same

    configure("auto", level="error")
    settings = place.settings(with_secrets=True)
    for secret in settings.secrets:
        hide(secret)
    # The console channel prints its message to standard output, which holds the document and nothing else.
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        channels = open_channels(settings, system_clock)
        if channel is not None and channel not in channels:
            refuse(f"there is no channel {channel!r}; {suggestion(channel, channels)}", "CHANNEL")
        chosen = {name: one for name, one in channels.items() if channel in {None, name}}
        messages = {name: _sample(like, name, settings) for name in chosen}
        tests = [test for name, one in chosen.items() for test in asyncio.run(_test(name, one, messages[name]))]
        failed = {test.channel for test in tests if test.error}
        _reopen(settings, chosen.keys() - failed)
    if as_json:
        names = "channel", "target", "error", "answer", "milliseconds"
        told = [json_fields(test, *names) | {"accepted": not test.error} for test in tests]
        print_json({"schema_version": 1, "tests": told})
    for name in sorted(chosen.keys() - used_channels(settings.policies)):
        click.echo(f"warning: {name}: {UNUSED}", err=True)
    return Exit.REFUSED if failed else Exit.DONE


def _reopen(settings: Settings, passed: AbstractSet[ChannelName]) -> None:
    """Use those channels again that had been disabled or called failing."""
    with suppress(LedgerUnavailableError):
        with opened_store(settings, read_only=True) as store:
            troubled = {one.name for one in store.health.channels() if one.disabled or one.failures} & passed
        if not troubled:
            return
        with opened_store(settings) as store:
            store.outbox.free(troubled, now=system_clock())
            for name in sorted(troubled):
                store.health.channel_worked(name)
                click.echo(f"{name} is enabled again: what waits for it is sent now")


class _Test(NamedTuple):
    channel: ChannelName
    target: str
    error: str
    """Empty where it was accepted."""
    answer: str
    """What the receiver said, where it accepted it."""
    milliseconds: int


def _sample(like: str, channel: ChannelName, settings: Settings) -> Notification:
    """Return the message that is meant by the short name of a sample or the type of its rule."""
    every = samples(channel, settings.policies, now=system_clock(), zone=settings.zone)
    found = every.get(like) or next((one for one in every.values() if one.rule.type == like), None)
    if found is None:
        hint = did_you_mean(like, every) or f"known: {', '.join(sorted(every))}"
        refuse(f"there is no sample {like!r}; {hint}", "--like")
    return as_test(found, settings.policies, who=f"{actor()} on {socket.gethostname()}")


async def _test(name: ChannelName, channel: Channel, sample: Notification) -> list[_Test]:
    found = []
    for target in channel.targets:
        error, answer, begun = "", None, time.monotonic()
        try:
            answer = await channel.send(first_attempt(sample, name, target, channel.render(sample, target)))
        except DeliveryError as refused:
            error = str(refused)
        took = time.monotonic() - begun
        found.append(_Test(name, target, error, answer or "", int(took * 1000)))
        said = error or f"accepted in {took:.2f} s{f': {clean(answer)}' if answer else ''}"
        click.echo(f"{f'{name} ({target})' if target else name}: {said}", err=bool(error))
    return found
