"""Text messages by Alibaba Cloud SMS, against a server that checks the signature as the provider describes it."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

import pytest
from pydantic import ValidationError

from notices import SAMPLES, ZONE, delivery
from servers_http import HttpSink, Reply, Request
from spendwatch.addresses import LOOPBACK
from spendwatch.channels.sms import SmsChannel
from spendwatch.channels.sms_settings import SmsConfig
from spendwatch.domain.errors import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Notification
from spendwatch.outgoing import Outgoing

pytestmark = pytest.mark.anyio

NUMBER, ABROAD = "13912345678", "+8613987654321"
SECRET = "TestSecret"
NOW = datetime(2026, 9, 15, 2, 5, tzinfo=UTC)
SETTINGS = {"to": [NUMBER, ABROAD], "sign_name": "示例科技", "template": "SMS_123456", "key_id": "TestKey", "secret": SECRET}


def _channel(url: str, **settings: object) -> SmsChannel:
    config = SmsConfig.model_validate({**SETTINGS, "endpoint": url.removesuffix("/hook"), **settings})
    return SmsChannel(config, "phone", Outgoing(LOOPBACK, way=config.way), zone=ZONE, clock=lambda: NOW)


async def _send(channel: SmsChannel, notification: Notification, target: str) -> str:
    return await channel.send(delivery(notification, target, channel.render(notification, target)))


def _answer(code: str, status: int = 200, words: str = "") -> Reply:
    return Reply(status, body=json.dumps({"Code": code, "Message": words, "RequestId": "R-1"}).encode())


def _verify(request: Request) -> dict[str, str]:
    """Return the parameters, once the signature is as the provider computes it."""
    query = dict(parse_qsl(request.path.partition("?")[2]))
    text = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))
    names = ["host", *sorted(name for name in request.headers if name.startswith("x-acs-"))]
    lines = "".join(f"{name}:{request.headers[name]}\n" for name in names)
    body = hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join(("POST", "/", text, lines, ";".join(names), body))
    to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(SECRET.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    expected = f"ACS3-HMAC-SHA256 Credential=TestKey,SignedHeaders={';'.join(names)},Signature={signature}"
    assert request.headers["authorization"] == expected
    assert (request.headers["x-acs-action"], request.headers["x-acs-version"]) == ("SendSms", "2017-05-25")
    assert request.headers["x-acs-date"] == "2026-09-15T02:05:00Z"
    return query


async def test_each_number_gets_a_signed_request_with_the_variables_of_the_template() -> None:
    with HttpSink([_answer("OK")]) as sink:
        channel = _channel(sink.url(), parameters={"what": "name", "spent": "spend", "share": "used", "left": "available"})
        assert list(channel.targets) == ["139****5678", "+86139****4321"]
        for target in channel.targets:
            await _send(channel, SAMPLES["threshold"], target)
        queries = [_verify(request) for request in sink.requests]
        nonces = {request.headers["x-acs-signature-nonce"] for request in sink.requests}
    assert [query["PhoneNumbers"] for query in queries] == [NUMBER, "8613987654321"]
    assert {(query["SignName"], query["TemplateCode"]) for query in queries} == {("示例科技", "SMS_123456")}
    filled = {"what": "Research", "spent": "CNY 1,021.40", "share": "85%", "left": "-"}
    assert [json.loads(query["TemplateParam"]) for query in queries] == [filled] * 2
    assert len(nonces) == 2


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_variable_has_from_1_to_35_characters(sample: str) -> None:
    facts = (
        "summary",
        "name",
        "account_name",
        "owner",
        "severity",
        "state",
        "spend",
        "budget",
        "used",
        "available",
        "alert_id",
    )
    one = replace(SAMPLES[sample], facts=replace(SAMPLES[sample].facts, name="名" * 100))
    filled = json.loads(_channel("http://localhost", parameters={fact: fact for fact in facts}).render(one, ""))
    assert all(isinstance(value, str) and 1 <= len(value) <= 35 for value in filled.values())


@pytest.mark.parametrize(
    ("code", "status", "kind", "of_channel", "words"),
    [
        ("isv.MOBILE_NUMBER_ILLEGAL", 200, PermanentDeliveryError, None, "does not accept this number"),
        ("isv.PARAM_LENGTH_LIMIT", 200, PermanentDeliveryError, None, "the content of this message"),
        ("isv.BUSINESS_LIMIT_CONTROL", 200, TemporaryDeliveryError, False, "as many messages as are allowed"),
        ("isv.AMOUNT_NOT_ENOUGH", 200, TemporaryDeliveryError, True, "no money left"),
        ("isv.SMS_TEMPLATE_ILLEGAL", 200, TemporaryDeliveryError, True, "template is unknown or not approved"),
        ("isv.SMS_SIGNATURE_ILLEGAL", 200, TemporaryDeliveryError, True, "sign_name is unknown"),
        ("isp.RAM_PERMISSION_DENY", 200, TemporaryDeliveryError, True, "allow the RAM action dysms:SendSms"),
        ("InvalidAccessKeyId.NotFound", 404, TemporaryDeliveryError, True, "compare key_id_file"),
        ("SignatureDoesNotMatch", 400, TemporaryDeliveryError, True, "compare key_id_file and secret_file"),
        ("isp.SYSTEM_ERROR", 200, TemporaryDeliveryError, True, "it is busy"),
        ("isv.SOMETHING_NEW", 200, TemporaryDeliveryError, False, "refuses the message"),
    ],
)
async def test_a_refusal_is_told_in_words_and_without_the_number(
    code: str, status: int, kind: type[DeliveryError], *, of_channel: bool | None, words: str
) -> None:
    with HttpSink([_answer(code, status, f"{NUMBER} is not possible")]) as sink, pytest.raises(kind, match=words) as refused:
        await _send(_channel(sink.url()), SAMPLES["overdue"], "139****5678")
    assert code in str(refused.value)
    assert NUMBER not in str(refused.value)
    assert SECRET not in str(refused.value)
    if isinstance(refused.value, TemporaryDeliveryError):
        assert refused.value.of_channel is of_channel
        assert refused.value.retry_after == (timedelta(hours=1) if "LIMIT" in code else None)


async def test_what_is_no_answer_of_the_service_is_a_failure() -> None:
    foreign, words = Reply(200, body=b"<html>log in</html>"), "not how Alibaba Cloud SMS answers"
    with HttpSink([foreign]) as sink, pytest.raises(TemporaryDeliveryError, match=words):
        await _send(_channel(sink.url()), SAMPLES["overdue"], "139****5678")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"secret": None}, "secret_file is missing"),
        ({"key_id": None}, "key_id_file is missing"),
        ({"to": ["12a"]}, "pattern"),
        ({"to": ["13912345678", "13900005678"]}, "look alike"),
        ({"parameters": {"x": "text"}}, "parameters"),
        ({"template": "hello"}, "pattern"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        SmsConfig.model_validate({**SETTINGS, **settings})
    assert NUMBER not in str(refused.value)
    assert NUMBER not in repr(SmsConfig.model_validate(SETTINGS))
