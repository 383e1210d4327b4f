"""`init`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from spendwatch.cli.exits import Exit

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
