"""What a balance document may say, and the words for whatever is wrong with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.statement import AccountId
from spendwatch.sources.balances.document import KEYS, TERMS, NoBalanceError, balance_in

ACME = AccountId("1000000000000001")
CNY = Currency("CNY")
NOW = datetime(2026, 9, 15, 4, 0, tzinfo=UTC)
AS_OF = '"as_of": "2026-09-15T10:00:00+08:00"'
CHINA = timezone(timedelta(hours=8))


def read(document: str | bytes) -> BalanceReading:
    data = document.encode() if isinstance(document, str) else document
    return balance_in(data, account=ACME, currency=CNY, origin=Origin.FILE, now=NOW)


def refused(document: str | bytes) -> str:
    with pytest.raises(NoBalanceError) as caught:
        read(document)
    assert str(caught.value).isprintable()
    return str(caught.value)


def cny(amount: str) -> Money:
    return Money(Decimal(amount), CNY)


WHOLE = {
    "as_of": "2026-09-15T10:00:00+08:00",
    "account": ACME,
    "currency": "CNY",
    "cash": "10000.00",
    "credit": "5000.00",
    "credit_refund": "200.00",
    "unsettled_current": "3000.00",
    "unsettled_previous": "3000.00",
    "available": "9200.00",
}
EXPECTED = BalanceReading(
    ACME,
    CNY,
    Origin.FILE,
    as_of=datetime(2026, 9, 15, 10, tzinfo=CHINA),
    read_at=NOW,
    cash=cny("10000.00"),
    credit=cny("5000.00"),
    credit_refund=cny("200.00"),
    unsettled_current=cny("3000.00"),
    unsettled_previous=cny("3000.00"),
    reported=cny("9200.00"),
)


def test_json_and_yaml_say_the_same() -> None:
    assert read(json.dumps(WHOLE)) == EXPECTED
    assert read(json.dumps(WHOLE, indent="\t").encode("utf-8-sig")) == EXPECTED
    assert read("".join(f"{key}: {value}\n" for key, value in WHOLE.items())) == EXPECTED
    assert read("# by hand\n---\n" + "".join(f'{key}: "{value}"\n' for key, value in WHOLE.items())) == EXPECTED


def test_what_is_not_told_is_unknown() -> None:
    reading = read('{"as_of": "2026-09-15 02:00Z", "available": "-11.19"}')
    assert (reading.reported, reading.cash, reading.credit, reading.unsettled_both) == (cny("-11.19"), None, None, None)
    assert reading.as_of == datetime(2026, 9, 15, 2, tzinfo=UTC)
    assert read(f'{{{AS_OF}, "cash": "5", "unsettled": "2"}}').unsettled_both == cny("2")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (f'{{{AS_OF},\n "cash": 10.00}}', 'line 2, cash: must be a text, like "10.00": other programs make floats of numbers'),
        (f'{{{AS_OF},\n "cash": true}}', "line 2, cash: must be a text"),
        (f'{{{AS_OF},\n\n "cash": "1,000.00"}}', "line 3, cash: not a plain amount: '1,000.00'"),
        (f'{{{AS_OF}, "cash": "1e3"}}', "line 1, cash: not a plain amount: '1e3'"),
        (f'{{{AS_OF}, "cash": "0.00000000001"}}', "line 1, cash: not a plain amount"),
        (f'{{{AS_OF}, "cash": "NaN"}}', "line 1, cash: not a plain amount: 'NaN'"),
        (f'{{{AS_OF}, "cash": null}}', "line 1, cash: must be one text, not nothing"),
        (f'{{{AS_OF}, "cash": {{"amount": "1"}}}}', "line 1, cash: must be one text, not an object"),
        (f'{{{AS_OF}, "cash": "1",\n"cash": "2"}}', "'cash' is in it twice"),
        (f'{{{AS_OF}, "cash": "1"', "line 1: it is not JSON"),
        (f'{{{AS_OF},\n"cash": "1",\n}}', "line 3: it is not JSON"),
        (f'{{{AS_OF},\n"cahs": "1"}}', "line 2, 'cahs': unknown key; known: account, currency, as_of, cash"),
        (f'{{{AS_OF},\n"credit": "1"}}', "cash or available: one of them is needed"),
        (f'{{{AS_OF}, "cash": "1", "credit": "-1"}}', "line 1, credit: must be zero or more"),
        (
            f'{{{AS_OF}, "cash": "1",\n"unsettled_current": "1"}}',
            "line 2, unsettled_current: also needs unsettled_previous",
        ),
        (
            f'{{{AS_OF}, "cash": "1", "unsettled_current": "1", "unsettled_previous": "1",\n"unsettled": "2"}}',
            "line 2, unsettled: is already given",
        ),
        ('{"cash": "1"}', "as_of: is missing; write the time of the figures, with its offset"),
        ('{"as_of": "2026-09-15T10:00:00", "cash": "1"}', "line 1, as_of: not a moment: '2026-09-15T10:00:00'"),
        ('{"as_of": "2026-09-31T10:00:00Z", "cash": "1"}', "line 1, as_of: not a moment"),
        ('{"as_of": "1789430400", "cash": "1"}', "line 1, as_of: not a moment"),
        ('{"as_of": "2026-09-15T12:06:00+08:00", "cash": "1"}', "line 1, as_of: is in the future"),
        (
            f'{{{AS_OF}, "cash": "1", "account": "9"}}',
            "line 1, account: is '9', and this is the balance of 1000000000000001 in CNY",
        ),
        (f'{{{AS_OF}, "cash": "1", "currency": "USD"}}', "line 1, currency: is 'USD', and this is the balance of"),
        ("[1]", "it must contain keys with values"),
        ("", "it is empty"),
        (" \n ", "it is empty"),
        ("cash: 1\ncash: 2\n", "line 2, cash: is here and on line 1, column 1: keep one of them"),
        ("cash:\n  amount: 1\n", "line 1, cash: must be one text, not an object"),
        ("cash: [1]\n", "line 1, cash: must be one text, not a list"),
        ("cash: ~\n", "line 1, cash: must be one text, not nothing"),
        ("a: &x 1\ncash: *x\n", "line 1, a: anchors (&x) are not supported"),
        ("cash: !!float 1\n", "line 1, cash: tags (!!float) are not supported"),
        ("cash: 1\n---\ncash: 2\n", "line 2: a second document begins"),
        ("cash: 1\u200e\n", "line 1: an invisible character: U+200E"),
        ("just words", "it must contain keys with values, on one level"),
        ('as_of: "x\n', "line 2: not readable as YAML"),
        (b"cash: 1\n\xff: 2\n", "line 2: it is not UTF-8"),
        ("x" * 65_537, "it is larger than 64 KiB"),
        ("".join(f"k{number}: 1\n" for number in range(300)), "line 1, 'k0': unknown key"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_key(document: str | bytes, told: str) -> None:
    assert told in refused(document)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = refused(f'{{{AS_OF},\n"cash": 1,\n"credit": "x",\n"balance": "1"}}')
    assert [part.split(":")[0] for part in told.split("; line")] == ["line 4, 'balance'", " 2, cash", " 3, credit"]
    many = refused("".join(f"k{number}: 1\n" for number in range(20)))
    assert "and 12 more" in many


def test_every_term_can_be_told_and_goes_to_its_own_place() -> None:
    for key, term in TERMS.items():
        if not key.startswith("unsettled_"):
            assert getattr(read(json.dumps({"as_of": WHOLE["as_of"], "cash": "1", "available": "2", key: "3"})), term) == cny(
                "3"
            )


TEXTS = st.text() | st.sampled_from(["1.00", "-5", "2026-09-15T10:00:00+08:00", "CNY", ACME])
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.floats() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def what_is_wrong(data: bytes) -> str:
    try:
        read(data)
    except NoBalanceError as error:
        return str(error)
    return "nothing"


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(), VALUES) | VALUES)
def test_any_json_is_a_balance_or_told_what_is_wrong_with_it(document: object) -> None:
    assert what_is_wrong(json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_balance_or_told_what_is_wrong_with_them(data: bytes) -> None:
    assert what_is_wrong(data).isprintable()
