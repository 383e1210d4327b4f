"""One round from a bill to its mails and webhook calls: set up, killed, taken up again, and judged.

The judge looks at what the receivers have, at the files, and at what the program reports; never at the program's log.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from standardwebhooks import Webhook

from bill_builder import ACCOUNT, a_bill
from home import RESEARCH, SECRET, TRAINING, lines_worth, loaded_program, this_month, today
from loaded import BROKEN
from oracle import spend_by_workspace
from servers_http import HttpSink, Request
from servers_smtp import SmtpSink
from spendwatch.cli import root
from sweep.killing import Ended, Point, Program, Victim

READERS = ("finops@example.com", "lead@example.com", "owner@example.com")
HOOK = "hook"
PROGRAM = (sys.executable, "-m", "spendwatch")
LOADED = ("loaded",)
"""The same, forked from one that is loaded; a control build's name may follow."""
MARK = b"X-Spendwatch-Maybe-Repeated: yes\r\n"
MARK_NAME = "x-spendwatch-maybe-repeated"
WITHOUT_BILL = frozenset({"lock", "worker.log"})
"""Files of a reading process that hold nothing of what it read."""
RECOVERIES = 4
"""Rounds after which the program must have come to rest."""

LINES = (("17.1428571", 7, RESEARCH, 1), ("3.3333333333", 9, TRAINING, 20))
"""Amount, how many lines, workspace, number of the first: 120 % of one budget, 60 % of the other, 60 % of the account's."""
TOTALS = {workspace: Decimal(amount) * count for amount, count, workspace, _ in LINES}

CONFIG = """\
accounts:
  acme: {{id: "{account}", site: cn, currency: CNY, budget: 250.00, channels: [post, hook]}}
sources:
  inbox: {{type: folder, path: inbox, poll: 1s, settle: 0s}}
defaults: {{thresholds: [50%, 80%, 100%], channels: [post, hook]}}
allow_networks: [127.0.0.0/8]
state: var/spendwatch.db
spool: var/spool
channels:
  post: {{type: email, host: 127.0.0.1, port: {mail}, security: none, from: alerts@example.com, to: [{readers}]}}
  hook: {{type: webhook, url: "http://127.0.0.1:{hook}/spend", secret_file: hook-secret}}
"""


class Stage(StrEnum):
    """How far the program had come before the round."""

    FRESH = "fresh"
    """There is only the configuration and the bill: the tables are made, too."""
    LEDGER = "ledger"
    """The ledger is there, and empty."""
    OUTBOX = "outbox"
    """It died before it sent the first copy: the alerts are on record, and all deliveries are open."""


class Kind(StrEnum):
    """What can go wrong."""

    LOST = "lost"
    WRONG = "wrong"
    REPEATED = "repeated"
    """In the one window where nobody can know better: no fault."""
    OUTSIDE = "outside the window"
    """Repeated where it was known that the first copy had arrived."""
    LITTER = "litter"
    """Left lying, without a line of a bill in it: no fault, but counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the judge saw."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What a receiver tells copies apart by: who gets it, and the notification's id."""

    receiver: str
    id: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One accepted copy."""

    key: Key
    content: bytes
    is_marked: bool
    """Says of itself that it may be a repeat."""
    run: int
    """In which run of the program it came."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What must be there in the end, however often the program died on the way."""

    keys: frozenset[Key]
    figures: Mapping[str, object]
    """What each webhook call says, but for its times, by id."""
    alerts: Sequence[tuple[str, str]]
    deliveries: int


class Receivers:
    """A mail server and a webhook receiver, outside of the program that is killed."""

    def __init__(self, mail: SmtpSink, hook: HttpSink) -> None:
        self.mail = mail
        self.hook = hook

    def empty(self) -> None:
        self.mail.messages.clear()
        self.hook.requests.clear()

    def taken(self) -> tuple[int, int]:
        """Return how many mails and calls there are, when nothing is under way any more."""
        assert are_quiet(self.mail, self.hook), "the receivers do not come to rest"
        return len(self.mail.messages), len(self.hook.requests)

    def arrivals(self, ends: Sequence[tuple[int, int]]) -> Iterator[Arrival]:
        """Yield what has come, told apart by what was there at each run's end."""
        for at, (receiver, content) in enumerate(self.mail.messages):
            run = sum(at >= mails for mails, _ in ends)
            yield Arrival(Key(receiver, message_id(content)), content.removeprefix(MARK), content.startswith(MARK), run)
        for at, request in enumerate(self.hook.requests):
            run = sum(at >= calls for _, calls in ends)
            number = request.headers.get("webhook-id", "")
            yield Arrival(Key(HOOK, number), request.body, MARK_NAME in request.headers, run)


@contextmanager
def receivers() -> Iterator[Receivers]:
    """Run both receivers."""
    with ExitStack() as stack:
        yield Receivers(stack.enter_context(SmtpSink()), stack.enter_context(HttpSink()))


@dataclass(frozen=True, slots=True)
class Scene:
    """What every round begins with: a bill, and a home for each stage."""

    folder: Path
    month: str
    name: str
    bill: bytes

    @classmethod
    def prepare(cls, folder: Path, to: Receivers) -> Scene:
        """Bring a home to each stage, as the program itself does."""
        scene = cls(folder, this_month(), *_bill())
        fresh = Round(folder / Stage.FRESH, to, scene)
        fresh.furnish()
        bare = fresh.copy(folder / Stage.LEDGER)
        (bare.inbox / scene.name).unlink()
        assert bare.run().code == 0, bare.runs
        (bare.inbox / scene.name).write_bytes(scene.bill)
        full = fresh.copy(folder / Stage.OUTBOX)
        full.start = LOADED
        assert full.run(Point("connect", 1)).victim is Victim.PROGRAM, full.runs
        assert not full.arrivals(), (full.arrivals(), full.runs)
        assert full.states()
        return scene


@dataclass(slots=True)
class Round:
    """A home of its own, and the runs of the program in it."""

    folder: Path
    to: Receivers
    scene: Scene
    start: Sequence[str] = PROGRAM
    """How the program is started; the control builds are started otherwise."""
    runs: list[Ended] = field(default_factory=list)
    ends: list[tuple[int, int]] = field(default_factory=list)
    attempting: list[frozenset[Key]] = field(default_factory=list)
    """After each run: the copies of which the ledger says that their outcome is not on record."""
    damage: list[str] = field(default_factory=list)

    @property
    def database(self) -> Path:
        return self.folder / "var" / "spendwatch.db"

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    def begin(self, stage: Stage) -> Round:
        """Make the home as it is at that stage."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.scene.folder / stage, self.folder)
        self.configure()
        self.to.empty()
        return self

    def copy(self, folder: Path) -> Round:
        """Return another home that is just like this one."""
        shutil.copytree(self.folder, folder)
        return Round(folder, self.to, self.scene)

    def furnish(self) -> None:
        """Make the home: the configuration, and the bill in the inbox."""
        (self.folder / "workspaces").mkdir(parents=True)
        self.inbox.mkdir()
        self.configure()
        secret = self.folder / "hook-secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        for name, workspace, budget in (("research", RESEARCH, "100.00"), ("training", TRAINING, "50.00")):
            policy = f"workspace: {workspace}\nname: {name}\nbudget: {budget}\n"
            (self.folder / "workspaces" / f"{name}.yaml").write_text(policy)
        (self.inbox / self.scene.name).write_bytes(self.scene.bill)

    def configure(self) -> None:
        """Write the main file, which names the receivers' ports."""
        ports = {"mail": self.to.mail.port, "hook": self.to.hook.port}
        text = CONFIG.format(account=ACCOUNT, readers=", ".join(READERS), **ports)
        (self.folder / "spendwatch.yaml").write_text(text)

    def program(self, *arguments: str) -> Program:
        """Return the program as it works in this home."""
        state = [
            *(
                self.database.with_name(self.database.name + end)
                for end in ("", "-wal", "-shm", "-journal", ".lock", ".write-lock")
            ),
            self.database.parent,
            self.inbox,
            self.inbox / self.scene.name,
            self.inbox / "done",
            self.folder / "var" / "spool",
            self.folder / "var" / "spool" / "reading",
        ]
        command = [*self.start, "--config", str(self.folder), *arguments]
        environment = {**os.environ, "NO_COLOR": "1"}
        if self.start[:1] != LOADED:
            return Program(command, environment, self.folder, state)
        environment[BROKEN] = "".join(self.start[1:])
        return Program(command, environment, self.folder, state, ["", *command[len(self.start) :]])

    def run(self, until: Point | None = None) -> Ended:
        """Run one round of the program, to its end or to a point."""
        program = self.program("once", "--log-format", "json")
        if until:
            self.runs.append(program.run_until(until))
        elif self.start is PROGRAM or program.loaded:
            self.runs.append(_called(program, self.start))
        else:
            self.runs.append(program.run())
        self.ends.append(self.to.taken())
        self._look_at_ledger()
        return self.runs[-1]

    def settle(self) -> None:
        """Run the program until it has nothing left to do."""
        for _ in range(RECOVERIES):
            if self.run().code == 0:
                return

    def arrivals(self) -> list[Arrival]:
        return list(self.to.arrivals(self.ends[:-1]))

    def report(self) -> Mapping[str, Decimal]:
        """Return the spend of each workspace as the program reports it."""
        rows = ask(self.folder, "report", "--month", self.scene.month)["rows"]
        return {row["workspace"]: Decimal(row["spend"]) for row in rows}

    def alerts(self) -> list[tuple[str, str]]:
        """Return every alert's id and state."""
        return _read(self.database, "SELECT id, state FROM alert ORDER BY id")

    def states(self) -> list[str]:
        """Return the state of every delivery."""
        return [state for (state,) in _read(self.database, "SELECT state FROM delivery")]

    def _look_at_ledger(self) -> None:
        """Look at a copy of the ledger as the run left it: opening the thing itself would mend it."""
        copy = self.folder / "look"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for end in ("", "-wal", "-journal"):
            part = self.database.with_name(self.database.name + end)
            if part.exists():
                shutil.copy(part, copy / part.name)
        database = copy / self.database.name
        found: frozenset[Key] = frozenset()
        if database.exists() and database.stat().st_size:
            checked = _read(database, "PRAGMA integrity_check")
            if checked != [("ok",)]:
                self.damage.append(f"after run {len(self.runs)}: {checked}")
            if _read(database, "SELECT 1 FROM sqlite_master WHERE name = 'delivery'"):
                rows = _read(database, "SELECT channel, target, notification FROM delivery WHERE state = 'attempting'")
                found = frozenset(Key(target or channel, number) for channel, target, number in rows)
        self.attempting.append(found)


def _called(program: Program, start: Sequence[str]) -> Ended:
    """Run the program where nobody kills it: forked from one that is loaded, for all that it takes up lies on the disk."""
    done = loaded_program().call(["", *program.command[len(start) :]], program.environment)
    return Ended(done.returncode, done.stdout + done.stderr, hangs=done.returncode == -signal.SIGKILL)


def _bill() -> tuple[str, bytes]:
    lines = [
        line
        for amount, count, workspace, first in LINES
        for line in lines_worth(amount, count=count, workspace=workspace, first=first)
    ]
    return a_bill(lines, exported=today().strftime("%Y%m%d%H%M%S"))


def truth(calm: Round) -> Truth:
    """Let the program work undisturbed, and return what came of it."""
    calm.begin(Stage.FRESH)
    oracle = spend_by_workspace([calm.inbox / calm.scene.name], month=calm.scene.month, product="sfm")
    assert {workspace: amount for (workspace, _), amount in oracle.items()} == TOTALS
    ended = calm.run()
    assert ended.code == 0, ended.words
    arrivals = calm.arrivals()
    found = Truth(frozenset(one.key for one in arrivals), _figures(arrivals), calm.alerts(), len(calm.states()))
    assert len(arrivals) == len(found.keys) == found.deliveries, "undisturbed, every copy comes once"
    assert {key.receiver for key in found.keys} == {*READERS, HOOK}
    faults = judge(calm, found)
    assert not faults, faults
    return found


def judge(done: Round, expected: Truth) -> list[Finding]:
    """Return everything that is worth saying about a round that was killed and taken up again."""
    arrivals = done.arrivals()
    return [
        *_judge_runs(done),
        *_judge_copies(done, arrivals, expected),
        *_judge_words(done, arrivals, expected),
        *_judge_ledger(done, expected),
        *_judge_files(done),
    ]


def _judge_runs(done: Round) -> Iterator[Finding]:
    for number, run in enumerate(done.runs, 1):
        if run.hangs:
            yield Finding(Kind.WRONG, f"run {number} hangs, or leaves a process behind")
    if done.runs[-1].code:
        yield Finding(Kind.WRONG, f"does not come to rest: exit {done.runs[-1].code}: {done.runs[-1].words[-2000:]}")


def _judge_copies(done: Round, arrivals: Iterable[Arrival], expected: Truth) -> Iterator[Finding]:
    copies: dict[Key, list[Arrival]] = {}
    for arrival in arrivals:
        copies.setdefault(arrival.key, []).append(arrival)
    for key in sorted(expected.keys - copies.keys()):
        yield Finding(Kind.LOST, f"{key} never came")
    for key in sorted(copies.keys() - expected.keys):
        yield Finding(Kind.WRONG, f"{key} came, which nobody expects")
    for key, (first, *others) in sorted(copies.items()):
        earlier = first
        for later in others:
            yield _judge_repeat(done, key, earlier, later)
            earlier = later


def _judge_repeat(done: Round, key: Key, earlier: Arrival, later: Arrival) -> Finding:
    """A repeat is right when the earlier copy came in a run that was killed before its outcome was on record."""
    if earlier.run == later.run:
        return Finding(Kind.OUTSIDE, f"{key} came twice in run {earlier.run + 1}")
    if done.runs[earlier.run].victim is not Victim.PROGRAM:
        return Finding(Kind.OUTSIDE, f"{key} came again though run {earlier.run + 1} was not killed")
    if key not in done.attempting[earlier.run]:
        return Finding(Kind.OUTSIDE, f"{key} came again though it was not being attempted after run {earlier.run + 1}")
    if earlier.content != later.content:
        return Finding(Kind.WRONG, f"{key} came again with other content")
    if not later.is_marked:
        return Finding(Kind.WRONG, f"{key} came again without the mark")
    return Finding(Kind.REPEATED, str(key))


def _judge_words(done: Round, arrivals: Iterable[Arrival], expected: Truth) -> Iterator[Finding]:
    figures = _figures(arrivals)
    for number, said in expected.figures.items():
        if number in figures and figures[number] != said:
            yield Finding(Kind.WRONG, f"{number} says {figures[number]} instead of {said}")
    for request in done.to.hook.requests:
        if not _is_signed(request):
            yield Finding(Kind.WRONG, f"the signature of {request.headers.get('webhook-id')} is wrong")


def _judge_ledger(done: Round, expected: Truth) -> Iterator[Finding]:
    for damage in done.damage:
        yield Finding(Kind.WRONG, f"the ledger is damaged {damage}")
    try:
        spend, alerts, states = done.report(), done.alerts(), done.states()
    except (AssertionError, sqlite3.Error) as error:
        yield Finding(Kind.WRONG, f"the ledger cannot be read: {error}")
        return
    if spend != TOTALS:
        yield Finding(Kind.WRONG, f"spend is {spend} instead of {TOTALS}")
    if alerts != expected.alerts:
        yield Finding(Kind.WRONG, f"alerts are {alerts} instead of {expected.alerts}")
    if states != ["delivered"] * expected.deliveries:
        yield Finding(Kind.LOST if "dead" in states else Kind.WRONG, f"deliveries are {states}")


def _judge_files(done: Round) -> Iterator[Finding]:
    shelf = done.inbox / "done"
    shelved = sorted(shelf.iterdir()) if shelf.is_dir() else []
    kept = [file for file in shelved if file.stat().st_size]
    if [file.read_bytes() for file in kept] != [done.scene.bill]:
        yield Finding(Kind.WRONG, f"done/ holds {[file.name for file in kept]}")
    spool = done.folder / "var" / "spool"
    lying = [file for file in done.inbox.iterdir() if file != shelf]
    lying += [file for file in spool.rglob("*") if file.is_file() and file.name not in WITHOUT_BILL]
    if lying:
        yield Finding(Kind.WRONG, f"left lying: {sorted(str(file.relative_to(done.folder)) for file in lying)}")
    # A name taken for a rename that never came; the folder of a reading process that is swept by the next.
    litter = [*(file for file in shelved if file not in kept), *spool.glob("reading/*")]
    if litter:
        yield Finding(Kind.LITTER, f"{sorted(str(file.relative_to(done.folder)) for file in litter)}")


_asking = threading.Lock()


def ask(folder: Path, *command: str) -> Any:  # noqa: ANN401 -- whatever the command says
    """Return what a reading command of the program says; in this process, which saves its start."""
    with _asking:  # the runner takes over the standard output of the whole process
        answer = CliRunner().invoke(root, ["--config", str(folder), *command, "--json"])
    assert answer.exception is None, f"{command}: {answer.exception!r} {answer.output}"
    return json.loads(answer.stdout)


def _read(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def message_id(mail: bytes) -> str:
    """Return the notification's id, which is the first part of the mail's."""
    found = re.search(rb"^Message-ID: <([^@>\r\n]+)@", mail, re.MULTILINE | re.IGNORECASE)
    return found[1].decode() if found else "(no Message-ID)"


def _figures(arrivals: Iterable[Arrival]) -> dict[str, object]:
    words = ("scope", "month", "spend", "budget", "used", "threshold", "also", "severity", "state", "summary")
    calls = {one.key.id: json.loads(one.content) for one in arrivals if one.key.receiver == HOOK}
    return {number: {"type": body["type"]} | {word: body["data"].get(word) for word in words} for number, body in calls.items()}


def _is_signed(request: Request) -> bool:
    try:
        Webhook(SECRET).verify(request.body, dict(request.headers))
    except Exception:  # noqa: BLE001 -- whatever it finds wrong
        return False
    return True


def are_quiet(*servers: SmtpSink | HttpSink) -> bool:
    """Wait until nothing is under way to them any more, ten seconds at most."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if all(_is_quiet(server) for server in servers):
            return True
        threading.Event().wait(0.005)
    return False


def _is_quiet(server: SmtpSink | HttpSink) -> bool:
    """Tell whether no connection is open: neither in the kernel nor in the server's own loop."""
    if _has_connection(server.port):
        return False

    async def tasks() -> int:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    # The server itself, and the one who asks.
    return asyncio.run_coroutine_threadsafe(tasks(), server._loop).result(5) == 2


_ESTABLISHED, _SYN_RECEIVED, _CLOSE_WAIT = "01", "03", "08"


def _has_connection(port: int) -> bool:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if int(local.rpartition(":")[2], 16) == port and state in {_ESTABLISHED, _SYN_RECEIVED, _CLOSE_WAIT}:
            return True
    return False
