"""How a statement changes the ledger: which days are merged, which are only confirmed, where lines may be removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from spendwatch.domain.late import Closing
from spendwatch.domain.statement import (
    EDITION,
    UNDATED_PART,
    AccountId,
    Coverage,
    DayContent,
    DayKey,
    Digest,
    SpendRow,
    Stamp,
    Statement,
)


@dataclass(frozen=True, slots=True)
class HeldDay:
    """What the ledger holds of a day, its lines left aside."""

    key: DayKey
    digest: Digest
    confirmed: Stamp
    """Later statements up to this stamp said the same of the whole day; empty for none."""
    stamps: tuple[Stamp, ...]
    """The different stamps of its lines; none if they are too many to tell."""

    def may_lack(self, coverage: Coverage) -> bool:
        """Tell whether some of its lines may be gone under that coverage."""
        return not self.stamps or any(coverage.lacks(max(stamp, self.confirmed)) for stamp in self.stamps)


@dataclass(frozen=True, slots=True)
class Held:
    """What the ledger holds of the series that a statement speaks of, and what a merge is based on."""

    days: Mapping[DayKey, HeldDay]
    coverage: tuple[Coverage, ...]

    @property
    def digests(self) -> dict[DayKey, Digest]:
        """The content digest of each day."""
        return {key: day.digest for key, day in self.days.items()}


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What is to be done with a statement's days, and with other days of its series."""

    fresh: tuple[DayKey, ...]
    """Days of the statement that the ledger does not hold."""
    differing: tuple[DayKey, ...]
    """Days of the statement that the ledger holds otherwise."""
    elsewhere: tuple[DayKey, ...]
    """Days that the statement lacks and the ledger holds, where lines may be gone, or found that have moved."""
    confirmed: Mapping[DayKey, Stamp]
    """Of the differing days and those elsewhere, up to which stamp they were confirmed as a whole."""
    coverage: tuple[Coverage, ...]
    """All that is covered when the statement is entered."""


class MergedDay(Protocol):
    """One day after the merge, ready to be recorded; its content is fetched when it is asked for, not before."""

    @property
    def key(self) -> DayKey:
        """Which day."""

    @property
    def digest(self) -> Digest:
        """Of the merged content."""

    @property
    def lines(self) -> int:
        """How many lines the day has now; none: it is to be removed."""

    @property
    def new(self) -> int:
        """How many lines the ledger did not have."""

    @property
    def changed(self) -> int:
        """How many lines the ledger had otherwise."""

    @property
    def gone(self) -> int:
        """How many lines the ledger had that complete statements lack, or that have moved to another day."""

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """The different stamps of the lines; none if they are too many to tell."""

    def chunk(self) -> bytes:
        """Return the day's lines as one compressed columnar chunk."""

    def rows(self) -> Iterator[SpendRow]:
        """Yield the day's roll-up."""


class Reading(Protocol):
    """A bill file that has been understood and is held by the reader until closed. A context manager."""

    @property
    def statement(self) -> Statement:
        """What the file says."""

    def merge(self, plan: MergePlan, chunk: Callable[[DayKey], bytes]) -> tuple[MergedDay, ...]:
        """Merge the statement with what the ledger holds, as planned, and return the days that are to be written.

        `chunk` gives the lines that the ledger holds of a day; it is asked for one day after the other.
        """

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(self, *_: object) -> None:
        """Let the reader forget the file."""


def plan_merge(statement: Statement, held: Held) -> MergePlan:
    """Decide what is to be merged, so that the outcome does not depend on the order in which statements come.

    A day that the ledger holds just so is only confirmed. A statement that is older than what complete ones cover can neither
    add nor change anything.
    """
    coverage = tuple(dict.fromkeys((*held.coverage, *statement.coverage)))
    counts = [day for day in statement.days if not (day.digest and _is_gone_whole(statement.stamp, day.key, coverage))]
    fresh = tuple(day.key for day in counts if day.key not in held.days)
    differing = tuple(day.key for day in counts if day.key in held.days and day.digest != held.days[day.key].digest)
    elsewhere = _elsewhere(statement.days, {*fresh, *differing}, held, coverage)
    confirmed = {key: held.days[key].confirmed for key in (*differing, *elsewhere)}
    return MergePlan(fresh, differing, elsewhere, confirmed, coverage)


def _elsewhere(days: Sequence[DayContent], merged: set[DayKey], held: Held, coverage: Sequence[Coverage]) -> tuple[DayKey, ...]:
    """Return the held days where lines of the statement's series may be gone, or found that have moved.

    Of the days that the statement repeats to the letter none can have moved: within it, each line has but one day.
    """
    named = {day.key for day in days}
    may_move = {day.key.month for day in days if day.has_ids and day.key in merged}
    return tuple(
        key
        for key, day in sorted(held.days.items())
        if key not in named and (key.month in may_move or any(day.may_lack(one) for one in covering(key, coverage)))
    )


def fresh_accounts(statement: Statement, merged: Sequence[MergedDay], held: Held, closing: Closing) -> frozenset[AccountId]:
    """Return the accounts of which a statement shows that bills still come."""
    accounts = {month.account for month in statement.months}
    return frozenset(account for account in accounts if _is_fresh(account, statement, merged, held, closing))


def _is_fresh(account: AccountId, statement: Statement, merged: Iterable[MergedDay], held: Held, closing: Closing) -> bool:
    """Tell whether it is news about a month of the account that is still open.

    It is news if it changed something there, or if it was exported later than everything that was known of that month in its
    series: a new export of quiet days confirms them. The same bill once more is no news, whatever it is called, and neither
    is a bill of a month that is over, whatever it changes.
    """
    months = {month for month in statement.months if month.account == account and not closing.is_over(month.period)}
    if any(day.key.month in months and (day.new or day.changed or day.gone) for day in merged):
        return True
    of_months = (day for day in held.days.values() if day.key.month in months)
    known = {stamp for day in of_months for stamp in (day.confirmed, *day.stamps)}
    known |= {one.stamp for one in held.coverage if one.series in months}
    return bool(months) and _moment(statement.stamp) > max(map(_moment, known), default="")


def is_outranked(statement: Statement, held: Held) -> bool:
    """Tell whether another complete statement counts instead of this one, although nothing says which of them is newer."""
    return any(
        one.stamp < other.stamp and _moment(one.stamp) == _moment(other.stamp)
        for one in statement.coverage
        for other in held.coverage
        if (EDITION in one.stamp and EDITION in other.stamp and one.series == other.series)
        and (one.first <= other.last and other.first <= one.last)
        and (one.owners is None or other.owners is None or set(one.owners) & set(other.owners))
    )


def _moment(stamp: Stamp) -> str:
    """Return the stamp without what tells editions and parts apart."""
    return stamp.partition(EDITION)[0].removesuffix(UNDATED_PART)


def covering(key: DayKey, coverage: Iterable[Coverage]) -> list[Coverage]:
    """Return what covers that day, without what takes away nothing that another one leaves."""
    found: list[Coverage] = []
    for one in coverage:
        if one.covers(key) and not any(one.is_within(other) for other in found):
            found = [*(other for other in found if not other.is_within(one)), one]
    return found


def _is_gone_whole(stamp: Stamp, key: DayKey, coverage: Iterable[Coverage]) -> bool:
    """Tell whether every line of that day is gone that was last seen in a statement of that stamp, whoever its owner is."""
    return any(one.owners is None and one.lacks(stamp) for one in covering(key, coverage))
