"""A home for the real program: a configuration folder, an inbox, receivers on the loopback, and the commands."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import loaded
import nursery
import shifted
from bill_builder import ACCOUNT, a_bill, a_line
from servers_http import HttpSink, Reply, Request
from servers_smtp import SmtpSink

ZONE = ZoneInfo("Asia/Shanghai")
RESEARCH, TRAINING = "llm-demo0a1b2c3d4e", "llm-demo5f6a7b8c9d"
_PATIENCE = 120
"""Seconds after which a command is killed."""
_LONGEST = 3600
"""The same of a daemon."""
_MESSAGE = 1 << 16
SECRET = "whsec_c3BlbmR3YXRjaCB0ZXN0IHNlY3JldCwgbm90IHNlY3JldA=="


def today() -> datetime:
    """Return the present moment in the billing zone."""
    return datetime.now(ZONE)  # noqa: TID251 -- a test of the real program lives in real time


def this_month() -> str:
    """Return the current billing month as `YYYY-MM`."""
    return today().strftime("%Y-%m")


class Begun(nursery.Forked):
    """One command of the loaded program, at work."""

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


class LoadedProgram:
    """The program, loaded once for all commands that are called to their end: each in a process of its own.

    So are their reading processes.
    """

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._reading, of_nursery = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, of_nursery, self._reading:
            files = [theirs.fileno(), self._reading.fileno()]
            self._processes = [_started(nursery.__file__, [of_nursery.fileno()]), _started(loaded.__file__, files)]

    def call(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, as `subprocess.run` does."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
            begun = self.begin(arguments, environment, out.fileno(), errors.fileno())
            code = begun.wait()
            said = []
            for file in (out, errors):
                file.seek(0)
                said.append(file.read())
        return subprocess.CompletedProcess(list(arguments), code, *said)

    def begin(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        out: int,
        errors: int,
        *,
        is_held: bool = False,
        seconds: int = _PATIENCE,
    ) -> Begun:
        """Begin one command. One that is held stops before it does anything, until it gets SIGCONT."""
        request = {"arguments": arguments, "environment": environment, "folder": str(Path.cwd()), "seconds": seconds}
        theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            message = json.dumps(request | {"is_held": is_held}).encode()
            socket.send_fds(self._requests, [message], [out, errors, theirs.fileno()])
        return Begun(ours)

    def close(self) -> None:
        self._requests.close()
        for process in self._processes:
            process.wait(30)


def _started(program: str, files: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, program, *map(str, files)], stdin=subprocess.DEVNULL, pass_fds=files)


@cache
def loaded_program() -> LoadedProgram:
    """Return the one of this process."""
    program = LoadedProgram()
    atexit.register(program.close)
    return program


@dataclass(slots=True)
class Home:
    """Where one test's program lives."""

    folder: Path
    mail: SmtpSink | None = None
    hook: HttpSink | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    @property
    def state(self) -> Path:
        return self.folder / "var" / "spendwatch.db"

    def furnish(
        self, *, account: str = "", extra: str = "", settle: str = "0s", stale_after: str = "", sources: Sequence[str] = ()
    ) -> None:
        """Write the configuration; `account` adds to the account, `extra` to the top, `sources` stand beside the inbox."""
        silence = f", stale_after: {stale_after}" if stale_after else ""
        self.inbox.mkdir(parents=True, exist_ok=True)
        (self.folder / "workspaces").mkdir(exist_ok=True)
        channels, names = ["  screen: {type: console}"], ["screen"]
        if self.mail:
            channels.append(
                f"  post: {{type: email, host: 127.0.0.1, port: {self.mail.port}, security: none, "
                "from: alerts@example.com, to: [finops@example.com]}"
            )
            names.append("post")
        if self.hook:
            secret = self.folder / "hook-secret"
            secret.write_text(SECRET)
            secret.chmod(0o600)
            channels.append(
                f'  hook: {{type: webhook, url: "http://127.0.0.1:{self.hook.port}/spend", secret_file: hook-secret}}'
            )
            names.append("hook")
        everywhere = f"[{', '.join(names)}]"
        (self.folder / "spendwatch.yaml").write_text(
            "\n".join(
                [
                    "accounts:",
                    f'  acme: {{id: "{ACCOUNT}", site: cn, currency: CNY, channels: {everywhere}{account}}}',
                    "sources:",
                    f"  inbox: {{type: folder, path: inbox, poll: 1s, settle: {settle}{silence}}}",
                    *(f"  {source}" for source in sources),
                    f"defaults: {{thresholds: [50%, 80%, 100%], channels: {everywhere}}}",
                    "allow_networks: [127.0.0.0/8]",
                    "channels:",
                    *channels,
                    extra,
                    "",
                ]
            )
        )

    def watch(self, workspace: str = RESEARCH, *, budget: str = "100.00", name: str = "Research", more: str = "") -> Path:
        """Write the policy of one workspace."""
        path = self.folder / "workspaces" / f"{name.lower()}.yaml"
        path.write_text(f"workspace: {workspace}\nname: {name}\nbudget: {budget}\n{more}\n")
        return path

    def drop(self, lines: Iterable[Mapping[str, str]], *, exported: datetime | None = None, name: str | None = None) -> Path:
        """Put a bill into the inbox as one should: written elsewhere, then renamed."""
        own_name, content = a_bill(lines, exported=(exported or today()).strftime("%Y%m%d%H%M%S"))
        return self.put(name or own_name, content)

    def put(self, name: str, content: bytes) -> Path:
        """Put any file into the inbox."""
        part = self.inbox / ".new.part"
        part.write_bytes(content)
        return part.rename(self.inbox / name)

    @property
    def clock(self) -> str:
        """Which time it is in this home, as `shifted` takes it; empty for the real one."""
        return ""

    def command(self, *arguments: str) -> list[str]:
        program = [shifted.__file__, self.clock] if self.clock else ["-m", "spendwatch"]
        return [sys.executable, *program, "--config", str(self.folder), *arguments]

    def env(self) -> dict[str, str]:
        return {**os.environ, "NO_COLOR": "1", **self.environment}

    def call(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one command to its end; another exit code than expected fails the test with all that was printed."""
        done = loaded_program().call([self.clock, "--config", str(self.folder), *arguments], self.env())
        assert done.returncode == expect, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, expect: int = 0) -> Any:  # noqa: ANN401 -- whatever the command says
        return json.loads(self.call(*arguments, "--json", expect=expect).stdout)

    def mails(self) -> list[bytes]:
        assert self.mail
        return [content for _, content in self.mail.messages]

    def calls(self) -> list[dict[str, Any]]:
        """Return the bodies of the webhook calls."""
        assert self.hook
        return [json.loads(request.body) for request in self.hook.requests]

    def requests(self) -> list[Request]:
        """Return what the webhook's receiver got."""
        assert self.hook
        return self.hook.requests

    def hook_answers(self, status: int, *, delay: float = 0.0) -> None:
        """Let the webhook's receiver answer so once, and with 200 from then on."""
        assert self.hook
        self.hook.replies[:] = [Reply(status, delay=delay), Reply()]

    def until(self, condition: Callable[[], bool], *, seconds: float = 120.0) -> None:
        """Wait until it is true, or fail the test."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            threading.Event().wait(0.05)

    def run(self, log: IO[str], more: Mapping[str, str], *, anew: bool) -> subprocess.Popen[str] | Begun:
        """Run the daemon, and let it write its log there."""
        environment = {**self.env(), **more}
        if anew:
            return subprocess.Popen(self.command("run"), env=environment, stdout=log, stderr=log, text=True)
        return self.begin("run", log=log, environment=environment)

    def begin(self, command: str, *, log: IO[str], environment: Mapping[str, str] | None = None) -> Begun:
        """Begin one command in the loaded program, whose end is not waited for."""
        arguments, place = [self.clock, "--config", str(self.folder), command], log.fileno()
        return loaded_program().begin(arguments, environment or self.env(), place, place, seconds=_LONGEST)

    def start(self, *, anew: bool = False) -> Running:
        """Start the daemon: forked from the loaded program, or anew, as an operator does."""
        return Running.of(self, anew=anew)


@dataclass(slots=True)
class TimedHome(Home):
    """A home in which it is whatever time a test wants."""

    now: datetime = datetime(2026, 9, 20, 12, tzinfo=ZONE)

    @property
    def clock(self) -> str:
        return self.now.isoformat()

    def at(self, moment: str) -> None:
        self.now = datetime.fromisoformat(moment).replace(tzinfo=ZONE)


@dataclass(slots=True)
class SteppedHome(Home):
    """A home whose wall clock can be set while the program runs; the clock that nobody sets goes on."""

    @property
    def clock(self) -> str:
        return f"@{self.folder / 'ahead'}"

    def set_clock(self, ahead: timedelta) -> None:
        """Let the wall clock be so far ahead of the real time."""
        new = self.folder / "ahead.new"
        new.write_text(str(ahead.total_seconds()))
        new.replace(self.folder / "ahead")


@dataclass(slots=True)
class JumpingHome(Home):
    """A home in which the daemon, started anew, needs no time for what it waits for: days pass in seconds."""

    since: datetime = datetime(2026, 9, 15, tzinfo=ZONE)
    _leader: socket.socket = field(init=False)
    _follower: socket.socket | None = None

    def __post_init__(self) -> None:
        self._leader = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._leader.bind(str(self.folder / "time"))
        self._leader.listen(1)

    @property
    def clock(self) -> str:
        return f"~{self.since.isoformat()} {self.folder / 'time'}"

    def pass_to(self, moment: datetime) -> Mapping[str, int]:
        """Let all that is due by then be done; return how many rounds each job has made since the start."""
        if self._follower is None:
            self._follower = self._leader.accept()[0]
            self._follower.recv(_MESSAGE)
        self._follower.send(moment.isoformat().encode())
        told: dict[str, int] = json.loads(self._follower.recv(_MESSAGE))
        return told

    def let_go(self) -> None:
        """Let time pass as it does; only then does the daemon hear signals."""
        self._leader.close()
        if self._follower:
            self._follower.close()


@dataclass(slots=True)
class Running:
    """The daemon, running."""

    home: Home
    process: subprocess.Popen[str] | Begun
    notify: socket.socket
    ready_after: float = 0.0

    @classmethod
    def of(cls, home: Home, *, anew: bool) -> Running:
        """Start the daemon and wait until it says that it is ready."""
        place = home.folder / "notify"
        place.unlink(missing_ok=True)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(place))
        notify.settimeout(120)
        log = (home.folder / "daemon.log").open("a")
        started = time.monotonic()
        process = home.run(log, {"NOTIFY_SOCKET": str(place)}, anew=anew)
        log.close()
        running = cls(home, process, notify)
        running.wait_for("READY=1")
        running.ready_after = time.monotonic() - started
        return running

    def wait_for(self, word: str) -> str:
        """Wait for a message to systemd that has the word in it."""
        while True:
            message = self.notify.recv(4096).decode()
            if word in message:
                return message

    def log(self) -> str:
        return (self.home.folder / "daemon.log").read_text()

    def stop(self) -> int:
        """Stop the daemon as systemd does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.notify.close()

    def kill(self) -> None:
        """Kill the daemon without a word."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(30)
        self.notify.close()


def lines_worth(
    amount: str, *, count: int = 1, workspace: str = RESEARCH, first: int = 1, **changes: str
) -> list[dict[str, str]]:
    """Return lines of this month of that amount each, with ids of their own."""
    day = today().strftime("%Y%m%d")
    ids = (f"{day[:6]}_0700v1_019_{workspace}_{number}" for number in range(first, first + count))
    fixed: dict[str, Any] = {"day": day, "time": "00:00:00", "amount": amount, "workspace": workspace, **changes}
    return [a_line(line_id=line_id, **fixed) for line_id in ids]
