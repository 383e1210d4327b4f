"""`silence`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from fnmatch import fnmatchcase

import click

from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import DURATION, account_named, actor, json_option, list_unless_told, refuse
from spendwatch.cli.screen import clean, print_list, the_one, when
from spendwatch.domain.alert import Rule
from spendwatch.domain.delivery import Silence
from spendwatch.domain.policy import Severity
from spendwatch.domain.scope import can_fit
from spendwatch.domain.suggestions import suggestion
from spendwatch.exact_json import json_fields
from spendwatch.state import opened_store, system_clock
from spendwatch.views import changes
from spendwatch.views.changes import LONGEST_SILENCE

_MATCHERS = ("rule", "account", "workspace", "tags", "severity", "scope")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def silence(ctx: click.Context, *, as_json: bool) -> None:
    """Hold the messages of some alerts for a while. Evaluation goes on, and every silence ends by itself."""
    list_unless_told(ctx, list_silences, as_json=as_json)


@silence.command(short_help="Hold messages until a time.")
@click.option("--rule", metavar="PATTERN", default="", help="A rule like spend.forecast or balance.*; '*': every rule.")
@click.option("--account", metavar="NAME", default="", help="An account, by its name or id.")
@click.option("--workspace", metavar="PATTERN", default="", help="Workspaces, by id or name, like 'llm-demo*'.")
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="Budgets that select this tag; several must all fit.")
@click.option("--scope", metavar="PATTERN", default="", help="What an alert is about, as `alerts --json` has its scope.")
@click.option("--severity", type=click.Choice([one.value for one in Severity]))
@click.option("--for", "lasts", type=DURATION, help="How long, like 4h or 2d; 90d at most.")
@click.option("--until", metavar="TIME", help="Until when, like 2026-09-16T18:00, in the billing time zone.")
@click.option("--comment", default="", help="Why, for those who see it.")
@click.option("--by", "author", default="", help="Who wants it. Default: your user name.")
@click.pass_obj
def add(
    place: Place,
    *,
    rule: str,
    account: str,
    workspace: str,
    tags: tuple[str, ...],
    scope: str,
    severity: str | None,
    lasts: timedelta | None,
    until: str | None,
    comment: str,
    author: str,
) -> int:
    """Hold the messages of alerts that fit all these options; at the end what still fires is sent as one message.

    What begins and ends during the silence is recorded, and not sent. Expire it earlier with: spendwatch silence expire ID
    """
    settings, now = place.settings(), system_clock()
    if not (rule or account or workspace or tags or scope or severity):
        refuse("name what to silence: --rule, --account, --workspace, --tag, --scope or --severity; --rule '*' is everything")
    _check_patterns(rule, workspace, tags)
    one = Silence(
        id=changes.new_silence_id(),
        created_at=now,
        ends_at=_end(lasts, until, now, settings.zone),
        author=author or actor(),
        comment=comment,
        rule=rule,
        account=account_named(account, settings.accounts, "--account").account if account else "",
        workspace=workspace,
        tags=tags,
        severity=severity or "",
        scope=scope,
    )
    with opened_store(settings) as store:
        changes.silence(store, one, settings.zone)
    click.echo(f"Silence {one.id} ({one.matchers}) until {when(one.ends_at, settings.zone)}.")
    watched = (name for each in settings.policies.workspaces for name in (each.workspace, each.name))
    if workspace and not any(fnmatchcase(name, workspace) for name in watched):
        click.echo(f"note: no workspace file has an id or name like {workspace!r}", err=True)
    return Exit.DONE


def _check_patterns(rule: str, workspace: str, tags: Iterable[str]) -> None:
    names = {name for one in Rule for name in (one.value, one.type)}
    if rule and not any(fnmatchcase(name, rule) for name in names):
        refuse(f"no rule fits {rule!r}; {suggestion(rule, names)}", "--rule")
    if workspace and not can_fit(workspace):
        refuse(f"{workspace!r} can never match", "--workspace")
    if odd := next((tag for tag in tags if not tag.partition("=")[0] or "=" not in tag), None):
        refuse(f"write it like team=search, not {odd!r}", "--tag")


def _end(lasts: timedelta | None, until: str | None, now: datetime, zone: tzinfo) -> datetime:
    """Return when it ends; without an end, or with one too far away, it is refused."""
    if (lasts is None) == (until is None):
        refuse("say when it ends: --for 4h, or --until 2026-09-16T18:00")
    hint = "--for" if until is None else "--until"
    try:
        moment = now + lasts if lasts else datetime.fromisoformat(until or "")
    except ValueError:
        refuse(f"not a time: {until!r}; write it like 2026-09-16T18:00", hint)
    end = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    if not now < end <= now + LONGEST_SILENCE:
        what = "is not in the future" if end <= now else f"is more than {LONGEST_SILENCE.days} days away"
        refuse(f"{when(end, zone)} {what}", hint)
    return end


@silence.command("list")
@click.option("--all", "everything", is_flag=True, help="Include silences that have ended.")
@json_option
@click.pass_obj
def list_silences(place: Place, *, everything: bool = False, as_json: bool = False) -> int:
    """List silences, the one that ends first at the top."""
    settings, now = place.settings(), system_clock()
    with opened_store(settings, read_only=True) as store:
        found = store.book.silences(at=None if everything else now)
        held = [message.row.silence for message in store.book.waiting() if message.row]

    def row(one: Silence) -> tuple[str, ...]:
        made, ends = when(one.created_at, settings.zone), when(one.ends_at, settings.zone)
        return one.id, made, ends, str(held.count(one.id)), clean(one.author), clean(one.matchers), clean(one.comment)

    def json(one: Silence) -> dict[str, object]:
        fields = json_fields(one, "id", "created_at", "ends_at", "author", "comment", *_MATCHERS, zone=settings.zone)
        return fields | {"held": held.count(one.id)}

    none = "No silence on record." if everything else "No silence is active."
    headings = ("ID", "SINCE", "UNTIL", "HELD", "BY", "WHAT", "COMMENT")
    return print_list("silences", found, json if as_json else None, headings, row, none=none, wraps="COMMENT", less=("SINCE",))


@silence.command(short_help="End a silence now.")
@click.argument("which", metavar="ID")
@click.pass_obj
def expire(place: Place, which: str) -> int:
    """End the silence ID now: what it holds and still fires is sent in the next round."""
    settings, now = place.settings(), system_clock()
    with opened_store(settings) as store:
        one = the_one(store.book.find_silence(which), "silence", which, "spendwatch silence list")
        if one.ends_at <= now:
            refuse(f"{one.id} ended at {when(one.ends_at, settings.zone)}", "ID")
        changes.end_silence(store, one, actor(), now)
    click.echo(f"Silence {one.id} has ended.")
    return Exit.DONE
