"""A dry run: a round on a copy of the state that changes and sends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path

import click

from spendwatch.app import App
from spendwatch.cli.exits import Exit
from spendwatch.cli.outcome import exit_code, result_json, result_text, say_outside
from spendwatch.cli.screen import print_json
from spendwatch.domain.count import counted
from spendwatch.domain.delivery import WAITING, DeliveryState, NotificationId
from spendwatch.domain.errors import LedgerUnavailableError, SourceUnavailableError
from spendwatch.domain.notification import Notification
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.exact_json import json_fields
from spendwatch.jobs.collect import IngestResult, collect, take
from spendwatch.letters.language import Language
from spendwatch.letters.wording import Wording
from spendwatch.settings import Settings
from spendwatch.sources.balances.settings import FileBalanceConfig
from spendwatch.sources.config import SourceConfig
from spendwatch.sources.download_store import waiting as fetched_and_waiting
from spendwatch.sources.files.naming import readable
from spendwatch.sources.folder.listing import Presence, waiting
from spendwatch.sources.folder.settings import FolderConfig
from spendwatch.state import Store, opened_store, scratch_database
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.copying import copy_all
from spendwatch.store.database import Database
from spendwatch.store.source_memory import SourceMemory

_ALL = 1_000_000
"""More deliveries than ever wait."""

_UNSENT = (*WAITING, DeliveryState.ATTEMPTING)


class HeardBook(AlertBook):
    """The alert book; keeps in mind what is said while it is open."""

    def __init__(self, database: Database) -> None:
        """Nothing is said yet."""
        super().__init__(database)
        self.said: dict[NotificationId, Notification] = {}
        self._ways: dict[NotificationId, tuple[ChannelName, ...]] = {}

    def commit(self, verdict: Verdict, targets: Mapping[ChannelName, Sequence[str]], *, now: datetime) -> int:
        """Store alerts and deliveries; what is to be delivered to somebody is said."""
        new = super().commit(verdict, targets, now=now)
        self._ways |= {one.id: one.channels for one in verdict.notifications if one.id not in self._ways}
        for one in verdict.sent if new else ():
            if any(targets.get(channel) for channel in one.channels):
                # Over some channels the same may be said a little later.
                channels = {*self.said.get(one.id, one).channels, *one.channels}
                ordered = dict.fromkeys((*self._ways[one.id], *one.channels))
                self.said[one.id] = replace(one, channels=tuple(name for name in ordered if name in channels))
        return new


@contextmanager
def copied_app(settings: Settings) -> Iterator[tuple[App, HeardBook]]:
    """Give an app on a throw-away copy of the state, and what is said by it."""
    with scratch_database() as database:
        place, book = Path(database.place), HeardBook(database)
        scratch = replace(settings, state=str(place), spool=place.with_name("spool"), fetched=place.with_name("sources"))
        with closing(App(scratch, Store.of(database)._replace(book=book))) as app:
            app.follow_up = timedelta()
            _copy(settings, app.store)
            yield app, book


def _copy(settings: Settings, into: Store) -> None:
    try:
        with opened_store(settings, read_only=True) as store:
            copy_all(store.database, into.database)
    except LedgerUnavailableError as error:
        click.echo(f"starting from an empty ledger: {error}", err=True)


def rehearse(settings: Settings, *, as_json: bool = False) -> Exit:
    """Show what a full round would record and say, by making one on a copy: the same steps in the same order."""
    say = partial(click.echo, err=as_json)
    # Whose balance is known without asking an endpoint.
    elsewhere = {account for account, config in settings.balances.items() if not isinstance(config, FileBalanceConfig)}
    here = {policy.account for policy in settings.accounts} - elsewhere
    with copied_app(settings) as (app, book):
        taken: list[IngestResult] = []
        unsent = len(app.store.outbox.listing(_UNSENT, limit=_ALL))
        asyncio.run(app.ask_balances(at_once=True, of=here))
        for name, config in settings.sources.items():
            place = _Waiting(name, config, settings, app.store.memory, say)
            taken += _round(app, place, asks=not isinstance(config, FolderConfig), say=say)
        app.assess()
        failing = [
            source
            for source in app.store.health.sources()
            if source.failing_since and isinstance(settings.sources.get(source.name), FolderConfig)
        ]
        for source in failing:
            click.echo(f"source {source.name}: {source.trouble}", err=True)
        unread = [one for one in app.store.balances.health().values() if one.failing_since and one.account in here]
        if unsent:
            wait = "waits" if unsent == 1 else "wait"
            say(f"{counted(unsent, 'delivery', 'deliveries')} of earlier rounds {wait} in the outbox")
        say_outside(settings, app.store, taken)
        if as_json:
            troubles = {source.name: source.trouble for source in failing}
            balances = {one.account: one.trouble for one in unread}
            files = [result_json(one, settings.zone) | {"source": one.file.source} for one in taken]
            print_json(
                {"schema_version": 1, "files": files, "waiting": unsent}
                | {"sources": troubles, "balances": balances, "notifications": _said_json(book.said.values(), settings.zone)}
            )
        else:
            show_said(book.said.values(), settings.zone)
        return exit_code(taken, [], failing, unread)


def _said_json(said: Iterable[Notification], zone: tzinfo) -> list[dict[str, object]]:
    wording = wording_in(zone)
    return [
        json_fields(one, "type", "reason", "severity", alert="alert", account="facts.scope.account", scope="facts.scope.label")
        | {"channels": list(one.channels), "subject": wording.subject(one), "text": wording.text(one)}
        for one in said
    ]


def wording_in(zone: tzinfo) -> Wording:
    """Return the words for a person at the screen."""
    return Wording(Language.EN, zone)


def _round(app: App, source: _Waiting, *, asks: bool, say: Callable[[str], None]) -> list[IngestResult]:
    desk, health = app.desk(source.name), app.store.health
    # Whether an endpoint can be reached, nobody knows who does not ask it.
    given = (take(file, source, desk, health) for file in source.arrivals(app.clock()))
    taken = app.judge_each(source.name, given if asks else collect(source, desk, health))
    for one in taken:
        say(f"  {result_text(one)}")
    return taken


@dataclass(slots=True, eq=False)
class _Waiting:
    """What lies at a source to be entered. Nothing is fetched, moved or noted."""

    name: SourceName
    config: SourceConfig
    settings: Settings
    memory: SourceMemory
    say: Callable[[str], None]
    is_unsettled: bool = False
    _unread: SourceUnavailableError | None = None

    async def fetch(self, now: datetime) -> bool:
        """Fetch nothing: nobody is asked."""
        del now
        return True

    def arrivals(self, now: datetime) -> Iterator[BillFile]:
        """Say how many files wait, and yield them in the order in which the source itself gives them."""
        found = sorted((path.stat().st_mtime_ns, called, path) for path, called in self._found())
        for _, called, path in found:
            if size := path.stat().st_size:
                yield BillFile(called, path, size, self.name, now)
            else:
                self.say(f"  {called}: empty, ignored")
        if self._unread:
            raise self._unread

    def keep(self, file: BillFile) -> None:
        """Leave it."""

    def reject(self, file: BillFile, why: str) -> None:
        """Leave it."""

    def leave(self, file: BillFile) -> None:
        """Leave it."""

    def _found(self) -> Sequence[tuple[Path, str]]:
        """Say what lies there, and return it, each file with its name."""
        if isinstance(self.config, FolderConfig):
            folder, deep = Path(self.config.path), self.config.recursive
            Presence(self.name, folder, self.memory, move=self.config.move).require_at(folder)
            files, self._unread = waiting(self.name, folder, deep=deep, others=self.settings.not_bills)
            self.say(f"{self.name}: {counted(len(files), 'file')} in {folder}")
            return [(folder / file, readable(file)) for file in files]
        fetched = fetched_and_waiting(self.settings.fetched / self.name)
        lying = counted(len(fetched), "file")
        self.say(f"{self.name}: {lying} fetched and not recorded yet; a dry run does not call the endpoint")
        return fetched


def show_said(said: Collection[Notification], zone: tzinfo) -> None:
    """Show these notifications as their readers would see them."""
    click.echo(f"{counted(len(said), 'notification')} would be sent")
    wording = wording_in(zone)
    for notification in said:
        click.echo(f"\n--- to {', '.join(notification.channels)}: {wording.subject(notification)}\n")
        click.echo(wording.text(notification))
