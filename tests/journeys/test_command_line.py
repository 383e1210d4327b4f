from __future__ import annotations

import csv
import io
import json
import os
import pwd
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bill_builder import a_bill
from home import RESEARCH, TRAINING, Home, lines_worth, this_month
from servers_http import HttpSink, Reply
from terminal import Terminal

COMMANDS = (
    "demo",
    "init",
    "check",
    "run",
    "once",
    "import",
    "status",
    "report",
    "balance",
    "alerts",
    "ack",
    "explain",
    "deliveries",
    "schema",
)


def test_help_names_every_command_with_what_it_does(quiet_home: Home) -> None:
    shown = quiet_home.call("--help").stdout
    for command in COMMANDS:
        assert f"  {command}" in shown
        described = quiet_home.call(command, "--help").stdout
        assert described.startswith("Usage: ")
        assert "..." not in described.partition("\nCommands:")[2]
    assert "  75 try again, 77 credentials, 78 configuration, 130 interrupted.\n" in shown
    assert "\\b" not in shown


def test_help_loads_nothing_heavy() -> None:
    script = """
import sys
import spendwatch.__main__
from spendwatch.cli import main
sys.argv = ["spendwatch", "--help"]
try:
    main()
except SystemExit:
    pass
heavy = {"pydantic", "sqlalchemy", "httpx", "polars", "rich", "jinja2", "structlog"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", ["status", "check", "explain --why-not account"])
def test_what_a_command_does_not_need_is_not_loaded(quiet_home: Home, command: str) -> None:
    quiet_home.furnish()
    quiet_home.watch()
    quiet_home.drop(lines_worth("85"))
    quiet_home.call("once")
    script = """
import sys
from spendwatch.cli import main
try:
    main()
except SystemExit:
    pass
modules = "alembic httpx aiosmtplib apscheduler polars jinja2 structlog pygments psycopg openpyxl sqlalchemy.orm rich.markdown"
standard = "asyncio importlib.metadata dotenv email.message ssl xml.etree multiprocessing"
print(sorted({*modules.split(), *standard.split()} & set(sys.modules)), file=sys.stderr)
"""
    arguments = ["--config", str(quiet_home.folder), *command.split()]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_status_loads_the_settings_of_what_is_configured_alone_and_nothing_that_messages_need(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.call("once")
    script = """
import sys
from spendwatch.cli import main
try:
    main()
except SystemExit:
    pass
print(*sorted(name for name in sys.modules if name.startswith("spendwatch.") and name.endswith("settings")), file=sys.stderr)
others = {"spendwatch.connection", "spendwatch.jobs.spend_report", "tempfile", "difflib", "getpass"}
speaking = "causes forecast_alerts month_close notification plans report review routing spike thresholds"
others |= {f"spendwatch.domain.{name}" for name in speaking.split()}
print(*sorted(others & set(sys.modules)), file=sys.stderr)
"""
    arguments = ["--config", str(quiet_home.folder), "status"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    *_, loaded, others = done.stderr.splitlines()
    assert [name.removeprefix("spendwatch.") for name in loaded.split()] == [
        "channels.console_settings",
        "channels.route_settings",
        "settings",
        "sources.folder.settings",
        "sources.shared_settings",
    ]
    assert others == ""


def test_a_command_ends_at_once_with_its_code_what_it_wrote_and_what_was_to_be_done_at_the_end() -> None:
    script = """
import atexit, sys
from spendwatch.__main__ import run

class Kept:
    def __del__(self):
        sys.__stderr__.write("taken apart")

kept = Kept()
atexit.register(print, "done at the end")
sys.argv = ["spendwatch", "statsu"]
run()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "done at the end\n")
    assert "Did you mean 'status'?" in done.stderr
    assert "taken apart" not in done.stderr


def test_the_daemon_does_not_load_what_draws_on_terminals_and_logs_tracebacks_all_the_same() -> None:
    script = """
import sys
import spendwatch.cli.work, spendwatch.app, spendwatch.schedule, spendwatch.outgoing
from spendwatch.logs import configure
import structlog
print(sorted({"rich", "pygments", "polars"} & set(sys.modules)))
configure("console")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("told")
import rich.console
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "[]"
    assert "ZeroDivisionError: division by zero" in done.stdout + done.stderr


def test_a_mistyped_command_is_answered_with_the_nearest_one(quiet_home: Home) -> None:
    assert "Did you mean 'status'?" in quiet_home.call("statsu", expect=2).stderr


def test_init_writes_a_configuration_without_mistakes_and_overwrites_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "config")
    subprocess.run([sys.executable, "-m", "spendwatch", "init", str(home.folder)], check=True, capture_output=True)
    assert "(1 account, 1 workspace, " in home.call("check").stdout
    again = subprocess.run(
        [sys.executable, "-m", "spendwatch", "init", str(home.folder)], check=False, capture_output=True, text=True
    )
    assert again.returncode == 78
    assert "already exists" in again.stderr


READING = (
    ("status",),
    ("report",),
    ("balance",),
    ("alerts",),
    ("deliveries", "list"),
    ("ledger", "list"),
    ("ledger", "audit"),
    ("export", "focus"),
    ("notify-test",),
)


@pytest.mark.parametrize("option", ["--config", "-c"])
def test_the_configuration_is_named_before_or_behind_a_command(quiet_home: Home, tmp_path: Path, option: str) -> None:
    quiet_home.furnish()
    quiet_home.call("once")
    elsewhere, place = Home(tmp_path / "nowhere"), str(quiet_home.folder)
    assert elsewhere.call("status", expect=78).stdout == ""
    elsewhere.call("check", option, place)
    for command in (("status",), ("ledger",), ("ledger", "list"), ("deliveries", "list", "--json")):
        assert elsewhere.call(*command, option, place).stderr == ""
    assert elsewhere.call("ledger", option, place, "list").stderr == ""
    assert "-c, --config" in quiet_home.call("ledger", "verify", "--help").stdout


SHOWING = (
    ("status",),
    ("report",),
    ("alerts", "--all"),
    ("balance",),
    ("ledger",),
    ("ledger", "list"),
    ("ledger", "audit"),
    ("ledger", "verify"),
    ("deliveries",),
    ("deliveries", "list"),
    ("check",),
    ("once", "--dry-run"),
    ("notify-test",),
)
A_MOMENT = re.compile(r'"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][^"]*"')
OUR_MOMENT = re.compile(r'"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+08:00"')


def test_every_command_that_shows_facts_knows_json_and_all_moments_look_alike(home: Home) -> None:
    home.furnish(account=", balance: {from: manual, cash: 100.00, floors: [90.00]}")
    home.watch(budget="100.00")
    home.drop(lines_worth("60"))
    home.call("once")
    removed = home.drop(lines_worth("30", first=2))
    imported = home.call("import", str(removed), "--json").stdout
    home.call("ledger", "remove", json.loads(imported)["files"][0]["statement"], "--yes")
    texts = [imported, *(json.dumps(call) for call in home.calls())]
    for command in SHOWING:
        texts.append(home.call(*command, "--json").stdout)
        assert json.loads(texts[-1])["schema_version"] == 1, command
    moments = [moment for text in texts for moment in A_MOMENT.findall(text)]
    assert len(moments) > 20
    assert [moment for moment in moments if not OUR_MOMENT.fullmatch(moment)] == []


def test_a_rehearsed_round_as_json_says_what_would_be_recorded_and_sent(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    bill, _ = home.drop(lines_worth("60")), home.put("strange.csv", b"a,b\n1,2\n")
    told = home.json("once", "--dry-run", expect=65)
    files = {one["file"]: one for one in told["files"]}
    assert (files[bill.name]["state"], files[bill.name]["lines"]) == ("entered", 1)
    assert (files["strange.csv"]["state"], "header" in files["strange.csv"]["why"]) == ("refused", True)
    reached, rejected = sorted(told["notifications"], key=lambda one: str(one["type"]), reverse=True)
    assert (reached["type"], reached["channels"]) == ("spend.threshold_reached", ["screen", "post", "hook"])
    assert "60%" in reached["subject"]
    assert "strange.csv" in rejected["text"]
    assert home.mails() == []
    assert "--json needs --dry-run" in home.call("once", "--json", expect=2).stderr


def test_a_test_message_as_json_names_each_recipient(home: Home) -> None:
    home.furnish()
    home.hook_answers(403)
    told = {one["channel"]: one for one in home.json("notify-test", expect=69)["tests"]}
    assert (told["post"]["target"], told["post"]["accepted"], told["post"]["error"]) == ("finops@example.com", True, "")
    assert (told["hook"]["accepted"], "403" in told["hook"]["error"]) == (False, True)
    assert told["post"]["answer"].startswith("250 ")
    assert told["hook"]["answer"] == ""
    assert all(0 <= one["milliseconds"] < 60_000 for one in told.values())


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (("--like", "overdeu"), "there is no sample 'overdeu'; did you mean 'overdue'?"),
        (("--like", "qqqq"), "there is no sample 'qqqq'; known: action, balance_differing"),
        (("scren",), "there is no channel 'scren'; did you mean 'screen'?"),
    ],
)
def test_an_unknown_sample_or_channel_is_answered_with_a_hint(quiet_home: Home, given: tuple[str, ...], hint: str) -> None:
    quiet_home.furnish()
    assert hint in " ".join(quiet_home.call("notify-test", *given, expect=2).stderr.split())


def test_a_sample_can_be_asked_for_by_the_type_of_its_rule(home: Home) -> None:
    home.furnish()
    home.call("notify-test", "hook", "--like", "spend.first_cost")
    (call,) = home.calls()
    assert (call["type"], call["data"]["rule"], call["data"]["reason"]) == ("test", "spend.first_cost", "test")
    assert call["data"]["summary"].startswith("[TEST] First charge in ")


def test_a_group_of_commands_says_where_json_belongs(quiet_home: Home) -> None:
    quiet_home.furnish()
    assert "write --json behind 'list'" in quiet_home.call("deliveries", "--json", "list", expect=2).stderr


def test_one_bad_workspace_file_blocks_no_command_that_reads(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.watch()
    bad = quiet_home.watch(TRAINING, name="Training")
    quiet_home.drop(lines_worth("85") + lines_worth("1", workspace=TRAINING))
    quiet_home.call("once")
    alert = quiet_home.json("alerts")["alerts"][0]["id"]
    bad.write_text(f"workspace: {TRAINING}\nbugdet: 10.00\n")
    for command in (*READING, ("explain", alert)):
        said = quiet_home.call(*command)
        assert f"{bad}:2:1: bugdet: unknown key; did you mean 'budget'?" in said.stderr, command
        assert "Workspace files with mistakes are ignored here" in said.stderr, command
    budgets = {line["name"]: line["budget"] for line in quiet_home.json("status")["accounts"][0]["workspaces"]}
    assert budgets == {"Research": "100", "": None}
    for command in (("once",), ("run",), ("import", str(bad))):
        assert "bugdet" in quiet_home.call(*command, expect=78).stderr


def test_a_mistake_in_the_main_file_still_blocks_every_command(quiet_home: Home) -> None:
    quiet_home.furnish(extra="oops: 1")
    assert ": oops: unknown key" in quiet_home.call("status", expect=78).stderr


def test_status_before_the_first_bill_says_so(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.watch()
    assert "`run`, `once` or `import` creates it" in quiet_home.call("status", expect=75).stderr
    assert "no ledger yet" in quiet_home.call("status", "--exit-code", expect=4).stderr
    quiet_home.call("once")
    assert "no bill on record" in quiet_home.call("status").stdout


def test_status_keeps_its_contract(quiet_home: Home) -> None:
    quiet_home.furnish(account=", budget: 500.00, balance: {from: manual, cash: 100.00, credit: 50.00}")
    quiet_home.watch(budget="100.00")
    quiet_home.watch(TRAINING, budget="10.00", name="Training")
    quiet_home.drop(lines_worth("85") + lines_worth("0.5", workspace=TRAINING))
    quiet_home.call("once")
    document = quiet_home.json("status")
    assert document["schema_version"] == 1
    assert document["month"] == this_month()
    assert document["as_of"].endswith("+08:00")
    (account,) = document["accounts"]
    keys = ("account", "name", "currency", "spend", "pay_as_you_go", "subscription", "budget", "counts", "used", "state")
    assert {key: account[key] for key in keys} == {
        "account": "1000000000000001",
        "name": "acme",
        "currency": "CNY",
        "spend": "85.5",
        "pay_as_you_go": "85.5",
        "subscription": "0",
        "budget": "500",
        "counts": "all",
        "used": "0.171",
        "state": "ok",
    }
    assert account["data_until"].endswith("+08:00")
    research = next(line for line in account["workspaces"] if line["workspace"] == RESEARCH)
    assert (research["name"], research["spend"], research["budget"], research["used"], research["state"]) == (
        "Research",
        "85",
        "100",
        "0.85",
        "warning",
    )
    balance = account["balance"]
    assert balance.pop("as_of").endswith("+08:00")
    assert balance.pop("age_seconds") >= 0
    assert balance == {
        "available": "64.5",
        "cash": "100",
        "credit": "50",
        "unsettled_current": "85.5",
        "unsettled_previous": "0",
        "reported": None,
        "overdue": False,
        "currency": "CNY",
        "computed": "64.5",
        "credit_refund": None,
        "unsettled": "85.5",
        "unsettled_is_derived": False,
        "spent_since": None,
        "paid_at_order": None,
        "products_unseen": [],
        "difference": None,
        "explained_by": [],
        "other_cash": [],
        "settled": None,
        "from": "manual",
        "stale": False,
        "runway": {"too_early": True, "days": 0, "needed": 5},
        "runway_reason": None,
    }
    assert (account["balance_trouble"], account["forecast"], research["forecast"]) == ("", None, None)
    assert {(alert["threshold"], alert["severity"], alert["state"]) for alert in document["alerts"]} == {
        ("50%", "notice", "firing"),
        ("80%", "warning", "firing"),
    }
    (source,) = document["sources"]
    assert (source["name"], source["state"]) == ("inbox", "ok")
    (matter,) = document["matters"]
    assert (matter["severity"], matter["rule"], matter["scope"]) == (
        "warning",
        "spend.threshold_reached",
        f"workspace:{RESEARCH}",
    )
    assert (matter["text"], matter["reached"]) == ("Research used 85% of CNY 100.00", ["50%", "80%"])
    assert sorted(matter["alerts"]) == sorted(alert["id"] for alert in document["alerts"])
    assert (account["budgets"], research["budgets"]) == ([], [])
    shown = quiet_home.call("status", "--exit-code", expect=3).stdout
    assert "Research used 85% of CNY 100.00; notified at 50, 80%" in shown


@pytest.mark.parametrize("by", ["workspace", "day,model", "api_key,type", "channel", "item", "tag:team", "account,charge"])
def test_the_rows_of_every_report_add_up_to_the_total(quiet_home: Home, by: str) -> None:
    quiet_home.furnish()
    quiet_home.drop(
        lines_worth("1.0000000001", count=3, tags="key:team value:red")
        + lines_worth("2.5", first=9, workspace="", instance="spn-1")
        + lines_worth("-0.25", first=10, workspace=TRAINING, model="wan2.7", tags="key:team value:blue; key:x value:y")
    )
    quiet_home.call("once")
    document = quiet_home.json("report", "--by", by)
    assert document["by"] == by.split(",")
    assert sum(Decimal(row["spend"]) for row in document["rows"]) == Decimal("5.2500000003")
    assert sum(row["lines"] for row in document["rows"]) == 5


def test_the_operators_hear_once_for_each_kind_of_file_of_usage_whose_workspace_cannot_be_read(quiet_home: Home) -> None:
    quiet_home.furnish()
    for number, odd in enumerate(("7;ws-1;qwen-max;output_token;app;1", "8;ws-2;qwen-max;output_token;app;0"), start=1):
        quiet_home.drop(lines_worth("2", first=number, instance=odd))
        quiet_home.call("once")
        (alert,) = [one for one in quiet_home.json("alerts")["alerts"] if one["rule"] == "bills.unassigned"]
        assert alert["summary"] == (
            "consumedetailbillv2: usage whose workspace cannot be read, for example '7;ws-1;qwen-max;output_token;app;1'"
        )
    quiet_home.drop(lines_worth("4", first=3))
    quiet_home.call("once")
    assert "(no workspace)" in quiet_home.call("status").stdout
    rows = quiet_home.json("report", "--by", "workspace,safe_mode")["rows"]
    assert {(row["workspace"], row["safe_mode"], row["spend"]) for row in rows} == {("", "", "4"), (RESEARCH, "0", "4")}


def test_spend_outside_the_watched_products_is_named_by_every_command_that_shows_or_enters_bills(quiet_home: Home) -> None:
    quiet_home.furnish()
    path = quiet_home.drop(lines_worth("11.75", product="ecs", workspace="", instance="i-1"))
    said = "watched products: sfm; not watched in the bills: ecs CNY 11.75; to watch them, add their codes to `products`"
    rehearsed = quiet_home.call("import", "--dry-run", str(path))
    assert said in rehearsed.stdout
    assert said in quiet_home.call("once", "--dry-run").stderr
    assert said in quiet_home.call("once").stderr
    assert said not in quiet_home.call("once").stderr
    assert said[1:] in " ".join(quiet_home.call("status").stdout.split())
    (account,) = quiet_home.json("status")["accounts"]
    assert account["not_watched"] == [{"product": "ecs", "currency": "CNY", "spend": "11.75"}]
    assert said in quiet_home.call("report").stdout
    assert said not in quiet_home.call("report", "--all-products").stdout
    assert [one["product"] for one in quiet_home.json("report")["not_watched"]] == ["ecs"]
    again = quiet_home.folder / "again.csv"
    again.write_bytes(a_bill(lines_worth("1", first=2, product="oss", workspace="", instance="i-2"))[1])
    assert "ecs CNY 11.75, oss CNY 1.00" in quiet_home.call("import", str(again)).stderr


def test_a_report_as_csv_holds_no_formula(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.drop(lines_worth("1", model='=HYPERLINK("x")') + lines_worth("-2", first=2, model="plain"))
    quiet_home.call("once")
    rows = list(csv.reader(io.StringIO(quiet_home.call("report", "--by", "model", "--csv").stdout)))
    assert rows[0] == ["model", "currency", "spend", "pay_as_you_go", "subscription", "lines", "share", "previous", "usage"]
    assert {row[0]: row[2] for row in rows[1:]} == {'\'=HYPERLINK("x")': "1", "plain": "-2"}


def test_a_command_is_shown_by_check_refused_if_others_may_write_it_and_run_once_for_an_alert(quiet_home: Home) -> None:
    script = quiet_home.folder / "page"
    quiet_home.furnish(extra="  robot: {type: exec, command: [page, --team, 'a b']}")
    quiet_home.watch(more="channels: [robot]")
    script.write_text(f"#!/bin/sh\ncat >> {quiet_home.folder}/read\necho >> {quiet_home.folder}/read\n")
    script.chmod(0o757)
    assert "channels.robot.command: " in (refused := quiet_home.call("check", expect=78).stderr)
    assert "is 0757, writable by others (chmod go-w)" in refused
    script.chmod(0o755)
    (reached,) = (one["reaches"] for one in quiet_home.json("check")["policy"]["channels"] if one["name"] == "robot")
    assert reached == [f"{script} --team 'a b', run as user {pwd.getpwuid(os.geteuid()).pw_name}"]
    quiet_home.drop(lines_worth("85"))
    quiet_home.call("once")
    quiet_home.call("once")
    (read,) = (quiet_home.folder / "read").read_text().splitlines()
    assert (json.loads(read)["type"], json.loads(read)["data"]["threshold"]) == ("spend.threshold_reached", "80%")


def test_pagerduty_hears_of_an_alert_of_who_takes_care_of_it_and_of_its_end(quiet_home: Home) -> None:
    (quiet_home.folder / "key").write_text("0123456789abcdef0123456789abcdef\n")
    (quiet_home.folder / "key").chmod(0o600)
    with HttpSink([Reply(202, body=b"{}")]) as sink:
        quiet_home.furnish(extra=f"  pager: {{type: pagerduty, url: '{sink.url()}', routing_key_file: key}}")
        quiet_home.watch(more="channels: [pager]")
        quiet_home.drop(lines_worth("85"))
        quiet_home.call("once")
        alert = json.loads(sink.requests[0].body)["dedup_key"]
        quiet_home.call("ack", alert[:8], "--by", "Li Wei")
        quiet_home.call("once")
        (quiet_home.folder / "workspaces" / "research.yaml").unlink()  # nobody watches it any more: the alert ends
        quiet_home.call("once")
        events = [json.loads(request.body) for request in sink.requests]
    assert {(one["routing_key"], one["dedup_key"]) for one in events} == {("0123456789abcdef0123456789abcdef", alert)}
    assert [one["event_action"] for one in events] == ["trigger", "acknowledge", "resolve"]


ORDERED: dict[str, Any] = {
    "charge": "订阅预付费用",
    "trade": "新购",
    "instance": "",
    "commodity": "sfm_tokenplanteams_dp_cn",
    "item": "",
}
GIVEN_BACK: dict[str, Any] = {**ORDERED, "charge": "订阅退款费用", "trade": "退款"}


def test_every_command_that_shows_spend_shows_subscription_apart(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.watch(budget="100.00", more="counts: pay_as_you_go")
    assert "Research (pay-as-you-go only)" in quiet_home.call("check").stdout
    assert [one["counts"] for one in quiet_home.json("check")["policy"]["watched"]] == ["all", "pay_as_you_go"]
    lines = lines_worth("60") + lines_worth("300", workspace="", **ORDERED)
    lines += lines_worth("-20", first=2, workspace="", **GIVEN_BACK)
    rehearsed = quiet_home.json("import", "--dry-run", str(quiet_home.drop(lines)))["totals"]
    quiet_home.call("once")
    wanted = [("", "280", "0", "280"), (RESEARCH, "60", "60", "0")]
    keys = ("workspace", "spend", "pay_as_you_go", "subscription")
    (total,) = quiet_home.json("report")["totals"]
    figures = {"spend": "340", "pay_as_you_go": "60", "subscription": "280", "lines": 3}
    assert total == {"currency": "CNY", **figures, "share": "1", "previous": None, "usage": None}
    for rows in (rehearsed, quiet_home.json("status")["accounts"][0]["workspaces"]):
        assert sorted(tuple(row[key] for key in keys) for row in rows) == wanted
    report = quiet_home.call("report").stdout
    assert "PAY-AS-YOU-GO" in report
    assert ["TOTAL", "CNY", "340.00", "100.0%", "60.00", "280.00", "3"] in [line.split() for line in report.splitlines()]
    assert "PAY-AS-YOU-GO" not in quiet_home.call("report", "--by", "charge").stdout
    assert quiet_home.json("report", "--by", "category")["rows"][0]["category"] == "Token Plan"
    assert "The budget counts pay-as-you-go only: Research" in quiet_home.call("status").stdout
    alert = next(alert for alert in quiet_home.json("alerts")["alerts"] if alert["scope"] != "account")
    assert alert["scope"] == f"pay_as_you_go:workspace:{RESEARCH}"
    assert [part["spend"] for part in quiet_home.json("explain", alert["id"])["made_of"]] == ["60"]


def test_an_unknown_dimension_is_answered_with_the_known_ones(quiet_home: Home) -> None:
    quiet_home.furnish()
    assert "use any of account, day, workspace" in quiet_home.call("report", "--by", "wrokspace", expect=2).stderr


def test_a_dry_run_of_an_import_shows_totals_and_what_would_be_said_and_changes_nothing(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.watch(budget="100.00")
    path = quiet_home.drop(lines_worth("60"))
    quiet_home.call("import", "--dry-run", str(path))
    assert not quiet_home.state.exists()
    shown = quiet_home.call("import", "--dry-run", str(path)).stdout
    for expected in ("consumedetailbillv2", "1 new", RESEARCH, "60.00", "1 notification would be sent", "50%"):
        assert expected in shown
    shown = quiet_home.call("once", "--dry-run").stdout
    assert "1 notification would be sent" in shown
    assert path.exists()
    assert not quiet_home.state.exists()


def test_importing_twice_says_that_there_is_nothing_to_do(quiet_home: Home) -> None:
    quiet_home.furnish()
    path = quiet_home.drop(lines_worth("60"))
    assert "1 new" in quiet_home.call("import", str(path)).stdout
    assert "recorded before" in quiet_home.call("import", str(path)).stdout
    assert path.exists()


def test_explain_shows_rule_figures_bills_and_deliveries(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.drop(lines_worth("60", model="qwen3.8-max"))
    home.call("once")
    (alert,) = home.json("alerts")["alerts"]
    shown = home.call("explain", alert["id"][:6]).stdout
    for expected in (alert["id"], "spend.threshold_reached", "50%", "qwen3.8-max", "60.00", "finops@example.com", "delivered"):
        assert expected in shown
    document = home.json("explain", alert["id"])
    assert document["made_of"][0]["spend"] == "60"
    assert {one["state"] for one in document["deliveries"]} == {"delivered"}
    assert "no alert with an id beginning with 'zzz'" in home.call("explain", "zzz", expect=2).stderr


def test_an_acknowledged_alert_is_shown_as_such_and_escalates_to_nobody_until_it_is_taken_back(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00", more="channels: [post]\nescalate: {after: 1s, channels: [hook]}\n")
    home.drop(lines_worth("85"))
    home.call("once")
    (alert,) = [one for one in home.json("alerts")["alerts"] if one["threshold"] == "80%"]
    short = alert["id"][:8]
    said = home.call("ack", short, "--for", "4h", "--comment", "asked for more", "--by", "Li Wei").stdout
    assert f"{short} acknowledged by Li Wei: Research reached 80%" in said
    assert home.calls() == []
    subprocess.run(["sleep", "1.1"], check=True)
    home.call("once")
    assert home.calls() == [], "nothing is escalated"
    assert "acknowledged by Li Wei" in home.call("status").stdout
    assert "acknowledged" in home.call("alerts").stdout
    assert "Handled by  Li Wei, since " in home.call("explain", short).stdout
    found = [
        home.json("explain", short)["alert"]["acknowledged"],
        *(one["acknowledged"] for one in home.json("status")["matters"]),
    ]
    assert [(one["by"], one["comment"]) for one in found] == [("Li Wei", "asked for more")] * 2
    assert [one["alert"] for one in home.json("ack", "--list")["acknowledged"]] == [alert["id"]]
    assert home.json("ledger", "audit")["audit"][0]["actor"] == "Li Wei"
    assert "no longer acknowledged" in home.call("ack", "--end", short).stdout
    assert "is not acknowledged" in home.call("ack", "--end", short, expect=2).stderr
    home.call("once")
    assert [(one["type"], one["data"]["reason"]) for one in home.calls()] == [("spend.threshold_reached", "escalated")]


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (("zzz",), "no alert with an id beginning with 'zzz'"),
        ((), "name at least one ALERT"),
        (("--list", "abc"), "name at least one ALERT"),
        (("--list", "--for", "4h"), "--list stands alone"),
        (("abc", "--for", "soon"), "not a duration: 'soon'"),
        (("abc", "--end", "--for", "4h"), "--end takes neither"),
        (("abc", "--json"), "--json is for --list"),
    ],
)
def test_what_cannot_be_acknowledged_is_answered_clearly(quiet_home: Home, given: tuple[str, ...], answer: str) -> None:
    quiet_home.furnish()
    quiet_home.call("once")
    assert answer in quiet_home.call("ack", *given, expect=2).stderr


def test_a_test_message_reaches_every_channel_and_is_marked(home: Home) -> None:
    home.furnish()
    shown = home.call("notify-test").stdout
    assert re.search(r"hook: accepted in \d+\.\d\d s: HTTP 2\d\d", shown)
    assert "post (finops@example.com): accepted" in shown
    assert b"TEST" in home.mails()[0]
    assert home.calls()[0]["type"] == "test"
    home.hook_answers(403)
    assert "403" in home.call("notify-test", "hook", expect=69).stderr


def test_a_cancelled_delivery_is_never_sent_and_stays_on_record(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.hook_answers(500)
    home.drop(lines_worth("60"))
    home.call("once", expect=75)
    (waiting,) = home.json("deliveries", "list", "--state", "deferred")["deliveries"]
    home.call("deliveries", "cancel", waiting["id"])
    home.call("once")
    assert len(home.requests()) == 1
    assert [one["state"] for one in home.json("deliveries", "list")["deliveries"] if one["channel"] == "hook"] == ["cancelled"]
    arrived = home.json("deliveries", "list", "--state", "delivered")["deliveries"][0]["id"]
    refused = home.call("deliveries", "cancel", arrived, expect=2).stderr
    assert f"{arrived} is delivered: only a waiting delivery can be cancelled" in refused


def test_deliveries_are_listed_on_80_columns_without_a_word_cut(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.hook_answers(500)
    home.drop(lines_worth("60"))
    home.call("once", expect=75)
    command = [sys.executable, "-m", "spendwatch", "--config", str(home.folder), "deliveries"]
    with Terminal(command, home.folder, os.environ) as screen:
        assert screen.end() == 0
    for one in home.json("deliveries", "list")["deliveries"]:
        assert re.search(rf"^{one['id'][:8]}  {one['channel']} .* {one['state']}  ", screen.shown, re.MULTILINE)
    assert "…" not in screen.shown
    assert max(map(len, screen.shown.splitlines())) <= 80


def test_check_names_file_and_line_of_a_mistake_in_a_template(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.watch()
    main, own = quiet_home.folder / "spendwatch.yaml", quiet_home.folder / "mine.j2"
    main.write_text(
        main.read_text().replace(
            "screen: {type: console}", "screen: {type: console, templates: {text: mine.j2, subject: mine.j2}}"
        )
    )
    for text, why in (
        ("ok\n{% if %}", f"{own}:2:1: Expected an expression, got 'end of statement block'"),
        ("ok\n\n{{ headlin }}", f"{own}:3:1: 'headlin' is undefined (in a message of "),
        ("{{ facts.spike.day }}", f"{own}:1:1: 'None' has no attribute 'day' (in a message of spend.threshold_reached)"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "takes more than 0.25 s"),
    ):
        own.write_text(text)
        assert why in quiet_home.call("check", expect=78).stderr
    own.write_text("ok {{ facts.name }}")
    quiet_home.call("check")
    own.unlink()
    assert "cannot be read: [Errno 2] No such file" in quiet_home.call("check", expect=78).stderr
    main.write_text(main.read_text().replace("subject: mine.j2", "html: mine.j2"))
    assert "channels.screen.templates.html: unknown key; known: subject, text" in quiet_home.call("check", expect=78).stderr
