"""An unusual day in the real program: from the bill to mail and webhook, and what the commands say of it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from bill_builder import a_line
from home import RESEARCH, TimedHome
from servers_http import HttpSink
from servers_smtp import SmtpSink

HOUR = timedelta(hours=1)
FIRST, WEEK = date(2026, 8, 17), ("100", "104", "98", "101", "97", "30", "29")


def test_an_unusual_day_goes_from_the_bill_to_people_and_can_be_explained(tmp_path: Path) -> None:
    with SmtpSink() as mail, HttpSink() as hook:
        home = TimedHome(tmp_path, mail, hook)
        home.furnish(account=", spike: {min: 100.00}")
        path = home.watch(more="spike: 50.00\nbudgets:\n  - {name: each key, for_each: api_key, spike: 20.00}")
        path.write_text(path.read_text().replace("budget: 100.00\n", ""))
        home.at("2026-09-14T20:00")
        days = [((FIRST + timedelta(days=number)).strftime("%Y%m%d"), amount) for number, amount in enumerate(WEEK * 4)]
        home.drop([a_line(day=day, amount=amount, time="10:00:00") for day, amount in days], exported=home.now)
        home.drop([a_line(day="20260914", amount="412.80", time="18:00:00", model="qwen-max")], exported=home.now + HOUR)
        home.call("once")
        (call,) = home.calls()
        assert call["type"] == "spend.spike"
        spike = call["data"]["spike"]
        assert (spike["day"], spike["spend"], spike["complete"], spike["min"]) == ("2026-09-14", "412.8", False, "20")
        assert 70 < float(spike["usual_low"]) < 100 < float(spike["usual_high"]) < 150
        assert (call["data"]["scope"], call["data"]["threshold"], call["data"]["currency"]) == (
            f"workspace:{RESEARCH}/each key/1200345",
            None,
            "CNY",
        )
        assert [one["name"] for one in spike["also"]] == ["acme", "Research"]
        assert call["data"]["growth"][0]["recent"] == "412.8"
        assert len(home.mails()) == 1
        listed = home.json("alerts")["alerts"]
        assert {one["rule"] for one in listed} == {"spend.spike"}
        told = next(one for one in listed if one["scope"] == f"workspace:{RESEARCH}")
        shown = home.call("explain", told["id"]).stdout
        assert "Cost of 2026-09-14" in shown
        assert "Usual band" in shown
        assert f"Research (workspace:{RESEARCH})" in shown
        assert "covered by another alert of that day" in shown
        assert "at least CNY 50.00 above its usual band" in shown
        status = home.call("status").stdout
        assert "cost CNY 412.80 on Mon 2026-09-14 so far, usually" in status
        assert status.count("cost CNY 412.80") == 1
        assert "and 2 more" in " ".join(status.split())
        home.drop([a_line(day="20260914", amount="10.00", time="19:00:00")], exported=home.now + 2 * HOUR)
        home.call("once")
        assert len(home.calls()) == 1
        points = {one["at"]: one for part in home.json("explain", "--why-not", "Research")["watched"] for one in part["points"]}
        assert (points["spike 50.00"]["state"], points["spike 50.00"]["rule"]) == ("sent", "spend.spike")
        assert "cost CNY 412.80" in points["spike 50.00"]["why"]
        home.at("2026-09-16T20:00")
        home.call("once")
        points = {one["at"]: one for part in home.json("explain", "--why-not", "Research")["watched"] for one in part["points"]}
        assert "2026-09-12 cost CNY 30.00, usually CNY" in points["spike 50.00"]["why"]
        checked = home.call("check").stdout
        assert "spike 50.00" in " ".join(checked.split())


def test_the_final_figures_of_a_month_go_to_people_once_and_can_be_explained(tmp_path: Path) -> None:
    with SmtpSink() as mail, HttpSink() as hook:
        home = TimedHome(tmp_path, mail, hook)
        home.furnish(account=", budget: 5000.00, thresholds: [], month_closed: [hook, post]", stale_after="9d")
        home.watch(budget="4000.00", more="thresholds: []")
        home.at("2026-10-02T12:00")
        days = [(date(2026, 8, 1) + timedelta(days=number)).strftime("%Y%m%d") for number in range(62)]
        for month in ("202608", "202609", "202610"):
            home.drop(
                [a_line(day=day, amount="100.00", time="10:00:00") for day in days if day.startswith(month)],
                exported=home.now + timedelta(minutes=int(month[-1])),
            )
        home.call("once")
        assert home.calls() == []
        home.at("2026-10-05T00:30")
        home.call("once")
        (call,) = home.calls()
        closed, data = call["data"]["closed"], call["data"]
        assert (call["type"], data["month"], data["spend"], data["budget"]) == ("month.closed", "2026-09", "3000", "5000")
        assert [(one["name"], one["spend"], one["before"]) for one in closed["figures"]] == [
            ("acme", "3000", "3100"),
            ("Research", "3000", "3100"),
        ]
        assert [(one["through"], one["likely"]) for one in closed["forecasts"]] == [
            ("2026-09-10", "3000"),
            ("2026-09-20", "3000"),
        ]
        assert b"September 2026 of acme is final" in home.mails()[0]
        home.call("once")
        assert (len(home.calls()), len(home.mails())) == (1, 1)
        (listed,) = home.json("alerts")["alerts"]
        assert listed["rule"] == "month.closed"
        assert "2026-09 of acme is final: CNY 3,000.00 of CNY 5,000.00" in home.call("explain", listed["id"]).stdout
        assert "its final figures" in home.call("check").stdout
