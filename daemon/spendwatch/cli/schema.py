"""`schema`: what programs and editors may rely on, as JSON Schema."""

from __future__ import annotations

import json

import click

from spendwatch.cli.screen import print_json


@click.group()
def schema() -> None:
    """Print a JSON Schema (draft 2020-12); needs no configuration."""


@schema.command(short_help="Print the schema of spendwatch.yaml, or of a workspace file.")
@click.option("--workspace", is_flag=True, help="That of the files in workspaces/.")
def config(*, workspace: bool) -> None:
    """Print the schema of spendwatch.yaml, for editors that check and complete YAML.

    A file names its schema in its first line: `# yaml-language-server: $schema=spendwatch.schema.json`. `init` writes both
    schemas; after an upgrade, write them again with this command.
    """
    from spendwatch.settings.json_schema import MAIN_SCHEMA, WORKSPACE_SCHEMA, json_schemas  # noqa: PLC0415 -- pydantic

    click.echo(json_schemas()[WORKSPACE_SCHEMA if workspace else MAIN_SCHEMA], nl=False)


@schema.command()
def webhook() -> None:
    """Print the schema of what a webhook is posted and a command reads."""
    from spendwatch.letters.json_body import BODY_SCHEMA  # noqa: PLC0415 -- all of the wording

    print_json(json.loads(BODY_SCHEMA.read_bytes()))
