"""What people change on the page: acknowledgements, silences, deliveries; by their name, and from our own forms alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from past_month import MonthHome
from servers_http import HttpSink, Reply
from servers_web import WebHouse, web_house
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.policy import ChannelName
from web_scene import furnish, play

HOOK = ChannelName("hook")


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory, shared_reader: ReadingProcess) -> Iterator[WebHouse]:
    """A month whose webhook refuses everything, behind a proxy that names people."""
    with HttpSink() as hook:
        home = MonthHome(tmp_path_factory.mktemp("changes"), hook=hook)
        hook.replies[:] = [Reply(400)]
        furnish(home)
        with web_house(home, shared_reader, ", trusted_proxies: [127.0.0.1/32], user_header: X-User") as found:
            play(found)
            asyncio.run(found.month.app.deliver(HOOK))
            yield found


def alert_of(house: WebHouse, rule: str) -> dict[str, Any]:
    found = house.home.json("alerts")["alerts"]
    return next(one for one in found if one["rule"] == rule)


def form_token(client: httpx.Client, path: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', client.get(path).text)
    assert found
    return found[1]


def test_an_alert_is_acknowledged_by_who_is_signed_in_and_taken_back(house: WebHouse) -> None:
    alert = alert_of(house, "balance.low")
    path = f"/alerts/{alert['id']}"
    with house.client(**{"x-user": "li.wei"}) as client:
        fields = {"form_token": form_token(client, path), "for": "4h", "comment": "paying <b>now</b>"}
        answer = client.post(f"{path}/ack", data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        said = alert_of(house, "balance.low")["acknowledged"]
        assert (said["by"], said["comment"]) == ("li.wei", "paying <b>now</b>")
        assert said["until"] == (house.home.now + timedelta(hours=4)).isoformat(timespec="seconds")
        assert "acknowledged by li.wei" in client.get("/").text, "the overview shows it at once"
        assert "paying &lt;b&gt;now" in client.get(path).text
        audit = house.home.json("ledger", "audit")["audit"]
        assert (audit[0]["actor"], audit[0]["action"]) == ("li.wei", "acknowledge")
        assert client.post(f"{path}/unack", data=fields).status_code == 303
        assert alert_of(house, "balance.low")["acknowledged"] is None
        assert client.post(f"{path}/unack", data=fields).status_code == 409


def test_the_like_of_an_alert_is_silenced_for_a_while(house: WebHouse) -> None:
    alert = next(one for one in house.home.json("alerts")["alerts"] if one["scope"].startswith("workspace:"))
    path = f"/alerts/{alert['id']}"
    with house.client(**{"x-user": "li.wei"}) as client:
        fields = {"form_token": form_token(client, path), "for": "1d"}
        assert client.post(f"{path}/silence", data=fields).status_code == 303
        assert client.post(f"{path}/silence", data={**fields, "for": ""}).status_code == 404, "never without an end"
        assert client.post(f"{path}/silence", data={**fields, "for": "soon"}).status_code == 409
        page = client.get(path).text
        assert re.search(r"Silenced until <time [^>]*>[\d :-]+</time> by li\.wei", page)
        assert "Silenced until" not in client.get(f"/alerts/{alert_of(house, 'balance.low')['id']}").text, "it is about others"
    (silence,) = house.home.json("silence", "list")["silences"]
    assert (silence["author"], silence["rule"]) == ("li.wei", alert["rule"])
    assert (silence["scope"], silence["workspace"]) == (alert["scope"], ""), "no wider than the alert"
    (noted,) = [one for one in house.home.json("ledger", "audit")["audit"] if one["action"] == "silence"]
    assert (noted["actor"], silence["id"] in noted["subject"]) == ("li.wei", True)
    assert silence["ends_at"] == (house.home.now + timedelta(days=1)).isoformat(timespec="seconds")


def test_a_delivery_that_did_not_arrive_is_sent_again(house: WebHouse) -> None:
    listed = house.home.json("deliveries", "list")["deliveries"]
    waits = next(one for one in listed if one["channel"] == HOOK and one["state"] != "delivered")
    with house.client(**{"x-user": "li.wei"}) as client:
        path = f"/deliveries/{waits['id']}/retry"
        assert client.post(path, data={"form_token": form_token(client, "/deliveries")}).status_code == 303
        arrived = next(one for one in listed if one["state"] == "delivered")
        fields = {"form_token": form_token(client, "/deliveries")}
        assert client.post(f"/deliveries/{arrived['id']}/retry", data=fields).status_code == 409, "it arrived already"
        unknown = client.post("/deliveries/0000/retry", data=fields)
        assert (unknown.status_code, "there is no delivery" in unknown.text) == (409, True)
    found = {one["id"]: one for one in house.home.json("deliveries", "list")["deliveries"]}
    assert found[waits["id"]]["state"] == "pending"
    assert found[waits["id"]]["due_at"] == house.home.now.isoformat(timespec="seconds")


def test_nothing_changes_without_our_own_form_nor_by_a_link(house: WebHouse) -> None:
    alert = alert_of(house, "balance.low")
    path = f"/alerts/{alert['id']}"
    with house.client(**{"x-user": "li.wei"}) as client, house.client(**{"x-user": "mallory"}) as other:
        for fields in ({"for": "4h"}, {"form_token": "0" * 64}, {"form_token": form_token(other, path)}):
            assert client.post(f"{path}/ack", data=fields).status_code == 403
        right = {"form_token": form_token(client, path)}
        foreign = {"origin": "https://evil.example"}
        assert client.post(f"{path}/ack", data=right, headers=foreign).status_code == 403
        assert client.get(f"{path}/ack").status_code == 405
        assert client.post(f"{path}/delete", data=right).status_code == 404
        assert client.post("/alerts/zzzz/ack", data=right).status_code == 404
    assert alert_of(house, "balance.low")["acknowledged"] is None


def test_messages_link_to_the_page_of_the_alert_where_it_has_a_public_address(
    tmp_path_factory: pytest.TempPathFactory, shared_reader: ReadingProcess
) -> None:
    with HttpSink() as hook:
        home = MonthHome(tmp_path_factory.mktemp("links"), hook=hook)
        furnish(home)
        with web_house(home, shared_reader, ", public_url: 'https://spend.example.com/'") as found:
            play(found)
            asyncio.run(found.month.app.deliver(HOOK))
        said = home.calls()
    known = {one["id"] for one in home.json("alerts", "--all")["alerts"]}
    links = [one["data"]["links"]["alert"] for one in said]
    assert links
    assert {link.removeprefix("https://spend.example.com/alerts/") for link in links} <= known
