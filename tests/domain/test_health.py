"""Whose bills have stopped, whose data are too old to tell what is to come, and which channel is left alone."""

from __future__ import annotations

from datetime import timedelta

from domain_builders import ACME, NOW
from spendwatch.domain.health import AccountBills, ChannelHealth, Freshness
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.statement import AccountId, SourceName

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INBOX, API = SourceName("inbox"), SourceName("api")
PATIENCE = {INBOX: 26 * HOUR, API: 50 * HOUR}


def came(source: SourceName, ago: timedelta) -> AccountBills:
    return AccountBills(ACME, source, NOW - ago)


def test_an_account_is_silent_when_the_most_patient_of_its_sources_would_be() -> None:
    assert Freshness(NOW, PATIENCE, [came(INBOX, 26 * HOUR)]).silence(ACME) == 26 * HOUR
    assert Freshness(NOW, PATIENCE, [came(INBOX, 25 * HOUR)]).silence(ACME) is None
    assert Freshness(NOW, PATIENCE, [came(INBOX, 3 * DAY), came(API, 49 * HOUR)]).silence(ACME) is None
    assert Freshness(NOW, PATIENCE, [came(INBOX, 51 * HOUR), came(API, 3 * DAY)]).silence(ACME) == 51 * HOUR


def test_nothing_is_silent_that_no_configured_source_ever_told_of() -> None:
    assert Freshness(NOW, PATIENCE).silence(ACME) is None
    assert Freshness(NOW, {API: HOUR}, [came(INBOX, 9 * DAY)]).silence(ACME) is None
    assert Freshness(NOW, PATIENCE, [came(INBOX, 9 * DAY)]).silence(AccountId("another")) is None


def test_data_are_too_old_two_days_behind_the_silence_of_their_sources() -> None:
    fresh = Freshness(NOW, PATIENCE, [came(INBOX, HOUR)])
    assert not fresh.is_too_old(ACME, NOW - 2 * DAY - 26 * HOUR)
    assert fresh.is_too_old(ACME, NOW - 2 * DAY - 27 * HOUR)
    assert not fresh.is_too_old(ACME, None)
    assert not Freshness(NOW, PATIENCE).is_too_old(ACME, NOW - 2 * DAY - 50 * HOUR)
    assert Freshness(NOW, {}).is_too_old(ACME, NOW - 2 * DAY - 27 * HOUR)


def test_a_receiver_has_the_silence_that_it_asked_for_and_no_longer_whatever_the_clock_was() -> None:
    asked = ChannelHealth(ChannelName("pager"), not_before=NOW + HOUR, asked_until=NOW + HOUR, pauses=1)
    assert asked.wants_silence(NOW)
    assert not asked.wants_silence(NOW + HOUR)
    assert not asked.wants_silence(NOW - 24 * HOUR), "noted by a clock that was ahead"
    assert not asked._replace(asked_until=None).wants_silence(NOW), "we leave it alone, but it did not ask"
    assert asked._replace(asked_until=None, disabled=True).wants_silence(NOW)
