"""Decides which of all that statements say of a day counts. The order in which they came does not matter.

Of two versions of a line the one from the newer statement counts. Older lines are gone if a complete statement speaks of their
day and their owner and lacks them. The lines themselves are compared by the reader; here it is decided which contents it needs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from spendwatch.domain.money import Money
from spendwatch.domain.period import PeriodClose
from spendwatch.domain.statement import (
    AccountId,
    Coverage,
    DayContent,
    DayKey,
    Digest,
    Identity,
    Order,
    SeriesKey,
    SpendRow,
    Statement,
)


class HeldStatement(NamedTuple):
    """What one statement says of some series, its lines left aside."""

    identity: Digest
    received_at: datetime
    days: tuple[DayContent, ...] = ()
    coverage: tuple[Coverage, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """What the ledger holds of some series, and what a change is based on."""

    statements: tuple[HeldStatement, ...] = ()
    """In the order in which they came."""
    linked: frozenset[DayKey] = frozenset()
    """Days of which a line stands on another day of the month, too, in another statement: it counts once.

    That may be all lines of a day: then it has no line that counts.
    """
    revision: int | None = field(default=None, compare=False)
    """Of the ledger when it was read: as long as that is the same, so is all of this."""

    def with_statement(self, statement: Statement, received_at: datetime) -> Held:
        """Return what is held once the statement is recorded, in place of the same one as it was before."""
        told = HeldStatement(statement.identity, received_at, statement.days, statement.coverage)
        others = self.without(statement.identity).statements
        return replace(self, statements=tuple(sorted((*others, told), key=lambda one: one.received_at)))

    def without(self, identity: Digest) -> Held:
        """Return what is held once that statement is removed."""
        return replace(self, statements=tuple(one for one in self.statements if one.identity != identity))


class Piece(NamedTuple):
    """A content whose lines may count on a day, or take the place of older ones."""

    content: Digest
    rank: int
    """How new its statement is, among all that speak of the month: greater is newer."""
    is_undated: bool = False
    """It is a part of which nothing tells when it was written."""
    gone: tuple[str, ...] | None = ()
    """The owners whose lines are gone; None: all of them."""


Pieces = tuple[Piece, ...]


class _Told(NamedTuple):
    """What one statement says of one day."""

    number: int
    day: DayContent
    owners: tuple[str, ...] | None
    """Of a complete statement; None where they are unknown."""


def resolve(statements: Sequence[HeldStatement]) -> dict[DayKey, Pieces]:
    """Return which contents decide about each day, the oldest first. A single one counts whole, but for what is gone of it."""
    found: dict[DayKey, Pieces] = {}
    for told, coverage in _by_month(statements):
        ranks = {order: rank for rank, order in enumerate(sorted({one.day.version.order for one in told}))}
        by_day: dict[DayKey, list[_Told]] = defaultdict(list)
        for one in told:
            by_day[one.day.key].append(one)
        for key, ones in by_day.items():
            if pieces := _pieces(ones, ranks, covering(key, coverage)):
                found[key] = pieces
    return found


def _by_month(statements: Sequence[HeldStatement]) -> Iterator[tuple[list[_Told], list[Coverage]]]:
    """Yield what is said of each month; of files that came under one name, and are parts without a time, only the last one."""
    months: dict[SeriesKey, list[_Told]] = defaultdict(list)
    coverage: dict[SeriesKey, list[Coverage]] = defaultdict(list)
    for number, statement in enumerate(statements):
        owners = {(one.series, one.version): one.owners for one in statement.coverage}
        for day in statement.days:
            months[day.key.month].append(_Told(number, day, owners.get((day.key.month, day.version))))
        for one in statement.coverage:
            coverage[one.series].append(one)
    for series, told in months.items():
        last = {one.day.version.slot: one.number for one in told}
        yield [one for one in told if not one.day.version.slot or last[one.day.version.slot] == one.number], coverage[series]


def _pieces(told: Iterable[_Told], ranks: Mapping[Order, int], coverage: Sequence[Coverage]) -> Pieces:
    newest: dict[tuple[Digest, bool], _Told] = {}
    for one in told:
        place = one.day.digest, bool(one.day.version.slot)
        if place not in newest or newest[place].day.version.order < one.day.version.order:
            newest[place] = one
    pieces = sorted(
        (
            Piece(digest, ranks[one.day.version.order], is_undated, _gone(one, coverage))
            for (digest, is_undated), one in newest.items()
        ),
        key=lambda piece: (piece.rank, piece.content),
    )
    alive = [piece for piece in pieces if piece.gone is not None]
    if not alive:
        return ()
    # What is gone as a whole only matters where it is newer than something that is not: the older version is gone with it.
    oldest, has_undated = alive[0].rank, any(piece.is_undated for piece in alive)
    return tuple(
        piece for piece in pieces if piece.gone is not None or piece.rank > oldest or (piece.is_undated and has_undated)
    )


def _gone(told: _Told, coverage: Sequence[Coverage]) -> tuple[str, ...] | None:
    gone: set[str] = set()
    for one in coverage:
        if one.lacks(told.day.version):
            if one.owners is None or one.owners == told.owners:
                return None
            gone.update(one.owners)
    return None if told.owners is not None and gone.issuperset(told.owners) else tuple(sorted(gone))


def covering(key: DayKey, coverage: Iterable[Coverage]) -> list[Coverage]:
    """Return what covers that day, without what takes away nothing that another one leaves."""
    found: list[Coverage] = []
    for one in coverage:
        if one.covers(key) and not any(one.is_within(other) for other in found):
            found = [*(other for other in found if not other.is_within(one)), one]
    return found


def never_needed(statements: Sequence[HeldStatement]) -> frozenset[Digest]:
    """Return the contents that cannot count, whatever may come: a newer complete statement reaches beyond them."""
    superseded: set[Digest] = set()
    # What does not count itself may still take the place of older lines, of owners that the complete statement does not have.
    needed = {piece.content for pieces in resolve(statements).values() for piece in pieces}
    for told, coverage in _by_month(statements):
        for one in told:
            version = one.day.version
            is_superseded = not version.slot and any(
                cover.reach > version.moment
                and cover.version.order > version.order
                and (cover.owners is None or (one.owners is not None and set(one.owners) <= set(cover.owners)))
                for cover in covering(one.day.key, coverage)
            )
            (superseded if is_superseded else needed).add(one.day.digest)
    return frozenset(superseded - needed)


class DayPlan(NamedTuple):
    """A day, what decided about it before a change, and what does now."""

    key: DayKey
    identity: Identity
    before: Pieces
    after: Pieces


class Plan(NamedTuple):
    """What is to be resolved anew when a statement is recorded or removed."""

    days: tuple[DayPlan, ...] = ()
    others: tuple[DayPlan, ...] = ()
    """Days on which nothing changes, unless lines of them are found on one of the days above."""
    fresh: tuple[Digest, ...] = ()
    """Contents of the new statement that the ledger does not hold."""
    linked: frozenset[DayKey] = frozenset()
    """Days of which a line stood on another day of the month, too, before the change."""
    shared: frozenset[DayKey] = frozenset()
    """Days of which a line stands on another day of the month, too, after the change, as far as the reader has found."""

    def with_shared(self, shared: frozenset[DayKey]) -> Plan:
        """Return the plan with what the reader has found: only these of the other days are needed."""
        together = shared | self.linked
        return self._replace(shared=shared, others=tuple(one for one in self.others if one.key in together))

    @property
    def contents(self) -> frozenset[Digest]:
        """What is needed of the ledger."""
        days = (*self.days, *self.others)
        return frozenset(piece.content for one in days for piece in (*one.before, *one.after)) - frozenset(self.fresh)


def plan_change(before: Held, after: Held) -> Plan:
    """Decide which days are to be resolved: those about which something else decides than before.

    Days with lines that also stand on other days are resolved whenever anything of their months changes.
    """
    if before.statements == after.statements:
        return Plan()
    was, becomes = resolve(before.statements), resolve(after.statements)
    identities = {day.key: day.identity for held in (before, after) for one in held.statements for day in one.days}
    keys = sorted(was.keys() | becomes.keys())
    plans = {key: DayPlan(key, identities[key], was.get(key, ()), becomes.get(key, ())) for key in keys}
    touched = {key for key, plan in plans.items() if outcome(plan.before) != outcome(plan.after)}
    linked = before.linked & plans.keys()
    touched |= linked
    on_record = {one.identity: one for one in before.statements}
    new = [one for one in after.statements if on_record.get(one.identity) != one]
    known = {day.digest for one in before.statements for day in one.days}
    fresh = dict.fromkeys(day.digest for one in new for day in one.days if day.digest not in known)
    # Within one statement each line has but one day.
    told = {(day.key, day.digest) for one in new for day in one.days}
    may_move = {key.month for key in touched if plans[key].identity is Identity.ID and _enters(plans[key])}
    others = (
        plan
        for key, plan in plans.items()
        if key not in touched and key.month in may_move and any((key, piece.content) not in told for piece in plan.after)
    )
    return Plan(tuple(plans[key] for key in keys if key in touched), tuple(others), tuple(fresh), linked)


def plans_of_days(held: Held) -> dict[DayKey, Plan]:
    """Return for each day with lines what decides about it, together with the days that it has lines in common with."""
    identities = {day.key: day.identity for one in held.statements for day in one.days}
    days = {key: DayPlan(key, identities[key], (), pieces) for key, pieces in sorted(resolve(held.statements).items())}

    def together(key: DayKey) -> tuple[DayPlan, ...]:
        return tuple(
            one for one in days.values() if one.key == key or ({key, one.key} <= held.linked and one.key.month == key.month)
        )

    return {key: Plan(together(key)) for key in days}


def outcome(pieces: Pieces) -> Hashable:
    """Return what is the same as long as the same lines count."""
    if len(pieces) == 1:
        return pieces[0].content, pieces[0].gone
    ranks = sorted({piece.rank for piece in pieces})
    return tuple((piece.content, ranks.index(piece.rank), piece.is_undated, piece.gone) for piece in pieces)


def _enters(plan: DayPlan) -> bool:
    return not {piece.content for piece in plan.after} <= {piece.content for piece in plan.before}


class ResolvedDay(NamedTuple):
    """One day after a change, ready to be recorded."""

    key: DayKey
    lines: int
    """How many lines the day has now; none: it is to be removed."""
    new: int
    """How many lines did not count before."""
    changed: int
    """How many lines counted otherwise before."""
    gone: int
    """How many lines counted before that complete statements lack, or that have moved to another day."""
    is_linked: bool
    """Whether lines of it stand on another day of the month, too."""
    rows: Callable[[], Iterable[SpendRow]]
    """Returns the day's roll-up."""

    @classmethod
    def of(cls, key: DayKey, spent: Sequence[SpendRow], *, is_linked: bool = False) -> ResolvedDay:
        """Return a day with this roll-up, all of whose lines are new."""
        lines = sum(row.lines for row in spent)
        return cls(key, lines, lines, 0, 0, is_linked, lambda: spent)


class NewContent(NamedTuple):
    """A content that the ledger does not hold yet."""

    digest: Digest
    lines: int
    packed: bytes
    ids: bytes
    """By which the reader finds a line on another day without unpacking; empty where lines have no ids."""


class Resolution(NamedTuple):
    """The days that a change touches, and the contents that the ledger does not hold yet."""

    days: Sequence[ResolvedDay] = ()
    """The days to be written."""
    lost: Sequence[Money] = ()
    """What the change takes away, by currency: lines that count no more, beyond what is new on the same days."""
    lost_lines: int = 0
    """How many lines it takes away."""
    contents: Callable[[], Iterable[NewContent]] = tuple
    """Returns the fresh contents, one after the other."""

    def counts(self, lines: int) -> tuple[int, int, int, int]:
        """Return how many lines of a statement with so many are new, changed, the same, and how many others are gone."""
        new, changed, gone = (sum(getattr(day, name) for day in self.days) for name in ("new", "changed", "gone"))
        return new, changed, max(0, lines - new - changed), gone


class Reading(NamedTuple):
    """A bill file that has been understood and is held by the reader."""

    statement: Statement
    """What the file says."""
    resolve: Callable[[Plan, Callable[[Digest], bytes], Callable[[Digest], bytes]], Resolution]
    """Resolves the days as planned; called with what gives the contents that the ledger holds, and what gives their ids."""


def fresh_accounts(
    statement: Statement, resolved: Sequence[ResolvedDay], held: Held, closing: PeriodClose
) -> frozenset[AccountId]:
    """Return the accounts of which a statement shows that bills still come: those with news about a month that is still open.

    It is news if it changed something there, or if it was exported later than everything that was known of that month in its
    series: a new export of quiet days confirms them. The same bill once more is no news, whatever it is called, and neither
    is a bill of a month that is over, whatever it changes.
    """
    found: set[AccountId] = set()
    for account in {month.account for month in statement.months}:
        months = {month for month in statement.months if month.account == account and not closing.is_over(month.period)}
        known = chain(
            (day.version for one in held.statements for day in one.days if day.key.month in months),
            (cover.version for one in held.statements for cover in one.coverage if cover.series in months),
        )
        has_changed = any(day.key.month in months and (day.new or day.changed or day.gone) for day in resolved)
        newest = statement.version if months else None
        if has_changed or (newest and all(newest.moment > one.moment for one in known)):
            found.add(account)
    return frozenset(found)


def is_outranked(statement: Statement, held: Held) -> bool:
    """Return whether another complete statement counts instead of this one, although nothing says which of them is newer."""
    return any(
        one.version.order < other.version.order
        and one.version.moment == other.version.moment
        and (one.version.is_complete and other.version.is_complete and one.overlaps(other))
        for one in statement.coverage
        for known in held.statements
        for other in known.coverage
    )
