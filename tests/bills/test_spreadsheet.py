"""A spreadsheet is read as the csv that it came from, as far as a spreadsheet can keep one; what it lost is never made up."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tempfile
import textwrap
import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bill_builder import AMOUNT, LINE_ID, LIST_COST, USAGE, a_bill, a_line
from small_ledger import SmallLedger
from spendwatch.bills.unpacking.containers import opened
from spendwatch.bills.unpacking.file_types import Opened
from spendwatch.bills.unpacking.limits import LIMITS, Limits
from spendwatch.domain.errors import UnreadableBillError
from xlsx_builder import a_spreadsheet, raw_parts, raw_spreadsheet, zipped
from zip_builder import BuiltMember, a_member, a_zip, zeros

REMARK = "the bill is a spreadsheet, which keeps only 15 digits of a number: the provider's csv is safer"
MIB = 1024 * 1024
HEAD = '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c><c r="B1" t="inlineStr"><is><t>b</t></is></c></row>'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def opened_here(content: bytes, place: Path, *, limits: Limits = LIMITS) -> Opened:
    """Open a file with this content; all that is written must be in the folder."""
    path, folder = place / "file", place / "folder"
    path.write_bytes(content)
    folder.mkdir(exist_ok=True)
    try:
        return opened(path, name="bill.xlsx", folder=folder, limits=limits)
    finally:
        assert sorted(item.name for item in place.iterdir()) == ["file", "folder"]


def text(content: bytes, place: Path, *, limits: Limits = LIMITS) -> str:
    found = opened_here(content, place, limits=limits)
    (part,) = found.parts
    assert (part.name, found.remarks) == ("bill.xlsx", (REMARK,))
    return part.path.read_bytes().decode()


def refusals(content: bytes, place: Path, *, limits: Limits = LIMITS) -> list[str]:
    with pytest.raises(UnreadableBillError) as refused:
        opened_here(content, place, limits=limits)
    return [str(one) for one in refused.value.refusals]


def refusal(content: bytes, place: Path, *, limits: Limits = LIMITS) -> str:
    (one,) = refusals(content, place, limits=limits)
    return one


def cell(xml: str, place: Path, **options: object) -> str:
    """Return what the cell B2, given as XML, is written as."""
    rows = f'{HEAD}<row r="2"><c r="A2"><v>7</v></c>{xml}</row>'
    lines = list(csv.reader(io.StringIO(text(raw_spreadsheet({"Sheet1": rows}, **options), place), newline="")))
    assert lines[0] == ["a", "b"]
    assert lines[1][0] == "7"
    return lines[1][1]


def cell_refusal(xml: str, place: Path, **options: object) -> str:
    return refusal(raw_spreadsheet({"Sheet1": f'{HEAD}<row r="2">{xml}</row>'}, **options), place)


# -- a bill --


def test_a_bill_in_a_spreadsheet_says_the_same_as_its_csv(place: Path) -> None:
    name, content = a_bill(
        [a_line(line_id=f"id-{number}", amount=f"{number}.0248160001", usage="12.5") for number in range(1, 30)]
    )
    plain = SmallLedger()
    plain.enter_here(name, content)
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    numbers = {header.index(column) for column in (AMOUNT, LIST_COST, USAGE)}
    cells = [[float(value) if at in numbers else value for at, value in enumerate(row)] for row in rows]
    table: list[Sequence[object]] = [header, *cells]
    forms: list[dict[str, list[Sequence[object]]]] = [
        {"账单明细": table},
        {"Sheet1": table, "Sheet2": []},
        {"汇总": [["合计", 1]], "账单明细": table},
    ]
    for sheets in forms:
        ledger = SmallLedger()
        ledger.enter_here(name, text(a_spreadsheet(sheets), place).encode())
        assert ledger.sums() == plain.sums()
        assert ledger.digests == plain.digests


def test_what_a_spreadsheet_has_spoilt_is_refused_by_the_reader_with_its_row(place: Path) -> None:
    header = [LINE_ID, AMOUNT, "账单信息/账单日期", "身份信息/资源购买账号ID", "定价信息/定价币种"]
    cases: list[tuple[Sequence[object], str]] = [
        (
            ["id-1", 1234567.1234567891, "20260912", "1000000000000001", "CNY"],
            f"line 2, column {AMOUNT}: not an amount: '≈1234567.123456789'",
        ),
        (
            ["id-1", 0.25, "20260912", 1000000000000001, "CNY"],
            "line 2, column 身份信息/资源购买账号ID: an account id that a spreadsheet has shortened: '1.00000000000000E+15'",
        ),
    ]
    for row, told in cases:
        content = text(a_spreadsheet({"账单明细": [header, row]}), place)
        with pytest.raises(UnreadableBillError) as refused:
            SmallLedger().enter_here("x_consumedetailbillv2.csv", content.encode())
        assert str(refused.value.refusals[0]).startswith(told)


# -- which sheet --


def test_the_sheet_of_the_bill_is_taken_by_its_name(place: Path) -> None:
    assert text(a_spreadsheet({"x": [["no", "no"]], "账单明细": [["a", "b"], ["c", "d"]]}), place) == "a,b\nc,d\n"


def test_else_the_only_sheet_with_anything_in_it_is_taken(place: Path) -> None:
    assert text(a_spreadsheet({"x": [], "y": [["a", "b"], ["c", "d"]], "z": [[None, ""]]}), place) == "a,b\nc,d\n"


def test_several_sheets_are_refused_by_name(place: Path) -> None:
    told = refusal(a_spreadsheet({"一月": [["a", "b"]], "empty": [], "二月": [["a", "b"]]}), place)
    assert told == (
        "the spreadsheet has several sheets, and none is called 账单明细: '一月', '二月' "
        "(accepted: one sheet, or one of the name 账单明细)"
    )


def test_an_empty_spreadsheet_is_refused(place: Path) -> None:
    assert refusal(a_spreadsheet({"x": [], "y": [[None]]}), place) == "the spreadsheet is empty"
    assert refusal(a_spreadsheet({"账单明细": []}), place) == "the spreadsheet's sheet '账单明细' is empty"
    assert refusal(a_spreadsheet({"x": [["only a title"]]}), place) == "the spreadsheet's sheet 'x' is empty"


def test_a_chart_is_no_sheet(place: Path) -> None:
    parts = raw_parts({"chart": "", "data": HEAD})
    links = "xl/_rels/workbook.xml.rels"
    parts[links] = parts[links].replace('worksheet" Target="worksheets/sheet1', 'chartsheet" Target="worksheets/sheet1')
    assert text(zipped(parts), place) == "a,b\n"


# -- where cells stand --


def test_each_row_stands_on_the_line_of_its_own_number(place: Path) -> None:
    rows: list[Sequence[object]] = [["账单明细 2026-09"], [], ["a", "b", "c"], [], [1, None, None], ["x", "y", "z"]]
    assert text(a_spreadsheet({"x": rows}), place) == "\n\na,b,c\n\n1,,\nx,y,z\n"


def test_empty_rows_and_columns_behind_the_last_do_not_matter(place: Path) -> None:
    styled = '<c r="C1" s="1"/><c r="D1" s="1"/>'
    second = '<row r="2"><c r="A2"><v>1</v></c><c r="XFD2"/></row>'
    rows = HEAD.replace("</row>", styled + "</row>") + second + '<row r="3"/><row r="1000000"><c r="A1000000"/></row>'
    assert text(raw_spreadsheet({"x": rows}), place) == "a,b\n1,\n"


def test_a_filled_cell_beyond_the_columns_that_are_taken_is_refused(place: Path) -> None:
    content = raw_spreadsheet({"x": f'{HEAD}<row r="2"><c r="ALM2"><v>1</v></c></row>'})
    assert refusal(content, place) == "line 2: a cell beyond the 1000 columns that are taken: 'ALM2'"


def test_a_merged_title_and_a_table_that_begins_further_right_do_not_matter(place: Path) -> None:
    assert text(a_spreadsheet({"x": [[None, "title", None], [None, "a", "b"], [None, 1, 2]]}), place) == "\n,a,b\n,1,2\n"


def test_a_row_that_is_longer_than_the_header_keeps_its_cells(place: Path) -> None:
    assert text(a_spreadsheet({"x": [["a", "b"], [1, 2, 3]]}), place) == "a,b\n1,2,3\n"


def test_cells_and_rows_that_do_not_say_where_they_stand_follow_each_other(place: Path) -> None:
    rows = "<row><c><v>1</v></c><c/><c><v>2</v></c></row><row r='3'><c><v>3</v></c><c r='C3'><v>4</v></c><c><v>5</v></c></row>"
    assert text(raw_spreadsheet({"x": rows}), place) == "1,,2\n\n3,,4,5\n"


def test_names_with_a_prefix_are_the_same(place: Path) -> None:
    rows = '<x:row r="1"><x:c r="A1"><x:v>1</x:v></x:c><x:c r="B1" t="inlineStr"><x:is><x:t>b</x:t></x:is></x:c></x:row>'
    assert text(raw_spreadsheet({"x": rows}, prefix="x"), place) == "1,b\n"


@pytest.mark.parametrize(
    "row",
    [
        '<row r="2"><c r="B2"/><c r="A2"/></row>', '<row r="2"><c r="A2"/><c r="A2"/></row>', '<row r="2"><c r="A3"/></row>',
        '<row r="2"><c r="2A"/></row>', '<row r="2"><c r="AAAA2"/></row>', '<row r="2"><c r="a2"/></row>',
        '<row r="2"><c r=""/></row>',
        '<row r="2"><c r="A02"/></row>', '<row r="2"/><c r="A2"/>', '<row r="2"/><c/>',
    ],
)  # fmt: skip
def test_cells_out_of_order_are_refused(row: str, place: Path) -> None:
    told = refusal(raw_spreadsheet({"x": HEAD + row}), place)
    assert told.startswith("line 2: a cell out of order")


@pytest.mark.parametrize("number", ["1", "0", "-1", "x", "1048577", "99999999999", "٣"])
def test_rows_out_of_order_are_refused(number: str, place: Path) -> None:
    told = f"behind row 1 of the spreadsheet follows one that cannot: '{number}'"
    assert refusal(raw_spreadsheet({"x": f'{HEAD}<row r="{number}"/>'}), place) == told


# -- numbers --


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ("0", "0"), ("-0", "0"), ("0.1", "0.1"), ("0.10000000000000001", "0.1"), ("6.8999999999999997E-5", "0.000069"),
        ("1E3", "1000"), ("-12.5", "-12.5"), ("+2", "2"), (".5", "0.5"), ("5.", "5"), ("1e-10", "0.0000000001"),
        ("123456789012345", "123456789012345"), ("999999999999999", "999999999999999"), ("20260912", "20260912"),
        ("99999.1234567891", "99999.1234567891"), ("1200345.0", "1200345"),
        ("1000000000000000", "1.00000000000000E+15"), ("1234567890123456", "1.23456789012346E+15"),
        ("-1e22", "-1.00000000000000E+22"), ("1e309", "≈inf"),
        ("0.30000000000000004", "≈0.30000000000000004"), ("1234567.1234567891", "≈1234567.1234567892"),
    ],
)  # fmt: skip
def test_a_number_is_written_plainly_unless_more_digits_than_are_sure_would_show(
    stored: str, written: str, place: Path
) -> None:
    assert cell(f'<c r="B2"><v>{stored}</v></c>', place) == written
    assert cell(f'<c r="B2" t="n"><f>1+1</f><v>{stored}</v></c>', place) == written


@pytest.mark.parametrize("stored", ["nan", "inf", "1_0", "١", "1,5", "0x1", "1e99999", "--1", " ", "1 "])
def test_what_is_no_number_is_refused_with_its_place(stored: str, place: Path) -> None:
    assert cell_refusal(f'<c r="B2"><v>{stored}</v></c>', place).startswith("line 2, column B: not a number: ")


@given(st.decimals(min_value=-(10**11), max_value=10**11, places=4))
def test_every_amount_of_up_to_fifteen_digits_comes_back_as_it_was(amount: Decimal) -> None:
    with tempfile.TemporaryDirectory() as place:
        stored = format(float(amount), ".17g")
        assert Decimal(cell(f'<c r="B2"><v>{stored}</v></c>', Path(place))) == amount


# -- dates --


@pytest.mark.parametrize(
    ("stored", "shown", "written"),
    [
        ("46277", "yyyy-mm-dd", "2026-09-12"), ("46277", 14, "2026-09-12"), ("46277.472916666666", 22, "2026-09-12 11:21:00"),
        ("46277.472916666666", "yyyy/m/d h:mm:ss", "2026-09-12 11:21:00"),
        ("46277", "yyyy-mm-dd hh:mm:ss", "2026-09-12 00:00:00"), ("46277.5", "yyyy-mm-dd", "2026-09-12 12:00:00"),
        ("46266", "mmm-yy", "2026-09"), ("46266", 17, "2026-09"), ("46266", 57, "2026-09"),
        ("46277", "mmm-yy", "2026-09-12"),
        ("46266", 'yyyy"年"m"月"', "2026-09"), ("46277", '[$-804]yyyy"年"m"月"d"日";@', "2026-09-12"),
        ("0.472916666666667", "h:mm:ss", "11:21:00"), ("0.472916666666667", 21, "11:21:00"), ("46277", "h:mm", "2026-09-12"),
        ("46277.9999999", "yyyy-mm-dd hh:mm:ss", "2026-09-13 00:00:00"), ("1.5", "[h]:mm:ss", "1.5"), ("1.5", 46, "1.5"),
        ("46277", "General", "46277"), ("46277", '0.00" days"', "46277"), ("46277", "[Red]0", "46277"),
        ("46277", "0_d", "46277"),
        ("46277", "#,##0.00;[Red]-yyyy", "46277"), ("60", "yyyy-mm-dd", "60"), ("2958466", "yyyy-mm-dd", "2958466"),
        ("-1", "yyyy-mm-dd", "-1"), ("0", "yyyy-mm-dd", "0"), ("46277", 9, "46277"), ("46277", 999, "46277"),
    ],
)  # fmt: skip
def test_a_number_that_is_shown_as_a_date_is_one(stored: str, shown: str | int, written: str, place: Path) -> None:
    assert cell(f'<c r="B2" s="1"><v>{stored}</v></c>', place, formats=["General", shown]) == written


def test_days_may_be_counted_from_1904(place: Path) -> None:
    formats = ["General", "yyyy-mm-dd"]
    assert cell('<c r="B2" s="1"><v>44815</v></c>', place, formats=formats, is_1904=True) == "2026-09-12"
    assert cell('<c r="B2" s="1"><v>0</v></c>', place, formats=formats, is_1904=True) == "1904-01-01"


def test_a_style_that_does_not_exist_shows_plain_numbers(place: Path) -> None:
    assert cell('<c r="B2" s="7"><v>46277</v></c>', place, formats=["General"]) == "46277"
    assert cell('<c r="B2" s="x"><v>46277</v></c>', place) == "46277"


# -- other cells --


def test_texts_are_taken_as_they_are(place: Path) -> None:
    texts = [
        "id-1",
        ' , " ',
        "two\nlines",
        "<r><t>rich </t></r><r><t>text</t></r>",
        "<t>汉</t><rPh sb='0' eb='1'><t>hàn</t></rPh>",
        "001",
        "",
    ]
    expected = ["id-1", ' , " ', "two\nlines", "rich text", "汉", "001", ""]
    for number, value in enumerate(expected):
        assert cell(f'<c r="B2" t="s"><v>{number}</v></c>', place, texts=texts) == value
    assert (
        cell(
            '<c r="B2" t="inlineStr"><is><r><t xml:space="preserve"> a</t></r><rPh><t>x</t></rPh><r><t>b </t></r></is></c>',
            place,
        )
        == " ab "
    )
    assert cell('<c r="B2" t="str"><f>A1&amp;"x"</f><v>ax</v></c>', place) == "ax"
    assert cell('<c r="B2" t="str"><f>""</f></c>', place) == ""


def test_characters_that_xml_cannot_hold_come_back(place: Path) -> None:
    assert cell('<c r="B2" t="inlineStr"><is><t>a_x000D_\nb_x0041_c_x005F_x0041_</t></is></c>', place) == "a\nbAc_x0041_"
    assert cell('<c r="B2" t="inlineStr"><is><t>_xD83D_</t></is></c>', place) == "_xD83D_"
    assert cell('<c r="B2" t="s"><v>0</v></c>', place, texts=["<t>a&#13;b_x000D_</t>"]) == "a\nb\n"


def test_truths_and_written_dates(place: Path) -> None:
    assert cell('<c r="B2" t="b"><v>1</v></c>', place) == "TRUE"
    assert cell('<c r="B2" t="b"><v>0</v></c>', place) == "FALSE"
    assert cell('<c r="B2" t="b"/>', place) == ""
    assert cell('<c r="B2" t="d"><v>2026-09-12T11:21:00</v></c>', place) == "2026-09-12 11:21:00"


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        ('<c r="B2" t="e"><v>#REF!</v></c>', "line 2, column B: the value of an error: '#REF!'"),
        ('<c r="B2"><f>1+1</f></c>', "line 2, column B: a formula whose value was not stored"),
        ('<c r="B2"><f>1+1</f><v></v></c>', "line 2, column B: a formula whose value was not stored"),
        ('<c r="B2" t="s"><v>9</v></c>', "line 2, column B: a text that the spreadsheet does not hold: '9'"),
        ('<c r="B2" t="s"><v>-1</v></c>', "line 2, column B: a text that the spreadsheet does not hold: '-1'"),
        ('<c r="B2" t="s"/>', "line 2, column B: a text that the spreadsheet does not hold"),
        ('<c r="B2" t="z"><v>1</v></c>', "line 2, column B: a cell of an unknown kind: 'z'"),
    ],
)
def test_a_cell_that_says_nothing_certain_is_refused_with_its_place(xml: str, told: str, place: Path) -> None:
    assert cell_refusal(xml, place) == told


def test_every_bad_cell_is_told_up_to_twenty(place: Path) -> None:
    bad = "".join(f'<row r="{row}"><c r="A{row}" t="e"><v>#N/A</v></c></row>' for row in range(2, 60))
    told = refusals(raw_spreadsheet({"x": HEAD + bad}), place)
    assert len(told) == 20
    assert told[-1] == "line 21, column A: the value of an error: '#N/A'"


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.decimals(-(10**6), 10**6, places=6).map(float),
    st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=20).filter(
        lambda text: not text.startswith("=")
    ),
    st.datetimes(datetime(1901, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),  # noqa: DTZ001 -- wall time
    st.dates(date(1901, 1, 1), date(2100, 1, 1)),
    st.times().map(lambda moment: moment.replace(microsecond=0)),
)


def as_csv(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float():
            return f"{Decimal(repr(value)):f}".removesuffix(".0") if value else "0"
        case datetime():
            return value.isoformat(" ")
        case date() | clock_time():
            return value.isoformat()
        case _:
            return str(value)


@settings(max_examples=150)
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8))
def test_what_another_program_writes_is_read_as_it_meant(rows: list[list[object]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        content = text(a_spreadsheet({"x": [["a", "b", "c"], *rows]}), Path(place))
    lines = [row for row in csv.reader(io.StringIO(content, newline="")) if row]
    assert lines == [
        ["a", "b", "c"],
        *([as_csv(value) for value in row] for row in rows if any(value is not None for value in row)),
    ]


# -- damaged, hostile, large --


def test_a_spreadsheet_that_is_cut_off_anywhere_is_refused(place: Path) -> None:
    content = raw_spreadsheet({"账单明细": HEAD}, texts=["x"], formats=["General"])
    for cut in range(4, len(content)):
        assert "cut off" in refusal(content[:cut], place)


@pytest.mark.parametrize(
    "part", ["xl/worksheets/sheet1.xml", "xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml", "xl/styles.xml"]
)
def test_a_missing_or_broken_part_is_refused_by_name(part: str, place: Path) -> None:
    parts = raw_parts({"账单明细": HEAD}, texts=["x"], formats=["General"])
    content = parts.pop(part)
    assert refusal(zipped(parts), place) == f"the spreadsheet is damaged: it lacks its part {part}"
    for cut in range(len(content)):
        assert refusal(zipped({**parts, part: content[:cut]}), place).startswith(
            f"the spreadsheet's part {part} is no proper XML ("
        )
    members = [a_member(name, value.encode()) for name, value in parts.items()]
    damaged = replace(a_member(part, content.encode()), crc=1)
    assert refusal(a_zip(*members, damaged), place) == f"the archive's member '{part}' is damaged: its CRC is wrong"


def test_a_sheet_without_a_part_is_no_sheet(place: Path) -> None:
    parts = raw_parts({"账单明细": HEAD})
    parts["xl/_rels/workbook.xml.rels"] = "<Relationships/>"
    assert refusal(zipped(parts), place) == "the spreadsheet is empty"


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        (
            '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
            "has a document type of its own",
        ),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "has a document type of its own"),
        ("<x>" * 100_000, "has too many elements, or more than 64 within each other"),
        ("<sheetData><row><c>" * 1000, "has too many elements, or more than 64 within each other"),
        (f'<x a="{"y" * 3 * MIB}"/>', "holds an endless tag or text"),
        (f'<x a="{">" * 3 * MIB}"/>', "holds an endless tag or text"),
        (f"<x><!--{'>' * 3 * MIB}--></x>", "holds an endless tag or text"),
        (f"<x>{'y' * 3 * MIB}</x>", "holds an endless tag or text"),
        (f"<x><![CDATA[{'y' * 3 * MIB}]]></x>", "holds an endless tag or text"),
        ('<?xml version="1.0" encoding="nonsense"?><x/>', "is no proper XML (unknown encoding: nonsense)"),
        ('<?xml version="1.0" encoding="gb18030"?><x/>', "is no proper XML (multi-byte encodings are not supported)"),
        ("<x>&unknown;</x>", "is no proper XML (undefined entity: line 1, column 3)"),
        ("", "is no proper XML (no element found: line 1, column 0)"),
    ],
)
def test_traps_in_xml_are_refused(xml: str, told: str, place: Path) -> None:
    started = time.thread_time()
    for part in ("xl/worksheets/sheet1.xml", "xl/workbook.xml"):
        content = zipped({**raw_parts({"账单明细": HEAD}), part: xml})
        assert refusal(content, place) == f"the spreadsheet's part {part} {told}"
    assert time.thread_time() - started < 5


def test_cells_that_lie_far_apart_cost_nothing(place: Path) -> None:
    rows = f'{HEAD}<row r="1048576"><c r="A1048576"><v>1</v></c><c r="ALL1048576"><v>2</v></c></row>'
    content = raw_spreadsheet({"x": rows})
    (place / "bill.xlsx").write_bytes(content)
    script = textwrap.dedent("""
        import resource
        from pathlib import Path
        from spendwatch.bills.unpacking.containers import opened
        resource.setrlimit(resource.RLIMIT_DATA, (64 * 1024 * 1024, 64 * 1024 * 1024))
        (part,) = opened(Path("bill.xlsx"), name="x", folder=Path()).parts
        print(part.path.read_bytes().count(b"\\n"))
    """)
    done = subprocess.run([sys.executable, "-c", script], cwd=place, capture_output=True, text=True, check=True)
    assert done.stdout == "1048576\n"


def test_more_cells_than_the_limit_are_refused(place: Path) -> None:
    content = a_spreadsheet({"x": [["a", "b"], [1, 2], [3, 4]]})
    assert (
        refusal(content, place, limits=LIMITS._replace(cells=5))
        == "the spreadsheet has more than 5 filled cells (accepted: csv)"
    )
    assert text(content, place, limits=LIMITS._replace(cells=6)) == "a,b\n1,2\n3,4\n"


def test_more_shared_texts_than_the_limit_are_refused(place: Path) -> None:
    content = raw_spreadsheet({"x": HEAD}, texts=["four"] * 4)
    told = "the spreadsheet's shared texts are too many or too long (accepted: csv)"
    assert refusal(content, place, limits=LIMITS._replace(texts=15)) == told
    assert refusal(content, place, limits=LIMITS._replace(cells=3)) == told
    assert text(content, place, limits=LIMITS._replace(texts=16)) == "a,b\n"


def test_a_bomb_in_a_spreadsheet_is_refused_by_what_comes_out(place: Path) -> None:
    parts = raw_parts({"账单明细": ""})
    sheet = parts.pop("xl/worksheets/sheet1.xml")
    members = [a_member(name, value.encode()) for name, value in parts.items()]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(sheet[: sheet.index("</sheetData>")].encode()) + packer.flush(zlib.Z_FULL_FLUSH)
    mebibyte = packer.compress(b"<row>   </row>  " * 65536) + packer.flush(zlib.Z_FULL_FLUSH)
    content = a_zip(*members, BuiltMember(b"xl/worksheets/sheet1.xml", head + mebibyte * 1024, 1025 * MIB, 0))
    told = "unpacks to more than 8 MiB, the maximum"
    assert refusal(content, place, limits=LIMITS._replace(unpacked=8 * MIB)) == told
    told = refusal(content, place, limits=LIMITS._replace(unquestioned=MIB, ratio=1))
    assert told.endswith("unpack to more than 1 times as much: not plausible for a bill")
    told = "the spreadsheet's part xl/worksheets/sheet1.xml has too many elements, or more than 64 within each other"
    assert refusal(content, place, limits=LIMITS._replace(tags=100_000)) == told
    zeros_only = BuiltMember(b"xl/worksheets/sheet1.xml", zeros(1024), 1024 * MIB, 0)
    assert "is no proper XML" in refusal(a_zip(*members, zeros_only), place)


PARTS = raw_parts({"账单明细": HEAD, "x": HEAD}, texts=["x"], formats=["General", "yyyy-mm-dd"])


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(PARTS)),
    st.lists(
        st.tuples(
            st.integers(0, 700),
            st.integers(0, 5),
            st.binary(max_size=9) | st.sampled_from([b"<", b">", b'"', b"<c>", b"</c>", b"<row>", b"&#13;"]),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_damaged_spreadsheets_are_opened_or_refused(part: str, damages: list[tuple[int, int, bytes]]) -> None:
    content = PARTS[part].encode()
    for at, removed, added in damages:
        content = content[: at % len(content)] + added + content[at % len(content) + removed :]
    with tempfile.TemporaryDirectory() as place:
        told: list[str] = []
        try:
            told = [
                part.path.read_bytes().hex() or "empty"
                for part in opened_here(zipped({**PARTS, part: content}), Path(place)).parts
            ]
        except UnreadableBillError as error:
            told = [refusal.reason for refusal in error.refusals]
        assert told
        assert all(told)
