"""`init`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import BinaryIO

import click

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit

_FILES = (("spendwatch.yaml", "spendwatch.yaml"), ("workspace.yaml", "workspaces/research.yaml"))


_NEXT = """
Next:
  1. {folder}/spendwatch.yaml: write your account id, and fill in the mail block under `channels`.
  2. {folder}/workspaces/research.yaml: write the id of your workspace and its budget.
     If you have a bill, `spendwatch init NEW_FOLDER --from BILL` fills in all of this.
  3. spendwatch --config {folder} check
  4. spendwatch --config {folder} run, and put your bills into {folder}/inbox"""


class _TakesFiles(click.Command):
    """Lets a shell's pattern stand behind `--from`: all names up to the next option belong to it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        is_within = False
        for one in args:
            if one.startswith("-"):
                is_within = one == "--from"
            elif is_within and spread[-1] != "--from":
                spread.append("--from")
            spread.append(one)
        return super().parse_args(ctx, spread)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return ["[FOLDER]", "[--from FILE...]", "[OPTIONS]"]


@click.command(cls=_TakesFiles)
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--from", "bills", multiple=True, metavar="FILE...", type=click.Path(path_type=Path), help="Bills to start from.")
@click.option("--account", metavar="ID", help="The account that pays, where the bills do not name it.")
@click.option("--site", type=click.Choice(["cn", "intl"]), help="China or international; default: as the bills suggest.")
@click.option("--currency", metavar="CODE", help="The account's currency, where the bills do not name it.")
@click.option("--name", help="A name for the account.")
@click.option("--email", "emails", multiple=True, metavar="ADDRESS", help="Who is notified by mail (repeatable).")
@click.option("--smtp", metavar="HOST:PORT", help="The mail server; default: guessed from the address.")
@click.option("--smtp-user", "user", metavar="USER", help="Default, if there is a password: the first address.")
@click.option("--smtp-password-file", "password", metavar="FILE", type=click.File("rb"), help="Is copied. `-`: standard input.")
@click.option("--webhook", metavar="URL", help="An https address that gets signed JSON.")
@click.option("--workspace", "budgets", multiple=True, metavar="ID=BUDGET", help="A budget per month (repeatable).")
@click.option("--yes", is_flag=True, help="Ask nothing and accept what is suggested.")
@click.pass_obj
def init(
    place: Place,
    /,
    folder: Path | None,
    bills: tuple[Path, ...],
    password: BinaryIO | None,
    *,
    emails: tuple[str, ...],
    budgets: tuple[str, ...],
    yes: bool,
    **given: str | None,
) -> int:
    """Write a configuration to FOLDER (default: that of --config, else ./config), from bills and a few answers.

    It reads the bills, shows their accounts and workspaces, suggests budgets and asks for the rest. An option answers in
    advance; with --yes, or without a terminal, nothing is asked. Without any option it writes a commented example to edit.
    Existing files are never overwritten.
    """
    folder = folder or Path(place.config or "config")
    if not (bills or emails or budgets or yes or password or any(given.values())):
        return _write_example(folder)
    from spendwatch.cli.configuring import write_own  # noqa: PLC0415 -- pydantic and Polars' process take their time

    return write_own(
        folder, bills, emails=emails, budgets=budgets, password=password.read() if password else None, yes=yes, given=given
    )


def _write_example(folder: Path) -> Exit:
    from spendwatch.settings.json_schema import json_schemas  # noqa: PLC0415 -- pydantic costs 0.1 s

    templates = resources.files("spendwatch.cli").joinpath("templates")
    files = {target: templates.joinpath(name).read_text(encoding="utf-8") for name, target in _FILES} | dict(json_schemas())
    there = [target for target in files if (folder / target).exists()]
    if there:
        click.echo(f"{folder / there[0]} already exists; nothing was written. Use another folder, or edit that file.", err=True)
        return Exit.CONFIG
    for target, text in files.items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote {path}")
    (folder / "inbox").mkdir(exist_ok=True)
    click.echo(_NEXT.format(folder=folder))
    return Exit.DONE
