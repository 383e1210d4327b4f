from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from spendwatch.domain.errors import LedgerUnavailableError, PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, DeliveryState, Notification, Reason
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.jobs.deliver import Settled, deliver
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
    assert [one.state for one in Outbox(database).listing()] == [DeliveryState.PENDING]


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


async def test_what_is_said_about_one_scope_arrives_in_the_order_in_which_it_was_said(database: Database) -> None:
    book, channel = AlertBook(database), SlowChannel()
    for minute, reason in enumerate((Reason.FIRED, Reason.RESOLVED)):
        said, at = notification(alert(), reason=reason), NOW - timedelta(minutes=2 - minute)
        book.commit(Verdict((alert(),), (replace(said, created_at=at),)), {FINANCE: ("",)}, now=at)
    elsewhere = alert(matter(scope="workspace:ws-elsewhere"))
    book.commit(Verdict((elsewhere,), (notification(elsewhere),)), {FINANCE: ("",)}, now=NOW)
    task = asyncio.create_task(_delivering(channel, Outbox(database), HealthBook(database)))
    await channel.asked.wait()
    await asyncio.sleep(0)
    assert {copy.notification.reason for copy in channel.copies} == {Reason.FIRED}
    assert len(channel.copies) == 2
    channel.answers.set()
    assert await task == 3
    assert channel.copies[-1].notification.reason is Reason.RESOLVED


async def test_what_was_claimed_when_the_store_failed_is_sent_once_it_works(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _say(database, 1)
    outbox, channel = Outbox(database), SlowChannel()
    channel.answers.set()

    def fails(*_: object) -> None:
        msg = "the disk is full"
        raise LedgerUnavailableError(msg)

    with monkeypatch.context() as broken:
        broken.setattr(outbox, "keep_rendered", fails)
        with pytest.raises(LedgerUnavailableError):
            await _delivering(channel, outbox, HealthBook(database))
    assert await _delivering(channel, outbox, HealthBook(database)) == 1
    (copy,) = channel.copies
    assert (copy.attempts, copy.maybe_repeated) == (1, False)
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
    assert (waiting.state, waiting.last_error) == (DeliveryState.PENDING, "HTTP 503")


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
    assert states == {bad: DeliveryState.PENDING, good: DeliveryState.DELIVERED}


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
