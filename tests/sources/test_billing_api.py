"""The stand-in of the billing API is as strict as the provider: what it lets in, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

import billing_api
from billing_api import BillingApi
from billing_gateway import Call, Gateway, RefusedError
from bss_lies import KEY_ID, SECRET
from endpoint_watch import LOOPBACK, NOW, StopWatch
from plain_http import Request
from servers_bss import ACCOUNT, BssServer, an_item
from spendwatch.acs3 import AccessKey, ApiRequest, signed
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId
from spendwatch.outgoing import Outgoing
from spendwatch.pacing import RateLimiter
from spendwatch.sources.alibaba.client import BssClient
from spendwatch.sources.provider.credentials import StaticCredentials

pytestmark = pytest.mark.anyio

DAY = date(2026, 9, 4)
QUERY = {"BillingCycle": "2026-09", "BillingDate": DAY.isoformat(), "Granularity": "DAILY", "MaxResults": "300"}


def _request(*, key_id: str = KEY_ID, secret: str = SECRET, nonce: str = "1", body: bytes = b"") -> Request:
    asked = ApiRequest("127.0.0.1", "DescribeInstanceBill", "2017-12-14", QUERY, body)
    headers = signed(asked, AccessKey(key_id, secret), at=NOW, nonce=nonce)
    return Request("POST", f"/?{asked.canonical_query}", headers, body)


def _gateway(limit: int = 0) -> Gateway:
    return Gateway({KEY_ID: SECRET}, limit=limit)


def _with(request: Request, **changes: str) -> Request:
    return replace(request, headers={**request.headers, **{name.replace("_", "-"): text for name, text in changes.items()}})


def test_a_call_that_is_signed_as_it_should_be_is_let_in() -> None:
    gateway = _gateway()
    call = gateway.admit(_request(), NOW)
    assert (call.action, call.version, call.query, call.form) == ("DescribeInstanceBill", "2017-12-14", QUERY, {})
    assert gateway.checked == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda request: replace(request, method="GET"), "MissingParameter"),
        (lambda request: _with(request, authorization="Basic eDp5"), "MissingParameter"),
        (lambda request: replace(request, target=request.target.replace("DAILY", "MONTHLY")), "SignatureDoesNotMatch"),
        (lambda request: replace(request, target=request.target + "&NextToken=x"), "SignatureDoesNotMatch"),
        (lambda request: replace(request, body=b"FundAccountId=1"), "SignatureDoesNotMatch"),
        (lambda request: _with(request, x_acs_action="QueryAccountBill"), "SignatureDoesNotMatch"),
        (lambda request: _with(request, x_acs_security_token="unsigned"), "SignatureDoesNotMatch"),
        (lambda request: _with(request, host="business.example.com"), "SignatureDoesNotMatch"),
        (lambda request: _with(request, x_acs_date="yesterday"), "InvalidTimeStamp.Format"),
        (lambda _: _request(secret="another"), "SignatureDoesNotMatch"),
        (lambda _: _request(key_id="LTAIother"), "InvalidAccessKeyId.NotFound"),
        (lambda _: _request(nonce=""), "SignatureNonceUsed"),
    ],
)
def test_a_call_that_is_not_is_refused(change: Callable[[Request], Request], code: str) -> None:
    gateway = _gateway()
    with pytest.raises(RefusedError, match=f"^{code}$"):
        gateway.admit(change(_request()), NOW)


def test_a_call_that_comes_again_is_refused() -> None:
    gateway = _gateway()
    gateway.admit(_request(), NOW)
    with pytest.raises(RefusedError, match="SignatureNonceUsed"):
        gateway.admit(_request(), NOW)
    gateway.admit(_request(nonce="2"), NOW)


@pytest.mark.parametrize("late", [timedelta(minutes=15, seconds=1), timedelta(minutes=-15, seconds=-1)])
def test_a_signature_is_good_for_a_quarter_of_an_hour_either_way(late: timedelta) -> None:
    with pytest.raises(RefusedError, match=r"^InvalidTimeStamp\.Expired$"):
        _gateway().admit(_request(), NOW + late)
    _gateway().admit(_request(), NOW + late * 0.99)


def test_more_calls_than_are_allowed_in_any_second_are_refused() -> None:
    gateway, tenth = _gateway(limit=10), timedelta(milliseconds=99)
    for number in range(10):
        gateway.admit(_request(nonce=f"{number}"), NOW + tenth * number)
    with pytest.raises(RefusedError, match=r"^Throttling\.User$"):
        gateway.admit(_request(nonce="too soon"), NOW + timedelta(seconds=1, microseconds=-1))
    gateway.admit(_request(nonce="just in time"), NOW + timedelta(seconds=1))


async def test_a_client_that_calls_too_fast_is_told_to_pause_and_gets_all_the_same() -> None:
    watch = StopWatch()
    bills = {DAY: [an_item(DAY)]}
    with BssServer(bills, clock=watch.clock, limit=10) as server:
        pace = RateLimiter(watch.monotonic, watch.sleep, per_second=25)
        client = BssClient(
            Outgoing(LOOPBACK),
            StaticCredentials(lambda: AccessKey(KEY_ID, SECRET)),
            site=Site.CN,
            clock=watch.clock,
            pace=pace,
            endpoint=server.url,
        )
        for _ in range(15):
            assert await client.account_total(AccountId(ACCOUNT), BillingPeriod(2026, 9))
    assert (len(server.calls), server.refused, watch.slept) == (15, ["Throttling.User"], [1.0])


def _api(lines: int) -> BillingApi:
    bills = {DAY: [an_item(DAY, number) for number in range(lines)]}
    return BillingApi(_gateway(), account=ACCOUNT, clock=lambda: NOW, bills=bills, page_size=4)


def _asked(action: str = "DescribeInstanceBill", **query: str) -> Call:
    return Call(action, "2017-12-14", query, {}, {})


def test_the_pages_of_a_day_hold_each_line_once_and_the_last_has_no_token() -> None:
    api, token, seen, counts = _api(9), "", [], []
    for _ in range(3):
        data = api.answer(_asked(**QUERY, NextToken=token))["Data"]
        seen += data["Items"]
        token = data["NextToken"]
        counts.append((len(data["Items"]), data["TotalCount"], bool(token)))
    assert seen == api.bills[DAY]
    assert counts == [(4, 9, True), (4, 9, True), (1, 9, False)]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (_asked(**QUERY, NextToken="made-up"), "InvalidParameter"),
        (_asked(**{**QUERY, "BillingCycle": "2026-08"}), "InvalidParameter"),
        (_asked(**{**QUERY, "Granularity": "MONTHLY"}), "InvalidParameter"),
        (_asked(BillingCycle="2026-09"), "MissingParameter"),
        (_asked("QueryAccountBill"), "MissingParameter"),
        (_asked("DeleteEverything"), "InvalidAction.NotFound"),
    ],
)
def test_what_the_provider_would_not_answer_is_refused(call: Call, code: str) -> None:
    with pytest.raises(RefusedError, match=f"^{code}$"):
        _api(1).answer(call)


@pytest.mark.parametrize("fake", ["billing_api.py", "billing_gateway.py"])
def test_the_stand_in_checks_by_code_of_its_own(fake: str) -> None:
    text = (Path(billing_api.__file__).with_name(fake)).read_text(encoding="utf-8")
    borrowed = set(re.findall(r"^(?:from|import) (spendwatch[.\w]*|httpx)", text, re.MULTILINE))
    assert not borrowed
