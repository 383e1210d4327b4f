"""What a reload means for alerts that fire, and what becomes of those of a month that is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from rounds_builder import BOSS, FINANCE, OPS, TARGETS, ZONE, Rounds
from spendwatch.domain.alert import Rule
from spendwatch.domain.delivery import DeliveryState, QuietHours, Reason, Route
from spendwatch.domain.notification import Notification
from spendwatch.domain.policy import BalancePolicy, ChannelName, Threshold, WorkspacePolicy
from spendwatch.domain.statement import WorkspaceId
from spendwatch.store.database import Database
from spendwatch.store.moments import correct_moments
from spendwatch.store.outbox import Outbox
from store_builders import row

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
USUAL = tuple(Threshold(share=Decimal(share)) for share in ("0.5", "0.8", "1"))
RESEARCH = WorkspaceId("llm-a")
POLICY = WorkspacePolicy(RESEARCH, "Research", budget=Decimal(100), thresholds=USUAL, channels=(FINANCE, BOSS))


@pytest.fixture
def rounds(database: Database) -> Rounds:
    return Rounds(database, None, (POLICY,))


def spend(rounds: Rounds, day: date, amount: str) -> None:
    rounds.bill(day, row(amount, workspace=RESEARCH))


def short(said: list[Notification]) -> list[tuple[str, Reason, str]]:
    return [(one.type, one.reason, one.facts.threshold) for one in said]


def test_a_workspace_that_is_removed_ends_its_alerts_with_a_word_to_all_who_heard_of_them(rounds: Rounds) -> None:
    spend(rounds, date(2026, 9, 1), "85")
    assert short(rounds.round()) == [("spend.threshold_reached", Reason.FIRED, "80%")]
    rounds.wanted(None)
    (said,) = rounds.round(after=HOUR)
    assert (said.type, said.reason, said.facts.is_unwatched, said.facts.name) == (
        "alert.resolved",
        Reason.RESOLVED,
        True,
        "Research",
    )
    assert set(said.channels) == {FINANCE, BOSS}
    assert not [alert for alert in rounds.book.known() if alert.is_firing]
    assert rounds.round(after=HOUR) == []
    rounds.wanted(None, POLICY)
    assert short(rounds.round(after=HOUR)) == [("spend.threshold_reached", Reason.FIRED, "80%")], (
        "watched anew, it is told anew"
    )


def test_a_floor_that_is_removed_is_no_recovery(rounds: Rounds) -> None:
    balance = BalancePolicy(cash=Decimal(500), floors=(Decimal(1000),))
    rounds.wanted(balance, POLICY)
    spend(rounds, date(2026, 9, 1), "1")
    assert [one.type for one in rounds.round()] == ["balance.low"]
    rounds.wanted(balance._replace(floors=()), POLICY)
    (said,) = rounds.round(after=HOUR)
    assert (said.type, said.facts.is_unwatched) == ("alert.resolved", True)


def test_a_raised_budget_is_told_once_with_both_amounts(rounds: Rounds) -> None:
    spend(rounds, date(2026, 9, 1), "85")
    rounds.round()
    rounds.wanted(None, replace(POLICY, budget=Decimal(150)))
    (said,) = rounds.round(after=HOUR)
    assert short([said]) == [("alert.resolved", Reason.RESOLVED, "80%")]
    assert [str(money) for money in (said.facts.budget_before, said.facts.budget)] == ["CNY 100.00", "CNY 150.00"]
    assert rounds.round(after=HOUR) == []
    rounds.wanted(None, POLICY)
    assert short(rounds.round(after=HOUR)) == [("spend.threshold_reached", Reason.FIRED, "80%")]
    assert rounds.round(after=HOUR) == []


def test_a_month_that_rolls_over_goes_on_until_it_is_final_and_its_late_lines_fire_for_it(rounds: Rounds) -> None:
    rounds.now = datetime(2026, 9, 30, 15, 59, 59, tzinfo=UTC)
    """The last second of September in the billing zone."""
    spend(rounds, date(2026, 9, 29), "60")
    assert short(rounds.round()) == [("spend.threshold_reached", Reason.FIRED, "50%")]
    assert rounds.round(after=timedelta(seconds=1)) == [], "October begins, and September stays open"
    spend(rounds, date(2026, 9, 30), "25")
    (late,) = rounds.round(after=HOUR)
    assert (late.facts.period, late.facts.threshold) == ("2026-09", "80%")
    spend(rounds, date(2026, 10, 1), "55")
    (first,) = rounds.round(after=DAY)
    assert (first.facts.period, first.facts.threshold) == ("2026-10", "50%")
    assert {alert.key.period for alert in rounds.book.known() if alert.is_firing} == {"2026-09", "2026-10"}
    rounds.now = datetime(2026, 10, 4, 16, 0, tzinfo=UTC)
    assert rounds.round() == [], "September is final: its alerts end without a word"
    assert {alert.key.period for alert in rounds.book.known() if alert.is_firing} == {"2026-10"}
    assert not [alert for alert in rounds.book.known() if alert.key.rule is Rule.CORRECTED]


@pytest.mark.parametrize("ahead", [timedelta(days=70), timedelta(days=10)], ids=["in another month", "in the same month"])
def test_what_a_wrong_clock_ended_does_not_go_on_if_it_is_not_watched_any_more(rounds: Rounds, ahead: timedelta) -> None:
    spend(rounds, date(2026, 9, 1), "85")
    right = rounds.now
    rounds.round()
    assert rounds.round(after=ahead) == []
    rounds.wanted(None)
    ended = rounds.round(after=HOUR)
    rounds.now = right + HOUR
    assert correct_moments(rounds.database, rounds.now)
    ended += rounds.round()
    assert [(one.reason, one.facts.is_unwatched) for one in ended] == [(Reason.RESOLVED, True)]
    assert not [alert for alert in rounds.book.known() if alert.is_firing]
    assert rounds.round(after=HOUR) == []
    rounds.wanted(None, POLICY)
    assert short(rounds.round(after=HOUR)) == [("spend.threshold_reached", Reason.FIRED, "80%")]


def test_what_waits_goes_only_where_its_alert_goes_now_and_under_the_same_id(rounds: Rounds) -> None:
    spend(rounds, date(2026, 9, 1), "85")
    (fired,) = rounds.round()
    assert rounds.deliver(BOSS) == [(BOSS, Reason.FIRED, fired.id)]
    rounds.wanted(None, replace(POLICY, channels=(OPS, BOSS)))
    assert rounds.reload() == 1
    assert (rounds.deliver(FINANCE), rounds.deliver(OPS)) == ([], [(OPS, Reason.FIRED, fired.id)])
    (turned,) = Outbox(rounds.database).listing([DeliveryState.CANCELLED])
    assert (turned.channel, turned.last_error) == (
        FINANCE,
        "turned away: the alert no longer goes over this channel; now: ops, boss",
    )
    assert (rounds.reload(), rounds.book.undelivered()) == (0, ())


def test_who_heard_the_beginning_hears_the_end_and_nobody_else_who_is_not_named(rounds: Rounds) -> None:
    spend(rounds, date(2026, 9, 1), "85")
    rounds.round()
    rounds.deliver(BOSS)
    rounds.wanted(None, replace(POLICY, channels=(OPS,)))
    rounds.reload()
    rounds.wanted(None, replace(POLICY, channels=(OPS,), budget=Decimal(150)))
    (over,) = rounds.round(after=HOUR)
    assert (over.reason, over.channels) == (Reason.RESOLVED, (OPS, BOSS))
    told = {one.channel for one in Outbox(rounds.database).waiting() if one.notification.id == over.id}
    assert told == {OPS, BOSS}
    assert rounds.reload() == 0
    assert [one[:2] for one in rounds.deliver(BOSS)] == [(BOSS, Reason.RESOLVED)]


def test_an_end_whose_beginning_nobody_there_heard_goes_with_it(rounds: Rounds) -> None:
    spend(rounds, date(2026, 9, 1), "85")
    rounds.round()
    rounds.wanted(None, replace(POLICY, budget=Decimal(150)))
    rounds.round(after=HOUR)
    Outbox(rounds.database).drop_superseded(BOSS, rounds.now)
    rounds.wanted(None, replace(POLICY, channels=(FINANCE,), budget=Decimal(150)))
    rounds.reload()
    assert (rounds.deliver(BOSS), len(rounds.deliver(FINANCE))) == ([], 2)


def test_an_end_that_waits_for_a_renamed_channel_goes_over_the_new_one(rounds: Rounds) -> None:
    spend(rounds, date(2026, 9, 1), "85")
    rounds.round()
    rounds.deliver(FINANCE, BOSS)
    rounds.wanted(None, replace(POLICY, budget=Decimal(150)))
    (over,) = rounds.round(after=HOUR)
    rounds.targets = {name: TARGETS[name] for name in (FINANCE, OPS)}
    rounds.wanted(None, replace(POLICY, channels=(FINANCE, OPS), budget=Decimal(150)))
    rounds.reload()
    assert rounds.deliver(FINANCE, OPS) == [(name, Reason.RESOLVED, over.id) for name in (FINANCE, OPS)]


def test_what_waits_is_not_lost_by_a_change_that_is_taken_back(rounds: Rounds) -> None:
    spend(rounds, date(2026, 9, 1), "85")
    (fired,) = rounds.round()
    for channels in ((OPS,), (FINANCE, BOSS)):
        rounds.wanted(None, replace(POLICY, channels=channels))
        rounds.reload()
    assert set(rounds.deliver(FINANCE, BOSS, OPS)) == {(name, Reason.FIRED, fired.id) for name in (FINANCE, BOSS)}


def test_what_is_held_goes_where_its_alert_goes_now(rounds: Rounds) -> None:
    rounds.routes = {BOSS: Route(quiet=(QuietHours(time(0), time(14), ZONE),))}
    spend(rounds, date(2026, 9, 1), "85")
    (fired,) = rounds.round()
    assert rounds.deliver(BOSS, FINANCE) == [(FINANCE, Reason.FIRED, fired.id)]
    rounds.wanted(None, replace(POLICY, channels=(OPS, FINANCE)))
    assert [one.channels for one in rounds.round(after=5 * HOUR)] == [(OPS,)]
    assert rounds.deliver(BOSS, OPS) == [(OPS, Reason.FIRED, fired.id)]
    dropped = [(one.channel, one.dropped) for one in rounds.book.held_of(fired.alert)]
    assert dropped == [(BOSS, "the configuration no longer sends it over this channel")]
    assert rounds.book.waiting() == ()


def test_an_end_that_is_held_with_its_beginning_goes_where_its_alert_goes_now_and_nowhere_else(rounds: Rounds) -> None:
    rounds.routes = {BOSS: Route(quiet=(QuietHours(time(0), time(14), ZONE),))}
    spend(rounds, date(2026, 9, 1), "85")
    rounds.round()
    rounds.wanted(None, replace(POLICY, budget=Decimal(150)))
    rounds.round(after=HOUR / 2)
    assert (rounds.deliver(BOSS), len(rounds.deliver(FINANCE))) == ([], 2)
    rounds.wanted(None, replace(POLICY, budget=Decimal(150), channels=(OPS, FINANCE)))
    assert [(one.reason, one.channels) for one in rounds.round(after=5 * HOUR)] == [(Reason.RESOLVED, (OPS,))]
    assert [one[:2] for one in rounds.deliver(BOSS, OPS)] == [(OPS, Reason.RESOLVED)]
    assert rounds.book.waiting() == ()


def test_what_waits_for_a_renamed_program_is_asked_of_the_new_one_and_no_person(database: Database) -> None:
    stop, pause = ChannelName("stop"), ChannelName("pause")
    rounds = Rounds(database, None, (replace(POLICY, actions=(stop,)),), targets={**TARGETS, stop: ("",)})
    spend(rounds, date(2026, 9, 1), "85")
    _, action = rounds.round()
    rounds.deliver(FINANCE, BOSS)
    rounds.targets = {**TARGETS, pause: ("",)}
    rounds.wanted(None, replace(POLICY, actions=(pause,)))
    assert rounds.reload() == 1
    assert rounds.deliver(FINANCE, BOSS, OPS, pause) == [(pause, Reason.ACTION, action.id)]


def test_a_failing_channel_that_is_removed_warns_no_more_and_its_alert_ends_with_a_word(rounds: Rounds) -> None:
    spend(rounds, date(2026, 9, 1), "85")
    rounds.round()
    for _ in range(3):
        rounds.health.channel_failed(BOSS, "HTTP 503", at=rounds.now)
    assert short(rounds.round()) == [("channel.failing", Reason.FIRED, "")]
    rounds.targets = {FINANCE: TARGETS[FINANCE], OPS: TARGETS[OPS]}
    rounds.wanted(None, replace(POLICY, channels=(FINANCE,)))
    rounds.health.keep_channels(rounds.targets)
    rounds.reload()
    (over,) = rounds.round(after=HOUR)
    assert (over.type, over.facts.name, over.facts.is_unwatched) == ("alert.resolved", "boss", True)
    assert (rounds.round(after=HOUR), rounds.health.channels()) == ([], ())
    assert {one.state for one in Outbox(rounds.database).listing() if one.channel == BOSS} == {DeliveryState.CANCELLED}
