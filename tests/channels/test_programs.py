"""Programs that keep a list of alerts: a real Alertmanager, and PagerDuty's events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alertmanager import Alertmanager
from notices import NOW, SAMPLES, ZONE, delivery, notice
from servers_http import HttpSink, Reply
from spendwatch.addresses import LOOPBACK
from spendwatch.channels.alertmanager import AlertmanagerChannel
from spendwatch.channels.pagerduty import PagerDutyChannel
from spendwatch.channels.program_settings import AlertmanagerConfig, PagerDutyConfig
from spendwatch.channels.programs import ProgramChannel
from spendwatch.domain.alert import Acknowledgement, AlertId, AlertState, Rule
from spendwatch.domain.delivery import Reason
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.policy import Severity
from spendwatch.domain.scope import NamedScope, Subject
from spendwatch.domain.statement import AccountId
from spendwatch.outgoing import Outgoing

pytestmark = pytest.mark.anyio

KEY = "0123456789abcdef0123456789abcdef"
_numbers = count(1)


def _real_clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 -- an Alertmanager goes by the real time


def _manager(url: str, **labels: str) -> AlertmanagerChannel:
    config = AlertmanagerConfig(url=url, labels=labels)
    return AlertmanagerChannel(config, "am", Outgoing(LOOPBACK), zone=ZONE, clock=_real_clock)


def _pager(url: str) -> PagerDutyChannel:
    config = PagerDutyConfig.model_validate({"url": url, "routing_key": KEY})
    return PagerDutyChannel(config, "pager", Outgoing(LOOPBACK), zone=ZONE, clock=_real_clock)


async def _send(channel: ProgramChannel[Any], notification: Notification) -> None:
    await channel.send(delivery(notification, "", channel.render(notification, "")))


def _now(sample: str, **changes: Any) -> Notification:  # noqa: ANN401 -- any field
    """Return a sample that begins now, of an alert of its own."""
    now, alert = _real_clock(), AlertId(f"alert-{next(_numbers)}")
    return replace(SAMPLES[sample], **{"alert": alert, "since": now, "created_at": now, **changes})


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 -- another process's
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def hook() -> Iterator[HttpSink]:
    """What the Alertmanager posts to."""
    with HttpSink() as sink:
        yield sink


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory, hook: HttpSink) -> Iterator[Alertmanager]:
    """An Alertmanager that runs."""
    found = Alertmanager(tmp_path_factory.mktemp("alertmanager"), hook.url())
    found.start()
    yield found
    found.stop()


def _posted(hook: HttpSink, alert: AlertId) -> list[dict[str, Any]]:
    groups = (json.loads(request.body) for request in list(hook.requests))
    return [one for group in groups for one in group["alerts"] if one["labels"]["alert_id"] == alert]


async def test_an_alertmanager_shows_an_alert_until_it_is_over(manager: Alertmanager, hook: HttpSink) -> None:
    begun = _now("overdue")
    await _send(_manager(manager.url, team="finops"), begun)
    [shown] = [one for one in manager.alerts() if one["labels"]["alert_id"] == begun.alert]
    assert shown["labels"] == {
        "alertname": "balance.overdue",
        "alert_id": begun.alert,
        "severity": "critical",
        "account": "1000000000000001",
        "scope": "account",
        "team": "finops",
    }
    assert shown["annotations"]["summary"] == "[Critical] acme is overdue by CNY 110.83"
    assert datetime.fromisoformat(shown["startsAt"]) - begun.since < timedelta(milliseconds=1)
    # It ends by itself if we are gone, long before the Alertmanager's own hour.
    left = datetime.fromisoformat(shown["endsAt"]) - _real_clock()
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)
    await _until(lambda: [one["status"] for one in _posted(hook, begun.alert)] == ["firing"])
    over = replace(SAMPLES["overdue-resolved"], alert=begun.alert, since=begun.since, created_at=_real_clock())
    await _send(_manager(manager.url, team="finops"), over)
    await _until(lambda: all(one["labels"]["alert_id"] != begun.alert for one in manager.alerts()))
    await _until(lambda: [one["status"] for one in _posted(hook, begun.alert)] == ["firing", "resolved"])


async def test_each_sample_is_an_alert_that_it_takes_once_however_often_it_is_told(manager: Alertmanager) -> None:
    channel = _manager(manager.url)
    told = [_now(name, state=AlertState.FIRING) for name, one in SAMPLES.items() if not one.facts.members]
    for one in (*told, *told[:5]):
        await _send(channel, one)
    shown = [one["labels"]["alert_id"] for one in manager.alerts()]
    assert {one.alert: shown.count(one.alert) for one in told} == {one.alert: 1 for one in told}


async def test_names_from_bills_are_only_text_there(manager: Alertmanager) -> None:
    hostile = 'x"} or vector(1) {{ .Labels }} \n\u202e<script>é'
    scope = NamedScope(Subject.SOURCE, hostile, AccountId("1000000000000001"))
    one = _now("source-failing", facts=Facts(scope=scope, name=hostile, detail=hostile))
    await _send(_manager(manager.url), one)
    [shown] = [each for each in manager.alerts() if each["labels"]["alert_id"] == one.alert]
    assert "\n" not in shown["labels"]["scope"]
    assert "{{ .Labels }}" in shown["labels"]["scope"]


@given(name=st.text(max_size=60))
def test_no_name_adds_a_label_or_a_key(name: str) -> None:
    scope = NamedScope(Subject.SOURCE, name, AccountId(name))
    one = replace(
        SAMPLES["source-failing"], facts=replace(SAMPLES["source-failing"].facts, scope=scope, name=name, detail=name)
    )
    [alert] = json.loads(_manager("http://localhost").render(one, ""))
    event = json.loads(_pager("https://x").render(one, ""))
    assert set(alert) == {"labels", "annotations", "startsAt"}
    assert set(alert["labels"]) <= {"alertname", "alert_id", "severity", "account", "scope"}
    assert all(char.isprintable() for value in alert["labels"].values() for char in value)
    assert set(event) == {"event_action", "dedup_key", "payload", "client", "links"}
    assert (event["event_action"], event["dedup_key"], event["payload"]["class"]) == ("trigger", one.alert, "source.failing")
    assert event["payload"]["source"]


async def test_a_digest_is_the_alerts_that_it_tells_of(manager: Alertmanager) -> None:
    members = (_now("overdue"), _now("stale"))
    digest = replace(SAMPLES["digest"], facts=replace(SAMPLES["digest"].facts, members=members))
    await _send(_manager(manager.url), digest)
    shown = {one["labels"]["alert_id"] for one in manager.alerts()}
    assert {one.alert for one in members} <= shown


async def test_pagerduty_opens_updates_and_resolves_one_alert() -> None:
    with HttpSink([Reply(202, body=b'{"status":"success"}')]) as sink:
        channel = _pager(sink.url("/v2/enqueue"))
        acknowledged = SAMPLES["overdue"].with_figures(acknowledged=Acknowledgement(SAMPLES["overdue"].alert, "li", NOW))
        for one in (SAMPLES["overdue"], acknowledged, SAMPLES["overdue-resolved"]):
            await _send(channel, one)
        opened, taken, over = (json.loads(request.body) for request in sink.requests)
    key = {"routing_key": KEY, "dedup_key": SAMPLES["overdue"].alert}
    assert taken == {**key, "event_action": "acknowledge"}
    assert over == {**key, "event_action": "resolve"}
    payload = opened.pop("payload")
    assert opened == {
        **key,
        "event_action": "trigger",
        "client": "spendwatch",
        "links": [{"href": url, "text": page.value.replace("_", " ")} for page, url in SAMPLES["overdue"].facts.links],
    }
    details = payload.pop("custom_details")
    assert payload.pop("summary") == details["summary"]
    assert payload == {
        "timestamp": "2026-09-15T10:00:00+08:00",
        "severity": "critical",
        "source": "acme",
        "component": "account",
        "class": "balance.overdue",
    }
    assert "spendwatch explain" in details["text"]
    assert all(isinstance(value, str) for value in details.values())


def test_what_is_stored_of_an_event_holds_no_key_and_fits_the_limits() -> None:
    long = notice(Rule.STALE, replace(SAMPLES["stale"].facts, name="名" * 5000, detail="x" * 100_000), severity=Severity.NOTICE)
    for one in (*SAMPLES.values(), long):
        body = _pager("https://events.pagerduty.com/v2/enqueue").render(one, "")
        event = json.loads(body)
        assert KEY.encode() not in body
        assert len(body) < 512 * 1024
        assert len(event["dedup_key"]) <= 255
        if event["event_action"] == "trigger":
            assert 0 < len(event["payload"]["summary"]) <= 1024
            assert event["payload"]["severity"] in {"critical", "warning", "info"}
            assert event["payload"]["source"]


async def test_what_pagerduty_refuses_is_not_sent_again_and_its_throttle_is_kept() -> None:
    refused = (
        b'{"status":"invalid event","message":"Event object is invalid","errors":["Length of \'routing_key\' is incorrect"]}'
    )
    replies = [Reply(400, body=refused), Reply(429), Reply(429, headers={"retry-after": "30"}), Reply(500)]
    with HttpSink(replies) as sink:
        with pytest.raises(PermanentDeliveryError, match=r"refuses the event: .*routing_key") as invalid:
            await _send(_pager(sink.url()), SAMPLES["overdue"])
        pauses = []
        for _ in range(2):
            with pytest.raises(TemporaryDeliveryError, match="takes no more events") as many:
                await _send(_pager(sink.url()), SAMPLES["overdue"])
            pauses.append(many.value.retry_after)
            assert many.value.of_channel
        with pytest.raises(TemporaryDeliveryError, match="HTTP 500"):
            await _send(_pager(sink.url()), SAMPLES["overdue"])
    assert pauses == [timedelta(minutes=2), timedelta(seconds=30)]
    assert KEY not in str(invalid.value)


@pytest.mark.parametrize(
    ("config", "settings", "why"),
    [
        (AlertmanagerConfig, {"url": "http://a", "labels": {"1x": "y"}}, "pattern"),
        (AlertmanagerConfig, {"url": "http://a", "digest": {"daily": "09:00"}}, "a report is no alert"),
        (PagerDutyConfig, {}, "routing_key_file is missing"),
    ],
)
def test_settings_that_make_no_sense(config: type[AlertmanagerConfig], settings: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        config.model_validate(settings)


def test_a_test_message_is_no_alert_of_that_name() -> None:
    test = replace(SAMPLES["overdue"], reason=Reason.TEST)
    [alert] = json.loads(_manager("http://localhost").render(test, ""))
    assert alert["labels"]["alertname"] == "test"
    assert json.loads(_pager("https://x").render(test, ""))["payload"]["class"] == "test"
