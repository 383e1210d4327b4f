"""A local stand-in of the provider's billing API that checks signatures by itself, pages, throttles, and lies on command.

As a program: `python -m servers_bss [--port N] [--month 2026-09] [--lie NAME]` serves invented bills until told to stop.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote_plus, urlsplit

from bss_lies import (
    FALSIFIED,
    KEY_ID,
    REFUSALS,
    SECRET,
    SENT_OTHERWISE,
    WRITTEN_OTHERWISE,
    Call,
    Document,
    Lie,
    Page,
    Refusal,
    write,
)
from servers_http import Request, ThreadedServer, read_request, stay

ACCOUNT = "1000000000000001"

_AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})")
_SIGNATURE_LIFE = timedelta(minutes=15)
_NUMBER_MARK = re.compile(r'"#([^"#]*)#"')


class RefusedError(Exception):
    """The gateway does not take a request."""

    def __init__(self, status: int, code: str, message: str = "Refused.", headers: Mapping[str, str] | None = None) -> None:
        self.refusal = Refusal(status, code, message, headers or {})
        super().__init__(code)


def signature_of(target: str, headers: Mapping[str, str], body: bytes, secret: str, *, method: str = "POST") -> str:
    """Return the signature of what travels, computed from the wire, by the provider's description alone."""

    def escape(text: str) -> str:
        # The description's own recipe: form encoding, with three corrections.
        return quote_plus(text).replace("+", "%20").replace("*", "%2A").replace("%7E", "~")

    url = urlsplit(target)
    pairs = sorted(parse_qsl(url.query, keep_blank_values=True))
    lines = [method, url.path, "&".join(f"{escape(name)}={escape(value)}" for name, value in pairs)]
    names = signed_names(headers)
    lines += [f"{name}:{headers[name].strip()}" for name in names]
    lines += ["", ";".join(names), hashlib.sha256(body).hexdigest()]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return hmac.digest(secret.encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), "sha256").hex()


def signed_names(headers: Mapping[str, str]) -> Sequence[str]:
    """Return the names of the headers that a signature covers."""
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    return found[2].split(";") if found else []


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


def written(document: object) -> bytes:
    """Return JSON in which a `Decimal` is a number with just its digits."""
    text = json.dumps(document, ensure_ascii=False, default=lambda number: f"#{number}#")
    return _NUMBER_MARK.sub(r"\1", text).encode()


class BssServer(ThreadedServer):
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
        super().__init__("127.0.0.1", port)
        self.bills: dict[date, Sequence[Document]] = dict(bills or {})
        self.page_size = page_size
        self.keys = {KEY_ID: SECRET}
        self.session_token = token
        self.lie: Lie | None = None
        self.lies_to: Callable[[Call], bool] = lambda call: call.action == "DescribeInstanceBill"
        self.lies_left = -1
        """How many lies are left to be told; below zero: as many as are asked for."""
        self.pause_before: Callable[[Call], bool] = lambda _: False
        """Whether a call is left hanging until its caller is gone."""
        self.summaries: dict[str, str] = {}
        """What summaries say a cycle or a day cost, where they differ from the sum of its lines."""
        self.balance: Document = {}
        self.fund_account: Document = {}
        self.refused: list[str] = []
        self.calls: list[Call] = []
        self.hanging = 0
        self._clock = clock or (lambda: datetime.now(UTC))  # noqa: TID251 -- a server has a clock of its own
        self._limit = limit
        self._nonces: set[str] = set()
        self._tokens: dict[str, int] = {"": 0}
        self._times: deque[float] = deque()

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://{self.host}:{self.port}"

    async def open(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, self.host, self.port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await read_request(reader)
            if request is not None:
                await self._answer(request, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        try:
            call = self._checked(request)
            self.calls.append(call)
            if self.pause_before(call):
                self.hanging += 1
                await asyncio.sleep(3600)
            lie = self._lie_for(call)
            if lie and (refusal := REFUSALS.get(lie)):
                await self._refuse(writer, refusal)
                return
            page = self._page(call)
            if lie and (falsify := FALSIFIED.get(lie)):
                falsify(page, self)
            body = written(page.document)
            if lie and (rewrite := WRITTEN_OTHERWISE.get(lie)):
                body = rewrite(body)
            await (SENT_OTHERWISE.get(lie, self._send) if lie else self._send)(writer, body)
        except RefusedError as error:
            self.refused.append(error.refusal.code)
            await self._refuse(writer, error.refusal)

    def _lie_for(self, call: Call) -> Lie | None:
        if self.lie is None or not self.lies_to(call) or not self.lies_left:
            return None
        self.lies_left -= 1
        return self.lie

    def _checked(self, request: Request) -> Call:
        """Return the call, or raise `Refused` as the gateway would."""
        headers, url = request.headers, urlsplit(request.path)
        found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if request.method != "POST" or not found:
            raise RefusedError(400, "MissingParameter", "Authorization is mandatory for this action.")
        must_be_signed = {"host", *(name for name in headers if name.startswith("x-acs-"))}
        if found[1] not in self.keys:
            raise RefusedError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        if self.session_token and headers.get("x-acs-security-token") != self.session_token:
            raise RefusedError(400, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken is mismatched.")
        self._check_time(headers)
        is_complete = must_be_signed <= set(signed_names(headers))
        is_hashed = headers.get("x-acs-content-sha256") == hashlib.sha256(request.body).hexdigest()
        expected = signature_of(request.path, headers, request.body, self.keys[found[1]])
        if not (is_complete and is_hashed and hmac.compare_digest(expected, found[3])):
            raise RefusedError(400, "SignatureDoesNotMatch", f"Specified signature does not match; you sent {dict(headers)}")
        nonce = headers.get("x-acs-signature-nonce", "")
        if nonce in self._nonces or not nonce:
            raise RefusedError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces.add(nonce)
        self._throttle()
        return Call(
            headers["x-acs-action"],
            headers["x-acs-version"],
            dict(parse_qsl(url.query, keep_blank_values=True)),
            dict(parse_qsl(request.body.decode(), keep_blank_values=True)),
            headers,
        )

    def _check_time(self, headers: Mapping[str, str]) -> None:
        said = datetime.strptime(headers.get("x-acs-date", ""), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if abs(said - self._clock()) > _SIGNATURE_LIFE:
            raise RefusedError(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")

    def _throttle(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._times and now - self._times[0] >= 1:
            self._times.popleft()
        if self._limit and len(self._times) >= self._limit:
            raise RefusedError(400, "Throttling.User", headers={"x-acs-retry-after": "1000"})
        self._times.append(now)

    def _page(self, call: Call) -> Page:
        number = 1
        match call.action:
            case "DescribeInstanceBill":
                data, number = self._instance_bill(call.query)
            case "QueryAccountBill":
                data = self._account_bill(call.query)
            case "QueryBillOverview":
                data = self._summary(call.query["BillingCycle"], call.query["BillingCycle"])
            case "QueryAccountBalance":
                data = self.balance
            case "GetFundAccountAvailableAmount":
                return Page({"RequestId": self._request_id(), **self.fund_account}, 1, call)
            case _:
                raise RefusedError(404, "InvalidAction.NotFound", "Specified api is not found.")
        head = {"RequestId": self._request_id(), "Success": True, "Code": "Success", "Message": "Successful!"}
        return Page({**head, "Data": data}, number, call)

    def _request_id(self) -> str:
        return f"00000000-0000-4000-8000-{len(self.calls):012d}"

    def _instance_bill(self, query: Mapping[str, str]) -> tuple[Document, int]:
        day, token = date.fromisoformat(query["BillingDate"]), query.get("NextToken", "")
        if not query["BillingDate"].startswith(query["BillingCycle"]) or query.get("Granularity") != "DAILY":
            raise RefusedError(400, "InvalidParameter", "BillingDate is not of BillingCycle.")
        if token not in self._tokens:
            raise RefusedError(400, "InvalidParameter", "NextToken was not given out.")
        wanted = query.get("ProductCode", "")
        lines = [line for line in self.bills.get(day, ()) if wanted in {"", line["ProductCode"]}]
        size = min(self.page_size, int(query.get("MaxResults", "20")), 300)
        start = self._tokens[token]
        following = self.token(start + size) if start + size < len(lines) else ""
        return {
            "BillingCycle": query["BillingCycle"],
            "AccountID": ACCOUNT,
            "AccountName": "demo-account",
            "TotalCount": len(lines),
            "MaxResults": size,
            "NextToken": following,
            "Items": [dict(line) for line in lines[start : start + size]],
        }, start // size + 1

    def token(self, offset: int) -> str:
        """Return a new token for what begins there."""
        token = base64.b64encode(f"{len(self.calls)}/{offset}=&".encode()).decode()
        self._tokens[token] = offset
        return token

    def accept(self, token: str, offset: int) -> None:
        """Take that token, too."""
        self._tokens[token] = offset

    def _account_bill(self, query: Mapping[str, str]) -> Document:
        day = query.get("BillingDate", "")
        data = self._summary(query["BillingCycle"], day or query["BillingCycle"])
        return {**data, "PageNum": 1, "PageSize": 300, "TotalCount": len(data["Items"]["Item"])}

    def _summary(self, cycle: str, within: str) -> Document:
        totals: dict[str, Decimal] = {}
        for day, lines in self.bills.items():
            if day.isoformat().startswith(within):
                for line in lines:
                    totals[line["Currency"]] = totals.get(line["Currency"], Decimal(0)) + line["PretaxAmount"]
        if within in self.summaries:
            totals = {"CNY": Decimal(self.summaries[within])}
        items = [{"Currency": currency, "PretaxAmount": total, "ProductCode": "sfm"} for currency, total in totals.items()]
        return {"BillingCycle": cycle, "AccountID": ACCOUNT, "AccountName": "demo-account", "Items": {"Item": items}}

    async def _send(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        await self.say(writer, 200, {"content-type": "application/json;charset=utf-8"}, body)

    async def _refuse(self, writer: asyncio.StreamWriter, refusal: Refusal) -> None:
        said = {"RequestId": self._request_id(), "HostId": "business.aliyuncs.com", "Code": refusal.code}
        if "xml" in refusal.content_type:
            body = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>".encode()
        elif "html" in refusal.content_type:
            body = f"<html><body>{refusal.message}</body></html>".encode()
        else:
            body = written({**said, "Message": refusal.message} | ({"Success": False} if refusal.status == 200 else {}))
        await self.say(writer, refusal.status, {"content-type": refusal.content_type, **refusal.headers}, body)

    async def say(self, writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Write an answer that is in good order."""
        usual = {"date": format_datetime(self._clock(), usegmt=True), "content-length": str(len(body)), "connection": "close"}
        await write(writer, status, {**usual, **headers}, body)


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
