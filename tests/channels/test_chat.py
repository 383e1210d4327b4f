"""Chat services: each dialect, its signature, its limits, its refusals."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter

from notices import NOW, SAMPLES, ZONE, delivery
from robots import SECRET, SERVICES, TOKEN, Robot
from servers_http import Fault, HttpSink, Reply, Request
from spendwatch.channels.chat import ChatChannel
from spendwatch.channels.config import ChannelConfig
from spendwatch.channels.dingtalk import signature
from spendwatch.channels.opening import open_channel
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Notification
from spendwatch.outgoing import Outgoing

pytestmark = pytest.mark.anyio

NOWHERE = "http://127.0.0.1:9"
CLIENT = Outgoing((ipaddress.ip_network("127.0.0.0/8"),))
EACH = pytest.mark.parametrize("kind", sorted(SERVICES))
_ADAPTER: TypeAdapter[ChannelConfig] = TypeAdapter(ChannelConfig)


def channel(kind: str, base: str = NOWHERE, **settings: object) -> ChatChannel:
    """Return the channel of a service whose robot listens there."""
    service = SERVICES[kind]
    place = {"url": SecretStr(base + service.path)}
    config = _ADAPTER.validate_python({"type": kind, "timeout": "2s", **place, **service.settings, **settings})
    opened = open_channel("team", config, client=CLIENT, zone=ZONE, clock=lambda: NOW)
    assert isinstance(opened, ChatChannel)
    return opened


async def send(to: ChatChannel, notification: Notification) -> None:
    await to.send(delivery(notification, "", to.render(notification, "")))


def body(kind: str, sample: str, **settings: object) -> Any:  # noqa: ANN401 -- JSON
    return json.loads(channel(kind, NOWHERE, **settings).render(SAMPLES[sample], ""))


def texts(found: object) -> Iterator[str]:
    """Yield every text of a body."""
    match found:
        case str():
            yield found
        case dict():
            for value in found.values():
                yield from texts(value)
        case list():
            for value in found:
                yield from texts(value)
        case _:
            pass


@EACH
@pytest.mark.parametrize("sample", sorted(SAMPLES))
def test_every_message_is_one_that_the_service_takes(kind: str, sample: str) -> None:
    service = SERVICES[kind]
    for language in ("en", "zh"):
        content = channel(kind, language=language).render(SAMPLES[sample], "")
        assert service.judge(Request("POST", service.path, {}, content), is_signed=False) == service.accepts


@EACH
async def test_a_message_that_the_service_takes_is_delivered(kind: str) -> None:
    with Robot(SERVICES[kind]) as robot:
        await send(channel(kind, robot.url("")), SAMPLES["threshold"])
        assert [request.path for request in robot.requests] == [SERVICES[kind].path]


@EACH
def test_a_reader_sees_amount_bar_causes_advice_links_and_where_more_is(kind: str) -> None:
    shown = "\n".join(texts(body(kind, "threshold-overspent")))
    for part in (
        "[Critical] Research is at 116%",
        "CNY 1,402.10",
        "▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇│▇▇▇",
        "CNY 391.20",
        "Begin with API key chatbot",
        "https://bailian.console.aliyun.com/?tab=model#/api-key",
        "spendwatch explain 3f9c1e07b2d84a6655d1",
    ):
        assert part in shown, part
    assert "已用预算" in "\n".join(texts(body(kind, "threshold", language="zh")))


@EACH
@pytest.mark.parametrize(
    ("sample", "tag"), [("test", "[TEST]"), ("overdue-resolved", "[Resolved]"), ("overdue-repeated", "[Critical, reminder]")]
)
def test_tests_endings_and_reminders_are_marked(kind: str, sample: str, tag: str) -> None:
    assert any(text.lstrip("#* ").startswith(("<", tag)) and tag in text for text in texts(body(kind, sample)))


_REFUSALS = [(kind, name) for kind, service in sorted(SERVICES.items()) for name in service.refuses]


@pytest.mark.parametrize(("kind", "name"), _REFUSALS)
async def test_a_refusal_in_the_answer_is_told_with_what_to_do(kind: str, name: str) -> None:
    reply, word, is_of_channel = SERVICES[kind].refuses[name]
    with HttpSink([reply]) as sink, pytest.raises((TemporaryDeliveryError, PermanentDeliveryError)) as caught:
        await send(channel(kind, sink.url("")), SAMPLES["threshold"])
    assert word in str(caught.value)
    assert isinstance(caught.value, TemporaryDeliveryError) is is_of_channel
    if isinstance(caught.value, TemporaryDeliveryError):
        assert caught.value.of_channel


@EACH
@pytest.mark.parametrize("reply", [Reply(200, {}, b"<html>proxy login</html>"), Reply(200), Reply(200, {}, b"[1]")])
async def test_an_answer_that_is_not_of_the_service_is_no_success(kind: str, reply: Reply) -> None:
    with HttpSink([reply]) as sink, pytest.raises(TemporaryDeliveryError, match="answers") as caught:
        await send(channel(kind, sink.url("")), SAMPLES["threshold"])
    assert caught.value.of_channel
    assert caught.value.maybe_taken


@EACH
@pytest.mark.parametrize("reply", [Reply(429, {"retry-after": "77"}), Reply(503, {"retry-after": "77"}, b"busy")])
async def test_a_throttled_or_failing_service_is_given_the_time_it_asks_for(kind: str, reply: Reply) -> None:
    with HttpSink([reply]) as sink, pytest.raises(TemporaryDeliveryError) as caught:
        await send(channel(kind, sink.url("")), SAMPLES["threshold"])
    assert (caught.value.of_channel, caught.value.retry_after) == (True, timedelta(seconds=77))


@EACH
@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.CUT])
async def test_after_a_lost_answer_the_service_may_have_the_message(kind: str, fault: Fault) -> None:
    with HttpSink([Reply(fault=fault)]) as sink, pytest.raises(TemporaryDeliveryError) as caught:
        await send(channel(kind, sink.url(""), timeout="1s"), SAMPLES["threshold"])
    assert (caught.value.of_channel, caught.value.maybe_taken) == (True, True)


@EACH
async def test_no_secret_is_told_whatever_goes_wrong(kind: str) -> None:
    echoing = Reply(200, {}, f"no robot at {SERVICES[kind].path} with {TOKEN}".encode())
    for reply in (echoing, Reply(404, {}, echoing.body), Reply(fault=Fault.CUT)):
        with HttpSink([reply]) as sink:
            opened = channel(kind, sink.url(""))
            with pytest.raises((TemporaryDeliveryError, PermanentDeliveryError)) as caught:
                await send(opened, SAMPLES["threshold"])
        assert TOKEN not in f"{caught.value!r}{caught.value}{opened._chat!r}{opened._chat}"


# Hand-computed: printf '%s' "$moment<newline>$secret" | openssl dgst -sha256 -hmac "$secret" -binary | base64
_DINGTALK_VECTORS = [
    ("SEC0123456789abcdef", "1789437900000", "I95MgeNjZt+4isiESeMXsefSEK4WUDsvOrXTBx05GSA="),
    (SECRET, "1577262236757", "lBKzMNuoSdfSkXzfzK02odai3J/TRvJlm4eouJNb3Fw="),
]


@pytest.mark.parametrize(("secret", "moment", "expected"), _DINGTALK_VECTORS)
def test_dingtalk_signs_time_and_secret_by_the_secret(secret: str, moment: str, expected: str) -> None:
    assert signature(secret, moment) == expected


async def test_each_attempt_at_dingtalk_is_signed_over_its_own_time() -> None:
    with Robot(SERVICES["dingtalk"], is_signed=True) as robot:
        await send(channel("dingtalk", robot.url(""), secret=SECRET), SAMPLES["threshold"])
        assert f"timestamp={int(NOW.timestamp() * 1000)}&sign=" in robot.requests[0].path
        with pytest.raises(TemporaryDeliveryError, match="signature is wrong"):
            await send(channel("dingtalk", robot.url(""), secret=SECRET[:-1]), SAMPLES["threshold"])


def test_people_are_mentioned_only_where_wanted_and_only_when_it_is_critical_and_fires() -> None:
    wanted = {"at": ["13800000000", "manager7"], "at_all": True}
    critical = body("dingtalk", "overdue", **wanted)
    assert critical["at"] == {"atMobiles": ["13800000000"], "atUserIds": ["manager7"], "isAtAll": True}
    assert "@13800000000" in critical["markdown"]["text"]
    for sample in ("threshold", "overdue-resolved", "test", "report-daily"):
        quiet = body("dingtalk", sample, **wanted)
        assert quiet["at"] == {"atMobiles": [], "atUserIds": [], "isAtAll": False}
        assert "@" not in quiet["markdown"]["text"]
    assert body("dingtalk", "overdue")["at"]["isAtAll"] is False


def test_a_keyword_is_in_every_message() -> None:
    assert body("dingtalk", "threshold", keyword="账单")["markdown"]["title"].endswith(" · 账单")
    assert body("dingtalk", "threshold", keyword="Research")["markdown"]["title"].count("Research") == 1
