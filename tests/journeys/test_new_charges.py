"""First costs: from a bill to the message."""

from __future__ import annotations

from pathlib import Path

from bill_builder import a_line
from home import RESEARCH, TimedHome
from servers_http import HttpSink
from servers_smtp import SmtpSink


def test_web_search_that_nobody_expected_is_told_by_name(tmp_path: Path) -> None:
    usual = [a_line(day=f"202609{day:02d}", amount="2") for day in range(10, 17)]
    searched = a_line(day="20260917", amount="3.2", model="", item="enable_search", commodity="sfm_websearch_public_cn")
    with SmtpSink() as mail, HttpSink() as hook:
        home = TimedHome(tmp_path, mail, hook)
        home.furnish(account=", first: [item, commodity, model, api_key]", extra='names: {api_keys: {"1200345": chatbot}}')
        home.watch(budget="1000.00")
        home.at("2026-09-17T10:00")
        august = [a_line(day="20260820", month="202608", amount="1", model="qwen-max", api_key="77")]
        home.drop(august, exported=home.now.replace(day=1))
        home.drop(usual, exported=home.now)
        home.call("once")
        assert home.calls() == []
        home.at("2026-09-17T12:00")
        home.drop([*usual, searched, a_line(day="20260917", amount="1", model="qwen-max", api_key="77")], exported=home.now)
        home.call("once")
        home.call("once")
        (call,) = home.calls()
        (letter,) = home.mails()
        shown = home.call("explain", call["data"]["alert_id"]).stdout
        status = home.call("status").stdout
        explained = home.json("explain", call["data"]["alert_id"])
        checked = home.call("check").stdout
    assert call["type"] == "spend.first_cost"
    item, commodity = call["data"]["first_costs"]
    assert (item["value"], item["category"], item["since"], item["spend"]) == (
        "enable_search",
        "web search",
        "2026-09-17",
        "3.2",
    )
    assert [(part["dimension"], part["name"]) for part in item["by"]] == [("api_key", "chatbot"), ("workspace", "Research")]
    assert commodity["value"] == "sfm_websearch_public_cn"
    assert "First charge in acme: Web search (item enable_search) CNY 3.20" in letter.decode()
    assert "item enable_search  CNY 3.20 since 2026-09-17  CNY 3.20 since 2026-09-17" in shown
    assert [one["value"] for one in explained["now"]["first_costs"]] == ["enable_search"]
    assert "first cost of web search (item enable_search): CNY 3.20" in status
    assert "first cost" in checked
    assert RESEARCH in item["by"][1]["value"]
