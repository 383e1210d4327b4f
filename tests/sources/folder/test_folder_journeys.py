"""Push folders and mirrors with the real program and a real ledger: every push is read once, and one truth comes of them."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from bill_builder import AMOUNT, a_bill, a_line, a_line_id
from home import RESEARCH, Home, this_month

DAY = f"{this_month()}-01"
MONTH = this_month().replace("-", "")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that can only print, and looks into the sub-folders of its inbox."""
    made = Home(tmp_path)
    made.furnish()
    set_source(made, "recursive: true")
    return made


def set_source(home: Home, said: str) -> None:
    path = home.folder / "spendwatch.yaml"
    path.write_text(re.sub(r"path: inbox,.* poll: 1s", f"path: inbox, {said}, poll: 1s", path.read_text()))


def push(home: Home, folder: str, lines: int, name: str = "", *, amount: str = "1.25") -> Path:
    """Put into a folder of its own the month so far: so many lines, each with the id it had before."""
    own_name, content = a_bill(
        [a_line(line_id=a_line_id(number, MONTH), day=DAY, amount=amount) for number in range(lines)],
        exported=f"{MONTH}{lines + 1:02}093012",
    )
    path = home.inbox / folder / (name or own_name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def spend(home: Home) -> str:
    (account,) = home.json("status", expect=0)["accounts"]
    return str(account["spend"])


def statements(home: Home) -> list[tuple[str, str | None, str]]:
    with sqlite3.connect(home.state) as ledger:
        return ledger.execute("SELECT name, exported_at, accounts FROM statement ORDER BY id").fetchall()


def test_pushes_of_one_month_under_one_name_make_one_truth(home: Home) -> None:
    name = push(home, "00", 1).name
    for day in range(2, 8):
        push(home, f"{day:02}", day, name)
    home.call("once")
    assert spend(home) == "8.75"
    assert [said for said, _, _ in statements(home)] == [f"{day:02}/{name}" for day in (0, *range(2, 8))]
    push(home, "08", 8, name)
    home.call("once")
    assert spend(home) == "10"
    assert sorted(path.name for path in (home.inbox / "done").iterdir()) == ["00", *(f"{day:02}" for day in range(2, 9))]


def test_what_a_files_name_tells_is_heard_wherever_it_lies(home: Home) -> None:
    path = push(home, "9999999999999999-20250101000000/deep", 2)
    home.call("once")
    ((said, exported, accounts),) = statements(home)
    assert said == f"9999999999999999-20250101000000/deep/{path.name}"
    assert exported is not None
    assert exported.startswith(f"{this_month()}-03T01:30:12"), "the stamp of the name, in UTC"
    assert json.loads(accounts) == ["1000000000000001"]


def test_a_rehearsal_sees_the_pushes(home: Home) -> None:
    path = push(home, "20260915", 2)
    shown = home.call("once", "--dry-run").stdout
    assert "inbox: 1 file in" in shown
    assert f"20260915/{path.name}: consumedetailbillv2" in shown
    assert path.exists()


def test_a_mirror_is_read_once_across_starts_and_again_by_a_ledger_that_lacks_it(home: Home) -> None:
    set_source(home, "recursive: true, move: false")
    home.watch(RESEARCH, budget="100.00")
    first, second = push(home, "1", 4), push(home, "2", 6)
    broken = home.inbox / "2" / "broken.csv"
    broken.write_bytes(a_bill([a_line(cells={AMOUNT: "one"})])[1])
    assert "bill_recorded" in home.call("once", expect=65).stderr
    assert spend(home) == "7.5"
    again = home.call("once").stderr
    assert "bill_" not in again
    assert [path.exists() for path in (first, second, broken)] == [True, True, True]
    assert not (home.inbox / "rejected").exists()

    backup = home.folder / "backup.db"
    with sqlite3.connect(home.state) as ledger:
        ledger.execute("VACUUM INTO ?", (str(backup),))
    push(home, "3", 8)
    home.call("once")
    assert spend(home) == "10"

    for left in home.state.parent.glob("spendwatch.db*"):
        left.unlink()
    shutil.copy(backup, home.state)
    said = home.call("once").stderr
    assert said.count("bill_recorded") == 1, "the backup lacked the third push alone"
    assert spend(home) == "10"

    for left in home.state.parent.glob("spendwatch.db*"):
        left.unlink()
    home.call("once", expect=65)
    assert spend(home) == "10"


def test_a_mirror_that_is_changed_in_the_configuration_is_not_read_again(home: Home) -> None:
    set_source(home, "recursive: true, move: false")
    push(home, "1", 4)
    home.call("once")
    set_source(home, "recursive: true, move: false, kind: upsert, account: acme")
    assert "bill_" not in home.call("once").stderr


def test_a_refused_file_of_a_mirror_is_tried_again_when_its_account_is_known(home: Home) -> None:
    set_source(home, "recursive: true, move: false")
    path = home.inbox / "1" / "strange.csv"
    path.parent.mkdir()
    path.write_bytes(a_bill([a_line(account="1000000000000002", day=DAY)])[1])
    home.call("once", expect=65)
    assert "bill_" not in home.call("once").stderr
    config = home.folder / "spendwatch.yaml"
    more = '  other: {id: "1000000000000002", site: cn, currency: CNY}\nsources:'
    config.write_text(config.read_text().replace("sources:", more))
    assert "bill_recorded" in home.call("once").stderr


def test_the_daemon_reads_pushes_as_they_come(home: Home) -> None:
    running = home.start()
    try:
        name = push(home, "1", 3).name
        home.until((home.inbox / "done" / "1" / name).exists)
        push(home, "2", 5, name)
        home.until((home.inbox / "done" / "2" / name).exists)
    finally:
        assert running.stop() == 0
    assert spend(home) == "6.25"
