"""A scratch ledger on which time passes: rounds as the daemon makes them, at the moments at which one has something to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from spendwatch.app import open_channels, surroundings_of
from spendwatch.cli.rebuilding import scratch_database
from spendwatch.domain.balance_reading import RecordedReading
from spendwatch.domain.balance_watch import BalanceWatch
from spendwatch.domain.forecast_alerts import Foretold
from spendwatch.domain.novelty import Learnt
from spendwatch.domain.policy import ChannelName, Policies
from spendwatch.domain.review import Verdict
from spendwatch.domain.statement import AccountId
from spendwatch.jobs.assess import assess
from spendwatch.jobs.insight import Insight
from spendwatch.settings import Settings
from spendwatch.state import Store
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.balance_book import BalanceBook
from spendwatch.store.ledger import Ledger

ROUND = timedelta(seconds=30)
"""How often the daemon makes a round."""

_LOOK = timedelta(hours=6)
"""How often a round is made here. Where it has something to say, the first one that would have had is looked for."""

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)

Readings = Callable[[datetime], Mapping[AccountId, RecordedReading]]
"""Return of each account the reading of its balance that is known then."""


@dataclass(slots=True)
class _Draft:
    """What one round writes, not written yet."""

    insight: Insight
    deeds: list[Callable[[], object]] = field(default_factory=list)
    changes: bool = False
    """Whether an alert changes, or something is said."""

    def write(self) -> Insight:
        """Write it, and return what the next round may know."""
        for deed in self.deeds:
            deed()
        return self.insight


class _DraftLedger(Ledger):
    """The ledger; what is to be remembered is only noted."""

    def __init__(self, store: Store, draft: _Draft) -> None:
        super().__init__(store.database)
        self._ledger, self._draft = store.ledger, draft

    def learn(self, new: Iterable[Learnt], given_up: Iterable[Learnt]) -> None:
        self._draft.deeds.append(partial(self._ledger.learn, tuple(new), tuple(given_up)))


class _DraftBook(AlertBook):
    """The alert book; what is committed is only noted."""

    def __init__(self, store: Store, draft: _Draft) -> None:
        super().__init__(store.database)
        self._book, self._draft = store.book, draft

    def commit(self, verdict: Verdict, targets: Mapping[ChannelName, Sequence[str]], *, now: datetime) -> int:
        self._draft.changes |= bool(verdict.alerts or verdict.notifications)
        self._draft.deeds.append(partial(self._book.commit, verdict, targets, now=now))
        return 0


class _DraftBalances(BalanceBook):
    """The balance book with the readings of a moment; what is to be remembered is only noted."""

    def __init__(self, store: Store, draft: _Draft, readings: Mapping[AccountId, RecordedReading]) -> None:
        super().__init__(store.database)
        self._balances, self._draft, self._readings = store.balances, draft, readings

    def latest(self) -> Mapping[AccountId, RecordedReading]:
        return self._readings

    def remember(self, watches: Iterable[BalanceWatch]) -> None:
        self._draft.deeds.append(partial(self._balances.remember, tuple(watches)))

    def foretell(self, foretold: Foretold) -> None:
        self._draft.deeds.append(partial(self._balances.foretell, dict(foretold)))


class Timeline:
    """A scratch ledger, its alerts and its outbox, and the time there."""

    def __init__(self, settings: Settings, store: Store, now: datetime) -> None:
        """Begin then, with whatever the store holds. Nothing is ever sent."""
        self.store = store
        self.now = now
        self.policies: Callable[[datetime], Policies] = lambda _: settings.policies
        self.readings: Readings = lambda _: {}
        self._insight = Insight()
        self._around = surroundings_of(settings, open_channels(settings, lambda: self.now))

    @classmethod
    @contextmanager
    def opened(cls, settings: Settings, now: datetime) -> Iterator[Timeline]:
        """Give one that holds nothing."""
        with scratch_database() as database:
            yield cls(settings, Store.of(database), now)

    def pass_time(self, until: datetime) -> None:
        """Make every round before that moment at which time alone gives a reason to speak."""
        while self.now < (point := min(_next(self.now, _LOOK), _last_round_before(until))):
            draft = self._draft(point)
            if draft.changes and (first := self._first(point)) < point:
                point, draft = first, self._draft(first)
            self.now, self._insight = point, draft.write()

    def round(self, at: datetime, *, is_amid: bool = False) -> None:
        """Make a round then. `is_amid`: more bills of the same import may follow."""
        self.now, self._insight = at, self._draft(at, is_amid=is_amid).write()

    def _first(self, last: datetime) -> datetime:
        """Return the first round since now that has something to say; that at `last` has."""
        before, after = _number(self.now), _number(last)
        while after - before > 1:
            middle = (before + after) // 2
            if self._draft(_EPOCH + middle * ROUND).changes:
                after = middle
            else:
                before = middle
        return min(last, _EPOCH + after * ROUND)

    def _draft(self, at: datetime, *, is_amid: bool = False) -> _Draft:
        draft, store = _Draft(copy(self._insight)), self.store
        around = replace(self._around, policies=self.policies(at), is_amid=is_amid)
        ledger, book = _DraftLedger(store, draft), _DraftBook(store, draft)
        balances = _DraftBalances(store, draft, self.readings(at))
        assess(ledger, book, store.health, around, now=at, balances=balances, insight=draft.insight)
        return draft


def _number(moment: datetime) -> int:
    """Return the number of the last round up to that moment."""
    return (moment - _EPOCH) // ROUND


def _next(now: datetime, every: timedelta) -> datetime:
    """Return the next moment after now on the beat of that interval."""
    return _EPOCH + ((now - _EPOCH) // every + 1) * every


def _last_round_before(until: datetime) -> datetime:
    return _EPOCH + _number(until - timedelta.resolution) * ROUND
