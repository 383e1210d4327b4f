"""`doctor`: what works and what does not, found by really trying, without sending a message."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bss_lies import KEY_ID, SECRET
from home import Home, lines_worth, today
from servers_bss import BssServer
from servers_http import HttpSink
from servers_smtp import SmtpSink, Tls
from spendwatch.cli import doctor
from spendwatch.settings import examine

NOBODY = 65534


def _checks(home: Home, *, expect: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Return the findings by the name of their check."""
    document = home.json("doctor", expect=expect)
    assert (document["schema_version"], document["ok"]) == (1, expect == 0)
    found: dict[str, list[dict[str, Any]]] = {}
    for one in document["checks"]:
        assert set(one) == {"check", "verdict", "what", "fix"}
        assert (one["verdict"] == "ok") <= (one["fix"] == ""), one
        found.setdefault(one["check"], []).append(one)
    return found


def _change(home: Home, old: str, new: str) -> None:
    main = home.folder / "spendwatch.yaml"
    assert old in main.read_text()
    main.write_text(main.read_text().replace(old, new))


def _real(home: Home) -> None:
    """Leave no placeholder behind."""
    _change(home, "example.com", "acme.test")


def test_all_is_well_and_nothing_is_sent(home: Home) -> None:
    home.furnish()
    _real(home)
    home.watch(budget="100.00")
    home.drop(lines_worth("1"))
    home.call("once")
    found = _checks(home)
    assert {
        name: {one["verdict"] for one in some} for name, some in found.items() if name not in {"configuration", "user"}
    } == {
        name: {"ok"}
        for name in (
            *("clock", "state", "disk", "ledger", "daemon", "account acme"),
            *("source inbox", "channel post", "channel hook"),
        )
    }
    assert found["channel post"][0]["what"] == "the mail server lets us in"
    assert found["channel hook"][0]["what"] == "127.0.0.1 takes connections"
    assert found["ledger"][0]["what"].startswith("opens and is whole (SQLite ")
    assert (home.mails(), home.requests()) == ([], [])
    shown = home.call("doctor").stdout
    assert "ok    channel post: the mail server lets us in" in shown
    assert re.search(r"\n\n1?\d ok, \d warnings?, 0 failed\.\n$", shown)


def test_what_nobody_answers_fails_and_says_what_to_do(home: Home) -> None:
    home.furnish()
    _real(home)
    assert home.mail
    assert home.hook
    _change(home, f"port: {home.mail.port}", "port: 9")
    _change(home, f"http://127.0.0.1:{home.hook.port}/spend", "https://hooks.invalid/spend/secret-token")
    found = _checks(home, expect=1)
    assert [(one["verdict"], one["what"]) for one in found["channel post"]] == [("fail", "127.0.0.1:9: connection refused")]
    assert [one["what"] for one in found["channel hook"]] == ["https://hooks.invalid: the host name cannot be resolved"]
    shown = home.call("doctor", expect=1).stdout
    assert "fix: compare host, port and login with the settings; check DNS, the firewall," in shown
    assert "secret-token" not in shown


def test_a_login_that_is_refused_is_found_without_a_mail(home: Home) -> None:
    with SmtpSink(login=("alerts", "right"), tls=Tls.STARTTLS) as server:
        home.furnish()
        _real(home)
        assert home.mail
        account, secret = f"username: alerts, password_file: smtp, ca_file: '{server.ca_file}'", home.folder / "smtp"
        secret.write_text("wrong")
        secret.chmod(0o600)
        _change(home, f"port: {home.mail.port}, security: none", f"port: {server.port}, {account}")
        (found,) = _checks(home, expect=1)["channel post"]
        assert found["what"] == f"127.0.0.1:{server.port} rejected the user name or the password (535)"
        secret.write_text("right")
        (found,) = _checks(home)["channel post"]
        assert found["verdict"] == "ok"
        assert server.messages == []


def test_a_certificate_that_ends_soon_is_a_warning(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpSink(tls=Tls.STARTTLS) as mail, HttpSink(tls_names=["127.0.0.1"]) as hook:
        home.furnish()
        _real(home)
        assert home.mail
        assert home.hook
        _change(home, f"port: {home.mail.port}, security: none", f"port: {mail.port}, ca_file: '{mail.ca_file}'")
        _change(
            home,
            f'url: "http://127.0.0.1:{home.hook.port}/spend"',
            f'url: "https://127.0.0.1:{hook.port}/spend", ca_file: "{hook.ca_file}"',
        )
        for lasts, verdict, said in (
            (14, "ok", r".*; certificate valid for \d+ days"),
            (999_999, "warn", ".* but the certificate ends in .*"),
        ):
            monkeypatch.setattr(doctor, "_SOON", timedelta(days=lasts))
            found = {one.check: one for one in _here(home)}
            for channel in ("channel post", "channel hook"):
                assert found[channel].verdict == verdict
                assert re.fullmatch(said, found[channel].what), found[channel]
    assert mail.commands[-1].upper() == "QUIT"
    assert (mail.messages, hook.requests) == ([], [])


def _here(home: Home) -> list[doctor.Finding]:
    """Check in this very process."""
    return asyncio.run(doctor._all(examine(home.folder)))


def test_what_hangs_is_a_warning_and_nothing_waits_for_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpSink(is_silent=True) as silent:
        home.furnish()
        _real(home)
        assert home.mail
        _change(home, f"port: {home.mail.port}", f"port: {silent.port}")
        monkeypatch.setattr(doctor, "_TOTAL", 1.5)
        found = {one.check: one for one in _here(home)}
    assert (found["channel post"].verdict, found["channel post"].what) == ("warn", "no result within 1.5 s")
    assert found["channel hook"].verdict == "ok"


def test_placeholders_and_secrets_that_others_can_read_are_found(home: Home) -> None:
    home.furnish()
    (found,) = _checks(home, expect=1)["configuration"]
    assert (found["verdict"], found["what"]) == ("fail", "placeholders are left: example.com")
    _real(home)
    secret = home.folder / "hook-secret"
    secret.write_text("changeme")
    assert _checks(home, expect=1)["configuration"][0]["what"] == "placeholders are left: changeme"
    secret.chmod(0o644)
    (found,) = _checks(home, expect=1)["configuration"]
    assert "must be 0600, so that only its owner can read it" in found["what"]


def test_a_damaged_ledger_and_a_missing_folder_fail(home: Home) -> None:
    home.furnish()
    _real(home)
    home.watch()
    home.drop(lines_worth("1"))
    home.call("once")
    with home.state.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096 * 8))
    shutil.rmtree(home.inbox)
    found = _checks(home, expect=1)
    assert found["ledger"][0]["verdict"] == "fail"
    assert found["source inbox"][0]["what"].startswith(f"there is no folder {home.inbox}")
    assert found["source inbox"][0]["fix"] == f"mkdir -p {home.inbox}"


def test_before_the_first_round_there_is_a_warning_and_no_failure(quiet_home: Home) -> None:
    quiet_home.furnish()
    found = _checks(quiet_home)
    assert (found["ledger"][0]["verdict"], found["ledger"][0]["what"]) == ("warn", "there is none yet")
    assert not quiet_home.state.exists(), "looking makes nothing"


def test_messages_that_did_not_arrive_and_old_bills_are_told(home: Home) -> None:
    home.furnish()
    _real(home)
    home.watch(budget="100.00")
    home.hook_answers(410)
    home.drop(lines_worth("60"))
    home.call("once", expect=69)
    found = _checks(home, expect=1)
    assert [one["verdict"] for one in found["messages"]] == ["fail"]
    assert "spendwatch notify-test hook" in {one["fix"] for one in found["channel hook"]}


def test_a_running_daemon_is_seen(quiet_home: Home) -> None:
    quiet_home.furnish()
    running = quiet_home.start()
    try:
        assert _checks(quiet_home)["daemon"][0]["what"].startswith("daemon running")
    finally:
        running.stop()
    found = _checks(quiet_home, expect=1)["daemon"][0]
    assert (found["verdict"], "the daemon is not running" in found["what"]) == ("fail", True)


def _asking(home: Home, server: BssServer) -> None:
    """Have a source that asks the stand-in of the API."""
    for name, secret in (("id", KEY_ID), ("key", SECRET)):
        (home.folder / name).write_text(secret)
        (home.folder / name).chmod(0o600)
    keys = "key_id_file: id, secret_file: key, timeout: 2s"
    home.furnish(sources=[f"api: {{type: alibaba, account: acme, {keys}, endpoint: '{server.url}'}}"])


def test_the_billing_api_is_asked_for_one_page(quiet_home: Home) -> None:
    with BssServer({}) as server:
        _asking(quiet_home, server)
        (found,) = _checks(quiet_home)["source api"]
        assert (found["verdict"], found["what"]) == ("ok", "the billing API accepts the key and lets it read bills")
        (quiet_home.folder / "key").write_text("another secret")
        (found,) = _checks(quiet_home, expect=1)["source api"]
    assert (found["verdict"], "SignatureDoesNotMatch" in found["what"]) == ("fail", True)
    assert found["fix"]


def test_a_clock_that_is_wrong_is_seen_by_the_api(quiet_home: Home) -> None:
    with BssServer({}, clock=lambda: today() + timedelta(minutes=12)) as server:
        _asking(quiet_home, server)
        wrong = [one for one in _checks(quiet_home, expect=1)["clock"] if one["verdict"] == "fail"]
    assert re.fullmatch(r"this machine's clock is 1[12] min.* behind that of the billing API", wrong[0]["what"])
    assert wrong[0]["fix"] == "timedatectl set-ntp true"


def _as_nobody(call: Callable[[], str]) -> str:
    """Return what is found with the rights of somebody who owns nothing; only root can ask."""
    if os.geteuid():
        return call()
    reads, writes = os.pipe()
    if not (child := os.fork()):
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writes, call().encode())
        finally:
            os._exit(0)
    os.close(writes)
    os.waitpid(child, 0)
    with os.fdopen(reads) as pipe:
        return pipe.read()


@pytest.mark.parametrize(
    ("mode", "said"),
    [(0o5, "cannot rename files in {}"), (0o1, "cannot read {}"), (0o7, "cannot read 1 file, such as bill.csv")],
)
def test_a_drop_folder_is_tried_with_the_rights_of_the_user(mode: int, said: str) -> None:
    shift = 0 if os.geteuid() == 0 else 6  # nobody is one of the others, and we are the owner
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        inbox = Path(name) / "inbox"
        inbox.mkdir()
        (inbox / "bill.csv").write_text("x")
        (inbox / "bill.csv").chmod(0)
        inbox.chmod(mode << shift)
        what = _as_nobody(lambda: next(iter(doctor._folder("inbox", inbox, moves=True))).what)
        inbox.chmod(0o700)
    assert said.format(inbox) in what


def test_only_a_user_that_is_there_can_be_asked_about(quiet_home: Home) -> None:
    quiet_home.furnish()
    assert "there is no user 'nobdy'" in quiet_home.call("doctor", "--user", "nobdy", expect=2).stderr
    if os.geteuid():
        assert "only root can check as root: sudo" in quiet_home.call("doctor", "--user", "root", expect=2).stderr
    quiet_home.call("doctor", "--user", getpass.getuser())
