"""The daemon as a service: pings of a monitoring service, and a ledger that is taken away or replaced under it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from home import Home, lines_worth
from servers_http import HttpSink, Reply
from spendwatch.cli import main


@pytest.fixture
def monitor() -> Iterator[HttpSink]:
    with HttpSink() as sink:
        yield sink


def watched(home: Home, monitor: HttpSink) -> None:
    """Configure pings whose address stands in a secret file."""
    secret = home.folder / "ping-address"
    secret.write_text(monitor.url("/ping/sesame") + "\n")
    secret.chmod(0o600)
    home.furnish(extra="heartbeat: {url_file: ping-address, every: 1s}")
    home.watch()


def paths(monitor: HttpSink) -> list[str]:
    return [request.path for request in monitor.requests]


def test_our_death_and_our_troubles_are_told_by_somebody_else(home: Home, monitor: HttpSink) -> None:
    watched(home, monitor)
    running = home.start()
    try:
        home.until(lambda: paths(monitor)[:3] == ["/ping/sesame/start", "/ping/sesame", "/ping/sesame"])
        away = home.state.with_name("away.db")
        home.state.rename(away)
        home.until(lambda: paths(monitor)[-1] == "/ping/sesame/fail")
        reason = monitor.requests[-1].body.decode()
        assert f"the ledger at {home.state} was deleted, or its disk is no longer mounted while it was in use" in reason
        home.until(lambda: [call["type"] for call in home.calls()] == ["ledger.failing"])
        assert any(b"The ledger of spendwatch cannot be used" in mail for mail in home.mails())
        away.rename(home.state)
        home.until(lambda: [call["type"] for call in home.calls()] == ["ledger.failing", "alert.resolved"])
        home.until(lambda: paths(monitor)[-1] == "/ping/sesame")
        monitor.replies = [Reply(404)]
        home.until(lambda: "heartbeat_ping_failed" in running.log())
        home.until(lambda: home.json("status")["daemon"]["ping_trouble"] == "127.0.0.1: HTTP 404")
        assert "the heartbeat ping fails: 127.0.0.1: HTTP 404" in home.call("status").stdout
        count = len(monitor.requests)
    finally:
        running.kill()
    assert "sesame" not in running.log()
    assert len(monitor.requests) == count


def test_a_ledger_that_was_replaced_or_restored_is_said(home: Home) -> None:
    home.furnish()
    home.watch()
    home.drop(lines_worth("1"))
    home.call("once")
    backup = home.folder / "backup.db"
    home.call("ledger", "backup", str(backup))
    home.drop(lines_worth("2", first=2), name="later.csv")
    running = home.start()
    try:
        home.until((home.inbox / "done" / "later.csv").exists)
        with closing(sqlite3.connect(backup)) as old, closing(sqlite3.connect(home.state)) as ledger:
            old.backup(ledger)  # as `.restore` of SQLite's own shell does, into the same file
        home.until(lambda: "ledger.failing" in [call["type"] for call in home.calls()])
        assert "as an older copy does: restart the daemon" in running.log()
        assert running.stop() == 0
        running = home.start()
        home.until(lambda: "archived_files_read_again" in running.log())
        home.until(lambda: home.json("report", "--by", "day")["totals"][0]["spend"] == "3")
        copy = home.folder / "copy.db"
        shutil.copy(backup, copy)
        copy.rename(home.state)
        home.until(lambda: f"the ledger at {home.state} was replaced by another file" in running.log())
    finally:
        running.kill()


def test_a_ledger_on_a_network_file_system_is_a_mistake_of_the_configuration(
    quiet_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet_home.furnish()
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 0:40 / / rw,relatime - cifs //server/share rw\n")
    monkeypatch.setattr("spendwatch.store.files._MOUNTS", mounts)
    monkeypatch.setattr("sys.argv", ["spendwatch", "--config", str(quiet_home.folder), "once"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 78
    assert "(cifs), where SQLite may lose data: write state: with a path on a local disk, or" in capsys.readouterr().err
