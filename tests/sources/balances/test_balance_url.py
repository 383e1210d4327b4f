"""An https endpoint as the place where a balance is known: asked with rights, bounded, and never believed in part."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pydantic import SecretStr

from servers_http import Fault, HttpSink, Reply
from spendwatch.connection import Auth
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.errors import BalanceUnavailableError
from spendwatch.domain.failure import Failure
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.statement import AccountId
from spendwatch.outgoing import Outgoing
from spendwatch.sources.balances.url import UrlBalance
from spendwatch.sources.url.settings import UrlAccess

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 9, 15, 4, 0, tzinfo=UTC)
ACME = AccountId("1000000000000001")
CNY = Currency("CNY")
SECRET = "hunter2-token"
JSON = {"content-type": "application/json"}
BODY = json.dumps({"as_of": "2026-09-15T10:00:00+08:00", "cash": "10.00", "available": "9.50"}).encode()


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with HttpSink([Reply(200, JSON, BODY)]) as server:
        yield server


def source(
    sink: HttpSink,
    *,
    auth: Auth = Auth.BEARER,
    may_call: bool = True,
    path: str = "/balance?key=hunter2-query",
    seconds: int = 60,
) -> UrlBalance:
    secret = {} if auth is Auth.NONE else {"secret": SecretStr(SECRET)}
    beside = {Auth.BASIC: {"username": "spendwatch"}, Auth.HEADER: {"header": "X-Api-Key"}}.get(auth, {})
    access = UrlAccess.model_validate({"url": sink.url(path), "auth": auth, **secret, **beside})
    client = Outgoing((ipaddress.ip_network("127.0.0.0/8"),) if may_call else ())
    return UrlBalance(access, client, timedelta(seconds=seconds), account=ACME, currency=CNY)


async def refused(asked: UrlBalance) -> BalanceUnavailableError:
    with pytest.raises(BalanceUnavailableError) as caught:
        await asked.read(NOW)
    assert "hunter2" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (Auth.NONE, "authorization", None),
        (Auth.BEARER, "authorization", f"Bearer {SECRET}"),
        (Auth.BASIC, "authorization", "Basic c3BlbmR3YXRjaDpodW50ZXIyLXRva2Vu"),
        (Auth.HEADER, "x-api-key", SECRET),
    ],
)
async def test_a_balance_is_asked_for_with_the_rights_that_were_given(
    sink: HttpSink, auth: Auth, header: str, value: str | None
) -> None:
    reading = await source(sink, auth=auth).read(NOW)
    assert (reading.cash, reading.reported, reading.origin) == (
        Money(Decimal("10.00"), CNY),
        Money(Decimal("9.50"), CNY),
        Origin.URL,
    )
    (request,) = sink.requests
    assert (request.method, request.headers.get(header)) == ("GET", value)


async def test_an_address_that_nobody_allowed_is_not_called(sink: HttpSink) -> None:
    error = await refused(source(sink, may_call=False))
    assert ("list its network in allow_networks" in str(error), error.is_lasting, sink.requests) == (True, True, [])


@pytest.mark.parametrize(
    ("status", "trouble", "is_lasting"),
    [
        (401, Failure.CREDENTIALS, True),
        (403, Failure.PERMISSION, True),
        (404, Failure.REFUSED, True),
        (302, Failure.REFUSED, True),
        (429, Failure.THROTTLED, False),
        (500, Failure.UNAVAILABLE, False),
        (503, Failure.UNAVAILABLE, False),
    ],
)
async def test_a_refusal_is_told_with_its_status_and_what_kind_of_trouble_it_is(
    sink: HttpSink, status: int, trouble: Failure, *, is_lasting: bool
) -> None:
    sink.replies[:] = [Reply(status, {"location": "/elsewhere", "retry-after": "90"}, f"no, {SECRET}".encode())]
    error = await refused(source(sink))
    assert f"status {status}: 'no, ***'" in str(error)
    assert (error.is_lasting, error.trouble, error.retry_after) == (is_lasting, trouble, timedelta(seconds=90))
    assert len(sink.requests) == 1


async def test_a_page_in_place_of_a_balance_is_told_in_few_words(sink: HttpSink) -> None:
    sink.replies[:] = [Reply(200, {}, b"<html><body>log in</body></html>")]
    assert "it must contain keys with values" in str(await refused(source(sink)))
    sink.replies[:] = [Reply(500, {}, b"<html>trouble</html>")]
    assert str(await refused(source(sink))) == "127.0.0.1: status 500"


async def test_what_is_wrong_with_the_document_is_told_with_line_and_key(sink: HttpSink) -> None:
    sink.replies[:] = [Reply(200, JSON, b'{"as_of": "2026-09-15T10:00:00+08:00",\n"cash": 10.1}')]
    error = await refused(source(sink))
    assert str(error).startswith("127.0.0.1: line 2, cash: must be a text")
    assert error.is_lasting


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.SILENT, Fault.DRIPPING])
async def test_an_answer_that_does_not_come_is_a_trouble_that_may_pass(sink: HttpSink, fault: Fault) -> None:
    sink.replies[:] = [Reply(200, JSON, BODY, fault=fault)]
    error = await refused(source(sink, seconds=2))
    assert not error.is_lasting


async def test_no_more_is_read_than_a_balance_takes(sink: HttpSink) -> None:
    sink.replies[:] = [Reply(200, JSON, b'{"x": "' + b"x" * 1_000_000 + b'"}')]
    assert (await refused(source(sink))).is_lasting is False


async def test_a_redirect_is_not_followed(sink: HttpSink) -> None:
    sink.replies[:] = [Reply(302, {"location": sink.url("/other")}), Reply(200, JSON, BODY)]
    assert "status 302" in str(await refused(source(sink)))
    assert [request.path for request in sink.requests] == ["/balance?key=hunter2-query"]
