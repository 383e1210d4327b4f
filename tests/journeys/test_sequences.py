"""Random sequences of everything that happens to the program, checked against a small model of what must be true.

Bills (new, older, the same, broken), time, quiet hours, reloads, a channel that is renamed, silences, acknowledgements, a
receiver that fails, the program that breaks off, and the real program that is killed. Nothing comes in quiet hours that they
hold, and nothing about an alert after its end. Afterwards: amounts are the exact sum of the newest lines (I1, I2), whatever
was to be told has arrived (I3), twice only where an answer may have been lost (I4), and nothing that nobody wrote down (I5);
every bill file is in one place (I6); a rebuilt ledger says the same (I7); a second daemon is refused (I8); no alert is told
twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bill_builder import a_bill, a_line
from home import RESEARCH, TRAINING, ZONE
from past_month import MonthHome
from servers_http import Fault, HttpSink, Reply
from spendwatch.app import App
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.alert import Acknowledgement
from spendwatch.domain.delivery import WAITING, DeliveryState, Reason, Silence
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.scope import Dimension
from spendwatch.settings import load
from spendwatch.state import Store
from spendwatch.store.opening import open_database

NAMES = ChannelName("hook"), ChannelName("pager")
"""What the receiver's channel is called, the one time or the other."""
NIGHT = 'secret_file: hook-secret, quiet_hours: {from: "22:00", to: "07:00"}'
SEPTEMBER = BillingPeriod(2026, 9)
WORKSPACES = (RESEARCH, TRAINING, "llm-other", "")
FIRST, LAST = date(2026, 9, 1), datetime(2026, 9, 29, 12, tzinfo=ZONE)
STEPS = 30
LOOKED_AT = 0.6
"""After so many of the steps the program looks."""
KILLED_EVERY = 10
"""In one of so many sequences the real program is killed once."""


@dataclass
class World:
    """The program, its surroundings, and the model of both."""

    home: MonthHome
    reader: ReadingProcess
    source: random.Random
    runner: asyncio.Runner
    newest: dict[str, tuple[datetime, Decimal, str]] = field(default_factory=dict)
    """Of each line the newest export, with its amount and workspace."""
    bills: list[tuple[str, bytes]] = field(default_factory=list)
    stamps: set[datetime] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    broken: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    """How often each message was accepted by the receiver."""
    ambiguous: set[str] = field(default_factory=set)
    """What was sent while the program was killed: its answer may have been lost."""
    counts: Counter[str] = field(default_factory=Counter)
    ended: set[str] = field(default_factory=set)
    """The alerts whose end the receiver accepted."""
    hook: ChannelName = NAMES[0]

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start the program, as after a crash."""
        settings = load(self.home.folder)
        self.database = open_database(settings.state)
        self.database.lock_for_life()
        self.store = Store.of(self.database)
        self.app = App(settings, self.store, clock=lambda: self.home.now, reader=self.reader)
        self.store.outbox.take_up()

    def crash(self) -> None:
        """Break off, and start again."""
        self.database.close()
        self.start()

    def look(self) -> None:
        """Collect, judge, and deliver what is due."""
        self.runner.run(self._gather())
        self.app.assess()
        self.deliver()

    async def _gather(self) -> None:
        await self.app.ask_balances(at_once=True)
        await self.app._gather_settled(next(iter(self.app.sources)))

    def deliver(self) -> None:
        self._count(lambda: self.runner.run(self.app.deliver(self.hook)))

    def _count(self, work: Callable[[], object]) -> set[str]:
        """Do it, count what the receiver accepts meanwhile, and return what it got."""
        assert self.home.hook
        before = len(self.home.hook.requests)
        work()
        got = [request.headers["webhook-id"] for request in self.home.hook.requests[before:]]
        (answer,) = self.home.hook.replies
        is_night = not time(7) <= self.home.now.astimezone(ZONE).time() < time(22)
        for body in (json.loads(request.body) for request in self.home.hook.requests[before:]):
            assert not is_night or body["type"] == "balance.overdue", body
            assert body["data"]["alert_id"] not in self.ended, body
            if answer == Reply() and body["data"]["state"] == "resolved":
                self.ended.add(body["data"]["alert_id"])
        if answer.status == Reply().status and answer.fault is Fault.NONE:
            self.accepted.update(got)
        return set(got)

    # --- what may happen

    def new_bill(self, *, age: timedelta = timedelta()) -> None:
        """Drop an export of some lines, as it would have been that long ago: newer lines win, whenever they come."""
        exported = (self.home.now - age).replace(microsecond=0)
        while exported in self.stamps:  # of two of the same second nobody knows which is newer
            exported -= timedelta(seconds=1)
        self.stamps.add(exported)
        lines: list[Mapping[str, str]] = []
        for _ in range(self.source.randint(1, 3)):
            workspace, day = self.source.choice(WORKSPACES), FIRST.replace(day=self.source.randint(1, self.home.now.day))
            name, amount = f"202609_{workspace}_{day:%d}", Decimal(self.source.randint(-500, 3000)) / 100
            if any(line["标识信息/账单明细ID"] == name for line in lines):
                continue
            lines.append(a_line(line_id=name, day=f"{day:%Y%m%d}", amount=str(amount), workspace=workspace))
            if name not in self.newest or self.newest[name][0] < exported:
                self.newest[name] = exported, amount, workspace
        bill = a_bill(lines, exported=exported.strftime("%Y%m%d%H%M%S"))
        self.bills.append(bill)
        self._drop(*bill)

    def older_bill(self) -> None:
        self.new_bill(age=timedelta(hours=self.source.randint(1, 60), seconds=self.source.randint(1, 59)))

    def same_bill(self) -> None:
        if self.bills:
            self._drop(*self.source.choice(self.bills))

    def broken_bill(self) -> None:
        self.broken += 1
        self._drop(f"broken-{self.broken}.csv", f"neither this\nnor that {self.broken}\n".encode())

    def time(self) -> None:
        pause = timedelta(hours=self.source.choice([1, 1, 5, 26]), seconds=1)
        self.home.now = min(LAST, self.home.now + pause)

    def reload(self) -> None:
        self.home.watch(budget=f"{self.source.randint(20, 90)}.00", more="remind: 1d")
        self.app.reload()

    def rename(self) -> None:
        """Rename the receiver's channel, wherever it is named."""
        main, new = self.home.folder / "spendwatch.yaml", next(name for name in NAMES if name != self.hook)
        main.write_text(main.read_text().replace(f"{self.hook}:", f"{new}:").replace(f", {self.hook}]", f", {new}]"))
        self.hook = new
        self.app.reload()

    def silence(self) -> None:
        number, now = len(self.store.book.silences()), self.home.now.astimezone(UTC)
        rule = self.source.choice(["spend.*", "bills.*", ""])
        ends = now + timedelta(hours=self.source.randint(1, 12))
        self.store.book.add_silence(Silence(f"s{number}", now, ends, "a test", rule=rule))

    def acknowledge(self) -> None:
        firing, now = [one for one in self.store.book.known() if one.is_firing], self.home.now.astimezone(UTC)
        if firing:
            until = self.source.choice([None, now + timedelta(hours=self.source.randint(1, 30))])
            self.store.book.acknowledge([Acknowledgement(self.source.choice(firing).id, "a test", now, until)], [])

    def receiver(self) -> None:
        assert self.home.hook
        answers = [Reply(), Reply(), Reply(500), Reply(503, delay=0.01), Reply(fault=Fault.CUT)]
        self.home.hook.replies[:] = [self.source.choice(answers)]

    def kill(self) -> None:
        """Let the real program make a round, and kill it at any moment."""

        def run() -> None:
            with Path(os.devnull).open("w") as nowhere:
                process = self.home.begin("once", log=nowhere)
            threading.Event().wait(self.source.uniform(0.0, 1.0))
            process.kill()
            process.wait(30)

        self.database.close()
        self.ambiguous |= self._count(run)
        self.start()

    def _drop(self, name: str, content: bytes) -> None:
        self.dropped.add(name)
        self.home.put(name, content)

    # --- what must be true

    def settle(self) -> None:
        """Let time pass until nothing waits any more."""
        assert self.home.hook
        self.home.hook.replies[:] = [Reply()]
        for _ in range(60):
            self.look()
            unsent = self.store.outbox.listing((*WAITING, DeliveryState.ATTEMPTING))
            if not [one for one in unsent if one.channel in NAMES] and not self.store.book.waiting():
                return
            self.home.now += timedelta(hours=3)
        pytest.fail("something still waits after a week")

    def check(self) -> None:
        self._check_amounts()
        self._check_messages()
        self._check_files()

    def _check_amounts(self) -> None:
        sums = self.store.ledger.spend(SEPTEMBER, (Dimension.WORKSPACE,))
        found = {one.values[Dimension.WORKSPACE]: one.amount for one in sums}
        expected: dict[str, Decimal] = {}
        for _, amount, workspace in self.newest.values():
            expected[workspace] = expected.get(workspace, Decimal(0)) + amount
        assert found == expected
        assert sum(found.values()) == sum((amount for _, amount, _ in self.newest.values()), Decimal(0))

    def _check_messages(self) -> None:
        assert self.home.hook
        seen = Counter(request.headers["webhook-id"] for request in self.home.hook.requests)
        created = self.store.outbox.created(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
        mine = [one for _, one in created if one.channel in NAMES]
        ended = {DeliveryState.DELIVERED, DeliveryState.DEAD}
        order = sorted(mine, key=lambda one: (one.notification.reason is Reason.RESOLVED, one.notification.created_at))
        last = {one.notification.alert: one.notification.id for one in order}
        settled = {one.notification.id for one in mine if one.state in ended}
        assert set(last.values()) <= settled
        for one in mine:
            is_dropped = one.last_error.startswith(
                ("superseded: ", "turned away: the configuration no longer has this channel")
            )
            assert one.state in ended or (one.state is DeliveryState.CANCELLED and is_dropped), one
        ids = {one.notification.id for one in mine}
        assert seen.keys() <= ids
        assert {one.notification.id for one in mine if one.state is DeliveryState.DELIVERED} <= seen.keys()
        assert {which for which, times in self.accepted.items() if times > 1} <= self.ambiguous
        alerts = self.store.book.alerts(limit=10_000)
        assert len({(one.key, one.episode) for one in alerts}) == len(alerts)
        fired = {one.notification.id: one.notification.alert for one in mine if one.notification.reason is Reason.FIRED}
        told = Counter(fired.values())
        assert max(told.values(), default=1) == 1

    def _check_files(self) -> None:
        places = [self.home.inbox, self.home.inbox / "done", self.home.inbox / "rejected"]
        lying = Counter(path.name for place in places if place.is_dir() for path in place.iterdir() if path.is_file())
        for name in self.dropped:
            stem = name.removesuffix(".csv")
            assert any(found.startswith(stem) for found in lying), name


def steps(world: World) -> Sequence[Callable[[], None]]:
    many = [world.new_bill] * 4 + [world.time] * 4 + [world.receiver] * 2
    return [
        *many,
        world.older_bill,
        world.same_bill,
        world.broken_bill,
        world.reload,
        world.rename,
        world.silence,
        world.acknowledge,
        world.crash,
    ]


@pytest.fixture(scope="module")
def sink() -> Iterator[HttpSink]:
    with HttpSink() as sink:
        yield sink


def play(seed: int, folder: Path, sink: HttpSink, reader: ReadingProcess, empty_ledger: Path) -> Counter[str]:
    """Play one sequence, and check what must be true."""
    source = random.Random(seed)  # noqa: S311 -- no secret: the same sequences every time
    sink.requests.clear()
    sink.replies[:] = [Reply()]
    home = MonthHome(folder, hook=sink, now=datetime(2026, 9, 5, 10, tzinfo=ZONE))
    home.furnish(stale_after="30h", account=", budget: 200.00, balance: {from: manual, cash: 150.00, floors: [50.00]}")
    main = home.folder / "spendwatch.yaml"
    main.write_text(main.read_text().replace("secret_file: hook-secret", NIGHT))
    home.watch(budget="40.00", more="remind: 1d")
    home.state.parent.mkdir(mode=0o700)
    shutil.copy(empty_ledger, home.state)
    with asyncio.Runner() as runner:
        world = World(home, reader, source, runner)
        kill_at = source.randrange(STEPS) if seed % KILLED_EVERY == 0 else None
        for number in range(STEPS):
            step = world.kill if number == kill_at else source.choice(steps(world))
            world.counts[step.__name__] += 1
            step()
            # Some change nothing by themselves, and now and then several things happen before anybody looks.
            if step not in {world.receiver, world.silence, world.acknowledge} and source.random() < LOOKED_AT:
                world.look()
        world.settle()
        world.check()
        with closing(open_database(str(home.state))) as other, pytest.raises(LedgerUnavailableError):
            other.lock_for_life()
        world.database.close()
        if seed % KILLED_EVERY == 1:
            home.call("ledger", "verify")
        return world.counts


def test_whatever_happens_in_any_order_the_promises_hold(
    request: pytest.FixtureRequest, tmp_path: Path, sink: HttpSink, shared_reader: ReadingProcess, empty_ledger: Path
) -> None:
    many, counts = 2000 if request.config.getoption("--long") else 50, Counter[str]()
    for seed in range(many):
        folder = tmp_path / str(seed)
        try:
            counts += play(seed, folder, sink, shared_reader, empty_ledger)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        shutil.rmtree(folder)
    print(f"{many} sequences, {counts.total()} steps: {dict(counts.most_common())}")
    assert counts.total() == many * STEPS
