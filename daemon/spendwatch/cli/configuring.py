"""`init --from`: reads bills, completes what they say, writes a configuration, tests it, and shows the next commands."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from spendwatch.bills.client.process import ReadingProcess
from spendwatch.cli import Place
from spendwatch.cli.deliveries import notify_test
from spendwatch.cli.discovery import CURRENCIES, NONE_NAMED, Discovery, discover
from spendwatch.cli.drafting import HOOK, MAIL, PASSWORD, SIGNING_KEY, Draft, written
from spendwatch.cli.exits import Exit
from spendwatch.cli.interview import Given, Interview, mailbox, valid, workspace_budget
from spendwatch.cli.options import refuse
from spendwatch.cli.outcome import result_text
from spendwatch.cli.progress import Progress
from spendwatch.domain.count import counted
from spendwatch.domain.errors import ConfigError
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId, ReadingHints
from spendwatch.logs import configure
from spendwatch.settings import examine
from spendwatch.settings.files import MAIN
from spendwatch.settings.json_schema import MAIN_SCHEMA, WORKSPACE_SCHEMA
from spendwatch.settings.lint import Examined
from spendwatch.settings.value_types import AccountIdText, CurrencyCode, Name

_MOST_NAMED = 5


def write_own(
    folder: Path,
    bills: Sequence[Path],
    *,
    emails: Sequence[str],
    budgets: Sequence[str],
    password: bytes | None,
    yes: bool,
    given: Mapping[str, str | None],
) -> Exit:
    """Write a configuration from these bills and options; on a terminal, ask for the rest."""
    configure("auto", level="warning")
    options = _checked(given, emails, budgets, password)
    if there := next((one for one in _in_the_way(folder) if os.path.lexists(one)), None):
        click.echo(f"{there} already exists; nothing was written. Use another folder.", err=True)
        return Exit.CONFIG
    _require_writable(folder)
    found = _read(bills, options) if bills else None
    if found and not found.accounts:
        click.echo("No charge could be read from these bills; nothing was written.", err=True)
        return found.code or Exit.BILL
    asks = not yes and sys.stdin.isatty() and sys.stdout.isatty()
    interview = Interview(options, found, asks=asks)
    try:
        draft: Draft | None = interview.draft()
        if not asks and not yes:
            interview.missing.append("--yes: write it without questions")
        if interview.missing or draft is None:
            refuse("nothing is asked here, so these options are needed:\n" + "\n".join(f"  {one}" for one in interview.missing))
        draft, sends_test = interview.confirmed(draft, str(folder)) if asks else (draft, False)
    except click.Abort:
        click.echo("\nNothing was written.", err=True)
        raise
    if draft is None:
        click.echo("Nothing was written.")
        return Exit.DONE
    read = [bill for bill, one in zip(bills, found.outcomes, strict=True) if one.receipt] if found else ()
    return _write(folder, read, draft, sends_test=sends_test)


def _checked(given: Mapping[str, str | None], emails: Sequence[str], budgets: Sequence[str], password: bytes | None) -> Given:
    """Return the options as the configuration will hold them, or raise `click.BadParameter`."""
    kinds = {"account": AccountIdText, "site": Site, "currency": CurrencyCode, "name": Name}
    checked = {option: valid(kind, given[option], f"--{option}") for option, kind in kinds.items() if given[option] is not None}
    return Given(
        **{**given, **checked},
        emails=[mailbox(address, "--email") for address in emails],
        password=None if password is None else _secret(password),
        budgets=dict(workspace_budget(one, "--workspace") for one in budgets),
    )


def _secret(data: bytes) -> str:
    try:
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        refuse("must hold one line of UTF-8 text", "--smtp-password-file")
    return text


def _in_the_way(folder: Path) -> Sequence[Path]:
    """Return what a configuration is made of: none of it may be there yet."""
    made = (MAIN, PASSWORD, SIGNING_KEY, MAIN_SCHEMA, WORKSPACE_SCHEMA)
    return (*(folder / name for name in made), *(folder / "workspaces").glob("*.y*ml"))


def _require_writable(folder: Path) -> None:
    """Raise `OSError` before anything is asked, where the folder cannot be made or written to."""
    place = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        error.filename = str(folder)  # not the name that was tried
        raise


def _read(bills: Sequence[Path], options: Given) -> Discovery:
    for bill in bills:
        if not bill.is_file():
            what = "is a folder" if bill.is_dir() else "does not exist"
            refuse(f"{str(bill)!r} {what}; the folder of the configuration stands before --from, bills behind it", "--from")
    currency = valid(CurrencyCode, options.currency or (CURRENCIES[options.site] if options.site else NONE_NAMED))
    hints = ReadingHints(account=AccountId(options.account) if options.account else None, currency=currency)
    progress = Progress()
    with ReadingProcess.apart(progress.tell) as reader:
        found = discover(bills, reader, progress, hints)
    for outcome in found.outcomes:
        if not outcome.receipt:
            click.echo(result_text(outcome), err=True)
    if not options.account and any("account" in str(one.refused) for one in found.outcomes if one.refused):
        click.echo("If a bill does not name its account, or a spreadsheet shortened the id, add: --account ID\n", err=True)
    read = sum(bool(one.receipt) for one in found.outcomes)
    click.echo(f"Read {counted(read, 'bill')}{f' of {len(bills)}' if read < len(bills) else ''}.")
    return found


def _write(folder: Path, bills: Sequence[Path], draft: Draft, *, sends_test: bool) -> Exit:
    files = draft.files()
    try:
        with written(folder, files):
            examined: Examined = examine(folder)
    except ConfigError as error:
        click.echo(f"{error}\nNothing was written.", err=True)
        return Exit.CONFIG
    click.echo(f"\nWrote {folder}:\n  {MAIN} ({counted(files[MAIN][0].count(chr(10)), 'line')})")
    if draft.workspaces:
        click.echo(f"  workspaces/ ({counted(len(draft.workspaces), 'file')})")
    click.echo(f"  inbox/\n  {MAIN_SCHEMA}, {WORKSPACE_SCHEMA}: for editors")
    if PASSWORD in files:
        click.echo(f"  {PASSWORD} (mode 0600): the password of the mail server")
    if SIGNING_KEY in files:
        click.echo(f"  {SIGNING_KEY} (mode 0600): signs each call; the receiver needs it, too")
    for warning in examined.warnings():
        click.echo(f"warning: {warning}", err=True)
    code = _test(folder, draft) if sends_test else Exit.DONE
    click.echo(_next(folder, bills, draft, was_tested=sends_test and code is Exit.DONE))
    return code


def _test(folder: Path, draft: Draft) -> Exit:
    """Send a test message over each channel; a failure leaves the configuration and says what to do."""
    click.echo()
    command = click.Context(notify_test, obj=Place(str(folder)))
    names = [name for name, is_there in ((MAIL, draft.mail), (HOOK, draft.webhook)) if is_there]
    code = Exit(max(command.invoke(notify_test, channel=name) for name in names))
    if code is not Exit.DONE:
        password = f" or the password in {folder / PASSWORD}" if draft.password else ""
        advice = f"Correct {folder / MAIN}{password}, then test again."
        click.echo(f"The test failed; the configuration is written.\n{advice}", err=True)
    return code


def _next(folder: Path, bills: Sequence[Path], draft: Draft, *, was_tested: bool) -> str:
    """Return the next commands, as they can be copied."""
    program = f"  spendwatch --config {shlex.quote(str(folder))}"
    named = " ".join(shlex.quote(str(bill)) for bill in bills) if len(bills) <= _MOST_NAMED else "FILE..."
    steps = [] if was_tested else [f"{program} notify-test     # sends a test message"]
    steps += [f"{program} import {'--source inbox ' if draft.nameless else ''}{named}"] if bills else []
    steps += [f"{program} run     # the daemon: put new bills into {folder / 'inbox'}"]
    return "\n".join(["", "Next:", *steps])
