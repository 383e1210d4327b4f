"""A drop folder whose ledger was begun anew, or comes from a backup: what is not on record is read again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from drop_folder import NOW, SETTLE, STRANGER, Inbox, mounted
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.statement import SourceName
from spendwatch.sources.folder.source import FolderSource
from spendwatch.store.opening import open_database
from spendwatch.store.source_memory import SourceMemory


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "inbox" / "done").mkdir(parents=True)
    yield from mounted(tmp_path / "inbox" / "done", "-t", "tmpfs", "tmpfs")


def keep_all(inbox: Inbox) -> list[str]:
    return sorted(inbox.kept())


def archived(inbox: Inbox) -> dict[str, str]:
    """Archive two bills, and return what lies in the archive."""
    inbox.drop("a.csv", "a,b\n1,2\n")
    inbox.drop("b.csv", "a,b\n3,4\n")
    assert keep_all(inbox) == ["a.csv", "b.csv"]
    return inbox.held_in("done")


def test_a_ledger_that_is_older_than_the_archive_is_given_what_it_lacks(inbox: Inbox) -> None:
    kept = archived(inbox)
    backup = inbox.memory.backup()
    inbox.drop("c.csv", "a,b\n5,6\n")
    inbox.drop("bad.csv")
    for file in inbox.settled():
        if file.name == "c.csv":
            inbox.source.keep(file)
        else:
            inbox.source.reject(file, "no known layout")
    inbox.look()
    inbox.memory.restore(backup)
    inbox.restarted()
    with capture_logs() as logs:
        assert keep_all(inbox) == ["c.csv"]
    assert [(entry["event"], entry["count"]) for entry in logs] == [("archived_files_read_again", 1)]
    assert inbox.held_in("done") == {**kept, "c.csv": "a,b\n5,6\n"}
    assert sorted(inbox.held_in("rejected")) == ["bad.csv", "bad.csv.why.txt"]
    inbox.restarted()
    assert inbox.settled() == []


def test_a_ledger_begun_anew_is_given_all_that_was_kept(inbox: Inbox) -> None:
    kept = archived(inbox)
    inbox.memory.begin_anew()
    inbox.restarted()
    assert keep_all(inbox) == ["a.csv", "b.csv"]
    assert inbox.held_in("done") == kept
    inbox.restarted()
    assert inbox.settled() == []


def test_a_ledger_that_has_what_was_kept_is_given_nothing_again(inbox: Inbox) -> None:
    archived(inbox)
    inbox.memory.remember(SourceName("other"), {"what": "ever"})
    for _ in range(3):
        inbox.restarted()
        assert inbox.settled() == []


def test_another_ledger_is_noticed_whatever_was_entered_into_it_before(inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = Inbox(tmp_path / "elsewhere")
    other.drop("a.csv", "x\n1\n")
    other.drop("b.csv", "x\n22\n")
    keep_all(other)
    archived(inbox)
    inbox.memory.restore(other.memory.backup())
    assert keep_all(inbox) == ["a.csv", "b.csv"]
    assert inbox.settled() == []


def test_a_ledger_that_goes_back_while_the_daemon_runs_is_noticed(inbox: Inbox) -> None:
    backup = inbox.memory.backup()
    archived(inbox)
    assert inbox.settled() == []
    inbox.memory.restore(backup)
    assert keep_all(inbox) == ["a.csv", "b.csv"]


def test_a_process_that_is_killed_while_files_are_brought_back_goes_on_with_the_rest(inbox: Inbox) -> None:
    kept = archived(inbox)
    inbox.memory.begin_anew()
    (inbox.path / "done" / "b.csv").rename(inbox.path / "b.csv")
    inbox.restarted()
    assert keep_all(inbox) == ["a.csv", "b.csv"]
    assert inbox.held_in("done") == kept
    inbox.restarted()
    assert inbox.settled() == []


def test_a_process_that_is_killed_between_the_move_and_the_record_has_the_file_read_again(inbox: Inbox) -> None:
    inbox.drop("a.csv")
    program = (
        STRANGER
        + """
source = FolderSource("inbox", place / "inbox", timedelta(0), lambda: 0.0, memory=memory)
assert not list(source.arrivals(datetime.now(UTC)))
for file in source.arrivals(datetime.now(UTC)):
    source.keep(file)
    os.kill(os.getpid(), 9)
"""
    )
    subprocess.run([sys.executable, "-c", program, str(inbox.path.parent)], check=False)
    assert list(inbox.held_in("done")) == ["a.csv"]
    inbox.restarted()
    assert keep_all(inbox) == ["a.csv"]
    inbox.restarted()
    assert inbox.settled() == []


def test_what_is_brought_back_overwrites_nothing(inbox: Inbox) -> None:
    archived(inbox)
    inbox.drop("a.csv", "a,b\n5,6\n")
    inbox.memory.begin_anew()
    inbox.restarted()
    assert len(keep_all(inbox)) == 3
    assert sorted(inbox.held_in("done").values()) == ["a,b\n1,2\n", "a,b\n3,4\n", "a,b\n5,6\n"]


def test_files_of_sub_folders_come_back_to_their_places(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, recursive=True)
    inbox.drop("20260914/a.csv")
    inbox.drop("20260915/a.csv")
    keep_all(inbox)
    inbox.memory.begin_anew()
    inbox.restarted()
    assert keep_all(inbox) == ["20260914/a.csv", "20260915/a.csv"]
    inbox.memory.begin_anew()
    inbox.recursive = False
    inbox.restarted()
    with capture_logs() as logs:
        assert keep_all(inbox) == []
    assert [entry["event"] for entry in logs] == ["archived_files_read_again", "file_not_brought_back"]
    assert sorted(inbox.held_in("done")) == ["20260914/a.csv", "20260915/a.csv"]


def test_what_cannot_be_brought_back_stays_in_the_archive_is_told_once_and_is_tried_again(
    other_disk: Path, tmp_path: Path
) -> None:
    (other_disk / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "inbox").rename(tmp_path / "real")
    inbox = Inbox(tmp_path)
    inbox.path.rmdir()
    (tmp_path / "real").rename(inbox.path)
    with capture_logs() as logs:
        assert (inbox.settled(), inbox.settled()) == ([], [])
    assert [entry["event"] for entry in logs] == ["archived_files_read_again", "file_not_brought_back"]
    assert inbox.held_in("done") == {"a.csv": "a,b\n1,2\n"}
    subprocess.run(["umount", str(inbox.path / "done")], check=True)
    (inbox.path / "done" / "a.csv").write_text("a,b\n1,2\n")
    assert [file.name for file in inbox.settled()] == ["a.csv"]
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(inbox.path / "done")], check=True)


def test_an_archive_that_comes_from_a_backup_is_not_read_again(inbox: Inbox) -> None:
    archived(inbox)
    subprocess.run(["cp", "-a", str(inbox.path / "done"), str(inbox.path.parent / "copy")], check=True)
    for path in (inbox.path / "done").iterdir():
        path.unlink()
        (inbox.path.parent / "copy" / path.name).rename(path)
    inbox.restarted()
    assert inbox.settled() == []


def test_what_was_written_to_while_the_daemon_was_down_is_read_again(inbox: Inbox) -> None:
    archived(inbox)
    with (inbox.path / "done" / "a.csv").open("a", encoding="utf-8") as file:
        file.write("7,8\n")
    inbox.restarted()
    assert inbox.texts(inbox.settled()) == [("a.csv", "a,b\n1,2\n7,8\n")]


@pytest.mark.parametrize("name", [".spendwatch.revision", ".spendwatch.revision.new"])
def test_a_note_that_an_earlier_version_left_is_of_no_meaning(name: str, inbox: Inbox) -> None:
    archived(inbox)
    (inbox.path / name).write_text(f"7-{'a' * 16}\n")
    inbox.restarted()
    assert inbox.settled() == []


def test_a_source_is_opened_while_the_ledger_cannot_be_asked_and_goes_on_when_it_can(inbox: Inbox) -> None:
    database = open_database(str(inbox.memory.path))
    memory = SourceMemory(database)
    inbox.drop("a.csv")
    source = FolderSource(SourceName("inbox"), inbox.path, SETTLE, lambda: inbox.seconds, memory=memory)
    database.close()
    inbox.memory.path.rename(inbox.memory.path.with_name("away"))
    inbox.memory.path.mkdir()
    with pytest.raises(LedgerUnavailableError):
        list(source.arrivals(NOW))
    inbox.memory.path.rmdir()
    inbox.memory.path.with_name("away").rename(inbox.memory.path)
    inbox.source = source
    assert inbox.kept() == ["a.csv"]
    assert list(inbox.held_in("done")) == ["a.csv"]
