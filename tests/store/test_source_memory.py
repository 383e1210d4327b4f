"""What sources remember, in the ledger's database: it goes where the ledger goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spendwatch.domain.statement import Original, SourceName
from spendwatch.store.database import Database
from spendwatch.store.moments import correct_moments
from spendwatch.store.source_memory import SourceMemory

FEED, OTHER = SourceName("feed"), SourceName("other")
NOON = datetime(2026, 9, 16, 4, tzinfo=UTC)
BILL = Original("done/x.csv", "8 1", NOON)


@pytest.fixture
def memory(database: Database) -> SourceMemory:
    return SourceMemory(database)


def test_each_source_remembers_for_itself(memory: SourceMemory) -> None:
    memory.remember(FEED, {"a": "1", "b": "2"})
    memory.remember(OTHER, {"a": "3"})
    memory.remember(FEED, {"b": "4"})
    memory.forget(FEED, ["a"])
    assert (memory.recall(FEED), memory.recall(OTHER)) == ({"b": ("4", "")}, {"a": ("3", "")})


def test_what_is_known_by_a_download_counts_while_that_waits_and_once_it_is_settled(memory: SourceMemory) -> None:
    memory.remember(FEED, {"day": "old"})
    memory.remember(FEED, {"day": "new"}, waiting="7")
    memory.remember(FEED, {"day": "newer"}, waiting="3")
    assert memory.recall(FEED) == {"day": ("old", "")}, "the download is gone: the ledger will never have it"
    assert memory.recall(FEED, ["7"]) == {"day": ("new", "7")}
    assert memory.recall(FEED, ["7", "3"]) == {"day": ("newer", "3")}
    memory.settle(FEED, "7", BILL, [])
    assert memory.recall(FEED) == {"day": ("new", "")}
    assert memory.recall(FEED, ["7", "3"]) == {"day": ("newer", "3")}
    assert list(memory.originals(FEED)) == [BILL]


def test_what_an_older_download_says_is_forgotten_when_a_later_one_is_settled(memory: SourceMemory) -> None:
    memory.remember(FEED, {"day": "old"}, waiting="1")
    memory.remember(FEED, {"day": "new"}, waiting="2")
    memory.settle(FEED, "2", BILL, ["day"])
    memory.settle(FEED, "1", BILL, [])
    assert memory.recall(FEED, ["1", "2"]) == {"day": ("new", "")}


def test_originals_are_known_by_their_place_and_every_change_of_them_is_noticed(memory: SourceMemory) -> None:
    versions = [memory.version(FEED)]
    refused = Original("rejected/bad.csv", "9 9", NOON, "reader")
    versions.append(memory.put_originals(FEED, [BILL, refused]))
    changed = BILL._replace(identity="16 2", kept_at=NOON + timedelta(days=1))
    versions.append(memory.put_originals(FEED, [changed]))
    assert set(memory.originals(FEED)) == {changed, refused}
    versions.append(memory.forget_originals(FEED, [refused.place, "done/never.csv"]))
    assert list(memory.originals(FEED)) == [changed]
    versions.append(memory.settle(FEED, "5", BILL, []))
    assert len(set(versions)) == len(versions)
    assert memory.version(FEED) == versions[-1]
    assert (memory.version(OTHER), list(memory.originals(OTHER)), memory.recall(FEED)) == ("", [], {})


def test_many_originals_are_put_and_forgotten_at_once(memory: SourceMemory) -> None:
    many = [Original(f"done/{number}.csv", "1 1", NOON) for number in range(12_000)]
    memory.put_originals(FEED, many)
    memory.forget_originals(FEED, [one.place for one in many[1:]])
    assert list(memory.originals(FEED)) == many[:1]


def test_a_moment_that_a_wrong_clock_noted_is_corrected(database: Database, memory: SourceMemory) -> None:
    memory.put_originals(FEED, [BILL._replace(kept_at=datetime(1970, 1, 1, tzinfo=UTC))])
    correct_moments(database, NOON)
    assert [one.kept_at for one in memory.originals(FEED)] == [NOON]
