"""`report`: months and days, filters, names, and the period before; every sum is that of the oracle."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import oracle
from bill_builder import INSTANCE, PRODUCT, UNIT, USAGE, a_bill, a_line
from home import Home

SAMPLES = Path(__file__).parents[1] / "data" / "bills"
DETAIL = "1000000000000001-20260915093012_consumedetailbillv2.csv"
SUMMARY = "1000000000000001-20260916080000_consumedetailbillv2daysummary.csv"
LEGACY = "1000000000000001-20260903120501_instanceconsumeday_202608.csv"
RESEARCH, TRAINING = "llm-demo0a1b2c3d4e", "llm-demo5f6a7b8c9d"
NAMES = 'names: {api_keys: {"1200345": chatbot}, workspaces: {llm-demo5f6a7b8c9d: Training}}'


def bill(lines: list[tuple[str, str, str]], exported: str, **changes: Any) -> tuple[str, bytes]:  # noqa: ANN401 -- any cell
    """Return a bill of lines by day, workspace and amount."""
    named = (f"{day}-{workspace}-{number}" for number, (day, workspace, _) in enumerate(lines))
    rows = [
        a_line(line_id=name, day=day, workspace=workspace, amount=amount, **changes)
        for name, (day, workspace, amount) in zip(named, lines, strict=True)
    ]
    return a_bill(rows, exported=exported)


JULY = bill([("20260730", RESEARCH, "7"), ("20260731", TRAINING, "1.5")], "20260802120000")
AUGUST = bill(
    [(f"202608{day:02d}", workspace, f"1.{day:02d}00000001") for day in range(1, 32) for workspace in (RESEARCH, TRAINING, "")],
    "20260902120000",
)
SEPTEMBER = bill([("20260901", RESEARCH, "10"), ("20260902", "", "-2.5"), ("20260910", RESEARCH, "4")], "20260911120000")
ODD = a_bill(
    [a_line(line_id="odd", day="20260830", month="202609", amount="0.75", workspace=RESEARCH)], exported="20260911130000"
)
FILES = (JULY, AUGUST, SEPTEMBER, ODD)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with bills of three months, which is only looked at."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.furnish(extra=NAMES)
    home.watch(more="owner: Li Wei")
    for name, content in FILES:
        home.put(name, content)
    home.call("once")
    return home


def expected(first: str, last: str) -> dict[str, Decimal]:
    """Return what the oracle says was spent by workspace; a charge dated outside its month is moved into it."""
    found: dict[str, Decimal] = {}
    for (month, day, workspace, _), amount in oracle.spend_by_day(FILES, products=["sfm"]).items():
        begin = date.fromisoformat(f"{month}-01")
        end = (begin + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        within = min(max(begin.isoformat(), f"{day[:4]}-{day[-4:-2]}-{day[-2:]}" if "-" not in day else day), end.isoformat())
        if first <= within <= last:
            found[workspace] = found.get(workspace, Decimal(0)) + amount
    return found


def spent(document: Any, key: str = "workspace") -> dict[str, Decimal]:  # noqa: ANN401 -- a JSON document
    return {row[key]: Decimal(row["spend"]) for row in document["rows"]}


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-08-01", "2026-08-31"),
        ("2026-08-20", "2026-09-01"),
        ("2026-07-31", "2026-09-10"),
        ("2026-08-30", "2026-08-30"),
        ("2026-09-01", "2026-09-01"),
        ("2025-01-01", "2026-12-31"),
    ],
)
def test_the_sums_of_any_days_are_those_of_the_oracle(reported: Home, first: str, last: str) -> None:
    found = reported.json("report", "--from", first, "--to", last)
    assert spent(found) == expected(first, last)
    assert (found["from"], found["to"]) == (first, last)
    (total,) = found["totals"]
    assert Decimal(total["spend"]) == sum(expected(first, last).values())


def test_each_month_of_a_range_counts_the_series_that_counts_there(quiet_home: Home) -> None:
    quiet_home.furnish()
    names = [DETAIL, SUMMARY, LEGACY]
    quiet_home.call("import", *(str(SAMPLES / name) for name in names))
    files = [(name, (SAMPLES / name).read_bytes()) for name in names]
    by_day = oracle.spend_by_day(files, products=["sfm"])
    for first, last in (("2026-08-01", "2026-09-30"), ("2026-08-02", "2026-09-12")):
        wanted: dict[tuple[str, str], Decimal] = {}
        for (month, day, workspace, _), amount in by_day.items():
            if first <= day <= last:
                wanted[month, workspace] = wanted.get((month, workspace), Decimal(0)) + amount
        rows = quiet_home.json("report", "--from", first, "--to", last, "--by", "month,workspace")["rows"]
        assert {(row["month"], row["workspace"]): Decimal(row["spend"]) for row in rows} == wanted


def test_ranges_that_follow_each_other_add_up(reported: Home) -> None:
    cuts = ["2026-07-01", "2026-08-15", "2026-08-31", "2026-09-01", "2026-09-02", "2026-10-01"]
    parts = Decimal(0)
    for first, end in pairwise(cuts):
        last = (date.fromisoformat(end) - timedelta(days=1)).isoformat()
        parts += sum(spent(reported.json("report", "--from", first, "--to", last)).values())
    whole = reported.json("report", "--by", "month", "--from", "2026-07-01", "--to", "2026-09-30")
    assert parts == sum(spent(whole, "month").values())
    assert [row["month"] for row in whole["rows"]] == ["2026-07", "2026-08", "2026-09"]
    for row in whole["rows"]:
        (month,) = reported.json("report", "--month", row["month"], "--by", "account")["rows"]
        assert month["spend"] == row["spend"]


def test_several_dimensions_go_together_with_the_month(reported: Home) -> None:
    found = reported.json("report", "--by", "month,workspace", "--from", "2026-08-01", "--to", "2026-09-30")
    assert {(row["month"], row["workspace"]) for row in found["rows"]} == {
        ("2026-08", RESEARCH),
        ("2026-08", TRAINING),
        ("2026-08", ""),
        ("2026-09", RESEARCH),
        ("2026-09", ""),
    }
    assert found["month"] is None


def test_the_month_before_stands_beside_a_month_and_as_many_days_beside_days(reported: Home) -> None:
    found = reported.json("report", "--month", "2026-09")
    assert found["previous"] | {"missing": []} == {"from": "2026-08-01", "to": "2026-08-31", "missing": []}
    august = expected("2026-08-01", "2026-08-31")
    assert {row["workspace"]: Decimal(row["previous"]) for row in (*found["details"], *found["gone"])} == august
    assert [row["workspace"] for row in found["gone"]] == [TRAINING]
    (total,) = found["totals"]
    assert Decimal(total["previous"]) == sum(august.values())
    days = reported.json("report", "--from", "2026-08-11", "--to", "2026-08-20")
    assert (days["previous"]["from"], days["previous"]["to"]) == ("2026-08-01", "2026-08-10")
    assert {row["workspace"]: Decimal(row["previous"]) for row in days["details"]} == expected("2026-08-01", "2026-08-10")
    assert reported.json("report", "--month", "2026-07")["previous"] is None
    assert reported.json("report", "--month", "2026-09", "--by", "day")["previous"] is None


def test_shares_are_of_all_that_is_shown(reported: Home) -> None:
    found = reported.json("report", "--month", "2026-08", "--where", "workspace=llm-*")
    assert [row["share"] for row in found["details"]] == ["0.5", "0.5"]
    found = reported.json("report", "--from", "2026-09-02", "--to", "2026-09-02")
    assert [row["share"] for row in found["details"]] == [None]


def test_a_share_that_rounds_to_nothing_has_no_sign(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.put(*bill([("20260801", RESEARCH, "100"), ("20260801", TRAINING, "-0.05")], "20260902120000"))
    quiet_home.call("once")
    assert re.search(rf"{TRAINING} .* -0\.05 +0\.0%", quiet_home.call("report", "--month", "2026-08").stdout)


@pytest.mark.parametrize(
    ("where", "workspaces"),
    [
        (["workspace=*5f6a*"], {TRAINING}),
        (["workspace=Train*"], {TRAINING}),
        (["workspace="], {""}),
        (["workspace=?*", "day=2026-08-0[1-3]"], {RESEARCH, TRAINING}),
        (["api_key=chatbot", "month=2026-08"], {RESEARCH, TRAINING, ""}),
        (["workspace=Research", "workspace=Training"], set()),
        (["category=inference"], {RESEARCH, TRAINING, ""}),
        (["tag:team="], {RESEARCH, TRAINING, ""}),
        (["tag:team=?*"], set()),
    ],
)
def test_only_what_matches_is_counted(reported: Home, where: list[str], workspaces: set[str]) -> None:
    options = [part for one in where for part in ("--where", one)]
    found = reported.json("report", "--from", "2026-08-01", "--to", "2026-08-31", *options)
    assert set(spent(found)) == workspaces


def test_what_is_not_known_is_answered_with_what_is(reported: Home) -> None:
    for arguments, said in (
        (("--where", "modl=a"), "did you mean 'model'?"),
        (("--where", "model"), "write KEY=PATTERN"),
        (("--where", "model=[9-0]"), "can never match"),
        (("--where", "tag:=a"), "cannot use 'tag:'"),
        (("--from", "2026-02-30"), "not a day: '2026-02-30'"),
        (("--from", "2026-09-02", "--to", "2026-09-01"), "2026-09-02 is after 2026-09-01"),
        (("--month", "2026-09", "--to", "2026-09-01"), "give either --month, or --from and --to"),
        (("--by", ","), "names nothing"),
    ):
        assert said in reported.call("report", *arguments, expect=2).stderr


def test_names_and_owners_stand_beside_ids(reported: Home) -> None:
    (row, *_) = reported.json("report", "--month", "2026-09", "--by", "workspace,api_key,account")["details"]
    assert (row["workspace"], row["workspace_name"], row["workspace_owner"]) == (RESEARCH, "Research", "Li Wei")
    assert (row["api_key"], row["api_key_name"], row["account_name"]) == ("1200345", "chatbot", "acme")
    shown = reported.call("report", "--month", "2026-09", "--by", "workspace,api_key").stdout
    assert f"Research ({RESEARCH})" in shown
    assert "chatbot (1200345)" in shown
    text = reported.call("report", "--month", "2026-09", "--by", "workspace,api_key", "--csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["workspace_name"] for row in rows] == ["Research", "", "Training"]
    assert sum(Decimal(row["spend"]) for row in rows) == sum(expected("2026-09-01", "2026-09-30").values())
    assert {row["previous"] for row in rows if row["workspace"] == TRAINING} == {"35.9600000031"}


def test_a_name_in_csv_is_no_formula(quiet_home: Home) -> None:
    quiet_home.furnish(extra="names: {api_keys: {\"1200345\": '=1+1'}}")
    quiet_home.put(*SEPTEMBER)
    quiet_home.call("once")
    text = quiet_home.call("report", "--month", "2026-09", "--by", "api_key", "--csv").stdout
    assert "'=1+1" in text.splitlines()[1].split(",")


def test_a_report_says_whether_nothing_is_on_record_or_nothing_matches_and_has_one_form(reported: Home) -> None:
    filtered = ("report", "--month", "2026-09", "--where", "workspace=nobody")
    assert reported.call(*filtered).stdout.startswith("No spend on record in 2026-09 matches --where.\n")
    assert reported.call("report", "--month", "2026-01").stdout.startswith("No spend on record in 2026-01.\n")
    assert reported.json("report", "--month", "2026-09", "--by", "day,workspace,day")["by"] == ["day", "workspace"]
    assert "give either --json or --csv" in reported.call("report", "--json", "--csv", expect=2).stderr


def test_rows_hold_what_programs_compare_and_details_the_rest(reported: Home) -> None:
    found = reported.json("report", "--month", "2026-08", "--by", "workspace,model")
    for row, more in zip(found["rows"], found["details"], strict=True):
        assert set(row) == {"workspace", "model", "currency", "spend", "lines"}
        assert row.items() <= more.items()


def test_days_of_which_no_bill_tells_are_named(reported: Home) -> None:
    found = reported.json("report", "--from", "2026-06-29", "--to", "2026-09-10")
    assert found["missing"][0] == {"account": "1000000000000001", "series": "", "days": ["2026-06-29", "2026-06-30"]}
    days = [f"2026-07-{day:02d}" for day in range(1, 30)]
    assert found["missing"][1] == {"account": "1000000000000001", "series": "consumedetailbillv2", "days": days}
    shown = reported.call("report", "--from", "2026-06-29", "--to", "2026-09-10").stdout
    assert "Account acme: no bill covers 2026-06-29 to 2026-06-30; spend of these days may be missing." in shown
    assert "no bill (consumedetailbillv2) covers 2026-07-01 to 2026-07-29" in shown
    assert reported.json("report", "--month", "2026-08")["missing"] == []


def test_moments_are_written_in_the_billing_zone(reported: Home) -> None:
    as_of = reported.json("report")["as_of"]
    assert (len(as_of), as_of[-6:]) == (25, "+08:00")


def test_by_month_shows_a_year(reported: Home) -> None:
    found = json.loads(reported.call("report", "--by", "month", "--json").stdout)
    first, last = date.fromisoformat(found["from"]), date.fromisoformat(found["to"])
    assert (last - first).days in {364, 365}


def test_usage_is_summed_by_unit_over_the_lines_that_count(quiet_home: Home) -> None:
    quiet_home.furnish(extra=NAMES)
    content = (SAMPLES / DETAIL).read_bytes()
    for name in (DETAIL, f"again-{DETAIL}"):
        quiet_home.call("import", str(quiet_home.put(name, content)))
    wanted: dict[tuple[str, str], Decimal] = {}
    for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"))):
        workspace = oracle.workspace_in(row[INSTANCE]) if row[PRODUCT] == "sfm" else ""
        if row[PRODUCT] == "sfm" and row[USAGE] and Decimal(row[USAGE]):
            place = workspace, row[UNIT]
            wanted[place] = wanted.get(place, Decimal(0)) + Decimal(row[USAGE])
    found = quiet_home.json("report", "--month", "2026-09", "--usage")
    used = {(row["workspace"], one["unit"]): Decimal(one["quantity"]) for row in found["details"] for one in row["usage"]}
    assert used == wanted
    whole = {one["unit"]: Decimal(one["quantity"]) for one in found["totals"][0]["usage"]}
    assert whole == {unit: sum(many for (_, of), many in wanted.items() if of == unit) for _, unit in wanted}
    days = quiet_home.json("report", "--from", "2026-09-01", "--to", "2026-09-01", "--usage", "--where", "model=qwen3.6*")
    assert days["totals"][0]["usage"] == [{"unit": "千tokens", "quantity": "15.523"}]
    assert "k tokens" in quiet_home.call("report", "--month", "2026-09", "--usage").stdout
    assert quiet_home.json("report", "--month", "2026-09")["details"][0]["usage"] is None
