"""Storms, quiet hours and silences through the real program: who is told what, when, and how often."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from benchmarks.mornings import mornings
from bill_builder import a_line
from home import ZONE, Home, TimedHome
from servers_http import HttpSink
from servers_smtp import SmtpSink
from spendwatch.app import App
from spendwatch.settings import Settings, load
from spendwatch.state import opened_store

_CHANNEL = "to: [finops@example.com]"
MONTH_OVER = datetime(2026, 10, 5, 9, 1, tzinfo=ZONE)


@pytest.fixture
def timed(tmp_path: Path) -> Iterator[TimedHome]:
    with SmtpSink() as mail, HttpSink() as hook:
        home = TimedHome(tmp_path, mail, hook)
        home.furnish()
        yield home


def keep_quiet(home: Home, more: str) -> None:
    """Add to the mail channel."""
    main = home.folder / "spendwatch.yaml"
    main.write_text(main.read_text().replace(_CHANNEL, f"{_CHANNEL}, {more}"))


def mails(home: Home) -> list[EmailMessage]:
    return [message_from_bytes(content, policy=policy.default) for content in home.mails()]


def text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part
    return str(part.get_content())


def spend(home: TimedHome, amount: str, *workspaces: str, line: str = "") -> None:
    day = home.now.strftime("%Y%m%d")
    places = workspaces or ("llm-demo0a1b2c3d4e",)
    lines = [a_line(line_id=f"{line}{place}", day=day, amount=amount, workspace=place, time="00:00:00") for place in places]
    home.drop(lines, exported=home.now)


def test_forty_workspaces_in_one_bill_are_one_mail_and_each_alert_for_a_program(timed: TimedHome) -> None:
    names = [f"llm-{number:012d}" for number in range(40)]
    for number, name in enumerate(names):
        timed.watch(name, budget="10.00", name=f"Team{number:02}")
    spend(timed, "9.00", *names[:39], line="a")
    timed.call("once")
    (mail,) = mails(timed)
    assert str(mail["Subject"]).startswith("[Warning] 39 messages: Team00 has reached 80%")
    assert mail["X-Spendwatch-Type"] == "alerts.digest"
    body = text(mail)
    firing = timed.json("alerts")["alerts"]
    for number in range(39):
        assert f"Team{number:02} has reached 80%" in body
    told = {one["id"][:8] for one in firing if "80%" in one["summary"]}
    assert len(told) == 39
    assert told <= set(re.findall(r"\b[0-9a-f]{8}\b", body))
    assert [call["type"] for call in timed.calls()] == ["spend.threshold_reached"] * 39
    assert {one["undelivered"] for one in firing} == {False}
    assert {one["notified"] for one in firing} == {0, 3}
    assert timed.json("deliveries", "list", "--limit", "500")["deliveries"][0]["state"] == "delivered"
    shown = timed.call("explain", next(iter(told))).stdout
    assert "sent in a digest" in shown
    timed.call("once")
    assert len(timed.mails()) == 1


def test_what_is_due_at_night_comes_in_the_morning_once_and_says_so(timed: TimedHome) -> None:
    keep_quiet(timed, 'quiet_hours: {from: "22:00", to: "08:00", except: [critical]}')
    timed.watch(budget="100.00")
    timed.at("2026-09-16T23:10:00")
    spend(timed, "85.00")
    timed.call("once")
    assert (len(timed.mails()), len(timed.calls())) == (0, 1)
    (held,) = timed.json("status")["held"]
    assert (held["channel"], held["why"], held["until"]) == ("post", "quiet_hours", "2026-09-17T08:00:00+08:00")
    status = timed.call("status").stdout
    assert "1 message held by quiet hours of post until" in status
    assert "quiet from 22:00 to 08:00 (Asia/Shanghai), except critical and overdue" in timed.call("check").stdout
    timed.at("2026-09-17T07:59:00")
    timed.call("once")
    assert timed.mails() == []
    timed.at("2026-09-17T08:01:00")
    timed.call("once")
    timed.call("once")
    (mail,) = mails(timed)
    assert "LATE: this message was held by quiet hours from 2026-09-16 23:10 to 2026-09-17 08:01" in " ".join(
        text(mail).split()
    )
    assert "Research" in str(mail["Subject"])
    assert timed.json("status")["held"] == []
    # What is critical passes.
    timed.at("2026-09-17T23:10:00")
    spend(timed, "20.00", line="b")
    timed.call("once")
    assert [str(one["Subject"])[:10] for one in mails(timed)][1:] == ["[Critical]"]


def test_what_a_pause_keeps_until_the_night_waits_for_the_morning_and_says_when_it_is_tried(timed: TimedHome) -> None:
    main = timed.folder / "spendwatch.yaml"
    quiet = 'secret_file: hook-secret, quiet_hours: {from: "22:00", to: "08:00"}'
    main.write_text(main.read_text().replace("secret_file: hook-secret", quiet))
    timed.watch(budget="100.00")
    timed.at("2026-09-16T21:50:00")
    timed.hook_answers(503)
    spend(timed, "85.00")
    timed.call("once", expect=75)
    (hook,) = [one for one in timed.json("status")["channels"] if one["name"] == "hook"]
    assert (hook["state"], hook["reason"]) == ("paused", "HTTP 503")
    assert hook["failing_since"] < hook["paused_until"] < "2026-09-16T21:51"
    timed.at("2026-09-16T22:30:00")
    timed.call("once")
    assert len(timed.requests()) == 1
    (waiting,) = timed.json("deliveries", "list", "--state", "deferred")["deliveries"]
    assert waiting["next_attempt_at"] == "2026-09-17T08:00:00+08:00"
    assert "2026-09-17 08:00" in timed.call("deliveries").stdout
    status = timed.call("status").stdout
    assert "1 message waiting" in status
    assert "stuck" not in status
    retried = timed.call("deliveries", "retry", waiting["id"]).stdout
    assert "is sent after quiet hours, at 2026-09-17 08:00" in " ".join(retried.split())
    timed.call("once")
    assert len(timed.requests()) == 1
    timed.at("2026-09-17T08:00:01")
    timed.call("once")
    first, second = timed.requests()
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert {one["state"] for one in timed.json("status")["channels"]} == {"ok"}


def test_a_silence_holds_what_it_names_and_ends(timed: TimedHome) -> None:
    timed.watch(budget="100.00")
    timed.watch("llm-demo5f6a7b8c9d", budget="100.00", name="Training")
    timed.at("2026-09-16T10:00:00")
    refused = {
        (): "name what to silence",
        ("--workspace", "llm-*"): "say when it ends",
        ("--workspace", "llm-*", "--for", "91d"): "is more than 90 days away",
        ("--workspace", "llm-*", "--until", "2026-09-16T09:00"): "is not in the future",
        ("--rule", "spend.forcast", "--for", "1h"): "did you mean 'spend.forecast'?",
        ("--account", "acne", "--for", "1h"): "did you mean 'acme'?",
        ("--tag", "team", "--for", "1h"): "write it like team=search",
    }
    for arguments, why in refused.items():
        assert why in timed.call("silence", "add", *arguments, expect=2).stderr
    timed.call("once")
    made = timed.call("silence", "add", "--workspace", "Research", "--for", "4h", "--comment", "moving", "--by", "li").stdout
    number = made.split()[1]
    spend(timed, "85.00", "llm-demo0a1b2c3d4e", "llm-demo5f6a7b8c9d")
    timed.call("once")
    assert [call["data"]["name"] for call in timed.calls()] == ["Training"]
    assert ["Training" in str(one["Subject"]) for one in mails(timed)] == [True]
    (one,) = timed.json("silence")["silences"]
    assert (one["id"], one["author"], one["comment"], one["workspace"], one["held"]) == (number, "li", "moving", "Research", 3)
    assert one["ends_at"] == "2026-09-16T14:00:00+08:00"
    assert f"3 messages held by silence {number} until" in timed.call("status").stdout
    alert = next(
        one["id"] for one in timed.json("alerts")["alerts"] if "Research" in one["summary"] and "80%" in one["summary"]
    )
    assert f"post: held by silence {number} from" in timed.call("explain", alert).stdout
    timed.call("silence", "expire", number)
    timed.at("2026-09-16T11:00:00")
    assert "ended at" in timed.call("silence", "expire", number, expect=2).stderr
    timed.call("once")
    assert [call["data"]["name"] for call in timed.calls()] == ["Training", "Research"]
    assert timed.calls()[1]["data"]["held_by"] == "silence"
    assert len(timed.mails()) == 2
    assert timed.json("silence")["silences"] == []
    ended, made = (one for one in timed.json("ledger", "audit")["audit"] if "silence" in one["action"])
    assert (made["action"], made["actor"], made["detail"]) == ("silence", "li", "until 2026-09-16 14:00: moving")
    assert (ended["action"], ended["subject"]) == ("end silence", f"{number} workspace=Research")
    assert "2026-09-16 10:00" in timed.call("silence", "list", "--all").stdout
    assert "held by silence" in timed.call("explain", alert).stdout
    misspelt = timed.call("silence", "add", "--workspace", "Reserch", "--for", "4h")
    assert "note: no workspace file has an id or name like 'Reserch'" in misspelt.stderr


def test_the_exports_of_a_morning_are_at_most_two_mails_and_nothing_is_missed(tmp_path: Path) -> None:
    found = mornings(tmp_path, workspaces=9, keys=2, days=3)
    assert max(one.mails for one in found) <= 2
    assert sum(one.begun for one in found) > 10
    assert [one.missed for one in found] == [0, 0, 0]


def monthly_report(timed: TimedHome, change: Callable[[Settings], Settings]) -> EmailMessage:
    """Return the report that a program sends whose settings are no longer those in the files."""
    keep_quiet(timed, 'digest: {monthly: "5 09:00"}')
    timed.watch(budget="100.00")
    timed.at("2026-09-20T22:00:00")
    spend(timed, "42.50", "llm-demo0a1b2c3d4e", line="1")
    settings = change(load(timed.folder))
    with opened_store(settings) as store, closing(App(settings, store, clock=lambda: MONTH_OVER)) as app:
        asyncio.run(app.once())
    (monthly,) = mails(timed)
    return monthly


def test_a_page_that_cannot_be_made_holds_up_no_report_and_why_is_logged(timed: TimedHome) -> None:
    with capture_logs() as logged:
        monthly = monthly_report(timed, lambda settings: replace(settings, place=timed.folder / "gone"))
    assert [one.get_filename() for one in monthly.iter_attachments()] == ["spendwatch-2026-09.csv"]
    (failed,) = (one for one in logged if one["event"] == "report_page_failed")
    assert "gone" in failed["why"]


def test_the_page_is_of_the_ledger_in_use_though_the_file_names_another_by_now(timed: TimedHome) -> None:
    def name_another(settings: Settings) -> Settings:
        main = timed.folder / "spendwatch.yaml"
        main.write_text(f"state: elsewhere/other.db\n{main.read_text()}")
        return settings

    _, page = monthly_report(timed, name_another).iter_attachments()
    shown = str(page.get_content())
    assert "42.50" in shown
    assert "daemon" not in shown, "none runs"


def test_reports_come_once_at_their_time_the_monthly_one_with_final_figures_and_a_table(timed: TimedHome) -> None:
    keep_quiet(timed, 'digest: {daily: "09:00", weekly: "mon 10:00", monthly: "0 9 5 * *"}')
    timed.watch(budget="100.00", more="thresholds: [200.00]")
    shown = timed.call("check").stdout
    assert "post: daily report at 09:00" in shown
    assert "post: monthly report of the month before by cron (0 9 5 * *)" in shown
    timed.at("2026-09-20T22:00:00")
    timed.drop([a_line(line_id="august", day="20260820", amount="1.00")], exported=timed.now)
    timed.at("2026-09-20T23:00:00")
    spend(timed, "42.50", "llm-demo0a1b2c3d4e", line="=1+1;")
    timed.call("once")
    first = mails(timed)
    assert [one["X-Spendwatch-Type"] for one in first] == ["report.daily"]
    assert "CNY 42.50" in text(first[0])  # not of a moment between two bills of one import
    timed.at("2026-10-05T09:01:00")  # a Monday, before ten
    spend(timed, "7.00", "llm-demo0a1b2c3d4e", line="2")
    timed.call("once")
    timed.call("once")
    monthly, daily = sorted(mails(timed)[1:], key=lambda mail: str(mail["X-Spendwatch-Type"]), reverse=True)
    assert (monthly["X-Spendwatch-Type"], daily["X-Spendwatch-Type"]) == ("report.monthly", "report.daily")
    assert "September 2026" in str(monthly["Subject"])
    assert "CNY 42.50" in text(monthly)
    assert "not final" not in text(monthly)
    assert ["October 2026" in text(daily), "September 2026" in text(daily), "CNY 7.00" in text(daily)] == [True] * 3
    assert "not final" not in text(daily)
    table, page = monthly.iter_attachments()
    assert page.get_filename() == "spendwatch-2026-09.html"
    shown = str(page.get_content())
    assert all(word in shown for word in ("September 2026", "42.50", "<svg"))
    assert not any(word in shown for word in ("<script", "http:", "https:"))
    assert table.get_filename() == "spendwatch-2026-09.csv"
    rows = str(table.get_content()).splitlines()
    assert rows[0] == "account,account_name,workspace,workspace_name,model,currency,spend,lines"
    assert rows[1].endswith(",acme,llm-demo0a1b2c3d4e,Research,qwen3.6-plus,CNY,42.5,1")
    assert list(daily.iter_attachments()) == []
    # Down at its time, it comes when the program is there again, but not a day late.
    timed.at("2026-10-06T20:00:00")
    timed.call("once")
    assert reports(timed)[3:] == ["report.daily"]
    timed.at("2026-10-14T08:30:00")
    timed.call("once")
    assert reports(timed)[4:] == ["report.daily"]


def reports(home: Home) -> list[str]:
    return [found for mail in mails(home) if (found := str(mail["X-Spendwatch-Type"])).startswith("report.")]
