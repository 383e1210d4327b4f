"""Signs of life, received by a real socket as systemd would."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from spendwatch.heartbeat import Heartbeat, is_alive, main


class Manager:
    """The service manager's end of the socket, and a monotonic clock that only the test moves."""

    def __init__(self, address: str) -> None:
        self.seconds = 100.0
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)  # noqa: FBT003 -- the socket's own signature

    def heartbeat(self, environ: Mapping[str, str] | None = None, path: Path | None = None) -> Heartbeat:
        return Heartbeat({"NOTIFY_SOCKET": self.address, **(environ or {})}, lambda: self.seconds, path)

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    found = Manager(str(tmp_path / "notify") if request.param == "path" else f"@spendwatch-test-{os.getpid()}-{id(request)}")
    yield found
    found.close()


WATCHED = {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}


def test_each_stage_of_life_is_one_message(manager: Manager) -> None:
    heart = manager.heartbeat()
    assert heart.ready("watching 3 accounts")
    assert heart.status("collecting")
    assert heart.reloading()
    assert heart.stopping()
    assert manager.heard() == [
        "READY=1\nSTATUS=watching 3 accounts",
        "STATUS=collecting",
        "RELOADING=1\nMONOTONIC_USEC=100000000",
        "STOPPING=1",
    ]


def test_a_hostile_status_cannot_smuggle_in_an_assignment(manager: Manager) -> None:
    manager.heartbeat().status("bill\nWATCHDOG=1\r\nMAINPID=1\u2028X=1\ud800")
    (message,) = manager.heard()
    assert message.splitlines() == ["STATUS=bill WATCHDOG=1 MAINPID=1 X=1?"]


def test_without_a_manager_nothing_is_sent_and_nothing_fails() -> None:
    for address in ("", "vsock:2:1234", "relative"):
        heart = Heartbeat({"NOTIFY_SOCKET": address}, time.monotonic)
        assert not heart.ready("x")
        assert heart.beat() == ()


def test_a_manager_that_is_gone_does_not_matter(tmp_path: Path) -> None:
    heart = Heartbeat({"NOTIFY_SOCKET": str(tmp_path / "nobody"), **WATCHED}, time.monotonic)
    assert not heart.ready("x")
    assert heart.beat() == ()


def test_a_manager_that_does_not_read_delays_us_only_briefly(manager: Manager) -> None:
    heart = manager.heartbeat()
    started = time.monotonic()
    while heart.status("x"):
        pass
    assert time.monotonic() - started < 5


def test_the_watchdog_is_fed_at_half_of_its_time(manager: Manager) -> None:
    assert manager.heartbeat(WATCHED).watchdog_interval() == timedelta(seconds=30)


@pytest.mark.parametrize(
    "environ", [{}, {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}]
)
def test_who_is_not_watched_feeds_no_watchdog(manager: Manager, environ: dict[str, str]) -> None:
    heart = manager.heartbeat(environ)
    assert heart.watchdog_interval() is None
    assert heart.beat() == ()
    assert manager.heard() == []


def test_the_watchdog_is_fed_only_while_every_task_gets_on(manager: Manager) -> None:
    heart = manager.heartbeat(WATCHED)
    heart.expect("collect", timedelta(seconds=60))
    heart.expect("deliver", timedelta(seconds=20))
    assert heart.beat() == ()
    manager.seconds += 20
    assert heart.beat() == ()
    manager.seconds += 1
    assert heart.beat() == ("deliver",)
    heart.progress("collect")
    assert heart.beat() == ("deliver",)
    heart.progress("deliver")
    assert heart.beat() == ()
    manager.seconds += 61
    assert heart.beat() == ("collect", "deliver")
    assert manager.heard() == ["WATCHDOG=1"] * 3


def test_a_task_that_is_dismissed_is_not_waited_for(manager: Manager) -> None:
    heart = manager.heartbeat(WATCHED)
    heart.expect("collect", timedelta(seconds=1))
    heart.dismiss("collect")
    heart.progress("collect")
    manager.seconds += 100
    assert heart.beat() == ()


def test_expecting_a_task_again_changes_its_limit_and_not_its_past(manager: Manager) -> None:
    heart = manager.heartbeat(WATCHED)
    heart.expect("collect", timedelta(seconds=10))
    manager.seconds += 11
    heart.expect("collect", timedelta(seconds=10))
    assert heart.late() == ("collect",)
    heart.expect("collect", timedelta(seconds=30))
    assert heart.late() == ()


# --- the file for a container's health check


def test_a_healthy_beat_touches_the_file_and_an_unhealthy_one_does_not(manager: Manager, tmp_path: Path) -> None:
    path = tmp_path / "alive"
    heart = manager.heartbeat(path=path)
    heart.beat()
    assert is_alive(path, timedelta(seconds=10), time.time())
    os.utime(path, (0, 0))
    heart.expect("collect", timedelta(seconds=1))
    manager.seconds += 2
    heart.beat()
    assert path.stat().st_mtime == 0
    heart.progress("collect")
    heart.beat()
    assert is_alive(path, timedelta(seconds=10), time.time())


def test_a_file_that_cannot_be_touched_does_not_matter(manager: Manager, tmp_path: Path) -> None:
    assert manager.heartbeat(path=tmp_path / "missing" / "alive").beat() == ()


@pytest.mark.parametrize(("touched", "expected"), [(1000, True), (990, True), (989, False), (1010, True), (1011, False)])
def test_a_file_proves_life_for_so_long_and_not_from_the_future(tmp_path: Path, touched: int, *, expected: bool) -> None:
    path = tmp_path / "alive"
    path.touch()
    os.utime(path, (touched, touched))
    assert is_alive(path, timedelta(seconds=10), 1000.0) is expected


def test_a_missing_file_is_no_sign_of_life(tmp_path: Path) -> None:
    assert not is_alive(tmp_path / "alive", timedelta(days=1), time.time())


def test_the_check_is_a_small_fast_program(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    path.touch()
    program = [sys.executable, "-X", "importtime", "-m", "spendwatch.heartbeat"]
    alive = subprocess.run([*program, str(path)], capture_output=True, text=True, check=False)
    os.utime(path, (time.time() - 30, time.time() - 30))
    assert alive.returncode == 0
    assert subprocess.run([*program, str(path), "60"], capture_output=True, check=False).returncode == 0
    assert subprocess.run([*program, str(path), "10"], capture_output=True, check=False).returncode == 1
    loaded = {line.split("|")[-1].strip() for line in alive.stderr.splitlines()}
    assert not loaded & {"asyncio", "logging", "structlog", "httpx", "sqlalchemy", "pydantic", "spendwatch.domain"}


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "-1"], ["a", "1", "2"]])
def test_a_wrong_call_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage" in capsys.readouterr().err
