"""`demo`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import click

from spendwatch.cli.exits import Exit
from spendwatch.cli.options import refuse

_NEXT = """
Try next:
  spendwatch demo --keep demo         the same, and keeps the mails, the webhook calls and the ledger
  spendwatch init --from BILL         a configuration for your own bills"""

_KEPT = """
Kept in {folder}:
mails/ (open an .html file in a browser), webhooks/, the ledger. Try next:
  spendwatch --config {folder} explain ID     (an ID from the messages above)
  spendwatch --config {folder} status --month {month}
  spendwatch --config {folder} alerts --all
  spendwatch init --from BILL         a configuration for your own bills"""


@click.command()
@click.option(
    "--drop", "inbox", type=click.Path(file_okay=False, path_type=Path), help="Only write sample bills to this folder."
)
@click.option(
    "--keep",
    "kept",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep mails, webhook calls, configuration and ledger in this new folder.",
)
@click.option("--every", default=3.0, show_default=True, help="Seconds between two sample bills.")
def demo(inbox: Path | None, kept: Path | None, every: float) -> int:
    """Play a whole month on sample bills, with temporary state and local receivers. Needs no configuration or network.

    Budgets fill up, the balance falls below its floors, the account becomes overdue, its boss is notified, money comes in.
    """
    from spendwatch.demo.scene import last_month  # noqa: PLC0415 -- brings the whole house
    from spendwatch.demo.story import drop, tell  # noqa: PLC0415 -- the same
    from spendwatch.logs import configure  # noqa: PLC0415 -- the same

    configure("auto", level="critical")
    if inbox is not None:
        inbox.mkdir(parents=True, exist_ok=True)
        asyncio.run(drop(inbox, timedelta(seconds=every), lambda line: click.echo(line, err=True)))
        return Exit.DONE
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        if any(kept.iterdir()):
            refuse(f"{kept} is not empty; name a new folder.")
    said = asyncio.run(tell(click.echo, kept and kept.absolute()))
    click.echo(_KEPT.format(folder=kept, month=last_month().label) if kept else _NEXT)
    return Exit.DONE if said else Exit.UNEXPECTED
