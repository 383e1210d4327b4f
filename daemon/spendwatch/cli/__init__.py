"""The commands. Each imports what it needs when it is called, so that `--help` is fast."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from spendwatch import __version__
from spendwatch.cli.exits import Exit
from spendwatch.domain.count import counted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from spendwatch.settings import Settings

_EXAMPLES = """\b
  spendwatch demo                         play a whole month in half a minute
  spendwatch init --from *.csv            write a configuration to ./config from your bills
  spendwatch check                        find all mistakes in it
  spendwatch import bill.csv --dry-run    show what a bill says, without recording it
  spendwatch run                          run the daemon
  spendwatch status                       show spend, what is left, and firing alerts
"""

_COMMANDS = {
    "demo": ("spendwatch.cli.demo", "demo", "Play a whole month on sample bills; needs no configuration or network."),
    "init": ("spendwatch.cli.setup", "init", "Write a configuration, from bills or to edit."),
    "check": ("spendwatch.cli.checking", "check", "Check the configuration without sending anything."),
    "config": ("spendwatch.cli.effective", "config", "Show the settings in effect."),
    "run": ("spendwatch.cli.work", "run", "Run the daemon."),
    "once": ("spendwatch.cli.work", "once", "Run one full round (collect, assess, deliver), then exit."),
    "import": ("spendwatch.cli.bills", "import_bills", "Import bill files."),
    "status": ("spendwatch.cli.show", "status", "Show spend and budgets, balance, alerts, sources."),
    "report": ("spendwatch.cli.report", "report", "Show spend by day, workspace, key, model, …"),
    "balance": ("spendwatch.cli.balance", "balance", "Show the history of each balance."),
    "ledger": ("spendwatch.cli.ledger", "ledger", "List, verify, remove recorded statements; back up."),
    "export": ("spendwatch.cli.exporting", "export", "Export the ledger's lines in another format."),
    "alerts": ("spendwatch.cli.alerts", "alerts", "List alerts."),
    "ack": ("spendwatch.cli.alerts", "ack", "Acknowledge alerts: stop their reminders and escalation."),
    "explain": ("spendwatch.cli.explain", "explain", "Show why an alert was sent: rule, figures, bills, deliveries."),
    "backtest": ("spendwatch.cli.backtest", "backtest", "Show what past bills would have been notified of."),
    "silence": ("spendwatch.cli.silence", "silence", "Hold the messages of some alerts for a while."),
    "deliveries": ("spendwatch.cli.deliveries", "deliveries", "List, retry or cancel deliveries."),
    "doctor": ("spendwatch.cli.doctor", "doctor", "Try everything the daemon needs, without sending."),
    "notify-test": ("spendwatch.cli.deliveries", "notify_test", "Send a message marked TEST."),
    "schema": ("spendwatch.cli.manual", "schema", "Print JSON Schemas, for editors and other programs."),
    "completion": ("spendwatch.cli.manual", "completion", "Print the completion script for bash, zsh or fish."),
}

_HIDDEN = {"man": ("spendwatch.cli.manual", "man", "")}
"""For installers: not in the list of commands."""


COLLECT_AFTER = (50_000, 20, 50)
"""Garbage collector thresholds, for each of its generations."""


class Place(NamedTuple):
    """The requested place of the configuration."""

    config: str | None

    def path(self) -> Path:
        """Return the configuration's place, or raise `ConfigError`."""
        from spendwatch.settings import find_config  # noqa: PLC0415 -- pydantic costs 0.1 s

        return find_config(self.config, os.environ, Path.cwd())

    def settings(self, *, with_secrets: bool = False) -> Settings:
        """Load for a command that only reads: one bad workspace file never blocks it, its mistakes go to stderr."""
        from spendwatch.settings import load_usable  # noqa: PLC0415 -- as above

        settings, mistakes = load_usable(self.path(), with_secrets=with_secrets)
        for mistake in mistakes:
            click.echo(str(mistake), err=True)
        if mistakes:
            click.echo("Workspace files with mistakes are ignored here; `run` and `once` do not start with them.\n", err=True)
        return settings


def _set_place(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    ctx.obj = ctx.obj if ctx.obj and value is None else Place(value)


_CONFIG = click.Option(
    ["--config", "-c"],
    metavar="PATH",
    expose_value=False,
    callback=_set_place,
    help="Folder with spendwatch.yaml and workspaces/, or that file; before or after the command.",
)
_WITHOUT_CONFIG = ("demo", "schema", "completion", "man")


def _with_config(command: click.Command) -> click.Command:
    """Return the command; it and its own commands take `--config`, too."""
    if _CONFIG not in command.params:
        command.params.append(_CONFIG)
        for inner in command.commands.values() if isinstance(command, click.Group) else ():
            _with_config(inner)
    return command


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's signature
        if not (found := _COMMANDS.get(cmd_name) or _HIDDEN.get(cmd_name)):
            return None
        module, name, _ = found
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101 -- the table above and the modules must agree
        return command if cmd_name in _WITHOUT_CONFIG else _with_config(command)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in {**_COMMANDS, **_HIDDEN} and not args[0].startswith("-"):
            import difflib  # noqa: PLC0415 -- only needed for a typing mistake

            close = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names of commands without loading the commands."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 -- only needed by shells

        names = [CompletionItem(name, help=text) for name, (_, _, text) in _COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 -- click's signature
    """Show what a report of a mistake needs: our version, Python's and SQLite's."""
    if value and not ctx.resilient_parsing:
        from spendwatch.store import sqlite_version  # noqa: PLC0415 -- only needed here

        click.echo(f"spendwatch {__version__} (Python {sys.version.split()[0]}, SQLite {sqlite_version()})")
        ctx.exit()


@click.group(
    cls=_LazyGroup,
    params=[_CONFIG],
    epilog=f"Examples:\n\n{_EXAMPLES}",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show versions and exit."
)
def root() -> None:
    """Warn the right person before the money runs out: spending alerts for Alibaba Cloud Model Studio.

    The configuration is read from $SPENDWATCH_CONFIG, ./config or /etc/spendwatch.

    \b
    Exit codes: 0 done, 1 unexpected, or a check of doctor fails, 2 usage,
    3 an alert fires (status --exit-code), 4 stale figures or no ledger,
    65 a bill was rejected, 69 a receiver or API refused,
    75 try again, 77 credentials, 78 configuration, 130 interrupted.
    """  # noqa: D301 -- the backspace is one, by which click leaves the lines as they are
    gc.freeze()
    gc.enable()


def main() -> None:
    """Run one command and exit with its code; an expected error is one line, not a traceback."""
    from spendwatch.domain.errors import ConfigError, SpendwatchError, UnsuitableDiskError, what_to_do  # noqa: PLC0415 -- kept out of --help

    # Loading makes many objects that stay: the collector would look at them again and again. It is on when `root` is called.
    gc.disable()
    gc.set_threshold(*COLLECT_AFTER)
    # Nor need it look through all of them once more at the end, which took a fifth of a quick command.
    atexit.register(gc.freeze)
    # Pydantic would look through every installed package for plugins, which we have no use for.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        code = root.main(prog_name="spendwatch", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(Exit.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        click.echo(str(error), err=True)
        click.echo(f"{counted(len(error.mistakes), 'mistake')} in the configuration; nothing was started.", err=True)
        sys.exit(Exit.CONFIG)
    except SpendwatchError as error:
        click.echo(f"spendwatch: {error}", err=True)
        sys.exit(Exit.CONFIG if isinstance(error, UnsuitableDiskError) else Exit.TRY_AGAIN)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.DONE)
    except OSError as error:
        if not (advice := what_to_do(error)):
            raise
        click.echo(f"spendwatch: cannot use {error.filename or 'a folder'}: {error.strerror}; {advice}", err=True)
        sys.exit(Exit.TRY_AGAIN)
    sys.exit(code if isinstance(code, int) else Exit.DONE)
