"""What `import` does: enters named files into the ledger, or shows what they say."""

from __future__ import annotations

from pathlib import Path

import click

from spendwatch.app import App
from spendwatch.bills.process import ReadingProcess
from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.progress import Progress
from spendwatch.cli.rehearsal import copied_app, receipt_text, rehearse_file, show_said
from spendwatch.cli.screen import clean, console, table
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from spendwatch.domain.money import shown
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.jobs.collect import enter, refusal_text
from spendwatch.jobs.overview import look
from spendwatch.logs import configure
from spendwatch.settings import Settings, load
from spendwatch.state import Store, opened_store

_BY_NAME = SourceName("import")


def import_files(place: Place, files: tuple[Path, ...], reader: ReadingProcess, progress: Progress, *, dry_run: bool) -> Exit:
    """Enter the files, or with `dry_run` only show what they say and what would be said."""
    configure("auto", level="warning")
    settings = load(place.path(), with_secrets=False)
    if dry_run:
        return _rehearse(settings, files)
    with opened_store(settings) as store, progress:
        return _import(App(settings, store, reader=reader), files, progress)


def _import(app: App, files: tuple[Path, ...], progress: Progress) -> Exit:
    code, entered = Exit.DONE, 0
    for path in files:
        file = BillFile(path.name, path, path.stat().st_size, _BY_NAME, app.clock())
        progress.begin(path.name)
        try:
            receipt = enter(file, app.desk())
        except UnreadableBillError as error:
            progress.end()
            click.echo(refusal_text(file, error), err=True)
            code = Exit.BILL
        except ReaderFailedError as error:
            progress.end()
            click.echo(f"{path.name}: {error}", err=True)
            code = max(code, Exit.TRY_AGAIN)
        else:
            progress.end()
            click.echo(receipt_text(path.name, receipt))
            for remark in receipt.statement.remarks:
                click.echo(f"  note: {remark}")
            if not receipt.repeated:
                entered += app.assess()
    if entered:
        click.echo(f"{entered} notifications wait in the outbox: the daemon sends them, or `spendwatch once`.", err=True)
    return code


def _rehearse(settings: Settings, files: tuple[Path, ...]) -> Exit:
    with copied_app(settings) as app:
        since = app.clock()
        code = max(rehearse_file(app, path, _BY_NAME) for path in files)
        _show_totals(app.store, settings, app)
        app.assess()
        show_said(app, since)
        return code


def _show_totals(store: Store, settings: Settings, app: App) -> None:
    months = {period for periods in store.ledger.periods().values() for period in periods}
    for month in sorted(months):
        _show_month(store, settings, app, month)


def _show_month(store: Store, settings: Settings, app: App, month: BillingPeriod) -> None:
    overview = look(
        store.ledger,
        store.book,
        store.health,
        settings.policies,
        settings.stale_after,
        zone=settings.zone,
        now=app.clock(),
        period=month,
    )
    rows = [
        (month.label, account.account, clean(line.workspace or "(no workspace)"), account.currency, shown(line.spend.amount))
        for account in overview.accounts
        for line in account.workspaces
        if line.lines
    ]
    headings = (("MONTH", "left"), (Dimension.ACCOUNT.upper(), "left"), ("WORKSPACE", "left"), ("", "left"), ("SPEND", "right"))
    console().print(table(headings, rows))
