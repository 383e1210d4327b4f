"""Which of all that statements say of a day counts, and what a new one changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import permutations

import pytest

from spendwatch.domain.merging import (
    Held,
    HeldStatement,
    covering,
    fresh_accounts,
    is_outranked,
    never_needed,
    outcome,
    plan_change,
    plans_of_days,
    resolve,
)
from spendwatch.domain.period import PeriodClose
from spendwatch.domain.statement import AccountId, Coverage, DayContent, DayKey, Digest, Identity, Statement, Version
from store_builders import ACME, CHINA, SEPTEMBER, Day, digest, key, statement

MONTH = key().month
OLD, NOW, NEW = (datetime(2026, 9, day, 12, tzinfo=CHINA) for day in (10, 15, 20))


def whole(moment: datetime = NOW, **more: object) -> Version:
    return Version(moment, is_complete=True, **more)  # type: ignore[arg-type]  # a builder takes any field


def content(day: int, lines: str = "a", version: Version | datetime = NOW, identity: Identity = Identity.ID) -> DayContent:
    return DayContent(key(day), Digest(lines), 1, identity, version if isinstance(version, Version) else Version(version))


def complete(
    version: Version | None = None,
    reach: datetime = NOW,
    *,
    first: int = 1,
    last: int = 30,
    owners: tuple[str, ...] | None = None,
) -> Coverage:
    return Coverage(MONTH, date(2026, 9, first), date(2026, 9, last), owners, version or whole(), reach)


def told(name: str, *days: DayContent, coverage: Sequence[Coverage] = ()) -> HeldStatement:
    return HeldStatement(digest(name), NOW, days, tuple(coverage))


def contents(*statements: HeldStatement) -> dict[int, list[tuple[str, tuple[str, ...] | None]]]:
    return {one.day.day: [(piece.content, piece.gone) for piece in pieces] for one, pieces in resolve(statements).items()}


def counts(*statements: HeldStatement) -> dict[int, list[str]]:
    """Return the contents that decide about each day, whatever the order in which the statements came."""
    orders = list(permutations(statements)) if len(statements) < 5 else [statements]
    (_,) = {repr({day: [name for name, _ in pieces] for day, pieces in sorted(contents(*order).items())}) for order in orders}
    return {day: [name for name, _ in pieces] for day, pieces in sorted(contents(*statements).items())}


def test_what_several_statements_have_of_a_day_counts_the_oldest_first() -> None:
    assert counts(told("x", content(1, "a", NEW)), told("y", content(1, "b", OLD), content(2, "c"))) == {
        1: ["b", "a"],
        2: ["c"],
    }


def test_equal_contents_are_as_new_as_the_newest() -> None:
    assert counts(told("x", content(1, "a", OLD)), told("y", content(1, "b", NOW)), told("z", content(1, "a", NEW))) == {
        1: ["b", "a"]
    }


def test_a_complete_statement_takes_the_place_of_older_ones() -> None:
    older, newer = (
        told("x", content(1, "a", OLD), content(2, "b", OLD)),
        told("y", content(1, "c", whole()), coverage=[complete()]),
    )
    assert counts(older, newer) == {1: ["c"]}
    assert counts(older, told("y", coverage=[complete()])) == {}


def test_it_does_so_on_its_own_days_and_of_its_own_owners_alone() -> None:
    older = told("x", *(content(day, f"of {day}", OLD) for day in (1, 3, 5)))
    assert counts(older, told("y", coverage=[complete(first=2, last=4)])) == {1: ["of 1"], 5: ["of 5"]}
    assert contents(older, told("y", coverage=[complete(first=3, last=3, owners=("alpha",))]))[3] == [("of 3", ("alpha",))]
    other_series = DayKey(ACME, SEPTEMBER, "other", date(2026, 9, 3))
    assert covering(other_series, [complete()]) == []


def test_of_a_complete_statement_that_has_no_other_owners_nothing_is_left() -> None:
    old, new = whole(OLD), whole(NEW)
    alpha = told("x", content(1, "a", old), coverage=[complete(old, OLD, owners=("alpha",))])
    beta = told("z", content(1, "b", old), coverage=[complete(old, OLD, owners=("beta",))])
    both = told("y", content(1, "c", new), coverage=[complete(new, NEW, owners=("alpha", "beta"))])
    assert counts(alpha, beta) == {1: ["a", "b"]}
    assert counts(alpha, both, beta) == {1: ["c"]}


def test_what_came_from_others_is_gone_only_up_to_the_reach_of_a_complete_statement() -> None:
    cover = complete(whole(NOW), OLD)
    assert cover.lacks(whole(NOW - timedelta(hours=1), lines=9))
    assert not cover.lacks(Version(NOW - timedelta(hours=1)))
    assert cover.lacks(Version(OLD - timedelta(seconds=1)))
    assert not cover.lacks(Version(OLD))
    assert not cover.lacks(whole(NOW))


def test_of_complete_statements_of_one_moment_the_one_with_more_lines_counts_then_the_dearer_one() -> None:
    versions = [whole(NOW, lines=lines, cost=cost) for lines, cost in ((2, 5), (3, 1), (3, 4))]
    statements = [told(str(at), content(1, str(at), one), coverage=[complete(one)]) for at, one in enumerate(versions)]
    assert counts(*statements) == {1: ["2"]}
    first, *_, last = (replace(statement(), coverage=one.coverage) for one in statements)
    assert is_outranked(first, Held(tuple(statements[1:])))
    assert not is_outranked(last, Held(tuple(statements[:2])))


def test_what_is_gone_still_takes_the_place_of_older_versions_that_are_not() -> None:
    export, push = told("x", content(1, "a", OLD)), told("y", content(1, "b", whole(OLD + timedelta(hours=1))))
    assert counts(export, push, told("z", coverage=[complete(whole(NOW), OLD)])) == {1: ["a", "b"]}
    newer = told("x", content(1, "a", NOW))
    assert counts(newer, push, told("z", coverage=[complete(whole(NOW), OLD)])) == {1: ["a"]}


def test_of_parts_without_a_time_the_one_that_came_last_under_a_name_counts() -> None:
    first, second = (Version(moment, slot="part 1") for moment in (NEW, OLD))
    before, after = told("x", content(1, "a", first), content(2, "b", first)), told("y", content(1, "c", second))
    assert (contents(before, after), contents(after, before)) == ({1: [("c", ())]}, {1: [("a", ())], 2: [("b", ())]})
    other = told("z", content(1, "d", Version(OLD, slot="part 2")))
    assert [name for name, _ in contents(before, other, after)[1]] == ["c", "d"]


def test_of_two_coverages_the_one_that_takes_away_nothing_more_is_left_aside() -> None:
    one, other = complete(whole(OLD), NEW), complete(whole(NEW), OLD)
    assert covering(key(2), [one, other]) == [one, other]
    older, fewer = complete(whole(OLD), OLD), complete(whole(NEW), OLD, owners=("a",))
    for order in ([one, other, older, fewer], [fewer, older, other, one]):
        assert set(covering(key(2), order)) == {one, other}
    assert len(covering(key(2), [complete(owners=("a",)), complete(owners=("b",))])) == 2


# -- what is to be resolved --


def held(*statements: HeldStatement, linked: Sequence[int] = ()) -> Held:
    return Held(statements, frozenset(map(key, linked)))


def a_statement(*days: DayContent, version: Version | None = None, coverage: Sequence[Coverage] = ()) -> Statement:
    plain = replace(statement("new"), version=version or (days[0].version if days else None))
    return replace(plain, days=days, coverage=tuple(coverage))


def planned(before: Held, new: Statement) -> tuple[list[int], list[int], tuple[Digest, ...]]:
    plan = plan_change(before, before.with_statement(new, NEW))
    return [one.key.day.day for one in plan.days], [one.key.day.day for one in plan.others], plan.fresh


def test_days_that_the_ledger_does_not_hold_are_resolved_with_their_new_contents() -> None:
    assert planned(held(), a_statement(content(1), content(2, "b"))) == ([1, 2], [], ("a", "b"))


def test_days_that_are_the_same_to_the_letter_are_left_alone() -> None:
    before = held(told("x", content(1), content(2, "other", OLD)))
    assert planned(before, a_statement(content(1, "a", NEW), content(2, "b"))) == ([2], [], ("b",))
    assert planned(before, a_statement(content(1, "a", NEW))) == ([], [], ())


def test_a_day_that_the_statement_lacks_is_resolved_if_lines_of_it_are_gone() -> None:
    before = held(told("x", content(1), content(2, "b")))
    new = a_statement(content(1, "a", whole(NEW)), coverage=[complete(whole(NEW), NEW)])
    assert planned(before, new) == ([2], [], ())
    assert plan_change(before, before.with_statement(new, NEW)).days[0].after == ()


def test_other_days_are_looked_through_for_lines_that_have_moved_if_lines_have_ids() -> None:
    before = held(told("x", content(1), content(5, "b")))
    assert planned(before, a_statement(content(2, "c"))) == ([2], [1, 5], ("c",))
    assert planned(before, a_statement(content(2, "c", identity=Identity.GROUP))) == ([2], [], ("c",))
    # Within a statement each line has but one day.
    assert planned(before, a_statement(content(1, "a", NEW), content(2, "c", NEW), content(5, "b", NEW))) == ([2], [], ("c",))


def test_days_with_lines_in_common_are_resolved_whenever_anything_of_their_month_changes() -> None:
    before = held(told("x", content(1), content(2, "b")), linked=[1, 2])
    assert planned(before, a_statement(content(5, "c", identity=Identity.GROUP)))[0] == [1, 2, 5]
    plans = plans_of_days(held(told("x", content(1), content(2, "b"), content(3, "c")), linked=[1, 2]))
    assert {one.day.day: [other.key.day.day for other in plan.days] for one, plan in plans.items()} == {
        1: [1, 2],
        2: [1, 2],
        3: [3],
    }


def test_nothing_is_resolved_if_nothing_changes() -> None:
    before = held(told("x", content(1)), linked=[1])
    assert plan_change(before, before).days == ()


def test_removing_a_statement_brings_back_what_it_took_away() -> None:
    before = held(told("x", content(1, "a", OLD)), told("y", content(1, "b", whole()), coverage=[complete()]))
    plan = plan_change(before, before.without(digest("y")))
    assert [piece.content for piece in plan.days[0].after] == ["a"]
    assert plan.fresh == ()
    assert plan.contents == {"a", "b"}


def test_the_same_lines_count_as_long_as_nothing_else_decides() -> None:
    early, late = (resolve([told("x", content(1, "a", moment))])[key(1)] for moment in (OLD, NEW))
    assert early == late
    assert outcome(early) == outcome(late)
    both = [resolve([told("x", content(1, "a", one)), told("y", content(1, "b", NOW))])[key(1)] for one in (OLD, NEW)]
    assert outcome(both[0]) != outcome(both[1])


def test_what_a_complete_statement_reaches_beyond_can_never_count_again() -> None:
    early, late = whole(OLD), whole(NEW)
    first = told("x", content(1, "a", early), content(2, "b", early), coverage=[complete(early, OLD)])
    assert never_needed([first]) == set()
    assert never_needed([first, told("y", content(1, "c", late), coverage=[complete(late, NEW)])]) == {"a", "b"}
    assert never_needed([first, told("y", content(1, "c", late), coverage=[complete(late, OLD)])]) == set()
    assert never_needed([first, told("y", content(1, "a", late), coverage=[complete(late, NEW)])]) == {"b"}
    assert never_needed([first, told("y", coverage=[complete(late, NEW, owners=("alpha",))])]) == set()


def test_what_takes_the_place_of_older_lines_of_other_owners_is_needed() -> None:
    def by(name: str, version: Version, *owners: str) -> HeldStatement:
        return told(name, content(1, name, version), coverage=[complete(version, version.moment, owners=owners)])

    of_both, of_alpha, last = by("a", whole(OLD), "alpha", "beta"), by("b", whole(NOW), "alpha"), by("c", whole(NEW), "alpha")
    assert never_needed([of_alpha, last]) == {"b"}
    assert never_needed([of_both, of_alpha, last]) == set()


# -- whether it is news --

OPEN, OVER = PeriodClose(first_open=SEPTEMBER), PeriodClose(first_open=SEPTEMBER.next())
CHANGED = Day(key(1)).resolved


def test_what_changes_an_open_month_shows_that_bills_come() -> None:
    known = held(told("x", content(1, "b", NOW)))
    assert fresh_accounts(a_statement(content(1, "a", OLD)), [CHANGED], known, OPEN)
    assert fresh_accounts(a_statement(content(1, "a", OLD)), [CHANGED], known, PeriodClose())


def test_what_changes_nothing_shows_it_only_if_it_was_exported_later_than_everything_known() -> None:
    known = held(told("x", content(1, "a", OLD)), told("y", content(2, "b", NOW)))
    assert not fresh_accounts(a_statement(content(1, "a", OLD)), [], known, OPEN)
    assert not fresh_accounts(a_statement(content(1, "a", NOW)), [], known, OPEN)
    assert fresh_accounts(a_statement(content(1, "a", NEW)), [], known, OPEN)


def test_what_was_covered_later_is_known_too() -> None:
    known = held(told("x", coverage=[complete(whole(NEW))]))
    assert not fresh_accounts(a_statement(content(1, "a", NEW)), [], known, OPEN)


def test_another_edition_of_the_same_moment_is_not_later() -> None:
    assert not fresh_accounts(a_statement(content(1, "a", whole(NOW, lines=7))), [], held(told("x", content(1))), OPEN)


def test_nothing_about_a_month_that_is_over_shows_that_bills_come() -> None:
    assert not fresh_accounts(a_statement(content(1, "a", NEW)), [CHANGED], held(told("x", content(1, "b"))), OVER)


@pytest.mark.parametrize("changed", [True, False])
def test_news_of_one_account_are_none_of_another(changed: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    other = AccountId("5000000000000003")
    theirs = DayContent(key(1, account=other), Digest("c"), 1, Identity.ID, Version(OLD))
    known = held(told("x", content(1, "b"), *([theirs] if changed else [])))
    found = fresh_accounts(a_statement(content(1, "a", OLD), theirs), [CHANGED], known, OPEN)
    assert found == ({ACME} if changed else {ACME, other})


def test_a_statement_without_lines_shows_nothing() -> None:
    assert not fresh_accounts(a_statement(), [], held(), OPEN)
