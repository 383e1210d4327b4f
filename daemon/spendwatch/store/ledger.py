"""The ledger: statements on record, their lines, and the roll-up. Recording a file is one transaction over all of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Connection

from spendwatch.domain.commodity import Category
from spendwatch.domain.cross_check import CrossCheck
from spendwatch.domain.errors import LedgerChangedError
from spendwatch.domain.health import Rejection
from spendwatch.domain.merging import Held, NewContent, Resolution, never_needed
from spendwatch.domain.novelty import Learnt
from spendwatch.domain.outstanding import Charged
from spendwatch.domain.period import BillingPeriod, PeriodClose
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import (
    AccountId,
    Digest,
    SeriesKey,
    SourceName,
    Statement,
    WorkspaceId,
)
from spendwatch.domain.usage import Usage
from spendwatch.store.attempt import forget_attempts, note_attempt
from spendwatch.store.audit import AuditEntry, add_audit_entries, latest_audit_entries, removed_files
from spendwatch.store.charged_value import (
    charged_values,
    first_days,
    forget_charged,
    learn,
    learnt,
    note_charged,
)
from spendwatch.store.columns import all_of
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
from spendwatch.store.database import Book, reads, writes
from spendwatch.store.day import changed_days, latest_day
from spendwatch.store.day_total import put_day, series_that_count, totals_of
from spendwatch.store.late_charges import late_since, put_late, spent_in_closed
from spendwatch.store.spend import charges_since, named_together, products_charged_since, sums
from spendwatch.store.statement import (
    enter,
    is_entered,
    is_on_record,
    latest_statements,
    put_rejection,
    rejections_since,
    statements_beginning,
    unassigned_since,
)
from spendwatch.store.statement_day import held_of, put_statement_days, remove_statement, series_spoken_of, telling_days_of
from spendwatch.store.usage import charged, outstanding_days, usage_by_day, used_on
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


class Ledger(Book):
    """The ledger in a database. The first of its methods are described where the tables are."""

    has = reads(is_entered)
    has_statement = reads(is_on_record)
    telling_days = reads(telling_days_of)
    content = reads(content_of)
    ids = reads(ids_of)
    given_up = reads(given_up_contents)
    series_of = reads(series_spoken_of)
    revision = reads(current_revision)

    totals = reads(totals_of)
    checks = reads(checks_of)
    products_since = reads(products_charged_since)
    newest_day = reads(latest_day)
    days = reads(changed_days)
    recent_charges = reads(charges_since)
    owed = reads(outstanding_days)
    names_seen = reads(named_together)
    periods = reads(periods_by_account)
    late = reads(late_since)
    charged_values = reads(charged_values)
    first_days = reads(first_days)
    learnt = reads(all_of(learnt, Learnt))

    statements = reads(latest_statements)
    find_statements = reads(statements_beginning)
    unassigned = reads(unassigned_since)
    rejections = reads(rejections_since)
    removed = reads(removed_files)
    audit_entries = reads(latest_audit_entries)

    failed = writes(note_attempt)
    learn = writes(learn)
    give_up_lines = writes(give_up)

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
            number = enter(connection, statement, resolution, name=name, source=source, now=now)
            put_contents(connection, resolution.contents())
            put_statement_days(connection, number, statement)
            revision = current_revision(connection) + 1
            for day in resolution.days:
                put_day(connection, day, revision)
            note_charged(connection, resolution.days)
            after = spent_in_closed(connection, statement, closed, like=before)
            put_late(connection, statement, before, after, name=name, now=now)
            extend_watermark(connection, statement, now)
            forget_attempts(connection, statement.digest)
            next_revision(connection)

    def remove(
        self,
        removed: Digest,
        resolution: Resolution,
        entry: AuditEntry,
        *,
        held: Held,
        series: Collection[SeriesKey],
        restored: Iterable[NewContent] = (),
    ) -> None:
        """Remove a statement, record its days as they are without it, and note who did it: all or nothing.

        `held` is what was on record of its series; if it is no longer so: `LedgerChangedError`. `restored` are contents whose
        lines were given up and are needed again.
        """
        with self._database.writing() as connection:
            hold_revision(connection)
            _require_unchanged(connection, series, held)
            remove_statement(connection, removed)
            revision = current_revision(connection) + 1
            for day in resolution.days:
                put_day(connection, day, revision)
            forget_charged(connection, series)
            for one in series:
                recompute_reach(connection, one)
            put_contents(connection, restored)
            forget_unused(connection)
            add_audit_entries(connection, [entry])
            next_revision(connection)

    def refuse(self, rejection: Rejection) -> None:
        """Record that a file was refused. The same digest twice is recorded once."""
        with self._database.writing() as connection:
            put_rejection(connection, rejection)
            forget_attempts(connection, rejection.digest)

    def held(self, series: Iterable[SeriesKey]) -> Held:
        """Return what is on record of these series, and of which revision that is."""
        with self._database.reading() as connection:
            return replace(held_of(connection, series), revision=current_revision(connection))

    def snapshot(self) -> AbstractContextManager[None]:
        """Let everything that this thread reads of the database be of one moment, until the end; write only after it."""
        return self._database.snapshot()

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

    def counting(self, period: BillingPeriod, products: Sequence[str] | None) -> Mapping[AccountId, str]:
        """Return for each account the series of that period that counts for these products."""
        with self._database.reading() as connection:
            return {one.account: one.series for one in series_that_count(connection, period, products)}

    def check(self, checks: Sequence[CrossCheck]) -> None:
        """Record what the provider's own totals are beside those of the days."""
        if checks:
            with self._database.writing() as connection:
                put_checks(connection, checks)

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

    def compact(self, closing: PeriodClose) -> None:
        """Drop the lines of months that are over which cannot count any more, whatever may come; every sum stays."""
        with self._database.writing() as connection:
            for series in crowded_series(connection):
                if closing.is_over(series.period):
                    give_up_contents(connection, never_needed(held_of(connection, [series]).statements), series)

    def usage(
        self, series: Sequence[SeriesKey], by: Sequence[Dimension], *, products: Sequence[str] | None, days: tuple[date, date]
    ) -> Iterator[Usage]:
        """Yield what was used on these days, for each combination of these dimensions and each currency, in their order.

        Take all of it, and soon: a view of the data is held meanwhile.
        """
        with self._database.reading() as connection:
            yield from usage_by_day(connection, series, by, products=products, days=days)


def _latest_series(connection: Connection, products: Sequence[str] | None) -> list[SeriesKey]:
    """Return the series that count for these products in the latest periods."""
    periods = {period for known in periods_by_account(connection).values() for period in known[-_LATEST:]}
    return [one for period in sorted(periods) for one in series_that_count(connection, period, products)]


def _require_unchanged(connection: Connection, series: Iterable[SeriesKey], held: Held) -> None:
    if held.revision != current_revision(connection) and held_of(connection, series) != held:
        raise LedgerChangedError(_CHANGED)
