from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from spendwatch.domain.late import Closing
from spendwatch.domain.merging import Held, HeldDay, covering, fresh_accounts, plan_merge
from spendwatch.domain.statement import AccountId, Coverage, DayContent, DayKey, Digest, Stamp, Statement
from store_builders import ACME, SEPTEMBER, Day, key, statement

NEVER = Stamp("")
OLD, NOW, NEW = Stamp("20260910120000"), Stamp("20260915120000"), Stamp("20260920120000")
COMPLETE = Stamp("20260915120000/000000000007/abcd")
MONTH = key().month


def content(day: int, digest: str = "a", *, has_ids: bool = True) -> DayContent:
    return DayContent(key(day), Digest(digest), 1, has_ids)


def a_statement(*days: DayContent, stamp: Stamp = NOW, coverage: Sequence[Coverage] = ()) -> Statement:
    return replace(statement(), days=days, stamp=stamp, coverage=tuple(coverage))


def held(
    days: Mapping[int, str],
    *,
    stamps: Sequence[Stamp] = (OLD,),
    confirmed: Stamp = NEVER,
    coverage: Sequence[Coverage] = (),
) -> Held:
    found = {key(day): HeldDay(key(day), Digest(digest), confirmed, tuple(stamps)) for day, digest in days.items()}
    return Held(found, tuple(coverage))


def complete(
    stamp: Stamp = COMPLETE, reach: Stamp = NOW, *, first: int = 1, last: int = 30, owners: tuple[str, ...] | None = None
) -> Coverage:
    return Coverage(MONTH, date(2026, 9, first), date(2026, 9, last), owners, stamp, reach)


def test_days_that_the_ledger_does_not_hold_are_taken_as_they_are() -> None:
    plan = plan_merge(a_statement(content(1), content(2)), Held({}, ()))
    assert (plan.fresh, plan.differing, plan.elsewhere) == ((key(1), key(2)), (), ())


def test_days_that_are_the_same_to_the_letter_are_left_alone() -> None:
    plan = plan_merge(a_statement(content(1, "a"), content(2, "b")), held({1: "a", 2: "other"}))
    assert (plan.fresh, plan.differing, plan.elsewhere) == ((), (key(2),), ())


def test_a_day_whose_content_cannot_be_compared_is_merged_in_any_case() -> None:
    assert plan_merge(a_statement(content(1, "")), held({1: "a"})).differing == (key(1),)


def test_other_days_are_looked_through_for_lines_that_have_moved_if_lines_have_ids() -> None:
    days = held({1: "a", 5: "b"})
    assert plan_merge(a_statement(content(2)), days).elsewhere == (key(1), key(5))
    assert plan_merge(a_statement(content(2, has_ids=False)), days).elsewhere == ()
    assert plan_merge(a_statement(content(1, "a")), days).elsewhere == ()


def test_the_merge_is_told_up_to_when_held_days_were_confirmed() -> None:
    plan = plan_merge(a_statement(content(1, "new"), content(3)), held({1: "a", 2: "b"}, confirmed=NOW))
    assert plan.confirmed == {key(1): NOW, key(2): NOW}


def test_a_complete_statement_has_days_looked_through_that_it_lacks_and_whose_lines_are_older() -> None:
    told = a_statement(content(1, "a", has_ids=False), stamp=COMPLETE, coverage=[complete()])
    assert plan_merge(told, held({1: "a", 2: "b"}, stamps=[OLD])).elsewhere == (key(2),)
    assert plan_merge(told, held({1: "a", 2: "b"}, stamps=[NEW])).elsewhere == ()
    assert plan_merge(told, held({1: "a", 2: "b"}, stamps=[OLD], confirmed=NEW)).elsewhere == ()
    assert plan_merge(told, held({1: "a", 2: "b"}, stamps=[])).elsewhere == (key(2),)


def test_a_complete_statement_does_not_speak_of_days_outside_its_own() -> None:
    told = a_statement(content(2, "a", has_ids=False), stamp=COMPLETE, coverage=[complete(first=2, last=4)])
    assert plan_merge(told, held({1: "a", 3: "b", 5: "c"}, stamps=[OLD])).elsewhere == (key(3),)


def test_a_statement_older_than_what_is_covered_neither_adds_nor_changes_anything() -> None:
    plan = plan_merge(a_statement(content(1, "new"), content(3), stamp=OLD), held({1: "a"}, coverage=[complete()]))
    assert (plan.fresh, plan.differing, plan.elsewhere) == ((), (), ())


def test_of_other_owners_an_older_statement_may_still_tell() -> None:
    theirs = held({1: "a"}, coverage=[complete(owners=("alpha",), last=2)])
    plan = plan_merge(a_statement(content(1, "new"), content(2), content(3), stamp=OLD), theirs)
    assert (plan.fresh, plan.differing) == ((key(2), key(3)), (key(1),))


def test_what_came_from_complete_statements_is_gone_when_a_newer_one_lacks_it_and_others_only_up_to_its_reach() -> None:
    coverage = complete(stamp=COMPLETE, reach=OLD)
    earlier = Stamp("20260915110000/000000000009/ffff")
    assert coverage.lacks(earlier)
    assert not coverage.lacks(Stamp("20260915110000"))
    assert coverage.lacks(Stamp("20260910110000"))
    assert not coverage.lacks(COMPLETE)
    assert not coverage.lacks(OLD)


def test_what_is_covered_of_one_day_is_no_matter_of_others() -> None:
    one_day = complete(first=2, last=2)
    assert covering(key(2), [one_day]) == [one_day]
    assert covering(key(3), [one_day]) == []
    assert covering(DayKey(ACME, SEPTEMBER, "other", date(2026, 9, 2)), [one_day]) == []


def test_of_two_coverages_the_one_that_takes_away_nothing_more_is_left_aside() -> None:
    one, other = complete(stamp=OLD, reach=NEW), complete(stamp=NEW, reach=OLD)
    assert covering(key(2), [one, other]) == [one, other]
    older, fewer = complete(stamp=OLD, reach=OLD), complete(stamp=NEW, reach=OLD, owners=("a",))
    for order in ([one, other, older, fewer], [fewer, older, other, one]):
        assert set(covering(key(2), order)) == {one, other}
    assert covering(key(2), [complete(owners=("a",)), complete(owners=("b",))]) != covering(key(2), [complete(owners=("a",))])


OPEN, OVER = Closing(first_open=SEPTEMBER), Closing(first_open=SEPTEMBER.next())
CHANGED = Day(key(1))


def test_what_changes_an_open_month_shows_that_bills_come() -> None:
    assert fresh_accounts(a_statement(content(1), stamp=OLD), [CHANGED], held({1: "b"}, stamps=[NOW]), OPEN)
    assert fresh_accounts(a_statement(content(1), stamp=OLD), [CHANGED], held({1: "b"}, stamps=[NOW]), Closing())


def test_what_changes_nothing_shows_it_only_if_it_was_exported_later_than_everything_known() -> None:
    known = held({1: "a"}, stamps=[OLD, NOW])
    assert not fresh_accounts(a_statement(content(1), stamp=OLD), [], known, OPEN)
    assert not fresh_accounts(a_statement(content(1), stamp=NOW), [], known, OPEN)
    assert fresh_accounts(a_statement(content(1), stamp=NEW), [], known, OPEN)


def test_what_was_confirmed_or_covered_later_is_known_too() -> None:
    assert not fresh_accounts(a_statement(content(1), stamp=NEW), [], held({1: "a"}, confirmed=NEW), OPEN)
    covered = held({}, coverage=[complete(stamp=NEW)])
    assert not fresh_accounts(a_statement(content(1), stamp=NEW), [], covered, OPEN)


def test_another_edition_of_the_same_moment_is_not_later() -> None:
    assert not fresh_accounts(a_statement(content(1), stamp=COMPLETE), [], held({1: "a"}, stamps=[NOW]), OPEN)


def test_nothing_about_a_month_that_is_over_shows_that_bills_come() -> None:
    assert not fresh_accounts(a_statement(content(1), stamp=NEW), [CHANGED], held({1: "b"}), OVER)


def test_news_of_one_account_are_none_of_another() -> None:
    other = AccountId("5000000000000003")
    of_other = DayContent(key(1, account=other), Digest("c"), 1)
    both = a_statement(content(1), of_other, stamp=OLD)
    days = held({1: "b"}, stamps=[NOW]).days
    assert fresh_accounts(both, [CHANGED], Held(days, ()), OPEN) == {ACME, other}
    theirs = replace(days[key(1)], key=of_other.key, digest=of_other.digest)
    assert fresh_accounts(both, [CHANGED], Held({**days, of_other.key: theirs}, ()), OPEN) == {ACME}


def test_a_statement_without_lines_shows_nothing() -> None:
    assert not fresh_accounts(a_statement(stamp=NEVER), [], held({}), OPEN)
