"""`schema`: what programs may rely on, as JSON Schema."""

from __future__ import annotations

import click

from spendwatch.cli.screen import print_json


@click.group()
def schema() -> None:
    """Print a JSON Schema (draft 2020-12); needs no configuration."""


@schema.command()
def webhook() -> None:
    """Print the schema of what a webhook is posted and a command reads."""
    from spendwatch.channels.body_schema import body_schema  # noqa: PLC0415 -- makes some hundred bodies

    print_json(body_schema())
