"""The interfaces of the jobs to the outside. Adapters do not import them; the type checker compares them in `app`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

from spendwatch.domain.policy import ChannelName

if TYPE_CHECKING:
    from spendwatch.domain.alert import Acknowledgement, Alert, AlertId
    from spendwatch.domain.balance_reading import BalanceReading, RecordedReading
    from spendwatch.domain.balance_watch import BalanceWatch
    from spendwatch.domain.commodity import Category
    from spendwatch.domain.cross_check import CrossCheck
    from spendwatch.domain.delivery import DeliveryId, DeliveryState, Loudness, NotificationId, Silence, Superseded
    from spendwatch.domain.discrepancy import Discrepancy
    from spendwatch.domain.failure import Failure
    from spendwatch.domain.forecast_alerts import Foretold
    from spendwatch.domain.health import (
        AccountBills,
        BalanceHealth,
        ChannelHealth,
        ChannelPause,
        ReadingProgress,
        Rejection,
        SourceHealth,
    )
    from spendwatch.domain.merging import Held, Reading, Resolution
    from spendwatch.domain.notification import Delivery, Message, Notification
    from spendwatch.domain.novelty import ChargedValue, Learnt
    from spendwatch.domain.outstanding import Charged, OutstandingDay
    from spendwatch.domain.period import BillingPeriod, PeriodClose
    from spendwatch.domain.review import Verdict
    from spendwatch.domain.scope import Dimension
    from spendwatch.domain.series_selection import DayTotal
    from spendwatch.domain.standing import SpendSum, WatchedSince
    from spendwatch.domain.statement import (
        AccountId,
        BillFile,
        ChargeKind,
        DayKey,
        Digest,
        ReadingHints,
        SeriesKey,
        SourceName,
        Statement,
        WorkspaceId,
    )
    from spendwatch.domain.usage import TellingDays, Usage


class BillSource(Protocol):
    """A place where bills come from. It never looks inside them. Only `fetch` waits; the rest is about files and folders."""

    @property
    def name(self) -> SourceName:
        """As the configuration calls it."""

    @property
    def is_unsettled(self) -> bool:
        """Whether another look in a moment may find more."""

    async def fetch(self, now: datetime) -> bool:
        """Bring here what lies elsewhere; what goes wrong is for `arrivals` to raise.

        Returns False when it was too early to ask again after trouble, so that there is nothing to be said of it.
        """

    def arrivals(self, now: datetime) -> Iterable[BillFile]:
        """Yield the files that are ready, oldest first; `SourceUnavailableError` when unreachable."""

    def keep(self, file: BillFile) -> None:
        """Put the original away: the ledger has it."""

    def reject(self, file: BillFile, why: str) -> None:
        """Set the original aside with the reason beside it."""

    def leave(self, file: BillFile) -> None:
        """Leave the original where it is, to be offered again: we failed, not the file."""


class BillReader(Protocol):
    """Understands bill files."""

    def digest(self, file: BillFile) -> Digest:
        """Return the SHA-256 of the file's bytes, without understanding them."""

    def read(self, file: BillFile, hints: ReadingHints) -> AbstractContextManager[Reading]:
        """Understand the file and hold it until the end; `UnreadableBillError` with every refusal, or `ReaderFailedError`."""


class Ledger(Protocol):
    """Statements on record, their lines, and the roll-up."""

    def has_statement(self, statement: Statement) -> bool:
        """Return whether the same statement was entered before, as it was then or later."""

    def held(self, series: Iterable[SeriesKey]) -> Held:
        """Return what is on record of these series, the lines left aside."""

    def telling_days(self, series: Iterable[SeriesKey]) -> TellingDays:
        """Return of which days of these series statements have lines, and what complete ones speak of."""

    def content(self, digest: Digest) -> bytes | None:
        """Return lines as they were recorded; empty if they were given up."""

    def given_up(self, digests: Collection[Digest]) -> frozenset[Digest]:
        """Return of which of these contents the lines were given up."""

    def ids(self, digest: Digest) -> bytes | None:
        """Return the ids of the lines of a content, packed by the reader; None if it is not on record."""

    def record(
        self,
        statement: Statement,
        resolution: Resolution,
        *,
        name: str,
        source: SourceName,
        held: Held,
        now: datetime,
        closing: PeriodClose | None = None,
    ) -> None:
        """Record a statement and the resolved days in one transaction.

        `held` is what they were based on; if it is no longer so: `LedgerChangedError`. `closing` tells which months are
        final: what changes in them is noted.
        """

    def failed(self, digest: Digest, name: str, why: str, *, at: datetime) -> int:
        """Note that a file could not be read, and return how often that happened to it so far."""

    def refuse(self, rejection: Rejection) -> None:
        """Record that a file was refused. The same digest twice is recorded once."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Let everything that this thread reads of the database be of one moment, until the end; write only after it."""

    def revision(self) -> int:
        """Return a number that grows with every change of the recorded spend."""

    def spend(
        self,
        period: BillingPeriod,
        by: Sequence[Dimension],
        *,
        products: Sequence[str] | None = None,
        days: tuple[date, date] | None = None,
        workspaces: Collection[WorkspaceId] | None = None,
    ) -> Sequence[SpendSum]:
        """Return exact sums by these dimensions and the currency. `days`: first, and first not; None: all, as everywhere.

        Of several series of a month only that counts which shows the most money for these products.
        """

    def charged(self, period: BillingPeriod, days: tuple[date, date] | None = None) -> Sequence[Charged]:
        """Return what was charged for all products in that period, or on these days of it, by how it is paid."""

    def periods(self) -> Mapping[AccountId, tuple[BillingPeriod, ...]]:
        """Return the periods on record of each account, the oldest first."""

    def days(self, periods: Iterable[BillingPeriod]) -> Mapping[DayKey, int]:
        """Return each day with lines in these periods, and the revision of the ledger that made it what it is."""

    def totals(self, period: BillingPeriod) -> Sequence[DayTotal]:
        """Return what every series says of that period, by day and product."""

    def counting(self, period: BillingPeriod, products: Sequence[str] | None) -> Mapping[AccountId, str]:
        """Return for each account the series of that period that counts for these products."""

    def checks(self, period: BillingPeriod) -> Sequence[CrossCheck]:
        """Return what the provider's own totals of that period are beside those of the days."""

    def data_until(self, products: Sequence[str] | None = None) -> Mapping[AccountId, datetime]:
        """Return for each account the latest moment that a line charges for, of the series that count for these products."""

    def used_on(self, products: Sequence[str] | None = None) -> Mapping[tuple[AccountId, Category], date]:
        """Return the latest day on which each account used anything of each category, by the series that count."""

    def products_since(self, since: date) -> Mapping[AccountId, frozenset[str]]:
        """Return for each account the products that were charged for since that day, in any series."""

    def late(self, since: datetime) -> Sequence[Discrepancy]:
        """Return the final months that were changed since then, the earliest change first."""

    def recent_charges(self, since: date) -> Mapping[AccountId, frozenset[tuple[str, ChargeKind]]]:
        """Return for each account the commodity codes billed since that day, each with the kinds of charge."""

    def usage(
        self, series: Sequence[SeriesKey], by: Sequence[Dimension], *, products: Sequence[str] | None, days: tuple[date, date]
    ) -> Iterator[Usage]:
        """Yield what was used on these days, for each combination of these dimensions and each currency, in their order.

        Subscriptions, refunds and adjustments are no use. Take all of it, and soon: a view of the data is held meanwhile.
        """

    def owed(self, periods: Sequence[BillingPeriod], since: datetime) -> Sequence[OutstandingDay]:
        """Return what each series shows as unpaid in these periods, by day, as far as statements since then show it."""

    def unassigned(self, since: datetime) -> Mapping[str, tuple[str, ...]]:
        """Return by layout examples of instance ids without a known workspace, in bills received since then."""

    def charged_values(self, since: Mapping[AccountId, int]) -> Sequence[ChargedValue]:
        """Return what came on record for these accounts after a revision, and the models that were ever free."""

    def first_days(self) -> Mapping[AccountId, date]:
        """Return the first day on which each account was charged."""

    def learnt(self) -> Sequence[Learnt]:
        """Return from where on something new is reported."""

    def learn(self, new: Iterable[Learnt], given_up: Iterable[Learnt]) -> None:
        """Remember from where on something new is reported; what nobody wants to know any more is to be learnt again."""

    def rejections(self, since: datetime) -> Sequence[Rejection]:
        """Return the files refused since then and not entered after all, the oldest first."""


class AlertBook(Protocol):
    """Alerts on record."""

    def known(self) -> Sequence[Alert]:
        """Return every alert that may still matter: firing ones, those of open periods, the latest episode of each matter."""

    def revision(self) -> int:
        """Return the number of changes of alerts so far: if it is the same, so is what is known."""

    def acknowledgements(self) -> Sequence[Acknowledgement]:
        """Return who takes care of which alert, or did."""

    def commit(
        self,
        verdict: Verdict,
        targets: Mapping[ChannelName, Sequence[str]],
        *,
        now: datetime,
    ) -> int:
        """Store alerts, and for each notification one delivery a channel and target: all of it or nothing.

        What is there already by its identity stays as it is. Returns how many deliveries are new.
        """

    def waiting(self, *, due: datetime | None = None) -> Sequence[Message]:
        """Return what is held, the oldest first; given a moment, only what may go out then."""

    def digested(self, since: datetime) -> Mapping[ChannelName, datetime]:
        """Return when each channel last had a digest since then."""

    def silences(self, *, at: datetime | None = None) -> Sequence[Silence]:
        """Return all silences, or those that have not ended then."""

    def is_on_record(self, notification: NotificationId) -> bool:
        """Return whether that notification was ever committed."""

    def notifications_of(self, alert: AlertId) -> Sequence[Notification]:
        """Return an alert's notifications, the oldest first."""

    def undelivered(self) -> Sequence[Notification]:
        """Return the latest notification of each firing alert, or the digest with it, that reached nobody and does not wait."""

    def shown_on(self, channel: ChannelName, since: datetime) -> Sequence[tuple[Notification, bool]]:
        """Return what arrived last over a channel of each alert, and whether that fires: of what does, or ended since then."""

    def heard(self, alerts: Iterable[AlertId]) -> Mapping[AlertId, frozenset[ChannelName]]:
        """Return over which channels something about each of these alerts arrived, or may have."""

    def notified(self, alerts: Iterable[AlertId]) -> Mapping[AlertId, int]:
        """Return for each of these alerts how many deliveries arrived; alerts of which none did are left out."""


class BalanceSource(Protocol):
    """A place where an account's balance is known. It is asked by a job of its own, never inside a transaction."""

    async def read(self, now: datetime) -> BalanceReading:
        """Return the current reading, or raise `BalanceUnavailableError`."""


class Balances(Protocol):
    """Balances on record, and what rounds remember of each other."""

    def record(self, reading: BalanceReading) -> None:
        """Record a reading, in whichever order readings come; its source works."""

    def failed(self, account: AccountId, why: str, *, at: datetime, is_lasting: bool, cause: Failure | None = None) -> None:
        """Record that the balance could not be read; `cause`: the kind of failure, where known."""

    def latest(self) -> Mapping[AccountId, RecordedReading]:
        """Return of each account the reading that holds for the latest moment."""

    def health(self) -> Mapping[AccountId, BalanceHealth]:
        """Return how it went with each balance that was ever to be read."""

    def watches(self) -> Mapping[AccountId, BalanceWatch]:
        """Return the last look at each balance."""

    def remember(self, watches: Collection[BalanceWatch]) -> None:
        """Remember these looks in place of the ones before."""

    def foretold(self) -> Foretold:
        """Return what forecasts reached when they were judged last."""

    def foretell(self, foretold: Foretold) -> None:
        """Remember what forecasts reach in place of what they reached before."""

    def watched_since(self) -> WatchedSince:
        """Return since which day each budget for days or weeks is watched."""

    def watch_since(self, begun: WatchedSince) -> None:
        """Remember since which day these budgets are watched."""


class Outbox(Protocol):
    """Deliveries not yet settled."""

    def claim(
        self,
        channel: ChannelName,
        now: datetime,
        limit: int,
        *,
        render: Callable[[Delivery], bytes | None],
        is_probe: bool = False,
        quiet: Collection[Loudness] = (),
    ) -> Sequence[Delivery]:
        """Mark due deliveries of the channel as being attempted, count the attempt, and return them, gravest and oldest first.

        `render`: makes the bytes that this and every later attempt sends, on record with the claim; None: there are none.
        `is_probe`: rather such as have not failed yet, because one message may be what the channel does not bear.
        `quiet`: what quiet hours hold now.
        """

    def drop_superseded(self, channel: ChannelName, now: datetime) -> Sequence[Superseded]:
        """Cancel what is due on the channel and needs no telling any more; return it."""

    def free(self, channels: Collection[ChannelName], *, now: datetime) -> None:
        """Make due what these channels have put off."""

    def give_up_waiting(self, channel: ChannelName, *, since: datetime, now: datetime, why: str) -> Sequence[Delivery]:
        """Give up what has waited for the channel since then; return it."""

    def settle(self, delivery: DeliveryId, *, at: datetime, why: str | None = None, maybe_taken: bool = False) -> None:
        """Settle, with the next `write_down`: the receiver accepted it, or it is given up for that reason."""

    def retry(
        self,
        delivery: DeliveryId,
        *,
        at: datetime,
        why: str,
        maybe_taken: bool = False,
        refusals: int = 0,
        attempts: int | None = None,
    ) -> None:
        """The same: try again then; `maybe_taken`: the receiver may have it, so that every later copy is marked.

        `attempts`: how many of its own there were, where the last one says nothing about this message.
        """

    def write_down(self) -> None:
        """Write down how attempts ended, one transaction for all of them."""

    def release(self, claimed: Iterable[DeliveryId], begun: Collection[DeliveryId] = ()) -> None:
        """End the lease of these: what has no outcome is taken up before the next claim. `begun`: what may have been sent."""

    def waiting(self, but: Mapping[ChannelName, Sequence[str]] | None = None) -> Sequence[Delivery]:
        """Return what waits; `but`: for a channel or a recipient that is none of these."""

    def turn_away(self, which: Iterable[DeliveryId], state: DeliveryState, *, now: datetime, why: str) -> None:
        """Settle what waits and is not attempted any more."""

    def offer(
        self,
        ways: Sequence[tuple[Notification, Mapping[ChannelName, Sequence[str]]]],
        *,
        again: Collection[ChannelName],
        before: datetime,
        now: datetime,
    ) -> int:
        """Write down deliveries of each notification to its targets; return how many are due that were not.

        What was given up is due once more where its channel is among `again`, or if it was given up before that moment.
        """

    def take_up(self) -> int:
        """Make abandoned deliveries pending again: their process or task has ended. Return their number."""


class Health(Protocol):
    """What is known about sources and channels, across restarts."""

    def reading_goes_on(self, progress: ReadingProgress) -> None:
        """Note how much of a long file is read."""

    def reading_ended(self, source: SourceName | None = None) -> None:
        """Note that nothing of that source is being read; of no source at all, if none is named."""

    def readings(self) -> Sequence[ReadingProgress]:
        """Return what is being read."""

    def sources(self) -> Sequence[SourceHealth]:
        """Return every source ever looked at."""

    def looked(self, source: SourceName, *, at: datetime) -> None:
        """The source could be reached."""

    def bill_came(self, source: SourceName, *, at: datetime, accounts: Collection[AccountId] = ()) -> None:
        """The source gave a bill with news about a month of these accounts that is still open."""

    def account_bills(self) -> Sequence[AccountBills]:
        """Return when each source last gave such a bill of each account."""

    def source_failed(self, source: SourceName, why: str, *, at: datetime, cause: Failure | None = None) -> None:
        """Record that the source could not be reached; `cause`: the kind of failure, where known."""

    def channels(self) -> Sequence[ChannelHealth]:
        """Return what is known about every channel."""

    def channel_worked(self, channel: ChannelName) -> None:
        """The channel took a notification."""

    def channel_failed(
        self, channel: ChannelName, why: str, *, at: datetime, disable: bool = False, pause: ChannelPause | None = None
    ) -> None:
        """The channel did not take a notification; `disable`: it wants none at all; `pause`: it takes none for now."""


class Channel(Protocol):
    """One way to reach people. It never decides whether to speak."""

    @property
    def targets(self) -> Sequence[str]:
        """Each gets a delivery of its own: mail addresses; one empty text where there is but one receiver."""

    @property
    def at_once(self) -> int:
        """How many copies it carries at a time."""

    def render(self, notification: Notification, target: str) -> bytes:
        """Return the bytes to be sent, the same for every attempt."""

    async def send(self, delivery: Delivery) -> str | None:
        """Hand over `delivery.rendered`, or raise `TemporaryDeliveryError` or `PermanentDeliveryError`.

        Returns what the receiver answered, where it says anything.
        """


class MirroringChannel(Channel, Protocol):
    """A channel to a program that shows an alert until it hears that it is over."""

    @property
    def repeats(self) -> bool:
        """Whether it forgets an alert of which it does not hear."""


Channels = Mapping[ChannelName, Channel]
