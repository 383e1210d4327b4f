"""Pings of a monitoring service: what is said when, and that nothing depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network

import pytest

from servers_http import HttpSink, Reply
from spendwatch.jobs.pings import Pings
from spendwatch.outgoing import Outgoing

pytestmark = pytest.mark.anyio
EVERY = timedelta(minutes=5)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with HttpSink() as sink:
        yield sink


def asked(sink: HttpSink) -> list[tuple[str, str]]:
    found = [(request.path, request.body.decode()) for request in sink.requests]
    sink.requests.clear()
    return found


async def test_start_then_success_once_proven_and_then_at_its_pace(sink: HttpSink) -> None:
    clock, client = Clock(), Outgoing((ip_network("127.0.0.0/8"),))
    pings = Pings(clock)

    async def ping(failing: str = "", *, is_proven: bool = True) -> None:
        await pings.ping(client, sink.url("/ping/uuid?rid=1"), EVERY, failing=failing, is_proven=is_proven)

    await ping(is_proven=False)
    assert asked(sink) == [("/ping/uuid/start?rid=1", "")]
    await ping(is_proven=False)
    assert asked(sink) == []
    await ping()
    assert asked(sink) == [("/ping/uuid?rid=1", "")]
    clock.now = 299
    await ping()
    assert asked(sink) == []
    clock.now = 300
    await ping()
    assert asked(sink) == [("/ping/uuid?rid=1", "")]
    clock.now = 301
    await ping("no progress: assess")
    assert asked(sink) == [("/ping/uuid/fail?rid=1", "no progress: assess")]
    await ping("no progress: assess")
    assert asked(sink) == []
    clock.now = 601
    await ping("no progress: assess, " + "x" * 2000)
    assert [len(body) for _, body in asked(sink)] == [1000]
    clock.now = 602
    await ping()
    assert asked(sink) == [("/ping/uuid?rid=1", "")]


async def test_a_ping_that_fails_is_shown_and_repeated(sink: HttpSink) -> None:
    clock, client = Clock(), Outgoing((ip_network("127.0.0.0/8"),))
    pings = Pings(clock)
    sink.replies = [Reply(), Reply(503), Reply()]
    for _ in range(3):
        await pings.ping(client, sink.url("/secret"), EVERY, failing="", is_proven=True)
    assert [path for path, _ in asked(sink)] == ["/secret/start", "/secret"]
    assert pings.trouble == "127.0.0.1: HTTP 503"
    clock.now = 15
    await pings.ping(client, sink.url("/secret"), EVERY, failing="", is_proven=True)
    assert [path for path, _ in asked(sink)] == ["/secret"]
    assert pings.trouble == ""
    refused = Pings(clock)
    await refused.ping(Outgoing(), sink.url("/secret"), EVERY, failing="", is_proven=True)
    assert "127.0.0.1" in refused.trouble
    assert "secret" not in refused.trouble
    assert asked(sink) == []
