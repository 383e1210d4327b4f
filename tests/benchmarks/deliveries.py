"""How quickly a storm is told: 5,000 alerts over mail, webhook and chat; and what a receiver that hangs costs the others.

    python tests/benchmarks/deliveries.py [--alerts 5000] [--only mail]
    python tests/benchmarks/deliveries.py --hanging [--pairs 10]

Real channels send to bare servers in a process of their own; each channel alone first, then all of them at once. Printed are
copies a second, CPU time a copy, and peak memory. The chat takes 100 a second, the most that can be configured, one at a time.

With --hanging alerts come one after the other to mail and webhook, in two processes at the same time: in one of them beside
a second webhook that takes the connection and never answers. Printed is how long after it was due a copy was on record as
delivered, over all pairs of runs; and in how many of them the 99th percentile was higher with it: in about half of them where
it costs nothing, however busy the machine is. The same is printed of pairs without that webhook in either: that is chance.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC
from ipaddress import ip_network
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders"))

from spendwatch.channels.chat_settings import SlackConfig
from spendwatch.channels.email_settings import EmailConfig
from spendwatch.channels.opening import open_channel
from spendwatch.channels.webhook_settings import WebhookConfig
from spendwatch.domain.delivery import NotificationId
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.jobs.deliver import Settled, deliver
from spendwatch.jobs.ports import Channel
from spendwatch.outgoing import Outgoing
from spendwatch.schedule import keep_for_life
from spendwatch.state import system_clock
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.health_book import HealthBook
from spendwatch.store.opening import open_database
from spendwatch.store.outbox import Outbox
from store_builders import alert, matter, notification

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HANGS = ChannelName("hangs")


async def take_mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a relay that takes everything."""
    writer.write(b"220 sink ESMTP\r\n")
    while command := (await reader.readline())[:4].upper():
        if command == b"EHLO":
            writer.write(b"250-sink\r\n250-8BITMIME\r\n250 SIZE 35882577\r\n")
        elif command == b"DATA":
            writer.write(b"354 go\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 queued\r\n")
        elif command == b"QUIT":
            writer.write(b"221 bye\r\n")
            break
        else:
            writer.write(b"250 ok\r\n")
    writer.close()


async def take_posts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a receiver that takes everything."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


async def take_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    del writer
    await reader.read()


def serve(tell: Connection) -> None:
    """Run the servers until we are ended."""

    async def run() -> None:
        def quiet(answer: Answering) -> Answering:
            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    await answer(reader, writer)
                except (asyncio.IncompleteReadError, ConnectionError):
                    writer.close()

            return handle

        answers = (take_mail, take_posts, take_posts, take_nothing)
        servers = [await asyncio.start_server(quiet(answer), "127.0.0.1", 0, backlog=500) for answer in answers]
        tell.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.Event().wait()

    asyncio.run(run())


class Timed:
    """A channel that notes when its copies are settled."""

    def __init__(self, channel: Channel) -> None:
        self.channel, self.targets, self.render, self.send = channel, channel.targets, channel.render, channel.send
        self.ended: list[tuple[NotificationId, float]] = []

    @property
    def at_once(self) -> int:
        return self.channel.at_once

    def settled(self, one: Settled) -> None:
        assert not one.why, one.why
        self.ended.append((one.delivery.notification.id, time.perf_counter()))


def channels(mail: int, hook: int, chat: int, hanging: int) -> Mapping[ChannelName, Timed]:
    """Return the channels to these servers."""
    clients = Outgoing([ip_network("127.0.0.0/8")])
    told = {"host": "127.0.0.1", "port": mail, "security": "none", "from": "alerts@example.com", "to": ["ops@example.com"]}
    pace = {"per_second": 100, "per_minute": 6000}
    configs: Mapping[str, EmailConfig | WebhookConfig | SlackConfig] = {
        "mail": EmailConfig.model_validate(told),
        "hook": WebhookConfig(url=f"http://127.0.0.1:{hook}/x"),
        "chat": SlackConfig.model_validate({"url": f"http://127.0.0.1:{chat}/x", **pace}),
        HANGS: WebhookConfig(url=f"http://127.0.0.1:{hanging}/x"),
    }
    return {
        ChannelName(name): Timed(open_channel(name, config, clients=lambda _: clients, zone=UTC, clock=system_clock))
        for name, config in configs.items()
    }


class Scene:
    """A ledger of its own, and the channels that carry what is committed in it."""

    def __init__(self, place: str, ways: Mapping[ChannelName, Timed]) -> None:
        self.database, self.ways = open_database(place), ways
        self.database.lock_for_life()
        self.book, self.outbox, self.health = AlertBook(self.database), Outbox(self.database), HealthBook(self.database)

    def commit(self, numbers: Sequence[int]) -> list[NotificationId]:
        """Commit so many alerts."""
        about = [alert(matter(f"{number}%", scope=f"workspace:llm-{number}")) for number in numbers]
        said = tuple(notification(one, channels=tuple(self.ways)) for one in about)
        targets = {name: way.targets for name, way in self.ways.items()}
        self.book.commit(Verdict(tuple(about), said), targets, now=system_clock())
        return [one.id for one in said]

    async def carry(self, name: ChannelName, is_over: Callable[[], bool]) -> None:
        """Deliver what is due over one channel."""
        way = self.ways[name]
        await deliver(
            name, way, outbox=self.outbox, health=self.health, clock=system_clock, settled=way.settled, stopping=is_over
        )


async def storm(place: str, ways: Mapping[ChannelName, Timed], count: int) -> None:
    """Commit the alerts, deliver them, and print what it took."""
    scene = Scene(place, ways)
    scene.commit(range(count))
    keep_for_life()  # as the daemon does
    began, before = time.perf_counter(), time.process_time()

    async def carry(name: ChannelName) -> None:
        while len(ways[name].ended) < count:  # a chat at its pace is asked again, as the daemon does
            await scene.carry(name, lambda: False)
            await asyncio.sleep(0.05)

    await asyncio.gather(*(carry(name) for name in ways))
    took, cpu = time.perf_counter() - began, time.process_time() - before
    for name, way in ways.items():
        print(f"  {name}: {count / (way.ended[-1][1] - began):.0f} a second")
    print(f"  {cpu / count * 1000:.2f} ms CPU time an alert; busy for {cpu / took:.0%} of the time of one core")
    scene.database.close()


async def steady(place: str, ways: Mapping[ChannelName, Timed], count: int) -> Mapping[ChannelName, Sequence[float]]:
    """Commit one alert after the other and deliver them; return how long each copy took that came to its end."""
    scene, over = Scene(place, ways), asyncio.Event()
    due, more = dict[NotificationId, float](), dict[ChannelName, asyncio.Event]()

    async def carry(name: ChannelName) -> None:
        more[name] = asyncio.Event()
        while not over.is_set():
            await scene.carry(name, over.is_set)
            await more[name].wait()
            more[name].clear()

    tasks = [asyncio.create_task(carry(name)) for name in ways]
    for number in range(count):
        at = time.perf_counter()
        due.update(dict.fromkeys(await asyncio.to_thread(scene.commit, [number]), at))
        for event in more.values():
            event.set()
        await asyncio.sleep(0.02)
    healthy = [way for name, way in ways.items() if name != HANGS]
    while any(len(way.ended) < count for way in healthy):  # noqa: ASYNC110 -- a channel tells nobody that it is done
        await asyncio.sleep(0.02)
    over.set()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    scene.database.close()
    return {name: [ended - due[which] for which, ended in way.ended] for name, way in ways.items() if name != HANGS}


def percentile(took: Sequence[float], which: int) -> float:
    return statistics.quantiles(took, n=100)[which - 1] * 1000


def one_run(place: str, ports: Sequence[int], count: int, *, hangs: bool) -> Mapping[ChannelName, Sequence[float]]:
    names = {"mail", "hook", *([HANGS] if hangs else [])}
    return asyncio.run(steady(place, {name: way for name, way in channels(*ports).items() if name in names}, count))


def beside_a_hanging_one(folder: str, ports: Sequence[int], pairs: int, count: int) -> None:
    """Print the times of mail and webhook with and without a receiver that hangs: both at the same time, in two processes.

    Likewise without it in both processes: what differs then is chance.
    """
    found: dict[tuple[bool, str, bool], list[Sequence[float]]] = {}
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as both:
        for number, hangs in product(range(pairs + 1), (True, False)):
            runs = {
                second: both.submit(one_run, f"{folder}/{number}-{hangs}-{second}.db", ports, count, hangs=hangs and second)
                for second in ((False, True), (True, False))[number % 2]
            }
            for second, run in runs.items():
                for name, took in run.result().items() if number else ():  # the first pair loads all that is needed
                    found.setdefault((hangs, name, second), []).append(took)
    for hangs, which in product((True, False), ("mail", "hook")):
        alone, beside = found[hangs, which, False], found[hangs, which, True]
        together = [[one for some in several for one in some] for several in (alone, beside)]
        half, most = ([percentile(took, part) for took in together] for part in (50, 99))
        worse = sum(percentile(two, 99) > percentile(one, 99) for one, two in zip(alone, beside, strict=True))
        print("beside one that hangs:" if hangs else "by chance:", which, f"{len(together[0])} copies each way;", end=" ")
        print(f"p50 {half[0]:.1f} and {half[1]:.1f} ms", end="; ")
        print(f"p99 {most[0]:.1f} and {most[1]:.1f} ms ({most[1] / most[0] - 1:+.1%}), higher in {worse} of {pairs} pairs")


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, help="5000; with --hanging 300 in each run")
    parser.add_argument("--hanging", action="store_true")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--only", choices=("mail", "hook", "chat"))
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    sinks = context.Process(target=serve, args=(theirs,), daemon=True)
    sinks.start()
    ports: Sequence[int] = ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        if given.hanging:
            beside_a_hanging_one(folder, ports, given.pairs, given.alerts or 300)
        else:
            single = [(name,) for name in ("mail", "hook", "chat")]
            for names in [(given.only,)] if given.only else [*single, ("mail", "hook", "chat")]:
                print(f"{' and '.join(names)}:")
                chosen = {name: way for name, way in channels(*ports).items() if name in names}
                asyncio.run(storm(f"{folder}/{'-'.join(names)}.db", chosen, given.alerts or 5000))
            print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
    sinks.terminate()


if __name__ == "__main__":
    main()
