from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from home import Home, Running, lines_worth


def test_the_daemon_says_ready_delivers_and_stops_cleanly(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    running = home.start(anew=True)
    home.drop(lines_worth("60"))
    home.until(lambda: len(home.mails()) == 1 and len(home.calls()) == 1)
    stopping = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - stopping < 10
    assert "daemon_stopped" in running.log()


def test_the_watchdog_is_fed_by_progress(home: Home) -> None:
    home.furnish()
    home.environment["WATCHDOG_USEC"] = "2000000"
    running = home.start(anew=True)
    try:
        assert "WATCHDOG=1" in running.wait_for("WATCHDOG=1")
    finally:
        running.stop()


def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(home: Home) -> None:
    home.furnish()
    running = home.start(anew=True)
    try:
        refused = subprocess.run(home.command("run"), env=home.env(), capture_output=True, text=True, timeout=30, check=False)
        assert refused.returncode == 75
        assert "another spendwatch" in refused.stderr
        assert running.process.poll() is None
    finally:
        assert running.stop() == 0


def test_a_reload_takes_what_is_right_and_keeps_the_last_good_policy_of_what_is_wrong(home: Home) -> None:
    home.furnish()
    policy = home.watch(budget="100.00")
    running = home.start(anew=True)
    try:
        policy.write_text(policy.read_text().replace("100.00", "hundred"))
        _reload(running)
        home.until(lambda: any(call["type"] == "config.rejected" for call in home.calls()))
        home.drop(lines_worth("60"))
        home.until(lambda: any(call["type"] == "spend.threshold_reached" for call in home.calls()))
        policy.write_text(policy.read_text().replace("hundred", "70.00"))
        _reload(running)
        home.until(lambda: len(home.calls()) >= 4)  # the threshold comes before the end of the mistake, which is less grave
        told = [(call["type"], call["data"].get("threshold")) for call in home.calls()]
        assert ("spend.threshold_reached", "80%") in told
        assert any(kind == "alert.resolved" for kind, _ in told)
    finally:
        assert running.stop() == 0


def _reload(running: Running) -> None:
    running.process.send_signal(signal.SIGHUP)
    assert "MONOTONIC_USEC" in running.wait_for("RELOADING=1")
    running.wait_for("READY=1")


def test_bills_are_looked_for_at_once_when_asked(home: Home) -> None:
    home.furnish()
    place = home.folder / "spendwatch.yaml"
    place.write_text(place.read_text().replace("poll: 1s", "poll: 1h"))
    home.watch(budget="100.00")
    running = home.start(anew=True)
    try:
        home.drop(lines_worth("60"))
        running.process.send_signal(signal.SIGUSR1)
        subprocess.run(["sleep", "0.5"], check=True)
        running.process.send_signal(signal.SIGUSR1)
        home.until(lambda: len(home.calls()) == 1)
        assert home.calls()[0]["data"]["threshold"] == "50%"
    finally:
        running.stop()


def test_a_wrong_configuration_is_told_whole_and_nothing_starts(home: Home) -> None:
    home.furnish(account=", budgett: 5")
    home.watch(budget="-1")
    refused = home.call("run", expect=78)
    assert "did you mean" in refused.stderr
    assert "research.yaml" in refused.stderr
    assert not home.state.exists()


def test_no_secret_stands_in_logs_state_or_command_line(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.hook_answers(500)
    running = home.start(anew=True)
    home.drop(lines_worth("60"))
    home.until(lambda: len(home.requests()) >= 1)
    command_line = Path(f"/proc/{running.process.pid}/cmdline").read_bytes()
    running.stop()
    secret = b"c3BlbmR3YXRjaCB0ZXN0"
    kept = [path for path in home.folder.rglob("*") if path.is_file() and path.name != "hook-secret"]
    assert not [path for path in kept if secret in path.read_bytes()]
    assert secret not in command_line


def test_the_daemon_stays_small_and_never_loads_the_reader_library(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    running = home.start(anew=True)
    try:
        home.drop(lines_worth("60"))
        home.until(lambda: len(home.calls()) == 1)
        assert "polars" not in Path(f"/proc/{running.process.pid}/maps").read_text()
    finally:
        running.stop()
