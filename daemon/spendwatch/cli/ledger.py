"""`ledger`: lists, verifies and removes recorded statements, and backs all of it up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import click

from spendwatch.app import App
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import actor, json_option, list_unless_told, only_month_option, refuse
from spendwatch.cli.outcome import waiting_text
from spendwatch.cli.rebuilding import Rebuilt, rebuilt, series_of
from spendwatch.cli.screen import clean, print_json, print_list, the_one, when
from spendwatch.domain.count import counted
from spendwatch.domain.errors import printable
from spendwatch.domain.merging import NewContent, plan_change
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import Digest, SeriesKey, SourceName
from spendwatch.exact_json import json_fields
from spendwatch.logs import configure
from spendwatch.settings import Settings, load
from spendwatch.state import Store, opened_store, scratch_database, system_clock
from spendwatch.store.audit import REMOVED, AuditEntry
from spendwatch.store.copying import copy_sums
from spendwatch.store.ledger import Ledger
from spendwatch.store.rebuilding import Mismatch, changes_of, mismatches, series_on_record
from spendwatch.store.statement import EnteredStatement
from spendwatch.views.listings import entered_json


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def ledger(ctx: click.Context, *, as_json: bool) -> None:
    """List, verify and remove recorded statements; back up the ledger."""
    list_unless_told(ctx, list_statements, as_json=as_json)


@ledger.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@json_option
@click.pass_obj
def list_statements(place: Place, limit: int = 50, *, as_json: bool = False) -> int:
    """List the statements on record, the latest first."""
    settings = place.settings()
    with opened_store(settings, read_only=True) as store:
        found = store.ledger.statements(limit)

    def row(one: EnteredStatement) -> tuple[str, ...]:
        months = ", ".join(period.label for period in one.periods)
        counts = map(str, (one.lines, one.new, one.changed, one.gone))
        received = when(one.received_at, settings.zone)
        return one.identity[:8], received, clean(one.source), one.layout, months, *counts, clean(one.name)

    counts = ("LINES", "NEW", "CHANGED", "GONE")
    headings = ("ID", "ENTERED", "SOURCE", "LAYOUT", "MONTHS", *counts, "FILE")
    none, json = "No statement on record.", partial(entered_json, zone=settings.zone)
    # Names of bills differ in their middle, by the time of the export.
    return print_list("statements", found, json if as_json else None, headings, row, none=none, right=counts, is_whole=True)


@ledger.command("audit")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@json_option
@click.pass_obj
def list_audit_entries(place: Place, limit: int, *, as_json: bool) -> int:
    """List manual changes, the latest first."""
    settings = place.settings()
    with opened_store(settings, read_only=True) as store:
        found = store.ledger.audit_entries(limit)

    def json(one: AuditEntry) -> dict[str, object]:
        return json_fields(one, "at", "actor", "action", "subject", "detail", zone=settings.zone)

    def row(one: AuditEntry) -> tuple[str, ...]:
        return when(one.at, settings.zone), clean(one.actor), one.action, clean(one.subject), clean(one.detail)

    headings = ("WHEN", "WHO", "WHAT", "SUBJECT", "DETAIL")
    none = "No manual changes."
    return print_list("audit", found, json if as_json else None, headings, row, none=none, wraps="DETAIL")


_files = click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))


@ledger.command(short_help="Compare the ledger with the archived bill files.")
@_files
@only_month_option
@json_option
@click.pass_obj
def verify(place: Place, files: tuple[Path, ...], month: BillingPeriod | None, *, as_json: bool) -> int:
    """Re-read the archived bill files and compare every amount with the ledger. Changes nothing.

    The files are searched in the archives of the sources; pass manually imported files as FILES. Exits with 1 if anything
    differs, or if an archived file is not on record although nobody removed it. Exits with 4 if files are missing, so that
    their months cannot be verified.
    """
    configure("auto", level="warning")
    settings = place.settings()
    with opened_store(settings, read_only=True) as store, scratch_database() as seen:
        # A daemon may record bills meanwhile: compare with the ledger as it was when the statements were listed.
        with store.database.snapshot():
            wanted = [one for one in store.ledger.statements() if month is None or month in one.periods]
            copy_sums(store.database, seen, month)
        on_record = series_on_record(seen)
        with rebuilt(settings, store, wanted, files) as found:
            unknown = {series for statement, _ in found.missing for series in series_of(statement)}
            checked = [series for series in on_record if series not in unknown]
            differing = list(mismatches(seen, found.store.database, checked))
            unrecorded = _unrecorded(store, found)
            if as_json:
                print_json(
                    _verdict(found, checked, differing, len(wanted))
                    | {"unrecorded": [{"source": source, "file": name} for source, name in unrecorded]}
                )
            else:
                for source, name in unrecorded:
                    click.echo(f"{source}: {printable(name)}: not on record; drop it again to have it counted", err=True)
                _show_verdict(found, checked, differing, len(wanted))
    if differing or unrecorded:
        return Exit.UNEXPECTED
    return Exit.STALE if found.missing else Exit.DONE


def _unrecorded(store: Store, found: Rebuilt) -> list[tuple[SourceName, str]]:
    """Return the archived files that are not on record although their statements were not removed."""
    removed = store.ledger.removed()
    others = ((digest, kept) for digest, kept in found.others.items() if digest not in removed)
    return sorted(kept for digest, kept in others if not store.ledger.has(digest))


def _show_verdict(found: Rebuilt, checked: Sequence[SeriesKey], differing: Sequence[Mismatch], statements: int) -> None:
    for statement, why in found.missing:
        click.echo(f"{statement.identity[:8]} {printable(statement.name)}: {why}", err=True)
    for trouble in found.troubles:
        click.echo(trouble, err=True)
    for one in differing:
        day = one.day
        click.echo(f"{day.day} of {day.account} by {day.series}: the ledger says {one.here}, the files say {one.there}")
    read = statements - len(found.missing)
    verdict = (
        f"{counted(len(differing), 'day')} {'differs' if len(differing) == 1 else 'differ'}"
        if differing
        else "all days are equal"
    )
    compared = f"{len(checked)} series compared: {verdict}" if checked else "nothing to compare"
    click.echo(f"{read} of {counted(statements, 'statement')} read again, {compared}.")


def _verdict(found: Rebuilt, checked: Sequence[SeriesKey], differing: Sequence[Mismatch], statements: int) -> dict[str, object]:
    return {
        "schema_version": 1,
        "statements": statements,
        "compared": [json_fields(one, "account", month="period", series="series") for one in checked],
        "differing": [
            json_fields(one.day, "account", month="period", series="series", day="day")
            | {"ledger": one.here, "files": one.there}
            for one in differing
        ],
        "missing": [{"statement": one.identity, "file": one.name, "why": why} for one, why in found.missing],
        "troubles": list(found.troubles),
    }


@ledger.command(short_help="Remove a statement, and compute its days without it.")
@click.argument("statement")
@_files
@click.option("--reason", default="", help="The reason, shown by `ledger audit`.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def remove(place: Place, statement: str, files: tuple[Path, ...], reason: str, *, yes: bool) -> int:
    """Remove STATEMENT (an id from `ledger list`, or its beginning) from the ledger.

    Its days are computed again from all other statements. If `retention` removed lines that are needed for it, the archived
    files of these statements are read again; pass manually imported files as FILES. `ledger audit` shows who removed it. The
    bill file itself stays in place. If it is dropped again, it is recorded again.
    """
    configure("auto", level="warning")
    settings = load(place.path(), with_secrets=False)
    with opened_store(settings) as store:
        found = the_one(store.ledger.find_statements(statement), "statement", statement, "spendwatch ledger list")
        return _remove(settings, store, found, files, reason, yes=yes)


@ledger.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def backup(place: Place, file: Path, *, as_json: bool) -> int:
    """Copy the ledger to the new FILE, also while the daemon runs. An existing file is never overwritten.

    It holds all that spendwatch stores: bills, alerts, deliveries, what sources remember. To restore it, stop the daemon, put
    FILE in the place of the ledger, and start the daemon: bills kept in `done/` that it lacks are read again.
    """
    settings = place.settings()
    if not file.absolute().parent.is_dir():
        refuse(f"there is no folder {file.parent}; create it with: mkdir -p {file.parent}")
    with opened_store(settings, read_only=True) as store:
        try:
            command = store.database.back_up(file)
        except FileExistsError:
            refuse(f"{file} already exists; name a new file.")
    if command:
        refuse(f"the ledger is in PostgreSQL. Back it up with:\n{command}")
    size = file.stat().st_size
    if as_json:
        print_json({"schema_version": 1, "file": str(file), "bytes": size})
    else:
        click.echo(f"{file}: the whole ledger, {size / 1_000_000:,.1f} MB")
    return Exit.DONE


def _remove(
    settings: Settings, store: Store, removed: EnteredStatement, files: Sequence[Path], reason: str, *, yes: bool
) -> Exit:
    series = store.ledger.series_of(removed.identity)
    held = store.ledger.held(series)
    plan = plan_change(held, held.without(removed.identity))
    given_up = store.ledger.given_up(plan.contents)
    with ExitStack() as stack:
        archived: dict[Digest, Ledger] = {}
        if given_up:
            tellers = {one.identity for one in held.statements if given_up.intersection(day.digest for day in one.days)}
            wanted = [one for one in store.ledger.statements() if one.identity in tellers]
            found = stack.enter_context(rebuilt(settings, store, wanted, files))
            if found.missing:
                return _cannot_compute(found)
            archived = dict.fromkeys(given_up, found.store.ledger)

        def lines(digest: Digest) -> bytes:
            return archived.get(digest, store.ledger).content(digest) or b""

        def ids(digest: Digest) -> bytes:
            return archived.get(digest, store.ledger).ids(digest) or b""

        reader = stack.enter_context(ReadingProcess.apart())
        resolution = stack.enter_context(reader.resolved(plan, lines, ids))
        changes = list(changes_of(store.database, resolution.days))
        for change in changes:
            day = change.day
            click.echo(f"{day.day} of {day.account} by {day.series}: {change.here} becomes {change.there}")
        if not changes:
            click.echo("No figure changes: other statements contain the same lines.")
        if not yes and not click.confirm(f"Remove {printable(removed.name)}?", err=True):
            return Exit.INTERRUPTED
        detail = "; ".join(filter(None, (f"{counted(len(changes), 'day')} changed", reason)))
        deed = AuditEntry(system_clock(), actor(), REMOVED, f"{removed.identity[:8]} {removed.name}", detail, removed.digest)
        counts = {day.digest: day.lines for one in held.statements for day in one.days}
        restored = (NewContent(one, counts[one], lines(one), ids(one)) for one in sorted(given_up))
        store.ledger.remove(removed.identity, resolution, deed, held=held, series=series, restored=restored)
    with closing(App(settings, store)) as app:
        waiting = app.assess()
    click.echo(f"Removed. {waiting_text(waiting)}")
    return Exit.DONE


def _cannot_compute(found: Rebuilt) -> Exit:
    for one, why in found.missing:
        click.echo(f"{one.identity[:8]} {printable(one.name)}: {why}", err=True)
    click.echo("Without these files the months cannot be computed without the statement: nothing was changed.", err=True)
    return Exit.TRY_AGAIN
