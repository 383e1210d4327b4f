"""A client of the provider's billing API (BSS OpenAPI): bills by day, totals for a cross-check, and balances."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import date, timedelta
from decimal import Decimal
from urllib.parse import quote, urlencode, urlsplit

from spendwatch.acs3 import ApiRequest, signed
from spendwatch.domain.balance_reading import BalanceReading
from spendwatch.domain.count import counted
from spendwatch.domain.period import BillingPeriod, Clock
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId
from spendwatch.pacing import RateLimiter
from spendwatch.request import HttpAnswer, HttpClient, Request
from spendwatch.sources.alibaba.balance_answers import account_balance, fund_account
from spendwatch.sources.alibaba.bill_pages import MOST_PAGES, Page, Paging, Wanted, page_of, sums
from spendwatch.sources.provider.answers import Asked, Operation, document, successful
from spendwatch.sources.provider.credentials import Credentials
from spendwatch.sources.trouble import EndpointError, Failure, fetched, quoted

ENDPOINTS: Mapping[Site, str] = {
    Site.CN: "https://business.aliyuncs.com",
    Site.INTL: "https://business.ap-southeast-1.aliyuncs.com",
}

_BILLS, _FUNDS = "2017-12-14", "2023-09-30"
_POLICY = "the policy AliyunBSSReadOnlyAccess"
_INSTANCE_BILL = Operation("DescribeInstanceBill", _BILLS, f"the RAM action bssapi:DescribeInstanceBill, or {_POLICY}")
_ACCOUNT_BILL = Operation("QueryAccountBill", _BILLS, _POLICY)
_OVERVIEW = Operation("QueryBillOverview", _BILLS, _POLICY)
# Three letters c: so the provider's page spells it.
_BALANCE = Operation("QueryAccountBalance", _BILLS, f"the RAM action bss:DescribeAcccount, or {_POLICY}")
_FUND_ACCOUNT = Operation("GetFundAccountAvailableAmount", _FUNDS, f"the RAM action bss:DescribeBillingAccount, or {_POLICY}")

_PAGE_SIZE = 300
_MOST_SUMMARY_PAGES = 20
_MOST_BYTES = 8 << 20
"""Of one answer. 300 lines take about 0.3 MB."""

# Tried again by a loop of our own, and by no library: how long to wait is the endpoint's to say, all who call for the account
# have to wait with us, and tests move the clock.
_TRIES = 3
_FIRST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(seconds=60)
"""If asked to wait longer, the client gives up and retries in the next round."""


@dataclass(slots=True, eq=False)
class BssClient:
    """Calls the billing API in the name of one account, at the pace that the account is allowed."""

    client: HttpClient
    credentials: Credentials
    _: KW_ONLY
    site: Site
    clock: Clock
    pace: RateLimiter
    """It is shared by all who call for the account."""
    endpoint: str = ""
    """Another than the site's own."""
    timeout: timedelta = timedelta(seconds=30)
    silence: timedelta = timedelta(seconds=20)
    most_pages: int = MOST_PAGES

    async def day(self, wanted: Wanted, paging: Paging | None = None) -> AsyncGenerator[Page, None]:
        """Yield the pages of one day's bill by billing item, each checked; `EndpointError` unless they are one whole bill.

        What was yielded before an error is worth nothing. `paging` afterwards knows what the pages say together.
        """
        paging = paging or Paging(wanted, self.most_pages)
        query = {
            "BillingCycle": wanted.cycle.label,
            "BillingDate": wanted.day.isoformat(),
            "Granularity": "DAILY",
            "IsBillingItem": "true",
            "MaxResults": str(_PAGE_SIZE),
            **({"ProductCode": wanted.product} if wanted.product else {}),
        }
        token = ""
        while True:
            # The only tokens that may be sent are none, and the one that just came.
            found, answer = await self._call(_INSTANCE_BILL, query | ({"NextToken": token} if token else {}))
            # In a thread, for it takes longer than the loop may stand still: three hundred lines, each of them checked.
            page = await asyncio.to_thread(page_of, found, answer.body, wanted)
            token = paging.take(page)
            yield page
            if not token:
                return

    async def account_total(
        self, account: AccountId, cycle: BillingPeriod, *, day: date | None = None, product: str = ""
    ) -> Mapping[str, Decimal]:
        """Return what was charged in a cycle, or on one day of it, by currency: one cheap call, however long the bill is."""
        query = {
            "BillingCycle": cycle.label,
            "Granularity": "DAILY" if day else "MONTHLY",
            **({"BillingDate": day.isoformat()} if day else {}),
            **({"ProductCode": product} if product else {}),
            "PageSize": str(_PAGE_SIZE),
        }
        taken: list[object] = []
        before: list[object] | None = None
        for number in range(1, _MOST_SUMMARY_PAGES + 1):
            found, _ = await self._call(_ACCOUNT_BILL, query | {"PageNum": str(number)})
            data, items = _summary(found, _ACCOUNT_BILL, account, cycle)
            taken += items
            count = data.get("TotalCount")
            if items == before or not isinstance(count, int) or count < len(taken):
                break
            if count == len(taken):
                return sums(taken, _ACCOUNT_BILL.name)
            before = items
        msg = f"{_ACCOUNT_BILL.name}: {counted(len(taken), 'item')} arrived, not the announced number"
        raise EndpointError(msg, Failure.CHANGING)

    async def overview_total(self, account: AccountId, cycle: BillingPeriod, *, product: str = "") -> Mapping[str, Decimal]:
        """Return what the bill overview says was charged in a cycle, by currency."""
        query = {"BillingCycle": cycle.label, **({"ProductCode": product} if product else {})}
        found, _ = await self._call(_OVERVIEW, query)
        _, items = _summary(found, _OVERVIEW, account, cycle)
        return sums(items, _OVERVIEW.name)

    async def fund_account(self, fund_account_id: str = "") -> BalanceReading:
        """Return the balance with every term of the formula."""
        form = {"FundAccountId": fund_account_id} if fund_account_id else {}
        at = self.clock()
        found, _ = await self._call(_FUND_ACCOUNT, form=form)
        return fund_account(found, at)

    async def account_balance(self) -> BalanceReading:
        """Return the balance by the older operation."""
        at = self.clock()
        found, _ = await self._call(_BALANCE)
        return account_balance(found, at)

    @property
    def _base(self) -> str:
        return (self.endpoint or ENDPOINTS[self.site]).rstrip("/")

    async def _call(
        self, operation: Operation, query: Mapping[str, str] | None = None, *, form: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, object], HttpAnswer]:
        """Call once, and retry temporary failures a few times."""
        for tried in range(1, _TRIES):
            try:
                return await self._once(operation, query or {}, form)
            except EndpointError as error:
                if not await self._may_try_again(error, tried):
                    raise
        return await self._once(operation, query or {}, form)

    async def _may_try_again(self, error: EndpointError, tried: int) -> bool:
        if error.trouble is Failure.CREDENTIALS:
            return tried == 1 and self.credentials.forget()
        pause = error.retry_after or _FIRST_PAUSE * 3 ** (tried - 1)
        if not error.is_temporary or pause > _LONGEST_PAUSE:
            return False
        if error.trouble is Failure.THROTTLED:
            self.pace.hold(pause)
        else:
            await self.pace.wait(pause)
        return True

    async def _once(
        self, operation: Operation, query: Mapping[str, str], form: Mapping[str, str] | None
    ) -> tuple[Mapping[str, object], HttpAnswer]:
        signer = await self.credentials.current()
        await self.pace.turn()
        request = ApiRequest(
            host=urlsplit(self._base).netloc.lower(),
            action=operation.name,
            version=operation.version,
            query=query,
            body=urlencode(form or {}, quote_via=quote).encode(),
            content_type="" if form is None else "application/x-www-form-urlencoded",
        )
        at = self.clock()
        asked = Asked(operation, at, signer.secrets, self.site)
        asking = Request(
            url=f"{self._base}/?{request.canonical_query}" if query else f"{self._base}/",
            method="POST",
            content=request.body,
            headers={"accept": "application/json"},
            credentials=signed(request, signer, at=at, nonce=secrets.token_hex(16)),
            most_bytes=_MOST_BYTES,
            deadline=self.timeout,
            silence=self.silence,
        )
        answer = await fetched(self.client, operation.name, asking)
        found = await asyncio.to_thread(document, answer, asked)
        return successful(found, answer, asked), answer


def _summary(
    found: Mapping[str, object], operation: Operation, account: AccountId, cycle: BillingPeriod
) -> tuple[Mapping[str, object], list[object]]:
    data = found.get("Data")
    if not isinstance(data, dict):
        msg = f"{operation.name}: the answer has no Data"
        raise EndpointError(msg, Failure.UNEXPECTED)
    if data.get("AccountID") != account or data.get("BillingCycle") != cycle.label:
        said = quoted(f"{data.get('AccountID')}, {data.get('BillingCycle')}")
        msg = f"{operation.name}: the totals are for {said}, requested was {account}, {cycle.label}"
        raise EndpointError(msg, Failure.UNEXPECTED)
    items = data.get("Items")
    listed = items.get("Item") if isinstance(items, dict) else None
    if not isinstance(listed, list):
        msg = f"{operation.name}: Data has no list of items"
        raise EndpointError(msg, Failure.UNEXPECTED)
    return data, listed
