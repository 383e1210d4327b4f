"""The demo's story: a month passes in half a minute, a bill a day."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from spendwatch.app import App
from spendwatch.demo.bills import ACCOUNT, RESEARCH, TRAINING, growing_bills, sample_bill
from spendwatch.demo.sinks import Sink, mail_sink, webhook_sink
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.jobs.collect import enter
from spendwatch.settings import Outside, Settings, load
from spendwatch.state import Store, opened_store, system_clock

_CONFIG = """\
accounts:
  acme:
    id: "{account}"
    site: cn
    currency: CNY
    budget: 2000.00
    balance: {{from: manual, cash: 900.00, credit: 0, floors: [400.00, 200.00]}}
    channels: [screen, mail, hook]
sources:
  inbox: {{type: folder, path: inbox, stale_after: 3d}}
defaults: {{thresholds: [50%, 80%, 100%], channels: [screen, mail, hook]}}
allow_networks: [127.0.0.0/8]
channels:
  screen: {{type: console}}
  mail: {{type: email, host: 127.0.0.1, port: {mail}, security: none, from: alerts@example.com, to: [finops@example.com]}}
  hook: {{type: webhook, url: "http://127.0.0.1:{hook}/spend", secret_file: hook}}
"""

_WORKSPACE = """\
workspace: {workspace}
name: {name}
budget: {budget}
"""

_PACE = Decimal("1.3")
_SECRET = "whsec_" + "c3BlbmR3YXRjaCBkZW1vIHNlY3JldCwgbm90IHNlY3JldA=="
_DROP_SHARES = (Decimal("0.45"), Decimal("0.65"), Decimal("0.85"), Decimal("1.1"))
_DROP_TOTAL = Decimal(480)


async def tell(say: Callable[[str], None]) -> int:
    """Let last month pass again, day by day, on invented bills; return how many notifications were said."""
    with tempfile.TemporaryDirectory(prefix="spendwatch-demo-") as name:
        folder = Path(name)
        async with mail_sink() as mail, webhook_sink() as hook:
            _furnish(folder, mail.port, hook.port)
            # Nothing of the user's own surroundings belongs in the demo.
            settings = load(folder, Outside({}))
            with opened_store(settings) as store:
                return await _month(settings, folder, store, say=say, mail=mail, hook=hook)


def _furnish(folder: Path, mail: int, hook: int) -> None:
    (folder / "workspaces").mkdir()
    (folder / "inbox").mkdir()
    (folder / "spendwatch.yaml").write_text(_CONFIG.format(account=ACCOUNT, mail=mail, hook=hook), encoding="utf-8")
    for workspace, title, budget in ((RESEARCH, "Research", "700.00"), (TRAINING, "Training", "150.00")):
        text = _WORKSPACE.format(workspace=workspace, name=title, budget=budget)
        (folder / "workspaces" / f"{title.lower()}.yaml").write_text(text, encoding="utf-8")
    secret = folder / "hook"
    secret.touch(mode=0o600)
    secret.write_text(_SECRET, encoding="utf-8")


async def _month(settings: Settings, folder: Path, store: Store, *, say: Callable[[str], None], mail: Sink, hook: Sink) -> int:
    month = BillingPeriod.containing(system_clock(), settings.zone).previous()
    start = month.starts_at(settings.zone)
    moment = [start]
    app = App(settings, store, clock=lambda: moment[0])
    say(f"{month.label} again, a bill every morning. Workspaces Research (CNY 700) and Training (CNY 150); cash CNY 900.\n")
    try:
        await app.ask_balances()
        for day in range(1, month.days):
            moment[0] = start + timedelta(days=day, hours=9, minutes=30)
            await _morning(app, folder, start, moment[0], say)
    finally:
        app.close()
    said = len(hook.received)
    say(f"\nThe month is over: {said} notifications. Each was printed here, came as a mail ({len(mail.received)} arrived)")
    say("and as a signed webhook; each was said once, whatever was exported again.")
    say("Next: `spendwatch init` writes a configuration for your own bills.")
    return said


async def _morning(app: App, folder: Path, start: datetime, now: datetime, say: Callable[[str], None]) -> None:
    name, content = sample_bill(start, now, pace=_PACE)
    path = folder / "inbox" / name
    path.write_bytes(content)
    file = BillFile(name, path, len(content), SourceName("inbox"), now)
    receipt = await asyncio.to_thread(enter, file, app.desk())
    app.store.health.looked(file.source, at=now)
    app.store.health.bill_came(file.source, at=now)
    say(f"{now:%m-%d %H:%M}  {name}: {receipt.statement.lines} lines, {receipt.new} new")
    await asyncio.to_thread(app.assess)
    for channel in app.channels:
        await app.deliver(channel)


async def drop(folder: Path, every: timedelta, say: Callable[[str], None]) -> None:
    """Put four exports of the current month, one after another, into a drop folder: written elsewhere, then renamed."""
    zone = ZoneInfo("Asia/Shanghai")
    now = system_clock().astimezone(zone)
    start = BillingPeriod.containing(now, zone).starts_at(zone)
    for name, content in growing_bills(start, now, _DROP_SHARES, _DROP_TOTAL):
        part = folder / f".{name}.part"
        part.write_bytes(content)
        part.rename(folder / name)
        say(f"dropped {name}")
        await asyncio.sleep(every.total_seconds())
