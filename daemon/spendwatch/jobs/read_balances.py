"""From balance sources to the balance book."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from spendwatch.domain.balance_reading import BalanceReading
from spendwatch.domain.errors import BalanceUnavailableError
from spendwatch.domain.period import Clock
from spendwatch.domain.statement import AccountId
from spendwatch.jobs.ports import Balances, BalanceSource
from spendwatch.pacing import BackOff

_FIRST_PAUSE = 60.0
"""After trouble a balance is asked for sooner than usual, and ever more seldom."""


@dataclass(frozen=True, slots=True)
class Polled:
    """A balance source, and how often it is asked."""

    source: BalanceSource
    poll: timedelta


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one question."""

    account: AccountId
    reading: BalanceReading | None
    why: str = ""
    """Why there is no reading."""
    is_news: bool = True
    """It differs from the last answer."""


@dataclass(slots=True)
class _Turn:
    """When a source is asked next, and its last answer."""

    wait: BackOff
    last: BalanceReading | None = None


class BalanceRounds:
    """Asks every balance source when it is due. One that hangs or fails delays no other."""

    def __init__(
        self, polled: Mapping[AccountId, Polled], book: Balances, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        """Ask each of them with the first round."""
        self._polled = polled
        self._book = book
        self._clock = clock
        self._monotonic = monotonic
        self._turns: dict[AccountId, _Turn] = {}

    @property
    def polls(self) -> tuple[timedelta, ...]:
        """How often each source is asked."""
        return tuple(polled.poll for polled in self._polled.values())

    def take_over(self, polled: Mapping[AccountId, Polled]) -> None:
        """Ask these from now on; those that are new, at once."""
        self._turns = {
            account: turn for account, turn in self._turns.items() if self._polled.get(account) == polled.get(account)
        }
        self._polled = polled

    def trigger_now(self) -> None:
        """Let every source be asked with the next round, because a person wants it, unless it asked for a pause."""
        for turn in self._turns.values():
            turn.wait.trigger_now()

    async def ask(self, *, at_once: bool = False, of: Collection[AccountId] | None = None) -> list[Asked]:
        """Ask those whose time has come, or all of them; if accounts are named, theirs alone. Return what became of it."""
        among = self._polled if of is None else of
        due = [one for one in self._polled if one in among and (at_once or not self._turn(one).wait.is_on)]
        done = await asyncio.gather(*map(self._ask, due), return_exceptions=True)
        asked = [one for one in done if isinstance(one, Asked)]
        if failed := next((one for one in done if isinstance(one, BaseException)), None):
            raise failed
        return asked

    async def _ask(self, account: AccountId) -> Asked:
        polled, turn = self._polled[account], self._turn(account)
        try:
            reading = await polled.source.read(self._clock())
        except BalanceUnavailableError as error:
            turn.wait.failed(error.retry_after)
            why = str(error)
            await asyncio.to_thread(
                self._book.failed, account, why, at=self._clock(), is_lasting=error.is_lasting, cause=error.trouble
            )
            return Asked(account, None, why)
        is_news = turn.wait.has_failed or turn.last is None or not turn.last.says_the_same(reading)
        turn.wait.worked(polled.poll)
        turn.last = reading
        await asyncio.to_thread(self._book.record, reading)
        return Asked(account, reading, is_news=is_news)

    def _turn(self, account: AccountId) -> _Turn:
        longest = self._polled[account].poll.total_seconds()
        return self._turns.setdefault(account, _Turn(BackOff(self._monotonic, shortest=_FIRST_PAUSE, longest=longest)))
