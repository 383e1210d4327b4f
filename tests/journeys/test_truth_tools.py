"""How a person makes sure that the figures are right: before a bill is entered, afterwards, and when one should go again."""

from __future__ import annotations

import csv
import io
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event

import pytest

from bill_builder import ACCOUNT
from home import RESEARCH, TRAINING, Home, lines_worth, loaded_program, this_month, today

SAMPLES = Path(__file__).parent.parent / "data" / "bills"
DETAIL = "1000000000000001-20260915093012_consumedetailbillv2.csv"
SUMMARY = "1000000000000001-20260916080000_consumedetailbillv2daysummary.csv"
LEGACY = "1000000000000001-20260903120501_instanceconsumeday_202608.csv"


def statement_of(home: Home, name: str) -> str:
    """Return the id of the statement that came in the file of that name."""
    found = [one["statement"] for one in home.json("ledger", "list")["statements"] if one["file"] == name]
    assert len(found) == 1
    return str(found[0])


def report(home: Home, by: str, month: str = "2026-09", *options: str) -> object:
    return home.json("report", "--month", month, "--by", by, *options)["rows"]


def change_by_hand(home: Home, statement: str) -> None:
    with closing(sqlite3.connect(home.state)) as state, state:
        state.execute(statement)


# Before


def test_a_dry_run_says_what_would_change_in_each_workspace(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.watch(budget="100.00")
    quiet_home.call("import", str(quiet_home.drop(lines_worth("60"))))
    path = quiet_home.drop(lines_worth("60") + lines_worth("5", first=2) + lines_worth("1", workspace=TRAINING))
    told = quiet_home.json("import", str(path), "--dry-run")
    (file,) = told["files"]
    assert (file["state"], file["layout"], file["kind"], file["lines"]) == ("entered", "consumedetailbillv2", "upsert", 3)
    assert (file["new"], file["changed"], file["same"], file["gone"]) == (2, 0, 1, 0)
    assert [(one["workspace"], one["name"], one["before"], one["spend"]) for one in told["totals"]] == [
        (RESEARCH, "Research", "60", "65"),
        (TRAINING, "", "0", "1"),
    ]
    shown = quiet_home.call("import", str(path), "--dry-run").stdout
    assert "BEFORE" in shown
    assert f"Research ({RESEARCH})" in shown
    assert "+5.00" in shown
    assert quiet_home.json("status")["accounts"][0]["spend"] == "60"


def test_a_dry_run_tells_every_refusal_and_every_series(quiet_home: Home) -> None:
    quiet_home.furnish()
    bad = quiet_home.drop(lines_worth("one") + lines_worth("2", first=2, day="20261301"))
    files = [str(SAMPLES / name) for name in (DETAIL, SUMMARY)]
    told = quiet_home.json("import", str(bad), *files, "--dry-run", expect=65)
    first, *others = told["files"]
    assert [(one["line"], one["value"]) for one in first["refusals"]] == [(2, "one"), (3, "20261301")]
    assert [one["state"] for one in others] == ["entered", "entered"]
    assert [(one["series"], one["counts"]) for one in told["series"]] == [
        ("consumedetailbillv2", False),
        ("consumedetailbillv2daysummary", True),
    ]
    assert "covers the same charges: not added" in quiet_home.call("import", *files, "--dry-run").stdout


def test_files_brought_by_hand_can_be_read_as_those_of_a_source(quiet_home: Home) -> None:
    quiet_home.furnish()
    content = (SAMPLES / DETAIL).read_text(encoding="utf-8-sig").splitlines()
    rows = list(csv.reader(content))
    kept = [place for place, name in enumerate(rows[0]) if name.rpartition("/")[2] not in {"消费时间", "服务开始时间"}]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([row[place] for place in kept] for row in rows)
    path = quiet_home.put("export.csv", text.getvalue().encode())
    assert "matches several layouts" in quiet_home.call("import", str(path), "--dry-run", expect=65).stdout
    config = quiet_home.folder / "spendwatch.yaml"
    config.write_text(config.read_text().replace("poll: 1s", "poll: 1s, layout: consumedetailbillv2"))
    assert "16 new" in quiet_home.call("import", str(path), "--source", "inbox").stdout
    assert "configured are inbox" in quiet_home.call("import", str(path), "--source", "inbx", expect=2).stderr


# Afterwards


def test_the_ledger_is_compared_with_the_kept_files_to_the_last_digit(quiet_home: Home) -> None:
    quiet_home.furnish()
    for name in (DETAIL, SUMMARY, LEGACY):
        quiet_home.put(name, (SAMPLES / name).read_bytes())
    quiet_home.call("once")
    assert "3 of 3 statements read again, 3 series compared: all days are equal" in quiet_home.call("ledger", "verify").stdout
    change_by_hand(
        quiet_home,
        "UPDATE spend SET billed_cost = '0.0248160001' WHERE billed_cost = '0.024816' AND series = 'consumedetailbillv2'",
    )
    told = quiet_home.json("ledger", "verify", expect=1)
    (day,) = told["differing"]
    assert (day["day"], day["series"]) == ("2026-09-01", "consumedetailbillv2")
    assert day["ledger"] != day["files"]
    assert "1 day differs" in quiet_home.call("ledger", "verify", "--month", "2026-09", expect=1).stdout
    assert "all days are equal" in quiet_home.call("ledger", "verify", "--month", "2026-08").stdout


def test_a_check_beside_a_busy_daemon_compares_one_state_and_gives_no_false_alarm(quiet_home: Home) -> None:
    quiet_home.furnish()
    # Enough to keep it busy for some checks: it enters one after the other, and each changes the same day.
    for number in range(24):
        quiet_home.drop(lines_worth(f"{number}"), exported=today() - timedelta(seconds=3 * number))
    running, busy = quiet_home.start(), 0

    def recorded() -> int:
        return len(list((quiet_home.inbox / "done").glob("*.csv")))

    try:
        while (before := recorded()) < 24:
            command = [quiet_home.clock, "--config", str(quiet_home.folder), "ledger", "verify"]
            done = loaded_program().call(command, quiet_home.env())
            assert done.returncode != 1, done.stdout + done.stderr
            busy += recorded() > before
    finally:
        running.stop()
    assert busy > 1
    assert "24 of 24 statements read again, 1 series compared: all days are equal" in quiet_home.call("ledger", "verify").stdout


def test_where_a_file_is_missing_there_is_no_verdict_on_its_months_alone(quiet_home: Home) -> None:
    quiet_home.furnish()
    for name in (DETAIL, LEGACY):
        quiet_home.put(name, (SAMPLES / name).read_bytes())
    quiet_home.call("once")
    kept = quiet_home.inbox / "done" / LEGACY
    away = kept.rename(quiet_home.folder / "elsewhere.csv")
    done = quiet_home.call("ledger", "verify", expect=4)
    assert "its file was not found" in done.stderr
    assert "1 of 2 statements read again, 1 series compared: all days are equal" in done.stdout
    assert "2 of 2 statements" in quiet_home.call("ledger", "verify", str(away)).stdout
    away.write_bytes(away.read_bytes() + b"\n")
    quiet_home.call("ledger", "verify", str(away), expect=4)


def test_a_kept_file_that_is_not_on_record_is_named_and_is_no_success(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.put(DETAIL, (SAMPLES / DETAIL).read_bytes())
    quiet_home.call("once")
    (quiet_home.inbox / "done" / "other.csv").write_bytes((SAMPLES / LEGACY).read_bytes())
    done = quiet_home.call("ledger", "verify", expect=1)
    assert done.stderr.splitlines() == ["inbox: 'other.csv': not on record; drop it again to have it counted"]
    assert "1 of 1 statement read again, 1 series compared: all days are equal" in done.stdout
    assert quiet_home.json("ledger", "verify", "--month", "2026-01", expect=1)["unrecorded"] == [
        {"source": "inbox", "file": "other.csv"}
    ]
    (quiet_home.inbox / "done" / "other.csv").rename(quiet_home.inbox / "other.csv")
    quiet_home.call("once")
    assert quiet_home.json("ledger", "verify")["unrecorded"] == []


def test_a_kept_file_whose_statement_was_taken_back_is_no_trouble(quiet_home: Home) -> None:
    quiet_home.furnish()
    for name in (DETAIL, LEGACY):
        quiet_home.put(name, (SAMPLES / name).read_bytes())
    quiet_home.call("once")
    statement = quiet_home.json("ledger", "list")["statements"][0]
    quiet_home.call("ledger", "remove", statement["statement"][:8], "--yes")
    assert quiet_home.json("ledger", "verify")["unrecorded"] == []


def restore(home: Home, backup: Path) -> None:
    for path in home.state.parent.glob(f"{home.state.name}*"):
        path.unlink()
    shutil.copy(backup, home.state)


def test_a_ledger_from_a_backup_is_given_what_was_read_since(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    first = home.drop(lines_worth("40"), exported=today() - timedelta(hours=2))
    home.call("once")
    backup = home.folder / "backup.db"
    home.call("ledger", "backup", str(backup))
    second = home.drop(lines_worth("45", first=2), exported=today() - timedelta(hours=1))
    home.call("once")
    right = report(home, "workspace,model,day", this_month())
    restore(home, backup)
    assert f"inbox: '{second.name}': not on record" in home.call("ledger", "verify", expect=1).stderr
    assert "archived_files_read_again" in home.call("once").stderr
    assert report(home, "workspace,model,day", this_month()) == right
    assert sorted(path.name for path in (home.inbox / "done").iterdir()) == sorted([first.name, second.name])
    home.call("ledger", "verify")
    assert "archived_files_read_again" not in home.call("once").stderr


def test_a_backup_beside_a_busy_daemon_is_one_state_and_its_owners_alone(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    running = home.start()
    backups = home.folder / "backups"
    backups.mkdir()
    try:
        for number in range(1, 7):
            home.drop(lines_worth("10", first=number), exported=today() + timedelta(seconds=number))
            home.call("ledger", "backup", str(backups / f"{number}.db"))
        home.until(lambda: len(list((home.inbox / "done").glob("*.csv"))) == 6)
        assert home.json("ledger", "backup", str(backups / "last.db"))["bytes"] > 0
        right = report(home, "workspace,model,day", this_month())
    finally:
        assert running.stop() == 0
    assert {path.suffix for path in backups.iterdir()} == {".db"}
    totals = []
    for backup in sorted(backups.iterdir()):
        assert backup.stat().st_mode & 0o777 == 0o600
        restore(home, backup)
        totals.append(sum(Decimal(row["spend"]) for row in home.json("report", "--by", "day")["rows"]))
    assert totals == sorted(totals)
    assert totals[-1] == 60
    assert report(home, "workspace,model,day", this_month()) == right
    home.call("ledger", "verify")


def test_a_backup_overwrites_nothing_and_says_what_is_in_the_way(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.drop(lines_worth("1"))
    quiet_home.call("once")
    taken = quiet_home.folder / "mine.db"
    taken.write_text("mine")
    assert "already exists; name a new file" in quiet_home.call("ledger", "backup", str(taken), expect=2).stderr
    assert taken.read_text() == "mine"
    assert "is a directory" in quiet_home.call("ledger", "backup", str(quiet_home.folder), expect=2).stderr
    nowhere = quiet_home.folder / "no" / "x.db"
    assert f"mkdir -p {nowhere.parent}" in quiet_home.call("ledger", "backup", str(nowhere), expect=2).stderr
    assert not [path for path in quiet_home.folder.iterdir() if path.name.endswith(".part")]


def test_a_killed_backup_leaves_no_half_file_under_its_name(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.drop(lines_worth("1", count=3000))
    quiet_home.call("once")
    right = report(quiet_home, "day", this_month())
    halves = whole = 0
    for number in range(100):
        target = quiet_home.folder / f"{number}.db"
        process = subprocess.Popen(
            quiet_home.command("ledger", "backup", str(target)), stdout=subprocess.DEVNULL, env=quiet_home.env()
        )
        parts: list[Path] = []
        # From the moment on at which it begins to write, later each time, until it comes to its end; then anew.
        while process.poll() is None and not parts and not target.exists():
            parts = list(quiet_home.folder.glob(f".{target.name}.*"))
        Event().wait(0.0002 * 1.6 ** (number % 24))
        process.kill()
        process.wait(30)
        if not target.exists():
            halves += 1
            continue
        restore(quiet_home, target)
        assert report(quiet_home, "day", this_month()) == right
        whole += 1
        if whole >= 3 and halves:
            break
    assert halves


def test_the_names_of_bills_are_listed_whole_however_narrow_the_screen_is(quiet_home: Home) -> None:
    quiet_home.furnish()
    names = [quiet_home.drop(lines_worth(f"{hours}"), exported=today() - timedelta(hours=hours)).name for hours in (2, 1)]
    quiet_home.drop(lines_worth("41"), name=f"{'x' * 200}.csv")
    quiet_home.call("once")
    quiet_home.environment["COLUMNS"] = "60"
    lines = quiet_home.call("ledger").stdout.splitlines()
    assert {line.split()[-1] for line in lines} == {"FILE", *names, f"{'x' * 200}.csv"}


# Taking back


def test_a_statement_is_taken_back_as_if_it_had_never_come(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    first = home.drop(lines_worth("40") + lines_worth("1", first=2), exported=today() - timedelta(hours=2))
    home.call("once")
    right = report(home, "workspace,model,day", this_month())
    wrong = home.drop(lines_worth("60") + lines_worth("2", first=3), exported=today() - timedelta(hours=1))
    home.call("once")
    assert home.json("status")["accounts"][0]["spend"] == "63"
    reached = len(home.calls())
    done = home.call("ledger", "remove", statement_of(home, wrong.name)[:8], "--yes", "--reason", "a test account's bill")
    assert "becomes" in done.stdout
    assert report(home, "workspace,model,day", this_month()) == right
    assert [one["file"] for one in home.json("ledger", "list")["statements"]] == [first.name]
    (deed,) = home.json("ledger", "audit")["audit"]
    assert (deed["action"], deed["detail"]) == ("remove", "1 day changed; a test account's bill")
    home.call("once")
    assert [call["type"] for call in home.calls()[reached:]] == ["spend.corrected"]
    # Dropped anew, it counts again.
    home.put(wrong.name, (home.inbox / "done" / wrong.name).read_bytes())
    home.call("once")
    assert home.json("status")["accounts"][0]["spend"] == "63"


def test_a_statement_is_taken_back_without_any_bill_file(quiet_home: Home) -> None:
    quiet_home.furnish()
    first = quiet_home.drop(lines_worth("40"), exported=today() - timedelta(hours=2))
    second = quiet_home.drop(lines_worth("60", first=2), exported=today() - timedelta(hours=1))
    quiet_home.call("once")
    for path in (first, second):
        (quiet_home.inbox / "done" / path.name).unlink()
    done = quiet_home.call("ledger", "remove", statement_of(quiet_home, second.name), "--yes")
    assert "CNY 100 becomes CNY 40" in done.stdout
    assert quiet_home.json("status")["accounts"][0]["spend"] == "40"


def test_where_lines_were_given_up_the_archived_files_are_read_and_without_them_nothing_is_taken_back(quiet_home: Home) -> None:
    quiet_home.furnish()
    first = quiet_home.drop(lines_worth("40"), exported=today() - timedelta(hours=2))
    second = quiet_home.drop(lines_worth("60", first=2), exported=today() - timedelta(hours=1))
    quiet_home.call("once")
    with closing(sqlite3.connect(quiet_home.state)) as state, state:
        state.execute("UPDATE content SET packed = x''")
    kept = quiet_home.inbox / "done" / first.name
    kept.rename(elsewhere := quiet_home.folder / first.name)
    wrong = statement_of(quiet_home, second.name)
    assert "nothing was changed" in quiet_home.call("ledger", "remove", wrong, "--yes", expect=75).stderr
    assert quiet_home.json("status")["accounts"][0]["spend"] == "100"
    assert "No manual changes." in quiet_home.call("ledger", "audit").stdout
    done = quiet_home.call("ledger", "remove", wrong, str(elsewhere), "--yes")
    assert "CNY 100 becomes CNY 40" in done.stdout
    assert quiet_home.json("status")["accounts"][0]["spend"] == "40"
    assert "no statement with an id beginning with 'ffff'" in quiet_home.call("ledger", "remove", "ffff", expect=2).stderr
    # What was read again is kept: the next bill of the same day needs it.
    quiet_home.drop(lines_worth("5", first=9), exported=today())
    quiet_home.call("once")
    assert quiet_home.json("status")["accounts"][0]["spend"] == "45"


def test_it_is_asked_before_a_statement_is_taken_back(quiet_home: Home) -> None:
    quiet_home.furnish()
    path = quiet_home.drop(lines_worth("40"))
    quiet_home.call("once")
    quiet_home.call("ledger", "remove", statement_of(quiet_home, path.name), expect=130)  # nobody answers
    assert quiet_home.json("status")["accounts"][0]["spend"] == "40"


# For others


def test_what_is_exported_says_the_same_when_it_is_entered_elsewhere(quiet_home: Home, tmp_path: Path) -> None:
    quiet_home.furnish()
    quiet_home.call("import", str(SAMPLES / DETAIL), str(SAMPLES / SUMMARY))
    exported = quiet_home.call("export", "focus", "--month", "2026-09", "--all-products").stdout
    rows = list(csv.DictReader(io.StringIO(exported)))
    assert len({row["BilledCost"] for row in rows}) > 1
    assert {"BillingAccountId", "ChargePeriodStart", "ServiceName", "EffectiveCost"} <= rows[0].keys()
    other = Home(tmp_path / "other")
    other.furnish()
    other.put("export.csv", exported.encode())
    other.call("once")
    for by in ("workspace", "api_key,model,type", "day,item", "commodity,product", "owner", "category"):
        told = [report(each, by, "2026-09", "--all-products") for each in (quiet_home, other)]
        assert told[0] == told[1], by


def test_a_focus_line_of_another_provider_is_exported_as_it_came_and_nothing_is_invented(quiet_home: Home) -> None:
    kept = {
        "ProviderName": "Example Cloud",
        "PublisherName": "Example Models",
        "InvoiceIssuerName": "Example Reseller",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Example Inference",
        "ChargeCategory": "Tax",
        "BilledCost": "10.5",
        "Tags": '{"on":true,"team":"search"}',
    }
    other = {"EffectiveCost": "7.25", "BillingAccountId": ACCOUNT, "BillingCurrency": "CNY"}
    times = {"BillingPeriodStart": "2026-09-01T00:00:00Z", "ChargePeriodStart": "2026-09-02T00:00:00Z"}
    text = io.StringIO()
    csv.writer(text).writerows([[*kept, *other, *times], [*kept.values(), *other.values(), *times.values()]])
    quiet_home.furnish()
    quiet_home.put("focus.csv", text.getvalue().encode())
    quiet_home.call("once")
    (row,) = csv.DictReader(io.StringIO(quiet_home.call("export", "focus", "--month", "2026-09", "--all-products").stdout))
    assert {column: row[column] for column in kept} == kept
    assert (row["EffectiveCost"], row["ContractedCost"], row["ListCost"]) == ("", "", "")


def test_an_export_is_of_the_series_that_counts_and_of_the_products_that_are_watched(quiet_home: Home) -> None:
    quiet_home.furnish()
    quiet_home.call("import", str(SAMPLES / DETAIL))
    ours = quiet_home.call("export", "focus", "--month", "2026-09").stdout.splitlines()
    everything = quiet_home.call("export", "focus", "--month", "2026-09", "--all-products").stdout.splitlines()
    assert (len(ours), len(everything)) == (16, 17)
    assert quiet_home.call("export", "focus", "--month", "2025-01").stdout.count("\n") == 1


@pytest.mark.parametrize("by", ["category", "owner,category", "tag:team"])
def test_every_report_adds_up_to_the_month(quiet_home: Home, by: str) -> None:
    quiet_home.furnish()
    quiet_home.call("import", str(SAMPLES / DETAIL))
    rows = quiet_home.json("report", "--month", "2026-09", "--by", by)["rows"]
    whole = quiet_home.json("report", "--month", "2026-09", "--by", "account")["rows"]
    assert sum(int(row["lines"]) for row in rows) == whole[0]["lines"]
    assert quiet_home.call("report", "--month", "2026-09", "--by", by).stdout.count("170.15") >= 1
    if by == "category":
        assert {row["category"] for row in rows} == {"inference", "training", "savings plan"}


# Room


def test_lines_that_are_given_up_leave_every_figure_and_refuse_what_they_would_be_needed_for(quiet_home: Home) -> None:
    quiet_home.furnish(extra="retention: {lines: 92d}")
    old = today() - timedelta(days=200)
    lines = lines_worth("7", day=old.strftime("%Y%m%d")) + lines_worth("3", first=2)
    path = quiet_home.drop(lines, exported=today() - timedelta(hours=2))
    quiet_home.call("once")
    before = report(quiet_home, "day", old.strftime("%Y-%m"))
    daemon = quiet_home.start()
    quiet_home.until(lambda: "lines_given_up" in daemon.log())
    assert daemon.stop() == 0
    with closing(sqlite3.connect(quiet_home.state)) as state:
        days = "SELECT period, length(packed) FROM statement_day JOIN content ON digest = content"
        sizes = dict(state.execute(days))
    assert sizes[old.strftime("%Y-%m")] == 0 < sizes[this_month()]
    assert report(quiet_home, "day", old.strftime("%Y-%m")) == before
    month = old.strftime("%Y-%m")
    assert "were removed by `retention`" in quiet_home.call("export", "focus", "--month", month, expect=75).stderr
    assert [row["usage"] for row in quiet_home.json("report", "--month", month, "--usage")["details"]] == [None]
    removed = f"Usage is not shown: the lines of {old:%Y-%m-%d} were removed by `retention`."
    assert removed in quiet_home.call("report", "--month", month, "--usage").stdout
    assert "all days are equal" in quiet_home.call("ledger", "verify").stdout
    again = quiet_home.drop(lines_worth("8", day=old.strftime("%Y%m%d")), exported=today() - timedelta(hours=1))
    quiet_home.call("once", expect=65)
    why = (quiet_home.inbox / "rejected" / f"{again.name}.why.txt").read_text()
    assert "whose lines were removed by `retention`" in why
    assert report(quiet_home, "day", month) == before
    assert statement_of(quiet_home, path.name)
