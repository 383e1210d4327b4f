"""A drop folder whose ledger was begun anew, or comes from a backup: what was shelved is given again, and nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from drop_folder import NOW, SETTLE, Inbox, mounted
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.kept import NoHistory
from spendwatch.sources.folder.given_again import NOTE
from spendwatch.sources.folder.source import FolderSource


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "inbox" / "done").mkdir(parents=True)
    yield from mounted(tmp_path / "inbox" / "done", "-t", "tmpfs", "tmpfs")


def keep_each(inbox: Inbox) -> list[str]:
    """Keep all that there is, each as another revision of the ledger; return the names."""
    inbox.look()
    inbox.seconds += SETTLE.total_seconds()
    names = []
    for file in inbox.source.arrivals(NOW):
        inbox.past.revision += 1
        inbox.source.keep(file)
        names.append(file.name)
    return sorted(names)


def shelved(inbox: Inbox) -> dict[str, str]:
    """Shelve two bills, and return what lies on the shelf."""
    inbox.drop("a.csv", "a,b\n1,2\n")
    inbox.drop("b.csv", "a,b\n3,4\n")
    assert keep_each(inbox) == ["a.csv", "b.csv"]
    return inbox.held_in("done")


def test_a_ledger_that_is_older_than_the_shelf_is_given_all_that_was_kept_again(inbox: Inbox) -> None:
    kept = shelved(inbox)
    inbox.drop("bad.csv")
    for file in inbox.settled():
        inbox.source.reject(file, "no known layout")
    inbox.past.revision = 1
    inbox.restarted()
    with capture_logs() as logs:
        assert keep_each(inbox) == ["a.csv", "b.csv"]
    assert [(entry["event"], entry["count"]) for entry in logs] == [("shelved_files_given_again", 2)]
    assert inbox.held_in("done") == kept
    assert sorted(inbox.held_in("rejected")) == ["bad.csv", "bad.csv.why.txt"]
    inbox.restarted()
    assert inbox.settled() == []


def test_a_ledger_that_has_what_was_kept_or_more_is_given_nothing_again(inbox: Inbox) -> None:
    shelved(inbox)
    for revision in (2, 3, 40):
        inbox.past.revision = revision
        inbox.restarted()
        assert inbox.settled() == []


def test_a_ledger_begun_anew_that_is_still_smaller_afterwards_is_not_given_everything_at_each_start(inbox: Inbox) -> None:
    shelved(inbox)
    inbox.past.revision = 0
    inbox.restarted()
    inbox.look()
    inbox.seconds += SETTLE.total_seconds()
    for file in inbox.source.arrivals(NOW):
        inbox.past.revision = 1
        inbox.source.keep(file)
    inbox.restarted()
    assert inbox.settled() == []


@pytest.mark.parametrize("changes", [1, 2, 12])
def test_another_ledger_is_noticed_whatever_was_entered_into_it_before(inbox: Inbox, changes: int) -> None:
    shelved(inbox)
    inbox.past.revision, inbox.past.ledger = changes, "b"
    inbox.restarted()
    assert keep_each(inbox) == ["a.csv", "b.csv"]
    inbox.restarted()
    assert inbox.settled() == []


def test_the_first_bills_of_a_ledger_are_given_once(inbox: Inbox) -> None:
    inbox.look()
    shelved(inbox)
    assert inbox.settled() == []
    assert inbox.settled() == []


def test_a_ledger_that_goes_back_while_the_daemon_runs_is_noticed(inbox: Inbox) -> None:
    shelved(inbox)
    assert inbox.settled() == []
    inbox.past.revision = 1
    assert keep_each(inbox) == ["a.csv", "b.csv"]


def test_a_process_that_is_killed_while_files_are_brought_back_begins_anew_whatever_the_ledger_has_got_to(inbox: Inbox) -> None:
    kept = shelved(inbox)
    (inbox.path / NOTE).write_text("all\n")
    (inbox.path / "done" / "b.csv").rename(inbox.path / "b.csv")
    inbox.past.revision = 99
    inbox.restarted()
    assert keep_each(inbox) == ["a.csv", "b.csv"]
    assert inbox.held_in("done") == kept
    inbox.restarted()
    assert inbox.settled() == []


def test_what_is_brought_back_overwrites_nothing(inbox: Inbox) -> None:
    shelved(inbox)
    inbox.drop("a.csv", "a,b\n5,6\n")
    inbox.past.revision = 1
    inbox.restarted()
    assert len(keep_each(inbox)) == 3
    assert sorted(inbox.held_in("done").values()) == ["a,b\n1,2\n", "a,b\n3,4\n", "a,b\n5,6\n"]


def test_files_of_sub_folders_come_back_to_their_places(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, recursive=True)
    inbox.drop("20260914/a.csv")
    inbox.drop("20260915/a.csv")
    keep_each(inbox)
    inbox.past.revision = 1
    inbox.restarted()
    assert keep_each(inbox) == ["20260914/a.csv", "20260915/a.csv"]
    inbox.past.revision, inbox.recursive = 1, False
    inbox.restarted()
    with capture_logs() as logs:
        assert keep_each(inbox) == []
    assert [entry["event"] for entry in logs] == ["shelved_files_given_again", *["file_not_brought_back"] * 2]
    assert sorted(inbox.held_in("done")) == ["20260914/a.csv", "20260915/a.csv"]


def test_what_cannot_be_brought_back_stays_on_the_shelf_is_told_once_and_is_tried_again(
    other_disk: Path, tmp_path: Path
) -> None:
    (tmp_path / "inbox" / NOTE).write_text(f"7-{'a' * 16}\n")
    (other_disk / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "inbox").rename(tmp_path / "real")
    inbox = Inbox(tmp_path)
    inbox.path.rmdir()
    (tmp_path / "real").rename(inbox.path)
    with capture_logs() as logs:
        assert (inbox.settled(), inbox.settled()) == ([], [])
    assert [entry["event"] for entry in logs] == ["shelved_files_given_again", "file_not_brought_back"]
    assert inbox.held_in("done") == {"a.csv": "a,b\n1,2\n"}
    assert (inbox.path / NOTE).read_text() == "all\n"


@pytest.mark.parametrize("said", ["", "\n", "-5\n", "everything\n", "9" * 19, "7\n", "٣\n", "\0", "7-" + "g" * 16])
def test_a_note_that_says_nothing_sensible_brings_nothing_back_and_is_written_anew(inbox: Inbox, said: str) -> None:
    shelved(inbox)
    (inbox.path / NOTE).write_text(said)
    inbox.restarted()
    assert inbox.settled() == []
    inbox.drop("c.csv")
    keep_each(inbox)
    assert (inbox.path / NOTE).read_text() == f"3-{'a' * 16}\n"


def test_a_note_that_is_a_link_or_a_pipe_is_not_read_and_what_it_leads_to_is_not_written(inbox: Inbox, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("77\n")
    shelved(inbox)
    for number, is_link in ((3, True), (4, False)):
        (inbox.path / NOTE).unlink()
        if is_link:
            (inbox.path / NOTE).symlink_to(elsewhere)
        else:
            os.mkfifo(inbox.path / NOTE)
        inbox.restarted()
        assert inbox.settled() == []
        inbox.drop(f"{number}.csv")
        keep_each(inbox)
        assert (inbox.path / NOTE).read_text() == f"{number}-{'a' * 16}\n"
    assert elsewhere.read_text() == "77\n"


def test_a_source_is_opened_and_shelves_while_the_ledger_cannot_be_asked(inbox: Inbox) -> None:
    class Unavailable(NoHistory):
        def mark(self) -> str:
            msg = "no connection"
            raise LedgerUnavailableError(msg)

    inbox.drop("a.csv")
    inbox.source = FolderSource(
        SourceName("inbox"), inbox.path, inbox.spool, SETTLE, lambda: inbox.seconds, history=Unavailable()
    )
    with capture_logs() as logs:
        assert inbox.kept() == ["a.csv"]
    assert [entry["event"] for entry in logs] == ["revision_not_noted"]
    assert list(inbox.held_in("done")) == ["a.csv"]
