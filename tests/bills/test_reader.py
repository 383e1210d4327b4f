from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bill_builder import (
    ACCOUNT,
    AMOUNT,
    COLUMNS,
    CURRENCY,
    DAY,
    INSTANCE,
    LINE_ID,
    MONTH,
    PAYER,
    TIME,
    a_bill,
    a_bill_name,
    a_line,
)
from oracle import month_to_date
from small_ledger import NO_HINTS, SmallLedger, a_bill_file, read_here
from spendwatch.bills import columnar_reader, day_buckets
from spendwatch.bills import reader as reader_of_bills
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.bills.dimensions import ChargeDimensions, Interpreter
from spendwatch.bills.unpacking import encodings
from spendwatch.domain.money import Currency
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, ChargeKind, Kind, ReadingHints, Statement, TaxBasis

CHINA = timezone(timedelta(hours=8))
SAMPLES = sorted((Path(__file__).parent.parent / "data" / "bills").glob(f"{ACCOUNT}-*_consumedetailbillv2.csv"))
HINTS = ReadingHints({AccountId(ACCOUNT): Currency("CNY")})


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingProcess]:
    with ReadingProcess(tmp_path_factory.mktemp("exchange")) as reading:
        yield reading


def statement_of(*lines: dict[str, str], columns: Sequence[str] | None = None, hints: ReadingHints = NO_HINTS) -> Statement:
    return SmallLedger().enter_here(*a_bill(lines, columns=columns), hints=hints)


@pytest.mark.parametrize("order", [*permutations(SAMPLES), [*SAMPLES, SAMPLES[0]], [SAMPLES[1], *SAMPLES, SAMPLES[1]]])
def test_two_exports_of_one_month_are_one_truth_in_any_order(reader: ReadingProcess, order: Sequence[Path]) -> None:
    ledger = SmallLedger()
    for path in order:
        with reader.read(a_bill_file(path), HINTS) as reading:
            ledger.enter(reading)
    assert ledger.lines == 19
    assert ledger.total() == Decimal("170.6423912")
    assert ledger.total("sfm") == Decimal("170.332385")


def test_a_statement_tells_the_facts_of_its_file(reader: ReadingProcess) -> None:
    with reader.read(a_bill_file(SAMPLES[0]), HINTS) as reading:
        statement = reading.statement
    assert (statement.layout, statement.series) == ("consumedetailbillv2", "consumedetailbillv2")
    assert (statement.kind, statement.tax_basis) == (Kind.UPSERT, TaxBasis.INCLUDED)
    assert (statement.accounts, statement.periods) == ((ACCOUNT,), (BillingPeriod(2026, 9),))
    assert statement.lines == sum(day.lines for day in statement.days) == 16
    assert statement.exported_at == datetime(2026, 9, 15, 9, 30, 12, tzinfo=CHINA)
    # The refund of a plan at 16:20 is no usage.
    assert statement.data_until == datetime(2026, 9, 14, 0, 11, tzinfo=CHINA)
    assert statement.remarks == ()


def test_a_row_of_the_roll_up_tells_everything_by_which_spend_is_told_apart() -> None:
    ledger = SmallLedger()
    tags = "key:env value:prod; key:dept value:搜索"
    ledger.enter_here(*a_bill([a_line(amount="0.1", tags=tags), a_line(amount="0.2", tags=tags), a_line(amount="7")]))
    other, row = ledger.rows
    assert (other.billed_cost, other.tags) == (Decimal(7), "")
    assert (row.billed_cost, row.lines, row.currency) == (Decimal("0.3"), 2, "CNY")
    assert (row.workspace, row.api_key, row.model) == ("llm-demo0a1b2c3d4e", "1200345", "qwen3.6-plus")
    assert (row.type, row.channel, row.charge) == ("context_0-256k_input_token", "", ChargeKind.USAGE)
    assert (row.item, row.commodity, row.product, row.owner) == ("token_number", "sfm_inference_public_cn", "sfm", ACCOUNT)
    assert json.loads(row.tags) == {"env": "prod", "dept": "搜索"}


@pytest.mark.parametrize(
    ("charge", "trade", "kind"),
    [
        ("云资源按量费用", "后付费", ChargeKind.USAGE),
        ("免费额度", "后付费", ChargeKind.FREE),
        ("订阅预付费用", "新购", ChargeKind.SUBSCRIPTION),
        ("订阅预付费用", "退款", ChargeKind.SUBSCRIPTION_REFUND),
        ("订阅退款费用", "退款", ChargeKind.SUBSCRIPTION_REFUND),
        ("订阅预付费用", "调账", ChargeKind.SUBSCRIPTION_ADJUSTMENT),
        ("云资源退款", "", ChargeKind.REFUND),
        ("调账", "", ChargeKind.ADJUSTMENT),
        ("抹零", "", ChargeKind.ROUNDING),
        ("佣金", "", ChargeKind.OTHER),
    ],
)
def test_the_sort_of_a_charge_is_understood(charge: str, trade: str, kind: ChargeKind) -> None:
    ledger = SmallLedger()
    ledger.enter_here(*a_bill([a_line(charge=charge, trade=trade, amount="-3")]))
    (row,) = ledger.rows
    assert (row.charge, row.billed_cost) == (kind, Decimal(-3))


def test_a_restated_line_replaces_the_first_whichever_file_comes_first() -> None:
    old = a_bill([a_line(line_id="x", amount="10"), a_line(line_id="y", amount="1")], exported="20260915000000")
    new = a_bill([a_line(line_id="x", amount="8")], exported="20260916000000")
    for order in ([old, new], [new, old], [old, new, old]):
        assert read_here(order).total() == Decimal(9)


def test_of_a_line_twice_in_one_file_the_dearer_counts_and_it_is_said() -> None:
    ledger = SmallLedger()
    lines = [a_line(line_id="x", amount="2", day="20260911"), a_line(line_id="x", amount="3"), a_line(line_id="x", amount="1")]
    statement = ledger.enter_here(*a_bill(lines))
    assert (ledger.total(), statement.lines, len(statement.days)) == (Decimal(3), 1, 1)
    assert "2 lines of the file repeat the id of another one" in statement.remarks[0]


def test_the_same_lines_exported_once_more_have_the_same_digests_in_any_order() -> None:
    lines = [a_line(day=f"202609{day:02d}", amount=f"{day}.5") for day in (1, 2, 3) for _ in range(5)]
    first = {(one.key, one.digest) for one in statement_of(*lines).days}
    lines = lines[7:] + lines[6::-1]
    again = SmallLedger().enter_here(*a_bill(lines, exported="20260917000000")).days
    assert first == {(one.key, one.digest) for one in again}
    lines[0][AMOUNT] = "1.50001"
    assert len(first ^ {(one.key, one.digest) for one in statement_of(*lines).days}) == 2


def test_a_merge_counts_what_is_new_and_what_has_changed(reader: ReadingProcess, tmp_path: Path) -> None:
    ledger = SmallLedger()
    same, changed = a_line(line_id="same"), a_line(line_id="changed", amount="1")
    files = [
        a_bill([same, changed], exported="20260915000000"),
        a_bill([same, changed | {AMOUNT: "2"}, a_line(line_id="new")], exported="20260916000000"),
        a_bill([same, changed | {AMOUNT: "3"}], exported="20260914000000"),
    ]
    counts = []
    for name, content in files:
        (tmp_path / name).write_bytes(content)
        with reader.read(a_bill_file(tmp_path / name), HINTS) as reading:
            counts.append(ledger.enter(reading, is_eager=True))
    assert counts == [(2, 0), (1, 1), (0, 0)]


@pytest.mark.parametrize(("month", "day"), [("202609", "20260912"), ("2026-09", "2026-09-12")])
def test_months_and_dates_are_understood_in_both_spellings(month: str, day: str) -> None:
    (content,) = statement_of(a_line(cells={MONTH: month, DAY: day})).days
    assert (content.key.period, content.key.day) == (BillingPeriod(2026, 9), date(2026, 9, 12))


def test_the_billing_month_wins_over_the_date() -> None:
    (content,) = statement_of(a_line(month="202609", day="20260831")).days
    assert (content.key.period.label, content.key.day) == ("2026-09", date(2026, 8, 31))


@pytest.mark.parametrize("cut", [[MONTH], [DAY], [MONTH, TIME], [DAY, TIME], [DAY, "账单信息/服务开始时间"]])
def test_a_cut_month_or_date_is_found_out_from_the_other(cut: list[str]) -> None:
    columns = [name for name in COLUMNS if name not in cut]
    (content,) = statement_of(a_line(), columns=columns).days
    assert (content.key.period.label, content.key.day) == ("2026-09", date(2026, 9, 12))


def test_a_line_without_a_date_is_entered_on_the_day_of_its_time() -> None:
    days = [content.key.day for content in statement_of(a_line(), a_line(cells={DAY: ""}, day="20260913")).days]
    assert days == [date(2026, 9, 12), date(2026, 9, 13)]


def test_without_dates_and_times_the_first_day_of_the_month_is_taken_and_it_is_said() -> None:
    statement = statement_of(a_line(), columns=[LINE_ID, PAYER, MONTH, AMOUNT, CURRENCY])
    assert [content.key.day for content in statement.days] == [date(2026, 9, 1)]
    assert statement.remarks == ("lines without a date are recorded on the first day of 2026-09",)
    assert statement.data_until == datetime(2026, 9, 1, tzinfo=CHINA)


def test_a_bill_cut_to_the_bone_takes_account_and_currency_from_elsewhere_and_says_so() -> None:
    statement = statement_of(a_line(), columns=[AMOUNT, DAY, LINE_ID], hints=HINTS)
    assert statement.accounts == (ACCOUNT,)
    assert statement.remarks == (
        f"the bill names no account; its file name says {ACCOUNT}",
        f"the bill names no currency; CNY is used for account {ACCOUNT}",
    )


def test_without_a_telling_name_the_only_configured_account_is_taken() -> None:
    _, content = a_bill([a_line()], columns=[LINE_ID, AMOUNT, DAY, TIME, CURRENCY])
    statement = SmallLedger().enter_here("export.csv", content, hints=HINTS)
    assert statement.accounts == (ACCOUNT,)
    assert statement.exported_at is None
    assert statement.remarks == (f"the bill names no account; {ACCOUNT} is the only one configured",)


def test_columns_may_stand_in_any_order_and_unknown_ones_are_no_trouble() -> None:
    lines = [a_line(amount=f"0.{number}", cells={"新/列": "x, y"}) for number in range(1, 9)]
    columns = [*COLUMNS, "新/列"]
    columns = columns[30:] + columns[29::-1]
    assert read_here([a_bill(lines, columns=columns)]).total() == Decimal("3.6")


def test_a_header_without_lines_is_a_statement_without_days() -> None:
    statement = statement_of()
    assert (statement.lines, statement.days, statement.data_until, statement.accounts) == (0, (), None, ())


def test_quoted_cells_may_hold_commas_quotes_and_line_breaks() -> None:
    note = 'first, "second"\nthird\r\nfourth'
    ledger = read_here([a_bill([a_line(amount="1", cells={"产品信息/规格": note}), a_line(amount="2")])])
    assert ledger.total() == Decimal(3)


def test_windows_line_ends_and_blank_lines_are_no_trouble() -> None:
    name, content = a_bill([a_line(amount="1"), a_line(amount="2")])
    bare = content.removeprefix(b"\xef\xbb\xbf")
    for variant in (content.replace(b"\n", b"\r\n"), b"\n\n" + bare, content.replace(b"\n", b"\n\n"), bare):
        assert read_here([(name, variant)]).total() == Decimal(3)


def test_amounts_of_every_legal_size_are_kept_to_the_last_digit() -> None:
    amounts = ["0", "-0", "0.0000000001", "-0.0000000001", "9" * 20 + "." + "9" * 10, "-" + "8" * 20 + ".1", "007.50"]
    ledger = read_here([a_bill([a_line(amount=amount) for amount in amounts])])
    assert ledger.total() == Decimal("11111111111111111119.3999999999")


def test_an_instance_of_unknown_shape_keeps_its_money_and_is_told() -> None:
    odd = "1;ws-a;b;c;d;e;f;g"
    ledger = SmallLedger()
    statement = ledger.enter_here(*a_bill([a_line(instance=odd, amount="4"), a_line(instance=odd, amount="5")]))
    (row,) = ledger.rows
    assert (row.workspace, row.model, row.billed_cost) == ("", "", Decimal(9))
    assert statement.remarks == (f"1 instance id has an unknown form and no workspace, for example {odd!r}",)
    assert statement.unassigned == (odd,)


def test_usage_without_an_instance_id_is_told_and_an_order_without_one_is_not() -> None:
    order = a_line(instance="", charge="订阅预付费用", trade="新购")
    assert (statement_of(order).unassigned, statement_of(order).remarks) == ((), ())
    statement = statement_of(order, a_line(instance=""), a_line(instance="spn-1"), a_line(instance="", product="oss"))
    assert statement.unassigned == ("",)
    assert statement.remarks == ("usage without an instance id counts for no workspace",)


def test_blanks_around_the_fields_of_an_instance_id_make_no_second_workspace() -> None:
    ledger = SmallLedger()
    plain = "1200345;llm-a;qwen-max;output_token;app;1"
    ledger.enter_here(*a_bill([a_line(instance=plain, amount="1"), a_line(instance=plain.replace(";", " ; "), amount="2")]))
    (row,) = ledger.rows
    assert (row.workspace, row.api_key, row.safe_mode, row.billed_cost) == ("llm-a", "1200345", "1", Decimal(3))


def test_an_instance_of_another_product_is_left_alone() -> None:
    ledger = SmallLedger()
    statement = ledger.enter_here(*a_bill([a_line(instance="1;llm-x;m;t;c;0", product="oss")]))
    (row,) = ledger.rows
    assert (row.workspace, statement.remarks) == ("", ())


def test_data_reach_until_the_latest_end_of_service() -> None:
    lines = [a_line(until="2026-09-14 08:00:59"), a_line(until="2026-09-13 23:59:59"), a_line(until="soon")]
    assert statement_of(*lines).data_until == datetime(2026, 9, 14, 8, 0, 59, tzinfo=CHINA)


def test_data_reach_no_further_because_of_a_plan_that_runs_for_a_year() -> None:
    used = a_line(until="2026-09-14 08:00:59", charge="免费额度")
    plan = a_line(day="20260914", until="2027-09-14 00:00:00", charge="订阅预付费用", trade="新购")
    others = [a_line(until="2026-09-30 23:59:59", charge=charge) for charge in ("调账", "抹零", "云资源退款")]
    until = datetime(2026, 9, 14, 8, 0, 59, tzinfo=CHINA)
    for line_end in (b"\n", b"\r\n"):
        name, content = a_bill([plan, used, *others])
        assert SmallLedger().enter_here(name, content.replace(b"\n", line_end)).data_until == until
    assert statement_of(plan).data_until == datetime(2026, 9, 14, tzinfo=CHINA)
    sample = Path(__file__).parent.parent / "data" / "bills" / "5000000000000003_InstanceDetail_20260914.csv"
    hints = ReadingHints({AccountId("5000000000000003"): Currency("USD")})
    statement = SmallLedger().enter_here(sample.name, sample.read_bytes(), hints=hints)
    assert statement.data_until == datetime(2026, 9, 14, 6, 0, tzinfo=CHINA)


def test_data_reach_no_further_than_the_export() -> None:
    running = a_line(day="20260914", time="09:00:00", until="2026-09-14 10:00:00")
    for exported, until in (("20260914091500", (9, 15)), ("20260914080000", (10, 0))):
        statement = SmallLedger().enter_here(*a_bill([running], exported=exported))
        # A name that tells a time before that of the charges tells nothing.
        assert statement.data_until == datetime(2026, 9, 14, *until, tzinfo=CHINA)


def test_a_plan_makes_no_bill_newer_than_a_later_one() -> None:
    plan = a_line(day="20260901", until="2027-09-14 00:00:00", charge="订阅预付费用")
    first = a_bill([plan, a_line(line_id="x", amount="10", until="2026-09-12 12:00:00")])[1]
    again = a_bill([a_line(line_id="x", amount="4", until="2026-09-13 12:00:00")])[1]
    files = [("first.csv", first), ("again.csv", again)]
    for order in permutations(files):
        ledger = SmallLedger()
        for file in order:
            ledger.enter_here(*file)
        assert ledger.sums() == month_to_date(files)
        assert Decimal(4) in {row.billed_cost for row in ledger.rows}


def test_a_file_without_export_time_is_as_new_as_its_data() -> None:
    old = ("first.csv", a_bill([a_line(line_id="x", amount="10", until="2026-09-12 12:00:00")])[1])
    new = ("again.csv", a_bill([a_line(line_id="x", amount="8", until="2026-09-12 13:00:00")])[1])
    for order in ([old, new], [new, old]):
        assert read_here(order).total() == Decimal(8)


amounts = st.one_of(
    st.decimals(min_value=-10_000, max_value=10_000, places=10, allow_nan=False).map(lambda amount: format(amount, "f")),
    st.sampled_from(["0", "-0.5", "12", "0.0000000001", "123456789012345678.0000000001"]),
)
lines_of_bills = st.builds(
    lambda number, amount, day, workspace, product, currency, model: a_line(
        line_id=f"id-{number}",
        amount=amount,
        day=f"202609{day:02d}",
        workspace=workspace,
        product=product,
        currency=currency,
        model=model,
    ),
    number=st.integers(0, 400),
    amount=amounts,
    day=st.just(0),
    workspace=st.sampled_from(["llm-a", "llm-b", ""]),
    product=st.sampled_from(["sfm", "sfm", "oss"]),
    currency=st.sampled_from(["CNY", "USD"]),
    model=st.sampled_from(["qwen-max", 'wan, "2"', "模型"]),
)


@st.composite
def months(draw: st.DrawFn) -> list[tuple[str, bytes]]:
    """Some exports of one month, overlapping and repeated, in any order; a line may be restated, but keeps its day."""
    lines = draw(st.lists(lines_of_bills, min_size=1, max_size=25))
    for line in lines:
        day = 1 + int(line[LINE_ID].removeprefix("id-")) % 5
        line[DAY] = f"202609{day:02d}"
    files = []
    for export in range(draw(st.integers(1, 4))):
        part = draw(st.lists(st.sampled_from(lines), max_size=20))
        restated = [line | {AMOUNT: draw(amounts)} if draw(st.integers(0, 4)) == 0 else line for line in part]
        files.append(a_bill(restated, exported=f"2026091{export}080000"))
    return draw(st.permutations(files + draw(st.lists(st.sampled_from(files), max_size=2))))


@settings(max_examples=50)
@given(months(), st.booleans())
def test_whatever_files_in_whatever_order_the_sums_equal_the_oracle(files: list[tuple[str, bytes]], is_eager: bool) -> None:  # noqa: FBT001 -- given by Hypothesis
    assert read_here(files, is_eager=is_eager).sums() == month_to_date(files)


def test_a_line_that_returns_to_its_first_version_keeps_it_although_its_day_was_not_merged_again() -> None:
    first, between, last = (
        a_bill([a_line(line_id="x", amount=amount)], exported=exported)
        for amount, exported in (("5", "20260915000000"), ("7", "20260916000000"), ("5", "20260917000000"))
    )
    for order in permutations([first, between, last]):
        assert read_here(order).total() == Decimal(5)


def test_each_text_of_a_file_is_understood_once_however_many_batches_it_is_read_in(monkeypatch: pytest.MonkeyPatch) -> None:
    understood: list[Sequence[str]] = []

    class Watched(Interpreter):
        def traits(self, cells: Sequence[str]) -> ChargeDimensions:
            understood.append(cells)
            return super().traits(cells)

    lines = [a_line(line_id=f"id-{n}", day=f"202609{n % 9 + 1:02d}", tags=f"team:t{n % 7}") for n in range(300)]
    monkeypatch.setattr(columnar_reader, "BATCH", 40)
    monkeypatch.setattr(reader_of_bills, "Interpreter", Watched)
    assert SmallLedger().enter_here(*a_bill(lines)).lines == 300
    assert len(understood) == 7


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_file_too_long_for_memory_is_read_in_parts_and_says_the_same(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    lines = [a_line(line_id=f"id-{n % 230}", amount=f"{n}.5", day=f"202609{n * 7 % 13 + 1:02d}") for n in range(300)]
    name, content = a_bill(lines)
    sent = content.decode("utf-8-sig").encode(encoding)
    whole = SmallLedger()
    statement = whole.enter_here(name, sent)
    monkeypatch.setattr(columnar_reader, "BATCH", 40)
    monkeypatch.setattr(encodings, "PIECE", 5_000)
    monkeypatch.setattr(day_buckets, "ROOM", 50)
    monkeypatch.setattr(day_buckets, "_FEW_RUNS", 5)
    parts = SmallLedger()
    assert parts.enter_here(name, sent) == statement
    assert parts.sums() == whole.sums() == month_to_date([(name, content)])
    assert statement.lines == 230


def test_the_name_tells_account_and_export_time_in_every_known_form() -> None:
    assert a_bill_name() == f"{ACCOUNT}-20260915093012_consumedetailbillv2.csv"
    for suffix in ("", "_2025-12", "_1700000000000"):
        name = f"{ACCOUNT}-20260915093012_consumedetailbillv2{suffix}.csv"
        statement = SmallLedger().enter_here(name, a_bill([a_line()])[1])
        assert statement.exported_at == datetime(2026, 9, 15, 9, 30, 12, tzinfo=CHINA)
    odd = SmallLedger().enter_here(f"{ACCOUNT}-20269915093012_x.csv", a_bill([a_line(cells={INSTANCE: ""})])[1])
    assert odd.exported_at is None
