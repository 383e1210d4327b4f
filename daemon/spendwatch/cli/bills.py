"""`import`: the same reader on named files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

import click

from spendwatch.app import App, hints_of
from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
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


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what the files say and what would be said; record nothing.")
@click.pass_obj
def import_bills(place: Place, files: tuple[Path, ...], *, dry_run: bool) -> int:
    """Read bill files by name and record what they say. The files stay where they are.

    Alerts that follow are put in the outbox; the daemon, or `spendwatch once`, delivers them.
    """
    configure("auto", level="warning")
    settings = load(place.path(), with_secrets=False)
    if dry_run:
        return _rehearse(settings, files)
    with opened_store(settings) as store, _Progress() as progress:
        app = App(settings, store, progress=progress.tell)
        try:
            return _import(app, files, progress)
        finally:
            app.close()


def _import(app: App, files: tuple[Path, ...], progress: _Progress) -> Exit:
    app.reader.prepare()
    code, entered = Exit.DONE, 0
    for path in files:
        file = BillFile(path.name, path, path.stat().st_size, _BY_NAME, app.clock())
        progress.begin(path.name)
        try:
            receipt = enter(file, reader=app.reader, ledger=app.store.ledger, hints=hints_of(app.settings), clock=app.clock)
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


class _Progress:
    """A bar on a terminal for work that takes long; nothing elsewhere."""

    def __init__(self) -> None:
        self._bar: object | None = None
        self._advance: Callable[[str, float], None] = lambda *_: None
        self._stop: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def begin(self, name: str) -> None:
        """Show a bar for the file."""
        screen = console(err=True)
        if not screen.is_terminal or os.environ.get("TERM") == "dumb":
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 -- only for a terminal

        bar = Progress(
            TextColumn("{task.fields[file]}"),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=screen,
            transient=True,
        )
        task = bar.add_task("reading", total=1.0, file=clean(name))
        bar.start()
        self._advance = lambda phase, share: bar.update(task, description=phase, completed=share)
        self._stop = bar.stop

    def tell(self, phase: str, share: float) -> None:
        """Move the bar: what is being done, and how far it has come (0 to 1)."""
        self._advance(phase, share)

    def end(self) -> None:
        """Take the bar away."""
        self._stop()
        self._advance, self._stop = (lambda *_: None), (lambda: None)
