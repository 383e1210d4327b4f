"""Answers of the billing API, saved as files: taken as a table of their items, or refused by what they lack."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from small_ledger import SmallLedger
from spendwatch.bills import pages as pages_module
from spendwatch.bills.pages import Pages, looks_like_pages, read_pages
from spendwatch.domain.errors import UnreadableBillError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId, Kind, ReadingHints

ACCOUNT = "1000000000000001"
DATA = Path(__file__).parent.parent / "data" / "bills"
SAMPLES = [(DATA / f"api_describe_instance_bill_page{number}.json").read_text("utf-8") for number in (1, 2)]
HINTS = ReadingHints({AccountId(ACCOUNT): Currency("CNY")})

Json = dict[str, Any]


def item(amount: str = "1.25", **more: object) -> Json:
    """Return an item; amounts are raw numbers, as the API gives them."""
    plain = {"InstanceID": "1;llm-a;m;t;;0", "BillingDate": "2026-09-02", "ProductCode": "sfm", "Currency": "CNY"}
    return {**plain, "PretaxAmount": f"<raw>{amount}", **more}


def page(*items: object, total: object = None, token: str = "", **more: object) -> Json:
    """Return an answer with these items."""
    data: Json = {"AccountID": ACCOUNT, "BillingCycle": "2026-09", "NextToken": token, "Items": list(items)}
    if total is not None:
        data["TotalCount"] = f"<raw>{total}"
    return {"Code": "Success", "Success": True, "Data": {**data, **more}}


def written(said: object) -> str:
    """Return JSON in which raw numbers stand as they are."""
    text = json.dumps(said, ensure_ascii=False)
    for piece in text.split('"<raw>')[1:]:
        number = piece.partition('"')[0]
        text = text.replace(f'"<raw>{number}"', number, 1)
    return text


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Pages]:
    def reading(text: str) -> Pages:
        path = tmp_path / "answers"
        path.write_text(text, encoding="utf-8")
        return read_pages(path, tmp_path)

    return reading


Read = Callable[[str], Pages]


def table(pages: Pages) -> list[Mapping[str, str]]:
    with pages.path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def refusal(read: Read, text: str) -> str:
    with pytest.raises(UnreadableBillError) as refused:
        read(text)
    (one,) = refused.value.refusals
    return str(one)


@pytest.mark.parametrize("head", [b"{", b"[", b"\xef\xbb\xbf[", b" \r\n\t{", b"\xef\xbb\xbf\n{"])
def test_json_is_known_by_its_first_character(head: bytes) -> None:
    assert looks_like_pages(head + b'"a": 1}')


@pytest.mark.parametrize("head", [b"", b"a,b,c", b'"a"', b"\xef\xbb\xbf", b"1", b"(", b"\xff\xfe["])
def test_whatever_else_is_a_table(head: bytes) -> None:
    assert not looks_like_pages(head)


@pytest.mark.parametrize("form", ["list", "lines", "pretty"])
def test_pages_may_stand_in_a_list_or_one_a_line(read: Read, form: str) -> None:
    said = [page(item("1"), total=2, token="x"), page(item("2"), total=2)]
    text = {
        "list": written(said),
        "lines": "\n".join(map(written, said)) + "\n\n",
        "pretty": written(said).replace(", ", ",\n   "),
    }[form]
    pages = read(text)
    assert [row["PretaxAmount"] for row in table(pages)] == ["1", "2"]
    assert (pages.is_complete, pages.nothing_of) == (True, None)


def test_one_page_by_itself_is_a_file_too_and_complete_only_if_it_is_the_only_one(read: Read) -> None:
    assert read(written(page(item("1"), total=1))).is_complete
    assert not read(written(page(item("1"), total=2, token="x"))).is_complete
    assert not read(written(page(item("1"), total=2))).is_complete
    assert not read(written(page(item("1"), total=1, token="x"))).is_complete
    assert not read(written(page(item("1")))).is_complete


def test_items_may_stand_one_level_deeper_as_older_operations_have_them(read: Read) -> None:
    assert len(table(read(written(page() | {"Data": {"Items": {"Item": [item()]}, "AccountID": ACCOUNT}})))) == 1


def test_a_byte_order_mark_is_no_trouble(read: Read) -> None:
    assert len(table(read("\ufeff" + written(page(item()))))) == 1


def test_a_total_that_changes_between_pages_makes_them_incomplete_and_no_more(read: Read) -> None:
    pages = read(written([page(item(), total=3, token="x"), page(item(), total=2)]))
    assert (len(table(pages)), pages.is_complete) == (2, False)


def test_an_item_names_account_and_month_itself_or_its_answer_does(read: Read) -> None:
    rows = table(read(written([page(item()), page(item(AccountID="5", BillingCycle="2026-08"))])))
    assert [(row["AccountID"], row["BillingCycle"]) for row in rows] == [(ACCOUNT, "2026-09"), ("5", "2026-08")]


def test_amounts_are_taken_digit_by_digit_and_never_as_binary_fractions(read: Read) -> None:
    amounts = ["0.1000000000", "1e3", "-1.5E-5", "12345678901234567890.0000000001", "0", "1234567890123456789012345678"]
    meant = ["0.1", "1000", "-0.000015", "12345678901234567890.0000000001", "0", "1234567890123456789012345678"]
    rows = table(read(written(page(*map(item, amounts)))))
    assert [row["PretaxAmount"] for row in rows] == meant


def test_fields_that_nobody_reads_and_values_that_are_null_are_left_out(read: Read) -> None:
    (row,) = table(read(written(page(item(Foo={"bar": []}, Usage=None, Tag=None)))))
    assert "Foo" not in row
    assert (row["Usage"], row["Tag"]) == ("", "")


def test_answers_without_items_say_of_whom_there_is_nothing_only_if_they_are_all(read: Read) -> None:
    assert read(written(page(total=0))).nothing_of == (ACCOUNT, "2026-09")
    assert read(written(page(total=5, token="x"))).nothing_of is None
    assert read(written(page())).nothing_of is None
    assert read(written(page(total=0, AccountID=None))).nothing_of is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([], "JSON, but not responses of the billing API"),
        ([page(), 1], "JSON, but not responses of the billing API"),
        ("text", "JSON, but not responses of the billing API"),
        ({}, "answer 1 has no list of bill items"),
        (page() | {"Data": None}, "answer 1 has no list of bill items"),
        (page(Items=None), "answer 1 has no list of bill items"),
        (page(Items={"Item": "x"}), "answer 1 has no list of bill items"),
        ([page(item()), page() | {"Success": False, "Code": "InternalError", "Message": "try\nagain"}],
         r"answer 2 is an error of the API: 'InternalError' 'try\nagain'"),
        ({"Code": "NotApplicable", "Message": "no"}, "answer 1 is an error of the API: 'NotApplicable' 'no'"),
        ({"Code": "Success", "Data": {"AvailableAmount": "1"}}, "answer 1 contains a balance, not bills"),
        ({"AvailableAmount": "1"}, "answer 1 contains a balance, not bills"),
        (page("x"), "item 1 of answer 1 is no object"),
        (page(item(), [item()]), "item 2 of answer 1 is no object"),
        ([page(item()), page(item(InstanceID=None))], "item 1 of answer 2 lacks InstanceID"),
        (page({}), "item 1 of answer 1 lacks InstanceID, PretaxAmount"),
        (page(item(Currency=["CNY"])), "item 1 of answer 1: Currency is neither text nor a number"),
        (page(item(PretaxAmount=True)), "item 1 of answer 1: PretaxAmount is neither text nor a number"),
        (page(item(), item(), total=1), "2 items, but the responses announce 1: is a page there twice?"),
    ],
)  # fmt: skip
def test_what_is_no_whole_answer_about_bills_is_refused_by_what_it_is(read: Read, said: object, told: str) -> None:
    assert refusal(read, written(said)) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"Data": {"Items": [', "line 1: not valid JSON: Expecting value; the file may be cut off"),
        ('[\n{"Data": 1},\n', "line 3: not valid JSON: Expecting value; the file may be cut off"),
        ('{"a": 1} {"b": 2}', "line 1: not valid JSON: Extra data; the file may be cut off"),
        ('{"a": 1}\n{"b": ', "line 2: not valid JSON: Extra data; the file may be cut off"),
        ('{"Data": {"Items": [{"PretaxAmount": NaN}]}}', "NaN is no number"),
        ('{"Data": {"Items": [{"PretaxAmount": -Infinity}]}}', "-Infinity is no number"),
        ('{"Data": {}, "Data": {}}', "'Data' is in it twice"),
        ('{"a": 1}\n{"b": 1, "b": 2}', "'b' is in it twice"),
        ("[" * 100_000, "it is nested too deeply"),
        ("{" * 5, "line 1: not valid JSON: Expecting property name enclosed in double quotes; the file may be cut off"),
    ],
)
def test_what_is_no_proper_json_is_refused_with_its_line(read: Read, text: str, told: str) -> None:
    assert refusal(read, text) == told


def test_what_is_not_utf_8_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "answers").write_bytes(b'{"Data": "\xff"}')
    with pytest.raises(UnreadableBillError, match="not UTF-8, at byte 10"):
        read_pages(tmp_path / "answers", tmp_path)


def test_very_much_at_once_is_refused_before_it_is_read(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_module, "LARGEST", 10)
    assert refusal(read, written(page(item()))).startswith("more than 0 MiB of responses in one file: save each day")


def test_the_two_sample_pages_are_one_complete_statement_together_and_parts_of_it_alone() -> None:
    def entered(text: str) -> tuple[SmallLedger, Kind]:
        ledger = SmallLedger()
        return ledger, ledger.enter_here("answers.json", text.encode(), hints=HINTS).kind

    both, kind = entered(f"[{','.join(SAMPLES)}]")
    assert (both.total(), both.lines, kind) == (Decimal("30.861335"), 12, Kind.SNAPSHOT)
    alone = [entered(text) for text in SAMPLES]
    assert sum(ledger.total() for ledger, _ in alone) == Decimal("30.861335")
    assert {kind for _, kind in alone} == {Kind.UPSERT}


def test_a_refusal_of_a_cell_names_the_item_and_no_line() -> None:
    text = written([page(item()), page(item(PretaxAmount="<x>"))])
    with pytest.raises(UnreadableBillError) as refused:
        SmallLedger().enter_here("answers.json", text.encode(), hints=HINTS)
    (one,) = refused.value.refusals
    assert (one.line, one.column, one.reason, one.value) == (None, "PretaxAmount", "item 2: not an amount", "<x>")
