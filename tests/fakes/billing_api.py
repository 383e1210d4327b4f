"""A local stand-in of the provider's billing API: bills page by page, totals, and the balance, for calls that are signed."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, TypeAlias

from billing_gateway import Call, Gateway, Refusal, RefusedError
from plain_http import read_request, write_answer

Document: TypeAlias = dict[str, Any]
"""What an answer says, before it is written as JSON."""

_JSON = {"content-type": "application/json;charset=utf-8"}
_HOST = "business.aliyuncs.com"
_OWNER = "demo-account"
_MOST_ON_A_PAGE = 300
_NUMBER_MARK = re.compile(r'"#([^"#]*)#"')


def written(document: object) -> bytes:
    """Return JSON in which a `Decimal` is a number with just its digits."""
    text = json.dumps(document, ensure_ascii=False, default=lambda number: f"#{number}#")
    return _NUMBER_MARK.sub(r"\1", text).encode()


class BillingApi:
    """Answers for one account, as long as the gateway lets the call in; what it says is in `bills` and the two balances."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        account: str,
        clock: Callable[[], datetime],
        bills: Mapping[date, Sequence[Document]] | None = None,
        page_size: int = _MOST_ON_A_PAGE,
    ) -> None:
        """Give the lines of each day, `page_size` at most at a time."""
        self.gateway = gateway
        self.account = account
        self.clock = clock
        self.bills: dict[date, Sequence[Document]] = dict(bills or {})
        self.page_size = page_size
        self.balance: Document = {}
        """What `QueryAccountBalance` says."""
        self.fund_account: Document = {}
        """What `GetFundAccountAvailableAmount` says."""
        self.calls: list[Call] = []
        """All that were let in."""
        self.refused: list[str] = []
        """The code of each refusal."""
        self.offsets: dict[str, int] = {"": 0}
        """Which line each page token stands for."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the one request of a connection."""
        try:
            request = await read_request(reader)
            try:
                call = self.gateway.admit(request, self.clock())
                self.calls.append(call)
                await self.reply(call, writer)
            except RefusedError as error:
                self.refused.append(error.refusal.code)
                await self.refuse(writer, error.refusal)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def reply(self, call: Call, writer: asyncio.StreamWriter) -> None:
        """Give the answer to a call, or raise `RefusedError`."""
        await self.send(writer, written(self.answer(call)))

    def answer(self, call: Call) -> Document:
        """Return what there is to say to a call, or raise `RefusedError`."""
        match call.action:
            case "DescribeInstanceBill":
                data = self._instance_bill(call.query)
            case "QueryAccountBill":
                data = self._account_bill(call.query)
            case "QueryBillOverview":
                cycle = _asked(call.query, "BillingCycle")
                data = self._summary(cycle, cycle)
            case "QueryAccountBalance":
                data = self.balance
            case "GetFundAccountAvailableAmount":
                return {"RequestId": self.request_id(), **self.fund_account}
            case _:
                raise RefusedError(404, "InvalidAction.NotFound", "Specified api is not found.")
        head = {"RequestId": self.request_id(), "Success": True, "Code": "Success", "Message": "Successful!"}
        return {**head, "Data": data}

    def token(self, offset: int) -> str:
        """Return a new token for what begins with that line."""
        token = base64.b64encode(f"{len(self.calls)}/{offset}=&".encode()).decode()
        self.offsets[token] = offset
        return token

    def totals(self, within: str) -> Mapping[str, Decimal]:
        """Return what the lines of a cycle or a day add up to, by currency."""
        totals: dict[str, Decimal] = {}
        for day, lines in self.bills.items():
            if day.isoformat().startswith(within):
                for line in lines:
                    totals[line["Currency"]] = totals.get(line["Currency"], Decimal(0)) + line["PretaxAmount"]
        return totals

    async def send(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        """Send an answer that is in good order."""
        await self.say(writer, 200, _JSON, body)

    async def refuse(self, writer: asyncio.StreamWriter, refusal: Refusal) -> None:
        """Send a refusal."""
        said = {"RequestId": self.request_id(), "HostId": _HOST, "Code": refusal.code, "Message": refusal.message}
        await self.say(writer, refusal.status, {**_JSON, **refusal.headers}, written(said))

    async def say(self, writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Write these headers and those that every answer has."""
        now = format_datetime(self.clock().astimezone(UTC), usegmt=True)
        usual = {"date": now, "content-length": str(len(body)), "connection": "close"}
        await write_answer(writer, status, {**usual, **headers}, body)

    def request_id(self) -> str:
        """Return the number under which the provider would know the call."""
        return f"00000000-0000-4000-8000-{len(self.calls):012d}"

    def _instance_bill(self, query: Mapping[str, str]) -> Document:
        cycle, billed_on, token = _asked(query, "BillingCycle"), _asked(query, "BillingDate"), query.get("NextToken", "")
        if not billed_on.startswith(cycle) or query.get("Granularity") != "DAILY":
            raise RefusedError(400, "InvalidParameter", "BillingDate is not of BillingCycle.")
        if token not in self.offsets:
            raise RefusedError(400, "InvalidParameter", "NextToken was not given out.")
        wanted = query.get("ProductCode", "")
        lines = [line for line in self.bills.get(date.fromisoformat(billed_on), ()) if wanted in {"", line["ProductCode"]}]
        size = min(self.page_size, int(query.get("MaxResults", "20")), _MOST_ON_A_PAGE)
        start = self.offsets[token]
        following = self.token(start + size) if start + size < len(lines) else ""
        return {
            "BillingCycle": cycle,
            "AccountID": self.account,
            "AccountName": _OWNER,
            "TotalCount": len(lines),
            "MaxResults": size,
            "NextToken": following,
            "Items": [dict(line) for line in lines[start : start + size]],
        }

    def _account_bill(self, query: Mapping[str, str]) -> Document:
        cycle = _asked(query, "BillingCycle")
        data = self._summary(cycle, query.get("BillingDate", "") or cycle)
        return {**data, "PageNum": 1, "PageSize": _MOST_ON_A_PAGE, "TotalCount": len(data["Items"]["Item"])}

    def _summary(self, cycle: str, within: str) -> Document:
        totals = self.totals(within)
        items = [{"Currency": currency, "PretaxAmount": total, "ProductCode": "sfm"} for currency, total in totals.items()]
        return {"BillingCycle": cycle, "AccountID": self.account, "AccountName": _OWNER, "Items": {"Item": items}}


def _asked(query: Mapping[str, str], name: str) -> str:
    if not query.get(name):
        raise RefusedError(400, "MissingParameter", f"{name} is mandatory for this action.")
    return query[name]
