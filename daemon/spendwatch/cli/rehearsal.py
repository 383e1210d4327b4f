"""A round on a copy of the state: everything is computed, nothing is changed, nothing is sent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from spendwatch.app import App
from spendwatch.cli.exits import Exit
from spendwatch.cli.outcome import attempted
from spendwatch.domain.count import counted
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.notification import Notification
from spendwatch.domain.statement import SourceName
from spendwatch.settings import Settings
from spendwatch.sources.config import FolderConfig, OssConfig, SourceConfig
from spendwatch.sources.files.naming import readable
from spendwatch.sources.folder.listing import waiting
from spendwatch.sources.holding import waiting as fetched_and_waiting
from spendwatch.sources.oss.waiting import waiting as waiting_objects
from spendwatch.state import Store, opened_store
from spendwatch.store.copying import copy_all
from spendwatch.store.opening import open_database


@contextmanager
def copied_app(settings: Settings) -> Iterator[App]:
    """Give an app on a throw-away copy of the state."""
    with tempfile.TemporaryDirectory(prefix="spendwatch-") as folder:
        place = Path(folder)
        scratch = replace(settings, state=str(place / "copy.db"), spool=place / "spool", fetched=place / "sources")
        database = open_database(scratch.state)
        app = App(scratch, Store.of(database))
        try:
            _copy(settings, app.store)
            yield app
        finally:
            app.close()
            database.close()


def _copy(settings: Settings, into: Store) -> None:
    try:
        with opened_store(settings, read_only=True) as store:
            copy_all(store.database, into.database)
    except LedgerUnavailableError as error:
        click.echo(f"starting from an empty ledger: {error}", err=True)


def rehearse(settings: Settings) -> Exit:
    """Show what a full round would record and say."""
    with copied_app(settings) as app:
        code, since = Exit.DONE, app.clock()
        for name, config in settings.sources.items():
            for path, called in _waiting(name, config, settings):
                outcome = attempted(app, path, source=name, called=called)
                click.echo(f"  {outcome.text}")
                code = max(code, outcome.code)
        app.assess()
        show_said(app, since)
        return code


def said_since(app: App, since: datetime) -> list[Notification]:
    """Return every notification that was committed to the copy since then."""
    found: dict[str, Notification] = {}
    for delivery in app.store.outbox.listing(limit=1000):
        if delivery.notification.created_at >= since:
            found.setdefault(delivery.notification.id, delivery.notification)
    return list(found.values())


def _waiting(name: SourceName, config: SourceConfig, settings: Settings) -> list[tuple[Path, str]]:
    """Say what lies there to be entered, and return it, each file with its name. Nothing is fetched: nobody is asked."""
    if isinstance(config, FolderConfig):
        folder = Path(config.path)
        files = waiting(folder, deep=config.recursive, others=settings.balance_files) if folder.is_dir() else []
        click.echo(f"{name}: {counted(len(files), 'file')} in {config.path}")
        return [(folder / file, readable(file)) for file in files]
    place = settings.fetched / name
    fetched = waiting_objects(place) if isinstance(config, OssConfig) else fetched_and_waiting(place)
    click.echo(f"{name}: {counted(len(fetched), 'file')} fetched and not entered yet; a dry run asks no endpoint for more")
    return fetched


def show_said(app: App, since: datetime) -> None:
    """Show every notification that was committed to the copy since then, as its readers would see it."""
    waiting = said_since(app, since)
    click.echo(f"{counted(len(waiting), 'notification')} would be sent")
    from spendwatch.channels.phrases import Language  # noqa: PLC0415 -- with the next line
    from spendwatch.channels.wording import Wording  # noqa: PLC0415 -- jinja costs 0.05 s

    wording = Wording(Language.EN, app.settings.zone)
    for notification in waiting:
        click.echo(f"\n--- to {', '.join(notification.channels)}: {wording.subject(notification)}\n")
        click.echo(wording.text(notification))
