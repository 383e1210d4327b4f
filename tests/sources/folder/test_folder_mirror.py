"""A folder from which nothing may be moved: what was read is remembered, and whatever may happen to the memory does no harm."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from drop_folder import NOW, STRANGER, Inbox, mounted, open_descriptors
from spendwatch.domain.errors import LedgerUnavailableError, SourceUnavailableError
from spendwatch.domain.statement import SourceName
from spendwatch.sources.folder import in_place, source


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path, recursive=True, move=False)


def tree_of(inbox: Inbox) -> list[str]:
    return sorted(str(path.relative_to(inbox.path)) for path in inbox.path.rglob("*"))


# --- what is left where it is


def test_what_is_kept_or_rejected_stays_and_is_not_offered_again(inbox: Inbox) -> None:
    inbox.drop("20260915/good.csv")
    inbox.drop("20260915/bad.csv")
    before = tree_of(inbox)
    for file in inbox.settled():
        if file.name.endswith("good.csv"):
            inbox.source.keep(file)
        else:
            inbox.source.reject(file, "nonsense")
    assert tree_of(inbox) == before
    for _ in range(5):
        assert inbox.look_after(4000) == []


def test_why_a_file_was_rejected_stands_in_the_log(inbox: Inbox) -> None:
    inbox.drop("push/bad.csv")
    (file,) = inbox.settled()
    with capture_logs() as logs:
        inbox.source.reject(file, "bad.csv was refused.\n\n  line 2: no amount\n")
    assert [(entry["event"], entry["name"], entry["why"]) for entry in logs] == [
        ("original_rejected", "push/bad.csv", "bad.csv was refused.\n\n  line 2: no amount\n")
    ]


def test_a_mount_that_cannot_be_written_is_as_good_as_any(inbox: Inbox) -> None:
    inbox.drop("push/x.csv")
    for _ in mounted(inbox.path, "--bind", "-o", "ro", str(inbox.path)):
        with capture_logs() as logs:
            assert inbox.kept() == ["push/x.csv"]
            inbox.restarted()
            assert inbox.settled() == []
        assert logs == []


def test_without_sub_folders_it_works_too(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, move=False)
    inbox.drop("x.csv")
    inbox.drop("push/x.csv")
    assert inbox.kept() == ["x.csv"]
    assert inbox.settled() == []


def test_shelves_of_an_earlier_time_are_not_entered(inbox: Inbox) -> None:
    inbox.drop("done/x.csv")
    inbox.drop("rejected/x.csv.why.txt")
    assert inbox.settled() == []


def test_a_left_file_is_offered_again(inbox: Inbox) -> None:
    inbox.drop("push/x.csv")
    (file,) = inbox.settled()
    inbox.source.leave(file)
    assert len(inbox.look_after(10)) == 1


# --- what is offered again


def _rewrite(path: Path) -> None:
    path.write_text("a,b\n9,9\n", encoding="utf-8")


def _rewrite_and_set_the_time_back(path: Path) -> None:
    seen = path.stat()
    path.write_text("a,b\n9,9\n", encoding="utf-8")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _replace(path: Path) -> None:
    new = path.with_suffix(".tmp")
    new.write_text("a,b\n9,9\n", encoding="utf-8")
    new.rename(path)


def _grow(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("3,4\n")


@pytest.mark.parametrize("is_restarted", [True, False])
@pytest.mark.parametrize("change", [_rewrite, _rewrite_and_set_the_time_back, _replace, _grow, Path.touch])
def test_a_file_that_changed_is_offered_again(inbox: Inbox, change: Callable[[Path], None], *, is_restarted: bool) -> None:
    path = inbox.drop("push/x.csv")
    inbox.drop("push/y.csv")
    assert sorted(inbox.kept()) == ["push/x.csv", "push/y.csv"]
    change(path)
    if is_restarted:
        inbox.restarted()
    assert inbox.texts(inbox.settled()) == [("push/x.csv", path.read_text(encoding="utf-8"))]


def test_a_file_that_is_replaced_while_it_is_read_is_offered_again(inbox: Inbox) -> None:
    path = inbox.drop("push/x.csv")
    (file,) = inbox.settled()
    _replace(path)
    inbox.source.keep(file)
    assert inbox.texts(inbox.settled()) == [("push/x.csv", "a,b\n9,9\n")]


def test_the_same_bytes_under_another_name_are_offered(inbox: Inbox) -> None:
    path = inbox.drop("20260914/x.csv")
    inbox.kept()
    (inbox.path / "20260915").mkdir()
    path.rename(inbox.path / "20260915" / "x.csv")
    assert inbox.kept() == ["20260915/x.csv"]


def test_thirty_pushes_of_one_month_are_each_read_once_across_thirty_starts(inbox: Inbox) -> None:
    name = "1000000000000001_2688801000001_consumeDetailBillV2_202609.csv"
    for day in range(1, 31):
        inbox.drop(f"push-202609{day:02}/{name}", "a\n" + "1\n" * day)
        assert inbox.kept() == [f"push-202609{day:02}/{name}"]
        inbox.restarted()


# --- the memory


def test_a_restart_reads_nothing_again(inbox: Inbox) -> None:
    for number in range(50):
        inbox.drop(f"{number % 7}/{number}.csv")
    files = inbox.settled()
    for file in files[:10]:
        inbox.source.reject(file, "nonsense")
    for file in files[10:]:
        inbox.source.keep(file)
    inbox.look()
    inbox.restarted()
    assert inbox.settled() == []


def test_a_mount_that_comes_back_with_another_device_number_is_known(inbox: Inbox, tmp_path: Path) -> None:
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    devices = set()
    blocker = tmp_path / "other"
    with blocker.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(blocker)], check=True)
    for _ in mounted(inbox.path, "-o", "loop", str(image)):
        inbox.drop("push/x.csv")
        devices.add(inbox.path.stat().st_dev)
        assert inbox.kept() == ["push/x.csv"]
    for _ in mounted(tmp_path / "first", "-o", "loop", str(blocker)):
        for _ in mounted(inbox.path, "-o", "loop", str(image)):
            devices.add(inbox.path.stat().st_dev)
            inbox.restarted()
            assert inbox.settled() == []
    assert len(devices) == 2


def test_a_ledger_that_lacks_what_was_read_is_given_it_again(inbox: Inbox) -> None:
    """It comes from a backup: it may lack what was read since, and its figures would be too low."""
    inbox.drop("1/x.csv")
    inbox.kept()
    backup = inbox.memory.backup()
    inbox.drop("2/x.csv")
    inbox.kept()
    for is_restarted in (True, False):
        inbox.memory.restore(backup)
        if is_restarted:
            inbox.restarted()
        assert inbox.kept() == ["2/x.csv"]
        assert inbox.settled() == []


def test_a_ledger_begun_anew_is_given_everything_again(inbox: Inbox) -> None:
    inbox.drop("1/x.csv")
    inbox.drop("2/x.csv")
    inbox.kept()
    inbox.memory.begin_anew()
    inbox.restarted()
    assert sorted(inbox.kept()) == ["1/x.csv", "2/x.csv"]
    inbox.restarted()
    assert inbox.settled() == []


def test_a_refused_file_is_tried_again_by_another_version_of_the_program(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.drop("good.csv")
    inbox.drop("bad.csv")
    for file in inbox.settled():
        if file.name == "good.csv":
            inbox.source.keep(file)
        else:
            inbox.source.reject(file, "no known layout")
    inbox.look()
    inbox.restarted()
    assert inbox.settled() == []
    monkeypatch.setattr(source, "__version__", "99.0")
    inbox.restarted()
    assert inbox.kept() == ["bad.csv"]


@pytest.mark.parametrize("is_restarted", [True, False])
def test_a_refused_file_is_tried_again_by_a_reader_that_was_told_more(inbox: Inbox, *, is_restarted: bool) -> None:
    inbox.drop("good.csv")
    inbox.drop("bad.csv")
    for file in inbox.settled():
        if file.name == "good.csv":
            inbox.source.keep(file)
        else:
            inbox.source.reject(file, "of an account that is not known")
    assert inbox.settled() == []
    inbox.hints = "one account more"
    if is_restarted:
        inbox.restarted()
    assert inbox.kept() == ["bad.csv"]
    inbox.hints = "and another one"
    assert inbox.settled() == [], "what the ledger has, it has"


def test_what_could_not_be_put_on_record_is_put_there_later(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.drop("push/x.csv")
    inbox.look()
    inbox.seconds += 10
    put = inbox.memory.put_originals
    with monkeypatch.context() as broken:
        broken.setattr(inbox.memory, "put_originals", _unavailable)
        with pytest.raises(LedgerUnavailableError):
            _kept_in_one_pass(inbox)
    assert inbox.memory.put_originals == put
    assert inbox.look_after(10) == []
    inbox.restarted()
    assert inbox.settled() == []


def _unavailable(*_: object) -> str:
    msg = "the ledger cannot be reached"
    raise LedgerUnavailableError(msg)


def test_a_folder_that_is_not_mounted_for_a_while_is_not_read_again(inbox: Inbox) -> None:
    for number in range(5):
        inbox.drop(f"{number}/x.csv")
    assert len(inbox.kept()) == 5
    for _ in mounted(inbox.path, "-t", "tmpfs", "tmpfs"):
        inbox.restarted()
        with pytest.raises(SourceUnavailableError, match=r"all that was there is gone from .*: mount it again"):
            inbox.look()
        inbox.drop("somebody else's.csv")
        assert inbox.kept() == ["somebody else's.csv"]
    assert inbox.settled() == []


def test_when_too_much_is_remembered_what_is_gone_is_forgotten(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_place, "MOST_REMEMBERED", 20)
    for round_ in range(10):
        for number in range(15):
            inbox.drop(f"push/{round_}-{number}.csv")
        assert len(inbox.kept()) == 15
        assert inbox.settled() == []
        assert len(list(inbox.memory.originals(SourceName("inbox")))) < 40
        for path in (inbox.path / "push").iterdir():
            path.unlink()


def test_a_folder_that_holds_more_than_can_be_remembered_is_a_trouble_of_the_source(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_place, "MOST_REMEMBERED", 20)
    for number in range(25):
        inbox.drop(f"push/{number}.csv")
    assert len(inbox.kept()) == 25
    for _ in range(3):
        with pytest.raises(SourceUnavailableError, match="holds more than 20 files that were read and may not be moved"):
            inbox.look_after(10)
    for number in range(10):
        (inbox.path / "push" / f"{number}.csv").unlink()
    assert inbox.settled() == []
    inbox.drop("push/new.csv")
    assert inbox.kept() == ["push/new.csv"]


def test_a_killed_process_costs_no_more_than_what_it_settled_in_its_last_half_minute(inbox: Inbox) -> None:
    for number in range(100):
        inbox.drop(f"{number:02}.csv")
    program = (
        STRANGER
        + """
seconds = 0.0
source = FolderSource("inbox", place / "inbox", timedelta(0), lambda: seconds, move=False, memory=memory)
assert not list(source.arrivals(datetime.now(UTC)))
for number, file in enumerate(source.arrivals(datetime.now(UTC))):
    source.keep(file)
    seconds += 1.0
    if number == 70:
        os.kill(os.getpid(), 9)
"""
    )
    subprocess.run([sys.executable, "-c", program, str(inbox.path.parent)], check=False)
    inbox.restarted()
    again = inbox.kept()
    assert 29 <= len(again) <= 29 + 31
    inbox.restarted()
    assert inbox.settled() == []


def test_a_pass_that_is_broken_off_is_written_down(inbox: Inbox) -> None:
    for number in range(10):
        inbox.drop(f"{number}.csv")
    inbox.look()
    inbox.seconds += 10
    arrivals = iter(inbox.source.arrivals(NOW))
    for _ in range(6):
        inbox.source.keep(next(arrivals))
    del arrivals
    inbox.restarted()
    assert len(inbox.kept()) == 4


# --- what it costs


def _kept_in_one_pass(inbox: Inbox) -> int:
    given = 0
    for file in inbox.source.arrivals(NOW):
        inbox.source.keep(file)
        given += 1
    return given


def test_a_restart_on_five_thousand_files_that_are_known_copies_none(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, recursive=True, move=False)
    for folder in range(100):
        (inbox.path / f"{folder}").mkdir()
        for number in range(50):
            (inbox.path / f"{folder}" / f"{number}.csv").write_bytes(b"a\n1\n")
    inbox.look()
    inbox.seconds += 10
    given = 0
    while batch := _kept_in_one_pass(inbox):
        given += batch
    assert given == 5_000
    before = open_descriptors()
    inbox.restarted()
    started = time.thread_time()
    assert inbox.look() == []
    first = time.thread_time() - started
    assert inbox.look_after(10) == []
    print(f"\n5,000 known files: first look after a restart {first:.2f} s")
    assert first < 5
    assert open_descriptors() == before
