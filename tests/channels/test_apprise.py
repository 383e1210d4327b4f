"""Services that the package apprise knows: here its plain JSON one, on a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from notices import SAMPLES, ZONE, delivery
from servers_http import Fault, HttpSink, Reply
from spendwatch.channels.apprise import AppriseChannel
from spendwatch.channels.apprise_settings import AppriseConfig
from spendwatch.domain.errors import TemporaryDeliveryError
from spendwatch.domain.notification import Notification

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")]


def _channel(url: str, **settings: object) -> AppriseChannel:
    return AppriseChannel(AppriseConfig.model_validate({"url": url, **settings}), "rest", zone=ZONE)


async def _send(channel: AppriseChannel, one: Notification) -> str:
    return await channel.send(delivery(one, "", channel.render(one, "")))


async def test_subject_and_text_arrive_and_it_says_how_little_is_known() -> None:
    with HttpSink() as sink:
        said = await _send(_channel(f"json://127.0.0.1:{sink.port}/spend"), SAMPLES["overdue"])
        (request,) = sink.requests
    body = json.loads(request.body)
    assert body["title"] == "[Critical] acme is overdue by CNY 110.83"
    assert "spendwatch explain" in body["message"]
    assert said == "apprise reports success; it does not say what the service answered"


async def test_names_from_bills_mention_nobody() -> None:
    hostile = replace(SAMPLES["threshold"], facts=replace(SAMPLES["threshold"].facts, name="@everyone <!channel> **x** `y`"))
    with HttpSink() as sink:
        await _send(_channel(f"json://127.0.0.1:{sink.port}/"), hostile)
        (request,) = sink.requests
    message = json.loads(request.body)["message"]
    assert "＠everyone ＜!channel＞" in message
    assert not set(message) & set("@<>*`")


async def test_a_failure_is_tried_again_and_shows_no_secret() -> None:
    with HttpSink([Reply(500)]) as sink, pytest.raises(TemporaryDeliveryError, match="reports a failure") as failed:
        await _send(_channel(f"json://user:hunter2@127.0.0.1:{sink.port}/token"), SAMPLES["overdue"])
    assert failed.value.of_channel
    assert "hunter2" not in str(failed.value)


async def test_an_address_that_it_does_not_know_is_told_without_being_shown() -> None:
    with pytest.raises(TemporaryDeliveryError, match="does not know this form of address") as unknown:
        await _send(_channel("nosuchservice://hunter2"), SAMPLES["overdue"])
    assert "hunter2" not in str(unknown.value)


async def test_a_service_that_hangs_holds_nobody_up() -> None:
    with HttpSink([Reply(fault=Fault.SILENT)]) as sink, pytest.raises(TemporaryDeliveryError, match="within 1 s") as late:
        await _send(_channel(f"json://127.0.0.1:{sink.port}/", timeout="1s"), SAMPLES["overdue"])
    assert late.value.maybe_taken


def test_without_its_extra_it_is_refused_with_the_line_that_installs_it() -> None:
    script = (
        "import importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name: None if name == 'apprise' else real(name)\n"
        "from spendwatch.channels.apprise_settings import AppriseConfig\n"
        "AppriseConfig.model_validate({'url': 'json://x'})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "needs the package apprise: pip install 'spendwatch[apprise]'" in done.stderr
