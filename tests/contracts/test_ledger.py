"""What the ledger promises, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spendwatch.domain.errors import InvalidAmountError, LedgerChangedError
from spendwatch.domain.health import Rejection
from spendwatch.domain.merging import Held
from spendwatch.domain.money import Currency, exact_sum, plain
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import AccountId, ChargeKind, DayKey, Kind, SpendRow, Version, WorkspaceId
from spendwatch.store.audit import REMOVED, AuditEntry, add_audit_entries
from spendwatch.store.copying import copy_sums
from spendwatch.store.database import Database
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database
from spendwatch.store.rebuilding import mismatches, series_on_record
from store_builders import ACME, CHINA, CNY, INBOX, MORNING, NOON, SEPTEMBER, Day, digest, key, resolution, row, statement
from store_builders import record as enter

OTHER = AccountId("2000000000000002")


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


def total(ledger: Ledger, period: BillingPeriod = SEPTEMBER) -> str:
    (only,) = ledger.spend(period, ())
    return plain(only.amount)


def test_a_recorded_file_is_known_by_its_digest(ledger: Ledger) -> None:
    assert not ledger.has(digest("first"))
    enter(ledger, "first", Day(key()))
    assert ledger.has(digest("first"))
    assert not ledger.has(digest("second"))


def test_the_lines_of_a_day_come_back_as_they_were_recorded(ledger: Ledger) -> None:
    day = Day(key(3), is_linked=True)
    enter(ledger, "first", day)
    assert ledger.content(day.digest) == day.packed()
    assert ledger.content(digest("other")) is None
    (told,) = (held := ledger.held([key().month, key(account=OTHER).month])).statements
    assert told.days == statement("first", [day]).days
    assert told.received_at == NOON
    assert held.linked == {key(3)}


def test_equal_days_are_stored_once(ledger: Ledger, database: Database) -> None:
    day = Day(key(3))
    enter(ledger, "first", day)
    enter(ledger, "second", day)
    assert len(ledger.held([key().month]).statements) == 2
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM content").scalar() == 1


def test_a_restated_day_replaces_the_first(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(1), (row("1"), row("2"))), Day(key(2), (row("10"),)))
    enter(ledger, "second", Day(key(1), (row("5"),)))
    assert total(ledger) == "15"


def test_the_same_file_twice_changes_nothing(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(), (row("1"),)))
    before = ledger.revision()
    enter(ledger, "first", Day(key(), (row("999"),)))
    assert total(ledger) == "1"
    assert ledger.revision() == before
    assert len(ledger.statements(10)) == 1


def test_every_recorded_change_raises_the_revision(ledger: Ledger) -> None:
    seen = [ledger.revision()]
    for number in range(3):
        enter(ledger, number, Day(key(), (row(str(number)),)))
        seen.append(ledger.revision())
    assert seen == sorted(set(seen))


def test_what_is_copied_of_a_ledger_is_of_one_moment_and_of_the_month_that_is_asked_for(
    ledger: Ledger, database: Database, tmp_path: Path
) -> None:
    october = BillingPeriod(2026, 10)
    enter(ledger, "first", Day(key(1)), Day(key(1, period=october)))
    for month, found in ((None, {SEPTEMBER, october}), (october, {october})):
        copy = open_database(str(tmp_path / f"{month}.db"))
        copy_sums(database, copy, month)
        series = series_on_record(copy)
        assert {one.period for one in series} == found
        assert list(mismatches(database, copy, series)) == []
        enter(ledger, f"later {month}", Day(key(1, period=october), salt=str(month), spent=(row("2"),) * (len(found))))
        assert [one.day.period for one in mismatches(database, copy, series)] == [october]
        copy.close()


def test_a_day_changed_by_somebody_else_meanwhile_is_not_overwritten(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(), (row("1"),)))
    basis = ledger.held([key().month])
    enter(ledger, "second", Day(key(), (row("2"),)))
    with pytest.raises(LedgerChangedError):
        enter(ledger, "third", Day(key(), (row("3"),)), held=basis)
    assert total(ledger) == "2"
    assert not ledger.has(digest("third"))


def test_a_day_that_somebody_else_made_meanwhile_is_not_overwritten(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(), (row("1"),)))
    with pytest.raises(LedgerChangedError):
        enter(ledger, "second", Day(key(), (row("2"),)), held=Held())


def test_an_unchanged_day_that_the_merge_relied_on_is_checked_too(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(1)), Day(key(2)))
    basis = ledger.held([key().month])
    enter(ledger, "second", Day(key(1), (row("2"),)))
    with pytest.raises(LedgerChangedError):
        enter(ledger, "third", Day(key(2), (row("3"),)), held=basis)


def test_of_many_who_enter_the_same_day_at_once_exactly_one_wins(place: str) -> None:
    """Each has an own connection to the database, as other processes have."""
    start = Barrier(4)

    def one(number: int) -> bool:
        database = open_database(place)
        try:
            start.wait(30)
            enter(Ledger(database), number, Day(key(), (row(str(number + 1)),)), held=Held())
        except LedgerChangedError:
            return False
        finally:
            database.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(one, range(4)))
    assert won.count(True) == 1
    database = open_database(place, read_only=True)
    assert total(Ledger(database)) == str(won.index(True) + 1)
    assert Ledger(database).revision() == 1
    database.close()


@dataclass(frozen=True)
class BrokenDay(Day):
    """A day whose reader dies before it has given everything."""

    def rows(self) -> Iterator[SpendRow]:
        yield row("7")
        raise OSError


def test_nothing_is_left_of_a_file_whose_recording_breaks_off(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(1), (row("1"),)))
    days = [Day(key(1), (row("50"),)), BrokenDay(key(2))]
    with pytest.raises(OSError):  # noqa: PT011 -- the very error of the reader
        enter(ledger, "second", *days)
    assert total(ledger) == "1"
    assert ledger.content(days[0].digest) is None
    assert not ledger.has(digest("second"))
    assert ledger.revision() == 1
    enter(ledger, "second", Day(key(2), (row("7"),)))
    assert total(ledger) == "8"


LARGEST = "9" * 28 + "." + "9" * 10


def test_sums_are_exact_with_28_digits_and_10_decimals(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(), (row(LARGEST), row(LARGEST, model="b"), row("0.0000000001", model="c"))))
    assert total(ledger) == "19999999999999999999999999999.9999999999"


def test_an_amount_that_would_have_to_be_rounded_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="at most 10 decimals") as caught:
        enter(ledger, "first", Day(key(), (row("0.00000000001"),)))
    assert isinstance(caught.value, InvalidAmountError) or isinstance(caught.value.__cause__, InvalidAmountError)
    assert not ledger.has(digest("first"))


amounts = st.decimals(min_value=Decimal(-(10**27)), max_value=Decimal(10**27), places=10, allow_nan=False, allow_infinity=False)
drawn = st.lists(
    st.tuples(st.integers(1, 30), st.sampled_from(["a", "b", ""]), st.sampled_from(["CNY", "USD"]), amounts), max_size=40
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=drawn)
def test_every_sum_is_the_exact_sum_of_its_rows(ledger: Ledger, drawn: list[tuple[int, str, str, Decimal]]) -> None:
    series = f"s{ledger.revision()}"  # each example has an account of its own
    account = AccountId(series)
    spent: dict[int, list[SpendRow]] = {}
    for day, workspace, currency, amount in drawn:
        spent.setdefault(day, []).append(row(plain(amount), workspace=WorkspaceId(workspace), currency=Currency(currency)))
    enter(ledger, series, *(Day(key(day, account=account), tuple(rows)) for day, rows in spent.items()))
    by = (Dimension.ACCOUNT, Dimension.WORKSPACE)
    found = {
        (one.values[Dimension.WORKSPACE], str(one.currency)): (one.amount, one.lines)
        for one in ledger.spend(SEPTEMBER, by)
        if one.values[Dimension.ACCOUNT] == account
    }
    expected = {
        (workspace, currency): (exact_sum(amount for _, w, c, amount in drawn if (w, c) == (workspace, currency)), n)
        for workspace in ("a", "b", "")
        for currency in ("CNY", "USD")
        if (n := sum((w, c) == (workspace, currency) for _, w, c, _ in drawn))
    }
    assert found == expected


def test_spend_is_grouped_by_what_is_asked_for_and_by_currency_always(ledger: Ledger) -> None:
    rows = (
        row("1", model="a", lines=2),
        row("2", model="b", workspace=WorkspaceId("")),
        row("4", model="a", currency=Currency("USD")),
        row("8", model="a", charge=ChargeKind.REFUND),
    )
    enter(ledger, "first", Day(key(1), rows))
    assert ledger.spend(SEPTEMBER, (Dimension.MODEL,)) == (
        SpendSum({Dimension.MODEL: "a"}, Currency("CNY"), Decimal(9), 3),
        SpendSum({Dimension.MODEL: "a"}, Currency("USD"), Decimal(4), 1),
        SpendSum({Dimension.MODEL: "b"}, Currency("CNY"), Decimal(2), 1),
    )
    unassigned = ledger.spend(SEPTEMBER, (Dimension.WORKSPACE, Dimension.CHARGE))[0]
    assert unassigned.values == {Dimension.WORKSPACE: "", Dimension.CHARGE: "usage"}


def test_spend_can_be_told_apart_by_every_dimension(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(5), (row("1", tags='{"team":"研究"}', safe_mode="1"),)))
    expected = {
        Dimension.ACCOUNT: ACME,
        Dimension.DAY: "2026-09-05",
        Dimension.WORKSPACE: "llm-a",
        Dimension.API_KEY: "1200345",
        Dimension.MODEL: "qwen-max",
        Dimension.TYPE: "inference",
        Dimension.CHANNEL: "api",
        Dimension.SAFE_MODE: "1",
        Dimension.REGION: "cn-beijing",
        Dimension.ENDS: "",
        Dimension.ITEM: "tokens",
        Dimension.COMMODITY: "sfm_inference_public_cn",
        Dimension.PRODUCT: "sfm",
        Dimension.OWNER: ACME,
        Dimension.TAGS: '{"team":"研究"}',
        Dimension.CHARGE: "usage",
    }
    for dimension in Dimension:
        (only,) = ledger.spend(SEPTEMBER, (dimension,))
        assert only.values == {dimension: expected[dimension]}
    assert ledger.spend(SEPTEMBER, tuple(Dimension))[0].values == expected


def test_examples_of_usage_without_a_workspace_are_told_by_layout_the_first_of_each(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(1)), unassigned=("a;b", ""))
    enter(ledger, "second", Day(key(2)), unassigned=("c;d",))
    enter(ledger, "third", Day(key(3)), layout="focus", unassigned=("研究;x",))
    enter(ledger, "fourth", Day(key(4)), layout="legacy")
    assert ledger.unassigned(NOON) == {"v2": ("a;b", ""), "focus": ("研究;x",)}
    assert ledger.unassigned(NOON + timedelta(seconds=1)) == {}


def test_spend_can_be_limited_to_products_and_days(ledger: Ledger) -> None:
    days = [Day(key(day), (row("1"), row("10", product="ecs"))) for day in (1, 2, 3)]
    enter(ledger, "first", *days)
    assert [one.amount for one in ledger.spend(SEPTEMBER, (), products=["sfm"])] == [3]
    assert [one.amount for one in ledger.spend(SEPTEMBER, (), products=["sfm", "ecs"])] == [33]
    assert ledger.spend(SEPTEMBER, (), products=[]) == ()
    half_open = (date(2026, 9, 1), date(2026, 9, 3))
    assert [one.amount for one in ledger.spend(SEPTEMBER, (), days=half_open)] == [22]


def test_spend_of_a_month_without_bills_is_no_sum_at_all(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key()))
    assert ledger.spend(SEPTEMBER.next(), (Dimension.WORKSPACE,)) == ()


def test_the_bill_month_counts_and_not_the_date(ledger: Ledger) -> None:
    late = DayKey(ACME, SEPTEMBER, "v2", date(2026, 10, 1))
    enter(ledger, "first", Day(late, (row("3"),)))
    assert total(ledger) == "3"
    assert ledger.spend(SEPTEMBER.next(), ()) == ()


def test_two_series_of_one_month_are_never_added(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(series="v2"), (row("5"),)))
    enter(ledger, "second", Day(key(series="focus"), (row("5"),)))
    assert total(ledger) == "5"
    october = SEPTEMBER.next()
    enter(ledger, "third", Day(key(series="focus", period=october), (row("6"),)))
    assert total(ledger, october) == "6"


def test_data_reach_up_to_the_latest_charge_and_never_back(ledger: Ledger) -> None:
    noon = datetime(2026, 9, 15, 12, tzinfo=CHINA)
    enter(ledger, "first", Day(key(15)), data_until=noon)
    enter(ledger, "second", Day(key(3)), data_until=noon - timedelta(days=12))
    enter(ledger, "third", Day(key(4)), data_until=None)
    assert ledger.data_until() == {ACME: noon}
    assert ledger.data_until()[ACME].tzinfo is not None
    enter(ledger, "fourth", Day(key(16)), data_until=noon + timedelta(days=1))
    assert ledger.data_until() == {ACME: noon + timedelta(days=1)}


def test_in_a_file_of_two_accounts_none_reaches_beyond_its_own_last_day(ledger: Ledger) -> None:
    noon = datetime(2026, 9, 15, 12, tzinfo=CHINA)
    enter(ledger, "first", Day(key(15)), Day(key(9, account=OTHER)), data_until=noon)
    assert ledger.data_until() == {ACME: noon, OTHER: datetime(2026, 9, 10, tzinfo=CHINA)}


def test_statements_are_listed_with_what_the_ledger_took_in(ledger: Ledger) -> None:
    day = Day(key(), (row(lines=10),), new=3, changed=2)
    enter(ledger, "first", day, remarks=("a remark", "研究"), exported_at=NOON)
    enter(ledger, "second", Day(key(2)))
    latest, first = ledger.statements(10)
    assert latest.name == "second.csv"
    assert (first.name, first.source, first.lines, first.new, first.changed, first.same) == ("first.csv", INBOX, 10, 3, 2, 5)
    assert (first.accounts, first.periods, first.remarks) == ((ACME,), (SEPTEMBER,), ("a remark", "研究"))
    assert (first.received_at, first.exported_at) == (NOON, NOON)
    assert ledger.statements(1) == (latest,)


def test_a_statement_that_came_once_more_is_the_latest(ledger: Ledger) -> None:
    older, newer = MORNING, Version(NOON)
    for hours, name, version in ((0, "first", older), (1, "second", older), (2, "third", older), (3, "first", newer)):
        told = statement(name, version=version)
        ledger.record(told, resolution(), name=name, source=INBOX, held=ledger.held([]), now=NOON + timedelta(hours=hours))
    assert [one.name for one in ledger.statements()] == ["first", "third", "second"]
    again = ledger.statements()[0]
    assert (again.first_received_at, again.received_at) == (NOON, NOON + timedelta(hours=3))
    assert [one.name for one in ledger.statements(2)] == ["first", "third"]


def test_what_people_took_back_is_known_by_its_digest(ledger: Ledger, database: Database) -> None:
    assert ledger.removed() == frozenset()
    with database.writing() as connection:
        add_audit_entries(connection, [AuditEntry(NOON, "li", REMOVED, "6b553239 a bill.csv", "", digest("a bill"))])
        add_audit_entries(connection, [AuditEntry(NOON, "li", "something else", "77777777", "")])
    assert ledger.removed() == {digest("a bill")}


def test_the_same_bytes_that_mean_something_else_are_another_statement(ledger: Ledger) -> None:
    bytes_alike = statement("alike")
    pushed = replace(bytes_alike, kind=Kind.SNAPSHOT, version=MORNING._replace(is_complete=True))
    for told in (bytes_alike, pushed, replace(bytes_alike, parts=(2,)), replace(bytes_alike, accounts=(OTHER,))):
        assert not ledger.has_statement(told)
        ledger.record(told, resolution(), name="alike.csv", source=INBOX, held=ledger.held([]), now=NOON)
        assert ledger.has_statement(told)
    later = replace(bytes_alike, version=Version(NOON))
    assert not ledger.has_statement(later)
    ledger.record(later, resolution(), name="later.csv", source=INBOX, held=ledger.held([]), now=NOON)
    assert ledger.has_statement(bytes_alike)
    found = ledger.statements()
    assert [(one.kind, one.name) for one in found].count((Kind.UPSERT, "later.csv")) == 1
    assert len(found) == len({one.identity for one in found}) == 4
    assert set(ledger.find_statements(digest("alike"))) == set(found)
    assert ledger.find_statements(pushed.identity[:12]) == tuple(one for one in found if one.kind is Kind.SNAPSHOT)


def test_a_refused_file_is_on_record_once(ledger: Ledger) -> None:
    first = Rejection(digest("bad"), "bad.csv", INBOX, NOON, "line 2: no amount")
    ledger.refuse(first)
    ledger.refuse(Rejection(digest("bad"), "again.csv", INBOX, NOON + timedelta(hours=1), "another reason"))
    later = Rejection(digest("worse"), "worse.csv", INBOX, NOON + timedelta(hours=2), "not a table")
    ledger.refuse(later)
    assert ledger.rejections(NOON) == (first, later)
    assert ledger.rejections(NOON + timedelta(seconds=1)) == (later,)
    enter(ledger, "bad", Day(key(1)))
    assert ledger.rejections(NOON) == (later,), "it was entered after all"


@pytest.mark.parametrize("name", ["a\0b.csv", "caf\udce9.csv", "账单\n.csv", "'; DROP TABLE statement; --"])
def test_hostile_file_names_are_kept_and_do_no_harm(ledger: Ledger, name: str) -> None:
    ledger.refuse(Rejection(digest(name), name, INBOX, NOON, f"cannot read {name}"))
    (kept,) = ledger.rejections(NOON)
    assert kept.name == name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def test_hostile_cells_are_kept_and_do_no_harm(ledger: Ledger) -> None:
    enter(ledger, "first", Day(key(), (row("1", model="a\0b"), row("2", model="%' OR 1=1 --"))))
    by_model = {one.values[Dimension.MODEL]: one.amount for one in ledger.spend(SEPTEMBER, (Dimension.MODEL,))}
    assert by_model == {"a\\x00b": 1, "%' OR 1=1 --": 2}


def test_periods_and_recent_charges_are_known_for_each_account(ledger: Ledger) -> None:
    october = SEPTEMBER.next()
    enter(ledger, "first", Day(key(1), (row(commodity="sfm_codingplan_public_cn"),)), Day(key(1, account=OTHER)))
    recent = (row(commodity="sfm_GenAI_spn_cn"), row("0", charge=ChargeKind.FREE), row(commodity=""))
    enter(ledger, "second", Day(key(2, period=october), recent))
    assert ledger.periods() == {ACME: (SEPTEMBER, october), OTHER: (SEPTEMBER,)}
    usage, free = ChargeKind.USAGE, ChargeKind.FREE
    assert ledger.recent_charges(date(2026, 9, 20)) == {
        ACME: frozenset({("sfm_GenAI_spn_cn", usage), ("sfm_inference_public_cn", free), ("", usage)})
    }
    assert ledger.recent_charges(date(2026, 9, 1))[OTHER] == frozenset({("sfm_inference_public_cn", usage)})


def test_what_bills_name_together_is_known_once_whatever_day_it_stands_on(ledger: Ledger) -> None:
    assert ledger.names_seen() == frozenset()
    rows = (row("1", api_key="a"), row("2", api_key="a"), row("3", api_key=""))
    enter(ledger, "first", Day(key(1), rows), Day(key(2), rows[:1]), Day(key(1, account=OTHER), rows[:1]))
    named = {(one.account, one.workspace, one.api_key, one.currency) for one in ledger.names_seen()}
    workspace, currency = rows[0].workspace, rows[0].currency
    assert named == {(ACME, workspace, "a", currency), (ACME, workspace, "", currency), (OTHER, workspace, "a", currency)}


def test_a_large_day_is_recorded_whole(ledger: Ledger) -> None:
    rows = tuple(row("0.0000000001", api_key=str(number)) for number in range(12_000))
    enter(ledger, "first", Day(key(), rows))
    (only,) = ledger.spend(SEPTEMBER, ())
    assert (only.amount, only.lines) == (Decimal("0.0000012"), 12_000)
    assert len(ledger.spend(SEPTEMBER, (Dimension.API_KEY,))) == 12_000


def test_use_is_told_by_day_without_subscriptions_refunds_and_rounding(ledger: Ledger) -> None:
    kinds = [ChargeKind.SUBSCRIPTION, ChargeKind.REFUND, ChargeKind.ADJUSTMENT, ChargeKind.ROUNDING]
    once = tuple(row("500", charge=kind) for kind in kinds)
    first = (row("1.5"), row("0.25", charge=ChargeKind.OTHER), row("0", charge=ChargeKind.FREE), *once)
    second = (row("2"), row("7", workspace="llm-b"), row("9", currency="USD"), row("40", product="oss"))
    enter(ledger, "first", Day(key(1), first), Day(key(2), second), Day(key(3), (row("100"),)))
    series = [key(1).month]
    days = (date(2026, 9, 1), date(2026, 9, 3))
    found = list(ledger.usage(series, (Dimension.WORKSPACE,), products=("sfm",), days=days))
    assert [(one.values[Dimension.WORKSPACE], one.currency, one.daily) for one in found] == [
        ("llm-a", "CNY", {date(2026, 9, 1): Decimal("1.75"), date(2026, 9, 2): Decimal(2)}),
        ("llm-a", "USD", {date(2026, 9, 2): Decimal(9)}),
        ("llm-b", "CNY", {date(2026, 9, 2): Decimal(7)}),
    ]
    (whole,) = [one for one in ledger.usage(series, (), products=None, days=days) if one.currency == "CNY"]
    assert whole.daily == {date(2026, 9, 1): Decimal("1.75"), date(2026, 9, 2): Decimal(49)}
    assert list(ledger.usage([], (), products=None, days=days)) == []


def test_use_of_two_months_is_one_course(ledger: Ledger) -> None:
    october = SEPTEMBER.next()
    enter(ledger, "first", Day(key(30), (row("1"),)), Day(key(1, period=october), (row("2"),)))
    series = [key(30).month, key(1, period=october).month]
    (found,) = ledger.usage(series, (Dimension.ACCOUNT,), products=None, days=(date(2026, 9, 1), date(2026, 11, 1)))
    assert list(found.daily) == [date(2026, 9, 30), date(2026, 10, 1)]


def test_what_is_not_paid_is_told_by_day_with_how_new_that_word_is(ledger: Ledger) -> None:
    owing = (row("5", outstanding=Decimal("3.5")), row("2", outstanding=Decimal(1), workspace="llm-b"), row("9"))
    silent = Day(key(2), (row("4"),))
    enter(ledger, "first", Day(key(1), owing), silent)
    enter(ledger, "later", Day(key(1), owing), version=Version(late := NOON + timedelta(days=20)))
    (owed,) = ledger.owed([SEPTEMBER, SEPTEMBER.previous()], late)
    assert (owed.key, owed.currency, owed.amount, owed.newest) == (key(1), CNY, Decimal("4.5"), late)
    assert ledger.owed([SEPTEMBER], late + timedelta(seconds=1)) == ()
    assert ledger.owed([SEPTEMBER.next()], NOON) == ()
