"""`import`: reads the files given on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from spendwatch.bills.client.process import ReadingProcess
from spendwatch.cli import Place
from spendwatch.cli.options import json_option
from spendwatch.cli.progress import Progress


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", metavar="NAME", help="Import them with the account, kind and layout of this source.")
@click.option("--dry-run", is_flag=True, help="Show what would be recorded and sent; change nothing.")
@json_option
@click.pass_obj
def import_bills(place: Place, files: tuple[Path, ...], source: str | None, *, dry_run: bool, as_json: bool) -> int:
    """Import bill files into the ledger. The files stay where they are.

    New alerts go to the outbox; the daemon or `spendwatch once` delivers them.
    """
    progress = Progress()
    with ReadingProcess.apart(progress.tell) as reader:
        if not dry_run:
            # Polars and all that follows are loaded at the same time, each on a core of its own.
            reader.prepare()
        from spendwatch.cli.importing import import_files  # noqa: PLC0415 -- see above

        return import_files(place, files, reader, progress, source=source, dry_run=dry_run, as_json=as_json)
