"""The demo's story: a month passes in half a minute, a bill a day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from spendwatch.app import App
from spendwatch.demo.bills import PACE, growing_bills, sample_bill
from spendwatch.demo.scene import Scene, furnished, last_month, speak
from spendwatch.domain.count import counted
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.jobs.collect import enter_of_source
from spendwatch.state import system_clock

_DROP_SHARES = (Decimal("0.45"), Decimal("0.65"), Decimal("0.85"), Decimal("1.1"))
_DROP_TOTAL = Decimal(480)


async def tell(say: Callable[[str], None]) -> int:
    """Replay last month, day by day, on invented bills; return the number of notifications."""
    async with furnished() as scene:
        return await _month(scene, say)


async def _month(scene: Scene, say: Callable[[str], None]) -> int:
    month = last_month()
    start = month.starts_at(scene.settings.zone)
    moment = [start]
    app = App(scene.settings, scene.store, clock=lambda: moment[0])
    say(f"{month.label} again, a bill every morning. Workspaces Research (CNY 700) and Training (CNY 150); cash CNY 900.\n")
    try:
        await app.ask_balances()
        for day in range(1, month.days):
            moment[0] = start + timedelta(days=day, hours=9, minutes=30)
            await _morning(app, scene.folder, start, moment[0], say)
    finally:
        app.close()
    say("\n" + scene.summary)
    say("Next: `spendwatch init` writes a configuration for your own bills.")
    return scene.said


async def _morning(app: App, folder: Path, start: datetime, now: datetime, say: Callable[[str], None]) -> None:
    name, content = sample_bill(start, now, pace=PACE)
    path = folder / "inbox" / name
    path.write_bytes(content)
    file = BillFile(name, path, len(content), SourceName("inbox"), now)
    receipt = await asyncio.to_thread(enter_of_source, file, app.desk(), app.store.health)
    app.store.health.looked(file.source, at=now)
    say(f"{now:%m-%d %H:%M}  {name}: {counted(receipt.statement.lines, 'line')}, {receipt.new} new")
    await asyncio.to_thread(app.assess)
    await speak(app)


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
