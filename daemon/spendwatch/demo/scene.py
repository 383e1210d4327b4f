"""The setting of the demo: a folder of its own with a configuration, a ledger, and receivers on the loopback."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import NamedTuple

from spendwatch.app import App
from spendwatch.demo.bills import ACCOUNT, RESEARCH, TRAINING
from spendwatch.domain.count import counted
from spendwatch.domain.money import plain
from spendwatch.domain.period import PROVIDER_ZONE, BillingPeriod
from spendwatch.settings import Outside, Settings, load
from spendwatch.state import Store, opened_store, system_clock

_CONFIG = """\
accounts:
  acme:
    id: "{account}"
    site: cn
    currency: CNY
    budget: 2000.00
    balance: {{from: file, path: balance.json, settle: 0s, floors: [300.00, 100.00]}}
    escalate: {{after: 4h, channels: [boss], severity: critical}}
    channels: [screen, mail, hook]
sources:
  inbox: {{type: folder, path: inbox, settle: 0s, stale_after: 3d}}
defaults: {{thresholds: [50%, 80%, 100%], channels: [screen, mail, hook]}}
names: {{api_keys: {{"1200345": chatbot, "1200346": evaluation}}}}
allow_networks: [127.0.0.0/8]
channels:
  screen: {{type: console}}
  mail: {{type: email, host: 127.0.0.1, port: {mail}, security: none, from: alerts@example.com, to: [finops@example.com]}}
  boss: {{type: email, host: 127.0.0.1, port: {mail}, security: none, from: alerts@example.com, to: [boss@example.com]}}
  hook: {{type: webhook, url: "http://127.0.0.1:{hook}/spend", secret_file: hook}}
"""

_WORKSPACE = """\
workspace: {workspace}
name: {name}
budget: {budget}
"""

_SECRET = "whsec_" + "c3BlbmR3YXRjaCBkZW1vIHNlY3JldCwgbm90IHNlY3JldA=="

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass(slots=True)
class Sink:
    """What arrived, and where it listens."""

    port: int = 0
    received: list[bytes] = field(default_factory=list)


class Scene(NamedTuple):
    """What the demo has."""

    folder: Path
    settings: Settings
    store: Store
    mail: Sink
    hook: Sink

    @property
    def said(self) -> int:
        """How many notifications arrived."""
        return len(self.hook.received)

    @property
    def summary(self) -> str:
        """What came of a month in which the same bills were exported again and again."""
        boss = sum(b"\r\nTo: boss@" in mail for mail in self.mail.received)
        return (
            f"The month is over: {counted(self.said, 'notification')}. Each was printed here, came as a mail\n"
            f"({len(self.mail.received)} arrived, {boss} of them for the boss) and as a signed webhook; each was sent\n"
            "once, whatever was exported again."
        )

    def tell_balance(self, cash: Decimal, now: datetime) -> None:
        """Write how much cash the account has, as a job that asks the console would every morning."""
        balance = {"as_of": now.isoformat(), "account": ACCOUNT, "currency": "CNY", "cash": plain(cash)}
        (self.folder / "balance.json").write_text(json.dumps(balance), encoding="utf-8")

    def keep(self) -> None:
        """Write what the receivers got into the folder: mails as they came and their HTML, and the webhook calls."""
        for name in ("mails", "webhooks"):
            (self.folder / name).mkdir()
        for number, content in enumerate(self.mail.received, start=1):
            mail = message_from_bytes(content, policy=default)
            words = re.findall(r"\w+", f"{mail['To']} {mail['Subject']}".replace("@example.com", "").lower())
            file = self.folder / "mails" / f"{number:02}-{'-'.join(words)[:60]}.eml"
            file.write_bytes(content)
            if html := mail.get_body(("html",)):
                file.with_suffix(".html").write_text(html.get_content(), encoding="utf-8")
        for number, content in enumerate(self.hook.received, start=1):
            name = f"{number:02}-{json.loads(content)['type']}.json"
            (self.folder / "webhooks" / name).write_bytes(content)


def last_month() -> BillingPeriod:
    """Return the month that passes again."""
    return BillingPeriod.containing(system_clock(), PROVIDER_ZONE).previous()


@asynccontextmanager
async def furnished(kept: Path | None = None) -> AsyncIterator[Scene]:
    """Set the scene, in a folder that is cleared in the end or in that empty one."""
    with tempfile.TemporaryDirectory(prefix="spendwatch-demo-") as name:
        folder = kept or Path(name)
        async with _mail_sink() as mail, _webhook_sink() as hook:
            config = _CONFIG.format(account=ACCOUNT, mail=mail.port, hook=hook.port)
            (folder / "spendwatch.yaml").write_text(config, encoding="utf-8")
            _furnish(folder)
            # Nothing of the user's own surroundings belongs in the demo.
            settings = load(folder, Outside({}))
            with opened_store(settings) as store:
                yield Scene(folder, settings, store, mail, hook)


def _furnish(folder: Path) -> None:
    (folder / "workspaces").mkdir()
    (folder / "inbox").mkdir()
    for workspace, title, budget in ((RESEARCH, "Research", "560.00"), (TRAINING, "Training", "150.00")):
        text = _WORKSPACE.format(workspace=workspace, name=title, budget=budget)
        (folder / "workspaces" / f"{title.lower()}.yaml").write_text(text, encoding="utf-8")
    path = folder / "hook"
    path.touch(mode=0o600)
    path.write_text(_SECRET, encoding="utf-8")


async def speak(app: App) -> None:
    """Deliver what is due."""
    for channel in app.channels:
        await app.deliver(channel)


@asynccontextmanager
async def _mail_sink() -> AsyncIterator[Sink]:
    """Run a mail server that accepts every letter."""
    sink = Sink()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _say(writer, b"220 demo")
        while line := await reader.readline():
            command = line[:4].upper()
            if command == b"DATA":
                await _say(writer, b"354 go on")
                sink.received.append((await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n."))
            await _say(writer, b"221 bye" if command == b"QUIT" else b"250 ok")
            if command == b"QUIT":
                break
        writer.close()

    async with _listening(serve) as sink.port:
        yield sink


@asynccontextmanager
async def _webhook_sink() -> AsyncIterator[Sink]:
    """Run a webhook receiver that accepts every call."""
    sink = Sink()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = _LENGTH.search(await reader.readuntil(b"\r\n\r\n"))
        sink.received.append(await reader.readexactly(int(length[1]) if length else 0))
        await _say(writer, b"HTTP/1.1 204 No Content\r\nconnection: close\r\n")
        writer.close()

    async with _listening(serve) as sink.port:
        yield sink


@asynccontextmanager
async def _listening(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """Serve every connection on a free port of the loopback and return the port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _say(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line + b"\r\n")
    await writer.drain()
