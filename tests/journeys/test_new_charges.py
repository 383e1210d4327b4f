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


def test_the_end_of_a_free_quota_is_told_by_webhook(tmp_path: Path) -> None:
    free = [a_line(day="20260914", charge="免费额度", amount="0", usage="0", model="qwen-max")]
    paid = [a_line(day=day, amount="6", model="qwen-max") for day in ("20260915", "20260916")]
    with HttpSink() as hook:
        home = TimedHome(tmp_path, None, hook)
        home.furnish(account=", free_quota: true")
        home.at("2026-09-15T10:00")
        home.drop([*free, a_line(day="20260914", amount="1")], exported=home.now)
        home.call("once")
        home.at("2026-09-16T10:00")
        home.drop(paid, exported=home.now)
        home.call("once")
        home.at("2026-09-16T11:00")
        home.call("once")
        (call,) = home.calls()
        shown = home.json("explain", call["data"]["alert_id"])
    [model] = call["data"]["first_costs"]
    assert (call["type"], model["value"], model["spend"], model["since"]) == (
        "spend.free_quota_ended",
        "qwen-max",
        "12",
        "2026-09-15",
    )
    assert [one["spend"] for one in shown["now"]["first_costs"]] == ["12"]


def test_a_plan_is_told_when_it_is_ordered_and_before_it_ends(tmp_path: Path) -> None:
    order = a_line(
        day="20260911",
        charge="订阅预付费用",
        trade="新购",
        commodity="sfm_codingplan_public_cn",
        item="plan",
        instance="cp-1",
        amount="200",
        until="2026-10-11 00:00:00",
    )
    with HttpSink() as hook:
        home = TimedHome(tmp_path, None, hook)
        home.furnish(account=", plans: 7d", stale_after="90d")
        home.at("2026-09-11T10:00")
        home.drop([a_line(day="20260910")], exported=home.now)
        home.call("once")
        home.at("2026-09-11T12:00")
        home.drop([order], exported=home.now)
        home.call("once")
        home.at("2026-10-05T12:00")
        home.call("once")
        ordered, ends = home.calls()
        shown = home.call("explain", ends["data"]["alert_id"]).stdout
        status = home.call("status").stdout
        rows = home.json("report", "--month", "2026-09", "--by", "ends,region", "--where", "commodity=*codingplan*")["rows"]
    [plan] = ordered["data"]["plan_orders"]
    assert (ordered["type"], plan["category"], plan["spend"], plan["ends"]) == (
        "plan.ordered",
        "Coding Plan",
        "200",
        "2026-10-11 00:00",
    )
    assert (ends["type"], ends["data"]["plan_orders"][0]["ordered_on"]) == ("plan.ends", "2026-09-11")
    assert "Coding Plan (sfm_codingplan_public_cn) until 2026-10-11 00:00" in shown
    assert "ends soon" in status
    assert [(row["ends"], row["region"], row["spend"]) for row in rows] == [("2026-10-11 00:00", "cn-beijing", "200")]
