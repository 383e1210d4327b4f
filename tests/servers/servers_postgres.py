"""A private PostgreSQL server for tests: its own folder, its own port, killed and restarted at will."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import IO, Any, NoReturn

import psycopg
import pytest

PASSWORD = "correct horse"
_SETTINGS = {
    "fsync": "off",  # a killed server loses no commit by this: the log is with the kernel. synchronous_commit stays on.
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "autovacuum": "off",
    "max_wal_size": "128MB",
    "log_min_messages": "warning",
}


def programs() -> Path | None:
    """Return the folder with the server's programs, or None where there is none."""
    found = shutil.which("postgres")
    folders = [
        *([Path(os.environ["PG_BINDIR"])] if "PG_BINDIR" in os.environ else []),
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
        *([Path(found).resolve().parent] if found else []),
    ]
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


def require_programs() -> Path:
    """Return the programs' folder, or skip; with SPENDWATCH_NO_SKIP=1, fail."""
    folder = programs()
    if folder is None:
        missing("no PostgreSQL server here: install one (Debian: postgresql), or name its folder in PG_BINDIR")
    return folder


def missing(why: str) -> NoReturn:
    """Skip the test for a reason that everybody sees; with SPENDWATCH_NO_SKIP=1, fail it."""
    if os.environ.get("SPENDWATCH_NO_SKIP") == "1":
        pytest.fail(why)
    pytest.skip(why)


class PostgresServer:
    """One server process and its data."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._programs = programs
        self._data = folder / "data"
        self._log: IO[bytes] = (folder / "log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._init()

    def url(self, database: str) -> str:
        """Return the URL over the unix socket, where everybody is trusted."""
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str, password: str = "") -> str:
        """Return the URL over TCP, where the password is asked for."""
        secret = f":{password}" if password else ""
        return f"postgresql://postgres{secret}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        settings = _SETTINGS | {"unix_socket_directories": str(self.folder), "listen_addresses": "127.0.0.1"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, cwd="/", start_new_session=True, **_owner()
        )
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            if self._is_ready():
                return
            Event().wait(0.02)
        raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        """Kill the server and all its children at once, as a power cut would."""
        process = self._process
        assert process is not None
        family = [process.pid, *_children(process.pid)]
        for pid in family:
            _kill(pid)
        process.wait(30)
        end = time.monotonic() + 10
        while any(_is_alive(pid) for pid in family) and time.monotonic() < end:
            Event().wait(0.01)

    def close(self) -> None:
        """Stop at once, in good order for others, without a last look at data that nobody will read."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
        self._log.close()

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        pid = self._process.pid if self._process else 0
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"  # else: a killed one left the file

    def _init(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        for path in (self.folder, secret):
            if os.geteuid() == 0:
                os.chown(path, _owner()["user"], _owner()["group"])
        command = [
            str(self._programs / "initdb"),
            "-D",
            str(self._data),
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        access = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}"]
        subprocess.run([*command, *access], check=True, stdout=self._log, stderr=self._log, cwd="/", **_owner())


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Run a server of our own in a folder of its own; skips where there are no programs."""
    binaries = require_programs()
    folder = Path(tempfile.mkdtemp(prefix="spendwatch-pg-"))  # pytest's own folders are closed to other users
    try:
        server = PostgresServer(folder, binaries)
        server.start()
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner() -> Mapping[str, Any]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port() -> int:
    """Return a port that nobody uses, and that no system gives to whoever asks for any: it stays free until it is used."""
    while True:
        port = 16_384 + secrets.randbelow(16_384)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _children(parent: int) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if (fields := _stat(pid)) and int(fields[1]) == parent]


def _is_alive(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
