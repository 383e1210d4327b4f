"""What the ledger keeps in mind of the values that bills name, on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pytest

from spendwatch.domain.novelty import ChargedValue, Learnt
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import ChargeKind, SpendRow
from spendwatch.store.audit import REMOVED, AuditEntry
from spendwatch.store.database import Database
from spendwatch.store.ledger import Ledger
from store_builders import ACME, NOON, Day, digest, key, record, resolution, row, statement


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


def found(ledger: Ledger, dimension: Dimension = Dimension.MODEL, *, after: int = -1) -> Mapping[str, ChargedValue]:
    """Return what is known of a dimension's values that came on record after a revision."""
    values = ledger.charged_values({ACME: after})
    return {one.value: one for one in values if one.dimension is dimension and not one.is_free and one.revision > after}


def enter(ledger: Ledger, number: int, *rows: SpendRow) -> None:
    record(ledger, f"bill {number} {len(ledger.statements())}", Day(key(number), rows))


def remove(ledger: Ledger, name: str, *days: Day) -> None:
    """Remove the bill of that name; its days are so without it."""
    held = ledger.held([day.key.month for day in days])
    entry = AuditEntry(NOON, "li", REMOVED, name, "", digest(name))
    ledger.remove(statement(name, days).identity, resolution(days), entry, held=held, series={days[0].key.month})


def test_values_of_lines_that_cost_something_are_known_with_their_first_and_last_day(ledger: Ledger) -> None:
    enter(ledger, 3, row("0.0000000001", model="a"), row("0", model="b"), row("-1", model="c"), row("1", model=""))
    enter(ledger, 5, row("12", model="a"))
    enter(ledger, 1, row("2", model="a"))
    assert [(one.value, one.since, one.until, one.revision) for one in found(ledger).values()] == [
        ("a", date(2026, 9, 1), date(2026, 9, 5), 1)
    ]
    assert ledger.first_days() == {ACME: date(2026, 9, 1)}
    assert ledger.charged_values({}) == ()


def test_models_of_a_free_quota_are_kept_apart(ledger: Ledger) -> None:
    enter(ledger, 3, row("0", model="a", charge=ChargeKind.FREE), row("1", model="a"))
    enter(ledger, 4, row("1", model="a"))
    both = {one.is_free: one.until.day for one in ledger.charged_values({ACME: 0}) if one.value == "a"}
    assert both == {True: 3, False: 4}


def test_what_came_later_is_told_by_the_revision(ledger: Ledger) -> None:
    enter(ledger, 3, row(model="a"))
    before = ledger.revision()
    enter(ledger, 4, row(model="a"), row(model="b"))
    assert set(found(ledger, after=before)) == {"b"}


def test_a_value_of_a_removed_bill_is_forgotten_and_the_same_bill_entered_again_is_no_news(ledger: Ledger) -> None:
    record(ledger, "kept", Day(key(3), (row(model="a"),)))
    wrong = Day(key(4), (row(model="b"), row(model="a")))
    record(ledger, "wrong", wrong)
    remove(ledger, "wrong", Day(key(4), ()))
    assert {one.value: one.until.day for one in found(ledger).values()} == {"a": 3}
    now = ledger.revision()
    record(ledger, "wrong again", wrong)
    assert found(ledger, after=now) == {}
    assert set(found(ledger)) == {"a", "b"}


def test_a_value_of_a_removed_bill_is_news_when_it_is_charged_on_a_later_day(ledger: Ledger) -> None:
    record(ledger, "kept", Day(key(3), (row(model="a"),)))
    record(ledger, "wrong", Day(key(4), (row(model="b"),)))
    remove(ledger, "wrong", Day(key(4), ()))
    now = ledger.revision()
    record(ledger, "right", Day(key(6), (row(model="b"),)))
    assert [(one.value, one.since.day) for one in found(ledger, after=now).values()] == [("b", 6)]


def test_codes_that_another_layout_spells_otherwise_are_no_news(ledger: Ledger) -> None:
    enter(ledger, 3, row(item="token_number"))
    now = ledger.revision()
    record(ledger, "old", Day(key(4, series="old"), (row(item="大模型文本消耗量", model="new"),)), series="old")
    assert found(ledger, Dimension.ITEM, after=now) == {}
    assert set(found(ledger, after=now)) == {"new"}
    record(ledger, "old too", Day(key(5, series="old"), (row(item="大模型图片生成量"),)), series="old")
    assert set(found(ledger, Dimension.ITEM, after=now)) == {"大模型图片生成量"}


def test_what_is_learnt_is_remembered_and_given_up(ledger: Ledger) -> None:
    one = Learnt(ACME, "model", 3, date(2026, 9, 2))
    other = Learnt(ACME, "item", 4, date(2026, 9, 5))
    ledger.learn([one, other], [])
    assert set(ledger.learnt()) == {one, other}
    ledger.learn([], [other])
    assert set(ledger.learnt()) == {one}


def test_orders_are_known_by_commodity_day_and_end_whenever_they_came(ledger: Ledger) -> None:
    plan = row(charge=ChargeKind.SUBSCRIPTION, commodity="sfm_codingplan", ends="2026-10-03 00:00")
    enter(ledger, 3, plan, plan._replace(ends=""), row(ends="2026-10-04"))
    enter(ledger, 4, plan)
    orders = [one for one in ledger.charged_values({ACME: ledger.revision()}) if one.dimension is Dimension.ENDS]
    assert sorted(one.value for one in orders) == [
        "sfm_codingplan 2026-09-03 ",
        "sfm_codingplan 2026-09-03 2026-10-03 00:00",
        "sfm_codingplan 2026-09-04 2026-10-03 00:00",
    ]
    assert {one.since for one in orders} == {date(2026, 9, 3), date(2026, 9, 4)}
