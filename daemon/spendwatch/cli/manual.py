"""`schema`, `completion` and `man`: what editors and shells may know, made from the models and commands themselves."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator

import click
from click.shell_completion import get_completion_class

from spendwatch import __version__
from spendwatch.cli.exits import Exit

_KEPT = "\b"
"""With it click begins a paragraph whose lines stay as they are."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the script that completes commands and options in SHELL.

    \b
    bash: spendwatch completion bash > ~/.local/share/bash-completion/completions/spendwatch
    zsh:  spendwatch completion zsh > "${fpath[1]}/_spendwatch"
    fish: spendwatch completion fish > ~/.config/fish/completions/spendwatch.fish
    """  # noqa: D301 -- the backspace is one, by which click leaves the lines as they are
    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 -- the choice above names shells that click knows
    click.echo(made(ctx.find_root().command, {}, "spendwatch", "_SPENDWATCH_COMPLETE").source())
    return Exit.DONE


@click.command()
@click.pass_context
def man(ctx: click.Context) -> int:
    """Print the man page: spendwatch man > spendwatch.1, then man -l spendwatch.1."""
    root = ctx.find_root()
    lines = [f'.TH SPENDWATCH 1 "" "spendwatch {__version__}" "User Commands"', ".SH NAME"]
    lines += [f"spendwatch \\- {_escaped(root.command.get_short_help_str(200).rstrip('.'))}", ".SH SYNOPSIS"]
    lines += [_synopsis(root), ".SH DESCRIPTION", *_prose(root.command.help or ""), ".SH OPTIONS", *_options(root)]
    lines += [".SH COMMANDS"]
    for name, command in _commands(root):
        with click.Context(command, info_name=f"spendwatch {name}") as one:
            lines += [
                ".SS " + _escaped(f"spendwatch {name}"),
                _synopsis(one),
                ".PP",
                *_prose(command.help or ""),
                *_options(one),
            ]
    title, _, examples = (root.command.epilog or "").partition(":\n\n")
    lines += [f".SH {title.upper()}", *_prose(examples)]
    click.echo("\n".join(lines))
    return Exit.DONE


def _commands(ctx: click.Context, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its full name, groups before their own."""
    group = ctx.command
    assert isinstance(group, click.Group)  # noqa: S101 -- asked of groups only
    for name in group.list_commands(ctx):
        if (command := group.get_command(ctx, name)) and not command.hidden:
            yield before + name, command
            if isinstance(command, click.Group):
                yield from _commands(click.Context(command, parent=ctx), f"{before}{name} ")


def _synopsis(ctx: click.Context) -> str:
    pieces = " ".join(ctx.command.collect_usage_pieces(ctx))
    return f"\\fB{_escaped(ctx.info_name or '')}\\fR {_escaped(pieces)}"


def _prose(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text."""
    for number, paragraph in enumerate(inspect.cleandoc(text).split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith(_KEPT):
            yield from (".nf", *map(_escaped, paragraph.removeprefix(f"{_KEPT}\n").split("\n")), ".fi")
        else:
            yield _escaped(" ".join(paragraph.split()))


def _options(ctx: click.Context) -> Iterator[str]:
    for names, text in filter(None, (one.get_help_record(ctx) for one in ctx.command.params)):
        if text:
            yield from (".TP", f"\\fB{_escaped(names)}\\fR", _escaped(text))


def _escaped(text: str) -> str:
    """Return plain text that roff takes for nothing else."""
    line = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{line}" if line.startswith((".", "'")) else line


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
    from spendwatch.cli.screen import print_json  # noqa: PLC0415 -- rich, which the other commands do without
    from spendwatch.letters.json_body import BODY_SCHEMA  # noqa: PLC0415 -- all of the wording

    print_json(json.loads(BODY_SCHEMA.read_bytes()))
