"""`demo`, `init` and `check`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.domain.count import counted

if TYPE_CHECKING:
    from spendwatch.settings import Settings


@click.command()
@click.option(
    "--drop", "inbox", type=click.Path(file_okay=False, path_type=Path), help="Only put sample bills of this month there."
)
@click.option("--every", default=3.0, show_default=True, help="Seconds between two sample bills.")
def demo(inbox: Path | None, every: float) -> int:
    """Show a whole month on sample bills, with a scratch state and local receivers. Needs no configuration and no network."""
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


@click.command()
@click.argument("folder", default="config", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> int:
    """Write a commented configuration to FOLDER. What is there already is never overwritten."""
    there = [target for _, target in _FILES if (folder / target).exists()]
    if there:
        click.echo(f"{folder / there[0]} exists already; nothing was written.", err=True)
        return Exit.CONFIG
    for name, target in _FILES:
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        text = resources.files("spendwatch.cli").joinpath("templates", name).read_text(encoding="utf-8")
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote {path}")
    (folder / "inbox").mkdir(exist_ok=True)
    click.echo(f"\nNext: put in your account and workspace, then: spendwatch --config {folder} check")
    return Exit.DONE


@click.command()
@click.pass_obj
def check(place: Place) -> int:
    """Check everything in the configuration; start nothing, send nothing."""
    from spendwatch.settings import load  # noqa: PLC0415 -- pydantic costs 0.1 s

    path = place.path()
    settings = load(path)
    policies = settings.policies
    watched = sum(
        len(policy.thresholds) + sum(len(finer.thresholds) for finer in policy.budgets) for policy in policies.workspaces
    )
    watched += sum(
        len(policy.thresholds) + sum(len(finer.thresholds) for finer in policy.budgets) for policy in policies.accounts
    )
    counts = (
        counted(len(policies.accounts), "account"),
        counted(len(policies.workspaces), "workspace"),
        counted(watched, "threshold"),
        counted(len(settings.sources), "source"),
        counted(len(settings.channels), "channel"),
    )
    click.echo(f"{path}: ok ({', '.join(counts)})")
    for note in _notes(settings):
        click.echo(f"note: {note}", err=True)
    return Exit.DONE


def _notes(settings: Settings) -> Iterator[str]:
    """Yield what is no mistake, and worth a second thought."""
    for name, config in settings.sources.items():
        if config.type == "folder" and not Path(config.path).is_dir():
            yield f"source {name}: there is no folder {config.path} yet"
        elif config.type != "folder":
            yield f"source {name}: its endpoint was not asked; `spendwatch once` does"
    for file in settings.balance_files:
        if not file.is_file():
            yield f"there is no balance file {file} yet"
    by_bills = {policy.account: policy for policy in settings.accounts if policy.balance and policy.balance.cash is not None}
    for name, config in settings.sources.items():
        if config.type == "alibaba" and config.product and config.account in by_bills:
            called = by_bills[config.account].name or config.account
            yield (
                f"source {name} asks for the product {config.product} alone, and the balance of {called} "
                'takes what is unsettled from bills: what other products cost would be missing; write product: ""'
            )
