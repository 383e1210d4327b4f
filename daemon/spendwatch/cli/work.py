"""`run` and `once`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import closing

from spendwatch.domain.count import counted
from spendwatch.lean import without_rich

with without_rich():
    import structlog

# isort: split
import click

from spendwatch import __version__
from spendwatch.app import App
from spendwatch.cli import Place
from spendwatch.cli.options import json_option, refuse
from spendwatch.cli.outcome import exit_code, say_outside
from spendwatch.heartbeat import Heartbeat
from spendwatch.jobs.deliver import Settled
from spendwatch.logs import configure, hide
from spendwatch.schedule import Daemon
from spendwatch.settings import Settings, examine, load
from spendwatch.state import Store, opened_store

log = structlog.get_logger("spendwatch")

log_format = click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    default="auto",
    show_default=True,
    help="Log format: console on a terminal, JSON lines otherwise.",
)


@click.command()
@log_format
@click.pass_obj
def run(place: Place, log_format: str) -> None:
    """Run the daemon until SIGTERM or Ctrl-C. SIGHUP reloads the configuration, SIGUSR1 polls all sources now."""
    configure(log_format)
    settings = _examined(place)
    with opened_store(settings) as store:
        store.database.lock_for_life()
        log.info(
            "daemon_starting", version=__version__, state=store.database.place, database=store.database.version, pid=os.getpid()
        )
        heartbeat = Heartbeat(os.environ, time.monotonic, settings.heartbeat)
        with closing(App(settings, store, progress=lambda *_: _progressed(heartbeat, app))) as app:
            app.is_complete = True
            asyncio.run(_run(Daemon(app, heartbeat), app, settings))


async def _run(daemon: Daemon, app: App, settings: Settings) -> None:
    if settings.web is None:
        await daemon.run()
        return
    # Whoever wants no page does not pay for the server.
    from spendwatch.web.app import create_app  # noqa: PLC0415
    from spendwatch.web.server import serving  # noqa: PLC0415

    async with serving(create_app(app, settings.web), settings.web):
        await daemon.run()


def _progressed(heartbeat: Heartbeat, app: App) -> None:
    # A long bill is progress too: without this, the watchdog would end the daemon in the middle of it.
    for source in app.sources:
        heartbeat.progress(f"collect:{source}")


def _examined(place: Place) -> Settings:
    """Return the settings, and log every warning about them; where they are written is not kept."""
    examined = examine(place.path())
    settings = _hidden(examined.settings)
    for warning in examined.warnings():
        log.warning("config_warning", warning=str(warning))
    return settings


def _hidden(settings: Settings) -> Settings:
    """Return the settings, once no log shows their secrets."""
    for secret in settings.secrets:
        hide(secret)
    return settings


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be recorded and sent; change and send nothing.")
@json_option
@log_format
@click.pass_obj
def once(place: Place, log_format: str, *, dry_run: bool, as_json: bool) -> int:
    """Run one full round (collect, assess, deliver what is due), then exit.

    Exits with 65 if a bill was rejected, 69 if a receiver returned an error or an endpoint refuses until a person acts, 77 if
    an endpoint does not accept the credentials, 75 if something has to be tried again. A dry run calls no endpoint: it uses
    what was fetched before.
    """
    if as_json and not dry_run:
        refuse("--json needs --dry-run; a real round writes JSON logs with --log-format json")
    # What a dry run records and commits goes to a copy: that is no event.
    configure(log_format, level="warning" if dry_run else "info")
    settings = _hidden(load(place.path()))
    if dry_run:
        from spendwatch.cli.dry_run import rehearse  # noqa: PLC0415 -- seldom needed

        return rehearse(settings, as_json=as_json)
    with opened_store(settings) as store:
        store.database.lock_for_life()
        return _round(settings, store)


def _round(settings: Settings, store: Store) -> int:
    settled: list[Settled] = []
    with closing(App(settings, store)) as app:
        app.is_complete = True
        app.on_settled = settled.append
        app.clock_watch.check()
        recovered = store.outbox.take_up()
        if recovered:
            log.warning("deliveries_recovered", count=recovered)
        taken = asyncio.run(app.once())
    delivered = sum(not one.why for one in settled)
    entered = sum(bool(one.receipt and not one.receipt.repeated) for one in taken)
    done = f"{counted(entered, 'bill')} recorded, {counted(delivered, 'notification')} delivered."
    click.echo(done, file=sys.stderr)
    say_outside(settings, store, taken)
    failing = [source for source in store.health.sources() if source.failing_since and source.name in settings.sources]
    for source in failing:
        click.echo(f"source {source.name}: {source.trouble}", file=sys.stderr)
    unread = [one for one in store.balances.health().values() if one.failing_since and one.account in settings.balances]
    for balance in unread:
        click.echo(f"balance of {balance.account}: {balance.trouble}", file=sys.stderr)
    return exit_code(taken, settled, failing, unread)
