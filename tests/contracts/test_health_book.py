"""What the health book promises, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spendwatch.domain.health import ChannelHealth, ChannelPause, DaemonHealth, SourceHealth
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.statement import SourceName
from spendwatch.store.database import Database
from spendwatch.store.health_book import HealthBook
from store_builders import FINANCE, INBOX, NOON

MINUTE = timedelta(minutes=1)


@pytest.fixture
def health(database: Database) -> HealthBook:
    return HealthBook(database)


def test_a_source_is_known_from_the_first_look_on(health: HealthBook) -> None:
    assert health.sources() == ()
    health.looked(INBOX, at=NOON)
    health.looked(INBOX, at=NOON + MINUTE)
    assert health.sources() == (SourceHealth(INBOX, NOON, last_looked_at=NOON + MINUTE),)


def test_a_source_that_never_worked_is_known_too(health: HealthBook) -> None:
    health.source_failed(INBOX, "no such folder", at=NOON)
    assert health.sources() == (SourceHealth(INBOX, NOON, failing_since=NOON, failures=1, trouble="no such folder"),)


def test_failures_are_counted_from_the_first_until_the_source_works(health: HealthBook) -> None:
    health.looked(INBOX, at=NOON)
    for number in (1, 2, 3):
        health.source_failed(INBOX, f"trouble {number}", at=NOON + number * MINUTE)
    (failing,) = health.sources()
    assert (failing.failing_since, failing.failures, failing.trouble) == (NOON + MINUTE, 3, "trouble 3")
    assert failing.last_looked_at == NOON
    health.looked(INBOX, at=NOON + 4 * MINUTE)
    assert health.sources() == (SourceHealth(INBOX, NOON, last_looked_at=NOON + 4 * MINUTE),)


def test_the_last_bill_is_remembered_beside_looks(health: HealthBook) -> None:
    health.bill_came(INBOX, at=NOON)
    health.looked(INBOX, at=NOON + MINUTE)
    health.looked(SourceName("archive"), at=NOON)
    archive, inbox = health.sources()
    assert (inbox.last_bill_at, inbox.last_looked_at) == (NOON, NOON + MINUTE)
    assert archive.last_bill_at is None


def test_a_channel_fails_until_it_works(health: HealthBook) -> None:
    health.channel_failed(FINANCE, "connection refused", at=NOON)
    health.channel_failed(FINANCE, "timed out", at=NOON + MINUTE)
    assert health.channels() == (ChannelHealth(FINANCE, NOON, 2, "timed out"),)
    health.channel_worked(FINANCE)
    health.channel_worked(FINANCE)
    assert health.channels() == (ChannelHealth(FINANCE),)


def test_a_channel_that_wants_nothing_stays_disabled_until_it_works(health: HealthBook) -> None:
    ops = ChannelName("ops")
    health.channel_failed(ops, "410 gone", at=NOON, disable=True)
    health.channel_failed(ops, "again", at=NOON + MINUTE)
    assert health.channels() == (ChannelHealth(ops, NOON, 2, "again", disabled=True),)
    health.channel_worked(ops)
    assert health.channels() == (ChannelHealth(ops),)


def test_a_pause_lasts_until_the_channel_works_or_a_person_wants_it_tried(health: HealthBook) -> None:
    pause = ChannelPause(NOON + 5 * MINUTE, None, 3)
    health.channel_failed(FINANCE, "connection refused", at=NOON, pause=pause)
    (known,) = health.channels()
    assert (known.is_paused(NOON + 4 * MINUTE), known.is_paused(NOON + 5 * MINUTE), known.pauses) == (True, False, 3)
    assert not known.is_paused(NOON - 99 * MINUTE), "noted by a clock that was ahead"
    health.channel_failed(FINANCE, "550 no such user", at=NOON)
    assert health.channels()[0].not_before == NOON + 5 * MINUTE
    health.retry_channels([FINANCE])
    (known,) = health.channels()
    assert (known.not_before, known.pauses, known.failures) == (None, 1, 2)
    asked = ChannelPause(NOON + 9 * MINUTE, NOON + 8 * MINUTE, 2)
    health.channel_failed(FINANCE, "HTTP 429", at=NOON, pause=asked)
    health.retry_channels([FINANCE])
    assert health.channels()[0].not_before == NOON + 8 * MINUTE, "the receiver asked for it"
    health.channel_worked(FINANCE)
    assert health.channels() == (ChannelHealth(FINANCE),)


def test_the_daemon_is_known_by_its_last_round_and_by_what_was_wrong_with_the_ledger(health: HealthBook) -> None:
    assert health.daemon() is None
    health.beat(at=NOON)
    health.ledger_failed("malformed")
    assert health.daemon() == DaemonHealth(NOON, is_daemon=True, trouble="malformed")
    health.beat(at=NOON + MINUTE, is_daemon=False)
    assert health.daemon() == DaemonHealth(NOON + MINUTE, is_daemon=False)
