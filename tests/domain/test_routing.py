"""What goes out over a channel now, what waits, and what becomes one digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from spendwatch.domain.alert import Alert, AlertState, Rule
from spendwatch.domain.delivery import Held, HoldReason, Loudness, QuietHours, Reason, Route, Silence
from spendwatch.domain.notification import Message, Notification
from spendwatch.domain.policy import Severity
from spendwatch.domain.review import Verdict
from spendwatch.domain.routing import (
    ENDED_SILENCED,
    FIRST_GATHERING,
    FOLLOW_UP,
    MOST_MEMBERS,
    Routing,
    digest_of,
    is_silenced_by,
    route,
)
from store_builders import FINANCE, NOON, alert, matter, notification

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(time(22), time(8), SHANGHAI)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ELEVEN_PM = datetime(2026, 9, 16, 23, tzinfo=SHANGHAI)
EIGHT_AM = datetime(2026, 9, 17, 8, tzinfo=SHANGHAI)


def said(
    number: int = 0,
    *,
    severity: Severity = Severity.WARNING,
    rule: Rule = Rule.THRESHOLD_REACHED,
    reason: Reason = Reason.FIRED,
    at: datetime = NOON,
) -> Notification:
    """Return what is said about one workspace."""
    state = AlertState.RESOLVED if reason is Reason.RESOLVED else AlertState.FIRING
    about = alert(matter(scope=f"workspace:llm-{number:02}", rule=rule), severity=severity, state=state)
    return replace(notification(about, reason=reason), created_at=at)


def many(count: int) -> tuple[Notification, ...]:
    return tuple(said(number) for number in range(count))


def waited(one: Notification, why: HoldReason, until: datetime, *, since: datetime = NOON) -> Message:
    return Message(one, Held(one.id, FINANCE, since, until, why))


def routed(
    *notifications: Notification,
    now: datetime = NOON,
    most: int | None = 5,
    quiet: Sequence[QuietHours] = (),
    firing: Sequence[Alert] = (),
    **routing: object,
) -> Verdict:
    decided = Routing({FINANCE: Route(most, tuple(quiet))}, **routing)  # type: ignore[arg-type]  # a builder takes any field
    return route(Verdict((), notifications), decided, {one.id for one in firing}, now=now)


def sent(verdict: Verdict) -> list[Notification]:
    return list(verdict.sent)


# --- quiet hours


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (NIGHT, ELEVEN_PM, EIGHT_AM),
        (NIGHT, EIGHT_AM - timedelta(seconds=1), EIGHT_AM),
        (NIGHT, EIGHT_AM, None),
        (NIGHT, ELEVEN_PM - HOUR, EIGHT_AM),
        (NIGHT, ELEVEN_PM - HOUR - timedelta(seconds=1), None),
        # On the night to 29 March 2026 two o'clock is three o'clock; on that to 25 October there are two of it.
        (
            QuietHours(time(22), time(8), BERLIN),
            datetime(2026, 3, 28, 22, tzinfo=UTC),
            datetime(2026, 3, 29, 8, tzinfo=BERLIN),
        ),
        (
            QuietHours(time(22), time(2, 30), BERLIN),
            datetime(2026, 10, 25, 0, 20, tzinfo=UTC),
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        ),
        (QuietHours(time(22), time(2, 30), BERLIN), datetime(2026, 10, 25, 1, 20, tzinfo=UTC), None),
        (QuietHours(time(22), time(8), SHANGHAI, frozenset({0})), ELEVEN_PM, None),  # a Wednesday
        (QuietHours(time(0), None, SHANGHAI, frozenset({2})), ELEVEN_PM, ELEVEN_PM + HOUR),
    ],
)
def test_quiet_hours_end_by_the_clock_on_the_wall(hours: QuietHours, now: datetime, until: datetime | None) -> None:
    assert hours.until(now) == until


def test_quiet_hours_that_follow_on_each_other_are_one() -> None:
    weekend = QuietHours(time(0), None, SHANGHAI, frozenset({5, 6}))
    friday = datetime(2026, 9, 18, 23, tzinfo=SHANGHAI)
    assert Route(quiet=(NIGHT, weekend)).quiet_until(Loudness.WARNING, friday) == datetime(2026, 9, 21, 8, tzinfo=SHANGHAI)


def test_at_night_nothing_is_sent_and_everything_waits() -> None:
    verdict = routed(said(), now=ELEVEN_PM, quiet=[NIGHT])
    assert sent(verdict) == []
    assert verdict.held == (Held(said().id, FINANCE, ELEVEN_PM, EIGHT_AM, HoldReason.QUIET_HOURS),)


def test_who_is_excepted_and_who_is_overdue_is_told_at_night() -> None:
    quiet = NIGHT._replace(passing=frozenset({Severity.CRITICAL}))
    critical, overdue = said(1, severity=Severity.CRITICAL), said(2, rule=Rule.OVERDUE)
    over = said(3, severity=Severity.CRITICAL, reason=Reason.RESOLVED)
    verdict = routed(critical, overdue, over, now=ELEVEN_PM, quiet=[quiet])
    assert sent(verdict) == [critical, overdue]
    held = routed(overdue, now=ELEVEN_PM, quiet=[NIGHT._replace(hold_overdue=True)])
    assert sent(held) == []


def test_one_message_of_the_night_comes_itself_marked_as_late() -> None:
    night = waited(said(at=ELEVEN_PM), HoldReason.QUIET_HOURS, EIGHT_AM, since=ELEVEN_PM)
    verdict = routed(now=EIGHT_AM, quiet=[NIGHT], waiting=[night])
    (late,) = sent(verdict)
    assert (late.alert, late.rule, late.channels) == (night.said.alert, night.said.rule, (FINANCE,))
    assert (late.facts.held_since, late.facts.held_until) == (ELEVEN_PM, EIGHT_AM)
    assert (late.facts.spend, late.id) != (night.said.facts.spend, night.said.id)
    (row,) = verdict.held
    assert (row.digest, row.ended_at, row.dropped) == (late.id, EIGHT_AM, "")


def test_several_messages_of_the_night_come_as_one_the_latest_of_each_alert() -> None:
    first, over, other = said(1), said(1, reason=Reason.RESOLVED, at=NOON + HOUR), said(2)
    waiting = [waited(one, HoldReason.QUIET_HOURS, EIGHT_AM) for one in (first, over, other)]
    verdict = routed(now=EIGHT_AM, quiet=[NIGHT], waiting=waiting)
    (digest,) = sent(verdict)
    assert (digest.rule, digest.reason, digest.type) == (Rule.DIGEST, Reason.DIGEST, "alerts.digest")
    assert [one.id for one in digest.facts.members] == [other.id, over.id]
    assert {(row.notification, row.digest, row.ended_at) for row in verdict.held} == {
        (one.id, digest.id, EIGHT_AM) for one in (first, over, other)
    }


def test_what_began_and_ended_in_one_moment_of_the_night_is_told_as_over() -> None:
    waiting = [waited(one, HoldReason.QUIET_HOURS, EIGHT_AM) for one in (said(), said(reason=Reason.RESOLVED))]
    (late,) = sent(routed(now=EIGHT_AM, quiet=[NIGHT], waiting=waiting))
    assert late.reason is Reason.RESOLVED


def test_a_program_that_wants_each_message_gets_each_late_one() -> None:
    waiting = [waited(one, HoldReason.QUIET_HOURS, EIGHT_AM) for one in many(3)]
    assert len(sent(routed(now=EIGHT_AM, most=None, quiet=[NIGHT], waiting=waiting))) == 3


def test_who_was_held_through_a_night_waits_for_the_end_of_the_next_but_no_longer_than_a_week() -> None:
    night = waited(said(), HoldReason.QUIET_HOURS, EIGHT_AM)
    assert sent(routed(now=ELEVEN_PM + timedelta(days=1), quiet=[NIGHT], waiting=[night])) == []
    assert sent(routed(now=ELEVEN_PM + timedelta(days=7), quiet=[NIGHT], waiting=[night]))


@pytest.mark.parametrize(
    ("one", "loudness"),
    [
        (said(severity=Severity.NOTICE), Loudness.NOTICE),
        (said(severity=Severity.CRITICAL, reason=Reason.RESOLVED), Loudness.OVER),
        (said(severity=Severity.CRITICAL, reason=Reason.REPEATED), Loudness.CRITICAL),
        (said(rule=Rule.OVERDUE), Loudness.OVERDUE),
        (said(reason=Reason.ACTION), Loudness.UNHELD),
        (said(rule=Rule.REPORT, severity=Severity.NOTICE), Loudness.UNHELD),
        (digest_of(FINANCE, [Message(said(1)), Message(said(2, rule=Rule.OVERDUE))], NOON), Loudness.OVERDUE),
        (digest_of(FINANCE, [Message(said(1, reason=Reason.RESOLVED))], NOON), Loudness.OVER),
    ],
)
def test_quiet_hours_go_by_severity_by_debt_and_by_what_is_over(one: Notification, loudness: Loudness) -> None:
    assert one.loudness is loudness


def test_quiet_hours_that_the_configuration_no_longer_has_hold_nothing() -> None:
    night = waited(said(), HoldReason.QUIET_HOURS, EIGHT_AM)
    assert sent(routed(now=ELEVEN_PM, waiting=[night]))


# --- silences


def silence(**matchers: object) -> Silence:
    plain = Silence("5113", NOON - HOUR, NOON + 4 * HOUR, "li", "maintenance")
    return plain._replace(**matchers)  # type: ignore[arg-type]  # a builder takes any field


@pytest.mark.parametrize(
    ("matchers", "fits"),
    [
        ({}, True),
        ({"rule": "spend.*"}, True),
        ({"rule": "balance.*"}, False),
        ({"account": "1000000000000001"}, True),
        ({"account": "2000000000000002"}, False),
        ({"workspace": "llm-0*"}, True),
        ({"workspace": "llm-1*"}, False),
        ({"scope": "workspace:llm-00"}, True),
        ({"scope": "workspace:llm-*"}, True),
        ({"scope": "workspace:llm-00/chatbot key"}, False),
        ({"severity": "warning"}, True),
        ({"severity": "critical"}, False),
        ({"tags": ("team=search",)}, True),
        ({"tags": ("team=*",)}, True),
        ({"tags": ("team=search", "env=prod")}, False),
        ({"workspace": "llm-0*", "severity": "critical"}, False),
    ],
)
def test_a_silence_is_about_what_all_its_matchers_fit(matchers: dict[str, object], *, fits: bool) -> None:
    assert is_silenced_by(said(), silence(**matchers), [("team", "search")]) is fits


def test_a_silence_holds_messages_until_it_ends() -> None:
    verdict = routed(said(), said(9, rule=Rule.OVERDUE), silences=[silence(workspace="llm-00")])
    assert [one.rule for one in sent(verdict)] == [Rule.OVERDUE]
    assert verdict.held == (Held(said().id, FINANCE, NOON, NOON + 4 * HOUR, HoldReason.SILENCE, "5113"),)


def test_at_the_end_of_a_silence_what_still_fires_is_told_and_what_ended_is_recorded() -> None:
    end = NOON + 4 * HOUR
    still, began = said(1, rule=Rule.BALANCE_LOW), said(2, rule=Rule.BALANCE_LOW)
    over = said(2, rule=Rule.BALANCE_LOW, reason=Reason.RESOLVED, at=NOON + HOUR)
    happened = said(3, rule=Rule.REJECTED)
    waiting = [waited(one, HoldReason.SILENCE, end) for one in (still, began, over, happened)]
    firing = [alert(matter(scope="workspace:llm-01", rule=Rule.BALANCE_LOW))]
    verdict = routed(now=end, waiting=waiting, firing=firing)
    (digest,) = sent(verdict)
    assert {one.id for one in digest.facts.members} == {still.id, happened.id}
    dropped = {row.notification: row.dropped for row in verdict.held if not row.digest}
    assert dropped == {began.id: ENDED_SILENCED, over.id: ENDED_SILENCED}
    assert {row.ended_at for row in verdict.held} == {end}


def test_the_end_of_what_was_told_before_a_silence_is_told_after_it() -> None:
    over = said(reason=Reason.RESOLVED, rule=Rule.BALANCE_LOW)
    (late,) = sent(routed(now=NOON + 4 * HOUR, waiting=[waited(over, HoldReason.SILENCE, NOON + 4 * HOUR)]))
    assert late.state is AlertState.RESOLVED


def test_a_silence_that_was_expired_lets_go_in_the_next_round() -> None:
    waiting = [waited(said(), HoldReason.SILENCE, NOON + 4 * HOUR)]
    assert sent(routed(now=NOON + HOUR, waiting=waiting, silences=[silence(ends_at=NOON + MINUTE)]))


# --- storms


def test_as_many_as_are_allowed_come_one_by_one_and_more_come_as_one() -> None:
    assert sent(routed(*many(5))) == list(many(5))
    verdict = routed(*many(42))
    (digest,) = sent(verdict)
    assert {one.id for one in digest.facts.members} == {one.id for one in many(42)}
    assert {row.notification for row in verdict.held} == {one.id for one in many(42)}
    assert routed(*reversed(many(42))).sent[0].id == digest.id


def test_the_gravest_stand_first_and_the_first_of_each_rule_is_never_left_out() -> None:
    grave = tuple(said(number, severity=Severity.CRITICAL) for number in range(MOST_MEMBERS + 20))
    (digest,) = sent(routed(*grave, said(1, rule=Rule.REJECTED, severity=Severity.NOTICE)))
    assert [one.severity for one in digest.facts.members] == [Severity.CRITICAL] * (MOST_MEMBERS - 1) + [Severity.NOTICE]
    assert (digest.severity, digest.facts.more) == (Severity.CRITICAL, 21)


def test_after_a_digest_messages_wait_for_each_other_but_not_for_long() -> None:
    digested = {FINANCE: NOON - MINUTE}
    verdict = routed(said(1), said(2, rule=Rule.OVERDUE), digested=digested)
    assert [one.rule for one in sent(verdict)] == [Rule.OVERDUE]
    (row,) = verdict.held
    assert (row.why, row.until) == (HoldReason.STORM, NOON - MINUTE + FOLLOW_UP)
    later = routed(now=row.until, waiting=[Message(said(1), row)], digested=digested)
    assert [(one.id, one.facts.held_since) for one in sent(later)] == [(said(1).id, None)]
    waiting = [Message(one, row._replace(notification=one.id)) for one in many(2)]
    assert [one.rule for one in sent(routed(now=row.until, waiting=waiting, digested=digested))] == [Rule.DIGEST]


def test_few_messages_that_waited_for_further_bills_come_one_by_one() -> None:
    waiting = [waited(one, HoldReason.STORM, NOON + MINUTE) for one in many(2)]
    assert sent(routed(waiting=waiting)) == list(many(2))


def test_a_first_import_is_told_once_at_its_end_and_after_ten_minutes_in_any_case() -> None:
    verdict = routed(*many(2), gathering=FIRST_GATHERING)
    assert sent(verdict) == []
    waiting = [Message(one, row) for one, row in zip(many(2), verdict.held, strict=True)]
    assert sent(routed(said(7), waiting=waiting, gathering=FIRST_GATHERING, now=NOON + MINUTE)) == []
    assert len(sent(routed(said(7), most=2, waiting=waiting, now=NOON + MINUTE))) == 1
    assert len(sent(routed(most=1, waiting=waiting, gathering=FIRST_GATHERING, now=NOON + FIRST_GATHERING))) == 1


def test_a_channel_without_rules_is_told_at_once() -> None:
    verdict = route(Verdict((), many(9)), Routing(gathering=FIRST_GATHERING), (), now=NOON)
    assert verdict == Verdict((), many(9))
