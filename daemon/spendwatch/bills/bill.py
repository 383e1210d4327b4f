"""A parsed bill file: its statement, and its lines by day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TypeVar

import polars as pl

from spendwatch.bills.chunk import DimensionDictionary, content_digest
from spendwatch.bills.lines import Lines
from spendwatch.bills.names import Told
from spendwatch.domain.money import exact_sum
from spendwatch.domain.period import PROVIDER_ZONE
from spendwatch.domain.statement import (
    Coverage,
    DayContent,
    DayKey,
    Digest,
    Identity,
    Kind,
    Statement,
    TaxBasis,
    Version,
)

T = TypeVar("T")

_DAY = timedelta(days=1)
_EXAMPLES, _SHOWN = 5, 200
"""Of instance ids that name no workspace: how many, and how much of each."""
_UNDATED = (
    "a numbered part without a time in its name or folder: if two pushes are split differently, lines at the split may be "
    "taken from only one of them"
)


class Portion:
    """The lines of a file that are one statement: most files are just that."""

    def __init__(
        self, lines: Lines, told: Told, kind: Kind, *, name: str, dropped: int, nothing_on: DayKey | None = None
    ) -> None:
        """Take lines that are settled; `dropped` is how many were left out of them as repeated.

        `nothing_on` is the day of which a statement without lines says that there are none.
        """
        self.lines = lines
        self._name = name
        self.told = told
        self.kind = kind
        self.layout = lines.interpreter.layout
        self.series = lines.interpreter.series
        self.identity = lines.identity
        self.days = lines.days()
        self.reaches = _reach(lines.latest, self.days)
        """Up to when it has charges; None without lines."""
        self.data_until = _used_until(self.reaches, lines.latest_time, told.exported_at)
        self._nothing_on = nothing_on
        repeat = "1 line of the file repeats" if dropped == 1 else f"{dropped} lines of the file repeat"
        again = (f"{repeat} the id of another one; one of each counts",) if dropped else ()
        undated = (_UNDATED,) if self._slot and self.identity is Identity.GROUP else ()
        self.unassigned = tuple(lines.interpreter.unassigned)
        self.remarks = (*lines.interpreter.remarks(), *again, *undated)

    @property
    def contents(self) -> tuple[DayContent, ...]:
        """What it holds for each day, in the order of days."""
        version = self.version
        weighed = self._weighed if version else ()
        return tuple(DayContent(key, digest, lines, self.identity, version) for key, digest, lines, _ in weighed if version)

    @cached_property
    def _weighed(self) -> tuple[tuple[DayKey, Digest, int, Decimal], ...]:
        """The days, the digest and the number of the lines of each, and what they cost, whatever their currencies."""
        return tuple(self._weigh(key, self.lines.of(key)) for key in self.days)

    def _weigh(self, key: DayKey, lines: pl.DataFrame) -> tuple[DayKey, Digest, int, Decimal]:
        return key, content_digest(lines, self.lines.book), lines.height, Decimal(str(lines["billed_cost"].sum()))

    @cached_property
    def version(self) -> Version | None:
        """How new it is; None without lines."""
        until = _midnight(self._nothing_on.day) if self._nothing_on else self.reaches
        moment = self.told.exported_at or until
        if moment is None or until is None:
            return None
        if self.kind is not Kind.SNAPSHOT:
            return Version(moment, slot=self._slot)
        # A complete statement is not older than what it reaches, whatever its name says.
        moment = max(moment, until)
        if self.told.part:
            return Version(moment, is_complete=True)
        content = "".join(digest for _, digest, _, _ in self._weighed)
        lines, cost = sum(lines for _, _, lines, _ in self._weighed), exact_sum(cost for _, _, _, cost in self._weighed)
        return Version(moment, True, lines, cost, hashlib.sha256(content.encode()).hexdigest()[:16])  # noqa: FBT003 -- in order

    @property
    def _slot(self) -> str:
        """Return under what name a part without a time came; empty for all others."""
        is_undated_part = self.told.part and not self.told.exported_at
        return (
            hashlib.sha256(self._name.casefold().encode("utf-8", "surrogatepass")).hexdigest()[:32] if is_undated_part else ""
        )

    def coverage(self) -> Iterator[Coverage]:
        """Yield what the statement is complete for."""
        version = self.version
        if version is None:
            return
        if key := self._nothing_on:
            yield Coverage(key.month, key.day, key.day, None, version, _midnight(key.day))
        if self.kind is not Kind.SNAPSHOT or self.reaches is None:
            return
        if self.layout.covers_days and self.lines.has_days:
            for key in self.days:
                yield Coverage(key.month, key.day, key.day, None, version, _midnight(key.day))
            return
        first = {key.month: key.period.first_day if self.told.has_whole_month else key.day for key in reversed(self.days)}
        for series, last in {key.month: key.day for key in self.days}.items():
            end = min(_midnight(last + _DAY), self.reaches)
            yield Coverage(series, first[series], last, self.lines.owners(), version, end)


class UnderstoodBill:
    """A bill file that has been read."""

    def __init__(self, portions: Iterable[Portion], digest: Digest, remarks: Sequence[str] = ()) -> None:
        """Keep its portions, the oldest first; there is one at least. The remarks are about the file as a whole."""
        self._portions = sorted(portions, key=lambda one: (one.version is not None, one.version.order if one.version else ()))
        self._places = {content.digest: (one.lines, content.key) for one in self._portions for content in one.contents}
        self.statement = self._stated(digest, remarks)

    def fresh(self, digest: Digest, book: DimensionDictionary) -> pl.DataFrame:
        """Return the lines of one content, their traits numbered by the book."""
        lines, key = self._places[digest]
        return lines.fresh(key, book)

    def book_of(self, digest: Digest) -> DimensionDictionary:
        """Return the dictionary of the lines of one content."""
        return self._places[digest][0].book

    def _stated(self, digest: Digest, remarks: Sequence[str]) -> Statement:
        portions = self._portions
        days = tuple(dict.fromkeys(content for portion in portions for content in portion.contents))
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
            version=newest.version,
            days=days,
            coverage=coverage,
            unassigned=tuple(dict.fromkeys(one[:_SHOWN] for portion in portions for one in portion.unassigned))[:_EXAMPLES],
            remarks=tuple(dict.fromkeys((*remarks, *(remark for portion in portions for remark in portion.remarks)))),
            parts=tuple(portion.told.part for portion in portions),
        )


def _common(portions: Sequence[Portion], told: Callable[[Portion], T], otherwise: T) -> T:
    found = {told(portion) for portion in portions}
    return found.pop() if len(found) == 1 else otherwise


def _reach(latest: str, days: Sequence[DayKey]) -> datetime | None:
    if not days:
        return None
    return _moment(latest) or _midnight(max(key.day for key in days))


def _used_until(reaches: datetime | None, latest_time: str, exported_at: datetime | None) -> datetime | None:
    """Return up to when data are surely there: that an hour or a day will end says nothing of what was used since the export.

    Where lines are for whole days, it is unknown how much of the last one is there.
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


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), PROVIDER_ZONE)
