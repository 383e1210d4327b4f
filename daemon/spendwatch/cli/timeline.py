"""A scratch ledger on which time passes: rounds as the daemon makes them, at the moments at which one has something to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from spendwatch.app import open_channels, surroundings_of
from spendwatch.domain.balance_reading import RecordedReading
from spendwatch.domain.policy import ChannelName, Policies
from spendwatch.domain.review import NO_VERDICT, Verdict
from spendwatch.domain.statement import AccountId
from spendwatch.jobs.assess import assess
from spendwatch.jobs.insight import Insight
from spendwatch.settings import Settings
from spendwatch.state import Store, scratch_database
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.balance_book import BalanceBook
from spendwatch.store.database import Database

ROUND = timedelta(seconds=30)
"""How often the daemon makes a round."""

_LOOK = timedelta(hours=6)
"""How often a round is made here. Where it has something to say, the first one that would have had is looked for."""

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)

Readings = Callable[[datetime], Mapping[AccountId, RecordedReading]]
"""Return of each account the reading of its balance that is known then."""


class _Undone(Exception):  # noqa: N818 -- no error: it undoes a transaction
    """What a round has written is not wanted."""


class _Book(AlertBook):
    """The alert book, and whether anything came of the round."""

    has_news = False

    def commit(self, verdict: Verdict, targets: Mapping[ChannelName, Sequence[str]], *, now: datetime) -> int:
        self.has_news |= verdict != NO_VERDICT
        return super().commit(verdict, targets, now=now)


class _Balances(BalanceBook):
    """The balance book, with the readings that are known at a moment."""

    def __init__(self, database: Database, readings: Mapping[AccountId, RecordedReading]) -> None:
        super().__init__(database)
        self._readings = readings

    def latest(self) -> Mapping[AccountId, RecordedReading]:
        return self._readings


class Timeline:
    """A scratch ledger, its alerts and its outbox, and the time there."""

    def __init__(self, settings: Settings, store: Store, now: datetime) -> None:
        """Begin then, with whatever the store holds. Nothing is ever sent."""
        self.store = store
        self.now = now
        self.gathering = timedelta()
        """How long messages wait for more bills of the same import that goes on; zero while none does."""
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
        last = _EPOCH + _number(until - timedelta.resolution) * ROUND
        while self.now < (point := min(_next(self.now, _LOOK), last)):
            if self._judge(point, keeps=lambda has_news: not has_news):
                point = self._first(point)
                self._judge(point)
            self.now = point

    def round(self, at: datetime) -> None:
        """Make a round then."""
        self._judge(at)
        self.now = at

    def _first(self, last: datetime) -> datetime:
        """Return the first round since now that has something to say; that at `last` has."""
        before, after = _number(self.now), _number(last)
        while after - before > 1:
            middle = (before + after) // 2
            if self._judge(_EPOCH + middle * ROUND, keeps=lambda _: False):
                after = middle
            else:
                before = middle
        return min(last, _EPOCH + after * ROUND)

    def _judge(self, at: datetime, *, keeps: Callable[[bool], bool] = lambda _: True) -> bool:
        """Make a round then, and return whether it has something to say; `keeps` tells by that whether it counts."""
        insight, policies = copy(self._insight), self.policies(at)
        around = replace(self._around, policies=policies, is_amid=bool(self.gathering), gathering=self.gathering)
        has_news = False
        with suppress(_Undone), self.store.database.attempt() as database:
            store, book, balances = Store.of(database), _Book(database), _Balances(database, self.readings(at))
            assess(store.ledger, book, store.health, around, now=at, balances=balances, insight=insight)
            has_news = book.has_news
            if not keeps(has_news):
                raise _Undone
            self._insight = insight
        return has_news


def _number(moment: datetime) -> int:
    """Return the number of the last round up to that moment."""
    return (moment - _EPOCH) // ROUND


def _next(now: datetime, every: timedelta) -> datetime:
    """Return the next moment after now on the beat of that interval."""
    return _EPOCH + ((now - _EPOCH) // every + 1) * every
