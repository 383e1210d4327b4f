"""`doctor`: tries what the daemon needs, and sends nothing."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import click
from pydantic import BaseModel

from spendwatch.app import clients_of, open_channels
from spendwatch.aside import aside
from spendwatch.channels.email import EmailChannel
from spendwatch.channels.exec_settings import ExecConfig
from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import json_option, refuse
from spendwatch.cli.screen import clean, console, flow, marked, print_json, when
from spendwatch.connection import Connection, Way
from spendwatch.domain.count import counted
from spendwatch.domain.errors import ConfigError, LedgerUnavailableError, SpendwatchError
from spendwatch.domain.period import BillingPeriod, duration_text
from spendwatch.exact_json import json_fields
from spendwatch.letters.language import Language
from spendwatch.letters.texts import text_in
from spendwatch.pacing import RateLimiter
from spendwatch.request import HttpAnswer, HttpClient, Request
from spendwatch.settings import Settings, examine
from spendwatch.settings.lint import Examined, is_draft
from spendwatch.sources.alibaba.bill_pages import Wanted
from spendwatch.sources.alibaba.settings import AlibabaConfig
from spendwatch.sources.folder.settings import FolderConfig
from spendwatch.sources.opening import ApiContext, open_api
from spendwatch.sources.trouble import EndpointError
from spendwatch.state import opened_store, system_clock
from spendwatch.store.files import require_local_disk
from spendwatch.views.policy import user_name
from spendwatch.views.status import looked, running_of

_TOTAL = 10.0
"""Seconds for all checks together."""
_SOON = timedelta(days=14)
"""So long before its end a certificate is reported."""
_CLOCKS_DIFFER = timedelta(minutes=2)
_LITTLE, _TOO_LITTLE, _LARGE_LOG = 1 << 30, 200 << 20, 256 << 20
"""Bytes: free on the disk of the state, and of the log beside it."""
_LEFT_OVER = re.compile(r"\bexample\.(?:com|org|net)\b|change-?me", re.IGNORECASE)
_MARKS = {"ok": "ok", "warn": "warning", "fail": "critical"}
_TROUBLE = "compare host, port and login with the settings; check DNS, the firewall, and whether `proxy` or `ca_file` is needed"


class Finding(NamedTuple):
    """The result of one check."""

    verdict: str
    """`ok`, `warn` or `fail`."""
    check: str
    what: str
    fix: str = ""


def _judged(check: str, what: str, fix: str, *, ok: str = "", verdict: str = "fail") -> Finding:
    """Return what is wrong and how to fix it; where nothing is, that it is ok."""
    return Finding(verdict, check, what, fix) if what else Finding("ok", check, ok)


@click.command()
@click.option("--user", metavar="NAME", help="Check with the rights of this user, such as that of the service. Needs root.")
@json_option
@click.pass_obj
def doctor(place: Place, user: str | None, *, as_json: bool) -> int:
    """Try everything that the daemon needs, without sending a message, and say how to fix what does not work.

    Checks the rights on folders, secrets and the state, the disk, the clock, each host (name, connection, certificate), the
    login at the mail server, the permission for the billing API, the age of the bills, placeholders, and the daemon itself.

    Takes ten seconds at most. Exits with 1 if a check fails, with 0 otherwise.
    """
    if user:
        _become(user)
    try:
        examined = examine(place.path())
    except ConfigError as error:
        findings = [_judged("configuration", str(one), "correct it, then run `spendwatch check`") for one in error.mistakes]
    else:
        findings = asyncio.run(_all(examined))
    counts = {verdict: sum(one.verdict == verdict for one in findings) for verdict in _MARKS}
    if as_json:
        told = [json_fields(one, *Finding._fields) for one in findings]
        print_json({"schema_version": 1, "ok": not counts["fail"], "checks": told})
    else:
        screen = console()
        for one in findings:
            mark = marked(_MARKS[one.verdict], screen, f"{one.verdict:<4}")
            screen.print(flow(screen, [f"{mark}  {clean(one.check)}: {clean(one.what)}"], indent="        "))
            if one.fix:
                screen.print(flow(screen, [f"        fix: {clean(one.fix)}"], indent="        "))
        screen.print(f"\n{counts['ok']} ok, {counted(counts['warn'], 'warning')}, {counts['fail']} failed.")
    return Exit.UNEXPECTED if counts["fail"] else Exit.DONE


def _become(name: str) -> None:
    """Give up all rights but those of the user."""
    try:
        user = pwd.getpwnam(name)
        if os.geteuid() != user.pw_uid:
            os.initgroups(name, user.pw_gid)
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
    except KeyError:
        refuse(f"there is no user {name!r} on this machine", "--user")
    except PermissionError:
        refuse(f"only root can check as {name}: sudo spendwatch doctor --user {name}", "--user")
    if not os.access(os.__file__, os.R_OK):
        refuse(f"{name} cannot run spendwatch: {os.__file__} is not readable for that user", "--user")


async def _all(examined: Examined) -> list[Finding]:
    """Run all checks side by side; what has not ended in time is a finding, too."""
    settings = examined.settings
    checks: dict[str, Awaitable[Iterable[Finding]]] = {
        "configuration": _aside(partial(_configuration, examined)),
        "state": _aside(partial(_state, settings)),
        "records": _aside(partial(_records, settings)),
    }
    for name, channel in open_channels(settings, system_clock).items():
        if isinstance(channel, EmailChannel):
            checks[f"channel {name}"] = _connected(f"channel {name}", "the mail server lets us in", channel.probe())
    for section, configs in (("source", settings.sources), ("channel", settings.channels), ("balance", settings.balances)):
        for key, config in configs.items():
            if check := _check_of(f"{section} {key}", config, settings):
                checks[f"{section} {key}"] = check
    tasks = {name: asyncio.ensure_future(check) for name, check in checks.items()}
    await asyncio.wait(tasks.values(), timeout=_TOTAL)
    found = [finding for name, task in tasks.items() for finding in _result(name, task)]
    for task in tasks.values():
        task.cancel()
    return found


async def _aside(check: Callable[[], Iterable[Finding]]) -> Iterable[Finding]:
    return await aside(lambda: list(check()))


def _result(name: str, task: asyncio.Future[Iterable[Finding]]) -> Iterable[Finding]:
    if not task.done():
        return [
            _judged(name, f"no result within {_TOTAL:g} s", "try again; if it stays, something hangs there", verdict="warn")
        ]
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, SpendwatchError | OSError):
        advice = text_in(Language.EN, "advice_endpoint", error.trouble) if isinstance(error, EndpointError) else _TROUBLE
        return [_judged(name, str(error), advice)]
    raise error


def _check_of(check: str, config: BaseModel, settings: Settings) -> Awaitable[Iterable[Finding]] | None:
    """Return the check of a source, a balance or a channel; None where there is nothing to try."""
    if isinstance(config, FolderConfig):
        return _aside(partial(_folder, check, Path(config.path), moves=config.move))
    if isinstance(config, ExecConfig):
        why, ok = config.objection() or "", f"{config.command[0]} can be run"
        return _aside(lambda: [_judged(check, why, "correct it", ok=ok)])
    client = clients_of(settings)(config.way if isinstance(config, Connection) else Way())
    if isinstance(config, AlibabaConfig):
        return _api(check, config, settings, _Dated(client))
    # Both may be secrets: who calls them shows no more than the host.
    address = str(getattr(config, "address", "") or getattr(config, "url", ""))
    return _connected(check, f"{urlsplit(address).hostname} takes connections", client.probe(address)) if address else None


async def _connected(check: str, ok: str, probe: Awaitable[datetime | None]) -> Iterable[Finding]:
    """Check a host, and how long its certificate is valid."""
    ends = await probe
    left = ends - system_clock() if ends else None
    ends_soon = f"{ok}, but the certificate ends in {duration_text(left)}" if left and left < _SOON else ""
    valid = f"; certificate valid for {left.days} days" if left else ""
    return [_judged(check, ends_soon, "ask who runs the server to renew it", ok=ok + valid, verdict="warn")]


def _configuration(examined: Examined) -> Iterator[Finding]:
    """Check what is written. Mistakes were found before, and with them secrets that others can read."""
    settings, warnings = examined.settings, examined.warnings()
    texts = str(
        [one.model_dump(mode="json", warnings=False) for one in (*settings.channels.values(), *settings.sources.values())]
    )
    left = {one.group().lower() for text in (texts, *settings.secrets) for one in _LEFT_OVER.finditer(text)}
    left |= {f"{one.file}:{one.line}" for one in warnings if is_draft([one])}
    what = f"placeholders are left: {', '.join(sorted(left))}" if left else ""
    ok = f"{settings.place}, {counted(len(settings.secrets), 'secret')} that only their owner can read"
    yield _judged("configuration", what, "write your own addresses, ids and secrets", ok=ok)
    if warnings and not left:
        yield _judged("configuration", counted(len(warnings), "warning"), "spendwatch check", verdict="warn")
    root = "root may do what the user of the service may not" if os.geteuid() == 0 else ""
    fix, ok = "sudo spendwatch doctor --user spendwatch", f"checked with the rights of {user_name()}"
    yield _judged("user", root, fix, ok=ok, verdict="warn")
    yield Finding("ok", "clock", f"it is {when(system_clock(), settings.zone)} in the billing zone, {settings.zone.key}")


def _folder(check: str, folder: Path, *, moves: bool) -> Iterator[Finding]:
    """Check whether bills can be read and put away."""
    user, needed, what, fix = user_name(), os.R_OK | os.X_OK | (os.W_OK if moves else 0), "", ""
    places = [one for one in (folder, folder / "done", folder / "rejected") if one.is_dir()]
    if folder not in places:
        what, fix = f"there is no folder {folder}, or {user} cannot see it", f"mkdir -p {folder}"
    elif shut := [one for one in places if not os.access(one, needed)]:
        verb = "rename files in" if os.access(shut[0], os.R_OK | os.X_OK) else "read"
        what, fix = f"{user} cannot {verb} {shut[0]}", f"setfacl -m u:{user}:rwx {shut[0]}"
    elif unread := [one.name for one in folder.iterdir() if one.is_file() and not os.access(one, os.R_OK)]:
        what, fix = f"{user} cannot read {counted(len(unread), 'file')}, such as {unread[0]}", f"chmod a+r {folder}/*"
    yield _judged(check, what, fix, ok=f"{folder} can be read{', and its files renamed' if moves else ''}")


def _state(settings: Settings) -> Iterator[Finding]:
    """Check the database and the disk that it is on."""
    file = Path(settings.state)
    if "://" not in settings.state:
        require_local_disk(file)
        folder, log, user = next(one for one in file.parents if one.is_dir()), Path(f"{file}-wal"), user_name()
        free, place = shutil.disk_usage(folder).free, file if file.exists() else folder
        shut = f"{user} cannot write {place}" if not os.access(place, os.R_OK | os.W_OK) else ""
        yield _judged("state", shut, f"chown {user} {place}", ok=f"{place} can be written")
        full = f"{free >> 20} MB are free in {folder}" if free < _LITTLE else ""
        verdict, ok = "fail" if free < _TOO_LITTLE else "warn", f"{free >> 30} GB are free"
        yield _judged("disk", full, "free some space, or move `state`", ok=ok, verdict=verdict)
        if log.exists() and log.stat().st_size > _LARGE_LOG:
            what = f"{log} has {log.stat().st_size >> 20} MB: a reader keeps SQLite from emptying it"
            yield _judged("state", what, "end reports and backups that still run", verdict="warn")
        if not file.exists():
            yield _judged("ledger", "there is none yet", "spendwatch once, or run, creates it", verdict="warn")
            return
    ok, fix = "", "restore a backup, or rebuild it from the archived bill files"
    try:
        with opened_store(settings, read_only=True) as store:
            damage, ok = ", ".join(store.database.complaints()[:1]), f"opens and is whole ({store.database.version})"
    except LedgerUnavailableError as error:
        damage = str(error)
    yield _judged("ledger", damage, fix, ok=ok)


def _records(settings: Settings) -> Iterator[Finding]:
    """Check what the ledger tells of the daemon, its messages and channels, and of the age of the bills."""
    with suppress(LedgerUnavailableError), opened_store(settings, read_only=True) as store:
        now, zone = system_clock(), settings.zone
        overview = looked(settings, store, now)
        running = running_of(settings, store, now)
        trouble, (word, line) = running.trouble(now, zone), running.line(now)
        fix = "systemctl status spendwatch; journalctl -u spendwatch"
        yield _judged("daemon", trouble or (line if word != "ok" else ""), fix, ok=line, verdict="fail" if trouble else "warn")
        for word, line in running.messages(now):
            verdict = {"critical": "fail", "warning": "warn"}.get(word, "ok")
            yield Finding(verdict, "messages", line, "spendwatch deliveries retry --all, once the cause is fixed")
        for one in running.channels:
            if one.disabled or one.failures:
                yield _judged(f"channel {one.name}", f"failed last: {one.trouble}", f"spendwatch notify-test {one.name}")
        for source in overview.sources:
            if source.trouble:
                yield _judged(f"source {source.name}", source.trouble, "spendwatch once")
        for account in overview.accounts:
            until = f"bills up to {when(account.data_until, zone)}" if account.data_until else "no bill on record"
            late = until if account.silence or not account.data_until else ""
            yield _judged(f"account {account.name}", late, "check the export and its source", ok=until, verdict="warn")


class _Dated:
    """A client that notes how far the other side's clock is ahead of ours."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self.ahead = timedelta()

    async def fetch(self, request: Request) -> HttpAnswer:
        answer = await self._client.fetch(request)
        with suppress(KeyError, ValueError):
            self.ahead = parsedate_to_datetime(answer.headers["date"]) - system_clock()
        return answer


async def _api(check: str, config: AlibabaConfig, settings: Settings, client: _Dated) -> Sequence[Finding]:
    """Ask for one page of a bill: whether the key is accepted, and may read bills; compare the clocks."""
    from spendwatch.outgoing import Outgoing  # noqa: PLC0415 -- httpx costs 0.1 s

    policy = next(one for one in settings.accounts if one.account == config.account)
    context = ApiContext(settings.outside.environ, Outgoing.to_metadata_service, system_clock)
    api = open_api(config, policy.site, client, context, pace=RateLimiter(time.monotonic, asyncio.sleep))
    day = system_clock().astimezone(settings.zone).date() - timedelta(days=2)
    found, why, fix = list[Finding](), "", ""
    try:
        async with aclosing(api.day(Wanted(policy.account, BillingPeriod(day.year, day.month), day, config.product))) as pages:
            async for _ in pages:
                break
    except EndpointError as error:
        why, fix = str(error), text_in(Language.EN, "advice_endpoint", error.trouble)
    found.append(_judged(check, why, fix, ok="the billing API accepts the key and lets it read bills"))
    if abs(client.ahead) > _CLOCKS_DIFFER:
        side = "behind" if client.ahead > timedelta() else "ahead of"
        what = f"this machine's clock is {duration_text(abs(client.ahead))} {side} that of the billing API"
        found.append(_judged("clock", what, "timedatectl set-ntp true"))
    return found
