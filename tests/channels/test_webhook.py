from __future__ import annotations

import base64
import ipaddress
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from notices import NOW, SAMPLES, ZONE, cny, delivery, notice
from servers_http import Fault, HttpSink, Reply
from spendwatch.channels.config import ChannelConfig
from spendwatch.channels.opening import open_channel
from spendwatch.channels.webhook import WebhookChannel
from spendwatch.channels.webhook_settings import WebhookConfig, public_key_text
from spendwatch.domain.alert import Rule
from spendwatch.domain.delivery import Reason
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.scope import NamedScope, Subject
from spendwatch.domain.statement import AccountId
from spendwatch.outgoing import Outgoing

pytestmark = pytest.mark.anyio

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
KEY = b"0123456789abcdef0123456789abcdef"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
OTHER = f"whsec_{base64.b64encode(KEY[::-1]).decode()}"


def _real_clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 -- whoever verifies a signature looks at the real time


def _channel(url: str, secret: str | None = SECRET, **settings: str) -> WebhookChannel:
    config = WebhookConfig.model_validate({"type": "webhook", "url": url, "secret": secret, **settings})
    return WebhookChannel(config, "ops", Outgoing(LOOPBACK), zone=ZONE, clock=_real_clock)


async def _send(channel: WebhookChannel, notification: Notification, *, maybe_repeated: bool = False) -> None:
    body = channel.render(notification, "")
    await channel.send(delivery(notification, "", body, maybe_repeated=maybe_repeated))


def _body(notification: Notification) -> dict[str, Any]:
    found = json.loads(_channel("https://hooks.example.com/").render(notification, ""))
    assert isinstance(found, dict)
    return found


async def test_a_notification_arrives_signed_so_that_others_can_verify_it() -> None:
    notification = SAMPLES["threshold"]
    with HttpSink() as sink:
        await _send(_channel(sink.url()), notification)
        (request,) = sink.requests
    assert (request.method, request.path, request.headers["content-type"]) == ("POST", "/hook", "application/json")
    assert request.headers["webhook-id"] == notification.id
    assert Webhook(SECRET).verify(request.body, dict(request.headers))["type"] == "spend.threshold_reached"
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(request.body, dict(request.headers))


async def test_ed25519_keys_sign_beside_secrets_so_that_only_their_public_half_is_needed_to_verify() -> None:
    old, new = Ed25519PrivateKey.from_private_bytes(KEY), Ed25519PrivateKey.from_private_bytes(KEY[::-1])
    # Both forms in which such keys are written: the seed alone, and with the public key behind it.
    texts = [KEY, KEY[::-1] + new.public_key().public_bytes_raw()]
    private = "\n".join(f"whsk_{base64.b64encode(text).decode()}" for text in texts)
    notification = SAMPLES["threshold"]
    with HttpSink() as sink:
        await _send(_channel(sink.url(), private_key=private), notification)
        (request,) = sink.requests
    assert Webhook(SECRET).verify(request.body, dict(request.headers))
    signatures = request.headers["webhook-signature"].split()
    assert [one.split(",")[0] for one in signatures] == ["v1", "v1a", "v1a"]
    signed = f"{notification.id}.{request.headers['webhook-timestamp']}.".encode() + request.body
    for key, signature in zip((old, new), signatures[1:], strict=True):
        key.public_key().verify(base64.b64decode(signature.partition(",")[2]), signed)
        with pytest.raises(InvalidSignature):
            key.public_key().verify(base64.b64decode(signature.partition(",")[2]), signed + b" ")
    assert public_key_text(old) == f"whpk_{base64.b64encode(old.public_key().public_bytes_raw()).decode()}"


@pytest.mark.parametrize("text", ["whsk_!", "whsk_MTIz", f"whsec_{base64.b64encode(KEY).decode()}", "plain"])
def test_what_is_no_private_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _channel("https://hooks.example.com/", private_key=text)
    assert "whsk_" in str(refused.value)
    assert text.removeprefix("whsk_") not in str(refused.value)


def test_without_its_extra_a_private_key_is_refused_with_the_line_that_installs_it() -> None:
    script = (
        "import sys; sys.modules['cryptography.hazmat.primitives.asymmetric.ed25519'] = None\n"
        "from spendwatch.channels.webhook_settings import WebhookConfig\n"
        "print(WebhookConfig.model_validate({'url': 'https://hooks.example.com/'}).private_key)\n"
        "WebhookConfig.model_validate({'url': 'https://hooks.example.com/', 'private_key': 'whsk_x'})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "None\n"
    assert "needs the package cryptography: pip install 'spendwatch[ed25519]'" in done.stderr


async def test_as_a_cloudevent_it_is_read_by_whoever_knows_these() -> None:
    notification = SAMPLES["threshold"]
    with HttpSink() as sink:
        await _send(_channel(sink.url(), format="cloudevents"), notification)
        (request,) = sink.requests
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert Webhook(SECRET).verify(request.body, dict(request.headers))
    event = json.loads(request.body)
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": notification.id,
        "source": "/spendwatch/accounts/1000000000000001",
        "type": "spend.threshold_reached",
        "subject": "workspace:llm-demo0a1b2c3d4e",
        "time": "2026-09-15T10:05:00+08:00",
        "datacontenttype": "application/json",
    }
    assert data == {"schema_version": 1, **_body(notification)["data"]}


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_cloudevent_has_what_the_specification_requires(sample: str) -> None:
    event = json.loads(_channel("https://hooks.example.com/", format="cloudevents").render(SAMPLES[sample], ""))
    attributes = {name: value for name, value in event.items() if name != "data"}
    assert all(isinstance(value, str) and value for value in attributes.values())
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event)
    assert not re.search(r"\s", event["source"])


async def test_while_a_secret_is_replaced_both_sign() -> None:
    with HttpSink() as sink:
        await _send(_channel(sink.url(), f"{SECRET}\n{OTHER} plain-secret\n"), SAMPLES["stale"])
        (request,) = sink.requests
    headers = dict(request.headers)
    for secret in (SECRET, OTHER, b"plain-secret"):
        assert Webhook(secret).verify(request.body, headers)
    assert headers["webhook-signature"].count("v1,") == 3


async def test_without_a_secret_nothing_is_signed() -> None:
    with HttpSink() as sink:
        await _send(_channel(sink.url(), None), SAMPLES["stale"])
        (request,) = sink.requests
    assert "webhook-signature" not in request.headers


async def test_every_attempt_repeats_id_and_body_with_a_signature_of_its_own_time() -> None:
    seconds = count()
    config = WebhookConfig.model_validate({"url": "http://127.0.0.1/", "secret": SECRET})
    with HttpSink() as sink:
        config = config.model_copy(update={"url": sink.url()})
        clock = lambda: NOW + timedelta(seconds=60 * next(seconds))  # noqa: E731 -- shorter than a def
        channel = WebhookChannel(config, "ops", Outgoing(LOOPBACK), zone=ZONE, clock=clock)
        await _send(channel, SAMPLES["threshold"])
        await _send(channel, SAMPLES["threshold"], maybe_repeated=True)
        first, second = sink.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert "x-spendwatch-maybe-repeated" not in first.headers
    assert second.headers["x-spendwatch-maybe-repeated"] == "yes"


def test_the_body_holds_exact_amounts_as_text_with_their_currency() -> None:
    body = _body(SAMPLES["threshold-overspent"])
    data = body["data"]
    assert (body["type"], body["schema_version"], body["timestamp"]) == (
        "spend.threshold_reached",
        1,
        "2026-09-15T10:05:00+08:00",
    )
    assert {name: data[name] for name in ("spend", "budget", "used", "threshold", "currency", "month")} == {
        "spend": "1402.1",
        "budget": "1200",
        "used": "1.1684",
        "threshold": "100%",
        "currency": "CNY",
        "month": "2026-09",
    }
    assert data["links"] == {page.value: address for page, address in SAMPLES["threshold-overspent"].facts.links}
    assert data["foreign"] == [{"amount": "5.5", "currency": "USD"}]
    assert data["growth"][0] == {
        "label": "qwen-max / chatbot",
        "model": "qwen-max",
        "api_key": "1200345",
        "api_key_name": "chatbot",
        "category": "inference",
        "recent": "391.2",
        "before": "125",
        "share": "0.693",
        "currency": "CNY",
        "more": "",
    }
    assert (data["growth"][-1]["more"], data["growth"][-1]["recent"]) == ("17", "4.004")
    assert sum(Decimal(one["share"]) for one in data["growth"]) == 1
    assert data["makes_most"][0] == {"dimension": "api_key", "value": "1200345", "name": "chatbot", "share": "0.7643"}
    assert data["data_until"] == "2026-09-15T09:41:00+08:00"
    assert (data["alert_id"], data["severity"], data["state"]) == ("3f9c1e07b2d84a6655d1", "critical", "firing")
    assert data["summary"].startswith("[Critical] Research is at 116%")
    assert "Why you got this" in data["text"]


def test_a_month_that_counts_as_settled_is_told_with_its_amount_and_whether_the_cash_is_older() -> None:
    data = _body(SAMPLES["overdue-by-settlement"])["data"]
    assert data["by_settlement"] is True
    assert data["balance"]["settled"] == {
        "month": "2026-08",
        "amount": "290",
        "since": "2026-09-05T00:00:00+08:00",
        "cash_is_older": True,
    }


def test_the_balance_is_told_term_by_term() -> None:
    assert _body(SAMPLES["overdue"])["data"]["balance"] == {
        "currency": "CNY",
        "available": "-110.832385",
        "cash": "100",
        "credit": "500",
        "unsettled_current": "590.332385",
        "unsettled_previous": "120.5",
        "reported": "-110.83",
        "overdue": True,
        "computed": "-110.832385",
        "credit_refund": None,
        "unsettled": "710.832385",
        "unsettled_is_derived": False,
        "spent_since": None,
        "paid_at_order": None,
        "products_unseen": [],
        "difference": None,
        "explained_by": [],
        "settled": None,
        "from": "manual",
        "as_of": None,
        "stale": False,
    }


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        ("threshold", "spend.threshold_reached"),
        ("corrected", "spend.corrected"),
        ("balance-low", "balance.low"),
        ("overdue", "balance.overdue"),
        ("overdue-resolved", "balance.recovered"),
        ("overdue-escalated", "balance.overdue"),
        ("runway", "balance.runway"),
        ("runway-resolved", "balance.recovered"),
        ("forecast", "spend.forecast"),
        ("balance-failing", "balance_source.failing"),
        ("balance-differing", "balance_source.differing"),
        ("balance-differing-resolved", "alert.resolved"),
        ("stale", "bills.stale"),
        ("stale-resolved", "alert.resolved"),
        ("rejected", "bills.rejected"),
        ("test", "test"),
    ],
)
def test_every_kind_of_notification_has_the_same_keys(sample: str, kind: str) -> None:
    body = _body(SAMPLES[sample])
    assert body["type"] == kind
    assert set(body["data"]) == set(_body(SAMPLES["threshold"])["data"])
    assert len(json.dumps(body)) < 20_000


def test_every_type_and_key_is_explained_beside_the_configuration() -> None:
    told = (Path(__file__).parents[2] / "config" / "webhook.md").read_text(encoding="utf-8")
    kinds = {rule.type for rule in Rule} | {"balance.recovered", "alert.resolved", "test"}
    bodies = [_body(sample)["data"] for sample in SAMPLES.values()]
    keys = {key for body in bodies for part in (body, body["balance"] or {}, body["runway"] or {}) for key in part}
    assert [word for word in sorted(kinds | keys) if f"`{word}`" not in told] == []


def _numbers(value: object) -> list[object]:
    match value:
        case bool() | str() | None:
            return []
        case dict():
            return [found for item in value.values() for found in _numbers(item)]
        case list():
            return [found for item in value for found in _numbers(item)]
        case _:
            return [value]


@pytest.mark.parametrize("sample", sorted(SAMPLES))
def test_no_amount_is_a_json_number(sample: str) -> None:
    assert _numbers(_body(SAMPLES[sample])["data"]) == []


@given(text=st.text(st.characters(), max_size=200))
def test_hostile_text_keeps_the_body_one_line_of_utf_8_that_parses(text: str) -> None:
    facts = Facts(
        scope=NamedScope(Subject.SOURCE, text, AccountId(text)),
        account_name=text,
        name=text,
        threshold=text,
        detail=text,
        files=((text, text),),
        spend=cny("1"),
    )
    channel = _channel("https://hooks.example.com/")
    for reason in (Reason.FIRED, Reason.RESOLVED):
        raw = channel.render(notice(Rule.REJECTED, facts, reason=reason), "")
        assert b"\n" not in raw
        data = json.loads(raw.decode("utf-8"))["data"]
        assert all(char.isprintable() for char in data["name"] + data["detail"] + data["summary"])


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(status: int) -> None:
    with HttpSink([Reply(status)]) as sink:
        await _send(_channel(sink.url()), SAMPLES["stale"])
        assert len(sink.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"errcode":300001,"errmsg":"msgtype is null"}',
        b'{"code":19002,"msg":"params error, msg_type need"}',
        b'{"errcode":"40008","errmsg":"invalid message type"}',
        b'{"code":-1}',
        b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413",
    ],
)
async def test_a_refusal_in_the_body_of_a_200_is_one_and_told_with_its_words(body: bytes) -> None:
    with HttpSink([Reply(200, {"content-type": "application/json"}, body)]) as sink:
        with pytest.raises(PermanentDeliveryError) as caught:
            await _send(_channel(sink.url()), SAMPLES["stale"])
        assert str(caught.value) == f"HTTP 200, but the response reports an error: {body.decode()}"


@pytest.mark.parametrize(
    "body",
    [
        b'{"ok": true, "code": 0, "errcode": 0}',
        b'{"code": 200, "msg": "success"}',
        b'{"code": "200"}',
        b'{"code": 20000, "success": true}',
        b'{"errcode": null, "code": "queued"}',
        b"[1]",
        b"[" * 60_000,
        b"ok",
        b"",
    ],
)
async def test_an_answer_that_says_all_is_well_is_one(body: bytes) -> None:
    with HttpSink([Reply(200, {"content-type": "application/json"}, body)]) as sink:
        await _send(_channel(sink.url()), SAMPLES["stale"])
        assert len(sink.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_a_receiver_in_trouble_is_asked_again_later(status: int) -> None:
    with HttpSink([Reply(status, {}, b"busy\n")]) as sink:
        with pytest.raises(TemporaryDeliveryError, match=f"HTTP {status}: busy"):
            await _send(_channel(sink.url()), SAMPLES["stale"])
        assert len(sink.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422])
async def test_a_refusal_may_pass_because_a_receiver_may_be_deployed_anew(status: int) -> None:
    reply, said = Reply(status, {}, b"default backend"), f"HTTP {status}: default backend"
    with HttpSink([reply]) as sink, pytest.raises(TemporaryDeliveryError, match=said) as caught:
        await _send(_channel(sink.url()), SAMPLES["stale"])
    assert (caught.value.is_refusal, caught.value.maybe_taken) == (True, False)


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.SILENT])
async def test_after_a_lost_answer_the_receiver_may_have_the_message(fault: Fault) -> None:
    with HttpSink([Reply(fault=fault)]) as sink, pytest.raises(TemporaryDeliveryError) as caught:
        await _send(_channel(sink.url(), timeout="1s"), SAMPLES["stale"])
    assert caught.value.maybe_taken


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308])
async def test_a_redirect_is_final(status: int) -> None:
    with HttpSink() as other, HttpSink([Reply(status, {"location": other.url()})]) as sink:
        with pytest.raises(PermanentDeliveryError, match=f"HTTP {status}") as caught:
            await _send(_channel(sink.url()), SAMPLES["stale"])
        assert other.connections == 0
    assert not caught.value.gone


async def test_410_says_that_nothing_more_is_wanted() -> None:
    with HttpSink([Reply(410)]) as sink, pytest.raises(PermanentDeliveryError) as caught:
        await _send(_channel(sink.url()), SAMPLES["stale"])
    assert caught.value.gone


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", None),
        ("3600", 3600),
        ("3601", 3600),
        ("315360000", 3600),
        ("99999999999999999999999999", 3600),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("", None),
        ("٣", None),
        ("Wed, 99 Foo 2026", None),
        ("Wed, 21 Oct 1015 07:28:00 GMT", None),
        ("Wed, 21 Oct 9999 07:28:00 GMT", 3600),
    ],
)
async def test_retry_after_is_honoured_up_to_an_hour(header: str, seconds: int | None) -> None:
    with HttpSink([Reply(429, {"retry-after": header})]) as sink, pytest.raises(TemporaryDeliveryError) as caught:
        await _send(_channel(sink.url()), SAMPLES["stale"])
    assert caught.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


async def test_retry_after_may_be_a_date() -> None:
    moment = _real_clock() + timedelta(minutes=10)
    reply = Reply(503, {"retry-after": format_datetime(moment, usegmt=True)})
    with HttpSink([reply]) as sink, pytest.raises(TemporaryDeliveryError) as caught:
        await _send(_channel(sink.url()), SAMPLES["stale"])
    assert caught.value.retry_after
    assert timedelta(minutes=9, seconds=50) < caught.value.retry_after <= timedelta(minutes=10)


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.SILENT, Fault.GARBAGE])
async def test_a_lost_answer_is_temporary(fault: Fault) -> None:
    with HttpSink([Reply(fault=fault)]) as sink, pytest.raises(TemporaryDeliveryError):
        await _send(_channel(sink.url(), timeout="1s"), SAMPLES["stale"])


async def test_an_address_that_must_not_be_called_is_final() -> None:
    with HttpSink() as sink:
        config = WebhookConfig(url=sink.url())
        channel = WebhookChannel(config, "ops", Outgoing(), zone=ZONE, clock=_real_clock)
        with pytest.raises(PermanentDeliveryError, match="allow_networks"):
            await _send(channel, SAMPLES["stale"])
        assert sink.connections == 0


async def test_neither_url_nor_secret_is_ever_told() -> None:
    config = WebhookConfig.model_validate({"url": "http://127.0.0.1:1/canary-url?token=canary-url", "secret": "canary-secret"})
    channel = WebhookChannel(config, "ops", Outgoing(LOOPBACK), zone=ZONE, clock=_real_clock)
    with pytest.raises(TemporaryDeliveryError) as caught:
        await _send(channel, SAMPLES["stale"])
    assert "canary" not in f"{caught.value}{caught.value!r}{config!r}{config}"


def test_settings_arrive_as_text_and_unknown_keys_are_refused() -> None:
    adapter: TypeAdapter[ChannelConfig] = TypeAdapter(ChannelConfig)
    config = adapter.validate_python({"type": "webhook", "url": "https://hooks.example.com/", "timeout": "30s"})
    assert isinstance(config, WebhookConfig)
    assert config.timeout == timedelta(seconds=30)


@pytest.mark.parametrize(
    "wrong",
    [{"colour": "red"}, {"timeout": "30"}, {"timeout": "0s"}, {"secret": "whsec_%%"}, {"secret": " "}, {"secret": "whsec_"}],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        WebhookConfig.model_validate({"type": "webhook", "url": "https://hooks.example.com/", **wrong})


async def test_a_notification_without_any_figure_is_told_all_the_same() -> None:
    with HttpSink() as sink:
        await _send(_channel(sink.url()), replace(SAMPLES["threshold"], facts=Facts()))
        (request,) = sink.requests
    data = json.loads(request.body)["data"]
    assert (data["spend"], data["balance"], data["data_until"]) == (None, None, None)


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        ({"auth": "bearer", "auth_secret": "t0ken"}, "authorization", "Bearer t0ken"),
        ({"auth": "basic", "username": "us", "auth_secret": "p:w"}, "authorization", "Basic dXM6cDp3"),
        ({"auth": "header", "header": "X-Api-Key", "auth_secret": "t0ken"}, "x-api-key", "t0ken"),
        ({"headers": {"X-Team": "finops"}}, "x-team", "finops"),
    ],
)
async def test_a_gateway_gets_the_rights_it_wants_beside_the_signature(settings: dict[str, Any], name: str, value: str) -> None:
    with HttpSink(tls_names=("127.0.0.1",)) as sink:
        more = {"url": sink.url(), "secret": SECRET, "ca_file": str(sink.ca_file), **settings}
        config = WebhookConfig.model_validate({"type": "webhook", **more})
        channel = open_channel("ops", config, clients=partial(Outgoing, LOOPBACK), zone=ZONE, clock=_real_clock)
        await channel.send(delivery(SAMPLES["threshold"], "", channel.render(SAMPLES["threshold"], "")))
        (request,) = sink.requests
    assert request.headers[name] == value
    assert Webhook(SECRET).verify(request.body, dict(request.headers))
    assert "t0ken" not in repr(config)
