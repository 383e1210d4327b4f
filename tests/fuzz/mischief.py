"""Bill files as disks, programs and people damage them. The same seed always does the same damage.

case = damaged(4711)
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from bill_builder import ACCOUNT, a_bill, a_line
from many_layouts import Charge, NamedFile, answers, detail, english, focus, instance_detail, legacy, summary
from xlsx_builder import a_spreadsheet
from zip_builder import STORED, a_member, a_zip

FOLDER = Path(__file__).parent.parent / "data" / "bills"
BOM = b"\xef\xbb\xbf"

Rows = list[list[str]]


@dataclass(frozen=True)
class Damaged:
    """A file after its mishaps."""

    name: str
    content: bytes
    mishaps: tuple[str, ...]
    plain: bytes | None = None
    """What it says, if it says anything, where it came in a form that the oracle does not read."""

    @property
    def plainly(self) -> NamedFile:
        """The file in a form that the oracle reads, by the name that it would have then."""
        return re.sub(r"\.(gz|zip|xlsx)$", "", self.name), self.content if self.plain is None else self.plain

    def within(self, folder: str) -> Damaged:
        """Return the file in a folder, where it need not have a name of its own."""
        return replace(self, name=f"{folder}/{self.name}")


@dataclass
class Bill:
    """A file on its way through mishaps."""

    name: str
    dice: Random
    rows: Rows = field(default_factory=list)
    """Of a table."""
    pages: Any = None
    """Of answers of the API."""
    content: bytes = b""
    mishaps: list[str] = field(default_factory=list)
    plain: bytes | None = None

    def pick(self, mishaps: Sequence[Callable[[Bill], None]]) -> None:
        """Let one of the mishaps happen."""
        mishap = self.dice.choice(mishaps)
        self.mishaps.append(mishap.__name__.strip("_"))
        mishap(self)


def damaged(seed: int) -> Damaged:
    """Return the file that the seed makes."""
    dice = Random(seed)  # noqa: S311 -- the same damage every time
    name, content = dice.choice(_small()) if dice.random() < 0.8 else dice.choice(_samples())
    bill = Bill(name, dice, content=content)
    if name.endswith(".json"):
        bill.pages = json.loads(content, parse_float=lambda text: f"<raw>{text}", parse_int=lambda text: f"<raw>{text}")
        for _ in range(dice.choice([0, 1, 1, 2, 3])):
            bill.pick(PAGES)
        bill.content = _dumped(bill)
    else:
        bill.rows = _parsed(content)
        for _ in range(dice.choice([0, 1, 1, 1, 2, 2, 3])):
            if bill.rows and bill.rows[0]:
                bill.pick(TABLE)
        bill.content = _written(bill.rows, bom=dice.random() < 0.7)
        if dice.random() < 0.25:
            bill.pick(TEXT)
    if dice.random() < 0.1:
        bill.pick(NAMES)
    if dice.random() < 0.25:
        bill.pick(ENCODINGS if dice.random() < 0.5 and bill.rows else CONTAINERS)
    if "garbled_header" not in bill.mishaps:
        for _ in range(dice.choice([0, 0, 0, 1, 1, 2])):
            bill.pick(BYTES)
    return Damaged(bill.name, bill.content, tuple(bill.mishaps), bill.plain)


# -- what is damaged --


@cache
def _samples() -> Sequence[NamedFile]:
    found = ((path.name, path.read_bytes()) for path in sorted(FOLDER.iterdir()) if path.stat().st_size)
    return [(name, BOM + content.decode("gb18030").encode() if "gb18030" in name else content) for name, content in found]


@cache
def _small() -> Sequence[NamedFile]:
    first, second = date(2026, 9, 1), date(2026, 9, 2)
    charges = [
        Charge(1, first, Decimal("1.25")),
        Charge(2, first, Decimal("0.0000000001"), workspace="llm-b", api_key="", channel="bmp", tags="team:a;x:y"),
        Charge(3, second, Decimal("-3.5"), sort="refund", tags='{"x": "y", "team": "a"}'),
        Charge(4, second, Decimal(12), product="oss", commodity="oss", sort="plan"),
        Charge(5, second, Decimal(0), sort="free", tags="key:team value:a; key:x value:y"),
    ]
    stamp = "20260903120000"
    columns = [*_PLAIN_DETAIL, "产品信息/规格"]
    odd = [a_line(line_id=f"id-{number}", amount=f"{number}.5", day=f"2026090{number}") for number in range(1, 5)]
    odd[0] |= {"产品信息/规格": 'a, "b"\nc'}
    odd[2] |= {"产品信息/规格": "三，“四”"}
    return [
        detail(charges, stamp),
        _narrow(detail(charges, stamp), _PLAIN_DETAIL),
        _narrow(detail(charges, stamp), _PLAIN_DETAIL[::-1]),
        a_bill(odd, columns=columns),
        a_bill(odd, columns=columns[::-1]),
        summary(charges, stamp),
        english(charges, stamp),
        legacy(charges, f"{ACCOUNT}_BillingItemDetail_20260902.csv"),
        legacy(charges, f"{ACCOUNT}-{stamp}_instanceconsumeday.csv", keyed=False),
        instance_detail(charges, f"{ACCOUNT}_InstanceDetail_20260902.csv"),
        instance_detail(charges, f"20260902/{ACCOUNT}_InstanceDetailMonthly_202609.csv"),
        focus(charges, f"{ACCOUNT}_focus_202609.csv"),
        answers(charges, f"{ACCOUNT}_DescribeInstanceBill_20260902_{stamp}.json"),
    ]


_PLAIN_DETAIL = [
    "标识信息/账单明细ID", "身份信息/资源购买账号ID", "账单信息/账单月份", "账单信息/账单日期", "账单信息/费用类型",
    "账单信息/消费时间", "产品信息/产品Code", "资源信息/实例ID（出账粒度）", "用量信息/用量", "定价信息/定价币种",
    "费用信息/目录总价", "应付信息/应付金额（含税）",
]  # fmt: skip


def _narrow(file: NamedFile, columns: Sequence[str]) -> NamedFile:
    header, *rows = _parsed(file[1])
    return file[0], _written([list(columns), *([row[header.index(one)] for one in columns] for row in rows)], bom=True)


def _parsed(content: bytes) -> Rows:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def _written(rows: Rows, *, bom: bool) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return (BOM if bom else b"") + text.getvalue().encode("utf-8", "surrogatepass")


def _dumped(bill: Bill) -> bytes:
    text = json.dumps(bill.pages, ensure_ascii=False, indent=bill.dice.choice([None, 1]))
    return re.sub(r'"<raw>([^"]*)"', r"\1", text).encode("utf-8", "surrogatepass")


# -- tables --

_AMOUNTS = (
    "0", "-0", "-12.5", "1234567890123456789", "9" * 28, "9" * 29, "-" + "9" * 28 + "." + "9" * 10, "0.00000000001", "1e3",
    "1E+3", "6.9E-05", "1.5E-12", "1e400", "1,234.56", "1,23", "-1,234", "", "-", "--1", "+1", "1.", ".5", "NaN", "Infinity",
    "１２", "٣", "1_000", "¥1", "CNY 1", "(1)", "1 000", " 2 ", "\t3", "'4", "`5", "0x10", "=1+1", "1.2.3", "−1", "∞", "null",
    "007.50", "NULL", "1.50000000000000000000", "\ufeff6", "\u00a07", "8\u3000", "1e", "１e3",
)  # fmt: skip
_DATES = (
    "202609", "2026-09", "2026/9", "Sep-26", "sep-26", "2026年9月", "20260902", "2026-09-02", "2026/9/2", "2026.9.2",
    "2026年9月2日", "2026-09-02 23:59:59", "2026-09-02T23:59:59+08:00", "2026-09-02T00:00:00Z", "2026-9/2", "20260931",
    "2026-13-01", "1999-01-01", "99999-01-01", "2/9/2026", "46267", "2026-09-02 24:61:00", "", "0", "2026-00", "202613",
    "2026-09-02 ", "2026-09-02\t", "２０２６-09-02", "2026-02-30", "20260902 1:00", "Aug-26", "202608", "2026-08-31",
)  # fmt: skip
_IDS = (
    "", "1E+15", "1.0E+15", "5E+15", "1000000000000001\t", "'1000000000000001", "5000000000000003", "9999999999999999", "id-1",
    "x" * 300, "id,1", 'id"1', "id\n1", "-", "0", "合计", "total", "Total:", "llm-a", ";llm-a;m;t;;0", "1200345;llm-b;m;t;bmp",
    "t;llm-c;m;t;app;1", "llm-d!cn!job", ";;;;;;;;", "llm-", "cn-shanghai;standard", "\x1f", "a\0b", "a\rb", "a\r\nb", "\u202e",
    "12xxx;llm-a;qwen-max;output_token;app;0", " 12 ; llm-a ;m;t;;1", "m;t;llm-c", "llm-d", "llm-d!llm-e", "a!b!llm-f", "x;y;z",
    "12;llm-a;m;t;app;0;new", "llm-g;;m;t;;0", "12;ws-1;m;t;app;0", "team:a;env:b", "link:http://x;y", '{"team": "a", "n": 5}',
    "key:team value:a; key:x", "key:team value:a;b", '{"team": 1e999}', '{"a": "\\ud800"}', ":a", "NULL", '{"": "x"}', '{"a":',
    "CNY", "USD", "cny", "人民币", "sfm", "SFM", "oss", "免费额度", "退款", "[]", "{}", '[{"name":"Token类型","value":"x"}]',
)  # fmt: skip
_NASTY = (*_AMOUNTS, *_DATES, *_IDS)
_READ = re.compile(
    r"(账单明细|主键|记录|账号|Account|OwnerI|RecordI|月份|账期|Month|Cycle|Period|日期|Date|时间|Time|金额|Amount|Cost|Code|产品|"
    r"Product|实例|Instance|币种|Currency|类型|Type|Item|Tag|标签)"
)


def _line(bill: Bill) -> int:
    return bill.dice.randrange(1, len(bill.rows)) if len(bill.rows) > 1 else 0


def _column(bill: Bill, line: int) -> int:
    """Return a place in the line, most of the time one that somebody reads."""
    width = len(bill.rows[line])
    read = [place for place, name in enumerate(bill.rows[0][:width]) if _READ.search(name)]
    return bill.dice.choice(read) if read and bill.dice.random() < 0.8 else bill.dice.randrange(max(1, width))


def _set(bill: Bill, line: int, place: int, cell: str) -> None:
    if place < len(bill.rows[line]):
        bill.rows[line][place] = cell


def _nasty_cell(bill: Bill) -> None:
    line = _line(bill)
    place = _column(bill, line)
    name = bill.rows[0][place] if place < len(bill.rows[0]) else ""
    is_date = re.search("月|日|Month|Date|Cycle|Period|时间", name)
    kinds = _AMOUNTS if re.search("金额|Amount|Cost", name) else _DATES if is_date else _IDS
    _set(bill, line, place, bill.dice.choice(kinds if bill.dice.random() < 0.8 else _NASTY))


def _same_cell_everywhere(bill: Bill) -> None:
    place = _column(bill, 0)
    cell = bill.dice.choice(_NASTY)
    for line in range(1, len(bill.rows)):
        _set(bill, line, place, cell)


def _swapped_cells(bill: Bill) -> None:
    line, other = _line(bill), _line(bill)
    place = _column(bill, line)
    there = place if bill.dice.random() < 0.6 else _column(bill, other)
    if max(place, there) < min(len(bill.rows[line]), len(bill.rows[other])):
        rows = bill.rows
        rows[line][place], rows[other][there] = rows[other][there], rows[line][place]


def _shifted_line(bill: Bill) -> None:
    line = bill.rows[_line(bill)]
    at = bill.dice.randrange(len(line) + 1)
    if bill.dice.random() < 0.5:
        line.insert(at, bill.dice.choice(["", "x", "1"]))
    else:
        del line[at : at + bill.dice.choice([1, 1, 2, 5])]


def _shuffled_lines(bill: Bill) -> None:
    header, *rows = bill.rows
    bill.dice.shuffle(rows)
    bill.rows = [header, *rows]


def _doubled_line(bill: Bill) -> None:
    bill.rows.insert(_line(bill), list(bill.rows[_line(bill)]))


def _lost_line(bill: Bill) -> None:
    if len(bill.rows) > 1:
        del bill.rows[_line(bill)]


def _lost_header(bill: Bill) -> None:
    del bill.rows[0]


def _header_again(bill: Bill) -> None:
    bill.rows.insert(max(1, _line(bill)), list(bill.rows[0]))


def _blank_line(bill: Bill) -> None:
    width = bill.dice.choice([0, 1, len(bill.rows[0])])
    bill.rows.insert(bill.dice.randrange(len(bill.rows) + 1), [bill.dice.choice(["", " ", "\t"])] * width)


def _line_of_totals(bill: Bill) -> None:
    cells = [""] * len(bill.rows[0])
    cells[bill.dice.randrange(len(cells))] = bill.dice.choice(["合计", "总计：", "Total", "小计", "Grand total"])
    place = _column(bill, 0)
    cells[place] = cells[place] or bill.dice.choice(_AMOUNTS)
    for at, name in enumerate(bill.rows[0]):
        # A total may well bear the month, and the amount it should.
        if bill.dice.random() < 0.7 and re.search("金额|Amount|Cost|月份|账期|Month|Cycle|PeriodStart", name):
            cells[at] = cells[at] or bill.rows[-1][at] if at < len(bill.rows[-1]) else ""
    bill.rows.insert(bill.dice.randrange(1, len(bill.rows) + 1), cells)


def _line_of_another_bill(bill: Bill) -> None:
    rows = _parsed(bill.dice.choice([file for file in _small() if not file[0].endswith(".json")])[1])
    line = list(bill.dice.choice(rows))
    bill.rows.insert(_line(bill), line if bill.dice.random() < 0.5 else (line * 9)[: len(bill.rows[0])])


def _many_lines(bill: Bill) -> None:
    bill.rows += [list(row) for row in bill.rows[1:] for _ in range(bill.dice.choice([1, 3]))]


def _renamed_column(bill: Bill) -> None:
    place = _column(bill, 0)
    name = bill.rows[0][place]
    other = _parsed(bill.dice.choice([file for file in _small() if not file[0].endswith(".json")])[1])[0]
    bill.rows[0][place] = bill.dice.choice(
        [
            name.rpartition("/")[2],
            f"X/{name}",
            name.upper(),
            name.lower(),
            name.replace("（", "(").replace("）", ")"),
            f" {name}\t",
            name[:2] + " " + name[2:],
            f"{name}2",
            "",
            bill.dice.choice(other),
            bill.dice.choice(_NAMES),
        ]
    )


_NAMES = ("应付金额", "应付金额（含税）", "PretaxAmount", "BilledCost", "欠费金额", "账期", "实例 ID（出账粒度）", "主键")


def _lost_column(bill: Bill) -> None:
    place = _column(bill, 0)
    for row in bill.rows:
        del row[place : place + 1]


def _reordered_columns(bill: Bill) -> None:
    places = list(range(len(bill.rows[0])))
    bill.dice.shuffle(places)
    bill.rows = [[row[place] for place in places if place < len(row)] for row in bill.rows]


def _doubled_column(bill: Bill) -> None:
    place, at = _column(bill, 0), bill.dice.randrange(len(bill.rows[0]) + 1)
    bill.rows = [[*row[:at], *row[place : place + 1], *row[at:]] for row in bill.rows]


def _further_column(bill: Bill) -> None:
    at = bill.dice.choice([0, len(bill.rows[0])])
    cell = bill.dice.choice(["", "x", "1", 'a"b', "a\nb"])
    name = bill.dice.choice(["", "备注", "新/列"])
    bill.rows = [[*row[:at], cell if number else name, *row[at:]] for number, row in enumerate(bill.rows)]


def _nothing(bill: Bill) -> None:
    bill.rows = bill.rows[: bill.dice.choice([0, 1, 1, 2])]


TABLE = (
    *[_nasty_cell] * 8, *[_swapped_cells] * 3, _same_cell_everywhere, _shifted_line, _shuffled_lines, *[_doubled_line] * 2,
    _lost_line, _lost_header, _header_again, _blank_line, _line_of_totals, _line_of_another_bill, _many_lines,
    *[_renamed_column] * 2, *[_lost_column] * 2, *[_reordered_columns] * 2, _doubled_column, *[_further_column] * 2, _nothing,
)  # fmt: skip
"""What happens to tables; frequent mishaps stand there several times."""


# -- the text of tables --


def _windows_line_ends(bill: Bill) -> None:
    bill.content = bill.content.replace(b"\n", b"\r\n")


def _mixed_line_ends(bill: Bill) -> None:
    lines = bill.content.split(b"\n")
    bill.content = b"".join(line + bill.dice.choice([b"\n", b"\n", b"\r\n", b"\r"]) for line in lines)


def _old_line_ends(bill: Bill) -> None:
    bill.content = bill.content.replace(b"\n", b"\r")


def _no_last_line_end(bill: Bill) -> None:
    bill.content = bill.content.rstrip(b"\n")


def _another_separator(bill: Bill) -> None:
    bill.content = bill.content.replace(b",", bill.dice.choice([b";", b"\t", b"|", b", ", "，".encode()]))


def _quoted_cells(bill: Bill) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(bill.rows)
    bill.content = BOM + text.getvalue().encode("utf-8", "surrogatepass")


def _marks(bill: Bill) -> None:
    at = bill.dice.choice([0, bill.dice.randrange(len(bill.content) + 1), len(bill.content)])
    bill.content = bill.content[:at] + BOM + bill.content[at:]


def _title_above(bill: Bill) -> None:
    bill.content = bill.dice.choice([b"\n\n", b" \r\n", "账单明细\n".encode(), b"a,b,c\n", b",,,\n"]) + bill.content


def _end_of_file_mark(bill: Bill) -> None:
    bill.content += bill.dice.choice([b"\x1a", b"\0", b"\0\0\0\0", b" ", b"\n\n\n", b"\t\n", b"\xff", b",\n", b'"\n', b'""\n'])


def _stray_quote(bill: Bill) -> None:
    at = bill.dice.randrange(len(bill.content) + 1)
    bill.content = bill.content[:at] + bill.dice.choice([b'"', b'""', b'"""', b'","', b'",', b',"', b'"\n']) + bill.content[at:]


TEXT = (
    _windows_line_ends, _mixed_line_ends, _old_line_ends, _no_last_line_end, _another_separator, _quoted_cells, _marks,
    _title_above, _end_of_file_mark, _stray_quote, _stray_quote,
)  # fmt: skip


# -- answers of the API --


def _places(said: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 -- whatever JSON holds
    for key in list(said) if isinstance(said, dict) else range(len(said)) if isinstance(said, list) else ():
        yield said, key
        yield from _places(said[key])


_VALUES: tuple[object, ...] = (
    None, True, "", "0", [], {}, ["x"], {"a": "b"}, "NaN", "<raw>NaN", "<raw>1e3", "<raw>-1.5E-5", "<raw>1E400", "<raw>-0",
    "<raw>00012", "<raw>0.00000000001", "<raw>12345678901234567890123456789", "1,234.56", "x" * 300, "a\nb", "a,b", 'a"b',
)  # fmt: skip


def _items(bill: Bill) -> list[Any]:
    pages = bill.pages if isinstance(bill.pages, list) else [bill.pages]
    found = [page["Data"].get("Items") for page in pages if isinstance(page, dict) and isinstance(page.get("Data"), dict)]
    return [one for one in found if isinstance(one, list)]


def _nasty_value(bill: Bill) -> None:
    places = list(_places(bill.pages))
    if places:
        holder, key = bill.dice.choice(places)
        holder[key] = bill.dice.choice(_VALUES if bill.dice.random() < 0.6 else _NASTY)


def _lost_value(bill: Bill) -> None:
    places = list(_places(bill.pages))
    if places:
        holder, key = bill.dice.choice(places)
        del holder[key]


def _swapped_values(bill: Bill) -> None:
    places = list(_places(bill.pages))
    if places:
        (one, key), (other, there) = bill.dice.choice(places), bill.dice.choice(places)
        if not isinstance(one[key], dict | list) and not isinstance(other[there], dict | list):
            one[key], other[there] = other[there], one[key]


def _doubled_item(bill: Bill) -> None:
    for items in _items(bill)[:1]:
        if items:
            items.append(json.loads(json.dumps(bill.dice.choice(items))))


def _shuffled_items(bill: Bill) -> None:
    for items in _items(bill):
        bill.dice.shuffle(items)


def _shuffled_pages(bill: Bill) -> None:
    if isinstance(bill.pages, list):
        bill.dice.shuffle(bill.pages)


def _doubled_page(bill: Bill) -> None:
    bill.pages = [*bill.pages, bill.pages[0]] if isinstance(bill.pages, list) and bill.pages else [bill.pages, bill.pages]


def _lost_page(bill: Bill) -> None:
    if isinstance(bill.pages, list) and bill.pages:
        del bill.pages[bill.dice.randrange(len(bill.pages))]


def _another_count(bill: Bill) -> None:
    pages = bill.pages if isinstance(bill.pages, list) else [bill.pages]
    for page in pages:
        if isinstance(page, dict) and isinstance(page.get("Data"), dict):
            page["Data"]["TotalCount"] = bill.dice.choice(["<raw>0", "<raw>3", "<raw>99", "5", None, "<raw>5.0"])


PAGES = (
    *[_nasty_value] * 5, *[_lost_value] * 2, *[_swapped_values] * 2, _doubled_item, _shuffled_items, _shuffled_pages,
    _doubled_page, _lost_page, _another_count,
)  # fmt: skip


# -- names --


def _plain_name(bill: Bill) -> None:
    suffix = ".json" if bill.pages is not None else ".csv"
    bill.name = bill.dice.choice(["bill", "账单", "a/b", "x" * 60]) + suffix


def _another_name(bill: Bill) -> None:
    bill.name = bill.dice.choice((*_small(), *_samples()))[0]


def _long_name(bill: Bill) -> None:
    stem, dot, suffix = bill.name.rpartition(".")
    bill.name = f"{stem}{bill.dice.choice(['_1', ' (1)', '_part2', '_2025-12', '_1700000000000', '-copy'])}{dot}{suffix}"


NAMES = (_plain_name, _another_name, _long_name)


# -- encodings and containers: what they say is what was said before --


def _told_plainly(bill: Bill) -> None:
    bill.plain = bill.content if bill.plain is None else bill.plain


def _encoded(bill: Bill, encoding: str, mark: bytes = b"") -> None:
    try:
        text = bill.content.decode("utf-8-sig")
        bill.content = mark + text.encode(encoding)
    except UnicodeError:
        return


def _as_gb18030(bill: Bill) -> None:
    _encoded(bill, "gb18030")


def _as_utf_16(bill: Bill) -> None:
    if bill.dice.random() < 0.5:
        _encoded(bill, "utf-16-le", b"\xff\xfe")
    else:
        _encoded(bill, "utf-16-be", b"\xfe\xff")


def _as_unmarked_utf_16(bill: Bill) -> None:
    _encoded(bill, "utf-16-le")


def _as_utf_32(bill: Bill) -> None:
    _encoded(bill, "utf-32")


def _half_in_another_encoding(bill: Bill) -> None:
    lines = bill.content.split(b"\n")
    at = bill.dice.randrange(len(lines))
    try:
        bill.content = b"\n".join([*lines[:at], b"\n".join(lines[at:]).decode().encode("gb18030")])
    except UnicodeError:
        return


def _garbled_header(bill: Bill) -> None:
    """Take the header's UTF-8 for something else, as download programs do."""
    header, line_end, rest = bill.content.removeprefix(BOM).partition(b"\n")
    try:
        garbled = header.decode(bill.dice.choice(["gb18030", "latin-1"])).encode()
    except UnicodeError:
        return
    # Of an English header nothing is garbled but a mark within it: the rest is known as it stands, and nobody mends the mark.
    bill.plain = None if header.replace(BOM, b"").isascii() else header + line_end + rest
    bill.content = garbled + line_end + rest


ENCODINGS = (
    *[_as_gb18030] * 3, *[_as_utf_16] * 2, _as_unmarked_utf_16, _as_utf_32, *[_half_in_another_encoding] * 2, _garbled_header,
)  # fmt: skip


def _gzipped(bill: Bill) -> None:
    _told_plainly(bill)
    at = bill.dice.randrange(len(bill.content) + 1)
    whole, halves = (bill.content,), (bill.content[:at], bill.content[at:])
    members = whole if bill.dice.random() < 0.7 else halves
    bill.content = b"".join(gzip.compress(member, mtime=0) for member in members) + bytes(bill.dice.choice([0, 0, 0, 7]))
    bill.name += bill.dice.choice([".gz", ".gz", ""])


def _zipped(bill: Bill) -> None:
    _told_plainly(bill)
    own = bill.name.rpartition("/")[2]
    method = bill.dice.choice([8, 8, STORED])
    members = [a_member(bill.dice.choice(["", "a/", "账单/", "../"]) + own, bill.content, method=method)]
    if bill.dice.random() < 0.3:
        members.append(a_member("__MACOSX/._x", b"\0\5\26\7"))
    if bill.dice.random() < 0.2:
        members.append(a_member(f"copy of {own}", bill.content))
    bill.content = a_zip(*members)
    bill.name = own.rpartition(".")[0] + ".zip"


def _as_spreadsheet(bill: Bill) -> None:
    """Every cell as the text that it was; what cannot stand in a cell is left out of both, as is a title above the header."""
    if not bill.rows:
        _zipped(bill)
        return
    width = len(bill.rows[0]) if bill.rows else 0
    if any(len(row) != width for row in bill.rows) or not any(bill.rows[0]):
        return
    rows = [[_allowed(cell) for cell in row] for row in bill.rows]
    header = next((number for number, row in enumerate(rows) if sum(map(bool, row)) > 1), 0)
    bill.plain = _written(rows[header:], bom=False)
    bill.content = a_spreadsheet({"账单明细": rows})
    bill.name = bill.name.rpartition(".")[0] + ".xlsx"


def _allowed(cell: str) -> str:
    cell = "".join(char for char in cell if char in "\t\n" or char.isprintable())
    return f"{cell[1:]}" if cell.startswith("=") else cell


CONTAINERS = (_gzipped, _zipped, _as_spreadsheet)


# -- bytes --

_LIKELY = b'",\n\r"",,\n0159.-eE \t\0\xff\xe4;{}[]:'


def _changed_byte(bill: Bill) -> None:
    at, content = bill.dice.randrange(len(bill.content) + 1), bill.content
    bill.content = content[:at] + _a_byte(bill.dice) + content[at + 1 :]


def _flipped_bit(bill: Bill) -> None:
    if bill.content:
        content = bytearray(bill.content)
        content[bill.dice.randrange(len(content))] ^= 1 << bill.dice.randrange(8)
        bill.content = bytes(content)


def _further_byte(bill: Bill) -> None:
    at, content = bill.dice.randrange(len(bill.content) + 1), bill.content
    bill.content = content[:at] + _a_byte(bill.dice) * bill.dice.choice([1, 1, 1, 2, 50]) + content[at:]


def _lost_bytes(bill: Bill) -> None:
    at, content = bill.dice.randrange(len(bill.content) + 1), bill.content
    bill.content = content[:at] + content[at + bill.dice.choice([1, 1, 2, 3, 40, 512]) :]


def _cut_off(bill: Bill) -> None:
    bill.content = bill.content[: bill.dice.randrange(len(bill.content) + 1)]


def _lost_start(bill: Bill) -> None:
    bill.content = bill.content[bill.dice.randrange(len(bill.content) + 1) :]


def _zeros(bill: Bill) -> None:
    at, size = bill.dice.randrange(len(bill.content) + 1), bill.dice.choice([1, 16, 512])
    content = bill.content
    bill.content = content[:at] + bytes(len(content[at : at + size])) + content[at + size :]


def _repeated_block(bill: Bill) -> None:
    at, size = bill.dice.randrange(len(bill.content) + 1), bill.dice.choice([16, 64, 512])
    bill.content = bill.content[: at + size] + bill.content[at:]


def _twice(bill: Bill) -> None:
    bill.content *= 2


def _a_byte(dice: Random) -> bytes:
    return bytes([dice.choice(_LIKELY) if dice.random() < 0.8 else dice.randrange(256)])


BYTES = (
    *[_changed_byte] * 4, *[_flipped_bit] * 2, *[_further_byte] * 4, *[_lost_bytes] * 2, _cut_off, _lost_start, _zeros,
    _repeated_block, _twice,
)  # fmt: skip
