"""What lay on a shelf long enough can be forgotten, and what still lies there can be found again; nothing else is touched."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from drop_folder import Inbox, mounted, open_descriptors
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.sources.files.originals import KeptOriginal
from spendwatch.sources.files.tree import Place, make_way

TICK = 0.02
"""Longer than one tick of the kernel's file clock."""


def moment() -> datetime:
    """Return a moment that is later than everything before and earlier than everything after it, by the file clock, too."""
    threading.Event().wait(TICK)
    now = datetime.fromtimestamp(time.time(), UTC)
    threading.Event().wait(TICK)
    return now


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    inbox = Inbox(tmp_path, recursive=True)
    inbox.clock = lambda: datetime.fromtimestamp(time.time(), UTC)
    return inbox


def settle(inbox: Inbox, *names: str, shelf: str = "done") -> None:
    for name in names:
        inbox.drop(name, f"a\n{name}\n")
    inbox.look()
    inbox.seconds += 10
    for file in inbox.source.arrivals(inbox.clock()):
        if shelf == "done":
            inbox.source.keep(file)
        else:
            inbox.source.reject(file, f"{file.name} is nonsense")


def on_shelves(inbox: Inbox) -> list[str]:
    shelves = (inbox.path / "done", inbox.path / "rejected")
    return sorted(str(path.relative_to(inbox.path)) for shelf in shelves for path in shelf.rglob("*"))


# --- forgetting


def test_what_was_put_away_before_is_removed_and_what_came_later_stays(inbox: Inbox) -> None:
    settle(inbox, "x.csv", "20260914/x.csv")
    settle(inbox, "y.csv", "20260914/y.csv", shelf="rejected")
    before = moment()
    settle(inbox, "x.csv", "20260915/x.csv")
    settle(inbox, "z.csv", shelf="rejected")
    assert inbox.source.forget_originals(before) == 4
    assert on_shelves(inbox) == [
        "done/20260915",
        "done/20260915/x.csv",
        "done/x.2.csv",
        "rejected/z.csv",
        "rejected/z.csv.why.txt",
    ]
    assert inbox.source.forget_originals(before) == 0


def test_the_moment_is_that_of_the_move_and_never_a_time_that_the_bill_carries(inbox: Inbox) -> None:
    for name, seconds in (("old.csv", 0), ("young.csv", 4_000_000_000)):
        os.utime(inbox.drop(name), (seconds, seconds))
    threading.Event().wait(TICK)
    before_the_move = moment()
    inbox.kept()
    assert inbox.source.forget_originals(before_the_move) == 0
    assert inbox.source.forget_originals(moment()) == 2


def test_a_file_that_lay_in_the_folder_for_long_counts_from_its_move_on(inbox: Inbox) -> None:
    inbox.drop("20260914/x.csv")
    after_its_last_change = moment()
    inbox.kept()
    assert inbox.source.forget_originals(after_its_last_change) == 0


def test_reasons_go_with_what_they_are_about_and_are_not_counted(inbox: Inbox) -> None:
    settle(inbox, "x.csv", "push/x.csv", shelf="rejected")
    settle(inbox, "x.csv", shelf="rejected")
    (inbox.path / "rejected" / "push" / "x.csv.why.txt").write_text("touched by somebody", encoding="utf-8")
    before = moment()
    (inbox.path / "rejected" / "push" / "x.csv.why.txt").write_text("touched again", encoding="utf-8")
    assert inbox.source.forget_originals(before) == 3
    assert on_shelves(inbox) == []


def test_in_done_a_file_named_like_a_reason_is_an_original(inbox: Inbox) -> None:
    settle(inbox, "x.csv", "x.csv.why.txt")
    before = moment()
    settle(inbox, "y.csv")
    assert inbox.source.forget_originals(before) == 2
    assert on_shelves(inbox) == ["done/y.csv"]


def test_names_that_were_reserved_by_a_dead_process_go_and_are_not_counted(inbox: Inbox) -> None:
    settle(inbox, "x.csv")
    (inbox.path / "done" / "y.csv").touch()
    assert inbox.source.forget_originals(moment()) == 1
    assert on_shelves(inbox) == []


def test_emptied_folders_of_the_shelf_go_and_the_others_and_the_pushes_stay(inbox: Inbox) -> None:
    settle(inbox, "2026/08/x.csv", "2026/09/x.csv")
    (inbox.path / "done" / "2025" / "12").mkdir(parents=True)
    before = moment()
    settle(inbox, "2026/09/y.csv")
    (inbox.path / "done" / "2026" / "10").mkdir()
    assert inbox.source.forget_originals(before) == 2
    assert on_shelves(inbox) == ["done/2026", "done/2026/09", "done/2026/09/y.csv", "done/2026/10"]
    assert (inbox.path / "2026" / "08").is_dir()


def test_without_shelves_there_is_nothing_to_forget_and_nothing_is_made(inbox: Inbox) -> None:
    inbox.drop("x.csv")
    with capture_logs() as logs:
        assert inbox.source.forget_originals(moment()) == 0
    assert logs == []
    assert [path.name for path in inbox.path.iterdir()] == ["x.csv"]


def test_a_missing_folder_is_a_trouble_of_the_source(inbox: Inbox) -> None:
    inbox.path.rmdir()
    with pytest.raises(SourceUnavailableError):
        inbox.source.forget_originals(moment())


def test_what_has_not_been_settled_yet_is_never_touched(inbox: Inbox) -> None:
    names = ("x.csv", "push/x.csv", "push/done/x.csv", ".hidden/x.csv", "x.part")
    for name in names:
        inbox.drop(name)
    assert inbox.source.forget_originals(moment()) == 0
    assert all((inbox.path / name).is_file() for name in names)


def test_from_a_folder_where_nothing_may_be_moved_nothing_is_removed(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, recursive=True, move=False)
    inbox.drop("done/x.csv")
    inbox.drop("push/x.csv")
    inbox.kept()
    assert inbox.source.forget_originals(moment()) == 0
    assert sorted(str(path.relative_to(inbox.path)) for path in inbox.path.rglob("*.csv")) == ["done/x.csv", "push/x.csv"]


def _link(place: Path) -> None:
    place.symlink_to(place.parents[2] / "outside" / "x.csv")


def _link_to_folder(place: Path) -> None:
    place.symlink_to(place.parents[2] / "outside")


@pytest.mark.parametrize("make", [_link, _link_to_folder, os.mkfifo])
@pytest.mark.parametrize("shelf", ["done", "rejected"])
def test_links_and_other_oddities_on_a_shelf_are_left_and_lead_nowhere(
    inbox: Inbox, tmp_path: Path, make: Callable[[Path], None], shelf: str
) -> None:
    outside = tmp_path / "outside" / "x.csv"
    outside.parent.mkdir()
    outside.write_text("precious\n", encoding="utf-8")
    settle(inbox, "push/x.csv", shelf=shelf)
    make(inbox.path / shelf / "odd")
    make(inbox.path / shelf / "x.csv.why.txt")
    assert inbox.source.forget_originals(moment()) == 1
    assert outside.read_text(encoding="utf-8") == "precious\n"
    assert on_shelves(inbox) == [f"{shelf}/odd", f"{shelf}/x.csv.why.txt"]


def test_a_shelf_that_became_a_link_is_told_and_not_followed(inbox: Inbox, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.csv").write_text("precious\n", encoding="utf-8")
    (inbox.path / "done").symlink_to(outside)
    with pytest.raises(SourceUnavailableError, match=r"'done' \(a symbolic link\)"):
        settle(inbox, "y.csv", shelf="rejected")
    with capture_logs() as logs:
        assert inbox.source.forget_originals(moment()) == 1
    assert [entry["event"] for entry in logs] == ["original_not_forgotten", "originals_forgotten"]
    assert (outside / "x.csv").exists()


def test_a_hard_link_on_the_shelf_loses_only_its_name_there(inbox: Inbox, tmp_path: Path) -> None:
    settle(inbox, "x.csv")
    os.link(inbox.path / "done" / "x.csv", tmp_path / "also.csv")
    assert inbox.source.forget_originals(moment()) == 1
    assert (tmp_path / "also.csv").read_text(encoding="utf-8") == "a\nx.csv\n"


def test_a_shelf_that_cannot_be_written_is_told_once_and_the_other_is_tidied(inbox: Inbox) -> None:
    settle(inbox, "x.csv")
    settle(inbox, "y.csv", shelf="rejected")
    for _ in mounted(inbox.path / "done", "--bind", "-o", "ro", str(inbox.path / "done")):
        with capture_logs() as logs:
            assert inbox.source.forget_originals(moment()) == 1
        assert [(entry["event"], entry.get("reason")) for entry in logs] == [
            ("original_not_forgotten", "Read-only file system"),
            ("originals_forgotten", None),
        ]
    assert on_shelves(inbox) == ["done/x.csv"]


def test_whatever_the_clock_of_the_folder_says_our_own_record_of_the_move_counts(inbox: Inbox) -> None:
    """A share may stamp files by another machine's clock, or not at all when they move."""
    settle(inbox, "x.csv", "push/x.csv")
    before = moment()
    settle(inbox, "y.csv")
    for path in (inbox.path / "done").rglob("*.csv"):
        path.chmod(0o600)
    assert inbox.source.forget_originals(before) == 2
    assert on_shelves(inbox) == ["done/y.csv"]


def test_what_is_not_on_record_as_it_lies_there_is_not_removed(inbox: Inbox) -> None:
    settle(inbox, "x.csv", "y.csv")
    (inbox.path / "done" / "x.csv").write_text("a\nx.csv\nmore\n", encoding="utf-8")
    (inbox.path / "done" / "z.csv").write_text("laid there by somebody\n", encoding="utf-8")
    assert inbox.source.forget_originals(moment()) == 1
    assert on_shelves(inbox) == ["done/x.csv", "done/z.csv"]


def test_forgetting_while_files_are_put_away_into_the_same_folder_loses_none(inbox: Inbox) -> None:
    """An emptied folder goes in the very moment in which another file is about to come into it."""
    stop = threading.Event()
    removed = 0

    def forget() -> None:
        nonlocal removed
        while not stop.is_set():
            removed += inbox.source.forget_originals(datetime.fromtimestamp(time.time(), UTC))

    thread = threading.Thread(target=forget)
    with capture_logs() as logs:
        thread.start()
        try:
            for number in range(60):
                settle(inbox, f"push/{number}.csv")
        finally:
            stop.set()
            thread.join()
    left = [path for path in (inbox.path / "done").rglob("*") if path.is_file() and path.stat().st_size]
    assert removed
    assert removed + len(left) == 60
    assert {entry["event"] for entry in logs} <= {"originals_forgotten"}


def test_a_folder_into_which_a_file_is_about_to_come_is_not_removed_as_empty(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox.path / "done" / "push").mkdir(parents=True)
    inbox.drop("push/x.csv")
    (file,) = inbox.settled()
    before = moment()
    has_way = threading.Event()

    def slowly(folder: int, name: str) -> tuple[Place, str]:
        found = make_way(folder, name)
        has_way.set()
        threading.Event().wait(0.3)
        return found

    monkeypatch.setattr("spendwatch.sources.files.shelves.make_way", slowly)
    thread = threading.Thread(target=inbox.source.keep, args=(file,))
    thread.start()
    has_way.wait()
    inbox.source.forget_originals(before)
    thread.join()
    assert on_shelves(inbox) == ["done/push", "done/push/x.csv"]


def test_forgetting_leaks_no_descriptor_and_leaves_no_trace(inbox: Inbox) -> None:
    settle(inbox, *(f"{number}/deep/er/x.csv" for number in range(20)))
    before = open_descriptors()
    assert inbox.source.forget_originals(moment() - timedelta(days=400)) == 0
    assert inbox.source.forget_originals(moment()) == 20
    assert open_descriptors() == before
    assert on_shelves(inbox) == []


# --- finding again


def texts(inbox: Inbox) -> dict[str, str]:
    return {one.name: one.path.read_text(encoding="utf-8") for one in inbox.source.originals() if one.path}


def test_what_was_kept_is_found_again_with_its_bytes(inbox: Inbox) -> None:
    settle(inbox, "x.csv", "20260914/x.csv", "20260915/x.csv")
    settle(inbox, "bad.csv", shelf="rejected")
    inbox.drop("new.csv")
    assert texts(inbox) == {
        "x.csv": "a\nx.csv\n",
        "20260914/x.csv": "a\n20260914/x.csv\n",
        "20260915/x.csv": "a\n20260915/x.csv\n",
    }


def test_of_a_folder_where_nothing_is_moved_what_the_ledger_has_is_found_again(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, recursive=True, move=False)
    settle(inbox, "x.csv", "push/x.csv")
    settle(inbox, "bad.csv", shelf="rejected")
    inbox.drop("new.csv")
    inbox.look()
    inbox.restarted()
    assert sorted(texts(inbox)) == ["push/x.csv", "x.csv"]


def test_each_is_open_until_the_next_is_asked_for(inbox: Inbox) -> None:
    settle(inbox, "x.csv", "y.csv")
    found = inbox.source.originals()
    first = next(found)
    assert first.path is not None
    (inbox.path / "done" / first.name).rename(inbox.path / "done" / "z.csv")
    assert first.path.read_text(encoding="utf-8") == f"a\n{first.name}\n"
    second = next(found)
    assert second.path is not None
    assert second.path.read_text(encoding="utf-8") == f"a\n{second.name}\n"


def test_finding_changes_nothing(inbox: Inbox) -> None:
    settle(inbox, "x.csv", "push/x.csv")
    before = {path: path.stat() for path in inbox.path.rglob("*")}
    list(inbox.source.originals())
    after = {path: path.stat() for path in inbox.path.rglob("*")}
    assert {path: (seen.st_ctime_ns, seen.st_size) for path, seen in after.items()} == {
        path: (seen.st_ctime_ns, seen.st_size) for path, seen in before.items()
    }


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(inbox: Inbox, tmp_path: Path) -> None:
    settle(inbox, "x.csv", "y.csv", "push/x.csv")
    (tmp_path / "secret").write_text("for other eyes\n", encoding="utf-8")
    os.link(tmp_path / "secret", inbox.path / "done" / "hard.csv")
    (inbox.path / "done" / "y.csv").unlink()
    (inbox.path / "done" / "y.csv").symlink_to(tmp_path / "secret")
    os.mkfifo(inbox.path / "done" / "fifo.csv")
    (inbox.path / "done" / "reserved.csv").touch()
    deep = "/".join("d" * 18)
    (inbox.path / "done" / deep).mkdir(parents=True)
    found = {one.name: one for one in inbox.source.originals()}
    assert sorted(name for name, one in found.items() if one.path) == ["push/x.csv", "x.csv"]
    assert {name: one.trouble for name, one in found.items() if not one.path} == {
        "hard.csv": "a hard link: the file has 2 names",
        "y.csv": "a symbolic link",
        "fifo.csv": "not a regular file",
        "/".join("d" * 17) + "/": "more than 16 folders deep",
    }


@pytest.mark.parametrize("move", [True, False])
def test_that_not_all_folders_are_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, move: bool) -> None:
    inbox = Inbox(tmp_path, recursive=True, move=move)
    settle(inbox, *(f"{number}/x.csv" for number in range(5)))
    monkeypatch.setattr("spendwatch.sources.files.tree.MOST_FOLDERS", 3)
    found = list(inbox.source.originals())
    assert [bool(one.path) for one in found] == [True, True, True, False]
    assert found[-1].trouble.endswith("folders below it: not all are read")


def test_without_a_shelf_nothing_is_found(inbox: Inbox) -> None:
    assert list(inbox.source.originals()) == []


def test_a_shelf_that_became_a_link_is_told(inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.csv").write_text("a\n", encoding="utf-8")
    (inbox.path / "done").symlink_to(tmp_path / "outside")
    assert list(inbox.source.originals()) == [KeptOriginal("done/", None, "Not a directory")]


def test_another_process_may_look_while_the_source_is_at_work(inbox: Inbox) -> None:
    settle(inbox, "x.csv")
    inbox.drop("y.csv")
    (held,) = inbox.settled()
    at_work = inbox.source
    assert texts(inbox) == {"x.csv": "a\nx.csv\n"}
    inbox.restarted()
    assert texts(inbox) == {"x.csv": "a\nx.csv\n"}
    assert held.path.exists()
    at_work.keep(held)
    assert sorted(texts(inbox)) == ["x.csv", "y.csv"]


def test_finding_leaks_no_descriptor(inbox: Inbox) -> None:
    settle(inbox, *(f"{number}/x.csv" for number in range(20)))
    os.mkfifo(inbox.path / "done" / "fifo")
    before = open_descriptors()
    list(inbox.source.originals())
    broken_off = inbox.source.originals()
    next(broken_off)
    del broken_off
    assert open_descriptors() == before
