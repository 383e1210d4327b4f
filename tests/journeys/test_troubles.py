from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from bill_builder import AMOUNT, a_line
from home import RESEARCH, Home, lines_worth, today
from servers_http import HttpSink, Reply
from servers_smtp import SmtpSink
from spendwatch.domain.policy import ChannelName
from spendwatch.store.opening import open_database
from spendwatch.store.outbox import Outbox


def test_a_refused_bill_is_set_aside_with_the_reason_and_the_others_are_read(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.drop([a_line(cells={AMOUNT: "12,34.56"})], name="broken.csv")
    home.drop(lines_worth("60"), name="good.csv")
    home.call("once", expect=65)
    why = (home.inbox / "rejected" / "broken.csv.why.txt").read_text()
    for expected in ("broken.csv", "line 2", AMOUNT, "12,34.56"):
        assert expected in why
    assert (home.inbox / "rejected" / "broken.csv").exists()
    assert (home.inbox / "done" / "good.csv").exists()
    told = {call["type"] for call in home.calls()}
    assert told == {"bills.rejected", "spend.threshold_reached"}
    (rejected,) = (call["data"]["text"] for call in home.calls() if call["type"] == "bills.rejected")
    assert f"The file is in {home.inbox / 'rejected'}" in " ".join(rejected.split())
    home.call("once")
    assert len(home.calls()) == 2


def test_a_bill_of_a_strange_account_is_refused_by_name(home: Home) -> None:
    home.furnish()
    home.drop([a_line(account="9999999999999999")], name="strange.csv")
    home.call("once", expect=65)
    why = (home.inbox / "rejected" / "strange.csv.why.txt").read_text()
    for expected in (
        'add it to `accounts` in spendwatch.yaml: NAME: {id: "9999999999999999", site: cn, currency: CNY}',
        "Add the account, or find out why its bill arrived here.",
        "not be read again unless it is moved back",
    ):
        assert expected in why


def test_a_refusal_that_is_mended_ends_its_alert(home: Home) -> None:
    home.furnish()
    path = home.drop([a_line(account="9999999999999999")], name="strange.csv")
    for shown in (home.call("once", "--dry-run", expect=65), home.call("import", str(path), "--dry-run", expect=65)):
        assert "add it to `accounts`" in shown.stdout
        assert "moved back" not in shown.stdout, "nothing was moved"
    home.call("once", expect=65)
    assert _firing(home) == ["bills.rejected"]
    config = home.folder / "spendwatch.yaml"
    text = config.read_text()
    config.write_text(text.replace("sources:", '  other: {id: "9999999999999999", site: cn, currency: CNY}\nsources:', 1))
    (home.inbox / "rejected" / "strange.csv").rename(path)
    home.call("once")
    assert _firing(home) == []


def _firing(home: Home) -> list[str]:
    return [one["rule"] for one in home.json("alerts")["alerts"] if one["state"] == "firing"]


def test_a_failing_receiver_gets_the_same_notification_later_and_another_channel_is_not_held_up(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.hook_answers(500)
    home.drop(lines_worth("60"))
    home.call("once", expect=75)
    assert len(home.mails()) == 1
    (waiting,) = home.json("deliveries", "list", "--state", "deferred")["deliveries"]
    assert waiting["channel"] == "hook"
    for command in (("status",), ("deliveries",), ("explain", waiting["alert"]), ("explain", "--why-not", RESEARCH)):
        done = home.call(*command)
        said = " ".join((done.stdout + done.stderr).split())
        note = (
            r"hook fails since [\d-]+ [\d:]+: .*500.*; next attempt at [\d-]+ [\d:]+; to try now: spendwatch notify-test hook"
        )
        assert re.search(note, said), said
    home.call("deliveries", "retry", waiting["id"][:10])
    home.call("once")
    refused, accepted = home.requests()
    assert refused.body == accepted.body
    ids = [{name.lower(): value for name, value in one.headers.items()}["webhook-id"] for one in (refused, accepted)]
    assert ids[0] == ids[1]
    assert len(home.mails()) == 1


def test_a_receiver_that_is_gone_for_good_is_disabled_and_said_so_by_another_way(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.hook_answers(410)
    home.drop(lines_worth("60"))
    home.call("once", expect=69)
    home.call("once")
    subjects = b"\n".join(line for mail in home.mails() for line in mail.splitlines() if line.lower().startswith(b"subject:"))
    assert len(home.mails()) == 2
    assert b"hook" in subjects
    body = message_from_bytes(home.mails()[-1], policy=policy.default).get_body(("plain",))
    assert body
    assert "the receiver of hook asked for no further messages" in " ".join(body.get_content().split())
    home.drop(lines_worth("30", first=5), exported=today() + timedelta(seconds=2))
    home.call("once", expect=69)
    assert len(home.requests()) == 1
    said = " ".join(home.call("status").stdout.split())
    assert "channel hook is disabled, as its receiver asked; to enable it: spendwatch notify-test hook" in said
    assert "hook is enabled again" in home.call("notify-test", "hook").stdout
    home.drop(lines_worth("20", first=6), exported=today() + timedelta(seconds=3))
    home.call("once")
    assert home.calls()[-1]["data"]["threshold"] == "100%"


def test_a_missing_folder_is_reported_and_picked_up_when_it_appears(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.inbox.rmdir()
    for _ in range(3):
        home.call("once", expect=75)
    assert [call["type"] for call in home.calls()] == ["source.failing"]
    (source,) = home.json("status")["sources"]
    assert source["state"] == "failing"
    home.inbox.mkdir()
    home.drop(lines_worth("60"))
    home.call("once")
    assert {call["type"] for call in home.calls()[1:]} == {"alert.resolved", "spend.threshold_reached"}


def test_what_lies_in_the_inbox_unread_is_said_at_once_with_what_to_do_and_the_rest_is_read(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    (home.inbox / "2026").mkdir()
    home.drop(lines_worth("40")).rename(home.inbox / "2026" / "old.csv")
    home.drop(lines_worth("60", first=2))
    thing = "1 thing there cannot be read: '2026/' (a sub-folder that is not read); set recursive: true, or move the files "
    thing += "up"
    assert f"source inbox: {thing}" in home.call("once", "--dry-run", expect=75).stderr
    assert f"source inbox: {thing}" in home.call("once", expect=75).stderr
    (inbox,) = home.json("status")["sources"]
    assert (inbox["state"], inbox["cause"], inbox["trouble"]) == ("failing", "unread", thing)
    assert {call["type"] for call in home.calls()} == {"source.failing", "spend.threshold_reached"}
    config = home.folder / "spendwatch.yaml"
    config.write_text(config.read_text().replace("poll: 1s", "poll: 1s, recursive: true"))
    home.call("once")
    status = home.json("status")
    assert (status["sources"][0]["state"], status["accounts"][0]["spend"]) == ("ok", "100")


def test_an_inbox_whose_mount_is_gone_is_failing_at_once_and_in_a_dry_run(home: Home) -> None:
    home.furnish()
    home.drop(lines_worth("60"))
    home.call("once")
    home.inbox.rename(home.folder / "elsewhere")
    home.inbox.mkdir()
    for arguments in (["once", "--dry-run"], ["once"]):
        assert f"gone from {home.inbox}: mount it again" in home.call(*arguments, expect=75).stderr
    assert [call["type"] for call in home.calls()] == ["source.failing"]
    home.inbox.rmdir()
    (home.folder / "elsewhere").rename(home.inbox)
    home.call("once")


def test_a_silent_source_is_told_and_a_new_bill_ends_it(home: Home) -> None:
    home.furnish()
    (home.folder / "spendwatch.yaml").write_text(
        (home.folder / "spendwatch.yaml").read_text().replace("settle: 0s", "settle: 0s, stale_after: 1s")
    )
    home.call("once")
    _wait(1.1)
    home.call("once")
    assert [call["type"] for call in home.calls()] == ["bills.stale"]
    assert "STALE" in home.call("status", "--exit-code", expect=4).stdout
    _lengthen(home)
    home.drop(lines_worth("1"))
    home.call("once")
    assert [call["type"] for call in home.calls()] == ["bills.stale", "alert.resolved"]


def _lengthen(home: Home) -> None:
    place = home.folder / "spendwatch.yaml"
    place.write_text(place.read_text().replace("stale_after: 1s", "stale_after: 26h"))


def _wait(seconds: float) -> None:
    subprocess.run(["sleep", str(seconds)], check=True)


def test_a_crash_after_the_ledger_and_before_the_assessment_loses_no_alert(home: Home) -> None:
    home.furnish()
    path = home.drop(lines_worth("60"))
    home.call("import", str(path))
    home.watch(budget="100.00")
    path.unlink()
    assert home.calls() == []
    home.call("once")
    assert [call["type"] for call in home.calls()] == ["spend.threshold_reached"]


def test_a_falling_total_gives_one_correction_and_never_arms_a_threshold_again(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    for number, amount in enumerate(["110", "40", "120", "30", "130"]):
        home.drop(lines_worth(amount), exported=today() + timedelta(seconds=number))
        home.call("once")
    assert [call["type"] for call in home.calls()] == ["spend.threshold_reached", "spend.corrected"]
    correction = home.calls()[1]["data"]
    assert (correction["spend"], correction["threshold"]) == ("40", "100%")


def test_nothing_is_lost_when_the_state_has_no_room(home: Home) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    home.furnish()
    home.watch(budget="100.00")
    var = home.folder / "var"
    var.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=320k", "tmpfs", str(var)], check=True)
    try:
        path = home.drop(lines_worth("0.01", count=6000))
        home.call("once", expect=75)
        assert path.exists()
        subprocess.run(["mount", "-o", "remount,size=64m", str(var)], check=True)
        home.call("once")
        assert home.json("report")["rows"][0]["spend"] == "60"
        assert sqlite3.connect(f"file:{home.state}?mode=ro", uri=True).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        subprocess.run(["umount", "-l", str(var)], check=True)


def test_ten_refused_files_make_one_message(home: Home) -> None:
    home.furnish()
    for number in range(10):
        home.drop([a_line(cells={AMOUNT: f"NaN{number}"})], name=f"broken{number}.csv")
    home.call("once", expect=65)
    (call,) = home.calls()
    assert len(call["data"]["files"]) == 10
    assert len(list((home.inbox / "rejected").glob("*.why.txt"))) == 10


def test_a_daemon_killed_while_a_receiver_hangs_says_it_again_under_the_same_id(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.hook_answers(200, delay=30.0)
    running = home.start()
    home.drop(lines_worth("60"))
    deadline = time.monotonic() + 30
    while not home.requests() and time.monotonic() < deadline:
        _wait(0.05)
    running.kill()
    again = home.start()
    try:
        while len(home.requests()) < 2 and time.monotonic() < deadline + 30:
            _wait(0.05)
    finally:
        again.stop()
    first, second = home.requests()
    assert first.body == second.body
    assert [one["maybe_repeated"] for one in home.json("deliveries", "list")["deliveries"] if one["channel"] == "hook"] == [
        True
    ]
    assert RESEARCH in second.body.decode()


def test_a_reload_breaks_off_nothing_that_is_being_sent(home: Home) -> None:
    home.furnish()
    for number in range(4):
        home.watch(f"llm-{number}", name=f"Team {number}", budget="100.00")
    assert home.hook
    home.hook.replies[:] = [Reply(delay=9)]
    running = home.start()
    try:
        home.drop([line for number in range(4) for line in lines_worth("60", workspace=f"llm-{number}")])
        home.until(lambda: len(home.requests()) >= 2)
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("READY=1")
        home.until(lambda: {one["state"] for one in home.json("deliveries", "list")["deliveries"]} == {"delivered"})
    finally:
        assert running.stop() == 0
    assert len(home.requests()) == 4
    assert "x-spendwatch-maybe-repeated" not in {name.lower() for one in home.requests() for name in one.headers}
    assert "CancelledError" not in running.log()


@pytest.mark.parametrize("table", ["audit", "alert"])
def test_a_damaged_ledger_is_told_past_the_ledger_and_status_does_not_rely_on_it(table: str, home: Home) -> None:
    home.furnish(extra="retention: {originals: 62d}")
    home.watch(budget="100.00")
    home.drop(lines_worth("60"))
    home.call("once")
    with closing(sqlite3.connect(home.state)) as state:
        (page,) = state.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    with home.state.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    running = home.start()
    try:
        home.until(lambda: [call["type"] for call in home.calls()] == ["spend.threshold_reached", "ledger.failing"])
        home.until(lambda: any(b"The ledger of spendwatch cannot be used" in mail for mail in home.mails()))
        if table == "audit":
            home.until(lambda: home.json("status")["daemon"]["trouble"] != "")
            assert "STALE  the ledger is not reliable" in home.call("status", "--exit-code", expect=4).stdout
        else:
            assert "damaged" in home.call("status", expect=75).stderr
    finally:
        running.stop()


def test_a_retry_by_hand_does_what_it_says_or_says_that_it_cannot(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.watch(budget="100.00")
    quiet_home.drop(lines_worth("60"))
    quiet_home.call("once")
    (delivered,) = quiet_home.json("deliveries", "list")["deliveries"]
    assert "is delivered: only a waiting" in quiet_home.call("deliveries", "retry", delivered["id"], expect=2).stderr
    with sqlite3.connect(quiet_home.state) as ledger:
        ledger.execute("UPDATE delivery SET state = 'pending', settled_at = NULL")
    ledger.close()
    database = open_database(str(quiet_home.state))
    try:
        database.lock_for_life()
        (claimed,) = Outbox(database).claim(ChannelName("screen"), today(), 1)
        assert "is being sent now" in quiet_home.call("deliveries", "retry", claimed.id, expect=75).stderr
    finally:
        database.close()
    assert "is due now" in quiet_home.call("deliveries", "retry", claimed.id).stdout
    quiet_home.call("once")
    assert [one["state"] for one in quiet_home.json("deliveries", "list")["deliveries"]] == ["delivered"]


def test_all_that_did_not_arrive_is_retried_or_cancelled_at_once(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00", more="budgets:\n  - {name: key, match: {api_key: '*'}, budget: 100.00}")
    assert home.hook
    home.hook.replies[:] = [Reply(410)]
    home.drop(lines_worth("60"))
    home.call("once", expect=69)
    home.hook_answers(200)
    assert "name one DELIVERY" in home.call("deliveries", "retry", expect=2).stderr
    assert "known are hook, post, screen" in home.call("deliveries", "retry", "--channel", "hok", expect=2).stderr
    assert "No delivery is waiting or dead." in home.call("deliveries", "retry", "--channel", "post").stdout
    assert "2 deliveries are due now" in home.call("deliveries", "retry", "--all").stdout
    home.call("once")
    assert {one["state"] for one in home.json("deliveries")["deliveries"]} == {"delivered"}
    home.hook_answers(503)
    home.drop(lines_worth("20", first=2), exported=today() + timedelta(seconds=2))
    home.call("once", expect=75)
    home.call("deliveries", "cancel", "--all", expect=130)  # nobody answers
    assert "2 deliveries are cancelled" in home.call("deliveries", "cancel", "--channel", "hook", "--yes").stdout
    home.call("once")
    cancelled = home.json("deliveries", "list", "--state", "cancelled")["deliveries"]
    assert [one["channel"] for one in cancelled] == ["hook", "hook"], "the second waited for the first to get through"


def test_what_reached_nobody_is_said_everywhere_and_sent_once_a_way_exists(tmp_path: Path) -> None:
    with SmtpSink(refuse={"finops@example.com": "550 5.1.1 no such user"}) as mail, HttpSink() as hook:
        home = Home(tmp_path, mail)
        home.furnish()
        place = home.folder / "spendwatch.yaml"
        only = place.read_text().replace("  screen: {type: console}\n", "").replace("[screen, post]", "[post]")
        place.write_text(only)
        home.watch(budget="100.00")
        home.drop(lines_worth("60"))
        home.call("once", expect=69)
        home.call("once")  # which notices that a message died
        threshold, failing = sorted(home.json("alerts")["alerts"], key=lambda one: str(one["rule"]), reverse=True)
        assert [(one["undelivered"], one["notified"]) for one in (threshold, failing)] == [(True, 0), (True, 0)]
        assert home.json("status")["deliveries"] == {"pending": 0, "held": 0, "dead": 1}
        assert "UNDELIVERED" in home.call("status").stdout
        assert "undelivered" in home.call("alerts").stdout
        assert "nobody could be notified" in home.call("explain", threshold["id"]).stdout
        assert "none: no channel has a recipient" in home.call("explain", failing["id"]).stdout
        another = f'  hook: {{type: webhook, url: "http://127.0.0.1:{hook.port}/x"}}'
        place.write_text(only.replace("channels:\n  post", f"channels:\n{another}\n  post").replace("[post]", "[post, hook]"))
        home.call("once")
        told = {json.loads(one.body)["type"]: json.loads(one.body)["data"] for one in hook.requests}
        assert told.keys() == {"spend.threshold_reached", "channel.failing"}
        assert told["spend.threshold_reached"]["alert_id"] == threshold["id"]
        assert "nobody could be notified: Research reached 50%" in told["channel.failing"]["detail"]
        assert {one["undelivered"] for one in home.json("alerts")["alerts"]} == {False}
        assert {one["notified"] for one in home.json("alerts")["alerts"]} == {1}


def test_what_died_is_sent_again_once_its_channel_works(home: Home) -> None:
    home.furnish()
    place = home.folder / "spendwatch.yaml"
    place.write_text(place.read_text().replace("[screen, post, hook]", "[hook]"))
    home.watch(budget="100.00")
    home.hook_answers(410)
    home.drop(lines_worth("60"))
    home.call("once", expect=69)
    home.call("once")
    assert [one.body for one in home.requests()][1:] == []
    assert any(b"get through" in mail for mail in home.mails()), "told by a channel that is not meant for operators"
    home.call("notify-test", "hook")
    home.call("once")
    kinds = [json.loads(one.body)["type"] for one in home.requests()]
    assert kinds == ["spend.threshold_reached", "test", "spend.threshold_reached"]
    first, _, second = home.requests()
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


def test_what_waits_for_a_renamed_channel_goes_over_what_the_policy_names_now(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.hook_answers(503)
    home.drop(lines_worth("60"))
    home.call("once", expect=75)
    place = home.folder / "spendwatch.yaml"
    place.write_text(place.read_text().replace("hook:", "pager:").replace(", hook]", ", pager]"))
    (waiting,) = home.json("deliveries", "list", "--state", "deferred")["deliveries"]
    refused = home.call("deliveries", "retry", waiting["id"], expect=2).stderr
    assert "the configuration has no channel 'hook'" in refused
    home.call("once")
    first, *later = home.requests()
    assert [one.headers["webhook-id"] for one in later].count(first.headers["webhook-id"]) == 1
    assert home.json("deliveries", "list", "--state", "dead")["deliveries"] == []
    (turned,) = home.json("deliveries", "list", "--state", "cancelled")["deliveries"]
    assert (
        turned["last_error"]
        == "turned away: the configuration no longer has this channel or recipient; now: screen, post, pager"
    )
    assert not any(json.loads(one.body)["type"] == "channel.failing" for one in later)
    status = home.json("status")
    assert {one["name"]: one["state"] for one in status["channels"]} == {"screen": "ok", "post": "ok", "pager": "ok"}
    assert status["deliveries"]["dead"] == 0
    assert "hook" not in home.call("status").stdout


def test_a_template_that_fails_costs_no_alert_and_its_operators_hear_of_it_once(home: Home) -> None:
    home.furnish(extra="operators: [hook]")
    main, own = home.folder / "spendwatch.yaml", home.folder / "mine.j2"
    main.write_text(
        main.read_text().replace("to: [finops@example.com]", "to: [finops@example.com], templates: {text: mine.j2}")
    )
    own.write_text("Own words\n{{ headlin }}")
    home.watch(budget="100.00")
    running = home.start()
    try:
        home.drop(lines_worth("60"))
        home.until(lambda: bool(home.mails()) and "config.rejected" in {one["type"] for one in home.calls()})
        (told,) = [one["data"] for one in home.calls() if one["type"] == "config.rejected"]
        assert f"{own}:2:1: 'headlin' is undefined" in told["detail"]
        assert "template_failed" in running.log()
        (mail,) = home.mails()
        assert b"This is the built-in text" in mail
        assert b"Research has reached 50%" in mail
        own.write_text("Own words: {{ headline }}")
        running.process.send_signal(signal.SIGHUP)
        home.until(lambda: "alert.resolved" in {one["type"] for one in home.calls()})
        home.drop(lines_worth("90"))
        home.until(lambda: len(home.mails()) == 2)
        assert b"Own words: Research has reached 80%" in home.mails()[1]
        assert [one["type"] for one in home.calls()].count("config.rejected") == 1
    finally:
        assert running.stop() == 0
