"""A drop folder gives what has come to rest, puts away what is done with, and survives its disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from drop_folder import IS_ROOT, NOW, Inbox, mounted, open_descriptors
from scratch_memory import ScratchMemory
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.failure import Failure
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.folder.settings import FolderConfig
from spendwatch.sources.folder.source import FolderSource


def _replaced_by_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _renamed(path: Path) -> None:
    path.rename(path.with_name("other.csv"))


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "tiny", "-t", "tmpfs", "-o", "size=256k", "tmpfs")


# --- when a file is ready


def test_a_file_is_offered_once_it_did_not_change_for_the_settle_time(inbox: Inbox) -> None:
    inbox.drop("bill.csv")
    assert inbox.look() == []
    assert inbox.look_after(9.9) == []
    (file,) = inbox.look_after(0.1)
    assert (file.name, file.size, file.source, file.arrived_at) == ("bill.csv", 8, "inbox", NOW)
    assert file.path.read_text(encoding="utf-8") == "a,b\n1,2\n"


def test_one_look_is_never_enough_however_long_the_pause(inbox: Inbox) -> None:
    inbox.drop("bill.csv")
    inbox.seconds += 1_000_000
    assert inbox.look() == []


def test_even_without_a_settle_time_a_file_is_looked_at_twice(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, settle=timedelta(0))
    inbox.drop("bill.csv")
    assert inbox.look() == []
    assert len(inbox.look()) == 1


def test_each_change_starts_the_settle_time_anew(inbox: Inbox) -> None:
    path = inbox.drop("bill.csv")
    inbox.look()
    for _ in range(5):
        with path.open("a", encoding="utf-8") as file:
            file.write("3,4\n")
        assert inbox.look_after(60) == []
    assert len(inbox.look_after(10)) == 1


def test_a_file_time_in_the_future_or_the_past_changes_nothing(inbox: Inbox) -> None:
    for name, moment in (("past.csv", 0), ("future.csv", 4_000_000_000)):
        os.utime(inbox.drop(name), (moment, moment))
    assert [file.name for file in inbox.settled()] == ["past.csv", "future.csv"]


def test_a_touch_without_new_bytes_counts_as_a_change(inbox: Inbox) -> None:
    path = inbox.drop("bill.csv")
    inbox.look()
    seen = path.stat()
    path.write_text("a,b\n9,9\n", encoding="utf-8")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert inbox.look_after(10) == [], "the same size and time, but the inode was changed"
    assert inbox.texts(inbox.look_after(10)) == [("bill.csv", "a,b\n9,9\n")]


def test_the_oldest_file_comes_first(inbox: Inbox) -> None:
    for age, name in enumerate(("c.csv", "a.csv", "b.csv")):
        os.utime(inbox.drop(name), (1_700_000_000 + age, 1_700_000_000 + age))
    assert [file.name for file in inbox.settled()] == ["c.csv", "a.csv", "b.csv"]


def test_a_text_file_without_a_last_newline_waits_and_is_offered_when_nothing_more_comes(inbox: Inbox) -> None:
    inbox.drop("bill.csv", "a,b\n1,2")
    inbox.look()
    assert inbox.look_after(10) == []
    assert inbox.look_after(89.9) == []
    assert inbox.texts(inbox.look_after(0.1)) == [("bill.csv", "a,b\n1,2")]


def test_with_a_short_settle_time_a_cut_file_still_waits_a_minute(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, settle=timedelta(seconds=1))
    inbox.drop("bill.csv", "a,b\n1,2")
    inbox.look()
    assert inbox.look_after(59.9) == []
    assert len(inbox.look_after(0.1)) == 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "gb18030"])
def test_a_newline_is_known_in_every_encoding_of_the_provider(inbox: Inbox, encoding: str) -> None:
    (inbox.path / "bill.csv").write_bytes("账单,金额\n1,2\n".encode(encoding))
    assert len(inbox.settled()) == 1


@pytest.mark.parametrize("name", ["bill.zip", "bill.XLSX", "bill.csv.gz"])
def test_packed_files_need_no_newline(inbox: Inbox, name: str) -> None:
    (inbox.path / name).write_bytes(b"PK\x03\x04")
    assert [file.name for file in inbox.settled()] == [name]


def test_answers_of_the_api_are_complete_with_their_last_bracket(inbox: Inbox) -> None:
    inbox.drop("page.json", '{"Data": [')
    assert inbox.settled() == []
    inbox.drop("page.json", '{"Data": []}\n  ')
    inbox.drop("pages.JSON", "[{}]")
    assert sorted(file.name for file in inbox.settled()) == ["page.json", "pages.JSON"]


def test_an_empty_file_is_a_placeholder_until_it_is_filled(inbox: Inbox) -> None:
    path = inbox.drop("bill.csv", "")
    with capture_logs() as logs:
        for _ in range(10):
            assert inbox.look_after(100_000) == []
    assert logs == []
    path.write_text("a\n1\n", encoding="utf-8")
    assert len(inbox.settled()) == 1


TEMPORARY = (
    ".hidden.csv",
    "~$bill.xlsx",
    "b.csv.part",
    "b.tmp",
    "B.CRDOWNLOAD",
    "b.download",
    "b.partial",
    "b.filepart",
    ".b.swp",
)


@pytest.mark.parametrize("name", [*TEMPORARY, "b.csv~"])
def test_names_of_unfinished_files_are_passed_over_in_silence(inbox: Inbox, name: str) -> None:
    inbox.drop(name)
    with capture_logs() as logs:
        assert inbox.settled() == []
    assert logs == []


def test_a_file_renamed_into_place_settles_under_its_new_name(inbox: Inbox) -> None:
    part = inbox.drop("bill.csv.part")
    inbox.look()
    part.rename(inbox.path / "bill.csv")
    assert inbox.look_after(10) == []
    assert len(inbox.look_after(10)) == 1


def test_our_own_and_all_other_folders_are_passed_over(inbox: Inbox) -> None:
    inbox.drop("bill.csv")
    assert inbox.kept() == ["bill.csv"]
    for name in ("rejected", "x.csv"):
        (inbox.path / name).mkdir()
        (inbox.path / name / "bill.csv").write_text("a\n1\n", encoding="utf-8")
    assert inbox.settled() == []
    assert "1 thing there cannot be read: 'x.csv/' (a sub-folder that is not read); set recursive: true" in inbox.unread


def test_a_sub_folder_in_which_nothing_lies_that_could_be_a_bill_is_no_trouble(inbox: Inbox) -> None:
    for name in ("empty", "lost+found", "@eaDir", ".snapshot", "noise"):
        (inbox.path / name).mkdir()
    (inbox.path / "noise" / "Thumbs.db").write_bytes(b"x")
    (inbox.path / "@eaDir" / "x.csv").write_bytes(b"x")
    inbox.settled()
    assert not inbox.unread


def test_the_folder_of_another_source_may_lie_within(inbox: Inbox) -> None:
    inbox.drop("others/pushes/x.csv")
    inbox.others = (inbox.path / "others" / "pushes", inbox.path)
    inbox.settled()
    assert not inbox.unread


def test_what_goes_with_bills_is_left_alone_without_a_word(inbox: Inbox) -> None:
    names = [
        "x.csv.md5",
        "x.csv.SHA256",
        "x.csv.ok",
        "_SUCCESS",
        "desktop.ini",
        "Thumbs.db",
        ".DS_Store",
        "MD5SUMS",
    ]
    for name in names:
        inbox.drop(name, "whatever")
    with capture_logs() as logs:
        for _ in range(5):
            assert inbox.look_after(3600) == []
    assert (logs, inbox.unread) == ([], "")
    assert sorted(path.name for path in inbox.path.iterdir()) == sorted(names)
    inbox.drop("_SUCCESSFUL.csv")
    assert [file.name for file in inbox.settled()] == ["_SUCCESSFUL.csv"]


# --- where a file is read


@pytest.mark.parametrize("replace", [Path.unlink, _replaced_by_a_link, _renamed])
def test_what_is_given_is_the_file_itself_whatever_its_name_leads_to_meanwhile(
    inbox: Inbox, replace: Callable[[Path], object]
) -> None:
    path = inbox.drop("bill.csv", "a,b\n1,2\n")
    (file,) = inbox.settled()
    replace(path)
    command = [sys.executable, "-c", "import sys; sys.stdout.write(open(sys.argv[1]).read())", str(file.path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "a,b\n1,2\n", "in any process of ours"
    assert file.as_settled == tuple(Identity.of(file.path.stat()))[:4] + (file.as_settled or (0,))[4:]


def test_files_are_opened_only_when_they_are_asked_for(inbox: Inbox) -> None:
    for number in range(5):
        inbox.drop(f"{number}.csv")
    inbox.look()
    inbox.seconds += 10
    before = open_descriptors()
    arrivals = iter(inbox.source.arrivals(NOW))
    first = next(arrivals)
    beside = open_descriptors() - before
    inbox.source.keep(first)
    second = next(arrivals)
    assert open_descriptors() - before == beside
    inbox.source.keep(second)
    assert open_descriptors() - before == beside - 1


@pytest.mark.parametrize("settled_by", ["keep", "reject", "leave"])
def test_a_file_is_closed_when_it_is_settled(inbox: Inbox, settled_by: str) -> None:
    inbox.drop("bill.csv")
    inbox.look()
    before = open_descriptors()
    (file,) = inbox.look_after(10)
    settle: dict[str, Callable[[], None]] = {
        "keep": lambda: inbox.source.keep(file),
        "reject": lambda: inbox.source.reject(file, "why"),
        "leave": lambda: inbox.source.leave(file),
    }
    settle[settled_by]()
    settle[settled_by]()
    assert open_descriptors() == before


def test_a_sparse_giant_is_told_and_does_not_hold_up_the_others(inbox: Inbox) -> None:
    with inbox.drop("giant.zip").open("r+b") as file:
        file.truncate(1 << 42)
    inbox.drop("bill.csv")
    assert [file.name for file in inbox.settled()] == ["bill.csv"]
    assert "'giant.zip' (larger than 64 GB)" in inbox.unread


# --- putting away


def test_a_kept_file_moves_into_done_with_its_bytes(inbox: Inbox) -> None:
    inbox.drop("bill.csv", "a\n1\n")
    (file,) = inbox.settled()
    inbox.source.keep(file)
    assert not (inbox.path / "bill.csv").exists()
    assert inbox.held_in("done") == {"bill.csv": "a\n1\n"}
    assert inbox.settled() == []


def test_a_rejected_file_has_its_reason_beside_it(inbox: Inbox) -> None:
    inbox.drop("bill.csv", "a\n1\n")
    (file,) = inbox.settled()
    inbox.source.reject(file, "line 2, column Cost: not a number: 'x' (accepted: 1.25)")
    assert inbox.held_in("rejected") == {
        "bill.csv": "a\n1\n",
        "bill.csv.why.txt": "line 2, column Cost: not a number: 'x' (accepted: 1.25)\n",
    }


def test_nothing_in_done_is_ever_overwritten(inbox: Inbox) -> None:
    for number in range(4):
        inbox.drop("bill.csv", f"a\n{number}\n")
        (file,) = inbox.settled()
        inbox.source.keep(file)
    assert inbox.held_in("done") == {
        "bill.csv": "a\n0\n",
        "bill.2.csv": "a\n1\n",
        "bill.3.csv": "a\n2\n",
        "bill.4.csv": "a\n3\n",
    }


def test_two_rejected_twins_keep_their_own_reasons(inbox: Inbox) -> None:
    for number in range(2):
        inbox.drop("bill.csv", f"a\n{number}\n")
        (file,) = inbox.settled()
        inbox.source.reject(file, f"why {number}")
    held = inbox.held_in("rejected")
    assert held["bill.csv.why.txt"] == "why 0\n"
    assert held["bill.2.csv.why.txt"] == "why 1\n"


@pytest.mark.parametrize("replace", ["rename", "rewrite", "same size and time"])
def test_a_file_replaced_after_it_was_copied_is_left_to_be_found_anew(inbox: Inbox, replace: str) -> None:
    path = inbox.drop("bill.csv", "a\n1\n")
    (file,) = inbox.settled()
    match replace:
        case "rename":
            (inbox.path / "new.tmp").write_text("a\n2\n", encoding="utf-8")
            (inbox.path / "new.tmp").rename(path)
        case "rewrite":
            path.write_text("a\n2\n", encoding="utf-8")
        case _:
            seen = path.stat()
            path.write_text("a\n2\n", encoding="utf-8")
            os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    inbox.source.keep(file)
    assert path.read_text(encoding="utf-8") == "a\n2\n"
    assert inbox.texts(inbox.settled()) == [("bill.csv", "a\n2\n")]


def test_a_file_that_vanished_before_it_was_kept_is_no_trouble(inbox: Inbox) -> None:
    path = inbox.drop("bill.csv")
    (file,) = inbox.settled()
    path.unlink()
    with capture_logs() as logs:
        inbox.source.keep(file)
        assert inbox.settled() == []
    assert logs == []


def test_the_same_name_with_new_bytes_is_offered_again(inbox: Inbox) -> None:
    for text in ("a\n1\n", "a\n1\n2\n"):
        inbox.drop("bill.csv", text)
        (file,) = inbox.settled()
        assert file.path.read_text(encoding="utf-8") == text
        inbox.source.keep(file)


def test_a_left_file_is_offered_again_after_pauses_that_grow(inbox: Inbox) -> None:
    inbox.drop("bill.csv")
    (file,) = inbox.settled()
    for pause in (10, 20, 40, 80):
        inbox.source.leave(file)
        assert inbox.look_after(pause - 0.1) == []
        (file,) = inbox.look_after(0.2)


def test_the_pause_of_a_left_file_never_exceeds_an_hour(inbox: Inbox) -> None:
    inbox.drop("bill.csv")
    (file,) = inbox.settled()
    for _ in range(40):
        inbox.source.leave(file)
        (file,) = inbox.look_after(3600)


def test_a_left_file_that_changes_is_offered_without_a_pause(inbox: Inbox) -> None:
    path = inbox.drop("bill.csv")
    (file,) = inbox.settled()
    for _ in range(5):
        inbox.source.leave(file)
        (file,) = inbox.look_after(3600)
    inbox.source.leave(file)
    path.write_text("a\n5\n", encoding="utf-8")
    assert len(inbox.settled()) == 1


def test_a_file_that_nobody_settled_is_offered_again(inbox: Inbox) -> None:
    inbox.drop("bill.csv")
    (first,) = inbox.settled()
    (again,) = inbox.look_after(10) or inbox.look_after(10)
    assert again.name == first.name


def test_a_folder_that_cannot_be_written_is_told_once_and_its_files_are_not_offered_twice(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    for number in range(3):
        inbox.drop(f"{number}.csv")
    for _ in mounted(inbox.path, "--bind", "-o", "ro", str(inbox.path)):
        with capture_logs() as logs:
            files = inbox.settled()
            assert len(files) == 3
            for file in files:
                inbox.source.keep(file)
            for _ in range(5):
                assert inbox.look_after(4000) == []
        assert [(entry["event"], entry["reason"]) for entry in logs] == [("original_not_moved", "Read-only file system")]
    (inbox.path / "1.csv").write_text("a\n7\n", encoding="utf-8")
    assert inbox.texts(inbox.settled()) == [("1.csv", "a\n7\n")]


def test_a_done_folder_on_another_disk_is_told_and_the_bill_stays(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    inbox.drop("bill.csv")
    for done in mounted(inbox.path / "done", "-t", "tmpfs", "tmpfs"):
        (file,) = inbox.settled()
        with capture_logs() as logs:
            inbox.source.keep(file)
        assert [entry["reason"] for entry in logs] == ["Invalid cross-device link"]
        assert list(done.iterdir()) == [], "the reserved name is given back"
        assert inbox.look_after(4000) == []
    assert (inbox.path / "bill.csv").exists()


def test_a_rename_that_took_place_but_reported_an_error_counts_as_done(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.rename

    def like_a_network_disk(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        really(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        raise FileNotFoundError(2, "No such file or directory")

    inbox.drop("bill.csv", "a\n1\n")
    (file,) = inbox.settled()
    monkeypatch.setattr(os, "rename", like_a_network_disk)
    with capture_logs() as logs:
        inbox.source.keep(file)
    assert logs == []
    assert inbox.held_in("done") == {"bill.csv": "a\n1\n"}


def test_a_writer_that_goes_on_after_a_long_pause_gets_its_file_read_again(inbox: Inbox) -> None:
    with (inbox.path / "bill.csv").open("w", encoding="utf-8") as writer:
        writer.write("a\n1\n")
        writer.flush()
        (file,) = inbox.settled()
        inbox.source.keep(file)
        writer.write("2\n")
        writer.flush()
        with capture_logs() as logs:
            inbox.look()
        assert [entry["event"] for entry in logs] == ["file_brought_back"]
    assert inbox.texts(inbox.look_after(10)) == [("bill.csv", "a\n1\n2\n")]


def test_a_rejected_file_that_grows_comes_back_without_its_old_reason(inbox: Inbox) -> None:
    with (inbox.path / "bill.csv").open("w", encoding="utf-8") as writer:
        writer.write("a\n1\n")
        writer.flush()
        (file,) = inbox.settled()
        inbox.source.reject(file, "cut off")
        writer.write("2\n")
    inbox.look()
    assert inbox.held_in("rejected") == {}
    assert inbox.texts(inbox.look_after(10)) == [("bill.csv", "a\n1\n2\n")]


def test_what_comes_back_overwrites_nothing(inbox: Inbox) -> None:
    with (inbox.path / "bill.csv").open("w", encoding="utf-8") as writer:
        writer.write("a\n1\n")
        writer.flush()
        (file,) = inbox.settled()
        inbox.source.keep(file)
        writer.write("2\n")
    inbox.drop("bill.csv", "a\n3\n")
    files = inbox.texts(inbox.settled())
    assert sorted(files) == [("bill.2.csv", "a\n1\n2\n"), ("bill.csv", "a\n3\n")]


# --- the folder itself


def test_a_missing_folder_is_told_nothing_is_made_and_it_recovers_by_itself(inbox: Inbox) -> None:
    inbox.path.rmdir()
    with pytest.raises(SourceUnavailableError, match=r"the folder .*inbox cannot be read: No such file or directory"):
        inbox.look()
    assert not inbox.path.exists()
    inbox.path.mkdir()
    inbox.drop("bill.csv")
    assert len(inbox.settled()) == 1


def test_a_folder_that_is_replaced_is_followed(inbox: Inbox) -> None:
    inbox.drop("bill.csv", "a\n1\n")
    inbox.look()
    inbox.path.rename(inbox.path.with_name("old"))
    inbox.path.mkdir()
    inbox.drop("bill.csv", "a\n2\n")
    assert inbox.look_after(10) == []
    assert inbox.texts(inbox.look_after(10)) == [("bill.csv", "a\n2\n")]


def test_a_folder_that_is_a_file_is_told(inbox: Inbox) -> None:
    inbox.path.rmdir()
    inbox.path.write_text("oops", encoding="utf-8")
    with pytest.raises(SourceUnavailableError, match="Not a directory"):
        inbox.look()


def test_an_unmounted_folder_is_no_trouble_for_a_file_in_hand(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    held: list[BillFile] = []
    for _ in mounted(inbox.path, "-t", "tmpfs", "tmpfs"):
        inbox.drop("bill.csv")
        held = inbox.settled()
    inbox.source.keep(held[0])
    assert inbox.settled() == []


@pytest.mark.parametrize("is_restarted", [False, True])
def test_an_unmounted_folder_is_no_empty_one(tmp_path: Path, *, is_restarted: bool) -> None:
    inbox = Inbox(tmp_path)
    for _ in mounted(inbox.path, "-t", "tmpfs", "tmpfs"):
        inbox.drop("bill.csv")
        inbox.kept()
    if is_restarted:
        inbox.restarted()
    for _ in range(2):
        with pytest.raises(SourceUnavailableError, match=r"gone from .*inbox: mount it again; .* mkdir done") as raised:
            inbox.look()
        assert raised.value.trouble is Failure.GONE
    (inbox.path / "done").mkdir()
    inbox.drop("bill.csv")
    assert len(inbox.settled()) == 1


def test_a_folder_at_another_path_may_be_empty(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    inbox.drop("bill.csv")
    inbox.kept()
    inbox.look()
    inbox.path = tmp_path / "another"
    inbox.path.mkdir()
    inbox.restarted()
    assert inbox.settled() == []


def test_a_removed_folder_while_a_file_is_in_hand_is_told(inbox: Inbox) -> None:
    path = inbox.drop("bill.csv")
    (file,) = inbox.settled()
    path.unlink()
    inbox.path.rmdir()
    with capture_logs() as logs:
        inbox.source.keep(file)
    assert [entry["event"] for entry in logs] == ["original_not_moved"]


@pytest.mark.parametrize(("mode", "is_told"), [(0o755, False), (0o775, False), (0o1777, False), (0o777, True), (0o757, True)])
def test_a_folder_into_which_anybody_may_write_is_told_once(inbox: Inbox, mode: int, *, is_told: bool) -> None:
    inbox.path.chmod(mode)
    with capture_logs() as logs:
        for _ in range(3):
            inbox.look()
    assert [entry["event"] for entry in logs] == ["folder_open_to_others"] * is_told


@pytest.mark.skipif(not IS_ROOT, reason="only root gives files away")
def test_a_folder_of_a_stranger_is_told_once(inbox: Inbox) -> None:
    os.chown(inbox.path, 12345, 0)
    with capture_logs() as logs:
        for _ in range(3):
            inbox.look()
    assert [entry["reason"] for entry in logs] == ["it belongs to the user with the id 12345"]


# --- many files, real writers


def _kept_in_one_pass(inbox: Inbox) -> set[str]:
    names = set()
    for file in inbox.source.arrivals(NOW):
        inbox.source.keep(file)
        names.add(file.name)
    return names


def test_ten_thousand_files_are_given_batch_by_batch_without_loss(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    for number in range(10_000):
        (inbox.path / f"{number}.csv").write_bytes(b"a\n1\n")
    started = time.thread_time()
    inbox.look()
    look = time.thread_time() - started
    inbox.seconds += 10
    names: set[str] = set()
    batches = 0
    while batch := _kept_in_one_pass(inbox):
        assert len(batch) <= 1000
        assert not names & batch
        names |= batch
        batches += 1
    print(f"\n10,000 files: one look {look * 1000:.0f} ms; copied and kept in {time.thread_time() - started:.1f} s")
    assert len(names) == 10_000
    assert batches == 10
    assert len(list((inbox.path / "done").iterdir())) == 10_000
    assert look < 2


def _write_slowly(path: Path, lines: int, pause: float, *, cut: bool) -> None:
    with path.open("w", encoding="utf-8", buffering=1) as file:
        for number in range(lines):
            if cut:
                file.write(f"{number},")
                file.flush()
                threading.Event().wait(pause)
            file.write("1.25\n" if cut else f"{number},1.25\n")
            threading.Event().wait(pause)


@pytest.mark.parametrize(("pause", "cut"), [(0.0, False), (0.01, True), (0.05, True), (0.2, False), (0.2, True)])
def test_a_slow_writer_never_has_half_a_line_read_and_the_last_reading_is_whole(
    tmp_path: Path, pause: float, *, cut: bool
) -> None:
    path = tmp_path / "inbox"
    path.mkdir()
    source = FolderSource(
        SourceName("inbox"),
        path,
        timedelta(milliseconds=80),
        time.monotonic,
        memory=ScratchMemory(tmp_path / "ledger.db"),
    )
    lines = max(5, min(200, int(1 / pause))) if pause else 50_000
    writer = threading.Thread(target=_write_slowly, args=(path / "bill.csv", lines, pause), kwargs={"cut": cut})
    writer.start()
    readings: list[list[str]] = []
    deadline = time.monotonic() + 120
    whole = [f"{number},1.25" for number in range(lines)]
    while (not readings or readings[-1] != whole) and time.monotonic() < deadline:
        for file in source.arrivals(NOW):
            readings.append(file.path.read_text(encoding="utf-8").splitlines())
            source.keep(file)
        threading.Event().wait(0.02)
    writer.join()
    assert readings[-1] == whole
    for reading in readings:
        assert reading == whole[: len(reading)], "a reading is always a beginning of the truth, cut at a line"


# --- the configuration


def test_the_settings_arrive_as_text(tmp_path: Path) -> None:
    config = FolderConfig.model_validate({"type": "folder", "path": str(tmp_path), "poll": "1m", "settle": "0s"})
    assert (config.poll, config.settle, config.stale_after) == (timedelta(minutes=1), timedelta(0), timedelta(hours=26))


@pytest.mark.parametrize(
    "wrong",
    [
        {"poll": "0s"},
        {"poll": "30"},
        {"poll": 30},
        {"settle": "-1s"},
        {"setle": "1s"},
        {"path": ""},
        {"poll": "999999d" * 2000},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FolderConfig.model_validate({"type": "folder", "path": "inbox", **wrong})


def test_the_schema_speaks_of_durations_as_they_are_written() -> None:
    schema = FolderConfig.model_json_schema()
    assert schema["properties"]["poll"]["type"] == "string"
    assert schema["properties"]["poll"]["default"] == "30s"
    assert schema["properties"]["stale_after"]["default"] == "26h"
