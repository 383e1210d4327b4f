"""`demo`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import click

from spendwatch.cli.exits import Exit


@click.command()
@click.option(
    "--drop", "inbox", type=click.Path(file_okay=False, path_type=Path), help="Only write sample bills to this folder."
)
@click.option("--every", default=3.0, show_default=True, help="Seconds between two sample bills.")
def demo(inbox: Path | None, every: float) -> int:
    """Play a whole month on sample bills, with temporary state and local receivers. Needs no configuration or network."""
    from spendwatch.demo.story import drop, tell  # noqa: PLC0415 -- brings the whole house
    from spendwatch.logs import configure  # noqa: PLC0415 -- the same

    configure("auto", level="error")
    if inbox is not None:
        inbox.mkdir(parents=True, exist_ok=True)
        asyncio.run(drop(inbox, timedelta(seconds=every), lambda line: click.echo(line, err=True)))
        return Exit.DONE
    said = asyncio.run(tell(click.echo))
    return Exit.DONE if said else Exit.UNEXPECTED
