"""The demo's story once more: bills and balance are not brought, but asked for, from a stand-in of the billing API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from spendwatch.app import App
from spendwatch.demo.api_bills import day_bill, fund_account, payable
from spendwatch.demo.billing_api import BillingApi, Document
from spendwatch.demo.bills import ACCOUNT, PACE
from spendwatch.demo.gateway import Gateway
from spendwatch.demo.passing_time import PassingTime
from spendwatch.demo.requests import listening
from spendwatch.demo.scene import Scene, furnished, last_month, speak
from spendwatch.domain.count import counted
from spendwatch.domain.money import EXACT, shown
from spendwatch.domain.period import PROVIDER_ZONE, BillingPeriod
from spendwatch.domain.statement import Receipt, SourceName
from spendwatch.jobs.overview import Overview, look

KEY_ID, KEY_SECRET = "LTAIdemo", "invented-for-the-demo"
_SOURCE = """\
api: {{type: alibaba, account: acme, key_id_file: key-id, secret_file: key-secret, endpoint: "http://127.0.0.1:{port}"}}"""
_CALLS_A_SECOND = 10
_LINES_A_PAGE = 4
_CASH, _REFUND = Decimal(900), Decimal(50)
_BILL, _BALANCE = "DescribeInstanceBill", "GetFundAccountAvailableAmount"
_MORNING = time(9, 30, tzinfo=PROVIDER_ZONE)


async def tell_asked(say: Callable[[str], None]) -> int:
    """Let last month pass again, day by day, and ask for it every morning.

    Return how many notifications were said, and 0 if a call was refused: then they were not those of the story.
    """
    month = last_month()
    passing = PassingTime(month.starts_at(PROVIDER_ZONE))
    gateway = Gateway({KEY_ID: KEY_SECRET}, limit=_CALLS_A_SECOND)
    api = BillingApi(gateway, account=ACCOUNT, clock=passing.clock, page_size=_LINES_A_PAGE)
    async with listening(api.serve) as port:
        source, secrets = _SOURCE.format(port=port), {"key-id": KEY_ID, "key-secret": KEY_SECRET}
        async with furnished(balance="from: api", source=source, secrets=secrets) as scene:
            # The calls keep their pace in the time of the story: nobody sits through a minute of a month's mornings.
            app = App(scene.settings, scene.store, clock=passing.clock, monotonic=passing.monotonic, sleep=passing.sleep)
            try:
                await _Story(scene, app, api, passing, say).tell(month)
            finally:
                app.close()
            return 0 if api.refused else scene.said


@dataclass(frozen=True, slots=True)
class _Story:
    scene: Scene
    app: App
    api: BillingApi
    passing: PassingTime
    say: Callable[[str], None]

    async def tell(self, month: BillingPeriod) -> None:
        self.say(
            f"{month.label} again: every morning all its days are asked for, as any of them may have changed. Workspaces "
            f"Research (CNY 700)\nand Training (CNY 150); cash CNY {_CASH}, credit refunds CNY {_REFUND}. A stand-in of the "
            f"billing API checks each signature by code\nof its own, has a day's bill on the next day, {_LINES_A_PAGE} lines a "
            f"page, and refuses more than {_CALLS_A_SECOND} calls a second.\n"
        )
        # The bill of the last day is there when the month is over.
        for number in range(month.days):
            await self._morning_after(month.first_day + timedelta(days=number), month)
        self._close(month)

    async def _morning_after(self, day: date, month: BillingPeriod) -> None:
        today, asked = day + timedelta(days=1), len(self.api.calls)
        self.passing.pass_until(datetime.combine(today, _MORNING))
        self.api.bills[day] = day_bill(day, pace=PACE)
        self.api.fund_account = self._fund_account(today)
        await self.app.ask_balances()
        receipts = [taken.receipt for taken in await self.app.gather(SourceName("api")) if taken.receipt]
        seen, pages = self._seen(month), sum(call.action == _BILL for call in self.api.calls[asked:])
        self.say(f"{today:%m-%d} 09:30  {counted(pages, 'page')}, {_entered(receipts, seen)}; {_balance(seen)}")
        await speak(self.app)

    def _fund_account(self, today: date) -> Document:
        """Return how the account stands: ahead of the bills, for what was used this morning is known already."""
        period = BillingPeriod(today.year, today.month)
        billed, previous = (self.api.totals(one.label).get("CNY", Decimal(0)) for one in (period, period.previous()))
        current = EXACT.add(billed, payable(day_bill(today, pace=PACE)))
        return fund_account(cash=_CASH, refund=_REFUND, current=current, previous=previous)

    def _seen(self, month: BillingPeriod) -> Overview:
        settings, store = self.scene.settings, self.scene.store
        return look(
            store.ledger,
            store.book,
            store.health,
            settings.policies,
            settings.stale_after,
            zone=settings.zone,
            now=self.passing.clock(),
            period=month,
            balances=store.balances,
        )

    def _close(self, month: BillingPeriod) -> None:
        seen, actions, refused = self._seen(month), Counter(call.action for call in self.api.calls), len(self.api.refused)
        (account,), (source,) = seen.accounts, seen.sources
        others = actions.total() - actions[_BILL] - actions[_BALANCE]
        self.say("\n" + self.scene.summary("asked for"))
        self.say(
            f"The stand-in let in {counted(actions.total(), 'call')}: {counted(actions[_BILL], 'page')} of bills, "
            f"{counted(actions[_BALANCE], 'balance')}, {counted(others, 'total')}; "
            f"{self.api.gateway.checked} signatures were\nchecked and right, {counted(refused, 'call')} refused."
        )
        for check in source.checks:
            self.say(f"On record are {account.spend}; its own total of the month is {check.currency} {shown(check.total)}.")
        self.say("Next: `spendwatch init` writes a configuration for your own bills.")


def _entered(receipts: Sequence[Receipt], seen: Overview) -> str:
    """Return what was entered, and what is wrong with the source, if anything is."""
    (source,) = seen.sources
    lines, new = sum(receipt.statement.lines for receipt in receipts), sum(receipt.new for receipt in receipts)
    trouble = f" ({source.trouble})" if source.trouble else ""
    return f"{counted(len(receipts), 'day')} changed: {counted(lines, 'line')}, {new} new{trouble}"


def _balance(seen: Overview) -> str:
    """Return both figures as `status` shows them, or why there are none."""
    (account,) = seen.accounts
    if account.balance is None:
        return account.balance_trouble
    return f"balance {account.balance.reported} reported, {account.balance.computed} computed"
