"""The composition root: the one room that knows every other by name."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from spendwatch.bills.folder import sweep
from spendwatch.bills.process import ReadingProcess
from spendwatch.channels.opening import open_channel
from spendwatch.domain.errors import ConfigMistake
from spendwatch.domain.late import Closing
from spendwatch.domain.period import closes_at
from spendwatch.domain.policy import AccountPolicy, ChannelName
from spendwatch.domain.statement import AccountId, ReadingHints, SourceName
from spendwatch.jobs.assess import assess
from spendwatch.jobs.balances import ConfiguredBalance
from spendwatch.jobs.collect import Desk, Taken, collect
from spendwatch.jobs.conditions import Surroundings
from spendwatch.jobs.deliver import Settled, deliver
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.ports import AlertBook, Balances, BalanceSource, BillReader, BillSource, Channel, Health, Ledger, Outbox
from spendwatch.jobs.progress import ProgressNotes
from spendwatch.jobs.read_balances import Asked, BalanceRounds, Polled
from spendwatch.settings import Settings, reload
from spendwatch.sources.balance_api import BalanceApi
from spendwatch.sources.balance_opening import open_balance
from spendwatch.sources.balance_settings import ApiBalanceConfig, BalanceConfig
from spendwatch.sources.folder import FolderSource
from spendwatch.sources.folder_settings import FolderConfig
from spendwatch.sources.opening import open_api, open_credentials
from spendwatch.sources.pacing import Pace
from spendwatch.state import Store, system_clock
from spendwatch.store import ledger

if TYPE_CHECKING:
    from spendwatch.outgoing import Outgoing

log = structlog.get_logger("spendwatch")

_DEAD_TOLD = timedelta(days=1)
"""For how long a delivery that died keeps its channel called failing."""

_CONFIGURED_POLL = timedelta(hours=1)
"""How often it is noted that what is configured of a balance is still the same."""


def hints_of(settings: Settings) -> ReadingHints:
    """Return what the configuration says where a bill is silent."""
    return ReadingHints({policy.account: policy.currency for policy in settings.policies.accounts})


def closing_of(settings: Settings, ledger: ledger.Ledger, now: datetime) -> Closing:
    """Return which of the months on record are final."""
    policies, zone = settings.policies, settings.zone
    known = {period for periods in ledger.periods().values() for period in periods}
    closed = {period: closes_at(period, zone, final_on=policies.month_final_on) for period in known}
    return Closing({period: at for period, at in closed.items() if at <= now}, policies.products)


class App:
    """The daemon's parts, put together; when each of them works is the schedule's business."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        clock: Callable[[], datetime] = system_clock,
        progress: Callable[[str, float], None] | None = None,
        reader: ReadingProcess | None = None,
    ) -> None:
        """Wire ports to adapters; the type checker compares their shapes here. Without a reader it makes its own."""
        self.settings = settings
        self.store = store
        self.clock = clock
        self.stopping = threading.Event()
        self.on_news: Callable[[], None] = lambda: None
        self.on_settled: Callable[[Settled], None] = lambda _: None
        self.config_mistakes: tuple[ConfigMistake, ...] = ()
        self._assessing = threading.Lock()
        sweep(settings.spool / "reading")
        self._notes = ProgressNotes(store.health, clock, time.monotonic)
        self._progress = progress
        self.reader = reader or ReadingProcess(settings.spool / "reading", progress=self._tell_progress)
        self.sources: dict[SourceName, FolderSource] = {}
        self._furnished: dict[SourceName, FolderConfig] = {}
        self.channels: dict[ChannelName, Channel] = {}
        self.apis: dict[SourceName, BalanceApi] = {}
        """The billing API as sources have opened it: a balance may be asked for with the same rights, at the same pace."""
        self._insight = Insight()
        self._balances: dict[AccountId, tuple[object, Polled]] = {}
        """How each balance is read, and on what ground."""
        self.balance_rounds = BalanceRounds({}, store.balances, clock, time.monotonic)
        self._furnish()
        _ports(store.ledger, store.book, store.outbox, store.health, self.reader, *self.sources.values())
        _balance_ports(store.balances, *(polled.source for _, polled in self._balances.values()))

    def _furnish(self) -> None:
        settings = self.settings
        kept = {
            name: source for name, source in self.sources.items() if self._furnished.get(name) == settings.sources.get(name)
        }
        # A source that did not change stays: it knows which files are settling and holds copies of those being read.
        self.sources = {name: kept.get(name) or self._source(name) for name in settings.sources}
        self._furnished = dict(settings.sources)
        self.channels = open_channels(settings, self.clock)
        self._balances = {policy.account: self._balance(policy) for policy in settings.accounts if policy.balance}
        self.balance_rounds.take_over({account: polled for account, (_, polled) in self._balances.items()})

    def _balance(self, policy: AccountPolicy) -> tuple[object, Polled]:
        """Return where the balance of the account is known; what did not change stays, with what it remembers."""
        config = self.settings.balances.get(policy.account)
        ground = (config, policy, self.settings.allow_networks, self._api_of_source(config))
        before = self._balances.get(policy.account)
        if before and before[0] == ground:
            return before
        if config is None:
            return ground, Polled(ConfiguredBalance(policy), _CONFIGURED_POLL)
        source = open_balance(
            config,
            account=policy.account,
            currency=policy.currency,
            client=lambda: open_client(self.settings),
            api=lambda config: self._balance_api(config, policy),
        )
        return ground, Polled(source, config.poll)

    def _api_of_source(self, config: BalanceConfig | None) -> BalanceApi | None:
        name = config.source if isinstance(config, ApiBalanceConfig) else None
        return self.apis.get(SourceName(name)) if name else None

    def _balance_api(self, config: ApiBalanceConfig, policy: AccountPolicy) -> BalanceApi:
        if not config.has_own_access:
            api = self._api_of_source(config)
            if api is None:
                msg = f"the source {config.source} is not open"
                raise ValueError(msg)
            return api
        from spendwatch.outgoing import Outgoing  # noqa: PLC0415 -- as in `open_client`

        client, environ = open_client(self.settings), self.settings.outside.environ
        metadata = Outgoing.to_metadata_service()
        credentials = open_credentials(config, client=client, metadata=metadata, clock=self.clock, environ=environ)
        return open_api(config, policy.site, credentials, client=client, clock=self.clock, pace=Pace(time.monotonic))

    def _source(self, name: SourceName) -> FolderSource:
        config = self.settings.sources[name]
        spool = self.settings.spool / "arrivals" / name
        return FolderSource(
            name,
            Path(config.path),
            spool,
            config.settle,
            monotonic=time.monotonic,
            recursive=config.recursive,
            move=config.move,
            revision=self.store.ledger.revision,
            hints=lambda: repr(hints_of(self.settings)),
            others=lambda: self.settings.balance_files,
        )

    def desk(self) -> Desk:
        """Return where bills are entered."""
        return Desk(
            reader=self.reader,
            ledger=self.store.ledger,
            hints=hints_of(self.settings),
            closing=lambda: closing_of(self.settings, self.store.ledger, self.clock()),
            clock=self.clock,
            turn_to=self._notes.turn_to,
        )

    def _tell_progress(self, phase: str, share: float) -> None:
        self._notes.tell(phase, share)
        if self._progress:
            self._progress(phase, share)

    def collect(self, name: SourceName) -> list[Taken]:
        """Enter everything that the source has; assess after each bill, so that no alert waits behind a later one."""
        source, done = self.sources[name], []
        for taken in collect(source, self.desk(), self.store.health):
            _log_taken(taken)
            done.append(taken)
            if taken.receipt and not taken.receipt.repeated:
                self.assess()
            if self.stopping.is_set():
                break
        if any(taken.refused for taken in done):
            self.assess()
        return done

    def assess(self) -> int:
        """Judge everything; return how many deliveries are new."""
        with self._assessing:
            now = self.clock()
            new = assess(
                self.store.ledger,
                self.store.book,
                self.store.health,
                self._surroundings(now),
                now=now,
                balances=self.store.balances,
                insight=self._insight,
            )
        if new:
            log.info("notifications_committed", deliveries=new)
            self.on_news()
        return new

    def _surroundings(self, now: datetime) -> Surroundings:
        return Surroundings(
            policies=self.settings.policies,
            zone=self.settings.zone,
            targets={name: tuple(channel.targets) for name, channel in self.channels.items()},
            stale_after=self.settings.stale_after,
            config_mistakes=tuple(str(mistake) for mistake in self.config_mistakes),
            troubles={one.channel: one.last_error for one in self.store.outbox.dead_since(now - _DEAD_TOLD)},
        )

    async def ask_balances(self, *, at_once: bool = False) -> list[Asked]:
        """Ask for every balance whose time has come, or for all of them."""
        asked = await self.balance_rounds.ask(at_once=at_once)
        for one in asked:
            if one.why:
                log.warning("balance_unavailable", account=one.account, why=one.why)
        return asked

    async def deliver(self, name: ChannelName) -> int:
        """Hand over what is due on one channel; return how many attempts were made."""
        return await deliver(
            name,
            self.channels[name],
            outbox=self.store.outbox,
            health=self.store.health,
            clock=self.clock,
            settled=self._settled,
            stopping=self.stopping.is_set,
        )

    def _settled(self, settled: Settled) -> None:
        _log_settled(settled)
        self.on_settled(settled)

    def reload(self) -> None:
        """Take over a changed configuration; what is wrong in it keeps its last good state, and is told."""
        settings, self.config_mistakes = reload(self.settings)
        for mistake in self.config_mistakes:
            log.error("config_refused", mistake=str(mistake))
        before = self.settings
        fixed = replace(
            settings,
            state=before.state,
            spool=before.spool,
            heartbeat=before.heartbeat,
            state_password_file=before.state_password_file,
        )
        if fixed != settings:
            log.warning("config_needs_restart", keys=["state", "spool", "state_password_file"])
        self.settings = fixed
        self._furnish()
        log.info("config_reloaded", workspaces=len(self.settings.policies.workspaces), mistakes=len(self.config_mistakes))

    async def once(self) -> list[Taken]:
        """Make one full round: collect what is there and settled, assess, deliver what is due now."""
        taken: list[Taken] = []
        await self.ask_balances(at_once=True)
        for name, source in self.sources.items():
            taken += await asyncio.to_thread(self.collect, name)
            if source.is_unsettled:
                # A file must look the same twice, its settle time apart.
                await asyncio.sleep(self.settings.sources[name].settle.total_seconds() + 0.05)
                taken += await asyncio.to_thread(self.collect, name)
        await asyncio.to_thread(self.assess)
        await asyncio.gather(*(self.deliver(name) for name in self.channels))
        return taken

    def interrupt(self) -> None:
        """Break off a bill that is being read: nothing of it is on record, and it stays where it is."""
        self.reader.interrupt()

    def close(self) -> None:
        """Let go of the reading process."""
        self.stopping.set()
        self.reader.close()


def open_client(settings: Settings) -> Outgoing:
    """Return a client that calls what the operator allows."""
    from spendwatch.outgoing import Outgoing  # noqa: PLC0415 -- httpx costs 0.1 s, and an import of bills sends nothing

    return Outgoing(settings.allow_networks)


def open_channels(settings: Settings, clock: Callable[[], datetime]) -> dict[ChannelName, Channel]:
    """Return the channels named in the settings."""
    client = open_client(settings)
    return {
        name: open_channel(name, config, client=client, zone=settings.zone, clock=clock, allow_networks=settings.allow_networks)
        for name, config in settings.channels.items()
    }


def _ports(
    _ledger: Ledger, _book: AlertBook, _outbox: Outbox, _health: Health, _reader: BillReader, *_sources: BillSource
) -> None:
    """Do nothing: to be called is proof that the adapters have the ports' shapes."""


def _balance_ports(_balances: Balances, *_sources: BalanceSource) -> None:
    """The same for balances."""


def _log_taken(taken: Taken) -> None:
    file = taken.file
    if taken.refused:
        log.warning("bill_refused", file=file.name, source=file.source, why=taken.refused)
    elif taken.failed:
        log.error("bill_left", file=file.name, source=file.source, why=taken.failed)
    elif receipt := taken.receipt:
        event = "bill_repeated" if receipt.repeated else "bill_recorded"
        log.info(
            event,
            file=file.name,
            source=file.source,
            layout=receipt.statement.layout,
            lines=receipt.statement.lines,
            new=receipt.new,
            changed=receipt.changed,
            gone=receipt.gone,
        )
        for remark in receipt.statement.remarks:
            log.warning("bill_remarked", file=file.name, remark=remark)


def _log_settled(settled: Settled) -> None:
    delivery = settled.delivery
    said = {
        "delivery": delivery.id,
        "channel": delivery.channel,
        "alert": delivery.notification.alert,
        "attempts": delivery.attempts,
    }
    if not settled.why:
        log.info("delivery_delivered", type=delivery.notification.type, **said)
    elif settled.final:
        log.error("delivery_died", why=settled.why, **said)
    else:
        log.warning("delivery_postponed", why=settled.why, **said)


def lock_state(store: Store) -> None:
    """Make sure that no other daemon works on this state, or raise `LedgerUnavailableError`."""
    store.database.lock_for_life()
