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
        assert "cost CNY 412.80 on Mon 2026-09-14 so far, usually" in home.call("status").stdout
        home.drop([a_line(day="20260914", amount="10.00", time="19:00:00")], exported=home.now + 2 * HOUR)
        home.call("once")
        assert len(home.calls()) == 1
        checked = home.call("check").stdout
        assert "spike 50.00" in " ".join(checked.split())
