from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bill_builder import ACCOUNT, AMOUNT, COLUMNS, CURRENCY, DAY, LINE_ID, MONTH, PAYER, TIME, a_bill, a_line
from oracle import month_to_date
from small_ledger import NO_HINTS, SmallLedger, read_here
from spendwatch.bills import reader
from spendwatch.bills.header import recognise
from spendwatch.bills.layouts import LAYOUTS
from spendwatch.bills.layouts.layout import normalised
from spendwatch.bills.strict_reader import LINE_IDS
from spendwatch.domain.errors import UnreadableBillError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId, ReadingHints

HINTS = ReadingHints({AccountId(ACCOUNT): Currency("CNY")})
ACCEPTED = "(accepted: an amount such as -12.5 or 1,234.56: at most 28 digits, a point, at most 10 decimals)"
MONTHS = "(accepted: 202609, 2026-09 or 2026/9)"
DATES = "(accepted: 20260912, 2026-09-12 or 2026/9/12)"
OTHERS = [a_line(amount="1"), a_line(amount="2")]


def refusals(
    *lines: dict[str, str], columns: Sequence[str] | None = None, hints: ReadingHints = NO_HINTS, name: str = ""
) -> list[str]:
    own_name, content = a_bill(lines, columns=columns)
    return refusals_of(content, name=name or own_name, hints=hints)


def refusals_of(content: bytes, *, name: str = "bill.csv", hints: ReadingHints = NO_HINTS) -> list[str]:
    with pytest.raises(UnreadableBillError) as refused:
        SmallLedger().enter_here(name, content, hints=hints)
    assert len(refused.value.digest) == 64
    return [str(refusal) for refusal in refused.value.refusals]


@pytest.mark.parametrize(
    "amount",
    [
        "NaN", "Infinity", "1_000", "１２", "+1", "1.", ".5", "0x10", "¥1", "--1", "0.00000000001", "1.12345678901", "1" * 29,
        "1.2.3", "٣", "1,23", "12,34.5", "1.234,56", "1,2345", ",123", "1e40", "1.5E-12", "1e", "e3", "(1)", "1 000", "−1",
    ],
)  # fmt: skip
def test_what_is_not_plainly_an_amount_is_refused_with_its_place(amount: str) -> None:
    (refusal,) = refusals(OTHERS[0], a_line(amount=amount), OTHERS[1])
    assert refusal.startswith(f"line 3, column {AMOUNT}: not an amount: '")
    assert refusal.endswith(ACCEPTED)


@pytest.mark.parametrize(
    ("amount", "meant"),
    [
        ("", "0"), (" ", "0"), ("-", "0"), ("1,234.56", "1234.56"), ("-12,345,678", "-12345678"), ("6.9E-05", "0.000069"),
        ("1e3", "1000"), ("-1.25e2", "-125"), (" 1", "1"), ("1\t", "1"), ("'1.5", "1.5"), ("\ufeff1", "1"), ("`2", "2"),
        ("1.500000000000", "1.5"), ("1,234.500000000000", "1234.5"), ("0E-20", "0"),
    ],
)  # fmt: skip
def test_what_pushes_and_spreadsheets_make_of_amounts_is_understood(amount: str, meant: str) -> None:
    ledger = read_here([a_bill([OTHERS[0], a_line(amount=amount), OTHERS[1]])])
    assert ledger.total() == Decimal(meant) + 3
    assert ledger.lines == 3


def test_amounts_that_a_spreadsheet_has_shortened_are_remarked() -> None:
    statement = SmallLedger().enter_here(*a_bill([a_line(amount="6.9E-05")]))
    assert statement.remarks == ("a spreadsheet has shortened amounts like 6.9E-05: digits may be lost",)


FOCUS = ("BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "ChargePeriodStart", "ChargeCategory",
         "ServiceName", "SubAccountId", "SkuId", "PricingQuantity", "Tags")  # fmt: skip


def _focus(*rows: str) -> tuple[str, bytes]:
    return "focus.csv", "\n".join([",".join(FOCUS), *rows, ""]).encode()


def test_focus_may_write_exponents_and_no_spreadsheet_is_blamed() -> None:
    ledger = SmallLedger()
    row = "4.56E-7,100000000007,USD,2026-11-01T00:00:00Z,2026-11-01T00:00:00Z,Usage,Bedrock,,,1.0E1,"
    assert ledger.enter_here(*_focus(row, row.replace("4.56E-7", "1.23E+2"))).remarks == ()
    assert ledger.total() == Decimal("123.000000456")


def costs(*amounts: str) -> tuple[str, bytes]:
    month = "2026-11-01T00:00:00Z"
    return _focus(*(f"{amount},acct-7001,USD,{month},{month},Usage,Bedrock,,,1," for amount in amounts))


DOUBLES = ("771.0500000000001", "0.00000000005", "0.00000000015", "-0.00000000005", "1.5", "12.345678901234567")


def test_costs_of_others_with_more_decimals_are_rounded_half_to_even_and_what_that_adds_is_told() -> None:
    ledger, remark = SmallLedger(), "the costs of 5 lines have more than 10 decimals; rounded to 10, which adds"
    statement = ledger.enter_here(*costs(*DOUBLES))
    assert ledger.sums() == month_to_date([costs(*DOUBLES)])
    assert ledger.total() == Decimal("784.8956789014")
    added = Decimal("784.8956789014") - sum(map(Decimal, DOUBLES))
    assert statement.remarks == (f"{remark} {added:f} USD in all",)


def test_one_cost_that_is_rounded_is_told_too() -> None:
    told = "the cost of 1 line has more than 10 decimals; rounded to 10, which adds 0.0000000000000000000001 USD in all"
    assert SmallLedger().enter_here(*costs("0.9999999999999999999999")).remarks == (told,)


@pytest.mark.parametrize(
    "amount", ["1E-31", "1E-999", "1E+28", "1" * 29, f"0.{'0' * 30}1", f"{'9' * 28}.99999999999", "1E", "NaN"]
)
def test_hostile_costs_of_others_are_still_refused_with_the_reason(amount: str) -> None:
    (told,) = refusals_of(costs(amount)[1])
    assert told.startswith("line 2, column BilledCost: not an amount: ")
    assert told.endswith("at most 30 decimals, which are rounded to 10)")


@given(st.lists(st.decimals(-(10**19), 10**19, allow_nan=False, places=18).map(lambda amount: format(amount, "f")), min_size=1))
def test_both_ways_of_reading_round_alike(amounts: list[str]) -> None:
    fast, careful = SmallLedger(), SmallLedger()
    name, content = costs(*amounts, "0.500000000000000001")
    told = fast.enter_here(name, content)
    assert careful.enter_here(name, content.replace(b"\n", b"\r\n")).remarks == told.remarks
    assert fast.days == careful.days
    assert fast.sums() == month_to_date([(name, content)])


def test_a_file_of_doubles_is_read_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "StrictReader", None)
    assert SmallLedger().enter_here(*costs(*DOUBLES)).lines == len(DOUBLES)


def test_a_literal_null_is_nothing_in_focus() -> None:
    ledger, accounts = SmallLedger(), ReadingHints({AccountId("acct-7001"): Currency("USD")})
    month = "2026-11-01T00:00:00Z"
    statement = ledger.enter_here(
        *_focus(
            f"10.5,NULL,USD,{month},2026-11-02T00:00:00Z,Usage,Bedrock,sub-1,SKU-1,1,NULL",
            f"1.05,acct-7001,NULL,{month},2026-11-30T00:00:00Z,Tax,NULL,NULL,NULL,NULL,NULL",
            f"NULL,acct-7001,USD,{month},NULL,Usage,Bedrock,NULL,NULL,NULL,NULL",
        ),
        hints=accounts,
    )
    assert statement.accounts == ("acct-7001",)
    assert {(row.product, row.owner, row.commodity, row.tags, row.billed_cost) for row in ledger.rows} == {
        ("Bedrock", "sub-1", "SKU-1", "", Decimal("10.5")),
        ("", "", "", "", Decimal("1.05")),
        ("Bedrock", "", "", "", Decimal(0)),
    }
    # Other layouts do not know the word: there it is an owner's name, as good as any.
    (row,) = read_here([a_bill([a_line(owner="NULL")])]).rows
    assert row.owner == "NULL"


@pytest.mark.parametrize("account", ["acme-cloud", "/providers/Microsoft.Billing/" + "b" * 227])
def test_an_account_id_of_focus_may_be_any_256_characters(account: str) -> None:
    row = f"1.5,{account},EUR,2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,Usage,Bedrock,,,1,"
    assert SmallLedger().enter_here(*_focus(row)).accounts == (account,)
    with pytest.raises(UnreadableBillError, match=r"not an account id.*1 to 256 characters without blanks"):
        SmallLedger().enter_here(*_focus(row.replace(account, account.ljust(257, "x"))))


def test_tags_in_an_unknown_notation_are_remarked_with_an_example() -> None:
    lines = [a_line(tags="key:team value:a"), a_line(tags="production"), a_line(tags="other")]
    (remark,) = SmallLedger().enter_here(*a_bill(lines)).remarks
    assert remark.startswith("tags in an unknown notation, which budgets and reports cannot use, for example '")


@example("500000000000000000000000000")
@settings(max_examples=150)
@given(
    st.text(alphabet="0123456789.-+eE,_ １２NaN", max_size=14) | st.from_regex(r"-?[0-9]{1,30}(\.[0-9]{0,12})?", fullmatch=True)
)
def test_an_amount_is_taken_exactly_if_the_oracle_takes_it(amount: str) -> None:
    bill = a_bill([a_line(amount=amount)])
    try:
        expected = month_to_date([bill])
    except ValueError:
        assert len(refusals(a_line(amount=amount))) == 1
    else:
        if all(abs(total) < 10**27 for total in expected.values()):
            assert read_here([bill]).sums() == expected


def test_amounts_that_could_not_be_added_up_are_refused() -> None:
    (refusal,) = refusals(a_line(amount="9" * 28), a_line(amount="9" * 28))
    assert refusal == "the amounts are too large to be added up with 28 digits"


def test_every_mistake_is_told_up_to_twenty() -> None:
    lines = [a_line(amount="NaN"), a_line(line_id=""), a_line(currency="yuan"), *(a_line(amount=f"{n}x") for n in range(30))]
    told = refusals(*lines)
    assert told[0] == f"line 2, column {AMOUNT}: not an amount: 'NaN' {ACCEPTED}"
    assert told[1] == f"line 3, column {LINE_ID}: a line without an id: '' (accepted: {LINE_IDS})"
    assert told[2] == f"line 4, column {CURRENCY}: not a currency: 'yuan' (accepted: an ISO 4217 code such as CNY)"
    assert len(told) == 20


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({MONTH: "2026-13"}, f"line 2, column {MONTH}: not a billing month: '2026-13' {MONTHS}"),
        ({MONTH: "202613"}, f"line 2, column {MONTH}: not a billing month: '202613' {MONTHS}"),
        ({MONTH: "Sec-26"}, f"line 2, column {MONTH}: not a billing month: 'Sec-26' {MONTHS}"),
        ({DAY: "2026/13/1"}, f"line 2, column {DAY}: not a billing date: '2026/13/1' {DATES}"),
        ({DAY: "2026-9/1"}, f"line 2, column {DAY}: not a billing date: '2026-9/1' {DATES}"),
        ({DAY: "20260931"}, f"line 2, column {DAY}: not a billing date: '20260931' {DATES}"),
        ({DAY: "2026-0912"}, f"line 2, column {DAY}: not a billing date: '2026-0912' {DATES}"),
        ({DAY: "1/9/2026"}, f"line 2, column {DAY}: not a billing date: '1/9/2026' {DATES}"),
        ({PAYER: "acme"}, f"line 2, column {PAYER}: not an account id: 'acme' (accepted: digits)"),
    ],
)
def test_a_cell_that_cannot_be_understood_is_refused_with_its_place(cells: dict[str, str], expected: str) -> None:
    assert refusals(a_line(cells=cells)) == [expected]


def test_a_line_with_neither_month_nor_date_is_refused() -> None:
    cells = {MONTH: "", DAY: "", TIME: "", "账单信息/服务开始时间": ""}
    told = f"line 2, column {MONTH}: neither a billing month nor a billing date: '' (accepted: 202609 or 2026-09)"
    assert refusals(a_line(cells=cells)) == [told]


def test_a_bill_of_another_account_is_refused_by_name() -> None:
    (refusal,) = refusals(a_line(account="9999999999999999"), hints=HINTS)
    assert f"a bill of account 9999999999999999; configured are {ACCOUNT}" in refusal


def test_a_bill_that_names_no_account_anywhere_is_refused() -> None:
    (refusal,) = refusals(a_line(), columns=[LINE_ID, AMOUNT, DAY, TIME, CURRENCY], name="export.csv")
    assert "neither the bill nor its file name names an account" in refusal


def test_a_bill_without_currency_of_an_unknown_account_is_refused() -> None:
    (refusal,) = refusals(a_line(), columns=[LINE_ID, AMOUNT, DAY])
    assert f"no currency, and none is configured for account {ACCOUNT}" in refusal


@pytest.mark.parametrize(
    ("cut", "missing"),
    [
        ([LINE_ID], LINE_ID),
        ([AMOUNT], AMOUNT),
        ([MONTH, DAY], f"{MONTH} or {DAY}"),
        ([LINE_ID, AMOUNT], f"{LINE_ID}, {AMOUNT}"),
    ],
)
def test_an_unknown_header_is_refused_with_the_nearest_layout_and_what_it_needs(cut: list[str], missing: str) -> None:
    columns = [name for name in COLUMNS if name not in cut]
    told = f"line 1: the header matches no known layout; the nearest, consumedetailbillv2, needs also: {missing}"
    assert refusals(a_line(), columns=columns) == [told]


def test_a_name_that_only_contains_a_known_one_is_not_taken_for_it() -> None:
    columns = [f"{name}（元）" if name == AMOUNT else name for name in COLUMNS]
    assert "needs also" in refusals(a_line(), columns=columns)[0]


def test_a_header_is_known_with_half_width_signs_and_blanks_around() -> None:
    columns = [name.replace("（", "(").replace("）", ")") for name in COLUMNS]
    lines = [{name: a_line()[own] for name, own in zip(columns, COLUMNS, strict=True)}]
    name, content = a_bill(lines, columns=columns)
    assert read_here([(name, content.replace(b",", b" ,", 60))]).total()


def test_a_repeated_column_is_refused() -> None:
    _, content = a_bill([a_line()], columns=[*COLUMNS, AMOUNT])
    assert refusals_of(content) == [f"line 1, column {AMOUNT}: the header has this column more than once"]


def test_a_column_that_nobody_reads_may_stand_twice() -> None:
    lines = [a_line(amount="1", cells={"产品信息/规格": "x"})]
    _, content = a_bill(lines, columns=[*COLUMNS[:-1], "新/列", "新/列", AMOUNT])
    assert read_here([("bill.csv", content)]).total() == 1


def test_a_header_that_two_layouts_claim_is_refused() -> None:
    with pytest.raises(UnreadableBillError, match="matches several layouts: consumedetailbillv2, consumedetailbillv2"):
        recognise([normalised(name) for name in COLUMNS], line=1, layouts=LAYOUTS * 2)


def test_malformed_files_are_refused_with_the_line() -> None:
    name, content = a_bill([a_line(amount="1", cells={"产品信息/规格": 'a,"b"'}) for _ in range(3)])
    lines = content.splitlines(keepends=True)

    def told(*replaced: bytes) -> str:
        return refusals_of(b"".join([lines[0], lines[1], *replaced, lines[3]]), name=name)[0]

    second = lines[2]
    assert told(second.replace(b",CNY", b",CNY,")) == "line 3: 62 cells, where the header has 61"
    assert told(second.replace(b",CNY,", b",")) == "line 3: 60 cells, where the header has 61"
    assert told(second.replace(b"\n", b",\n")) == "line 3: 62 cells, where the header has 61"
    assert told(second.replace(b'b"""', b"b")).startswith("line 3: not valid CSV: ")
    assert told(second.replace(b"CNY", b"C\0NY")) == "line 3: a NUL byte"
    assert told(second.replace(b"CNY", b"C\xffY")).startswith(
        "line 3: neither UTF-8 nor GB18030 with a known header (accepted: UTF-8, UTF-16"
    )
    assert told(second.replace(b"CNY", b"C\rNY")).startswith("line 3: ")
    assert told(second.replace(b'"a,', b'x"a,')).startswith("line 3: ")
    assert told(second.replace(b'""b"""', b'""b"""x')).startswith("line 3: not valid CSV: ")


def test_a_file_that_was_cut_off_is_refused_at_every_place_that_shows() -> None:
    name, content = a_bill([a_line(amount="1.25"), a_line(amount="2.75")])
    ends = [at for at in range(len(content)) if content[at : at + 1] == b"\n"]
    for cut in range(ends[0] + 2, len(content), 7):
        if cut - 1 not in ends:
            assert refusals_of(content[:cut], name=name)
    assert "the last line has no line break, so the file may be cut off" in refusals_of(content[:-1], name=name)[0]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe1\x00", "编号,金额\n".encode("gb18030"), b'"unclosed\n1\n'])
def test_files_without_a_readable_header_are_refused(content: bytes) -> None:
    assert len(refusals_of(content)) == 1


def test_the_longest_cells_are_no_trouble() -> None:
    files = [a_bill([a_line(amount="1", cells={"产品信息/规格": '"' * 300_000}), a_line(amount="2")])]
    assert read_here(files).sums() == month_to_date(files)
