"""Replays what is on record as it arrived: every bill at its time, into a scratch ledger that is judged like the real one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from spendwatch.app import closing_of
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.cli.outcome import IMPORTED
from spendwatch.cli.rebuilding import rebuilt
from spendwatch.cli.timeline import Timeline
from spendwatch.domain.alert import Acknowledgement, Alert, AlertState
from spendwatch.domain.balance_reading import Origin, RecordedReading
from spendwatch.domain.delivery import Silence
from spendwatch.domain.health import Rejection, SourceHealth
from spendwatch.domain.merging import (
    DayPlan,
    Held,
    HeldStatement,
    Pieces,
    Plan,
    Resolution,
    ResolvedDay,
    fresh_accounts,
    outcome,
    plan_change,
    resolve,
)
from spendwatch.domain.period import FIRST_RELEASE, BillingPeriod, PeriodClose
from spendwatch.domain.policy import AccountPolicy, Policies
from spendwatch.domain.review import Verdict
from spendwatch.domain.routing import FIRST_GATHERING, GATHERING
from spendwatch.domain.statement import AccountId, DayKey, Digest, SourceName, Statement
from spendwatch.jobs.balances import manual_reading
from spendwatch.settings import Settings
from spendwatch.state import Store
from spendwatch.store.audit import NO_DIGEST
from spendwatch.store.copying import days_on_record
from spendwatch.store.ledger import Ledger
from spendwatch.store.statement import EnteredStatement

_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class _Recorded(Statement):
    """A statement as the ledger has it, under the identity that it has there."""

    recorded_as: Digest = NO_DIGEST

    @property
    def identity(self) -> Digest:
        """Which statement it is."""
        return self.recorded_as


class _Arrival(NamedTuple):
    """A statement, when it came, and when it was confirmed by the same bytes once more."""

    at: datetime
    confirmed_at: datetime
    statement: _Recorded
    name: str
    source: SourceName


class Past(NamedTuple):
    """What is on record, as of one moment."""

    entered: Sequence[EnteredStatement]
    arrivals: Sequence[_Arrival]
    """In the order in which they came."""
    final: Mapping[DayKey, Pieces]
    """What decides about each day now."""
    days: Mapping[DayKey, ResolvedDay]
    """Resolution as they are now: those that have not changed since the replay begins, and those whose lines were given up."""
    rejections: Sequence[Rejection]
    readings: Mapping[AccountId, Sequence[RecordedReading]]
    """The first one first."""
    sources: Sequence[SourceHealth]
    alerts: Sequence[Alert]
    """Those that were known when the replay begins, as they were then."""
    silences: Sequence[Silence]
    acknowledgements: Sequence[Acknowledgement]
    start: datetime
    """From when on it is judged; what came before is taken in first."""

    @classmethod
    def of(cls, store: Store, start: datetime) -> Past:
        """Look at what the store holds now."""
        with store.database.snapshot():
            ledger, entered = store.ledger, store.ledger.statements()
            series = {one for statement in entered for one in ledger.series_of(statement.identity)}
            held = ledger.held(series).statements
            final = resolve(held)
            told = {one.identity: one for one in held}
            arrivals = sorted((_arrival(one, told.get(one.identity)) for one in reversed(entered)), key=lambda one: one.at)
            before = {one.statement.identity for one in arrivals if one.at < start}
            then = resolve([one for one in held if one.identity in before])
            same = {key for key, pieces in then.items() if outcome(pieces) == outcome(final.get(key, ()))}
            contents = {day.digest: day.key for one in held for day in one.days}
            lost = ledger.given_up(contents)
            same |= {day.key for one in held for day in one.days if day.digest in lost}
            readings = {account: store.balances.history(account, limit=_ALL)[::-1] for account in store.balances.latest()}
            rejections, sources = ledger.rejections(FIRST_RELEASE), store.health.sources()
            alerts, silences = tuple(_alerts_at(store, start)), store.book.silences()
            acknowledgements = store.book.acknowledgements()
            days = days_on_record(store.database, same)
        return cls(entered, arrivals, final, days, rejections, readings, sources, alerts, silences, acknowledgements, start)


def _arrival(entered: EnteredStatement, held: HeldStatement | None) -> _Arrival:
    days, coverage = (held.days, held.coverage) if held else ((), ())
    versions = [*(day.version for day in days), *(one.version for one in coverage)]
    statement = _Recorded(
        **{name: getattr(entered, name) for name in _SAME},
        version=max(versions, key=lambda version: version.order, default=None),
        days=days,
        coverage=coverage,
        recorded_as=entered.identity,
    )
    return _Arrival(entered.first_received_at, entered.received_at, statement, entered.name, entered.source)


_SAME = (
    *("digest", "layout", "series", "kind", "tax_basis", "accounts", "periods", "lines"),
    *("data_until", "exported_at", "remarks", "unassigned"),
)


def _alerts_at(store: Store, moment: datetime) -> Iterator[Alert]:
    """Yield the alerts that had begun then, as they were."""
    for alert in store.book.alerts(limit=_ALL):
        if alert.since < moment:
            said = [one.created_at for one in store.book.notifications_of(alert.id) if one.created_at < moment]
            is_over = alert.resolved_at is not None and alert.resolved_at < moment
            course = alert._replace(told_at=max(said, default=alert.since if alert.told_at else None), times_told=len(said))
            yield course if is_over else course._replace(state=AlertState.FIRING, resolved_at=None)


@dataclass(frozen=True, slots=True)
class Balances:
    """The readings of balances on record, as they were known at any moment."""

    readings: Mapping[AccountId, Sequence[RecordedReading]]
    configured: Policies
    """Balances that only the configuration tells are as it tells them."""
    _as_of: dict[tuple[RecordedReading | None, ...], Policies] = field(default_factory=dict)

    @property
    def news(self) -> Iterator[datetime]:
        """When something new became known."""
        return (one.first_read_at for readings in self.readings.values() for one in readings)

    def at(self, now: datetime) -> Mapping[AccountId, RecordedReading]:
        """Return of each account the reading that was known then."""
        found = {account: self._known(account, now) for account in self.readings}
        there = {account: _moved(one, now) for account, one in found.items() if one}
        configured = ((one, manual_reading(one, one.balance, now)) for one in self.configured.accounts if one.balance)
        return {one.account: RecordedReading(told, FIRST_RELEASE, FIRST_RELEASE) for one, told in configured if told} | there

    def policies(self, now: datetime) -> Policies:
        """Return the policies with the balances that were configured then: what there is is no matter of policy."""
        manual = tuple(self._configured(one, now) for one in self.configured.accounts)
        if manual not in self._as_of:
            accounts = tuple(map(_with_balance, self.configured.accounts, manual))
            self._as_of[manual] = self.configured._replace(accounts=accounts) if any(manual) else self.configured
        return self._as_of[manual]

    def _configured(self, policy: AccountPolicy, now: datetime) -> RecordedReading | None:
        known = self._known(policy.account, now) if policy.balance and policy.balance.cash is not None else None
        return known if known and known.reading.origin is Origin.MANUAL else None

    def _known(self, account: AccountId, now: datetime) -> RecordedReading | None:
        known = (one for one in reversed(self.readings.get(account, ())) if one.first_read_at <= now)
        return next(known, None)


def _with_balance(policy: AccountPolicy, known: RecordedReading | None) -> AccountPolicy:
    if known is None or policy.balance is None or known.reading.cash is None or known.reading.credit is None:
        return policy
    cash, credit = known.reading.cash.amount, known.reading.credit.amount
    return replace(policy, balance=policy.balance._replace(cash=cash, credit=credit))


def _moved(one: RecordedReading, now: datetime) -> RecordedReading:
    """Return a reading as it was then: it stands for several in a row, the last of which may have come later."""
    reading = one.reading
    if now >= reading.read_at:
        return one
    as_of = min(max(now - (reading.read_at - reading.as_of), one.since), reading.as_of)
    return one._replace(reading=replace(reading, as_of=as_of, read_at=now))


class _Event(NamedTuple):
    at: datetime
    do: Callable[[], object]
    waits: bool = True
    """Whether it is judged together with what follows at once."""
    is_bill: bool = False


class Replay:
    """Plays the past once more, by the given settings."""

    def __init__(self, past: Past, store: Store, settings: Settings, policy: Settings, stack: ExitStack) -> None:
        """Take what is on record in the store of these settings, and the settings to judge by."""
        self.past = past
        self.timeline = stack.enter_context(Timeline.opened(policy, past.start))
        self.unknown: set[DayKey] = set()
        """Resolution that are as they were before, or missing: nobody has the lines that counted any more."""
        self.unknown_until: datetime | None = None
        """When the last of such days was known again."""
        self._store, self._settings, self._policy, self._stack = store, settings, policy, stack
        self._balances = Balances(past.readings, policy.policies)
        self.timeline.readings, self.timeline.policies = self._balances.at, self._balances.policies
        self._reader = stack.enter_context(ReadingProcess.apart())
        self._archived: Ledger | None = None
        self._of_days = {name for name, config in settings.sources.items() if config.type == "alibaba"}

    def play(self, until: datetime) -> None:
        """Let it happen up to that moment."""
        events = [one for one in sorted(self._events(), key=lambda one: one.at) if one.at < until]
        early = [one for one in events if one.at < self.past.start]
        self._enter_at_once([one for one in self.past.arrivals if one.at < self.past.start])
        for event in early:
            event.do()
        for silence in self.past.silences:
            self.timeline.store.book.add_silence(silence)
        self.timeline.store.book.commit(Verdict(tuple(self.past.alerts)), {}, now=self.past.start)
        events = events[len(early) :]
        if not early and events:
            self.timeline.now = events[0].at
        for event, following in zip(events, [*events[1:], None], strict=False):
            self.timeline.pass_time(event.at)
            self._happen(event, following)
        self.timeline.pass_time(until)

    def _happen(self, event: _Event, following: _Event | None) -> None:
        """Let something happen, and judge it: bills one by one, and once more when a look at their source has ended."""
        timeline = self.timeline
        if event.is_bill and not timeline.gathering:
            timeline.gathering = GATHERING if timeline.store.ledger.newest_day() else FIRST_GATHERING
        event.do()
        if event.is_bill and not event.waits:
            timeline.round(event.at)
        within = timeline.gathering or GATHERING
        goes_on = following is not None and following.at - event.at <= within and (event.waits or following.is_bill)
        if not goes_on:
            timeline.gathering = timedelta()
            timeline.round(event.at)
        timeline.now = event.at

    def _events(self) -> Iterator[_Event]:
        store = self.timeline.store
        for source in self.past.sources:
            yield _Event(source.first_seen_at, partial(store.health.looked, source.name, at=source.first_seen_at))
        yield from (_Event(at, lambda: None) for at in self._balances.news)
        for made in self.past.acknowledgements:
            yield _Event(made.at, partial(store.book.acknowledge, (made,), ()))
        for rejection in self.past.rejections:
            yield _Event(rejection.at, partial(store.ledger.refuse, rejection), waits=False)
        for arrival in self.past.arrivals:
            if arrival.at >= self.past.start:
                waits = arrival.source in self._of_days
                yield _Event(arrival.at, partial(self._enter, arrival), waits=waits, is_bill=True)
            if arrival.at < self.past.start or arrival.confirmed_at > arrival.at:
                yield _Event(arrival.confirmed_at, partial(self._came, arrival, arrival.confirmed_at))

    def _came(self, arrival: _Arrival, at: datetime) -> None:
        closing = closing_of(self._policy, self.timeline.store.ledger, at)
        fresh = {month.account for month in arrival.statement.months if not closing.is_over(month.period)}
        self._note_bill(arrival, at, fresh)

    def _note_bill(self, arrival: _Arrival, at: datetime, accounts: Collection[AccountId]) -> None:
        if accounts and arrival.source != IMPORTED:
            self.timeline.store.health.bill_came(arrival.source, at=at, accounts=accounts)

    def _enter(self, arrival: _Arrival) -> None:
        ledger, statement = self.timeline.store.ledger, arrival.statement
        held = ledger.held(statement.months)
        closing = closing_of(self._policy, ledger, arrival.at)
        plan = plan_change(held, held.with_statement(statement, arrival.at))
        with self._resolved(plan, arrival.at) as days:
            self._record(arrival, days, held, closing)
            self._note_bill(arrival, arrival.at, fresh_accounts(statement, days.days, held, closing))

    def _enter_at_once(self, arrivals: Sequence[_Arrival]) -> None:
        """Enter what came before the replay begins: what counts of it is resolved once, and most of it is on record."""
        told = (HeldStatement(one.statement.identity, one.at, one.statement.days, one.statement.coverage) for one in arrivals)
        with self._resolved(plan_change(Held(), Held(tuple(told))), self.past.start, is_base=True) as days:
            for number, one in enumerate(arrivals, start=1):
                held = self.timeline.store.ledger.held(one.statement.months)
                self._record(one, days if number == len(arrivals) else Resolution(), held, None)

    def _record(self, one: _Arrival, days: Resolution, held: Held, closing: PeriodClose | None) -> None:
        self.timeline.store.ledger.record(
            one.statement, days, name=one.name, source=one.source, held=held, now=one.at, closing=closing
        )

    @contextmanager
    def _resolved(self, plan: Plan, at: datetime, *, is_base: bool = False) -> Iterator[Resolution]:
        """Give the days of a plan: as the lines say, or as they are on record where the same decides about them now."""
        recorded = {one.key: day for one in plan.days if (day := self._recorded(one))}
        rest = [one for one in plan.days if not (is_base and one.key in recorded)]
        missing = self._missing({piece.content for one in rest for piece in (*one.before, *one.after)})
        taken, days = [recorded[one.key] for one in plan.days if is_base and one.key in recorded], []
        for one in rest:
            if one.key in self.unknown:
                self.unknown_until = at
            self.unknown.discard(one.key)
            if missing.isdisjoint(piece.content for piece in one.after):
                is_whole = missing.isdisjoint(piece.content for piece in one.before)
                days.append(one if is_whole else one._replace(before=()))
            elif one.key in recorded:
                taken.append(recorded[one.key])
            else:
                self.unknown.add(one.key)
        if not days:
            yield Resolution(taken)
            return
        others = [one for one in plan.others if not self._missing({piece.content for piece in (*one.before, *one.after)})]
        needed = Plan(tuple(days), tuple(others), (), plan.linked)
        with self._reader.resolved(needed, self._lines, self._ids) as resolution:
            yield Resolution([*resolution.days, *taken])

    def _recorded(self, one: DayPlan) -> ResolvedDay | None:
        is_same = outcome(one.after) == outcome(self.past.final.get(one.key, ()))
        return self.past.days.get(one.key) if is_same else None

    def _missing(self, contents: Collection[Digest]) -> frozenset[Digest]:
        """Return the contents that neither the ledger nor an archived bill file has any more."""
        lost = self._store.ledger.given_up(contents)
        if lost and self._archived is None:
            self._archived = self._stack.enter_context(rebuilt(self._settings, self._store, self._tellers(), ())).store.ledger
        return frozenset(one for one in lost if not (self._archived and self._archived.content(one)))

    def _tellers(self) -> Sequence[EnteredStatement]:
        """Return the statements with lines that were given up, of days that change in the replay."""
        arrivals = self.past.arrivals
        keys = {day.key for one in arrivals if one.at >= self.past.start for day in one.statement.days}
        told = {day.digest for one in arrivals for day in one.statement.days if day.key in keys}
        lost = self._store.ledger.given_up(told)
        names = {one.statement.identity for one in arrivals if not lost.isdisjoint(day.digest for day in one.statement.days)}
        return [one for one in self.past.entered if one.identity in names]

    def _lines(self, digest: Digest) -> bytes:
        return self._store.ledger.content(digest) or (self._archived.content(digest) if self._archived else None) or b""

    def _ids(self, digest: Digest) -> bytes:
        return self._store.ledger.ids(digest) or (self._archived.ids(digest) if self._archived else None) or b""


def first_month(start: datetime, settings: Settings) -> datetime:
    """Return when a replay begins that is to show what happened from then on: a whole month earlier, as alerts have a past."""
    return BillingPeriod.containing(start, settings.zone).previous().starts_at(settings.zone)
