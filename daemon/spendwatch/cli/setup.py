"""`demo`, `init` and `check`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from importlib import resources
from pathlib import Path

import click

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import json_option


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


_FILES = (("spendwatch.yaml", "spendwatch.yaml"), ("workspace.yaml", "workspaces/research.yaml"))


_NEXT = """
Next:
  1. {folder}/spendwatch.yaml: write your account id, and fill in the mail block under `channels`.
  2. {folder}/workspaces/research.yaml: write the id of your workspace and its budget.
     Not sure about the ids? A bill shows them: spendwatch --config {folder} import BILL --dry-run
  3. spendwatch --config {folder} check
  4. spendwatch --config {folder} run, and put your bills into {folder}/inbox"""


@click.command()
@click.argument("folder", default="config", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> int:
    """Write a commented configuration to FOLDER. Existing files are never overwritten."""
    there = [target for _, target in _FILES if (folder / target).exists()]
    if there:
        click.echo(f"{folder / there[0]} already exists; nothing was written. Use another folder, or edit that file.", err=True)
        return Exit.CONFIG
    for name, target in _FILES:
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        text = resources.files("spendwatch.cli").joinpath("templates", name).read_text(encoding="utf-8")
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote {path}")
    (folder / "inbox").mkdir(exist_ok=True)
    click.echo(_NEXT.format(folder=folder))
    return Exit.DONE


@click.command()
@click.option("--strict", is_flag=True, help="Also exit with 78 on warnings.")
@json_option
@click.pass_obj
def check(place: Place, *, strict: bool, as_json: bool) -> int:
    """Check the configuration and show the policy as spendwatch understands it; start and send nothing.

    A mistake prevents the daemon from starting (exit code 78). A warning does not: it names settings that would leave somebody
    without an alert. If there is a ledger, ids and currencies are compared with the bills on record.
    """
    from spendwatch.cli.checking import check_all  # noqa: PLC0415 -- pydantic costs 0.1 s

    return check_all(place, strict=strict, as_json=as_json)
