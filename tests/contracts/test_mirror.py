"""Programs that show alerts hear what no message tells, on both databases, and a real Alertmanager after its restart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alertmanager import Alertmanager
from notices import ZONE
from servers_http import HttpSink, Reply
from spendwatch.addresses import LOOPBACK
from spendwatch.channels.alertmanager import AlertmanagerChannel
from spendwatch.channels.program_settings import AlertmanagerConfig
from spendwatch.domain.alert import Acknowledgement, Alert, AlertState
from spendwatch.domain.delivery import Reason
from spendwatch.domain.errors import TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, Notification
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.jobs.mirror import Mirror
from spendwatch.outgoing import Outgoing
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.audit import AuditEntry
from spendwatch.store.database import Database
from spendwatch.store.outbox import Outbox
from store_builders import NOON, alert, matter, notification

pytestmark = pytest.mark.anyio
PAGER = ChannelName("pager")


class _Program:
    """A program that keeps what it is told, and is out of order when told so."""

    targets = ("",)
    at_once = 1

    def __init__(self, *, repeats: bool) -> None:
        self.repeats = repeats
        self.told: list[tuple[str, str]] = []
        self.is_broken = False

    def render(self, one: Notification, target: str) -> bytes:
        del target
        what = "taken" if one.facts.acknowledged else "over" if one.state is AlertState.RESOLVED else "fires"
        return f"{one.alert} {what}".encode()

    async def send(self, copy: Delivery) -> str:
        if self.is_broken:
            msg = "out of order"
            raise TemporaryDeliveryError(msg)
        assert copy.rendered is not None
        which, what = copy.rendered.decode().split()
        self.told.append((which, what))
        return ""


@pytest.fixture
def book(database: Database) -> AlertBook:
    return AlertBook(database)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


def _deliver(outbox: Outbox) -> None:
    for one in outbox.claim(PAGER, NOON, 50):
        outbox.settle(one.id, at=NOON)
    outbox.write_down()


def _fire(book: AlertBook, outbox: Outbox, *alerts: Alert, delivered: bool = True) -> None:
    said = tuple(notification(one, channels=(PAGER,)) for one in alerts)
    book.commit(Verdict(alerts, said), {PAGER: ("",)}, now=NOON)
    if delivered:
        _deliver(outbox)


def _later() -> datetime:
    return NOON + timedelta(hours=1)


def _ended(one: Alert) -> Alert:
    return one._replace(state=AlertState.RESOLVED, resolved_at=_later())


async def test_what_ended_without_a_word_is_told_once(book: AlertBook, outbox: Outbox) -> None:
    one, other = alert(), alert(matter("100%"))
    _fire(book, outbox, one, other)
    program = _Program(repeats=False)
    mirror = Mirror(PAGER, program)
    assert await mirror.update(book, _later) is None
    assert program.told == []
    book.commit(Verdict((_ended(one),)), {}, now=_later())
    program.is_broken = True
    assert str(await mirror.update(book, _later)) == "out of order"
    program.is_broken = False
    for _ in range(3):
        await mirror.update(book, _later)
    assert program.told == [(one.id, "over")]


async def test_what_a_message_ended_needs_no_second_word(book: AlertBook, outbox: Outbox) -> None:
    _fire(book, outbox, alert())
    over = _ended(alert())
    last = replace(notification(over, reason=Reason.RESOLVED, channels=(PAGER,)), created_at=_later())
    book.commit(Verdict((over,), (last,)), {PAGER: ("",)}, now=NOON)
    _deliver(outbox)
    program = _Program(repeats=True)
    await Mirror(PAGER, program).update(book, _later)
    assert program.told == []


async def test_what_fires_is_told_again_and_again_where_it_would_be_forgotten(book: AlertBook, outbox: Outbox) -> None:
    _fire(book, outbox, alert())
    _fire(book, outbox, alert(matter("100%")), delivered=False)  # it waits: no mirror overtakes a message
    program = _Program(repeats=True)
    mirror = Mirror(PAGER, program)
    for _ in range(2):
        await mirror.update(book, _later)
    assert program.told == [(alert().id, "fires")] * 2


async def test_an_acknowledgement_is_told_once(book: AlertBook, outbox: Outbox) -> None:
    one = alert()
    _fire(book, outbox, one)
    taken = Acknowledgement(one.id, "Li Wei", NOON + timedelta(minutes=5))
    book.acknowledge([taken], [AuditEntry(NOON, "Li Wei", "acknowledge", one.id, "")])
    program = _Program(repeats=False)
    mirror = Mirror(PAGER, program)
    for _ in range(2):
        await mirror.update(book, _later)
    assert program.told == [(one.id, "taken")]


async def test_what_ended_long_ago_is_left_alone(book: AlertBook, outbox: Outbox) -> None:
    _fire(book, outbox, alert())
    book.commit(Verdict((_ended(alert()),)), {}, now=_later())
    program = _Program(repeats=False)
    await Mirror(PAGER, program).update(book, lambda: _later() + timedelta(days=3))
    assert program.told == []


async def test_an_alertmanager_knows_again_after_its_restart(book: AlertBook, outbox: Outbox, tmp_path: Path) -> None:
    now = datetime.now(UTC)  # noqa: TID251 -- it goes by the real time
    one = alert(since=now)
    _fire(book, outbox, one)
    with HttpSink([Reply()]) as hook:
        manager = Alertmanager(tmp_path, hook.url())
        manager.start()
        try:
            config = AlertmanagerConfig(url=manager.url)
            channel = AlertmanagerChannel(config, "pager", Outgoing(LOOPBACK), zone=ZONE, clock=lambda: now)
            mirror = Mirror(PAGER, channel)
            assert await mirror.update(book, lambda: now) is None
            assert [each["labels"]["alert_id"] for each in manager.alerts()] == [one.id]
            manager.stop()
            assert "connection refused" in str(await mirror.update(book, lambda: now))
            manager.start()
            assert manager.alerts() == []
            await mirror.update(book, lambda: now)
            assert [each["labels"]["alert_id"] for each in manager.alerts()] == [one.id]
            book.commit(Verdict((_ended(one)._replace(resolved_at=now),)), {}, now=now)
            await mirror.update(book, lambda: now)
            assert manager.alerts() == []
        finally:
            manager.stop()
