"""How quickly a storm is told: 5,000 alerts over mail and two webhooks; and what a receiver that hangs costs the others.

    python tests/benchmarks/deliveries.py [--alerts 5000] [--hanging] [--only mail]

Real channels send to bare servers in a process of their own. Printed are copies a second of each channel, the 99th percentile
of the time from a copy's claim to its recorded outcome, and peak memory; with --hanging a fourth channel never answers.
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
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from ipaddress import ip_network
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders"))

from spendwatch.channels.email_settings import EmailConfig
from spendwatch.channels.opening import open_channel
from spendwatch.channels.webhook_settings import WebhookConfig
from spendwatch.domain.notification import Delivery, Notification
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.jobs.deliver import Settled, deliver
from spendwatch.jobs.ports import Channel
from spendwatch.outgoing import Outgoing
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
    """A channel whose copies are timed from their rendering on."""

    def __init__(self, channel: Channel) -> None:
        self.channel, self.targets, self.begun, self.took = channel, channel.targets, dict[str, float](), list[float]()

    @property
    def at_once(self) -> int:
        return self.channel.at_once

    def render(self, said: Notification, target: str) -> bytes:
        self.begun[said.id] = time.perf_counter()
        return self.channel.render(said, target)

    async def send(self, delivery: Delivery) -> str | None:
        return await self.channel.send(delivery)

    def settled(self, one: Settled) -> None:
        self.took.append(time.perf_counter() - self.begun[one.delivery.notification.id])


def channels(mail: int, hook: int, chat: int, hanging: int, *, hangs: bool) -> Mapping[ChannelName, Timed]:
    """Return the channels to these servers."""
    clients, zone = Outgoing([ip_network("127.0.0.0/8")]), UTC
    told = {"host": "127.0.0.1", "port": mail, "security": "none", "from": "alerts@example.com", "to": ["ops@example.com"]}
    posts = {"hook": hook, "chat": chat}
    if hangs:
        posts[HANGS] = hanging
    configs: dict[str, EmailConfig | WebhookConfig] = {"mail": EmailConfig.model_validate(told)}
    configs |= {name: WebhookConfig(url=f"http://127.0.0.1:{port}/x") for name, port in posts.items()}
    return {
        ChannelName(name): Timed(open_channel(name, config, clients=lambda _: clients, zone=zone, clock=system_clock))
        for name, config in configs.items()
    }


async def storm(place: str, ways: Mapping[ChannelName, Timed], count: int) -> None:
    """Commit the alerts, deliver them, and print what it took."""
    database, now = open_database(place), system_clock()
    database.lock_for_life()
    about = [alert(matter(f"{number}%", scope=f"workspace:llm-{number}")) for number in range(count)]
    said = tuple(notification(one, channels=tuple(ways)) for one in about)
    AlertBook(database).commit(Verdict(tuple(about), said), {name: way.targets for name, way in ways.items()}, now=now)
    outbox, health, began = Outbox(database), HealthBook(database), time.perf_counter()
    is_over = asyncio.Event()

    async def carry(name: ChannelName, way: Timed) -> None:
        await deliver(
            name,
            way,
            outbox=outbox,
            health=health,
            clock=system_clock,
            settled=way.settled,
            stopping=is_over.is_set,
        )
        if name != HANGS:
            took, p99 = time.perf_counter() - began, statistics.quantiles(way.took, n=100)[98]
            print(f"{name}: {len(way.took)} copies, {len(way.took) / took:.0f} a second; 99 % within {p99 * 1000:.0f} ms")

    tasks = {name: asyncio.create_task(carry(name, way)) for name, way in ways.items()}
    await asyncio.gather(*(task for name, task in tasks.items() if name != HANGS))
    is_over.set()
    if HANGS in tasks:
        tasks[HANGS].cancel()
        await asyncio.gather(tasks[HANGS], return_exceptions=True)
    database.close()
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{cpu.ru_utime + cpu.ru_stime:.1f} CPU-seconds in all, peak memory {cpu.ru_maxrss // 1024} MB")


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=5000)
    parser.add_argument("--hanging", action="store_true")
    parser.add_argument("--only", choices=("mail", "hook", "chat"))
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    sinks = context.Process(target=serve, args=(theirs,), daemon=True)
    sinks.start()
    with tempfile.TemporaryDirectory() as folder:
        ways = channels(*ours.recv(), hangs=given.hanging)
        chosen = {name: way for name, way in ways.items() if given.only in {None, name} or name == HANGS}
        asyncio.run(storm(f"{folder}/spendwatch.db", chosen, given.alerts))
    sinks.terminate()


if __name__ == "__main__":
    main()
