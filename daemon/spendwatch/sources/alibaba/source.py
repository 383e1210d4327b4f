"""The provider's billing API as a source of bills: one complete file per billing cycle and day."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.commodity import MODEL_STUDIO
from spendwatch.domain.cross_check import CrossCheck
from spendwatch.domain.money import Currency, exact_sums
from spendwatch.domain.period import PROVIDER_ZONE, BillingPeriod, stamp_after
from spendwatch.domain.statement import AccountId
from spendwatch.sources.alibaba.bill_pages import NO_LINES, DayBill, Paging, Wanted
from spendwatch.sources.alibaba.client import BssClient
from spendwatch.sources.alibaba.known_days import KnownDay, OpenMonths, Totals, agree, texts
from spendwatch.sources.download_store import DownloadStore, Incoming
from spendwatch.sources.fetching_source import FetchingSource
from spendwatch.sources.trouble import EndpointError, Failure

_log: FilteringBoundLogger = structlog.get_logger()

_TOLERANCE = Decimal("0.01")
"""For each day: the provider drops what is below a cent when it settles."""
_MOST_KNOWN = 600
_ONE_DAY = timedelta(days=1)


class AlibabaSource(FetchingSource):
    """Asks the billing API for every day that may still change, and gives what is new as files."""

    def __init__(
        self, downloads: DownloadStore, api: BssClient, *, account: AccountId, final_on: int, product: str = MODEL_STUDIO
    ) -> None:
        """Keep files in that store. `final_on`: until the end of that day of a month the previous one may still change."""
        super().__init__(downloads)
        self.api = api
        """Who reads balances asks it, too."""
        self._account = account
        self._final_on = final_on
        self._product = product
        self._disagreed: set[BillingPeriod] = set()
        self._new_checks: list[CrossCheck] = []

    def new_checks(self) -> Sequence[CrossCheck]:
        """Return the days of each month beside the provider's own total, as far as asked for since this was called last.

        Told, never obeyed: each of them is late in its own way.
        """
        checks, self._new_checks = self._new_checks, []
        return checks

    async def _ask_for_news(self, now: datetime) -> EndpointError | None:
        """Fetch month by month, the latest first; return what was wrong with some days, if it did not stop the rest.

        A month that became final while we could not ask is asked for once more, as a whole.
        """
        months = OpenMonths(self._known)
        cycles = months.cycles(now, final_on=self._final_on)
        if months.begin(cycles):
            await self._remember(months.written())
        first: EndpointError | None = None
        for cycle in cycles:
            trouble = await self._fetch_cycle(cycle, now)
            if trouble is None and months.finish(cycle, now, final_on=self._final_on):
                await self._remember(months.written())
            first = first or trouble
        return first

    async def _fetch_cycle(self, cycle: BillingPeriod, now: datetime) -> EndpointError | None:
        """Fetch the days of a cycle, the latest first; return what was wrong with some of them, if it did not stop the rest."""
        trouble: EndpointError | None = None
        bills: list[DayBill] = []
        days = _days(cycle, now.astimezone(PROVIDER_ZONE).date())
        for day in days:
            try:
                wanted = Wanted(self._account, cycle, day, self._product)
                bills.append(await self._whole(partial(self._fetch_day, wanted, now)))
            except EndpointError as error:
                if not error.is_of_one_day:
                    raise
                _log.warning("bill_not_fetched", source=self.name, day=day.isoformat(), reason=str(error))
                trouble = trouble or error
        if trouble is None:
            totals = exact_sums(total for bill in bills for total in bill.totals.items())
            await self._cross_check(cycle, totals, _TOLERANCE * len(days), now)
        return trouble

    async def _fetch_day(self, wanted: Wanted, now: datetime) -> DayBill:
        paging = Paging(wanted, self.api.most_pages)
        with self._downloads.new_file() as file:
            separator = b"["
            async with aclosing(self.api.day(wanted, paging)) as pages:
                async for page in pages:
                    file.write(separator + page.raw)
                    separator = b",\n"
            file.write(b"]\n")
            bill = paging.bill()
            await self._take(wanted, bill, file, now)
        return bill

    async def _take(self, wanted: Wanted, bill: DayBill, file: Incoming, now: datetime) -> None:
        """Offer the day's bill, unless it says nothing new, or less than before and for the first time."""
        key = f"{wanted.cycle.label}/{wanted.day.isoformat()}"
        known = KnownDay.remembered(self._known.get(key, ""))
        if bill.digest == (known.digest if known else NO_LINES):
            if known and known.doubted is not None:
                await self._remember({key: replace(known, doubted=None).text})
            return
        if bill.is_doubtful:
            await self._hold_against_total(wanted, bill)
        if known and not known.believes(bill.totals):
            before, said = texts(known.totals), texts(bill.totals)
            _log.warning("lower_bill_unconfirmed", source=self.name, day=str(wanted), before=before, said=said)
            await self._remember({key: replace(known, doubted=bill.totals).text})
            return
        fetched = stamp_after(now, known.fetched if known else "")
        name = f"{self._account}_DescribeInstanceBill_{wanted.day:%Y%m%d}_{fetched}.json"
        await asyncio.to_thread(self._downloads.offer, file, name, {key: KnownDay(bill.digest, bill.totals, fetched).text})
        # Of the months that may ever be asked for; that is as exact as forgetting has to be.
        if too_many := sorted(key for key in self._known if "/" in key)[:-_MOST_KNOWN]:
            await asyncio.to_thread(self._downloads.forget, too_many)

    async def _hold_against_total(self, wanted: Wanted, bill: DayBill) -> None:
        """Raise unless the provider's own total of the day, too, has the lines twice that came twice."""
        total = await self.api.account_total(wanted.account, wanted.cycle, day=wanted.day, product=wanted.product)
        if not agree(bill.totals, total, _TOLERANCE):
            msg = f"the bill of {wanted}: lines stand on two pages, and together they are not what the day is said to cost"
            raise EndpointError(msg, Failure.CHANGING)

    async def _cross_check(self, cycle: BillingPeriod, days: Totals, tolerance: Decimal, now: datetime) -> None:
        try:
            total = await self._month_total(cycle)
        except EndpointError as error:
            _log.info("bill_not_cross_checked", source=self.name, cycle=cycle.label, reason=str(error))
            return
        if not agree(days, total, tolerance) and cycle not in self._disagreed:
            _log.warning("bill_totals_differ", source=self.name, cycle=cycle.label, days=texts(days), total=texts(total))
        (self._disagreed.discard if agree(days, total, tolerance) else self._disagreed.add)(cycle)
        self._new_checks += [
            CrossCheck(
                source=self.name,
                account=self._account,
                period=cycle,
                currency=Currency(currency),
                days=days.get(currency, Decimal(0)),
                total=total.get(currency, Decimal(0)),
                at=now,
                tolerance=tolerance,
            )
            for currency in sorted({*days, *total})
        ]

    async def _month_total(self, cycle: BillingPeriod) -> Totals:
        try:
            return await self.api.account_total(self._account, cycle, product=self._product)
        except EndpointError as error:
            if error.trouble is not Failure.PERMISSION:
                raise
        return await self.api.overview_total(self._account, cycle, product=self._product)


def _days(cycle: BillingPeriod, today: date) -> list[date]:
    """Return the days of the cycle that have begun, the latest first."""
    end = min(cycle.after_last_day, today + _ONE_DAY)
    return [end - _ONE_DAY * back for back in range(1, (end - cycle.first_day).days + 1)]
