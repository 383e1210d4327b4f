"""The ledger: statements on record, their lines, and the roll-up. Recording a file is one transaction over all of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime

from sqlalchemy import Connection

from spendwatch.domain.commodity import Category
from spendwatch.domain.cross_check import CrossCheck
from spendwatch.domain.discrepancy import Discrepancy
from spendwatch.domain.errors import LedgerChangedError
from spendwatch.domain.health import Rejection
from spendwatch.domain.late_charges import PeriodClose
from spendwatch.domain.merging import Held, Resolution, ResolvedDay, never_needed
from spendwatch.domain.outstanding import Charged, OutstandingDay
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.scope import Dimension, Seen
from spendwatch.domain.series_selection import DayTotal
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import (
    AccountId,
    ChargeKind,
    Digest,
    SeriesKey,
    SourceName,
    Statement,
    WorkspaceId,
)
from spendwatch.domain.usage import TellingDays, Usage
from spendwatch.store.attempt import forget_attempts, note_attempt
from spendwatch.store.audit import AuditEntry, add_audit_entry, audit_entries, removed_files
from spendwatch.store.content import (
    content_of,
    crowded_series,
    forget_unused,
    give_up,
    give_up_contents,
    given_up_contents,
    ids_of,
    put_contents,
)
from spendwatch.store.cross_check import checks_of, put_checks
from spendwatch.store.database import Database
from spendwatch.store.day import newest_day, put_lines, remove_lines
from spendwatch.store.day_total import put_totals, remove_totals, series_that_count, totals_of
from spendwatch.store.late_charges import late_since, put_late, spent_in_closed
from spendwatch.store.spend import charges_since, names_seen, put_rows, remove_rows, sums
from spendwatch.store.statement import (
    EnteredStatement,
    enter,
    is_entered,
    is_on_record,
    latest_statements,
    number_of,
    put_rejection,
    rejections_since,
    statements_beginning,
    unassigned_since,
)
from spendwatch.store.statement_day import held_of, put_statement_days, remove_statement, series_of, telling_days
from spendwatch.store.usage import charged, outstanding_days, products_since, usage_by_day, used_on
from spendwatch.store.watermark import (
    current_revision,
    extend_watermark,
    hold_revision,
    next_revision,
    periods_by_account,
    recompute_reach,
    watermark_of,
)

_LATEST = 2
"""Of how many latest periods the reach is asked for: last month's bills may reach further than the first of this month."""

_CHANGED = "the days of this bill were changed by another process since they were read"


class Ledger:
    """The ledger in a database."""

    def __init__(self, database: Database) -> None:
        """Keep everything in that database."""
        self._database = database

    def has(self, digest: Digest) -> bool:
        """Return whether the same bytes were entered before, whatever they were taken for."""
        with self._database.reading() as connection:
            return is_entered(connection, digest)

    def has_statement(self, statement: Statement) -> bool:
        """Return whether the same statement was entered before, as it was then or later."""
        with self._database.reading() as connection:
            return is_on_record(connection, statement)

    def held(self, series: Iterable[SeriesKey]) -> Held:
        """Return what is on record of these series, the lines left aside."""
        with self._database.reading() as connection:
            return held_of(connection, series)

    def telling_days(self, series: Iterable[SeriesKey]) -> TellingDays:
        """Return of which days of these series statements have lines, and what complete ones speak of."""
        with self._database.reading() as connection:
            return telling_days(connection, series)

    def content(self, digest: Digest) -> bytes | None:
        """Return lines as they were recorded; empty if they were given up."""
        with self._database.reading() as connection:
            return content_of(connection, digest)

    def ids(self, digests: Collection[Digest]) -> Mapping[Digest, bytes]:
        """Return the ids of the lines of these contents, packed by the reader."""
        with self._database.reading() as connection:
            return ids_of(connection, digests)

    def given_up(self, digests: Collection[Digest]) -> frozenset[Digest]:
        """Return which of these contents were given up."""
        with self._database.reading() as connection:
            return given_up_contents(connection, digests)

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
        """Record a statement and the resolved days in one transaction. One that is on record already changes nothing.

        `held` is what they were based on; if it is no longer so: `LedgerChangedError`. `closing` tells which months are
        final: what changes in them is noted.
        """
        with self._database.writing() as connection:
            hold_revision(connection)
            if is_on_record(connection, statement):
                return
            _require_unchanged(connection, statement.months, held)
            closed = closing or PeriodClose()
            before = spent_in_closed(connection, statement, closed)
            number = enter(connection, statement, resolution.days, name=name, source=source, now=now)
            put_contents(connection, resolution)
            put_statement_days(connection, number, statement)
            for day in resolution.days:
                put_day(connection, day)
            after = spent_in_closed(connection, statement, closed, like=before)
            put_late(connection, statement, before, after, name=name, now=now)
            extend_watermark(connection, statement, now)
            forget_attempts(connection, statement.digest)
            next_revision(connection)

    def remove(
        self, removed: Digest, resolution: Resolution, deed: AuditEntry, *, held: Held, series: Collection[SeriesKey]
    ) -> None:
        """Remove a statement, record its days as they are without it, and note who did it: all or nothing.

        `held` is what was on record of its series; if it is no longer so: `LedgerChangedError`.
        """
        with self._database.writing() as connection:
            hold_revision(connection)
            _require_unchanged(connection, series, held)
            remove_statement(connection, removed)
            for day in resolution.days:
                put_day(connection, day)
            for one in series:
                recompute_reach(connection, one)
            forget_unused(connection)
            add_audit_entry(connection, deed)
            next_revision(connection)

    def series_of(self, statement: Digest) -> frozenset[SeriesKey]:
        """Return the series that a statement on record speaks of."""
        with self._database.reading() as connection:
            return series_of(connection, number_of(connection, statement))

    def refuse(self, rejection: Rejection) -> None:
        """Record that a file was refused. The same digest twice is recorded once."""
        with self._database.writing() as connection:
            put_rejection(connection, rejection)
            forget_attempts(connection, rejection.digest)

    def failed(self, digest: Digest, name: str, why: str, *, at: datetime) -> int:
        """Note that a file could not be read, and return how often that happened to it so far."""
        with self._database.writing() as connection:
            return note_attempt(connection, digest, name, why, at)

    def snapshot(self) -> AbstractContextManager[None]:
        """Let everything that this thread reads of the database be of one moment, until the end; write only after it."""
        return self._database.snapshot()

    def revision(self) -> int:
        """Return a number that grows with every change of the recorded spend."""
        with self._database.reading() as connection:
            return current_revision(connection)

    def spend(
        self,
        period: BillingPeriod,
        by: Sequence[Dimension],
        *,
        products: Sequence[str] | None = None,
        days: tuple[date, date] | None = None,
        workspaces: Collection[WorkspaceId] | None = None,
    ) -> Sequence[SpendSum]:
        """Return exact sums by these dimensions and the currency, in their order.

        `products` and `workspaces` None mean all of them; `days` are the first day, and the first that no longer belongs.
        """
        with self._database.reading() as connection:
            series = series_that_count(connection, period, products)
            return sums(connection, series, by, products=products, days=days, workspaces=workspaces)

    def charged(self, period: BillingPeriod, days: tuple[date, date] | None = None) -> Sequence[Charged]:
        """Return what was charged for all products in that period, or on these days of it, by how it is paid."""
        with self._database.reading() as connection:
            return charged(connection, series_that_count(connection, period, None), days)

    def totals(self, period: BillingPeriod) -> Sequence[DayTotal]:
        """Return what every series says of that period, by day and product."""
        with self._database.reading() as connection:
            return totals_of(connection, period)

    def counting(self, period: BillingPeriod, products: Sequence[str]) -> Mapping[AccountId, str]:
        """Return for each account the series of that period that counts for these products."""
        with self._database.reading() as connection:
            return {one.account: one.series for one in series_that_count(connection, period, products)}

    def check(self, checks: Sequence[CrossCheck]) -> None:
        """Record what the provider's own totals are beside those of the days."""
        if checks:
            with self._database.writing() as connection:
                put_checks(connection, checks)

    def checks(self, period: BillingPeriod) -> Sequence[CrossCheck]:
        """Return what the provider's own totals of that period are beside those of the days."""
        with self._database.reading() as connection:
            return checks_of(connection, period)

    def data_until(self, products: Sequence[str] | None = None) -> Mapping[AccountId, datetime]:
        """Return for each account the latest moment that a line charges for, of the series that count for these products."""
        latest: dict[AccountId, datetime] = {}
        with self._database.reading() as connection:
            for one, until in watermark_of(connection, _latest_series(connection, products)).items():
                latest[one.account] = max(until, latest.get(one.account, until))
        return latest

    def used_on(self, products: Sequence[str] | None = None) -> Mapping[tuple[AccountId, Category], date]:
        """Return the latest day on which each account used anything of each category, by the series that count."""
        with self._database.reading() as connection:
            return used_on(connection, _latest_series(connection, products), products)

    def products_since(self, since: date) -> Mapping[AccountId, frozenset[str]]:
        """Return for each account the products that were charged for since that day, in any series."""
        with self._database.reading() as connection:
            return products_since(connection, since)

    def newest_day(self) -> date | None:
        """Return the latest day that a bill charges for."""
        with self._database.reading() as connection:
            return newest_day(connection)

    def give_up_lines(self, before: date) -> int:
        """Drop the lines of the days before that one, to save room; every sum stays. Return how many contents that were."""
        with self._database.writing() as connection:
            return give_up(connection, before)

    def compact(self, closing: PeriodClose) -> None:
        """Drop the lines of months that are over which cannot count any more, whatever may come; every sum stays."""
        with self._database.writing() as connection:
            for series in crowded_series(connection):
                if closing.is_over(series.period):
                    give_up_contents(connection, never_needed(held_of(connection, [series]).statements))

    def late(self, since: datetime) -> Sequence[Discrepancy]:
        """Return the final months that were changed since then, the earliest change first."""
        with self._database.reading() as connection:
            return late_since(connection, since)

    def unassigned(self, since: datetime) -> Mapping[str, tuple[str, ...]]:
        """Return by layout examples of instance ids without a known workspace, in bills received since then."""
        with self._database.reading() as connection:
            return unassigned_since(connection, since)

    def rejections(self, since: datetime) -> Sequence[Rejection]:
        """Return the files refused since then and not entered after all, the oldest first."""
        with self._database.reading() as connection:
            return rejections_since(connection, since)

    def statements(self, limit: int | None = None) -> Sequence[EnteredStatement]:
        """Return the statements entered last, the latest first; all of them without a limit."""
        with self._database.reading() as connection:
            return latest_statements(connection, limit)

    def find_statements(self, digest_prefix: str, limit: int = 10) -> Sequence[EnteredStatement]:
        """Return the statements whose id or digest begins so: none, the one that is meant, or several."""
        with self._database.reading() as connection:
            return statements_beginning(connection, digest_prefix, limit)

    def audit_entries(self, limit: int) -> Sequence[AuditEntry]:
        """Return what people did to the ledger by hand, the latest first."""
        with self._database.reading() as connection:
            return audit_entries(connection, limit)

    def removed(self) -> frozenset[Digest]:
        """Return the digests of all files whose statements people ever took back."""
        with self._database.reading() as connection:
            return removed_files(connection)

    def periods(self) -> Mapping[AccountId, tuple[BillingPeriod, ...]]:
        """Return the periods on record of each account, the oldest first."""
        with self._database.reading() as connection:
            return periods_by_account(connection)

    def names_seen(self) -> frozenset[Seen]:
        """Return which accounts, workspaces, keys and currencies the bills on record name together."""
        with self._database.reading() as connection:
            return names_seen(connection)

    def recent_charges(self, since: date) -> Mapping[AccountId, frozenset[tuple[str, ChargeKind]]]:
        """Return each account's commodity codes since that day, each with the kinds of charge."""
        with self._database.reading() as connection:
            return charges_since(connection, since)

    def usage(
        self, series: Sequence[SeriesKey], by: Sequence[Dimension], *, products: Sequence[str] | None, days: tuple[date, date]
    ) -> Iterator[Usage]:
        """Yield what was used on these days, for each combination of these dimensions and each currency, in their order.

        Take all of it, and soon: a view of the data is held meanwhile.
        """
        with self._database.reading() as connection:
            yield from usage_by_day(connection, series, by, products=products, days=days)

    def owed(self, periods: Sequence[BillingPeriod], since: datetime) -> Sequence[OutstandingDay]:
        """Return what each series shows as unpaid in these periods, as far as statements since then show it."""
        with self._database.reading() as connection:
            return outstanding_days(connection, periods, since)


def _latest_series(connection: Connection, products: Sequence[str] | None) -> list[SeriesKey]:
    """Return the series that count for these products in the latest periods."""
    periods = {period for known in periods_by_account(connection).values() for period in known[-_LATEST:]}
    return [one for period in sorted(periods) for one in series_that_count(connection, period, products)]


def put_day(connection: Connection, day: ResolvedDay) -> None:
    """Record a day in place of what was there; one without lines is removed."""
    if day.lines:
        put_lines(connection, day)
        put_rows(connection, day)
        put_totals(connection, day.key)
        return
    remove_totals(connection, day.key)
    remove_rows(connection, day.key)
    remove_lines(connection, day.key)


def _require_unchanged(connection: Connection, series: Iterable[SeriesKey], held: Held) -> None:
    if held_of(connection, series) != held:
        raise LedgerChangedError(_CHANGED)
