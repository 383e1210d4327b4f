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
from spendwatch.domain.errors import LedgerUnavailableError, ReaderFailedError, UnreadableBillError
from spendwatch.domain.notification import Notification
from spendwatch.domain.statement import BillFile, Receipt, SourceName
from spendwatch.jobs.collect import enter, refusal_text
from spendwatch.settings import Settings
from spendwatch.sources.listing import waiting
from spendwatch.sources.naming import readable
from spendwatch.state import Store, opened_store
from spendwatch.store.copying import copy_all
from spendwatch.store.database import open_database


@contextmanager
def copied_app(settings: Settings) -> Iterator[App]:
    """Give an app on a throw-away copy of the state."""
    with tempfile.TemporaryDirectory(prefix="spendwatch-") as folder:
        scratch = replace(settings, state=str(Path(folder) / "copy.db"), spool=Path(folder) / "spool")
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
            folder = Path(config.path)
            files = waiting(folder, deep=config.recursive, others=settings.balance_files) if folder.is_dir() else []
            click.echo(f"{name}: {len(files)} files in {config.path}")
            for file in files:
                code = max(code, rehearse_file(app, folder / file, name, called=readable(file)))
        app.assess()
        show_said(app, since)
        return code


def rehearse_file(app: App, path: Path, source: SourceName, *, called: str = "") -> Exit:
    """Enter one file into the copy, called so or as its path ends, and show what it says; return the exit code."""
    name = called or path.name
    if not path.stat().st_size:
        click.echo(f"  {name}: empty, left alone")
        return Exit.DONE
    file = BillFile(name, path, path.stat().st_size, source, app.clock())
    try:
        receipt = enter(file, app.desk())
    except UnreadableBillError as error:
        click.echo(refusal_text(file, error))
        return Exit.BILL
    except ReaderFailedError as error:
        click.echo(f"  {name}: {error}")
        return Exit.TRY_AGAIN
    click.echo(f"  {receipt_text(name, receipt)}")
    return Exit.DONE


def receipt_text(name: str, receipt: Receipt) -> str:
    """Return what was taken in from a file, on one line."""
    statement = receipt.statement
    if receipt.repeated:
        return f"{name}: entered before, nothing to do"
    months = ", ".join(period.label for period in statement.periods) or "no month"
    accounts = ", ".join(statement.accounts) or "no account"
    return (
        f"{name}: {statement.layout}, account {accounts}, {months}, {statement.lines} lines: "
        f"{receipt.new} new, {receipt.changed} changed, {receipt.same} same"
    )


def show_said(app: App, since: datetime) -> None:
    """Show every notification that was committed to the copy since then, as its readers would see it."""
    waiting: dict[str, Notification] = {}
    for delivery in app.store.outbox.listing(limit=1000):
        if delivery.notification.created_at >= since:
            waiting.setdefault(delivery.notification.id, delivery.notification)
    click.echo(f"{len(waiting)} notifications would be sent")
    from spendwatch.channels.phrases import Language  # noqa: PLC0415 -- with the next line
    from spendwatch.channels.wording import Wording  # noqa: PLC0415 -- jinja costs 0.05 s

    wording = Wording(Language.EN, app.settings.zone)
    for notification in waiting.values():
        click.echo(f"\n--- to {', '.join(notification.channels)}: {wording.subject(notification)}\n")
        click.echo(wording.text(notification))
