"""`import`: the same reader on named files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from spendwatch.bills.process import ReadingProcess
from spendwatch.cli import Place
from spendwatch.cli.options import json_option
from spendwatch.cli.progress import Progress


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", metavar="NAME", help="Read them as that source's: its account, kind and layout count.")
@click.option("--dry-run", is_flag=True, help="Show what the files say and what would be said; record nothing.")
@json_option
@click.pass_obj
def import_bills(place: Place, files: tuple[Path, ...], source: str | None, *, dry_run: bool, as_json: bool) -> int:
    """Read bill files by name and record what they say. The files stay where they are.

    Alerts that follow are put in the outbox; the daemon, or `spendwatch once`, delivers them.
    """
    progress = Progress()
    with (
        tempfile.TemporaryDirectory(prefix="spendwatch-") as exchange,
        ReadingProcess(Path(exchange), progress=progress.tell) as reader,
    ):
        if not dry_run:
            # Polars and all that follows are loaded at the same time, each on a core of its own.
            reader.prepare()
        from spendwatch.cli.importing import import_files  # noqa: PLC0415 -- see above

        return import_files(place, files, reader, progress, source=source, dry_run=dry_run, as_json=as_json)
