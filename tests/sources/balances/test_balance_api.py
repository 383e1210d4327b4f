"""The billing API as the place where a balance is known: every term, or what the older operation tells, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from billing_api import Document
from billing_gateway import Call
from bss_lies import KEY_ID, SECRET, Lie
from domain_builders import CNY, USD, cny
from endpoint_watch import LOOPBACK, NOW, StopWatch
from servers_bss import ACCOUNT, BssServer
from spendwatch.acs3 import AccessKey
from spendwatch.domain.balance import Billed, Explanation, Position
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.errors import BalanceUnavailableError
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId
from spendwatch.outgoing import Outgoing
from spendwatch.pacing import RateLimiter
from spendwatch.sources.alibaba.client import BssClient
from spendwatch.sources.balances.api import ApiBalance
from spendwatch.sources.provider.credentials import StaticCredentials

pytestmark = pytest.mark.anyio

SAMPLES = Path(__file__).parents[2] / "data" / "bills"
ACME = AccountId(ACCOUNT)
NEWER, OLDER = "GetFundAccountAvailableAmount", "QueryAccountBalance"


def sample(name: str) -> Document:
    found = json.loads((SAMPLES / f"api_{name}.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


@dataclass
class Stage:
    """The stand-in of the API with the provider's own samples in it, and a stop watch."""

    server: BssServer
    watch: StopWatch

    def source(self, currency: Currency = CNY, *, owner: str = "", fund_account: str = "") -> ApiBalance:
        client = BssClient(
            Outgoing(LOOPBACK),
            StaticCredentials(lambda: AccessKey(KEY_ID, SECRET)),
            site=Site.CN,
            clock=self.watch.clock,
            pace=RateLimiter(self.watch.monotonic, self.watch.sleep),
            endpoint=self.server.url,
        )
        return ApiBalance(
            client, account=ACME, currency=currency, owner=AccountId(owner) if owner else None, fund_account=fund_account
        )

    def lie_to(self, lie: Lie, *operations: str) -> None:
        def lies_to(call: Call) -> bool:
            return call.action in operations

        self.server.lie, self.server.lies_to = lie, lies_to

    @property
    def asked(self) -> list[str]:
        return [call.action for call in self.server.calls]


@pytest.fixture
def stage() -> Iterator[Stage]:
    watch = StopWatch()
    with BssServer(clock=watch.clock) as server:
        server.fund_account = sample("get_fund_account_available_amount")
        server.balance = sample("query_account_balance_negative_cn")["Data"]
        yield Stage(server, watch)


async def refused(source: ApiBalance) -> BalanceUnavailableError:
    with pytest.raises(BalanceUnavailableError) as caught:
        await source.read(NOW)
    assert SECRET not in str(caught.value)
    return caught.value


async def test_every_term_of_the_fund_account_is_kept(stage: Stage) -> None:
    reading = await stage.source().read(NOW)
    assert (reading.account, reading.origin, reading.as_of, reading.owner) == (ACME, Origin.API, NOW, ACME)
    terms = (reading.cash, reading.credit, reading.credit_refund, reading.unsettled_current, reading.unsettled_previous)
    assert terms == (cny("10000.00"), cny("5000.00"), cny("200.00"), cny("3000.00"), cny("3000.00"))
    assert (reading.reported, reading.unsettled_both) == (cny("9200.00"), cny("6000.00"))
    assert (reading.quota, reading.negative_bill, reading.is_reseller_quota) == (cny("0.00"), cny("0.00"), False)
    balance = Position(reading, Billed(cny(77), cny(88), cny(0), NOW))
    assert (balance.available, balance.reading.reported) == (cny(9000), cny("9200.00"))
    assert balance.difference
    assert (balance.difference.amount, balance.difference.explained_by) == (cny(200), (Explanation.CREDIT_REFUND,))
    assert stage.asked == [NEWER]


@pytest.mark.parametrize("lie", [Lie.NOT_AUTHORIZED, Lie.WRONG_SITE, Lie.UNKNOWN_CODE])
async def test_where_the_newer_operation_is_not_to_be_had_the_older_one_tells(stage: Stage, lie: Lie) -> None:
    stage.lie_to(lie, NEWER)
    reading = await stage.source().read(NOW)
    assert (reading.reported, reading.cash, reading.unsettled_current) == (cny("-11.19"), cny("0.00"), None)
    balance = Position(reading, Billed(cny(77), cny(88), cny(0), NOW))
    assert (balance.available, balance.is_overdue, balance.unsettled) == (cny("-11.19"), True, cny("11.19"))
    assert stage.asked == [NEWER, OLDER]


async def test_where_the_newer_operation_no_longer_tells_its_terms_the_older_one_tells(stage: Stage) -> None:
    del stage.server.fund_account["CashAmount"]
    assert (await stage.source().read(NOW)).reported == cny("-11.19")
    assert stage.asked == [NEWER, OLDER]


async def test_amounts_with_thousands_separators_are_read_to_the_cent(stage: Stage) -> None:
    stage.lie_to(Lie.WRONG_SITE, NEWER)
    stage.server.balance = sample("query_account_balance_intl")["Data"] | {"QuotaLimit": "0.00\n"}
    reading = await stage.source(USD).read(NOW)
    zero = Money.zero(USD)
    balance = Position(reading, Billed(zero, zero, zero, NOW))
    assert [str(balance.available), str(balance.unsettled), balance.is_derived] == ["USD 7,245.65", "USD 600.00", True]


async def test_where_neither_is_to_be_had_both_reasons_are_told(stage: Stage) -> None:
    stage.lie_to(Lie.NOT_AUTHORIZED, NEWER, OLDER)
    error = await refused(stage.source())
    assert error.is_lasting
    for told in (NEWER, "bss:DescribeBillingAccount", OLDER, "bss:DescribeAcccount", "AliyunBSSReadOnlyAccess"):
        assert told in str(error)


async def test_trouble_that_passes_is_not_asked_around(stage: Stage) -> None:
    stage.lie_to(Lie.INTERNAL_ERROR, NEWER)
    error = await refused(stage.source())
    assert (error.is_lasting, set(stage.asked)) == (False, {NEWER})


async def test_a_key_that_is_not_accepted_is_a_trouble_that_lasts(stage: Stage) -> None:
    stage.server.keys.clear()
    error = await refused(stage.source())
    assert (error.is_lasting, "the access key is not accepted" in str(error)) == (True, True)


async def test_a_balance_in_another_currency_is_refused(stage: Stage) -> None:
    error = await refused(stage.source(USD))
    assert (error.is_lasting, "the balance is in CNY, the account is configured in USD" in str(error)) == (True, True)


async def test_the_balance_of_another_account_is_refused_unless_that_is_said_to_pay(stage: Stage) -> None:
    stage.server.fund_account["FundAccountOwnerAccountId"] = "1000000000000009"
    error = await refused(stage.source())
    assert error.is_lasting
    assert 'write owner: "1000000000000009" beside from: api' in str(error)
    reading = await stage.source(owner="1000000000000009").read(NOW)
    assert (reading.account, reading.owner) == (ACME, "1000000000000009")


async def test_which_fund_account_is_asked_for_is_said(stage: Stage) -> None:
    await stage.source(fund_account="20000000000001").read(NOW)
    assert stage.server.calls[0].form == {"FundAccountId": "20000000000001"}


async def test_a_resellers_quota_and_cash_in_other_currencies_are_marked_as_such(stage: Stage) -> None:
    stage.server.fund_account |= {
        "FundAccountType": "RESELLER_QUOTA",
        "QuotaAmount": "5,000.00",
        "OriginalCashAmountList": [{"Amount": "10.00", "Currency": "CNY"}, {"Amount": "-3.5", "Currency": "USD"}],
    }
    reading = await stage.source().read(NOW)
    assert (reading.is_reseller_quota, reading.quota) == (True, cny(5000))
    assert [str(money) for money in reading.other_cash] == ["−USD 3.50"]
