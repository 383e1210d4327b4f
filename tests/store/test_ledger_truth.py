"""What the ledger promises about bills that speak of each other, on both databases: each test's name is a promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from bill_builder import AMOUNT, DAY, a_bill, a_line
from real_ledger import RealLedger
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.discrepancy import Disagreement, Discrepancy
from spendwatch.domain.errors import LedgerChangedError
from spendwatch.domain.health import ReadingProgress, Rejection
from spendwatch.domain.merging import Held, Plan, Reading, Resolution
from spendwatch.domain.money import Currency, Money, exact_sum
from spendwatch.domain.period import BillingPeriod, PeriodClose
from spendwatch.domain.series_selection import DayTotal
from spendwatch.domain.statement import (
    AccountId,
    BillFile,
    Coverage,
    DayContent,
    Digest,
    Identity,
    Kind,
    ReadingHints,
    SeriesKey,
    SourceName,
    SpendRow,
    Version,
)
from spendwatch.jobs.collect import IngestContext, enter
from spendwatch.store.audit import REMOVED, AuditEntry
from spendwatch.store.database import Database
from spendwatch.store.health_book import HealthBook
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database
from store_builders import ACME, CHINA, CNY, INBOX, MORNING, NOON, SEPTEMBER, Day, digest, key, resolution, row, statement

OTHER = AccountId("2000000000000002")
USD = Currency("USD")
V2, FOCUS = "v2", "focus"
OLD, NEW = (datetime(2026, 9, day, tzinfo=CHINA) for day in (10, 20))
MONTH = key().month


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
def health(database: Database) -> HealthBook:
    return HealthBook(database)


def record(
    ledger: Ledger,
    name: object,
    *days: Day,
    held: Held | None = None,
    at: datetime = NOON,
    closing: PeriodClose | None = None,
    **more: Any,  # noqa: ANN401 -- any field
) -> None:
    """Enter a file of that name that says this of those days; that a day is empty it says by covering it."""
    gone = tuple(cover(OLD, OLD, day=day.key.day, series=day.key.month) for day in days if not day.spent)
    told = statement(name, [day for day in days if day.spent], **{"coverage": gone, **more})
    known = ledger.held(told.months) if held is None else held
    ledger.record(told, resolution(days), name=f"{name}.csv", source=INBOX, held=known, now=at, closing=closing)


def spent(ledger: Ledger, period: BillingPeriod = SEPTEMBER, products: Sequence[str] | None = None) -> Decimal:
    return exact_sum(one.amount for one in ledger.spend(period, (), products=products))


def empty(day: int, **more: str) -> Day:
    """Return a day that has no lines any more."""
    return Day(key(day, **more), ())  # type: ignore[arg-type] # a builder takes any field


def cover(moment: datetime = NEW, reach: datetime = NEW, *, day: date | None = None, series: SeriesKey = MONTH) -> Coverage:
    first, last = (day, day) if day else (series.period.first_day, series.period.first_day.replace(day=28))
    return Coverage(series, first, last, None, Version(moment, is_complete=True), reach)


def covered(ledger: Ledger, *series: SeriesKey) -> set[Coverage]:
    return {cover for one in ledger.held(series).statements for cover in one.coverage}


# -- what complete statements cover --


def test_what_a_statement_covers_is_known_with_its_series_and_of_no_other(ledger: Ledger) -> None:
    theirs = [key(account=OTHER).month, key(series=FOCUS).month, key(period=SEPTEMBER.next()).month]
    whole, one_day = cover(), cover(OLD, day=date(2026, 9, 2))
    record(ledger, "first", Day(key()), coverage=(whole, one_day))
    assert covered(ledger, MONTH) == {whole, one_day}
    assert [covered(ledger, series) for series in theirs] == [set(), set(), set()]
    record(ledger, "second", coverage=tuple(cover(series=series) for series in theirs))
    assert covered(ledger, MONTH) == {whole, one_day}
    assert covered(ledger, *theirs) == {cover(series=series) for series in theirs}


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0)])
def test_what_each_statement_covers_is_known_whichever_comes_first(ledger: Ledger, order: Sequence[int]) -> None:
    both = [cover(OLD, NEW), cover(NEW, OLD)._replace(owners=("a", "b"))]
    for number, at in enumerate(order):
        record(ledger, number, coverage=(both[at],))
    assert covered(ledger, MONTH) == set(both)


def test_a_statement_that_says_nothing_is_there_is_on_record_with_what_it_covers(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(2)))
    record(ledger, "empty", empty(2), coverage=(cover(day=date(2026, 9, 2)),))
    assert covered(ledger, MONTH) == {cover(day=date(2026, 9, 2))}
    assert ledger.totals(SEPTEMBER) == ()
    assert ledger.has(digest("empty"))


def test_a_merge_that_did_not_know_what_is_covered_is_not_recorded(ledger: Ledger) -> None:
    basis = ledger.held([MONTH])
    record(ledger, "complete", coverage=(cover(),))
    with pytest.raises(LedgerChangedError):
        record(ledger, "older", Day(key()), held=basis)
    assert not ledger.has(digest("older"))
    record(ledger, "older", Day(key()))
    with pytest.raises(LedgerChangedError):
        record(ledger, "newer", Day(key(2)), held=Held(ledger.held([MONTH]).statements[:1]))


@dataclass(frozen=True)
class BrokenDay(Day):
    """A day whose reader dies before it has given everything."""

    def rows(self) -> Iterator[SpendRow]:
        yield row("7")
        raise OSError


def test_of_a_file_whose_recording_breaks_off_neither_coverage_nor_totals_nor_lateness_stays(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1)), at=NOON - timedelta(days=40))
    late = PeriodClose({SEPTEMBER: NOON}, ("sfm",))
    with pytest.raises(OSError):  # noqa: PT011 -- the very error of the reader
        record(ledger, "second", Day(key(2)), BrokenDay(key(3)), coverage=(cover(),), closing=late, at=NOON)
    assert covered(ledger, MONTH) == set()
    assert [one.day.day for one in ledger.totals(SEPTEMBER)] == [1]
    assert ledger.late(NOON - timedelta(days=99)) == ()
    assert ledger.revision() == 1


# -- totals by day, and the series that counts --


def total(amount: str, *, day: int = 1, lines: int = 1, product: str = "sfm", currency: Currency = CNY) -> DayTotal:
    return DayTotal(MONTH, date(2026, 9, day), product, currency, Decimal(amount), lines)


def test_totals_are_the_exact_sums_of_each_day_product_and_currency(ledger: Ledger) -> None:
    largest = "9" * 28 + "." + "9" * 10
    rows = (row(largest, lines=2), row(largest, model="b"), row("1", product="oss"), row("-3", currency=USD))
    record(ledger, "first", Day(key(1), rows), Day(key(2), (row("0.0000000001"), row("-0.0000000001", model="b"))))
    assert set(ledger.totals(SEPTEMBER)) == {
        total("19999999999999999999999999999.9999999998", lines=3),
        total("1", product="oss"),
        total("-3", currency=USD),
        total("0", day=2, lines=2),
    }
    assert ledger.totals(SEPTEMBER.next()) == ()


def test_totals_follow_a_day_that_is_restated_and_one_that_becomes_empty(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1), (row("1"), row("5", product="oss"))), Day(key(2), (row("2"),)))
    record(ledger, "second", Day(key(1), (row("4"),)), empty(2))
    assert ledger.totals(SEPTEMBER) == (total("4"),)


def test_the_series_that_shows_more_money_counts_and_another_takes_over_when_it_grows(ledger: Ledger) -> None:
    record(ledger, "v2", Day(key(1), (row("5"),)))
    record(ledger, "focus", Day(key(1, series=FOCUS), (row("4.9999999999"),)))
    assert spent(ledger) == 5
    record(ledger, "more", Day(key(2, series=FOCUS), (row("0.0000000002"),)))
    assert spent(ledger) == Decimal("5.0000000001")
    record(ledger, "again", Day(key(2), (row("1"),)))
    assert spent(ledger) == 6


def test_which_series_counts_is_asked_for_each_account_and_for_the_products_that_are_watched(ledger: Ledger) -> None:
    record(ledger, "v2", Day(key(1), (row("5"), row("1", product="oss"))), Day(key(1, account=OTHER), (row("1"),)))
    theirs = Day(key(1, account=OTHER, series=FOCUS), (row("2"),))
    record(ledger, "focus", Day(key(1, series=FOCUS), (row("4"), row("90", product="oss"))), theirs)
    assert spent(ledger, products=["sfm"]) == 5 + 2
    assert spent(ledger, products=["oss"]) == 90
    assert spent(ledger) == 94 + 2


def test_data_reach_as_far_as_the_series_that_counts(ledger: Ledger) -> None:
    noon = datetime(2026, 9, 15, 12, tzinfo=CHINA)
    record(ledger, "v2", Day(key(15), (row("5"),)), data_until=noon)
    record(ledger, "focus", Day(key(20, series=FOCUS), (row("4"),)), data_until=noon + timedelta(days=5))
    assert ledger.data_until(["sfm"]) == {ACME: noon}
    record(ledger, "more", Day(key(21, series=FOCUS), (row("2"),)), data_until=noon + timedelta(days=6))
    assert ledger.data_until(["sfm"]) == {ACME: noon + timedelta(days=6)}


# -- lines that move, days that become empty --


def test_a_line_that_has_moved_counts_on_its_new_day_alone(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1), (row("3", lines=2),)), Day(key(2), (row("8"),)))
    record(ledger, "second", Day(key(1), (row("1"),), new=0, gone=1), Day(key(2), (row("10", lines=2),), new=1))
    assert spent(ledger) == 11
    by_day = {one.day.day: (one.amount, one.lines) for one in ledger.totals(SEPTEMBER)}
    assert by_day == {1: (Decimal(1), 1), 2: (Decimal(10), 2)}
    assert [(one.new, one.gone) for one in ledger.statements(1)] == [(1, 1)]


def test_of_a_day_that_becomes_empty_nothing_is_left(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1), (row("3"),)), Day(key(2), (row("8"),)))
    record(ledger, "second", empty(1))
    assert spent(ledger) == 8
    assert [one.day.day for one in ledger.totals(SEPTEMBER)] == [2]
    assert [one.lines for one in ledger.spend(SEPTEMBER, (), days=(date(2026, 9, 1), date(2026, 9, 2)))] == []
    record(ledger, "third", Day(key(1), (row("4"),)))
    assert spent(ledger) == 12


def test_a_month_whose_last_day_becomes_empty_has_no_sum(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1), (row("3"),)))
    record(ledger, "second", empty(1))
    assert ledger.spend(SEPTEMBER, ()) == ()
    assert ledger.totals(SEPTEMBER) == ()
    assert ledger.data_until() == {}


def test_a_day_that_was_never_there_may_be_said_to_be_empty(ledger: Ledger) -> None:
    record(ledger, "first", empty(1))
    assert ledger.totals(SEPTEMBER) == ()
    assert ledger.revision() == 1


def test_a_day_is_as_new_as_the_newest_statement_that_has_lines_of_it(ledger: Ledger) -> None:
    day = Day(key(1))
    for name, moment, expected in (("first", OLD, OLD), ("again", NEW, NEW), ("older", OLD, NEW)):
        record(ledger, name, day, version=Version(moment))
        (found,) = ledger.telling_days([MONTH]).lines.values()
        assert found[0] == expected


def test_a_statement_is_removed_with_all_it_says_and_who_did_it_is_noted(ledger: Ledger) -> None:
    shared = Day(key(1), (row("3"),))
    record(ledger, "first", shared, data_until=datetime(2026, 9, 1, 12, tzinfo=CHINA))
    record(ledger, "second", shared, Day(key(2), (row("8"),)), coverage=(cover(),))
    held = ledger.held([MONTH])
    (second,) = (one for one in ledger.statements() if one.name == "second.csv")
    assert ledger.series_of(second.identity) == {MONTH}
    deed = AuditEntry(NOON, "li", REMOVED, "second.csv", "", second.digest)
    ledger.remove(second.identity, resolution([empty(2)]), deed, held=held, series={MONTH})
    assert spent(ledger) == 3
    assert covered(ledger, MONTH) == set()
    assert ledger.removed() == {second.digest}
    assert ledger.data_until() == {ACME: datetime(2026, 9, 1, 12, tzinfo=CHINA)}
    assert ledger.content(shared.digest)
    assert ledger.content(Day(key(2), (row("8"),)).digest) is None
    with pytest.raises(LedgerChangedError):
        ledger.remove(second.identity, resolution(), deed, held=held, series={MONTH})


def test_lines_that_can_never_count_again_are_dropped_once_their_month_is_over(ledger: Ledger) -> None:
    early, late, other = (Day(key(1), (row(cost),)) for cost in ("3", "4", "5"))
    whole = cover(NEW, NEW)._replace(version=Version(NEW, is_complete=True))
    record(ledger, "early", early, version=Version(OLD, is_complete=True))
    record(ledger, "late", late, version=whole.version, coverage=(whole,))
    record(ledger, "export", other, version=Version(NEW + timedelta(days=1)))
    for closing in (PeriodClose(), PeriodClose(first_open=SEPTEMBER)):
        ledger.compact(closing)
        assert ledger.given_up([early.digest, late.digest, other.digest]) == set()
    ledger.compact(PeriodClose(first_open=SEPTEMBER.next()))
    assert ledger.given_up([early.digest, late.digest, other.digest]) == {early.digest}
    assert spent(ledger) == 5


OVER = PeriodClose(first_open=SEPTEMBER.next())
COMPLETE = ReadingHints(kind=Kind.SNAPSHOT)


def test_lines_that_were_dropped_are_recorded_again_where_a_newer_bill_has_them(
    database: Database, shared_reader: ReadingProcess, tmp_path: Path
) -> None:
    real = RealLedger(database, shared_reader, tmp_path, COMPLETE)
    first, last = a_line(day="20260911", amount="1"), a_line(day="20260925", amount="0.5")
    second = a_line(day="20260912", amount="2")
    real.enter(*a_bill([first, second], exported="20260913093012"))
    real.enter(*a_bill([first, second, a_line(day="20260912", amount="5"), last], exported="20260926093012"))
    real.ledger.compact(OVER)
    assert real.spent(SEPTEMBER) == {CNY: Decimal("8.5")}
    # The charge that came meanwhile is gone: the day is as it was at first.
    real.enter(*a_bill([first, second, last], exported="20261003093012"))
    assert real.spent(SEPTEMBER) == {CNY: Decimal("3.5")}
    real.enter(*a_bill([first, second | {DAY: "20260911"}, last], exported="20261004093012"))
    assert real.spent(SEPTEMBER) == {CNY: Decimal("3.5")}
    assert [(one.day.day, one.amount) for one in real.ledger.totals(SEPTEMBER)] == [(11, 3), (25, Decimal("0.5"))]


def test_lines_that_take_the_place_of_older_ones_of_other_owners_are_not_dropped(
    database: Database, shared_reader: ReadingProcess, tmp_path: Path
) -> None:
    real = RealLedger(database, shared_reader, tmp_path, COMPLETE)
    theirs = a_line(day="20260912", amount="2", owner=OTHER)
    ours, last = a_line(day="20260912", amount="1"), a_line(day="20260925", amount="0.5")
    real.enter(*a_bill([ours, theirs], exported="20260913093012"))
    real.enter(*a_bill([ours | {AMOUNT: "4"}], exported="20260914093012"))
    real.enter(*a_bill([ours | {AMOUNT: "8"}, last], exported="20260926093012"))
    real.ledger.compact(OVER)
    assert real.spent(SEPTEMBER) == {CNY: Decimal("10.5")}
    real.enter(*a_bill([ours | {AMOUNT: "16"}, theirs | {AMOUNT: "32"}], exported="20261004093012"))
    assert real.spent(SEPTEMBER) == {CNY: Decimal("48.5")}


@dataclass(frozen=True)
class Alike(Day):
    """A day whose lines say nothing that would tell it from those of others."""

    @property
    def digest(self) -> Digest:
        return digest(self.spent)


def test_lines_that_another_series_has_too_are_not_dropped(ledger: Ledger) -> None:
    same, whole = Alike(key(1), (row("3"),)), cover(NEW, NEW)
    record(ledger, "ours", same, version=Version(OLD, is_complete=True))
    record(ledger, "theirs", replace(same, key=key(1, account=OTHER)))
    record(ledger, "late", Day(key(1), (row("4"),)), version=whole.version, coverage=(whole,))
    record(ledger, "more", Day(key(1), (row("5"),)), version=Version(NEW + timedelta(days=1)))
    ledger.compact(OVER)
    assert ledger.given_up([same.digest]) == set()


def test_of_very_many_contents_it_is_known_which_were_given_up(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1), (row("3"),)), version=Version(OLD))
    ledger.give_up_lines(date(2026, 10, 1))
    given_up = Day(key(1), (row("3"),)).digest
    assert ledger.given_up([given_up, *(Digest(f"{number:064x}") for number in range(70_000))]) == {given_up}


# -- months that should have been final --

CLOSED_AT = datetime(2026, 10, 5, tzinfo=CHINA)
CLOSING = PeriodClose({SEPTEMBER: CLOSED_AT}, ("sfm",))
IN_TIME, TOO_LATE = CLOSED_AT - timedelta(seconds=1), CLOSED_AT + timedelta(days=1)


def lateness(ledger: Ledger) -> list[tuple[str, str, str]]:
    return [(one.file, str(one.other.amount), str(one.counted.amount)) for one in ledger.late(CLOSED_AT)]


def test_a_bill_that_changes_a_final_month_is_noted_with_what_it_was_and_what_it_is(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1), (row("5"),)), at=IN_TIME, closing=CLOSING)
    record(ledger, "late", Day(key(2), (row("-2.5"),)), at=TOO_LATE, closing=CLOSING)
    expected = Discrepancy(
        Disagreement.FINAL_MONTH,
        ACME,
        SEPTEMBER,
        counted=Money(Decimal("2.5"), CNY),
        other=Money(Decimal(5), CNY),
        digest=digest("late"),
        file="late.csv",
        at=TOO_LATE,
    )
    assert ledger.late(TOO_LATE) == (expected,)
    assert ledger.late(TOO_LATE + timedelta(seconds=1)) == ()
    assert spent(ledger) == Decimal("2.5")


def test_late_bills_are_told_in_their_order_and_each_by_itself(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1), (row("5"),)), at=IN_TIME, closing=CLOSING)
    record(ledger, "up", Day(key(2), (row("1"),)), at=TOO_LATE, closing=CLOSING)
    record(ledger, "down", Day(key(2), (row("0.5"),)), at=TOO_LATE + timedelta(minutes=1), closing=CLOSING)
    record(ledger, "up again", Day(key(2), (row("1"),)), at=TOO_LATE + timedelta(minutes=2), closing=CLOSING)
    assert lateness(ledger) == [("up.csv", "5", "6"), ("down.csv", "6", "5.5"), ("up again.csv", "5.5", "6")]


@pytest.mark.parametrize(
    "days",
    [
        (Day(key(1), (row("2"), row("3", model="b"))),),
        (Day(key(2), (row("9", product="oss"),)),),
        (Day(key(1, series=FOCUS), (row("5"),)),),
        (Day(key(2), (row("7", currency=USD),)),),
        (Day(key(1, period=SEPTEMBER.next()), (row("7"),)),),
    ],
    ids=["told otherwise", "of another product", "told once more", "in another currency", "of another month"],
)
def test_what_leaves_the_watched_spend_of_the_final_month_as_it_was_is_not_late(ledger: Ledger, days: Sequence[Day]) -> None:
    record(ledger, "first", Day(key(1), (row("5"),)), at=IN_TIME, closing=CLOSING)
    record(ledger, "second", *days, at=TOO_LATE, closing=CLOSING)
    assert lateness(ledger) == []


def test_another_series_that_shows_more_of_a_final_month_changes_it(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1), (row("5"),)), at=IN_TIME, closing=CLOSING)
    record(ledger, "second", Day(key(1, series=FOCUS), (row("6"),)), at=TOO_LATE, closing=CLOSING)
    assert lateness(ledger) == [("second.csv", "5", "6")]


def test_a_month_that_nobody_watched_while_it_was_open_is_no_matter(ledger: Ledger) -> None:
    record(ledger, "history", Day(key(1), (row("5"),)), at=CLOSED_AT, closing=CLOSING)
    record(ledger, "more of it", Day(key(2), (row("5"),)), at=TOO_LATE, closing=CLOSING)
    assert lateness(ledger) == []


def test_a_month_that_is_open_is_never_late(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1), (row("5"),)), at=IN_TIME, closing=PeriodClose({}, ("sfm",)))
    record(ledger, "second", Day(key(1), (row("6"),)), at=TOO_LATE, closing=PeriodClose({}, ("sfm",)))
    assert lateness(ledger) == []


def test_a_bill_of_two_accounts_is_late_for_that_whose_month_it_changes(ledger: Ledger) -> None:
    ours, theirs = Day(key(1), (row("5"),)), Day(key(1, account=OTHER), (row("5"),))
    record(ledger, "first", ours, theirs, at=IN_TIME, closing=CLOSING)
    record(ledger, "second", ours, Day(theirs.key, (row("6"),)), at=TOO_LATE, closing=CLOSING)
    assert [(one.account, str(one.counted.amount)) for one in ledger.late(CLOSED_AT)] == [(OTHER, "6")]


def test_a_final_month_that_becomes_empty_is_told_as_nothing(ledger: Ledger) -> None:
    record(ledger, "first", Day(key(1), (row("5"),)), at=IN_TIME, closing=CLOSING)
    record(ledger, "second", empty(1), coverage=(cover(),), at=TOO_LATE, closing=CLOSING)
    assert lateness(ledger) == [("second.csv", "5", "0")]


# -- files at which the reading process failed --


def test_failures_are_counted_for_each_file_by_its_bytes_across_restarts(place: str) -> None:
    for expected in (1, 2, 3):
        database = open_database(place)
        ledger = Ledger(database)
        assert ledger.failed(Digest(digest("bad")), f"name {expected}", "it died", at=NOON) == expected
        database.close()
    database = open_database(place)
    assert Ledger(database).failed(Digest(digest("other")), "other", "it died", at=NOON) == 1
    database.close()


def test_a_file_that_was_entered_or_refused_begins_anew(ledger: Ledger) -> None:
    for name in ("entered", "refused"):
        assert ledger.failed(Digest(digest(name)), name, "it died", at=NOON) == 1
    record(ledger, "entered", Day(key()))
    ledger.refuse(Rejection(Digest(digest("refused")), "refused", INBOX, NOON, "no bill"))
    for name in ("entered", "refused"):
        assert ledger.failed(Digest(digest(name)), name, "it died", at=NOON) == 1


def test_hostile_words_about_a_failure_do_no_harm(ledger: Ledger) -> None:
    assert ledger.failed(Digest(digest("x")), "caf\udce9\0.csv", "'; DROP TABLE attempt; --\0", at=NOON) == 1
    assert ledger.failed(Digest(digest("x")), "caf\udce9\0.csv", "again", at=NOON) == 2


# -- how far a long file is read --


def progress(source: str, share: float) -> ReadingProgress:
    return ReadingProgress(SourceName(source), f"{source}.csv", 5 * 1024**3, "reading", share, NOON)


def test_of_each_source_the_latest_progress_stands_in_the_store_until_it_ends(health: HealthBook) -> None:
    for step in (progress("inbox", 0.25), progress("bucket", 0.999), progress("inbox", 0.5)):
        health.reading_goes_on(step)
    assert health.readings() == (progress("bucket", 0.999), progress("inbox", 0.5))
    health.reading_ended(SourceName("inbox"))
    assert health.readings() == (progress("bucket", 0.999),)
    health.reading_ended(SourceName("unknown"))
    health.reading_goes_on(progress("inbox", 1))
    health.reading_ended()
    assert health.readings() == ()


def test_a_share_is_kept_in_thousandths_and_never_rounded_up(health: HealthBook) -> None:
    health.reading_goes_on(progress("inbox", 0.9999999))
    (kept,) = health.readings()
    assert kept.share == 0.999


# -- several who record at once --


@dataclass
class DayReader:
    """Reads bills of one day, each the way it was made: it is merged with whatever the ledger holds of the series."""

    bills: Mapping[str, Day]
    merges: list[int] = field(default_factory=list)

    def digest(self, file: BillFile) -> Digest:
        return Digest(digest(file.name))

    @contextmanager
    def read(self, file: BillFile, hints: ReadingHints) -> Iterator[Reading]:
        assert hints == ReadingHints()
        day = self.bills[file.name]
        told = statement(file.name, [day], coverage=(cover(OLD, OLD, day=day.key.day),))
        content_of_day = DayContent(day.key, Digest(day.digest), day.lines, Identity.GROUP, MORNING)

        def resolve(plan: Plan, content: Callable[[Digest], bytes], ids: Callable[[Digest], bytes]) -> Resolution:
            self.merges.append(len(plan.days))
            assert all(map(content, plan.contents))
            assert all(ids(digest) is not None for digest in plan.contents)
            return resolution([day] if day.key in {one.key for one in plan.days} else [])

        yield Reading(replace(told, days=(content_of_day,)), resolve)


def test_those_who_lose_a_race_begin_anew_until_everything_is_on_record(place: str) -> None:
    """Each has a connection of its own, as other processes have; all enter days of one series.

    Nobody loses five times, as the others have but four bills.
    """
    days = {
        f"{one}-{number}": Day(key(1 + 3 * number + one), (row(str(2**number * 10**one)),))
        for one in range(3)
        for number in range(2)
    }
    start = Barrier(3)
    readers = [DayReader(days) for _ in range(3)]

    def work(one: int) -> None:
        database = open_database(place)
        desk = IngestContext(readers[one], Ledger(database), ReadingHints(), PeriodClose, lambda: NOON)
        try:
            start.wait(30)
            for number in range(2):
                receipt = enter(BillFile(f"{one}-{number}", None, 1, INBOX, NOON), desk)  # type: ignore[arg-type] # never opened
                assert not receipt.repeated
        finally:
            database.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    database = open_database(place, read_only=True)
    ledger = Ledger(database)
    assert spent(ledger) == 3 * 111
    assert len(ledger.totals(SEPTEMBER)) == len(covered(ledger, MONTH)) == 6
    assert (ledger.revision(), len(ledger.statements())) == (6, 6)
    assert sum(len(reader.merges) for reader in readers) >= 6
    database.close()


def test_who_loses_time_and_again_gives_up_and_leaves_nothing_behind(ledger: Ledger) -> None:
    reader = DayReader({"mine": Day(key(1))})
    rivals = iter(range(100))

    @dataclass
    class RacedReader(DayReader):
        """Somebody else always records first."""

        @contextmanager
        def read(self, file: BillFile, hints: ReadingHints) -> Iterator[Reading]:
            with super().read(file, hints) as reading:

                def raced(plan: Plan, content: Callable[[Digest], bytes], ids: Callable[[Digest], bytes]) -> Resolution:
                    number = next(rivals)
                    record(ledger, f"rival {number}", Day(key(2 + number)))
                    return reading.resolve(plan, content, ids)

                yield Reading(reading.statement, raced)

    raced = RacedReader(reader.bills)
    desk = IngestContext(raced, ledger, ReadingHints(), PeriodClose, lambda: NOON)
    with pytest.raises(LedgerChangedError):
        enter(BillFile("mine", None, 1, INBOX, NOON), desk)  # type: ignore[arg-type] # never opened
    assert len(raced.merges) == 5
    assert not ledger.has(digest("mine"))
    assert sorted(one.day.day for one in ledger.totals(SEPTEMBER)) == [2, 3, 4, 5, 6]
