"""The composition root: it wires all parts together."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from spendwatch.lean import without_rich

with without_rich():
    import structlog

# isort: split
from spendwatch.bills.cells import guarded
from spendwatch.bills.client.dialogue import sweep
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.channels.opening import open_channel
from spendwatch.channels.programs import ProgramChannel
from spendwatch.clock_watch import ClockWatch
from spendwatch.connection import Connection, Way
from spendwatch.domain.delivery import HoldReason
from spendwatch.domain.errors import (
    ConfigMistake,
    LedgerDamagedError,
    LedgerUnavailableError,
    SourceUnavailableError,
    TemporaryDeliveryError,
)
from spendwatch.domain.period import BillingPeriod, PeriodClose, closes_at, open_periods
from spendwatch.domain.policy import AccountPolicy, ChannelName
from spendwatch.domain.policy_changes import policy_changes
from spendwatch.domain.routing import FIRST_GATHERING, FOLLOW_UP, GATHERING
from spendwatch.domain.statement import AccountId, ReadingHints, SourceName
from spendwatch.jobs.assess import assess
from spendwatch.jobs.balances import ConfiguredBalance
from spendwatch.jobs.collect import IngestContext, IngestResult, collect
from spendwatch.jobs.conditions import Surroundings
from spendwatch.jobs.deliver import Settled, deliver, find_ways, to_their_ends
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.ledger_alarm import LedgerAlarm
from spendwatch.jobs.mirror import EVERY, Mirror
from spendwatch.jobs.pings import Pings
from spendwatch.jobs.ports import Channel
from spendwatch.jobs.progress import ProgressNotes
from spendwatch.jobs.read_balances import Asked, BalanceRounds, Polled
from spendwatch.jobs.reports import Reports
from spendwatch.jobs.vitals import Vitals
from spendwatch.letters.own_words import template_mistakes
from spendwatch.logs import hide
from spendwatch.settings import Settings, reload
from spendwatch.settings.lint import failing_templates
from spendwatch.sources.alibaba.client import BssClient
from spendwatch.sources.alibaba.settings import AlibabaConfig
from spendwatch.sources.balances.settings import ApiBalanceConfig, BalanceConfig
from spendwatch.sources.feeds import Feeds
from spendwatch.sources.folder.settings import FolderConfig
from spendwatch.sources.opening import Source, SourceContext, open_balance
from spendwatch.state import Store, not_before, system_clock
from spendwatch.store import ledger
from spendwatch.views.month_page import month_page_apart

if TYPE_CHECKING:
    from spendwatch.outgoing import Outgoing

log = structlog.get_logger("spendwatch")

_TOGETHER = 10.0
"""For so many seconds the days of one bill are entered before they are judged together."""

_DEAD_TOLD = timedelta(days=1)
"""For how long a delivery that died keeps its channel called failing."""

_BYTES_KEPT = timedelta(days=30)
"""How long the bytes of delivered messages are kept: whoever says that nothing came may want to see them."""

_COMPLAINTS_SHOWN = 3

_CONFIGURED_POLL = timedelta(hours=1)
"""How often it is noted that what is configured of a balance is still the same."""


def hints_of(settings: Settings, source: SourceName | None = None) -> ReadingHints:
    """Return what the configuration says, of the source, too, where a bill is silent."""
    known = {policy.account: policy.currency for policy in settings.policies.accounts}
    match settings.sources.get(source) if source else None:
        case None | AlibabaConfig():
            return ReadingHints(known)
        case config:
            return ReadingHints(known, config.account, config.kind, config.layout or "")


def closing_of(settings: Settings, ledger: ledger.Ledger, now: datetime) -> PeriodClose:
    """Return which of the months on record are final, and which month is the oldest that is not."""
    policies, zone = settings.policies, settings.zone
    known = {period for periods in ledger.periods().values() for period in periods}
    closed = {period: closes_at(period, zone, final_on=policies.month_final_on) for period in known}
    first_open = open_periods(now, zone, final_on=policies.month_final_on)[0]
    return PeriodClose({period: at for period, at in closed.items() if at <= now}, policies.products, first_open)


def surroundings_of(settings: Settings, channels: Mapping[ChannelName, Channel]) -> Surroundings:
    """Return what is to be judged as far as the settings say it."""
    return Surroundings(
        policies=settings.policies,
        zone=settings.zone,
        targets={name: tuple(channel.targets) for name, channel in channels.items()},
        stale_after=settings.stale_after,
        rejected_in=settings.rejected_in,
        routes=settings.routes,
    )


class App:
    """The daemon's parts, put together; when each of them works is the schedule's business."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        clock: Callable[[], datetime] = system_clock,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        progress: Callable[[str, float], None] | None = None,
        reader: ReadingProcess | None = None,
    ) -> None:
        """Wire ports to adapters; the type checker compares their shapes here. Without a reader it makes its own."""
        self.settings = settings
        self.store = store
        self.clock = not_before(clock, self._newest)
        """The time by which everything is judged and noted."""
        self.stopping = threading.Event()
        self.on_news: Callable[[], object] = lambda: None
        self.on_settled: Callable[[Settled], None] = lambda _: None
        self.on_answer: Callable[[SourceName], None] = lambda _: None
        """Called for each response that a source receives: a long download is alive."""
        self.config_mistakes: tuple[ConfigMistake, ...] = ()
        self._monotonic = monotonic
        self._assessing = threading.Lock()
        self.follow_up = FOLLOW_UP
        """How long messages wait for each other after a digest; zero where nothing comes after this round."""
        self.is_complete = False
        """Whether no file of the configuration was left aside because of its mistakes."""
        self._gathering: dict[str, timedelta] = {}
        """What goes on whose messages come together, and how long they wait for its end."""
        sweep(settings.spool / "reading")
        self._notes = ProgressNotes(store.health, clock, time.monotonic)
        self._progress = progress
        self.reader = reader or ReadingProcess(settings.spool / "reading", progress=self._tell_progress)
        self._failing: dict[SourceName, bool] = {}
        """Which sources failed when they were looked at last."""
        self._clients = clients_of(settings)
        self._reachable = settings.allow_networks
        self._feeds = Feeds(self._source_context(clock, sleep))
        self.channels: dict[ChannelName, Channel] = {}
        self._mirrors: dict[ChannelName, tuple[Mirror, float]] = {}
        """What programs that show alerts were told, and when they are to hear more."""
        self._insight = Insight()
        self._balances: dict[AccountId, tuple[object, Polled]] = {}
        """How each balance is read, and on what ground."""
        self.balance_rounds = BalanceRounds({}, store.balances, clock, monotonic)
        self.clock_watch = ClockWatch(store.database, self.clock, monotonic, self._newest, lambda: self.settings.zone)
        self.alarm = LedgerAlarm(clock, monotonic)
        self.pings = Pings(monotonic)
        self.vitals = Vitals(clock, monotonic, reloaded_at=clock())
        self._trouble_noted = ""
        self._furnish()

    def _source_context(self, clock: Callable[[], datetime], sleep: Callable[[float], Awaitable[object]]) -> SourceContext:
        return SourceContext(
            fetched=self.settings.fetched,
            environ=self.settings.outside.environ,
            metadata=_metadata_client,
            memory=self.store.memory,
            hints=lambda name: repr(hints_of(self.settings, name)),
            others=lambda: self.settings.not_bills,
            got_on=self._tell_answer,
            clock=clock,
            monotonic=self._monotonic,
            sleep=sleep,
        )

    @property
    def sources(self) -> Mapping[SourceName, Source]:
        """Where bills come from."""
        return self._feeds.sources

    @property
    def apis(self) -> Mapping[SourceName, BssClient]:
        """The billing API of each source of that type, opened, at the pace that its account allows."""
        return self._feeds.apis

    def _furnish(self) -> None:
        settings = self.settings
        if self._reachable != settings.allow_networks:
            self._clients, self._reachable = clients_of(settings), settings.allow_networks
        sites = {policy.account: policy.site for policy in settings.policies.accounts}
        self._feeds.renew(settings.sources, self._outgoing, sites=sites, final_on=settings.policies.month_final_on)
        self.channels = open_channels(settings, self.clock, self._clients)
        for mistake in failing_templates(settings, self.clock()):
            log.error("template_failed", mistake=str(mistake))
        self.store.outbox.holding = [name for name, one in settings.channels.items() if one.on_ambiguous == "hold"]
        self._balances = {policy.account: self._balance(policy) for policy in settings.accounts if policy.balance}
        self.balance_rounds.take_over({account: polled for account, (_, polled) in self._balances.items()})

    def _balance(self, policy: AccountPolicy) -> tuple[object, Polled]:
        """Return where the balance of the account is known; what did not change stays, with what it remembers."""
        config = self.settings.balances.get(policy.account)
        ground = (config, policy, self._outgoing(config), self._api_of_source(config))
        before = self._balances.get(policy.account)
        if before and before[0] == ground:
            return before
        if config is None:
            return ground, Polled(ConfiguredBalance(policy), _CONFIGURED_POLL)
        source = open_balance(
            config,
            account=policy.account,
            currency=policy.currency,
            client=lambda: self._outgoing(config),
            api=lambda config: self._balance_api(config, policy),
        )
        return ground, Polled(source, config.poll)

    def _api_of_source(self, config: BalanceConfig | None) -> BssClient | None:
        name = config.source if isinstance(config, ApiBalanceConfig) else None
        return self.apis.get(SourceName(name)) if name else None

    def _balance_api(self, config: ApiBalanceConfig, policy: AccountPolicy) -> BssClient:
        """Return the billing API with the rights of a source of bills, or with the balance's own; at one pace in any case."""
        if config.source and not config.has_own_access:
            return self.apis[SourceName(config.source)]
        return self._feeds.open_api(config, policy.account, policy.site, self._outgoing(config))

    def _outgoing(self, config: object) -> Outgoing:
        """Return the client that connects as these settings say; it is another one once other networks may be called."""
        return self._clients(config.way if isinstance(config, Connection) else Way())

    def desk(self, source: SourceName | None = None) -> IngestContext:
        """Return where bills of that source are entered, or such that were brought by hand."""
        return IngestContext(
            reader=self.reader,
            ledger=self.store.ledger,
            hints=hints_of(self.settings, source),
            closing=lambda: closing_of(self.settings, self.store.ledger, self.clock()),
            clock=self.clock,
            turn_to=self._notes.turn_to,
        )

    def _tell_answer(self, name: SourceName) -> None:
        self.on_answer(name)

    def _tell_progress(self, phase: str, share: float) -> None:
        self._notes.tell(phase, share)
        if self._progress:
            self._progress(phase, share)

    async def gather(self, name: SourceName) -> list[IngestResult]:
        """Fetch what lies elsewhere, then enter everything that the source has."""
        while source := self.sources.get(name):
            if not await self._feeds.fetch(name, self.clock()):
                break
            if self.sources.get(name) is source:  # a reload may have put another in its place, or none
                return await asyncio.to_thread(self.collect, name)
        return []

    def trigger_now(self) -> None:
        """Let be asked at once what would wait, after trouble or for its time: a person wants it."""
        self._feeds.trigger_now()
        self.balance_rounds.trigger_now()

    def end_pauses(self) -> None:
        """Try every channel at once: a person wants it."""
        self.store.health.retry_channels(self.channels.keys())
        self.store.outbox.free(self.channels.keys(), now=self.clock())

    def stop(self) -> None:
        """Take up nothing new, and break off what waits for an answer of an endpoint."""
        self.stopping.set()
        self._feeds.stop()

    def collect(self, name: SourceName) -> list[IngestResult]:
        """Enter everything that the source has, and assess it."""
        self.store.ledger.check(self._feeds.checks(name))
        return self.judge_each(name, collect(self.sources[name], self.desk(name), self.store.health))

    def judge_each(self, name: SourceName, takings: Iterable[IngestResult]) -> list[IngestResult]:
        """Assess after each bill that the source gives, so that no alert waits behind a later one; return all of them.

        Of a bill that comes day by day many days are judged at once: nobody is to hear of a part of what we know.
        """
        with self.entering(name):
            done, is_due = self._judged_each(name, takings)
        waiting = self.store.book.waiting(due=self.clock()) if done else ()
        if is_due or self._has_turned(name) or any(one.row and one.row.why is HoldReason.STORM for one in waiting):
            self.assess()
        return done

    @contextmanager
    def entering(self, name: str = "") -> Iterator[None]:
        """Let what is assessed meanwhile know that more bills of the same import may follow.

        Messages wait a little for those of the next bills, and for the end of a first import or of a round by hand.
        """
        self._gathering[name] = GATHERING if name and self.store.ledger.newest_day() else FIRST_GATHERING
        try:
            yield
        finally:
            self._gathering.pop(name, None)

    def _judged_each(self, name: SourceName, takings: Iterable[IngestResult]) -> tuple[list[IngestResult], bool]:
        """Return what became of each bill, and whether something is to be assessed still."""
        done: list[IngestResult] = []
        wait = _TOGETHER if self._feeds.are_days(name) else 0.0
        is_due, judged = False, self._monotonic()
        for taken in takings:
            _log_taken(taken)
            self.vitals.count(taken)
            done.append(taken)
            is_due |= bool(taken.refused or (taken.receipt and not taken.receipt.repeated))
            if is_due and not taken.refused and self._monotonic() - judged >= wait:
                self.assess()
                is_due, judged = False, self._monotonic()
            if self.stopping.is_set():
                break
        return done, is_due

    def _has_turned(self, name: SourceName) -> bool:
        """Return whether the source started or stopped failing since the last call."""
        is_failing = any(source.name == name and source.failing_since for source in self.store.health.sources())
        was_failing, self._failing[name] = self._failing.get(name, False), is_failing
        return is_failing != was_failing

    def assess(self) -> int:
        """Judge everything; return how many deliveries are new."""
        with self._assessing:
            self.clock_watch.follow()
            now = self.clock()
            around = self._surroundings(now)
            if is_new := self._insight.closed_by is not around.policies:
                self.store.health.keep_channels(around.targets)
            store, is_sure = self.store, is_new and self.is_complete
            new = find_ways(store.outbox, store.book, store.health, around, is_new=is_sure, now=now)
            new += assess(
                self.store.ledger,
                self.store.book,
                self.store.health,
                around,
                now=now,
                balances=self.store.balances,
                insight=self._insight,
            )
            reports = Reports(store.ledger, store.book, store.health, store.balances, around, guarded, self._month_pages())
            new += reports.send(now)
        if new:
            log.info("notifications_committed", deliveries=new)
            self.on_news()
        return new

    def _month_pages(self) -> Callable[[BillingPeriod, ChannelName], str]:
        """Return what makes the pages that go with mails: one for all mails in a language."""
        made, channels = cache(partial(month_page_apart, self.settings)), self.settings.channels

        def page(month: BillingPeriod, channel: ChannelName) -> str:
            config = channels.get(channel)
            return made(month, config.language) if config and config.type == "email" else ""

        return page

    def beat(self, *, is_daemon: bool = True) -> None:
        """Note that everything was evaluated just now."""
        self._trouble_noted = self.alarm.trouble
        self.store.health.beat(at=self.clock(), is_daemon=is_daemon, trouble=self._trouble_noted, ping=self.pings.trouble)

    async def ping(self, *, failing: str, is_proven: bool) -> None:
        """Tell the monitoring service, if there is one, whether all jobs get on; `failing`: why not."""
        if (part := self.settings.pings) and part.url:
            await self.pings.ping(self._outgoing(part), part.url, part.every, failing=failing, is_proven=is_proven)

    async def tell_ledger_trouble(self) -> None:
        """Tell the operators of trouble with the ledger, or that it is over, and note it for `status` if it can be noted."""
        await self.alarm.tell(self.channels, self.settings.policies.operators)
        if (trouble := self.alarm.trouble) != self._trouble_noted:
            with suppress(LedgerUnavailableError):
                await asyncio.to_thread(self.store.health.ledger_failed, trouble)
                self._trouble_noted = trouble

    def check_ledger(self) -> None:
        """Look for damage; what is damaged raises `LedgerDamagedError`."""
        if complaints := self.store.database.complaints():
            said = "; ".join(complaints[:_COMPLAINTS_SHOWN])
            place, advice = self.store.database.place, "restore a backup, or rebuild it from the archived bill files"
            msg = f"the ledger at {place} is damaged ({advice}): {said}"
            raise LedgerDamagedError(msg)

    def _newest(self) -> datetime | None:
        """Return when the latest day ends that a bill charges for."""
        day = self.store.ledger.newest_day()
        return datetime.combine(day + timedelta(days=1), datetime.min.time(), self.settings.zone) if day else None

    def _surroundings(self, now: datetime) -> Surroundings:
        return replace(
            surroundings_of(self.settings, self.channels),
            is_amid=bool(self._gathering),
            is_complete=self.is_complete,
            config_mistakes=tuple(map(str, (*self.config_mistakes, *template_mistakes(self.settings.channels.values())))),
            clock_trouble=self.clock_watch.trouble_at(now),
            troubles=self.store.outbox.dead_since(now - _DEAD_TOLD),
            undelivered=tuple(self.store.book.undelivered()),
            follow_up=self.follow_up,
            gathering=max(tuple(self._gathering.values()), default=timedelta()),
        )

    async def ask_balances(self, *, at_once: bool = False, of: Collection[AccountId] | None = None) -> list[Asked]:
        """Ask for every balance whose time has come, or for all of them; if accounts are named, for theirs alone."""
        asked = await self.balance_rounds.ask(at_once=at_once, of=of)
        for one in asked:
            if one.why:
                log.warning("balance_unavailable", account=one.account, why=one.why)
        return asked

    def tidy(self) -> None:
        """Delete what `retention` no longer keeps. Ages are measured from the newest bill, never by the clock alone."""
        self.check_ledger()  # of a damaged one the bills are needed
        newest, retention = self._newest(), self.settings.retention
        if newest is None:
            return
        now = min(self.clock(), newest)
        if retention.originals:
            for name, source in self.sources.items():
                try:
                    source.forget_originals(now - retention.originals)
                except SourceUnavailableError as error:
                    log.warning("originals_not_forgotten", source=name, why=str(error))
        if forgotten := self.store.book.forget(now - retention.deliveries, now - _BYTES_KEPT):
            log.info("messages_forgotten", messages=forgotten)
        self.store.ledger.compact(closing_of(self.settings, self.store.ledger, self.clock()))
        if retention.lines:
            given_up = self.store.ledger.give_up_lines((now - retention.lines).astimezone(self.settings.zone).date())
            if given_up:
                log.info("lines_given_up", contents=given_up)

    async def deliver(self, name: ChannelName) -> int:
        """Hand over what is due on one channel; return how many attempts were made.

        After a reload the channel is another one: what is on its way comes to its end, and nothing more is taken up.
        """
        channel, config = self.channels.get(name), self.settings.channels.get(name)
        if channel is None or config is None:  # amid a reload that takes it away
            return 0
        attempts = await deliver(
            name,
            channel,
            outbox=self.store.outbox,
            health=self.store.health,
            clock=self.clock,
            settled=self._settled,
            stopping=lambda: self.stopping.is_set() or self.channels.get(name) is not channel,
            route=config.route(self.settings.zone),
        )
        if isinstance(channel, ProgramChannel):
            await self._mirror(name, channel)
        return attempts

    async def _mirror(self, name: ChannelName, channel: ProgramChannel[Any]) -> None:
        """Tell a program from time to time what fires, and what ended without a message."""
        mirror, due = self._mirrors.get(name, (None, 0.0))
        if mirror is None or mirror.channel is not channel:
            mirror, due = Mirror(name, channel), 0.0
        if self._monotonic() < due or self.stopping.is_set():
            return
        known = next((one for one in self.store.health.channels() if one.name == name), None)
        trouble = None
        if not known or not known.wants_silence(self.clock()):
            trouble = await mirror.update(self.store.book, self.clock)
        pause = max(EVERY, trouble.retry_after or EVERY) if isinstance(trouble, TemporaryDeliveryError) else EVERY
        self._mirrors[name] = mirror, self._monotonic() + pause.total_seconds()
        if trouble:
            log.warning("mirror_failed", channel=name, why=str(trouble))

    def _settled(self, settled: Settled) -> None:
        _log_settled(settled)
        self.on_settled(settled)

    def reload(self) -> None:
        """Apply a changed configuration; invalid parts keep their last good state and are reported."""
        settings, self.config_mistakes = reload(self.settings)
        for mistake in self.config_mistakes:
            log.error("config_refused", mistake=str(mistake))
        if not self.config_mistakes:
            self.vitals.reloaded_at = self.clock()
        before = self.settings
        fixed = replace(
            settings,
            state=before.state,
            spool=before.spool,
            heartbeat=before.heartbeat,
            fetched=before.fetched,
            state_password_file=before.state_password_file,
            web=before.web,
        )
        if fixed != settings:
            log.warning("config_needs_restart", keys=["state", "spool", "state_password_file", "web"])
        for secret in fixed.secrets:
            hide(secret)
        self.settings = fixed
        self._furnish()
        for change in policy_changes(before.policies, fixed.policies):
            log.info("policy_changed", change=change)
        log.info("config_reloaded", workspaces=len(self.settings.policies.workspaces), mistakes=len(self.config_mistakes))

    async def once(self) -> list[IngestResult]:
        """Make one full round: collect what is there and settled, assess, deliver what is due now."""
        await self.ask_balances(at_once=True)
        self.follow_up = timedelta()
        with self.entering():
            taken = await asyncio.gather(*(self._gather_settled(name) for name in self.sources))
        await asyncio.to_thread(self.assess)
        await asyncio.to_thread(self.beat, is_daemon=False)
        await to_their_ends(self.deliver(name) for name in self.channels)
        return [one for of_source in taken for one in of_source]

    async def _gather_settled(self, name: SourceName) -> list[IngestResult]:
        taken, config = await self.gather(name), self.settings.sources[name]
        if self.sources[name].is_unsettled and isinstance(config, FolderConfig):
            # A file must look the same twice, its settle time apart.
            await asyncio.sleep(config.settle.total_seconds() + 0.05)
            taken += await self.gather(name)
        return taken

    def interrupt(self) -> None:
        """Break off a bill that is being read: nothing of it is on record, and it stays where it is."""
        self.reader.interrupt()

    def close(self) -> None:
        """Let go of the reading process."""
        self.stop()
        self.reader.close()


def clients_of(settings: Settings) -> Callable[[Way], Outgoing]:
    """Return what makes clients, one for each way to connect."""
    from spendwatch.outgoing import Outgoing  # noqa: PLC0415 -- httpx costs 0.1 s, and an import of bills sends nothing

    return cache(partial(Outgoing, settings.allow_networks))


def open_channels(
    settings: Settings, clock: Callable[[], datetime], clients: Callable[[Way], Outgoing] | None = None
) -> dict[ChannelName, Channel]:
    """Return the channels named in the settings; without `clients` they get some of their own."""
    clients = clients or clients_of(settings)
    return {
        name: open_channel(
            name, config, clients=clients, zone=settings.zone, clock=clock, allow_networks=settings.allow_networks
        )
        for name, config in settings.channels.items()
    }


def _metadata_client() -> Outgoing:
    from spendwatch.outgoing import Outgoing  # noqa: PLC0415 -- as above

    return Outgoing.to_metadata_service()


def _log_taken(taken: IngestResult) -> None:
    file = taken.file
    if taken.refused:
        log.warning("bill_refused", file=file.name, source=file.source, why=str(taken.refused))
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
        for remark in receipt.remarks:
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
