"""The client of the billing API: balances term by term, totals, and the pace at which it may ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_api import Document, written
from bss_lies import KEY_ID, SECRET, Lie
from endpoint_watch import LOOPBACK, NOW, StopWatch
from servers_bss import ACCOUNT, BssServer, an_item
from servers_http import HttpSink, Reply
from spendwatch.acs3 import AccessKey
from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId
from spendwatch.exact_json import NoJsonError, exact_amount, parse
from spendwatch.outgoing import Outgoing
from spendwatch.pacing import BackOff, RateLimiter, asked_pause
from spendwatch.sources.alibaba.bill_pages import Paging, Wanted
from spendwatch.sources.alibaba.client import ENDPOINTS, BssClient
from spendwatch.sources.provider.credentials import StaticCredentials
from spendwatch.sources.trouble import EndpointError, Failure

pytestmark = pytest.mark.anyio

SAMPLES = Path(__file__).parents[2] / "data" / "bills"
SEPTEMBER = BillingPeriod(2026, 9)
DAY = date(2026, 9, 12)
ACME = AccountId(ACCOUNT)


def _sample(name: str) -> Document:
    found = json.loads((SAMPLES / f"api_{name}.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def _client(url: str, watch: StopWatch, site: Site = Site.CN) -> BssClient:
    return BssClient(
        Outgoing(LOOPBACK),
        StaticCredentials(lambda: AccessKey(KEY_ID, SECRET)),
        site=site,
        clock=watch.clock,
        pace=RateLimiter(watch.monotonic, watch.sleep),
        endpoint=url,
    )


@dataclass(frozen=True)
class Stage:
    """The stand-in, and a client for it."""

    server: BssServer
    client: BssClient
    watch: StopWatch


@pytest.fixture
def stage() -> Iterator[Stage]:
    watch = StopWatch()
    with BssServer(clock=watch.clock) as server:
        yield Stage(server, _client(server.url, watch), watch)


def cny(amount: str) -> Money:
    return Money(Decimal(amount), Currency("CNY"))


# --- balances


async def test_the_fund_account_tells_every_term(stage: Stage) -> None:
    stage.server.fund_account = _sample("get_fund_account_available_amount")
    balance = await stage.client.fund_account()
    (call,) = stage.server.calls
    assert (call.action, call.version, call.query, call.form) == ("GetFundAccountAvailableAmount", "2023-09-30", {}, {})
    assert call.headers["content-type"] == "application/x-www-form-urlencoded"
    assert balance == BalanceReading(
        account=AccountId("1000000000000001"),
        currency=Currency("CNY"),
        origin=Origin.API,
        as_of=NOW,
        read_at=NOW,
        reported=cny("9200.00"),
        cash=cny("10000.00"),
        credit=cny("5000.00"),
        credit_refund=cny("200.00"),
        unsettled_current=cny("3000.00"),
        unsettled_previous=cny("3000.00"),
        unsettled_both=cny("6000.00"),
        bank_acceptance=cny("0.00"),
        negative_bill=cny("0.00"),
        quota=cny("0.00"),
        quota_consumed=cny("0.00"),
        owner=AccountId("1000000000000001"),
    )


async def test_a_fund_account_that_is_named_goes_into_the_form(stage: Stage) -> None:
    stage.server.fund_account = _sample("get_fund_account_available_amount")
    await stage.client.fund_account("20000000000001")
    assert (stage.server.calls[0].form, stage.server.calls[0].query) == ({"FundAccountId": "20000000000001"}, {})


async def test_the_older_operation_tells_the_result_from_which_the_unsettled_follows(stage: Stage) -> None:
    stage.server.balance = _sample("query_account_balance_intl")["Data"]
    balance = await stage.client.account_balance()
    usd = [Money(Decimal(amount), Currency("USD")) for amount in ("7245.65", "7845.65", "0.00")]
    assert [balance.reported, balance.cash, balance.credit] == usd
    assert (balance.owner, balance.unsettled_current, balance.unsettled_both) == (None, None, None)


async def test_an_overdue_account_is_below_zero(stage: Stage) -> None:
    stage.server.balance = _sample("query_account_balance_negative_cn")["Data"]
    balance = await stage.client.account_balance()
    assert (balance.reported, balance.cash) == (cny("-11.19"), cny("0.00"))


BALANCES: Mapping[str, tuple[Callable[[BssClient], Any], str]] = {
    "fund_account": (BssClient.fund_account, "get_fund_account_available_amount"),
    "balance": (BssClient.account_balance, "query_account_balance_intl"),
}


@pytest.mark.parametrize("kind", BALANCES)
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"AvailableAmount": None}, "AvailableAmount is missing"),
        ({"AvailableAmount": ""}, "AvailableAmount is ''"),
        ({"AvailableAmount": 9200.5}, "AvailableAmount is '9200.5'"),
        ({"AvailableAmount": "9.2E3"}, "AvailableAmount is '9.2E3'"),
        ({"AvailableAmount": "NaN"}, "AvailableAmount is 'NaN'"),
        ({"AvailableAmount": "9200,00"}, "AvailableAmount is '9200,00'"),
        ({"AvailableAmount": "9,20.00"}, "AvailableAmount is"),
        ({"AvailableAmount": "1,2345.00"}, "AvailableAmount is"),
        ({"AvailableAmount": "9 200.00"}, "AvailableAmount is"),
        ({"AvailableAmount": "９200.00"}, "AvailableAmount is"),
        ({"AvailableAmount": "0.00000000001"}, "AvailableAmount is"),
        ({"AvailableAmount": ["1"]}, "AvailableAmount is"),
        ({"Currency": None}, "Currency is missing"),
        ({"Currency": "yuan"}, "Currency is 'yuan'"),
        ({"Currency": 156}, "Currency is '156'"),
        ({"CreditAmount": "none"}, "CreditAmount is 'none'"),
    ],
)
async def test_a_term_that_is_no_amount_is_told(kind: str, changes: Document, says: str, stage: Stage) -> None:
    ask, sample = BALANCES[kind]
    found = _sample(sample)
    setattr(stage.server, kind, {**found.get("Data", found), **changes})
    with pytest.raises(EndpointError, match=says) as caught:
        await ask(stage.client)
    assert caught.value.trouble is Failure.UNEXPECTED


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"FundAccountType": 1}, "FundAccountType is '1'"),
        ({"OriginalCashAmountList": {}}, "OriginalCashAmountList is"),
        ({"OriginalCashAmountList": ["x"]}, "Currency is missing"),
        ({"CurrentMonthUnclearedAmount": None}, "CurrentMonthUnclearedAmount is missing"),
    ],
)
async def test_every_field_is_of_its_kind(changes: Document, says: str, stage: Stage) -> None:
    stage.server.fund_account = {**_sample("get_fund_account_available_amount"), **changes}
    with pytest.raises(EndpointError, match=says):
        await stage.client.fund_account()


async def test_what_is_not_told_need_not_be(stage: Stage) -> None:
    needed = ("AvailableAmount", "CashAmount", "CreditAmount", "CurrentMonthUnclearedAmount", "HistoryMonthUnclearedAmount")
    found = _sample("get_fund_account_available_amount")
    stage.server.fund_account = {name: found[name] for name in (*needed, "Currency")}
    balance = await stage.client.fund_account()
    assert (balance.credit_refund, balance.owner, balance.other_cash) == (None, None, ())


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=2))
def test_grouped_and_plain_amounts_are_the_same(amount: Decimal) -> None:
    from spendwatch.sources.alibaba.balance_answers import account_balance  # noqa: PLC0415 -- only here

    data = {"AvailableAmount": f"{amount:,.2f}", "AvailableCashAmount": f"{amount:.2f}", "CreditAmount": "0", "Currency": "CNY"}
    balance = account_balance({"Data": data}, NOW)
    assert balance.reported == balance.cash == Money(amount, Currency("CNY"))


async def test_a_generic_trouble_of_the_balance_is_asked_again_a_few_times(stage: Stage) -> None:
    stage.server.balance = _sample("query_account_balance_negative_cn")["Data"]
    stage.server.lie, stage.server.lies_left, stage.server.lies_to = Lie.INTERNAL_ERROR, 2, lambda _: True
    assert (await stage.client.account_balance()).reported == cny("-11.19")
    assert (len(stage.server.calls), stage.watch.slept) == (3, [1.0, 3.0])


@pytest.mark.parametrize(
    ("ask", "needs"),
    [
        (BssClient.account_balance, "bss:DescribeAcccount,"),
        (BssClient.fund_account, "bss:DescribeBillingAccount,"),
        (lambda client: client.account_total(ACME, SEPTEMBER), "needs the policy AliyunBSSReadOnlyAccess"),
    ],
)
async def test_a_missing_permission_names_what_is_missing(ask: Callable[[BssClient], Any], needs: str, stage: Stage) -> None:
    stage.server.lie, stage.server.lies_to = Lie.NOT_AUTHORIZED, lambda _: True
    with pytest.raises(EndpointError, match=needs) as caught:
        await ask(stage.client)
    assert caught.value.trouble is Failure.PERMISSION
    assert len(stage.server.calls) == 1


async def test_an_error_body_of_the_sample_means_the_other_site(stage: Stage) -> None:
    body = (SAMPLES / "api_error_wrong_site.json").read_bytes()
    with HttpSink([Reply(400, {"content-type": "application/json"}, body)]) as sink:
        with pytest.raises(EndpointError, match="configure site: cn"):
            await _client(sink.url(""), stage.watch, Site.INTL).account_balance()
        assert len(sink.requests) == 1


@pytest.mark.parametrize(
    ("ahead", "says"),
    [(1200.0, "20 min ahead of"), (-1200.0, "20 min behind"), (10799.5, "3 h ahead of"), (10800.9, "3 h ahead of")],
)
async def test_a_clock_that_is_off_is_told_by_how_much_and_which_way(ahead: float, says: str) -> None:
    ours, theirs = StopWatch(), StopWatch()
    ours.now += timedelta(seconds=ahead)
    with BssServer(clock=theirs.clock) as server:
        with pytest.raises(EndpointError, match=f"this machine's clock is {says} the provider's") as caught:
            await _client(server.url, ours).account_balance()
        assert caught.value.trouble is Failure.CLOCK


def test_each_site_has_its_own_endpoint() -> None:
    assert ENDPOINTS == {
        Site.CN: "https://business.aliyuncs.com",
        Site.INTL: "https://business.ap-southeast-1.aliyuncs.com",
    }


async def test_a_forbidden_endpoint_is_no_passing_trouble(stage: Stage) -> None:
    with pytest.raises(EndpointError, match=r"QueryAccountBalance: https://10\.0\.0\.1 is a private") as caught:
        await _client("https://10.0.0.1", stage.watch).account_balance()
    assert caught.value.trouble is Failure.FORBIDDEN
    assert stage.watch.slept == []


# --- bills and totals


async def test_the_sample_pages_are_one_bill() -> None:
    watch = StopWatch()
    pages = [(SAMPLES / f"api_describe_instance_bill_page{number}.json").read_bytes() for number in (1, 2)]
    with HttpSink([Reply(200, {"content-type": "application/json"}, page) for page in pages]) as sink:
        client = _client(sink.url(""), watch)
        wanted = Wanted(ACME, SEPTEMBER, DAY, "sfm")
        paging = Paging(wanted)
        raw = [page.raw async for page in client.day(wanted, paging)]
    bill = paging.bill()
    assert raw == pages
    assert (bill.lines, bill.totals, bill.is_doubtful) == (12, {"CNY": Decimal("30.861335")}, False)


async def test_totals_are_exact_and_by_currency(stage: Stage) -> None:
    stage.server.bills = {
        DAY: [an_item(DAY, 1, "0.0000000001"), an_item(DAY, 2, "10000000000.5"), an_item(DAY, 3, "7", Currency="USD")],
        date(2026, 9, 13): [an_item(date(2026, 9, 13), 4, "-1")],
    }
    assert await stage.client.account_total(ACME, SEPTEMBER, product="sfm") == {
        "CNY": Decimal("9999999999.5000000001"),
        "USD": Decimal(7),
    }
    assert await stage.client.account_total(ACME, SEPTEMBER, day=date(2026, 9, 13)) == {"CNY": Decimal(-1)}
    assert (await stage.client.overview_total(ACME, SEPTEMBER))["CNY"] == Decimal("9999999999.5000000001")
    assert stage.server.calls[0].query == {
        "BillingCycle": "2026-09",
        "Granularity": "MONTHLY",
        "ProductCode": "sfm",
        "PageNum": "1",
        "PageSize": "300",
    }


def _summary_page(items: object, count: object, **changes: object) -> Reply:
    data = {"AccountID": ACCOUNT, "BillingCycle": "2026-09", "TotalCount": count, "Items": {"Item": items}, **changes}
    body = written({"Success": True, "Code": "Success", "Data": data})
    return Reply(200, {"content-type": "application/json"}, body)


ONE = {"Currency": "CNY", "PretaxAmount": Decimal("1.5")}


async def test_a_summary_of_several_pages_is_added_up() -> None:
    with HttpSink([_summary_page([ONE, ONE], 3), _summary_page([ONE], 3)]) as sink:
        total = await _client(sink.url(""), StopWatch()).account_total(ACME, SEPTEMBER)
        assert ["PageNum=1&" in request.path for request in sink.requests] == [True, False]
    assert total == {"CNY": Decimal("4.5")}


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (_summary_page([ONE], 2), "QueryAccountBill: 2 items arrived, not the announced number"),
        (_summary_page([], 2), "0 items arrived, not the announced number"),
        (_summary_page([ONE], 9), "2 items arrived"),
        (_summary_page([ONE, ONE], 1), "2 items arrived"),
        (_summary_page([ONE], "1"), "1 item arrived"),
        (_summary_page([ONE], 1, AccountID="9"), "the totals are for '9, 2026-09', requested was 1000000000000001, 2026-09"),
        (_summary_page([ONE], 1, BillingCycle="2026-08"), "the totals are for '1000000000000001, 2026-08'"),
        (_summary_page([ONE], 1, Items=[ONE]), "Data has no list of items"),
        (_summary_page(["x"], 1), "item 1 has no Currency"),
        (_summary_page([{**ONE, "Currency": "?"}], 1), "item 1 has no Currency"),
        (_summary_page([{**ONE, "PretaxAmount": "1.5"}], 1), "item 1: PretaxAmount is not a number"),
        (Reply(200, {"content-type": "application/json"}, b'{"Success": true}'), "the answer has no Data"),
    ],
)
async def test_a_summary_that_is_none_is_told(reply: Reply, says: str) -> None:
    with HttpSink([reply]) as sink, pytest.raises(EndpointError, match=says):
        await _client(sink.url(""), StopWatch()).account_total(ACME, SEPTEMBER)


# --- JSON


@pytest.mark.parametrize(
    ("text", "amount"), [("0.1", "0.1"), ("6.9e-05", "0.000069"), ("1E+3", "1000"), ("-0.0", "0"), ("7", "7"), ("0.10", "0.1")]
)
def test_numbers_stay_what_they_are(text: str, amount: str) -> None:
    assert exact_amount(parse(text.encode())) == Decimal(amount)


@given(st.decimals(min_value=-(10**18), max_value=10**18, places=10))
def test_every_amount_of_ten_decimals_comes_through(amount: Decimal) -> None:
    assert exact_amount(parse(str(amount).encode())) == amount


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"a": 1, "b": {"a": 1, "a": 1}}', "'a' is in it twice"),
        (b'{"\\u202ea": 1, "\\u202ea": 1}', r"'\\u202ea' is in it twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"NaN", "NaN is no number"),
        (b"1" * 5000, "number that cannot be stored"),
        (b"1e" + b"9" * 30, "number that cannot be stored"),
        (b"\xff", "not UTF-8"),
        (b"", "not JSON"),
        (b"{} {}", "Extra data"),
    ],
)
def test_what_is_no_json_is_told_why(body: bytes, says: str) -> None:
    with pytest.raises(NoJsonError, match=says):
        parse(body)


# --- pace


async def test_no_second_sees_more_than_ten_calls_and_no_minute_more_than_six_hundred() -> None:
    watch = StopWatch()
    pace = RateLimiter(watch.monotonic, watch.sleep)
    times = []
    for _ in range(1500):
        await pace.turn()
        times.append(watch.seconds)
    assert min(later - earlier for earlier, later in zip(times, times[10:], strict=False)) >= 1
    assert min(later - earlier for earlier, later in zip(times, times[600:], strict=False)) >= 60
    assert times[-1] - times[0] == pytest.approx(149)


async def test_all_who_share_a_pace_queue_up_behind_each_other() -> None:
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        await asyncio.sleep(0)

    pace = RateLimiter(lambda: 1000.0, sleep, per_second=2)
    await asyncio.gather(*(pace.turn() for _ in range(7)))
    assert asked == [1, 1, 2, 2, 3]


async def test_one_who_was_told_to_wait_makes_all_of_them_wait() -> None:
    watch = StopWatch()
    pace = RateLimiter(watch.monotonic, watch.sleep)
    pace.hold(timedelta(seconds=7))
    pace.hold(timedelta(seconds=3))
    await pace.turn()
    assert watch.slept == [7]
    await pace.turn()
    assert watch.slept == [7]


def test_a_slow_down_doubles_up_to_a_quarter_of_an_hour_and_ends_with_success() -> None:
    watch = StopWatch()
    slow = BackOff(watch.monotonic)
    pauses = []
    for _ in range(8):
        slow.failed()
        begun = watch.seconds
        while slow.is_on:
            watch.pass_by(1)
        pauses.append(watch.seconds - begun)
    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]
    slow.failed()
    slow.worked()
    assert [slow.is_on] == [False]


@pytest.mark.parametrize(("wish", "seconds"), [(1, 30), (45, 45), (72_000, 3600)])
def test_a_slow_down_lasts_as_long_as_it_is_asked_to_within_reason(wish: int, seconds: int) -> None:
    watch = StopWatch()
    slow = BackOff(watch.monotonic)
    slow.failed(timedelta(seconds=wish))
    watch.pass_by(seconds - 1)
    before = slow.is_on
    watch.pass_by(1)
    assert (before, slow.is_on) == (True, False)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-acs-retry-after": "1500"}, 1.5),
        ({"x-acs-retry-after": "1500", "retry-after": "9"}, 1.5),
        ({"x-acs-retry-after": "0"}, None),
        ({"x-acs-retry-after": "-5"}, None),
        ({"x-acs-retry-after": "soon"}, None),
        ({"retry-after": "120"}, 120),
        ({"retry-after": "9" * 50}, 3600),
        ({"retry-after": "Sat, 05 Sep 2026 04:02:00 GMT"}, 120),
        ({"retry-after": "Sat, 05 Sep 2026 03:00:00 GMT"}, None),
        ({"retry-after": "Sat, 05 Sep 9999 03:00:00 GMT"}, 3600),
        ({"retry-after": "\u0661"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_a_pause_is_asked_for_in_two_ways_and_taken_within_reason(headers: Mapping[str, str], seconds: float | None) -> None:
    pause = asked_pause(headers, datetime(2026, 9, 5, 4, 0, tzinfo=UTC))
    assert pause == (None if seconds is None else timedelta(seconds=seconds))
