"""A newcomer's way to the first alert, with the real program: the right way ends with a mail, each wrong turn with a word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bill_builder import ACCOUNT, a_bill, a_line
from home import RESEARCH, Home, TimedHome, lines_worth
from servers_smtp import SmtpSink, Tls

OTHER = "5000000000000003"

ROOT = Path(__file__).parents[2]
QUICKSTART, README = ROOT / "deploy" / "quickstart", ROOT / "README.md"

_WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
"""Root may write anywhere as long as it has its capabilities."""


def program(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*_WITHOUT_RIGHTS, sys.executable, "-m", "spendwatch", *arguments]
    environ = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def started(tmp_path: Path) -> Home:
    """A home as `init` makes it."""
    home = Home(tmp_path / "my-config")
    home.call("init", str(home.folder))
    return home


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


def fill_in_mail(home: Home, port: int) -> None:
    """Remove the # of the mail block and write the relay into it, and nothing else."""
    main = home.folder / "spendwatch.yaml"
    block = re.search(r"(?m)^  # finance:\n(?:  #   .*\n)+", main.read_text())
    assert block
    filled = re.sub(r"(?m)^  # ", "  ", block[0])
    for key, value in {"host": "127.0.0.1", "port": str(port), "security": "none"}.items():
        filled = re.sub(rf"(?m)^    {key}: \S+", f"    {key}: {value}", filled)
    filled = re.sub(r"(?m)^    (username|password_file): .*\n", "", filled)
    edit(main, (block[0], filled), ("settle: 10s", "settle: 0s"))


def test_filling_in_the_mail_block_of_init_is_enough_to_be_warned_by_mail(started: Home) -> None:
    with SmtpSink() as relay:
        fill_in_mail(started, relay.port)
        edit(started.folder / "spendwatch.yaml", ("0000000000000000", ACCOUNT))
        edit(started.folder / "workspaces" / "research.yaml", ("llm-xxxxxxxxxxxxxxxx", RESEARCH))
        checked = started.call("check")
        assert re.search(r"finance +email +finops@example\.com", checked.stdout)
        assert re.search(rf"Research +1,200\.00 +600\.00 \(50%\).* finance\n{RESEARCH}", checked.stdout)
        started.drop(lines_worth("700"))
        started.call("once")
        (mail,) = (content.decode() for _, content in relay.messages if b"Research" in content)
        assert "Research has reached 50%" in mail
        assert "placeholder" not in started.call("check", "--strict").stderr


def test_an_untouched_configuration_of_init_is_never_called_ready(started: Home) -> None:
    checked = started.call("check")
    assert ": not ready, placeholders are left (1 account, 1 workspace, " in checked.stdout
    assert "spendwatch.yaml:7:9: accounts.main.id: warning: still the placeholder of `init`" in checked.stderr
    assert "research.yaml:3:12: workspace: warning: still the placeholder of `init`" in checked.stderr
    assert not started.state.exists()
    strict = started.call("check", "--strict", expect=78)
    assert "--strict allows none" in strict.stderr
    running = started.start()
    assert running.stop() == 0
    assert re.search(r"config_warning.*research\.yaml:3:12: workspace: still the placeholder of `init`", running.log())


def test_a_channel_that_nothing_uses_passes_its_test_with_a_warning(home: Home) -> None:
    home.furnish(extra="operators: [screen]")
    home.watch()
    main = home.folder / "spendwatch.yaml"
    edit(main, ("[screen, post, hook]", "[screen, hook]"))
    done = home.call("notify-test")
    assert "post (finops@example.com): accepted" in done.stdout
    why = "no budget, balance or operator uses this channel: no alert is ever sent over it"
    assert done.stderr.splitlines() == [f"warning: post: {why}"]
    assert f"channels.post: warning: {why}" in home.call("check").stderr


def test_check_tells_programs_what_it_tells_people(started: Home) -> None:
    found = started.json("check")
    assert (found["schema_version"], found["mistakes"]) == (1, [])
    assert {one["key"] for one in found["warnings"]} == {"accounts.main.id", "workspace", "channels", "channels.screen"}
    assert all({"file", "line", "column", "key", "what"} == set(one) for one in found["warnings"])
    policy = found["policy"]
    (workspace,) = (one for one in policy["watched"] if one["scope"].startswith("workspace:"))
    assert workspace["notifies_at"][0] == {"threshold": "50%", "amount": "600", "channels": ["screen"], "actions": []}
    assert workspace["channels"] == policy["operators"] == ["screen"]
    assert started.json("check", "--strict", expect=78)["warnings"] == found["warnings"]
    edit(started.folder / "spendwatch.yaml", ("site: cn", "site: china"))
    refused = started.json("check", expect=78)
    assert (refused["policy"], refused["mistakes"][0]["key"]) == (None, "accounts.main.site")
    assert "no spendwatch.yaml is there" in Home(started.folder / "inbox").json("check", expect=78)["mistakes"][0]["what"]


def test_check_compares_ids_with_the_bills_on_record_and_makes_no_ledger(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.watch(workspace="llm-demo0a1b2c3d4f")
    assert "ids and currencies were not compared with bills" in quiet_home.call("check").stderr
    assert not quiet_home.state.exists()
    quiet_home.drop(lines_worth("1"))
    quiet_home.call("once")
    said = quiet_home.call("check").stderr
    assert f"workspace: warning: no bill on record names this workspace; did you mean '{RESEARCH}'?" in said
    quiet_home.watch()
    assert "no bill on record" not in quiet_home.call("check").stderr


def test_the_policy_fits_on_a_terminal_of_80_columns(quiet_home: Home) -> None:
    quiet_home.furnish(account=", budget: 20000.00, balance: {from: manual, cash: 9, floors: [5000.00, 3.00], runway: [7d]}")
    quiet_home.watch(
        budget="12000.00", more="budgets:\n  - {name: chatbot key, match: {api_key: '12'}, budget: 30, thresholds: []}"
    )
    shown = quiet_home.call("check").stdout.splitlines()
    assert all(len(line) <= 80 for line in shown[1:])
    table = [re.split(r"  +", line.strip()) for line in shown]
    assert ["chatbot key", "30.00", "never", "screen"] in table
    assert ["whole account", "20,000.00", "10,000.00 (50%), 16,000.00 (80%),", "screen"] in table
    assert any(line[:2] == ["available balance", "below 5,000.00, below 3.00, 7 days"] for line in table)
    quiet_home.watch("llm-b", budget="7", name="Batch", more="counts: pay_as_you_go")
    assert "\nBatch (pay-as-you-go only)  " in quiet_home.call("check").stdout


@pytest.mark.parametrize("command", ["init", "demo", "run", "once", "import", "spool"])
def test_a_folder_that_cannot_be_written_is_named_with_what_to_do_and_without_a_traceback(command: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "config")
    home.furnish()
    bill = home.drop(lines_worth("1"))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    config, environ = ("--config", str(home.folder)), {"SPENDWATCH_STATE": str(locked / "var" / "s.db")}
    if command == "spool":
        environ = {"SPENDWATCH_SPOOL": str(locked / "spool")}
    arguments = {
        "init": ("init", str(locked / "mine")),
        "demo": ("demo", "--drop", str(locked / "mine")),
        "run": (*config, "run"),
        "once": (*config, "once"),
        "import": (*config, "import", str(bill)),
        "spool": (*config, "once"),
    }[command]
    done = program(*arguments, folder=tmp_path, **environ)
    assert done.returncode == 75, done.stderr
    assert str(locked) in done.stderr
    assert "Permission denied; make it writable for the user that runs spendwatch, or name another place" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_file_in_the_way_of_a_folder_is_no_traceback_either(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = program("init", "file/config", folder=tmp_path)
    assert (done.returncode, done.stdout) == (75, "")
    assert "a part of this path is a file: name another place" in done.stderr


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_quickstart_tells_the_same_story_each_time_and_leaves_what_is_yours_alone(home: Home, tmp_path: Path) -> None:
    """In a checkout whose config/ is somebody's own, with channels that really reach people."""
    checkout = tmp_path / "checkout"
    mine = Home(checkout / "config", home.mail, home.hook)
    mine.furnish()
    mine.watch(budget="1.00")
    (mine.inbox / "done").mkdir()
    (mine.inbox / "done" / "old.csv").write_text("old")
    (checkout / "deploy").mkdir()
    shutil.copy(QUICKSTART, checkout / "deploy" / "quickstart")
    (checkout / "deploy" / "venv.sh").write_text("prepare_venv() { :; }\n")
    program = checkout / ".venv" / "bin" / "spendwatch"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m spendwatch "$@"\n')
    program.chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before, stories = _tree(checkout), []
    environ = {**os.environ, "NO_COLOR": "1", "TMPDIR": str(scratch), "SPENDWATCH_CONFIG": str(mine.folder)}
    for _ in range(2):
        done = subprocess.run(
            [checkout / "deploy" / "quickstart", "--once"],
            env={**environ, "SPENDWATCH_STATE": str(tmp_path / "mine.db")},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert "4 bills recorded, " in done.stderr
        assert "That was the last sample bill. Try next:" in done.stdout
        stories.append(sorted(re.findall(r"(?m)^. (?:critical|warning|notice) +(.*?) +[0-9a-f]{8} *$", done.stdout)))
    assert stories[0] == stories[1]
    assert len(stories[0]) > 1
    assert (_tree(checkout), mine.mails(), mine.requests()) == (before, [], [])
    assert not (tmp_path / "mine.db").exists()


def test_the_least_configuration_of_the_readme_is_right_and_check_says_what_stands_there(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    home = Home(tmp_path / "my-config")
    for name, content in re.findall(r"```yaml\n# my-config/(\S+)\n(.*?)```", text, re.DOTALL):
        file = home.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {name}\n{content}")
    secret = home.folder / "secrets" / "smtp"
    secret.parent.mkdir()
    secret.write_text("secret")
    secret.chmod(0o600)
    home.inbox.mkdir()
    # As if that very account and workspace were on record: the README's ids are the samples'.
    home.call("import", str(home.drop(lines_worth("1"))))
    done = subprocess.run(
        [sys.executable, "-m", "spendwatch", "--config", "my-config", "check"],
        cwd=tmp_path,
        env=home.env(),
        capture_output=True,
        text=True,
        check=True,
    )
    first, *rest = done.stdout.splitlines()
    shown = [first, *done.stderr.splitlines(), *rest]
    (block,) = re.findall(r"```\n(my-config: ok .*?)```", text, re.DOTALL)
    assert [line.rstrip() for line in shown] == block.splitlines()


@pytest.mark.parametrize("trap", ["unreadable", "sub-folder", "link"])
def test_a_bill_in_the_inbox_that_cannot_be_read_ends_with_a_person_notified(trap: str, home: Home, tmp_path: Path) -> None:
    home.furnish()
    home.watch()
    bill = home.drop(lines_worth("85"))
    if trap == "unreadable":
        bill.chmod(0)
    elif trap == "sub-folder":
        (home.inbox / "2026").mkdir()
        bill = bill.rename(home.inbox / "2026" / bill.name)
    else:
        elsewhere = bill.rename(tmp_path / "elsewhere.csv")
        bill.symlink_to(elsewhere)
    named = "2026" if trap == "sub-folder" else bill.name
    done = program("--config", str(home.folder), "once", folder=tmp_path)
    assert done.returncode == 75
    assert named in done.stderr
    assert [call["type"] for call in home.calls()] == ["source.failing"]
    assert named in home.calls()[0]["data"]["detail"]
    assert home.json("status")["sources"][0]["state"] == "failing"


def test_an_account_whose_bills_stop_is_reported_though_anothers_go_on(home: Home, tmp_path: Path) -> None:
    timed = TimedHome(tmp_path, home.mail, home.hook)
    timed.furnish(stale_after="26h")
    edit(timed.folder / "spendwatch.yaml", ("sources:", f'  other: {{id: "{OTHER}", site: cn, currency: CNY}}\nsources:'))
    timed.watch()
    for day in range(1, 5):
        timed.at(f"2026-09-{day:02}T21:00:00")
        for account in (ACCOUNT, OTHER) if day == 1 else (ACCOUNT,):
            line = a_line(line_id=f"{account} {day}", day=f"202609{day:02}", account=account)
            timed.put(*a_bill([line], account=account, exported=f"202609{day:02}200000"))
        timed.call("once")
    stale = [one["data"] for one in timed.calls() if one["type"] == "bills.stale" and one["data"]["reason"] == "fired"]
    assert [(one["account"], one["scope"]) for one in stale] == [(OTHER, "account")]
    timed.call("status", "--exit-code", expect=4)


def test_without_any_bill_no_workspace_is_called_ok(home: Home) -> None:
    home.furnish(account=", budget: 9.00")
    home.watch()
    home.put("bill.csv", b"<html>please log in</html>\n")
    home.call("once", expect=65)
    assert [call["type"] for call in home.calls()] == ["bills.rejected"]
    (account,) = home.json("status")["accounts"]
    assert {account["state"], *(line["state"] for line in account["workspaces"])} == {"unknown"}
    home.call("status", "--exit-code", expect=4)


def test_a_relay_that_refuses_the_password_never_looks_like_somebody_was_notified(tmp_path: Path) -> None:
    with SmtpSink(tls=Tls.STARTTLS, login=("alerts", "right")) as relay:
        home = Home(tmp_path, relay)
        home.furnish()
        edit(
            home.folder / "spendwatch.yaml",
            ("host: 127.0.0.1", "host: localhost"),
            ("security: none", f"username: alerts, password_file: smtp, ca_file: {relay.ca_file}"),
        )
        (home.folder / "smtp").write_text("wrong")
        (home.folder / "smtp").chmod(0o600)
        home.watch()
        home.drop(lines_worth("85"))
        home.call("once", expect=75)
        assert home.json("status")["deliveries"]["pending"] == 1
        (waiting,) = (one for one in home.json("deliveries", "list")["deliveries"] if one["channel"] == "post")
        assert (waiting["state"], home.mails()) == ("deferred", [])
        assert "rejected the user name or the password" in waiting["last_error"]


def test_one_rule_watches_every_key_and_check_shows_it(quiet_home: Home) -> None:
    budgets = (
        "{name: key, for_each: api_key, budget: 50, exceptions: {'1200345': 200, '1200346': none}, thresholds: [80%, 100%]}"
    )
    quiet_home.furnish(account=f", budgets: [{budgets}]", extra='names: {api_keys: {"1200345": chatbot}}')
    quiet_home.watch(budget="1000.00", more="owner: Li Wei")
    shown = quiet_home.call("check").stdout
    for said in ("key (each api_key)", "key chatbot (1200345)", "160.00 (80%), 200.00 (100%)", "Not watched by key: 1200346"):
        assert said in shown
    watched = quiet_home.json("check")["policy"]["watched"]
    assert [(one["value"], one["for_each"], one["budget"]) for one in watched if one["scope"].startswith("account/")] == [
        ("", "api_key", "50"),
        ("1200345", "api_key", "200"),
    ]
    keys = (("1200345", "170"), ("1200346", "900"), ("1200347", "60"), ("", "70"))
    lines = [
        line for first, (key, amount) in enumerate(keys, start=1) for line in lines_worth(amount, first=first, api_key=key)
    ]
    quiet_home.drop(lines)
    quiet_home.call("once")
    told = {one["scope"]: one["summary"] for one in quiet_home.json("alerts")["alerts"] if one["scope"].startswith("account/")}
    assert set(told) == {"account/key/1200345", "account/key/1200347"}
    assert told["account/key/1200345"].startswith("acme: key chatbot (1200345) reached 80% of CNY 200.00")
    (account,) = quiet_home.json("status")["accounts"]
    assert {one["workspace"]: one["owner"] for one in account["workspaces"]} == {RESEARCH: "Li Wei"}
    states = {one["scope"]: one["state"] for one in account["budgets"]}
    assert states == {"account/key/1200345": "warning", "account/key/1200347": "critical"}
    (alert,) = [one for one in quiet_home.json("alerts")["alerts"] if one["scope"] == "account/key/1200345"]
    assert "acme: key chatbot (1200345)" in quiet_home.call("explain", alert["id"]).stdout
