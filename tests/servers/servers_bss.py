"""The stand-in of the provider's billing API in a thread of its own, where it lies on command.

As a program: `python -m servers_bss [--port N] [--month 2026-09] [--lie NAME]` serves invented bills until told to stop.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from billing_api import BillingApi, Document, written
from billing_gateway import Call, Gateway, RefusedError
from bss_lies import (
    FALSIFIED,
    KEY_ID,
    REFUSALS,
    SECRET,
    SENT_OTHERWISE,
    WRITTEN_OTHERWISE,
    FalseRefusal,
    Lie,
    Page,
)
from servers_http import ThreadedServer, stay

ACCOUNT = "1000000000000001"


def an_item(day: date, number: int = 1, amount: str = "0.024816", **changes: object) -> Document:
    """Return one line of a day's bill, as the API gives it."""
    return {
        "InstanceID": f"{1200345 + number};llm-demo0a1b2c3d4e;qwen3.6-plus;input_token;;0",
        "BillingDate": day.isoformat(),
        "Item": "PayAsYouGoBill",
        "ProductCode": "sfm",
        "ProductName": "大模型服务平台百炼",
        "ProductType": "sfm_inference_public_cn",
        "CommodityCode": "sfm_inference_public_cn",
        "BillingItem": "大模型文本消耗量",
        "BillingItemCode": "token_number",
        "SubscriptionType": "PayAsYouGo",
        "Currency": "CNY",
        "Usage": "12.408",
        "UsageUnit": "千tokens",
        "ListPrice": "0.002",
        "PretaxGrossAmount": Decimal(amount),
        "InvoiceDiscount": Decimal("0.0"),
        "PretaxAmount": Decimal(amount),
        "OutstandingAmount": Decimal(amount),
        "Tag": "key:dept value:search",
        "BillAccountID": ACCOUNT,
        "OwnerID": ACCOUNT,
        **changes,
    }


class _Gateway(Gateway):
    """Asks everybody for a security token, too, once there is one."""

    def __init__(self, keys: Mapping[str, str], token: str, limit: int) -> None:
        super().__init__(keys, limit=limit)
        self._token = token

    def check_key(self, key_id: str, headers: Mapping[str, str]) -> None:
        super().check_key(key_id, headers)
        if self._token and headers.get("x-acs-security-token") != self._token:
            raise RefusedError(400, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken is mismatched.")


class BssServer(BillingApi, ThreadedServer):
    """Serves `bills` and `balances`; while `lie` is set, says it to the calls that `lies_to` picks."""

    def __init__(
        self,
        bills: Mapping[date, Sequence[Document]] | None = None,
        *,
        clock: Callable[[], datetime] | None = None,
        page_size: int = 300,
        port: int = 0,
        token: str = "",
        limit: int = 0,
    ) -> None:
        """Page by `page_size` at most; ask everybody for `token`; let `limit` calls a second through. Empty or 0: do not."""
        ThreadedServer.__init__(self, "127.0.0.1", port)
        BillingApi.__init__(
            self,
            _Gateway({KEY_ID: SECRET}, token, limit),
            account=ACCOUNT,
            clock=clock or (lambda: datetime.now(UTC)),  # noqa: TID251 -- a server has a clock of its own
            bills=bills,
            page_size=page_size,
        )
        self.lie: Lie | None = None
        self.lies_to: Callable[[Call], bool] = lambda call: call.action == "DescribeInstanceBill"
        self.lies_left = -1
        """How many lies are left to be told; below zero: as many as are asked for."""
        self.pause_before: Callable[[Call], bool] = lambda _: False
        """Whether a call is left hanging until its caller is gone."""
        self.summaries: dict[str, str] = {}
        """What summaries say a cycle or a day cost, where they differ from the sum of its lines."""
        self.hanging = 0

    @property
    def keys(self) -> dict[str, str]:
        """Whose calls are let in: the secrets by key id."""
        return self.gateway.keys

    @keys.setter
    def keys(self, keys: dict[str, str]) -> None:
        self.gateway.keys = keys

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://{self.host}:{self.port}"

    async def open(self) -> asyncio.Server:
        return await asyncio.start_server(self.serve, self.host, self.port)

    async def reply(self, call: Call, writer: asyncio.StreamWriter) -> None:
        if self.pause_before(call):
            self.hanging += 1
            await asyncio.sleep(3600)
        lie = self._lie_for(call)
        if lie is None:
            await super().reply(call, writer)
        elif refusal := REFUSALS.get(lie):
            await self._refuse_falsely(writer, refusal)
        else:
            await self._reply_falsely(call, writer, lie)

    def _lie_for(self, call: Call) -> Lie | None:
        if self.lie is None or not self.lies_to(call) or not self.lies_left:
            return None
        self.lies_left -= 1
        return self.lie

    async def _reply_falsely(self, call: Call, writer: asyncio.StreamWriter, lie: Lie) -> None:
        page = self._page(call)
        if falsify := FALSIFIED.get(lie):
            falsify(page, self)
        body = written(page.document)
        if rewrite := WRITTEN_OTHERWISE.get(lie):
            body = rewrite(body)
        await SENT_OTHERWISE.get(lie, self.send)(writer, body)

    def _page(self, call: Call) -> Page:
        document = self.answer(call)
        size = document.get("Data", {}).get("MaxResults", 1)
        return Page(document, self.offsets[call.query.get("NextToken", "")] // size + 1, call)

    async def _refuse_falsely(self, writer: asyncio.StreamWriter, refusal: FalseRefusal) -> None:
        said = {"RequestId": self.request_id(), "HostId": "business.aliyuncs.com", "Code": refusal.code}
        if "xml" in refusal.content_type:
            body = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>".encode()
        elif "html" in refusal.content_type:
            body = f"<html><body>{refusal.message}</body></html>".encode()
        else:
            body = written({**said, "Message": refusal.message} | ({"Success": False} if refusal.status == 200 else {}))
        await self.say(writer, refusal.status, {"content-type": refusal.content_type, **refusal.headers}, body)

    def accept(self, token: str, offset: int) -> None:
        """Take that token, too."""
        self.offsets[token] = offset

    def totals(self, within: str) -> Mapping[str, Decimal]:
        if within in self.summaries:
            return {"CNY": Decimal(self.summaries[within])}
        return super().totals(within)


def main() -> None:
    """Serve four weeks of invented bills: `python -m servers_bss [--port N] [--month 2026-09] [--lie NAME]`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--month", default="2026-09")
    parser.add_argument("--lie", choices=[lie.value for lie in Lie])
    given = parser.parse_args()
    days = [date.fromisoformat(f"{given.month}-01") + timedelta(days=number) for number in range(28)]
    server = BssServer({day: [an_item(day, number) for number in range(650)] for day in days}, port=given.port)
    server.lie = Lie(given.lie) if given.lie else None
    stay(server)


if __name__ == "__main__":
    main()
