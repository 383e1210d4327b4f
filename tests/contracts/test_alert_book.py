"""What the alert book promises, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from spendwatch.domain.alert import Acknowledgement, Alert, AlertState, Rule
from spendwatch.domain.delivery import DeliveryState, Held, HoldReason, Reason, Silence, delivery_id
from spendwatch.domain.notification import Message, Notification
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.domain.routing import digest_of
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.audit import AuditEntry
from spendwatch.store.database import Database
from spendwatch.store.ledger import Ledger
from spendwatch.store.outbox import Outbox
from store_builders import FINANCE, NOON, alert, matter, notification

OPS = ChannelName("ops")
TARGETS = {FINANCE: ("a@example.com", "b@example.com"), OPS: ("",)}


@pytest.fixture
def book(database: Database) -> AlertBook:
    return AlertBook(database)


def resolved(one: Alert) -> Alert:
    return one._replace(state=AlertState.RESOLVED, resolved_at=NOON + timedelta(hours=1))


def test_an_alert_comes_back_as_it_was_committed(book: AlertBook) -> None:
    fired = alert(summary="研究 reached 80%")
    book.commit(Verdict((fired,)), TARGETS, now=NOON)
    assert book.known() == (fired,)


def test_each_target_of_each_channel_gets_one_delivery(book: AlertBook) -> None:
    told = notification(alert(), channels=(FINANCE, OPS))
    assert book.commit(Verdict((alert(),), (told,)), TARGETS, now=NOON) == 3
    deliveries = book.deliveries_of(alert().id)
    assert [(one.channel, one.target) for one in deliveries] == [
        (FINANCE, "a@example.com"),
        (FINANCE, "b@example.com"),
        (OPS, ""),
    ]
    assert {one.id for one in deliveries} == {delivery_id(told.id, one.channel, one.target) for one in deliveries}
    for one in deliveries:
        assert (one.notification, one.state, one.attempts, one.due_at) == (told, DeliveryState.PENDING, 0, NOON)


def test_committing_the_same_twice_writes_nothing_down_twice(book: AlertBook) -> None:
    verdict = Verdict((alert(),), (notification(alert()),))
    assert book.commit(verdict, TARGETS, now=NOON) == 2
    assert book.commit(verdict, TARGETS, now=NOON + timedelta(hours=1)) == 0
    assert [one.due_at for one in book.deliveries_of(alert().id)] == [NOON, NOON]
    assert book.notifications_of(alert().id) == verdict.notifications


def test_a_verdict_that_says_a_thing_twice_says_it_once(book: AlertBook) -> None:
    again = alert()._replace(times_told=2)
    verdict = Verdict((alert(), again), (notification(alert()), notification(alert())))
    assert book.commit(verdict, TARGETS, now=NOON) == 2
    assert book.known() == (again,)


def test_a_settled_delivery_is_not_opened_again_by_the_same_verdict(book: AlertBook, database: Database) -> None:
    verdict = Verdict((alert(),), (notification(alert()),))
    book.commit(verdict, TARGETS, now=NOON)
    outbox = Outbox(database)
    for one in outbox.claim(FINANCE, NOON, 10):
        outbox.settle(one.id, at=NOON)
        outbox.write_down()
    assert book.commit(verdict, TARGETS, now=NOON) == 0
    assert outbox.claim(FINANCE, NOON, 10) == ()


def test_a_known_alert_changes_its_course_and_nothing_else(book: AlertBook) -> None:
    book.commit(Verdict((alert(),)), TARGETS, now=NOON)
    later = NOON + timedelta(hours=2)
    course = alert()._replace(state=AlertState.RESOLVED, resolved_at=later, told_at=later, times_told=2)
    book.commit(Verdict((course._replace(summary="other", amount="1", since=later),)), TARGETS, now=later)
    assert book.known() == (course,)


def test_a_notification_whose_channel_is_unknown_is_on_record_all_the_same(book: AlertBook) -> None:
    told = notification(alert(), channels=("gone", OPS))
    assert book.commit(Verdict((alert(),), (told,)), {FINANCE: ("a@example.com",)}, now=NOON) == 0
    assert book.notifications_of(alert().id) == (told,)
    assert book.deliveries_of(alert().id) == ()


def test_a_test_notification_needs_no_alert(book: AlertBook, database: Database) -> None:
    told = notification(alert(), reason=Reason.TEST)
    assert book.commit(Verdict((), (told,)), TARGETS, now=NOON) == 2
    assert book.known() == ()
    assert len(Outbox(database).claim(FINANCE, NOON, 10)) == 2


def test_nothing_is_left_of_a_commit_that_breaks_off(book: AlertBook) -> None:
    told = notification(alert())
    broken = replace(notification(alert(matter("90%"))), facts=replace(told.facts, detail=object()))  # type: ignore[arg-type]  # a defect on purpose
    with pytest.raises(ValueError, match="Unable to serialize"):
        book.commit(Verdict((alert(),), (told, broken)), TARGETS, now=NOON)
    assert book.known() == ()
    assert book.notifications_of(alert().id) == ()
    assert book.deliveries_of(alert().id) == ()


def test_known_are_firing_alerts_however_old(book: AlertBook) -> None:
    ancient = alert(matter(period="2024-01"))
    book.commit(Verdict((ancient, alert(matter(period="2026-09")))), TARGETS, now=NOON)
    assert ancient in book.known()


def test_known_are_ended_alerts_of_the_latest_three_periods(book: AlertBook) -> None:
    ended = [resolved(alert(matter(period=period))) for period in ("2026-06", "2026-07", "2026-08", "2026-09")]
    book.commit(Verdict(tuple(ended)), TARGETS, now=NOON)
    assert set(book.known()) == set(ended[1:])


def test_known_is_the_latest_episode_of_what_may_come_again(book: AlertBook) -> None:
    about = matter("1000", rule=Rule.BALANCE_LOW, period="")
    episodes = [resolved(alert(about, episode=number)) for number in (1, 2, 10)]
    book.commit(Verdict(tuple(episodes)), TARGETS, now=NOON)
    assert book.known() == (episodes[-1],)


def test_matters_that_differ_in_height_alone_are_told_apart(book: AlertBook) -> None:
    about = matter("1000", rule=Rule.BALANCE_LOW, period="")
    low, high = resolved(alert(about._replace(height="1000"))), resolved(alert(about._replace(height="2000"), episode=2))
    book.commit(Verdict((low, high)), TARGETS, now=NOON)
    assert set(book.known()) == {low, high}


def test_alerts_are_listed_the_latest_first(book: AlertBook) -> None:
    old = resolved(alert(matter("50%"), since=NOON - timedelta(hours=1)))
    new = alert(matter("80%"))
    book.commit(Verdict((old, new)), TARGETS, now=NOON)
    assert book.alerts() == (new, old)
    assert book.alerts(state=AlertState.RESOLVED) == (old,)
    assert book.alerts(limit=1) == (new,)


@pytest.mark.parametrize("wrong", ["", "zz", "%", "_", "'"])
def test_an_alert_is_found_by_the_beginning_of_its_id(book: AlertBook, wrong: str) -> None:
    book.commit(Verdict((alert(), alert(matter("90%")))), TARGETS, now=NOON)
    assert book.find(alert().id[:8]) == (alert(),)
    assert book.find(alert().id.upper()) == (alert(),)
    assert book.find(wrong) == ()


def test_thousands_of_alerts_are_committed_together(book: AlertBook) -> None:
    fired = [alert(matter(scope=f"workspace:{number}")) for number in range(6000)]
    told = tuple(notification(one, channels=(OPS,)) for one in fired)
    assert book.commit(Verdict(tuple(fired), told), TARGETS, now=NOON) == 6000
    assert len(book.known()) == 6000


@pytest.mark.parametrize(
    ("newest", "known", "unknown"),
    [
        ("2026-09-16", ["2026-07", "2026-07-01", "2026-W27"], ["2026-06", "2026-06-30", "2026-W26", "2025-W52"]),
        ("2026-W38", ["2026-07-01", "2026-W27"], ["2026-06-30", "2026-W26"]),
        ("2026-01", ["2025-11", "2025-11-01", "2025-W44", "2026-W01"], ["2025-10-31", "2025-W43"]),
    ],
)
def test_known_are_ended_alerts_of_days_and_weeks_of_the_latest_three_months(
    book: AlertBook, newest: str, known: list[str], unknown: list[str]
) -> None:
    ended = [resolved(alert(matter(period=label))) for label in (newest, *known, *unknown)]
    book.commit(Verdict(tuple(ended)), TARGETS, now=NOON)
    assert {one.key.period for one in book.known()} == {newest, *known}


def test_who_takes_care_of_an_alert_is_kept_with_its_audit_entry_until_it_is_taken_back(book: AlertBook) -> None:
    ledger = Ledger(book._database)
    book.commit(Verdict((alert(),)), TARGETS, now=NOON)
    first = Acknowledgement(alert().id, "li", NOON, NOON + timedelta(hours=4), "研究")
    later = Acknowledgement(alert().id, "wang", NOON + timedelta(hours=1))
    entry = AuditEntry(NOON, "li", "acknowledge", "an alert", "for 4h")
    book.acknowledge([first], [entry])
    assert book.acknowledgements() == (first,)
    book.acknowledge([later], [entry])
    assert book.acknowledgements() == (later,), "the latest counts"
    book.take_back([alert().id], [entry._replace(action="end")])
    assert book.acknowledgements() == ()
    assert [one.action for one in ledger.audit_entries(10)] == ["end", "acknowledge", "acknowledge"]


def test_when_an_alert_was_escalated_is_kept(book: AlertBook) -> None:
    book.commit(Verdict((alert(),)), TARGETS, now=NOON)
    book.commit(Verdict((alert()._replace(escalated_at=NOON),)), TARGETS, now=NOON)
    assert [one.escalated_at for one in book.known()] == [NOON]


# --- messages that wait, digests, silences


def held(one: Notification, channel: ChannelName = FINANCE, **changes: Any) -> Held:  # noqa: ANN401 -- a builder takes any field
    return Held(one.id, channel, NOON, NOON + timedelta(hours=8), HoldReason.QUIET_HOURS)._replace(**changes)


def digest(*members: Notification, at: datetime = NOON + timedelta(hours=8)) -> Notification:
    return digest_of(FINANCE, [Message(one, held(one)) for one in members], at)


def test_what_is_held_over_one_channel_goes_out_over_the_others_and_counts_as_under_way(book: AlertBook) -> None:
    told = notification(alert(), channels=(FINANCE, OPS))
    row = held(told)
    assert book.commit(Verdict((alert(),), (told,), (row,)), TARGETS, now=NOON) == 1
    assert [one.channel for one in book.deliveries_of(alert().id)] == [OPS]
    assert book.waiting() == (Message(told, row),)
    only = notification(alert(matter("90%")))
    book.commit(Verdict((alert(matter("90%")),), (only,), (held(only),)), TARGETS, now=NOON)
    assert book.undelivered() == ()


def test_a_digest_reaches_for_all_its_alerts_and_is_itself_undelivered_when_it_dies(
    book: AlertBook, database: Database
) -> None:
    about = [alert(matter(label)) for label in ("80%", "90%")]
    told = [notification(one) for one in about]
    book.commit(Verdict(tuple(about), tuple(told), tuple(map(held, told))), TARGETS, now=NOON)
    later = NOON + timedelta(hours=8)
    together = digest(*told)
    rows = tuple(held(one, digest=together.id, ended_at=later) for one in told)
    verdict = Verdict((), (together,), rows)
    assert book.commit(verdict, {FINANCE: ("a@example.com",)}, now=later) == 1
    assert book.commit(verdict, {FINANCE: ("a@example.com",)}, now=later) == 0
    assert book.waiting() == ()
    assert book.digested(NOON) == {FINANCE: later}
    assert book.digested(later + timedelta(seconds=1)) == {}
    assert [one.notification for one in book.deliveries_of(about[1].id)] == [together]
    assert (book.undelivered(), book.notified(one.id for one in about)) == ((), {})
    outbox = Outbox(database)
    (one,) = outbox.claim(FINANCE, later, 10)
    outbox.settle(one.id, at=later, why="refused")
    outbox.write_down()
    assert book.undelivered() == (together,)
    assert set(together.alerts) == {one.id for one in about}
    outbox.requeue(one.id, now=later)
    outbox.claim(FINANCE, later, 10)
    outbox.settle(one.id, at=later)
    outbox.write_down()
    assert book.undelivered() == ()
    assert book.notified(one.id for one in about) == {one.id: 1 for one in about}


def test_what_has_waited_until_its_channel_was_gone_reached_nobody(book: AlertBook) -> None:
    about = [alert(matter(label)) for label in ("80%", "90%", "95%")]
    told = [notification(one) for one in about]
    book.commit(Verdict(tuple(about), tuple(told), tuple(map(held, told))), TARGETS, now=NOON)
    later = NOON + timedelta(hours=8)
    together = digest(*told[:2])
    became = (together.id, together.id, told[2].id)  # the last one goes out as it was
    rows = tuple(held(one, digest=which, ended_at=later) for one, which in zip(told, became, strict=True))
    assert book.commit(Verdict((), (together, told[2]), rows), {OPS: ("",)}, now=later) == 0
    assert {one.id for one in book.undelivered()} == {together.id, told[2].id}


def test_what_has_waited_goes_out_as_it_was_and_what_has_ended_does_not_wait_again(book: AlertBook) -> None:
    told = notification(alert())
    book.commit(Verdict((alert(),), (told,), (held(told, why=HoldReason.STORM),)), TARGETS, now=NOON)
    ended = held(told, why=HoldReason.STORM, digest=told.id, ended_at=NOON + timedelta(minutes=5))
    assert book.commit(Verdict((), (told,), (ended,)), TARGETS, now=NOON) == 2
    book.commit(Verdict((), (), (held(told),)), TARGETS, now=NOON)
    assert book.waiting() == ()
    assert book.held_of(alert().id) == (ended,)


def test_of_what_waits_only_what_may_go_out_is_looked_at(book: AlertBook) -> None:
    labels = ("70%", "80%", "90%")
    quiet, silenced, stormy = (notification(alert(matter(label))) for label in labels)
    one = Silence("5113a", NOON, NOON + timedelta(hours=8), "li", rule="*")
    book.add_silence(one)
    rows = (held(quiet), held(silenced, why=HoldReason.SILENCE, silence=one.id), held(stormy, why=HoldReason.STORM))
    about = tuple(alert(matter(label)) for label in labels)
    book.commit(Verdict(about, (quiet, silenced, stormy), rows), TARGETS, now=NOON)
    early = NOON + timedelta(hours=1)
    assert len(book.waiting()) == 3
    assert [message.said for message in book.waiting(due=early)] == [stormy]
    book.end_silence(one.id, early)
    assert {message.said.id for message in book.waiting(due=early)} == {silenced.id, stormy.id}
    assert len(book.waiting(due=NOON + timedelta(hours=8))) == 3


def test_a_silence_ends_at_its_time_or_when_it_is_expired(book: AlertBook) -> None:
    one = Silence("5113a", NOON, NOON + timedelta(hours=4), "li", "研究", workspace="llm-*", tags=("team=search",))
    book.add_silence(one)
    book.add_silence(one._replace(id="0042b", ends_at=NOON + timedelta(hours=1)))
    assert [each.id for each in book.silences(at=NOON)] == ["0042b", "5113a"]
    assert book.silences(at=NOON + timedelta(hours=1)) == (one,)
    assert book.find_silence("511") == (one,)
    book.end_silence("5113a", NOON + timedelta(hours=2))
    assert book.silences(at=NOON + timedelta(hours=2)) == ()
    assert len(book.silences()) == 2


def test_old_messages_go_with_their_deliveries_and_what_still_matters_stays(book: AlertBook, database: Database) -> None:
    over, firing = alert(matter("80%"), state=AlertState.RESOLVED), alert(matter("90%"))
    waits, digested = alert(matter("95%"), state=AlertState.RESOLVED), alert(matter("99%"), state=AlertState.RESOLVED)
    about = (over, firing, waits, digested)
    told = {one.id: notification(one) for one in about}
    book.commit(Verdict(about, tuple(told[one.id] for one in (over, firing, waits))), {FINANCE: ("a",)}, now=NOON)
    book.commit(Verdict((), (told[digested.id],), (held(told[digested.id]),)), TARGETS, now=NOON)
    together, later = digest(told[digested.id]), NOON + timedelta(days=1)
    ended = (held(told[digested.id], digest=together.id, ended_at=later),)
    book.commit(Verdict((), (together,), ended), {FINANCE: ("a",)}, now=later)
    outbox = Outbox(database)
    for one in outbox.claim(FINANCE, later, 10, render=lambda _: b"the letter"):
        if one.notification.alert != waits.id:
            outbox.settle(one.id, at=later)
    outbox.write_down()
    year = later + timedelta(days=365)
    assert book.forget(NOON, later + timedelta(seconds=1)) == 0
    assert {one.notification.alert for one in outbox.listing() if one.rendered} == {waits.id}
    assert book.forget(year, NOON) == 3
    assert {one.notification.alert for one in outbox.listing()} == {firing.id, waits.id}
    assert {which for which, said in told.items() if book.is_on_record(said.id)} == {firing.id, waits.id}
    assert (book.held_of(digested.id), book.undelivered()) == ((), ())
    assert {one.id for one in book.alerts()} == {one.id for one in about}, "so that none begins anew"
    assert book.notified([firing.id]) == {firing.id: 1}
