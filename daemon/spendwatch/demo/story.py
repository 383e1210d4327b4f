"""The demo's story: a month passes in half a minute, a bill a day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from spendwatch.app import App
from spendwatch.demo.bills import PACE, growing_bills, sample_bill
from spendwatch.demo.scene import Scene, furnished, last_month, speak
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import SourceName
from spendwatch.state import system_clock

_INBOX = SourceName("inbox")
_CASH, _CASH_THEN = Decimal(540), Decimal(1200)
"""CNY at the beginning, and once somebody has recharged: two days after the account became overdue."""
_LOGIN_PAGE_ON, _RECHARGED_ON = 12, 25
"""Days of the month, from 0, on which the download of a bill is only a login page, and on which money comes in."""
_LOGIN_PAGE = "<!DOCTYPE html><html><title>Log in</title></html>\n"

_DROP_SHARES = (Decimal("0.45"), Decimal("0.65"), Decimal("0.85"), Decimal("1.1"))
_DROP_TOTAL = Decimal(480)


async def tell(say: Callable[[str], None], kept: Path | None = None) -> int:
    """Replay last month, day by day, on invented bills; return the number of notifications. `kept`: leave all of it there."""
    async with furnished(kept) as scene:
        await _month(scene, say)
        say("\n" + scene.summary)
        if kept:
            scene.keep()
        return scene.said


async def _month(scene: Scene, say: Callable[[str], None]) -> None:
    month = last_month()
    start = month.starts_at(scene.settings.zone)
    moment = [start]
    app = App(scene.settings, scene.store, clock=lambda: moment[0])
    say(f"{month.label} again, with an export of the month to date every morning.")
    say(f"Budgets: Research CNY 560, Training CNY 150. The account has CNY {_CASH} in cash.\n")
    with closing(app):
        for day in range(1, month.days):
            moment[0] = now = start + timedelta(days=day, hours=9, minutes=30)
            if day == _LOGIN_PAGE_ON:
                (scene.folder / "inbox" / "bill.csv").write_text(_LOGIN_PAGE, encoding="utf-8")
            if day == _RECHARGED_ON:
                say(f"{now:%m-%d %H:%M}  somebody recharges the account: its cash is CNY {_CASH_THEN} now")
            scene.tell_balance(_CASH_THEN if day >= _RECHARGED_ON else _CASH, now)
            await _morning(app, scene.folder / "inbox", start, now, say)


async def _morning(app: App, inbox: Path, start: datetime, now: datetime, say: Callable[[str], None]) -> None:
    name, content = sample_bill(start, now, pace=PACE)
    (inbox / name).write_bytes(content)
    await app.ask_balances(at_once=True)
    # A file must look the same twice.
    for taken in await app.gather(_INBOX) + await app.gather(_INBOX):
        receipt = taken.receipt
        what = f"export: {receipt.statement.lines} lines, {receipt.new} new" if receipt else f"{taken.file.name}: rejected"
        say(f"{now:%m-%d %H:%M}  {what}")
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
