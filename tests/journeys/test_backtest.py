"""What `backtest` says would have been sent is what the program sent: the same notifications at the same times."""

from __future__ import annotations

import shutil
from datetime import date, datetime
from pathlib import Path

import pytest

from home import TRAINING, ZONE
from past_month import DAY, MonthHome, Told, told_of, written
from servers_postgres import PostgresServer
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.settings import load
from spendwatch.state import opened_store

FIRST = date(2026, 8, 28)
BALANCE = ", remind: 2d, first: [workspace], balance: {from: manual, cash: 900.00, floors: [500.00], runway: [3d]}"
QUIET = '{from: "15:00", to: "08:00"}'
SPENT = ("1", "1.5", "52", "2", "2.5", "2", "1", "3", "9", "9", "9", "14", "20", "30", "20", "40")
SILENT = {4, 5, 6}
"""The exports that do not come."""
SPAN = ("--from", "2026-08-28", "--to", "2026-09-15")
KINDS = {
    ("spend.threshold_reached", "fired"),
    ("spend.threshold_reached", "repeated"),
    ("spend.forecast", "fired"),
    ("spend.corrected", "fired"),
    ("spend.late", "fired"),
    ("spend.first_cost", "fired"),
    ("bills.stale", "fired"),
    ("bills.stale", "repeated"),
    ("alert.resolved", "resolved"),
    ("bills.rejected", "fired"),
    ("balance.low", "fired"),
    ("balance.low", "repeated"),
    ("balance.recovered", "resolved"),
}


def at(day: int, hour: int = 10, month: int = 9) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=ZONE)


def furnish(home: MonthHome, *, budget: str = "100.00", extra: str = "", most: int = 9) -> None:
    home.furnish(account=BALANCE, stale_after="30h", extra=extra)
    main = home.folder / "spendwatch.yaml"
    main.write_text(
        main.read_text().replace("{type: console}", f"{{type: console, max_messages: {most}, quiet_hours: {QUIET}}}")
    )
    home.watch(budget=budget, more="thresholds: [50%, 80%, 100%, forecast 100%]\nremind: 3d")
    home.watch(TRAINING, budget="60", name="Training")


def live(home: MonthHome, reader: ReadingProcess) -> list[Told]:
    """Let the program live through two weeks: exports of all so far, a silence, a refused file, a correction, a top-up."""
    home.now = datetime(2026, 8, 28, 8, tzinfo=ZONE)
    with home.running(reader) as month:
        month.collect()
        days = [(FIRST + number * DAY, amount) for number, amount in enumerate(SPENT)]
        for number in (number for number in range(len(SPENT)) if number not in SILENT):
            month.pass_to(datetime(2026, 8, 29, 10, tzinfo=ZONE) + number * DAY)
            lines = [home.day_lines(day, amount) for day, amount in days[: number + 1]]
            lines += [home.day_lines(day, "5", workspace=TRAINING) for day, _ in days[: number + 1]]
            lines += [home.day_lines(day, "31", workspace="llm-other", product="ecs") for day, _ in days[: number + 1]]
            month.drop(lines)
        month.pass_to(at(13, 18))
        home.put("broken.csv", b"neither, this\nnor, that\n")
        month.collect()
        month.pass_to(at(14))
        late = home.day_lines(date(2026, 8, 30), "7", workspace="llm-late")
        new = home.day_lines(date(2026, 9, 13), "3", workspace="llm-late")
        month.drop([home.day_lines(FIRST + 15 * DAY, "-60"), late, new])
        main = home.folder / "spendwatch.yaml"
        main.write_text(main.read_text().replace("cash: 900.00", "cash: 2900.00"))
        month.app.reload()
        month.pass_to(at(15, 12))
        return month.said()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, shared_reader: ReadingProcess) -> tuple[Path, list[Told]]:
    """Where the program has lived, and what it said."""
    home = MonthHome(tmp_path_factory.mktemp("lived") / "home")
    furnish(home)
    return home.folder, live(home, shared_reader)


@pytest.fixture
def home(lived: tuple[Path, list[Told]], tmp_path: Path) -> MonthHome:
    """A copy of it."""
    return MonthHome(Path(shutil.copytree(lived[0], tmp_path / "home")), now=at(15, 12))


@pytest.fixture
def said(lived: tuple[Path, list[Told]]) -> list[Told]:
    return lived[1]


def test_the_past_is_replayed_as_it_was(home: MonthHome, said: list[Told]) -> None:
    assert {(kind, why) for _, _, kind, why, _ in said} == KINDS
    before = written(home.folder)
    found = home.backtest(*SPAN)
    assert told_of(found) == said
    assert (found["added"], found["dropped"], found["changed"], found["left_aside"]) == ([], [], [], 0)
    assert found["notes"] == ["the first bill on record came on 2026-08-29 10:00: nothing is known of the time before"]
    assert written(home.folder) == before


@pytest.mark.postgres
def test_so_it_is_from_a_server_and_with_digests(
    tmp_path: Path, postgres_server: PostgresServer, shared_reader: ReadingProcess
) -> None:
    postgres_server.execute("CREATE DATABASE backtest")
    home = MonthHome(tmp_path / "home")
    furnish(home, extra=f"state: {postgres_server.url('backtest')}", most=2)
    said = live(home, shared_reader)
    assert ("alerts.digest", "digest") in {(kind, why) for _, _, kind, why, _ in said}
    assert told_of(home.backtest(*SPAN)) == said


def test_what_was_told_earlier_is_not_told_again(home: MonthHome, said: list[Told]) -> None:
    found = home.backtest("--from", "2026-09-10", "--to", "2026-09-15")
    assert told_of(found) == [one for one in said if one[0] >= "2026-09-10"]
    assert (found["added"], found["dropped"], found["notes"]) == ([], [], [])


def test_another_policy_is_shown_beside_what_was_sent(home: MonthHome, said: list[Told], tmp_path: Path) -> None:
    other = MonthHome(tmp_path / "other")
    furnish(other, budget="200.00")
    found = home.backtest(*SPAN, "--policy", str(other.folder))
    told = told_of(found)
    assert {one[1] for one in told if one[2] != "spend.threshold_reached"} >= {one[1] for one in said if "balance" in one[2]}
    dropped = [one["subject"] for one in found["dropped"]]
    assert any("119% of its September 2026 budget (CNY 119.50 of 100.00)" in subject for subject in dropped), dropped
    added = [one["subject"] for one in found["notifications"] if one["id"] in found["added"]]
    assert any("of 200.00" in subject for subject in added), added
    shown = home.call("backtest", *SPAN, "--policy", str(other.folder)).stdout
    assert "Would have been sent, and was not:" in shown
    assert "Was sent, and would not have been:" in shown
    assert "Notifications by channel, and by week from its Monday on:" in shown


def test_lines_that_were_given_up_are_read_from_the_archived_files(home: MonthHome, said: list[Told]) -> None:
    give_up(home)
    assert told_of(home.backtest(*SPAN)) == said


def test_without_archived_files_it_says_how_far_back_it_is_exact(home: MonthHome, said: list[Told]) -> None:
    give_up(home)
    shutil.rmtree(home.inbox / "done")
    found = home.backtest(*SPAN)
    (_, note) = found["notes"]
    assert note.startswith("exact only after 2026-09-14 10:00: ")
    later = "2026-09-14T11"
    assert [one for one in told_of(found) if one[0] > later] == [one for one in said if one[0] > later]


def give_up(home: MonthHome) -> None:
    """Give up the lines of August, as `retention` does."""
    with opened_store(load(home.folder)) as store:
        assert store.ledger.give_up_lines(date(2026, 9, 1))


def test_wrong_turns_are_answered(home: MonthHome, tmp_path: Path) -> None:
    assert "give either --month, or --from and --to" in home.call("backtest", "--month", "2026-09", *SPAN, expect=2).stderr
    assert "no spendwatch.yaml is there" in home.call("backtest", "--policy", str(tmp_path / "nowhere"), expect=78).stderr
    shown = home.call("backtest", "--month", "2026-07").stdout
    assert "0 notifications would have been sent" in shown
    assert "nothing is known of the time before" in shown
