"""Implements `import`: records files in the ledger, or shows their contents."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import click

from spendwatch.app import App
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.cli import Place
from spendwatch.cli.discovery import show_contents
from spendwatch.cli.dry_run import HeardBook, copied_app, show_said
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import refuse
from spendwatch.cli.outcome import IMPORTED, attempted, code_of, result_json, result_text, waiting_text
from spendwatch.cli.progress import Progress
from spendwatch.cli.screen import console, print_json, print_whole
from spendwatch.cli.totals import (
    months_of,
    outside_of,
    outside_text,
    series_json,
    series_text,
    spent_by_workspace,
    totals_json,
    totals_table,
)
from spendwatch.domain.errors import ConfigError
from spendwatch.domain.statement import SourceName
from spendwatch.jobs.collect import IngestResult
from spendwatch.jobs.spend_report import outside_json, told_by_several
from spendwatch.logs import configure
from spendwatch.settings import load
from spendwatch.settings.files import VARIABLE
from spendwatch.state import opened_store


def import_files(
    place: Place,
    files: tuple[Path, ...],
    reader: ReadingProcess,
    progress: Progress,
    *,
    source: str | None,
    dry_run: bool,
    as_json: bool,
) -> Exit:
    """Import the files; with `dry_run` only show what they contain and which notifications they would cause."""
    configure("auto", level="warning")
    try:
        path = place.path()
    except ConfigError:
        # Where one was named, or is needed, its absence is a mistake.
        if not dry_run or source is not None or place.config or os.environ.get(VARIABLE):
            raise
        return show_contents(files, reader, progress, as_json=as_json)
    settings = load(path, with_secrets=False)
    if source is not None and source not in settings.sources:
        known = ", ".join(settings.sources) or "none"
        refuse(f"no source is called {source!r}; configured are {known}", "--source")
    name = SourceName(source) if source else IMPORTED
    if dry_run:
        with copied_app(settings) as (app, book):
            return _import(app, book, files, name, as_json=as_json, is_dry=True)
    with opened_store(settings) as store:
        book = HeardBook(store.database)
        app = App(settings, store._replace(book=book), reader=reader)
        return _import(app, book, files, name, progress, as_json=as_json)


def _import(
    app: App,
    book: HeardBook,
    files: tuple[Path, ...],
    source: SourceName,
    progress: Progress | None = None,
    *,
    as_json: bool,
    is_dry: bool = False,
) -> Exit:
    products, outcomes = app.settings.policies.products, []
    before = spent_by_workspace(app.store.ledger, products) if is_dry else {}
    for outcome in _entered(app, files, source, progress):
        outcomes.append(outcome)
        if not as_json:
            click.echo(result_text(outcome), err=outcome.receipt is None and not is_dry)
    told = {period for outcome in outcomes if outcome.receipt for period in outcome.receipt.statement.periods}
    months = [month for month in months_of(app.store.ledger) if month in told]
    after = spent_by_workspace(app.store.ledger, products) if is_dry else {}
    series = list(told_by_several(app.store.ledger, products, months)) if is_dry else []
    outside = outside_of(app.store.ledger, products, months)
    if as_json:
        document = {"schema_version": 1, "files": [result_json(outcome, app.settings.zone) for outcome in outcomes]}
        if is_dry:
            document |= {
                "totals": totals_json(before, after, months, app.settings.policies.names),
                "series": [series_json(one) for one in series],
            }
        print_json({**document, "not_watched": outside_json(outside), "notifications": len(book.said)})
        return code_of(outcomes)
    if is_dry and months:
        screen = console()
        print_whole(screen, totals_table(screen, before, after, months, app.settings.policies.names))
    for one in series:
        click.echo(series_text(one))
    if outside:
        click.echo(outside_text(products, outside), err=not is_dry)
    if is_dry:
        show_said(book.said.values(), app.settings.zone)
    elif book.said:
        click.echo(waiting_text(len(book.said)), err=True)
    return code_of(outcomes)


def _entered(app: App, files: tuple[Path, ...], source: SourceName, progress: Progress | None = None) -> Iterator[IngestResult]:
    """Enter the files one after the other, each of them judged before the next; yield what became of it."""
    has_news = False
    with app.entering(source):
        for path in files:
            with progress.of(path.name) if progress else nullcontext():
                outcome = attempted(app.desk(source), path, source=source)
            if outcome.receipt and not outcome.receipt.repeated:
                app.assess()
                has_news = True
            yield outcome
    if has_news:
        app.assess()
