"""`deliveries` and `notify-test`."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from datetime import datetime

import click

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import json_option
from spendwatch.cli.screen import clean, print_list, the_one, when
from spendwatch.domain.alert import AlertId, AlertState, Rule
from spendwatch.domain.errors import DeliveryError, LedgerUnavailableError
from spendwatch.domain.notification import (
    Delivery,
    DeliveryState,
    Facts,
    Notification,
    NotificationId,
    Reason,
    first_attempt,
)
from spendwatch.domain.policy import ChannelName, Severity
from spendwatch.domain.scope import NamedScope, Subject
from spendwatch.exact_json import json_fields
from spendwatch.jobs.ports import Channel
from spendwatch.settings import Settings
from spendwatch.state import opened_store, system_clock


@click.group(invoke_without_command=True)
@click.pass_context
def deliveries(ctx: click.Context) -> None:
    """List, retry or cancel deliveries."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_deliveries)


@deliveries.command("list")
@click.option("--state", type=click.Choice([state.value for state in DeliveryState]), help="Only deliveries in this state.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@json_option
@click.pass_obj
def list_deliveries(place: Place, state: str | None = None, limit: int = 50, *, as_json: bool = False) -> int:
    """List deliveries, the newest first."""
    settings = place.settings()
    with opened_store(settings, read_only=True) as store:
        states = (DeliveryState(state),) if state else None
        found = store.outbox.listing(states=states, limit=limit)

    def row(one: Delivery) -> tuple[str, ...]:
        moment = when(one.settled_at or one.due_at, settings.zone)
        names = one.id[:8], one.channel, clean(one.target or "-"), one.state.value, str(one.attempts)
        return (*names, moment, clean(one.notification.type), clean(one.last_error))

    headings = ("ID", "CHANNEL", "TARGET", "STATE", "ATTEMPTS", "SETTLED OR DUE", "WHAT", "LAST ERROR")
    none = "No delivery on record."
    return print_list("deliveries", found, _json if as_json else None, headings, row, none=none, wraps="LAST ERROR")


def _json(delivery: Delivery) -> dict[str, object]:
    return {
        **json_fields(delivery, "id", notification="notification.id", alert="notification.alert", type="notification.type"),
        **json_fields(
            delivery, "channel", "target", "state", "attempts", "due_at", "settled_at", "maybe_repeated", "last_error"
        ),
    }


@deliveries.command()
@click.argument("delivery")
@click.pass_obj
def retry(place: Place, delivery: str) -> int:
    """Retry DELIVERY (an id or its beginning) now, even if it is dead."""
    settings = place.settings()
    with opened_store(settings) as store:
        found = the_one(store.outbox.find(delivery), "delivery", delivery, "spendwatch deliveries list")
        if found.channel not in settings.channels:
            msg = f"{found.id} cannot be sent: the configuration has no channel {found.channel!r}"
            raise click.BadParameter(msg, param_hint="DELIVERY")
        if found.state is DeliveryState.ATTEMPTING:
            with suppress(LedgerUnavailableError):  # a daemon runs, and knows what it is sending
                store.database.lock_for_life()
                store.outbox.take_up()
        (now,) = store.outbox.requeue(found.id, now=system_clock())
        if now.state is DeliveryState.PENDING:
            store.health.channel_worked(found.channel)
    return _retried(now)


def _retried(delivery: Delivery) -> Exit:
    match delivery.state:
        case DeliveryState.PENDING:
            click.echo(f"{delivery.id} is due now: the daemon or `spendwatch once` sends it.")
            return Exit.DONE
        case DeliveryState.ATTEMPTING:
            click.echo(f"{delivery.id} is being sent now; if that fails, the daemon retries.", err=True)
            return Exit.TRY_AGAIN
        case DeliveryState.DELIVERED | DeliveryState.CANCELLED | DeliveryState.DEAD:
            msg = f"{delivery.id} is {delivery.state.value}: only a waiting or dead delivery can be retried"
            raise click.BadParameter(msg, param_hint="DELIVERY")


@deliveries.command()
@click.argument("delivery")
@click.pass_obj
def cancel(place: Place, delivery: str) -> int:
    """Cancel DELIVERY (an id or its beginning). It stays on record as cancelled."""
    settings = place.settings()
    with opened_store(settings) as store:
        found = the_one(store.outbox.find(delivery), "delivery", delivery, "spendwatch deliveries list")
        store.outbox.cancel(found.id, now=system_clock())
    click.echo(f"{found.id} is cancelled.")
    return Exit.DONE


@click.command()
@click.argument("channel", required=False)
@click.pass_obj
def notify_test(place: Place, channel: str | None) -> int:
    """Send a message marked TEST over CHANNEL, or over every channel, and show the response."""
    from spendwatch.app import open_channels  # noqa: PLC0415 -- the other commands here only look
    from spendwatch.logs import configure, hide  # noqa: PLC0415 -- the same
    from spendwatch.settings.lint import UNUSED, used_channels  # noqa: PLC0415 -- the same

    configure("auto", level="error")
    settings = place.settings(with_secrets=True)
    for secret in settings.secrets:
        hide(secret)
    channels = open_channels(settings, system_clock)
    if channel is not None and channel not in channels:
        msg = f"there is no channel {channel!r}; configured are {', '.join(sorted(channels))}"
        raise click.BadParameter(msg, param_hint="CHANNEL")
    chosen = {name: one for name, one in channels.items() if channel in {None, name}}
    codes = {name: asyncio.run(_test(name, one)) for name, one in chosen.items()}
    _reopen(settings, {name for name, code in codes.items() if code is Exit.DONE})
    for name in sorted(codes.keys() - used_channels(settings.policies)):
        click.echo(f"warning: {name}: {UNUSED}", err=True)
    return max(codes.values(), default=Exit.DONE)


def _reopen(settings: Settings, passed: set[ChannelName]) -> None:
    """Use those channels again that had been disabled or called failing."""
    with suppress(LedgerUnavailableError):
        with opened_store(settings, read_only=True) as store:
            troubled = {one.name for one in store.health.channels() if one.disabled or one.failures} & passed
        if not troubled:
            return
        with opened_store(settings) as store:
            for name in sorted(troubled):
                store.health.channel_worked(name)
                click.echo(f"{name} is enabled again")


async def _test(name: ChannelName, channel: Channel) -> Exit:
    code = Exit.DONE
    for target in channel.targets:
        where = f"{name} ({target})" if target else name
        try:
            await channel.send(_test_delivery(name, channel, target, system_clock()))
        except DeliveryError as error:
            click.echo(f"{where}: {error}", err=True)
            code = Exit.REFUSED
        else:
            click.echo(f"{where}: accepted")
    return code


def _test_delivery(name: ChannelName, channel: Channel, target: str, now: datetime) -> Delivery:
    test = uuid.uuid4().hex
    notification = Notification(
        id=NotificationId(f"test-{test[:16]}"),
        alert=AlertId(f"test-{test[16:]}"),
        rule=Rule.THRESHOLD_REACHED,
        reason=Reason.TEST,
        severity=Severity.NOTICE,
        state=AlertState.FIRING,
        since=now,
        created_at=now,
        channels=(name,),
        facts=Facts(name=name, scope=NamedScope(Subject.CHANNEL, name)),
    )
    return first_attempt(notification, name, target, channel.render(notification, target))
