"""Trouble of the ledger is told without the ledger: once, over every channel of the operators, and when it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spendwatch.domain.errors import LedgerDamagedError, LedgerUnavailableError, TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, Notification
from spendwatch.domain.policy import ChannelName
from spendwatch.jobs.ledger_alarm import LASTS, LedgerAlarm
from store_builders import NOON

OPS, CHAT = ChannelName("ops"), ChannelName("chat")
DOWN = TemporaryDeliveryError("down")
AWAY, DAMAGED = LedgerUnavailableError("the ledger is away"), LedgerDamagedError("the ledger is damaged")

pytestmark = pytest.mark.anyio


class Receiver:
    """A channel that notes what it gets, unless it is down."""

    targets = ("",)
    at_once = 4

    def __init__(self) -> None:
        self.got: list[Notification] = []
        self.is_down = False

    def render(self, notification: Notification, target: str) -> bytes:
        return f"{notification.id}{target}".encode()

    async def send(self, delivery: Delivery) -> None:
        if self.is_down:
            raise DOWN
        self.got.append(delivery.notification)


class Scene:
    """An alarm, two receivers, and a clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.ops, self.chat = Receiver(), Receiver()
        self.alarm = LedgerAlarm(lambda: NOON + timedelta(seconds=self.seconds), lambda: self.seconds)

    async def after(self, seconds: float) -> list[str]:
        self.seconds += seconds
        await self.alarm.tell({OPS: self.ops, CHAT: self.chat}, (OPS, CHAT))
        return [notification.type for notification in self.ops.got]


async def test_what_may_pass_is_told_when_it_lasts_and_again_when_it_is_over() -> None:
    scene = Scene()
    scene.alarm.failed("assess", AWAY)
    assert await scene.after(LASTS + 1) == []
    scene.alarm.failed("assess", AWAY)
    assert await scene.after(0) == ["ledger.failing"]
    assert await scene.after(2) == ["ledger.failing"]
    assert scene.chat.got[0].facts.detail == "the ledger is away"
    scene.alarm.worked("assess")
    assert await scene.after(2) == ["ledger.failing", "alert.resolved"]
    assert scene.ops.got[0].alert == scene.ops.got[1].alert


async def test_a_database_that_is_restarted_is_told_to_nobody() -> None:
    scene = Scene()
    scene.alarm.failed("assess", AWAY)
    await scene.after(10)
    scene.alarm.failed("deliver:ops", AWAY)
    scene.alarm.worked("assess")
    scene.alarm.worked("deliver:ops")
    assert await scene.after(LASTS * 2) == []


async def test_damage_is_told_at_once_and_every_day_though_other_jobs_work() -> None:
    scene = Scene()
    scene.alarm.failed("tidy", DAMAGED)
    scene.alarm.worked("assess")
    assert await scene.after(0) == ["ledger.failing"]
    assert await scene.after(86_401) == ["ledger.failing", "ledger.failing"]
    assert scene.alarm.trouble == "the ledger is damaged"


async def test_a_channel_that_is_down_gets_it_later_and_holds_up_no_other() -> None:
    scene = Scene()
    scene.ops.is_down = True
    scene.alarm.failed("tidy", DAMAGED)
    assert await scene.after(0) == []
    assert len(scene.chat.got) == 1
    scene.ops.is_down = False
    assert await scene.after(61) == ["ledger.failing"]


async def test_who_did_not_hear_that_it_began_does_not_hear_that_it_is_over() -> None:
    scene = Scene()
    scene.ops.is_down = True
    scene.alarm.failed("tidy", DAMAGED)
    await scene.after(0)
    scene.alarm.worked("tidy")
    scene.ops.is_down = False
    assert await scene.after(61) == []
    assert [notification.type for notification in scene.chat.got] == ["ledger.failing", "alert.resolved"]


async def test_a_job_that_fails_for_another_reason_is_told_too_without_what_it_may_contain() -> None:
    scene = Scene()
    for _ in range(2):
        scene.alarm.failed("assess", ValueError("secret"))
        await scene.after(LASTS)
    assert scene.alarm.trouble == "assess: unexpected ValueError, see the log"
