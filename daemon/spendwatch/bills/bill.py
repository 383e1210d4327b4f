"""A parsed bill file: its statement, and its lines by day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TypeVar

import polars as pl

from spendwatch.bills.chunk import TraitBook, content_digest
from spendwatch.bills.layouts.layout import Identity
from spendwatch.bills.lines import Lines
from spendwatch.bills.names import Told
from spendwatch.bills.versions import merge
from spendwatch.domain.money import EXACT, SCALE, WHOLE_DIGITS, exact_sum
from spendwatch.domain.period import PROVIDER_ZONE, STAMP
from spendwatch.domain.statement import (
    EDITION,
    UNDATED_PART,
    Coverage,
    DayContent,
    DayKey,
    Digest,
    Kind,
    Stamp,
    Statement,
    TaxBasis,
)

T = TypeVar("T")

_UNTOLD = Digest("")
_DAY = timedelta(days=1)
_EXAMPLES, _SHOWN = 5, 200
"""Of instance ids that name no workspace: how many, and how much of each."""
_UNDATED = (
    "a numbered part without a time in its name or folder: if two pushes are split differently, lines at the split may be "
    "taken from only one of them"
)


class Portion:
    """The lines of a file that are one statement: most files are just that."""

    def __init__(self, lines: Lines, told: Told, kind: Kind, *, dropped: int, nothing_on: DayKey | None = None) -> None:
        """Take lines that are settled; `dropped` is how many were left out of them as repeated.

        `nothing_on` is the day of which a statement without lines says that there are none.
        """
        self._lines = lines
        self.told = told
        self.kind = kind
        self.layout = lines.layout
        self.series = lines.interpreter.series
        self.identity = lines.identity
        self.days = lines.days()
        self.reaches = _reach(lines.latest, self.days)
        """Up to when it tells of anything; None without lines."""
        self.data_until = _used_until(self.reaches, lines.latest_time, told.exported_at)
        self._nothing_on = nothing_on
        repeat = "1 line of the file repeats" if dropped == 1 else f"{dropped} lines of the file repeat"
        again = (f"{repeat} the id of another one; one of each counts",) if dropped else ()
        undated = (_UNDATED,) if self._is_undated_part else ()
        self.unassigned = tuple(lines.interpreter.unassigned)
        self.remarks = (*lines.interpreter.remarks(), *again, *undated)

    @property
    def contents(self) -> tuple[DayContent, ...]:
        """What it holds for each day, in the order of days."""
        return tuple(content for content, _ in self._weighed)

    @cached_property
    def _weighed(self) -> tuple[tuple[DayContent, Decimal], ...]:
        """The days, and what the lines of each cost, whatever their currencies."""
        return tuple(self._weigh(key, self._lines.of(key)) for key in self.days)

    def _weigh(self, key: DayKey, lines: pl.DataFrame) -> tuple[DayContent, Decimal]:
        content = DayContent(key, content_digest(lines, self._lines.book), lines.height, self.identity is Identity.ID)
        return content, Decimal(str(lines["billed_cost"].sum()))

    @cached_property
    def stamp(self) -> Stamp:
        """How new it is; empty without lines."""
        until = _midnight(self._nothing_on.day) if self._nothing_on else self.reaches
        moment = self.told.exported_at or until
        if moment is None or until is None:
            return Stamp("")
        if self.kind is not Kind.SNAPSHOT:
            return Stamp(f"{_stamp(moment)}{UNDATED_PART if self._is_undated_part else ''}")
        # A complete statement is not older than what it reaches, whatever its name says.
        stamp = f"{_stamp(max(moment, until))}{EDITION}"
        return Stamp(stamp if self.told.part else f"{stamp}{self._edition()}")

    @property
    def _is_undated_part(self) -> bool:
        return bool(self.told.part) and not self.told.exported_at and self.identity is Identity.GROUP

    def _edition(self) -> str:
        """Return a text by which of two editions the one with more lines, then the dearer one counts.

        Nothing says which one is newer, and no spend may be missed. More lines before more money, as a file that was cut off
        may lack just the refunds.
        """
        content = "".join(content.digest for content in self.contents)
        lines = sum(content.lines for content in self.contents)
        cost = exact_sum(cost for _, cost in self._weighed)
        return f"{lines:012d}/{_rank(cost)}/{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def coverage(self) -> Iterator[Coverage]:
        """Yield what the statement is complete for."""
        if key := self._nothing_on:
            yield Coverage(key.month, key.day, key.day, None, self.stamp, _stamp(_midnight(key.day)))
        if self.kind is not Kind.SNAPSHOT or self.reaches is None:
            return
        if self.layout.covers_days and self._lines.has_days:
            for key in self.days:
                yield Coverage(key.month, key.day, key.day, None, self.stamp, _stamp(_midnight(key.day)))
            return
        first = {key.month: key.period.first_day if self.told.has_whole_month else key.day for key in reversed(self.days)}
        for series, last in {key.month: key.day for key in self.days}.items():
            end = _midnight(last + timedelta(days=1))
            yield Coverage(series, first[series], last, self._lines.owners(), self.stamp, _stamp(min(end, self.reaches)))

    def fresh(self, key: DayKey, book: TraitBook) -> pl.DataFrame:
        """Return the lines of one day with their stamp."""
        return self._lines.fresh(key, book).with_columns(pl.lit(self.stamp).alias("stamp"))


class UnderstoodBill:
    """A bill file that has been read."""

    def __init__(self, portions: Iterable[Portion], digest: Digest, remarks: Sequence[str] = ()) -> None:
        """Keep its portions, the oldest first; there is one at least. The remarks are about the file as a whole."""
        self._portions = sorted(portions, key=lambda portion: portion.stamp)
        self.statement = self._stated(digest, remarks)

    def fresh(self, key: DayKey, book: TraitBook) -> pl.DataFrame:
        """Return the lines of one day with their stamps, their traits numbered by the book."""
        first, *others = (portion for portion in self._portions if key in portion.days)
        lines = first.fresh(key, book)
        for portion in others:
            lines = merge(portion.fresh(key, book), lines, book, portion.identity, ()).frame
        return lines

    def identity(self, key: DayKey) -> Identity:
        """Return by what the lines of that day are known again."""
        return next(portion.identity for portion in self._portions if portion.series == key.series)

    def _stated(self, digest: Digest, remarks: Sequence[str]) -> Statement:
        portions, days = self._portions, self._days()
        coverage = tuple(one for portion in portions for one in portion.coverage())
        newest = portions[-1]
        return Statement(
            digest=digest,
            layout=", ".join(dict.fromkeys(portion.layout.name for portion in portions)),
            series=", ".join(dict.fromkeys(portion.series for portion in portions)),
            kind=_common(portions, lambda portion: portion.kind, Kind.UPSERT),
            tax_basis=_common(portions, lambda portion: portion.layout.tax_basis, TaxBasis.UNKNOWN),
            accounts=tuple(sorted({*(day.key.account for day in days), *(one.series.account for one in coverage)})),
            periods=tuple(sorted({*(day.key.period for day in days), *(one.series.period for one in coverage)})),
            lines=sum(day.lines for day in days),
            data_until=max((portion.data_until for portion in portions if portion.data_until), default=None),
            exported_at=newest.told.exported_at,
            stamp=newest.stamp,
            days=days,
            coverage=coverage,
            unassigned=tuple(dict.fromkeys(one[:_SHOWN] for portion in portions for one in portion.unassigned))[:_EXAMPLES],
            remarks=tuple(dict.fromkeys((*remarks, *(remark for portion in portions for remark in portion.remarks)))),
            parts=tuple(portion.told.part for portion in portions),
        )

    def _days(self) -> tuple[DayContent, ...]:
        if len(self._portions) == 1:
            return self._portions[0].contents
        # Their lines are of different age: no day can be compared as a whole.
        keys = sorted({key for portion in self._portions for key in portion.days})
        lines = ((key, self.fresh(key, TraitBook()).height) for key in keys)
        return tuple(DayContent(key, _UNTOLD, height, self.identity(key) is Identity.ID) for key, height in lines)


def _common(portions: Sequence[Portion], told: Callable[[Portion], T], otherwise: T) -> T:
    found = {told(portion) for portion in portions}
    return found.pop() if len(found) == 1 else otherwise


def _reach(latest: str, days: Sequence[DayKey]) -> datetime | None:
    if not days:
        return None
    return _moment(latest) or _midnight(max(key.day for key in days))


def _used_until(reaches: datetime | None, latest_time: str, exported_at: datetime | None) -> datetime | None:
    """Return up to when data are surely there: that an hour or a day will end says nothing of what was used since the export.

    Where lines tell whole days, nothing tells how much of the last one is there.
    """
    began = _moment(latest_time)
    if reaches is None or began is None:
        return reaches
    is_of_days = reaches.time() == time() and reaches - began >= _DAY
    until = began if is_of_days else reaches
    return min(until, exported_at) if exported_at and exported_at >= began else until


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=PROVIDER_ZONE)
    except ValueError:
        return None


def _rank(amount: Decimal) -> str:
    """Return a text that sorts as the amount does, below zero, too."""
    units = int(amount.scaleb(SCALE, EXACT)) + 10 ** (WHOLE_DIGITS + SCALE)
    return f"{units:0{WHOLE_DIGITS + SCALE + 1}d}"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), PROVIDER_ZONE)


def _stamp(moment: datetime) -> Stamp:
    return Stamp(moment.astimezone(PROVIDER_ZONE).strftime(STAMP))
