from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spendwatch.domain.errors import PermanentDeliveryError
from spendwatch.domain.notification import Delivery, DeliveryState, Notification
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.jobs.deliver import Settled, deliver
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.database import Database
from spendwatch.store.health_book import HealthBook
from spendwatch.store.outbox import Outbox
from store_builders import FINANCE, alert, notification

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 9, 16, 12, tzinfo=UTC)


class BrokenChannel:
    """A channel that answers every copy with one error."""

    targets = ("",)

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
