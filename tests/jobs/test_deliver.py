from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection

from spendwatch.domain.alert import AlertKey, AlertState, Rule
from spendwatch.domain.delivery import OPEN, DeliveryState, Held, HoldReason, NotificationId, QuietHours, Reason, Route
from spendwatch.domain.errors import LedgerUnavailableError, PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.health import ChannelHealth
from spendwatch.domain.notification import Delivery, Message, Notification
from spendwatch.domain.policy import ChannelName, Severity
from spendwatch.domain.review import Verdict
from spendwatch.domain.routing import digest_of
from spendwatch.domain.scope import NamedScope, Subject
from spendwatch.jobs.conditions import FAILURES_TOLD
from spendwatch.jobs.deliver import Settled, deliver, to_their_ends
from spendwatch.jobs.ports import Channel
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.database import Database
from spendwatch.store.health_book import HealthBook
from spendwatch.store.outbox import Outbox
from store_builders import FINANCE, alert, matter, notification

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 9, 16, 12, tzinfo=UTC)


class BrokenChannel:
    """A channel that answers every copy with one error."""

    targets = ("",)
    at_once = 4

    def __init__(self, error: Exception) -> None:
        self._error = error

    def render(self, notification: Notification, target: str) -> bytes:
        del notification, target
        return b"said"

    async def send(self, delivery: Delivery) -> None:
        del delivery
        raise self._error


async def _carry(database: Database, name: ChannelName, error: Exception) -> list[Settled]:
    settled: list[Settled] = []
    await deliver(
        name,
        BrokenChannel(error),
        outbox=Outbox(database),
        health=HealthBook(database),
        clock=lambda: NOW,
        settled=settled.append,
        stopping=lambda: False,
    )
    return settled


def _say(database: Database, number: int) -> None:
    fired = alert(episode=number)
    AlertBook(database).commit(Verdict((fired,), (notification(fired),)), {FINANCE: ("",)}, now=NOW)


async def test_a_defect_of_a_channel_postpones_its_copies_instead_of_leaving_them_unsettled(database: Database) -> None:
    _say(database, 1)
    (outcome,) = await _carry(database, FINANCE, ZeroDivisionError("a defect"))
    assert (outcome.why, outcome.final) == ("unexpected ZeroDivisionError: a defect", False)
    assert [one.state for one in Outbox(database).listing()] == [DeliveryState.DEFERRED]


async def test_a_disabled_channel_says_why_once_however_many_copies_are_given_up(database: Database) -> None:
    reasons = []
    for number in range(1, 4):
        _say(database, number)
        (outcome,) = await _carry(database, FINANCE, PermanentDeliveryError("HTTP 410", gone=True))
        reasons.append(outcome.why)
    assert reasons == ["HTTP 410", "the channel is disabled: HTTP 410", "the channel is disabled: HTTP 410"]


class SlowChannel:
    """A channel whose receiver answers when it is told to; counts the copies, and keeps the latest."""

    targets = ("",)
    at_once = 4

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.asked = asyncio.Event()
        self.copies: list[Delivery] = []

    def render(self, notification: Notification, target: str) -> bytes:
        del target
        return notification.id.encode()

    async def send(self, delivery: Delivery) -> None:
        self.copies.append(delivery)
        self.asked.set()
        await self.answers.wait()


def _delivering(channel: Channel, outbox: Outbox, health: HealthBook) -> Coroutine[object, object, int]:
    return deliver(
        FINANCE,
        channel,
        outbox=outbox,
        health=health,
        clock=lambda: NOW,
        settled=lambda _: None,
        stopping=lambda: False,
    )


async def test_what_was_broken_off_while_it_was_sent_is_sent_again_and_marked(database: Database) -> None:
    _say(database, 1)
    outbox, channel = Outbox(database), SlowChannel()
    task = asyncio.create_task(_delivering(channel, outbox, HealthBook(database)))
    await channel.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    channel.answers.set()
    assert await _delivering(channel, outbox, HealthBook(database)) == 1
    first, second = channel.copies
    assert (first.id, first.rendered, first.maybe_repeated) == (second.id, second.rendered, False)
    assert (second.maybe_repeated, second.attempts) == (True, 2)
    assert [one.state for one in outbox.listing()] == [DeliveryState.DELIVERED]


async def test_what_was_claimed_when_the_store_failed_is_sent_once_it_works(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _say(database, 1)
    outbox, channel = Outbox(database), SlowChannel()
    channel.answers.set()

    commits = database.writing

    @contextmanager
    def answers_no_more() -> Iterator[Connection]:
        with commits() as connection:
            yield connection
        msg = "the disk is full"
        raise LedgerUnavailableError(msg)

    with monkeypatch.context() as broken:
        broken.setattr(database, "writing", answers_no_more)
        with pytest.raises(LedgerUnavailableError):
            await _delivering(channel, outbox, HealthBook(database))
    assert await _delivering(channel, outbox, HealthBook(database)) == 1
    (copy,) = channel.copies
    assert (copy.attempts, copy.maybe_repeated) == (1, False)
    assert [one.state for one in outbox.listing()] == [DeliveryState.DELIVERED]


async def test_an_answer_that_came_before_it_was_broken_off_is_not_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        about = alert(matter(scope=f"workspace:{number}"))
        AlertBook(database).commit(Verdict((about,), (notification(about),)), {FINANCE: ("",)}, now=NOW)
    outbox, channel, is_written = Outbox(database), SlowChannel(), Event()
    channel.answers.set()
    both_sent, loop, writes_down = asyncio.Event(), asyncio.get_running_loop(), outbox.write_down

    def slowly() -> None:
        if len(channel.copies) > 1:  # one alone, and then two: while the one is written down, the other one gets its answer
            loop.call_soon_threadsafe(both_sent.set)
            is_written.wait()
        writes_down()

    with monkeypatch.context() as slow:
        slow.setattr(outbox, "write_down", slowly)
        task = asyncio.create_task(_delivering(channel, outbox, HealthBook(database)))
        await both_sent.wait()
        task.cancel()
        is_written.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    await _delivering(channel, outbox, HealthBook(database))
    assert len(channel.copies) == 3
    assert {(one.state, one.maybe_repeated) for one in outbox.listing()} == {(DeliveryState.DELIVERED, False)}


async def test_a_fault_of_one_sending_breaks_off_no_other(database: Database) -> None:
    _say(database, 1)
    channel = SlowChannel()

    async def fails() -> None:
        await channel.asked.wait()
        asyncio.get_running_loop().call_soon(channel.answers.set)
        raise ZeroDivisionError

    outbox = Outbox(database)
    with pytest.raises(ZeroDivisionError):
        await to_their_ends([_delivering(channel, outbox, HealthBook(database)), fails()])
    assert [one.state for one in outbox.listing()] == [DeliveryState.DELIVERED]


async def test_an_outcome_is_on_record_even_if_the_channels_health_cannot_be_noted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _say(database, 1)
    outbox, health = Outbox(database), HealthBook(database)

    def fails(*_: object, **__: object) -> None:
        msg = "the disk is full"
        raise LedgerUnavailableError(msg)

    monkeypatch.setattr(health, "channel_failed", fails)
    with pytest.raises(LedgerUnavailableError):
        await _delivering(BrokenChannel(TemporaryDeliveryError("HTTP 503")), outbox, health)
    (waiting,) = outbox.listing()
    assert (waiting.state, waiting.last_error) == (DeliveryState.DEFERRED, "HTTP 503")


async def test_a_notification_that_cannot_be_rendered_holds_up_no_other(database: Database) -> None:
    _say(database, 1)
    _say(database, 2)
    outbox, channel = Outbox(database), SlowChannel()
    channel.answers.set()
    bad, good = (one.notification.id for one in outbox.listing())

    class Picky(SlowChannel):
        def render(self, notification: Notification, target: str) -> bytes:
            if notification.id == bad:
                msg = "a defect"
                raise ValueError(msg)
            return super().render(notification, target)

    picky = Picky()
    picky.answers.set()
    await _delivering(picky, outbox, HealthBook(database))
    states = {one.notification.id: one.state for one in outbox.listing()}
    assert states == {bad: DeliveryState.DEFERRED, good: DeliveryState.DELIVERED}


async def test_a_refusal_that_may_pass_is_dead_after_three_attempts_in_ten_minutes(database: Database) -> None:
    _say(database, 1)
    outbox, moment = Outbox(database), [NOW]
    outcomes: list[Settled] = []

    async def carry(error: Exception) -> Settled:
        await deliver(
            FINANCE,
            BrokenChannel(error),
            outbox=outbox,
            health=HealthBook(database),
            clock=lambda: moment[0],
            settled=outcomes.append,
            stopping=lambda: False,
        )
        (one,) = outbox.listing()
        moment[0] = one.due_at
        return outcomes[-1]

    refused = TemporaryDeliveryError("HTTP 404", is_refusal=True)
    assert not (await carry(TemporaryDeliveryError("HTTP 503"))).final
    began = moment[0]
    assert not (await carry(refused)).final
    assert not (await carry(refused)).final
    assert timedelta(minutes=10) <= moment[0] - began <= timedelta(minutes=11)
    assert (await carry(refused)).final
    assert [one.state for one in outbox.listing()] == [DeliveryState.DEAD]


class Stage:
    """A channel with messages to it, at a moment that the test sets. `answer` is asked what becomes of each copy."""

    targets = ("",)
    at_once = 4

    def __init__(self, database: Database) -> None:
        self.outbox, self.health = Outbox(database), HealthBook(database)
        self.book = AlertBook(database)
        self.now = NOW
        self.sent: list[str] = []
        """What was attempted, by its threshold."""
        self.answer: Callable[[Delivery], Exception | None] = lambda _: None
        self.words = ""
        """What the settings add to each message."""
        self.route = OPEN

    def render(self, notification: Notification, target: str) -> bytes:
        return f"{self.words}{notification.id}{target}".encode()

    async def send(self, delivery: Delivery) -> None:
        self.sent.append(_name(delivery.notification))
        await asyncio.sleep(0)
        if error := self.answer(delivery):
            raise error

    def say(
        self,
        label: str,
        reason: Reason = Reason.FIRED,
        *,
        scope: str = "",
        severity: Severity = Severity.WARNING,
        in_digest: Sequence[Notification] = (),
        **facts: Any,  # noqa: ANN401 -- any figures
    ) -> None:
        """Commit a word about the alert of that label; `in_digest`: what it goes out with."""
        self.now += timedelta(milliseconds=1)
        state = AlertState.RESOLVED if reason is Reason.RESOLVED else AlertState.FIRING
        about = alert(matter(label, scope=scope or f"workspace:{label}"), state=state)
        said = replace(notification(about, reason=reason), created_at=self.now, severity=severity)
        said = replace(said, id=NotificationId(f"{label}-{reason}-{self.now:%S%f}"), facts=replace(said.facts, **facts))
        told, held = tuple[Notification, ...]((said,)), tuple[Held, ...]()
        if in_digest:
            digest = digest_of(FINANCE, [Message(said), *map(Message, in_digest)], self.now)
            told = said, digest
            held = (Held(said.id, FINANCE, self.now, self.now, HoldReason.STORM, digest=digest.id, ended_at=self.now),)
        self.book.commit(Verdict((about,), told, held), {FINANCE: self.targets}, now=self.now)

    async def deliver(self, after: timedelta = timedelta()) -> list[str]:
        """Deliver some time later; return what was attempted."""
        self.now += after
        self.sent.clear()
        await deliver(
            FINANCE,
            self,
            outbox=self.outbox,
            health=self.health,
            clock=lambda: self.now,
            settled=lambda _: None,
            stopping=lambda: False,
            route=self.route,
        )
        return list(self.sent)

    def states(self) -> dict[str, tuple[DeliveryState, int]]:
        return {_name(one.notification): (one.state, one.attempts) for one in self.outbox.listing()}

    def settled_as(self, state: DeliveryState) -> dict[str, str]:
        return {_name(one.notification): one.last_error for one in self.outbox.listing([state])}


def _name(said: Notification) -> str:
    return said.facts.threshold if said.reason is Reason.FIRED else f"{said.facts.threshold} {said.reason}"


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DOWN = TemporaryDeliveryError("connection refused", of_channel=True)
SIX = tuple("abcdef")


async def test_a_failure_of_the_channel_holds_all_its_messages_and_one_tries_again_after_the_pause(stage: Stage) -> None:
    for label in SIX:
        stage.say(label)
    stage.answer = lambda _: DOWN
    assert await stage.deliver() == ["a"]
    assert await stage.deliver(4 * SECOND) == []
    assert await stage.deliver(2 * SECOND) == ["a"]
    assert await stage.deliver(4 * MINUTE) == []
    assert stage.states() == {
        "a": (DeliveryState.DEFERRED, 0),
        **dict.fromkeys(SIX[1:], (DeliveryState.PENDING, 0)),
    }
    stage.answer = lambda _: None
    assert await stage.deliver(2 * MINUTE) == list(SIX)
    assert stage.health.channels() == (ChannelHealth(FINANCE),)


async def test_a_channel_that_fails_for_long_is_tried_every_half_hour(stage: Stage) -> None:
    stage.say("a")
    stage.answer = lambda _: DOWN
    attempts = [moment for moment in range(0, 6 * 60, 5) if await stage.deliver(5 * MINUTE if moment else timedelta())]
    assert 11 <= len(attempts) <= 13
    stage.say("b")
    assert await stage.deliver() == []


async def test_a_pause_that_the_receiver_asks_for_is_kept_whoever_wants_otherwise(stage: Stage) -> None:
    for label in SIX:
        stage.say(label)
    taken: list[Delivery] = []

    def few(delivery: Delivery) -> Exception | None:
        taken.append(delivery)
        slow = TemporaryDeliveryError("HTTP 429", retry_after=20 * MINUTE, of_channel=True)
        return slow if len(taken) > 3 else None

    stage.answer = few
    assert len(await stage.deliver()) == 6  # one, two, and three that were on their way together
    assert [state for state, _ in stage.states().values()].count(DeliveryState.DELIVERED) == 3
    stage.health.retry_channels([FINANCE])
    stage.answer = lambda _: None
    assert await stage.deliver(19 * MINUTE) == []
    assert len(await stage.deliver(2 * MINUTE)) == 3


async def test_a_refused_password_is_tried_twice_in_half_an_hour_at_most_and_told_at_once(stage: Stage) -> None:
    for label in SIX:
        stage.say(label)
    stage.answer = lambda _: TemporaryDeliveryError("rejected the password", is_login=True)
    assert await stage.deliver() == ["a"]
    assert [await stage.deliver(5 * MINUTE) for _ in range(5)] == [[]] * 5
    assert stage.health.channels()[0].pauses == FAILURES_TOLD
    assert await stage.deliver(9 * MINUTE) == ["a"]
    stage.health.retry_channels([FINANCE])
    assert await stage.deliver() == ["a"]
    assert await stage.deliver(29 * MINUTE) == []


async def test_one_message_that_breaks_the_receiver_holds_up_no_other(stage: Stage) -> None:
    for label in SIX:
        stage.say(label)
    poison = TemporaryDeliveryError("HTTP 500", of_channel=True, is_doubtful=True)
    stage.answer = lambda one: poison if one.notification.facts.threshold == "a" else None
    assert await stage.deliver() == ["a"]
    assert set(await stage.deliver(6 * SECOND)) == set(SIX)
    stage.say("later")
    assert await stage.deliver() == ["later"]
    assert await stage.deliver(6 * MINUTE) == ["a"]
    stage.say("last")
    assert await stage.deliver() == ["last"]


async def test_what_comes_through_beside_a_failure_does_not_end_the_pause(stage: Stage) -> None:
    stage.say("a")
    await stage.deliver()
    for label in SIX:
        stage.say(label, scope=f"workspace:new-{label}")
    stage.answer = lambda one: DOWN if one.notification.facts.threshold == "b" else None
    assert await stage.deliver() == ["a", "b", "c"]
    assert await stage.deliver() == []


async def test_the_gravest_come_first_and_what_is_about_one_scope_keeps_its_order(stage: Stage) -> None:
    stage.say("notice", severity=Severity.NOTICE)
    stage.say("50%", scope="workspace:acme")
    stage.say("other")
    stage.say("100%", scope="workspace:acme", severity=Severity.CRITICAL)
    stage.at_once = 1
    assert await stage.deliver() == ["50%", "100%", "other", "notice"]


async def test_what_is_over_when_the_channel_works_again_is_told_once_as_over(stage: Stage) -> None:
    stage.say("overdue")
    stage.say("overdue", Reason.REPEATED)
    stage.say("80%", also=("50%",))
    stage.answer = lambda _: DOWN
    await stage.deliver()
    stage.say("overdue", Reason.RESOLVED)
    stage.say("80%", Reason.RESOLVED)
    stage.answer = lambda _: None
    assert await stage.deliver(MINUTE) == ["80%", "overdue resolved", "80% resolved"], "of 50% nothing else tells"
    dropped = stage.settled_as(DeliveryState.CANCELLED)
    last = next(one for one in stage.outbox.listing() if _name(one.notification) == "overdue resolved")
    assert dropped == dict.fromkeys(
        ("overdue", "overdue repeated"), f"superseded: the later message {last.id[:8]} (resolved) speaks for it"
    )


ONE_WORD = (
    # What was said first and later, how much later, whether that was delivered, and whether the first is told all the same.
    (Reason.FIRED, Reason.RESOLVED, 1, False, False),
    (Reason.REPEATED, Reason.REPEATED, 1, False, False),
    (Reason.REPEATED, Reason.REPEATED, -1, True, True),
    (Reason.FIRED, Reason.REPEATED, 1, True, False),
    (Reason.FIRED, Reason.REPEATED, 1, False, True),
    # The end is told, and nothing after it, whatever a clock that was ahead says.
    (Reason.RESOLVED, Reason.FIRED, 1, True, True),
    (Reason.FIRED, Reason.RESOLVED, -400, False, False),
    # A request to act is dropped only when its alert is over.
    (Reason.ACTION, Reason.REPEATED, 1, True, True),
    (Reason.ACTION, Reason.ESCALATED, 1, True, True),
    (Reason.ACTION, Reason.RESOLVED, 1, True, False),
)


@pytest.mark.parametrize(("first", "second", "days", "is_delivered", "is_told"), ONE_WORD)
async def test_a_later_word_speaks_for_an_earlier_one_that_is_over_or_was_a_reminder(
    stage: Stage,
    first: Reason,
    second: Reason,
    days: int,
    *,
    is_delivered: bool,
    is_told: bool,
) -> None:
    stage.say("80%", first)
    (earlier,) = stage.outbox.listing()
    stage.now += timedelta(days=days)
    stage.say("80%", second)
    (later,) = (one for one in stage.outbox.listing() if one.id != earlier.id)
    if is_delivered:
        stage.outbox.claim(FINANCE, stage.now, 2)
        stage.outbox.settle(later.id, at=stage.now)
        stage.outbox.release([earlier.id])
        stage.outbox.take_up()
    dropped = [one.delivery for one in stage.outbox.drop_superseded(FINANCE, stage.now)]
    assert (earlier.id not in dropped) is is_told
    assert later.id not in dropped


async def test_of_several_reminders_that_waited_the_last_is_told_beside_the_first_word(stage: Stage) -> None:
    stage.say("overdue")
    for _ in range(4):
        stage.say("overdue", Reason.REPEATED)
    assert await stage.deliver() == ["overdue", "overdue repeated"]
    assert len(stage.outbox.listing([DeliveryState.CANCELLED])) == 3


async def test_nothing_is_said_to_hold_after_its_end_was_told(stage: Stage) -> None:
    stage.say("overdue")
    stage.answer = lambda _: TemporaryDeliveryError("451 not now")
    await stage.deliver()
    stage.say("overdue", Reason.RESOLVED)
    stage.answer = lambda _: None
    assert await stage.deliver() == ["overdue resolved"]
    assert await stage.deliver(HOUR) == []
    assert list(stage.settled_as(DeliveryState.CANCELLED)) == ["overdue"]


async def test_nothing_is_said_to_hold_after_a_digest_told_its_end(stage: Stage) -> None:
    other = replace(notification(alert(matter("other"))), severity=Severity.CRITICAL)
    stage.say("overdue")
    stage.say("80%")
    stage.answer = lambda _: DOWN
    await stage.deliver()
    stage.say("overdue", Reason.RESOLVED, in_digest=[other])
    stage.answer = lambda _: None
    assert await stage.deliver(MINUTE) == [" digest", "80%"]
    assert list(stage.settled_as(DeliveryState.CANCELLED)) == ["overdue"]


async def test_what_went_out_late_does_not_speak_for_itself(stage: Stage) -> None:
    stage.say("80%")
    (late,) = stage.outbox.listing()
    stage.say("80%", Reason.RESOLVED)
    (over,) = (one for one in stage.outbox.listing() if one.id != late.id)
    row = Held(over.notification.id, FINANCE, NOW, NOW, HoldReason.SILENCE, digest=late.notification.id, ended_at=NOW)
    stage.outbox.cancel(over.id, now=stage.now)
    stage.book.commit(Verdict((), (), (row,)), {}, now=stage.now)
    assert await stage.deliver() == ["80%"]


async def test_what_a_digest_does_not_name_is_told_by_itself(stage: Stage) -> None:
    many = [replace(notification(alert(matter(str(n)))), severity=Severity.CRITICAL) for n in range(100)]
    many = [replace(one, id=NotificationId(f"{n}")) for n, one in enumerate(many)]
    stage.say("overdue")
    stage.answer = lambda _: DOWN
    await stage.deliver()
    stage.say("overdue", Reason.REPEATED, in_digest=many)
    stage.answer = lambda _: None
    assert set(await stage.deliver(MINUTE)) == {" digest", "overdue"}
    assert await stage.deliver(HOUR) == []


async def test_what_the_channel_refused_as_a_whole_is_composed_anew(stage: Stage) -> None:
    """The robot demands a keyword: the operator writes it into the settings, and the message that waits has it, too."""
    for label in SIX:
        stage.say(label)

    def demands(one: Delivery) -> Exception | None:
        assert one.rendered is not None
        return None if b"keyword" in one.rendered else TemporaryDeliveryError("no keyword", of_channel=True)

    stage.answer = demands
    assert await stage.deliver() == ["a"]
    stage.words = "keyword "
    assert await stage.deliver(MINUTE) == list(SIX)


async def test_what_may_have_arrived_is_sent_again_as_it_was(stage: Stage) -> None:
    stage.say("a")
    sent: list[bytes | None] = []
    errors = iter((TemporaryDeliveryError("no answer", of_channel=True, maybe_taken=True), DOWN))

    def keeps(one: Delivery) -> Exception | None:
        sent.append(one.rendered)
        return next(errors, None)

    stage.answer = keeps
    for words in ("one ", "two ", "three "):
        stage.words = words
        await stage.deliver(HOUR)
    assert len(sent) == 3
    assert len(set(sent)) == 1


async def test_a_channel_at_its_pace_is_not_tried_before_its_turn(stage: Stage) -> None:
    stage.say("a")
    stage.answer = lambda _: DOWN
    await stage.deliver()
    stage.at_once = 0
    assert await stage.deliver(MINUTE) == []
    stage.at_once = 1
    assert await stage.deliver() == ["a"]


async def test_what_is_graver_goes_before_what_waits_for_a_slow_pace(stage: Stage) -> None:
    for label in SIX:
        stage.say(label)

    def takes_one(_: Delivery) -> None:
        stage.at_once = 0

    stage.answer = takes_one
    assert await stage.deliver() == ["a"]
    stage.say("overdue", severity=Severity.CRITICAL)
    assert await stage.deliver(SECOND) == []
    stage.at_once = 1
    assert await stage.deliver(SECOND) == ["overdue"]


async def test_what_a_channel_has_not_taken_for_three_days_is_given_up_and_nothing_younger(stage: Stage) -> None:
    stage.say("old")
    stage.answer = lambda _: DOWN
    for hour in range(80):
        if hour == 40:
            stage.say("young")
        await stage.deliver(HOUR if hour else timedelta())
    assert stage.settled_as(DeliveryState.DEAD) == {"old": "the channel fails: connection refused"}
    assert list(stage.settled_as(DeliveryState.PENDING) | stage.settled_as(DeliveryState.DEFERRED)) == ["young"]


async def test_a_copy_that_may_have_arrived_is_not_sent_more_often_than_before(stage: Stage) -> None:
    stage.say("a")
    stage.answer = lambda _: TemporaryDeliveryError("no answer in time", of_channel=True, maybe_taken=True)
    attempts = 0
    for minute in range(0, 90 * 60, 30):
        attempts += len(await stage.deliver(30 * MINUTE if minute else timedelta()))
    assert attempts == 10
    assert list(stage.settled_as(DeliveryState.DEAD)) == ["a"]


async def test_where_a_person_decides_what_may_have_arrived_is_not_sent_again_by_itself(stage: Stage) -> None:
    stage.outbox.holding = [FINANCE]
    stage.say("a")
    stage.say("b")
    stage.answer = lambda _: TemporaryDeliveryError("no answer in time", of_channel=True, maybe_taken=True)
    assert await stage.deliver() == ["a"]
    stage.answer = lambda _: None
    assert await stage.deliver(HOUR) == ["b"]
    stage.outbox.free([FINANCE], now=stage.now)
    assert await stage.deliver(99 * HOUR) == []
    (held,) = stage.outbox.listing([DeliveryState.DEFERRED])
    assert (held.is_held, stage.outbox.held(), stage.outbox.due()) == (True, 1, {})
    (why,) = stage.outbox.dead_since(stage.now).values()
    assert why.startswith("no answer in time; it may have arrived: `spendwatch deliveries retry`")
    stage.outbox.requeue(held.id, now=stage.now)
    assert await stage.deliver() == ["a"]
    assert stage.outbox.dead_since(stage.now) == {}


async def test_what_a_crash_interrupted_is_held_where_a_person_decides(stage: Stage, database: Database) -> None:
    stage.say("sent")
    stage.say("never sent")
    for _ in range(2):
        stage.outbox.claim(
            FINANCE, stage.now, 1, render=lambda one: b"the letter" if one.notification.facts.threshold == "sent" else None
        )
    database.lock_for_life()
    stage.outbox = Outbox(database)
    stage.outbox.holding = [FINANCE]
    assert await stage.deliver() == ["never sent"]
    assert [_name(one.notification) for one in stage.outbox.listing() if one.is_held] == ["sent"]


async def test_quiet_hours_hold_what_was_due_before_them_at_the_moment_of_sending(stage: Stage) -> None:
    night = QuietHours(time(22), time(8), UTC, passing=frozenset({Severity.CRITICAL}))
    stage.route = Route(quiet=(night,))
    stage.now = datetime(2026, 9, 16, 21, 40, tzinfo=UTC)
    stage.say("a")
    stage.say("b", scope="workspace:a")
    stage.say("grave", severity=Severity.CRITICAL)
    stage.say("grave over", Reason.RESOLVED, severity=Severity.CRITICAL)
    stage.answer = lambda _: DOWN
    assert await stage.deliver() == ["grave"]
    stage.answer = lambda _: None
    assert await stage.deliver(HOUR) == ["grave"], "the channel is back at night"
    assert await stage.deliver(9 * HOUR) == []
    assert await stage.deliver(HOUR) == ["grave over resolved", "a", "b"]


async def test_a_message_that_only_the_night_could_send_goes_out_after_a_week(stage: Stage) -> None:
    stage.route = Route(quiet=(QuietHours(time(0), None, UTC),))
    stage.say("a")
    assert await stage.deliver(timedelta(days=6, hours=23)) == []
    assert await stage.deliver(HOUR) == ["a"]


async def test_two_failing_channels_do_not_keep_each_other_failing(stage: Stage) -> None:
    about = alert(AlertKey(Rule.CHANNEL_FAILING, NamedScope(Subject.CHANNEL, "post")))
    for reason in (Reason.FIRED, Reason.REPEATED, Reason.RESOLVED):
        said = notification(about._replace(times_told=about.times_told + 1), reason=reason)
        stage.book.commit(Verdict((about,), (said,)), {FINANCE: stage.targets}, now=stage.now)
        (claimed,) = stage.outbox.claim(FINANCE, stage.now, 1)
        stage.outbox.settle(claimed.id, at=stage.now, why=f"550 {reason}")
        stage.outbox.write_down()
        stage.now += MINUTE
    assert stage.outbox.dead_since(NOW) == {(FINANCE, ""): "550 fired"}


async def test_a_receiver_that_hangs_delays_no_other_channel(database: Database) -> None:
    stage, ops, hanging = Stage(database), ChannelName("ops"), SlowChannel()
    for number in range(20):
        about = alert(matter(str(number)))
        said = notification(about, channels=(FINANCE, ops))
        stage.book.commit(Verdict((about,), (said,)), {FINANCE: ("",), ops: ("",)}, now=NOW)
    waiting = asyncio.create_task(_delivering(hanging, stage.outbox, stage.health))
    await hanging.asked.wait()
    carried = deliver(
        ops,
        stage,
        outbox=stage.outbox,
        health=stage.health,
        clock=lambda: stage.now,
        settled=lambda _: None,
        stopping=lambda: False,
    )
    assert await asyncio.wait_for(carried, 30) == 20
    assert not waiting.done()
    hanging.answers.set()
    assert await waiting == 20
