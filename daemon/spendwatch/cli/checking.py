"""`check`: mistakes, warnings, and the policy as spendwatch understands it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click
from rich.table import Table

from spendwatch.channels.webhook_settings import private_keys, public_key_text
from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import json_option
from spendwatch.cli.screen import clean, console, print_json
from spendwatch.domain.count import counted
from spendwatch.domain.errors import ConfigError, ConfigMistake, LedgerUnavailableError
from spendwatch.domain.money import shown
from spendwatch.domain.policy import AccountPolicy, Names, Policies, Threshold, Watch
from spendwatch.domain.scope import Seen, dimension_of
from spendwatch.settings import Settings, examine
from spendwatch.settings.lint import Examined, failing_templates, is_draft
from spendwatch.state import opened_store, system_clock
from spendwatch.views.policy import balance_points, news_points, persistence_of, policy_json, reached_over, watched_by

_WIDTH = 80
_NOTHING: Mapping[str, object] = {"schema_version": 1, "mistakes": [], "warnings": [], "notes": [], "policy": None}
"""The JSON document, where there is nothing to say."""


@click.command()
@click.option("--strict", is_flag=True, help="Also exit with 78 on warnings.")
@click.option("--cases", metavar="FILE", type=click.Path(path_type=Path), help="Play the cases of a file instead.")
@json_option
@click.pass_obj
def check(place: Place, *, strict: bool, cases: Path | None, as_json: bool) -> int:
    """Check the configuration and show the policy as spendwatch understands it; start and send nothing.

    A mistake prevents the daemon from starting (exit code 78). A warning does not: it names settings that would leave somebody
    without an alert. If there is a ledger, ids and currencies are compared with the bills on record.

    With --cases a file says what is spent and known at which moments, and which alerts are expected on which channels. Each
    case is played on a scratch ledger by the code of the daemon. Exits with 1 if any ends otherwise.
    """
    if cases:
        from spendwatch.cli.cases import check_cases  # noqa: PLC0415 -- loads the whole daemon

        return check_cases(cases, examine(place.path(), with_secrets=False).settings, as_json=as_json)
    return _check_all(place, strict=strict, as_json=as_json)


def _check_all(place: Place, *, strict: bool, as_json: bool) -> Exit:
    """Print every mistake and warning of the configuration in that place."""
    try:
        path = place.path()
        examined = _examined(path)
    except ConfigError as error:
        if not as_json:
            raise
        print_json({**_NOTHING, "mistakes": [one._asdict() for one in error.mistakes]})
        return Exit.CONFIG
    settings = examined.settings
    notes = list(_notes(settings))
    seen = _on_record(settings, notes)
    warnings = examined.warnings(seen)
    watched = watched_by(settings.policies, seen)
    if as_json:
        told = {"warnings": [one._asdict() for one in warnings], "notes": notes, "policy": policy_json(settings, watched)}
        print_json({**_NOTHING, **told})
    else:
        _print_conditions(path, settings, watched, warnings, notes)
        _print_policy(settings, watched)
    if strict and warnings:
        click.echo(f"\n{counted(len(warnings), 'warning')}; --strict allows none.", err=True)
        return Exit.CONFIG
    return Exit.DONE


def _examined(path: Path) -> Examined:
    examined = examine(path)
    if mistakes := failing_templates(examined.settings, system_clock()):
        raise ConfigError(*mistakes)
    return examined


def _on_record(settings: Settings, notes: list[str]) -> frozenset[Seen]:
    """Return what the bills on record name; nothing is made where there is no ledger yet."""
    try:
        with opened_store(settings, read_only=True) as store:
            return store.ledger.names_seen()
    except LedgerUnavailableError as error:
        notes.append(f"{error}; ids and currencies were not compared with bills")
        return frozenset()


def _notes(settings: Settings) -> Iterator[str]:
    """Yield what is no mistake, and worth a second thought."""
    for name, config in settings.sources.items():
        if config.type == "folder" and not Path(config.path).is_dir():
            yield f"source {name}: there is no folder {config.path} yet; create it with: mkdir -p {config.path}"
        elif config.type != "folder":
            yield f"source {name}: its endpoint was not called; `spendwatch once` calls it"
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


def _print_conditions(
    path: Path, settings: Settings, watched: Sequence[Watch], warnings: Sequence[ConfigMistake], notes: Iterable[str]
) -> None:
    counts = (
        counted(len(settings.accounts), "account"),
        counted(len(settings.policies.workspaces), "workspace"),
        counted(sum(len(one.thresholds) for one in watched), "threshold"),
        counted(len(settings.sources), "source"),
        counted(len(settings.channels), "channel"),
    )
    verdict = "not ready, placeholders are left" if is_draft(warnings) else "ok"
    more = f", {counted(len(warnings), 'warning')}" if warnings else ""
    click.echo(f"{path}: {verdict} ({', '.join(counts)}){more}")
    for one in warnings:
        key = f"{one.key}: " if one.key else ""
        click.echo(f"{one.file}:{one.line}:{one.column}: {key}warning: {one.what}", err=True)
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _print_policy(settings: Settings, watched: Sequence[Watch]) -> None:
    screen = console()
    screen.width = min(screen.width, _WIDTH)
    for account in settings.accounts:
        screen.print(f"\n[bold]Account {clean(account.name)}[/] ({clean(account.account)}, {account.currency})")
        found = _table("WATCHED", "BUDGET", "NOTIFIES AT", "CHANNELS")
        for one in watched:
            if one.scope.account == account.account:
                _add_rows(found, one, settings.policies.names)
        for points, channels in balance_points(account):
            found.add_row("available balance", "", points, ", ".join(channels))
        for what, points in news_points(account):
            found.add_row(what, "", points, ", ".join(account.channels))
        screen.print(found)
        for name, label in _unwatched(settings.policies, account):
            screen.print(f"Not watched by {clean(name)}: {clean(label)}")
    found = _table("CHANNEL", "TYPE", "REACHES")
    for name, config in settings.channels.items():
        found.add_row(name, config.type, clean(", ".join(reached_over(config))))
    screen.print("", found, sep="\n")
    for name, config in settings.channels.items():
        keys = private_keys(config.private_key) if config.type == "webhook" else ()
        for line in (*config.route_lines(settings.zone), *(f"public key {public_key_text(key)}" for key in keys)):
            screen.print(f"{clean(name)}: {clean(line)}")
    screen.print("", *_of_all(settings.policies), sep="\n")


def _of_all(policies: Policies) -> Iterator[str]:
    yield f"Rejected bills, silent sources, failing channels: {', '.join(policies.operators)}"
    for what, names in persistence_of(policies).items():
        yield f"{what}: {clean(', '.join(names))}"


def _unwatched(policies: Policies, account: AccountPolicy) -> Iterator[tuple[str, str]]:
    """Yield the finer budgets with values that they do not watch."""
    own = (policy.budgets for policy in policies.workspaces if policy.account in {None, account.account})
    for budgets in (account.budgets, *own):
        for finer in budgets:
            dimension = dimension_of(finer.for_each)
            none = [policies.names.label(dimension, value) for value, budget in finer.exceptions if budget is None]
            if none and not finer.per.is_short:
                yield finer.name, ", ".join(none)


def _table(*headings: str) -> Table:
    found = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        is_amount = heading == "BUDGET"
        found.add_column(heading, justify="right" if is_amount else "left", no_wrap=is_amount, overflow="fold")
    return found


def _add_rows(found: Table, one: Watch, names: Names) -> None:
    told = [_point(threshold, one) for threshold in one.thresholds]
    told += [f"spike {shown(one.spike)}"] if one.spike else []
    budget = shown(one.budget.amount) if one.budget else "none"
    found.add_row(_title(one, names), budget, ", ".join(told) or "never", ", ".join(one.channels))
    if one.month_closed:
        found.add_row("  month closed", "", "its final figures", ", ".join(one.month_closed))


def _title(one: Watch, names: Names) -> str:
    scope = one.scope
    short = f", {scope.per.adverb}" if scope.per.is_short else ""
    if scope.budget:
        each = names.label(one.dimension, scope.value) if scope.value else f"(each {one.column})" if one.column else ""
        return f"  {clean(f'{scope.budget} {each}'.rstrip())}{short}{scope.counts.note}"
    if short:
        return f"  {scope.per.adverb}{scope.counts.note}"
    if scope.is_whole_account:
        return f"whole account{scope.counts.note}"
    return clean(one.name) + scope.counts.note + (f"\n{scope.workspace}" if one.name != scope.workspace else "")


def _point(threshold: Threshold, one: Watch) -> str:
    at = threshold.reached_at(one.budget.amount if one.budget else None)
    share = f" ({threshold.label.split()[-1]})" if threshold.share is not None else ""
    to = f" to {' and '.join(threshold.channels)}" if threshold.channels else ""
    asked = one.asked({threshold.label})
    calls = f" and calls {' and '.join(asked)}" if asked else ""
    return f"{'forecast ' if threshold.is_forecast else ''}{shown(at) if at else ''}{share}{to}{calls}"
