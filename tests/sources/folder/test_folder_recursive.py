"""A drop folder that is looked at with its sub-folders: each file keeps its place, and a folder in trouble stops no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from drop_folder import IS_ROOT, NOW, STRANGER, Inbox, mounted, open_descriptors
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import SourceName
from spendwatch.sources.files import tree
from spendwatch.sources.files.tree import DEEPEST
from spendwatch.sources.folder import listing
from spendwatch.sources.folder.listing import waiting


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path, recursive=True)


# --- what is found


def test_files_are_found_at_any_depth_and_named_by_their_way(inbox: Inbox) -> None:
    for age, name in enumerate(("c.csv", "20260915/b.csv", "2026/09/14/a.csv")):
        os.utime(inbox.drop(name, f"a\n{age}\n"), (1_700_000_000 + age, 1_700_000_000 + age))
    assert inbox.texts(inbox.settled()) == [
        ("c.csv", "a\n0\n"),
        ("20260915/b.csv", "a\n1\n"),
        ("2026/09/14/a.csv", "a\n2\n"),
    ]


def test_without_being_asked_to_no_sub_folder_is_looked_into(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    inbox.drop("20260915/b.csv")
    inbox.drop("c.csv")
    assert [file.name for file in inbox.settled()] == ["c.csv"]


def test_each_file_settles_by_itself(inbox: Inbox) -> None:
    inbox.drop("1/x.csv", "a\n1\n")
    growing = inbox.drop("2/x.csv", "a\n1\n")
    inbox.look()
    growing.write_text("a\n1\n2\n", encoding="utf-8")
    assert inbox.texts(inbox.look_after(10)) == [("1/x.csv", "a\n1\n")]
    assert ("2/x.csv", "a\n1\n2\n") in inbox.texts(inbox.look_after(10))


def test_our_own_shelves_are_never_entered_but_others_of_their_name_are(inbox: Inbox) -> None:
    inbox.drop("x.csv")
    inbox.drop("20260915/x.csv")
    assert sorted(inbox.kept()) == ["20260915/x.csv", "x.csv"]
    for name in ("rejected/x.csv", "push/done/x.csv"):
        inbox.drop(name)
    assert [file.name for file in inbox.settled()] == ["push/done/x.csv"]


def test_a_shelf_is_known_by_more_than_its_name(inbox: Inbox) -> None:
    """Where capitals do not count, `Done` may be our shelf; a mount shows one folder under two names as well."""
    inbox.drop("x.csv")
    assert inbox.kept() == ["x.csv"]
    (inbox.path / "done").chmod(0o755)
    for _ in mounted(inbox.path / "Done", "--bind", str(inbox.path / "done")):
        assert inbox.settled() == []


@pytest.mark.parametrize("name", [".hidden", "~$lock", "push.part", "push.TMP", "push.filepart", "push~", ".snapshot/old"])
def test_folders_that_look_temporary_are_passed_over_in_silence(inbox: Inbox, name: str) -> None:
    inbox.drop(f"{name}/x.csv")
    inbox.drop(f"20260915/{name}/x.csv")
    with capture_logs() as logs:
        assert inbox.settled() == []
    assert logs == []


def test_a_push_that_is_renamed_into_place_settles_under_its_new_name(inbox: Inbox) -> None:
    inbox.drop("20260915.part/x.csv")
    inbox.look()
    (inbox.path / "20260915.part").rename(inbox.path / "20260915")
    assert inbox.look_after(10) == []
    assert [file.name for file in inbox.look_after(10)] == ["20260915/x.csv"]


def test_a_link_to_a_folder_is_told_once_and_not_followed(inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.csv").write_text("a\n1\n", encoding="utf-8")
    inbox.drop("push/good.csv")
    (inbox.path / "push" / "link").symlink_to(tmp_path / "elsewhere")
    with capture_logs() as logs:
        assert inbox.kept() == ["push/good.csv"]
        for _ in range(3):
            assert inbox.look_after(3600) == []
    assert [(entry["event"], entry["name"], entry["reason"]) for entry in logs] == [
        ("file_skipped", "push/link", "a symbolic link")
    ]


def _hard_link(path: Path) -> None:
    secret = path.parents[2] / "secret"
    secret.write_text("for other eyes\n", encoding="utf-8")
    os.link(secret, path)


@pytest.mark.parametrize(
    ("make", "reason"), [(os.mkfifo, "not a regular file"), (_hard_link, "a hard link: the file has 2 names")]
)
def test_oddities_below_are_told_with_their_way(inbox: Inbox, make: Callable[[Path], None], reason: str) -> None:
    inbox.drop("push/good.csv")
    make(inbox.path / "push" / "x.csv")
    with capture_logs() as logs:
        assert [file.name for file in inbox.settled()] == ["push/good.csv"]
        inbox.look()
    assert [(entry["event"], entry["name"], entry["reason"]) for entry in logs] == [("file_skipped", "push/x.csv", reason)]


def test_what_lies_too_deep_is_told_once_and_the_rest_goes_on(inbox: Inbox) -> None:
    deepest = "/".join(str(number) for number in range(DEEPEST))
    inbox.drop(f"{deepest}/x.csv")
    inbox.drop(f"{deepest}/more/x.csv")
    with capture_logs() as logs:
        assert inbox.kept() == [f"{deepest}/x.csv"]
        for _ in range(3):
            assert inbox.look_after(3600) == []
    assert [(entry["event"], entry["name"], entry["reason"]) for entry in logs] == [
        ("folder_skipped", f"{deepest}/more/", "more than 16 folders deep")
    ]


def test_more_folders_than_one_look_enters_are_a_trouble_of_the_source_and_what_was_found_is_given(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MOST_FOLDERS", 5)
    monkeypatch.setattr(listing, "MOST_FOLDERS", 5)
    for number in range(7):
        inbox.drop(f"{number}/x.csv")
    given = inbox.source.arrivals(NOW)
    with pytest.raises(SourceUnavailableError, match=r"inbox has more than 5 folders below it: not all are read"):
        next(iter(given))
    inbox.seconds += 10
    given = iter(inbox.source.arrivals(NOW))
    for _ in range(5):
        inbox.source.keep(next(given))
    with pytest.raises(SourceUnavailableError):
        next(given)
    assert len(inbox.held_in("done")) == 5
    for folder in inbox.path.iterdir():
        if folder.name != "done" and not list(folder.iterdir()):
            folder.rmdir()
    assert len(inbox.kept()) == 2


@pytest.mark.skipif(not IS_ROOT, reason="takes privileges away, which only root has")
def test_an_unreadable_folder_is_told_once_and_the_rest_goes_on(inbox: Inbox) -> None:
    inbox.drop("bad/x.csv")
    inbox.drop("bad too/deep/x.csv")
    inbox.drop("good/x.csv")
    (inbox.path / "bad").chmod(0)
    (inbox.path / "bad too" / "deep").chmod(0o100)
    program = (
        STRANGER
        + """
seconds = 0.0
source = FolderSource("inbox", place / "inbox", timedelta(0), lambda: seconds, recursive=True, memory=memory)
def look():
    global seconds
    seconds += 4000.0
    found = []
    try:
        found.extend(file.name for file in source.arrivals(datetime.now(UTC)))
    except SourceUnavailableError as error:
        troubles.add(str(error))
    return found
troubles = set()
with capture_logs() as logs:
    looks = [look() for _ in range(20)]
print(json.dumps([logs, looks, *troubles]), flush=True)
input()
print(json.dumps([look() for _ in range(3)]))
"""
    )
    with subprocess.Popen(
        ["setpriv", "--bounding-set=-dac_override,-dac_read_search", sys.executable, "-c", program, str(inbox.path.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as stranger:
        assert stranger.stdin is not None
        assert stranger.stdout is not None
        logs, looks, trouble = json.loads(stranger.stdout.readline())
        for folder in ("bad", "bad too/deep"):
            (inbox.path / folder).chmod(0o755)
        stranger.stdin.write("\n")
        stranger.stdin.flush()
        later = json.loads(stranger.stdout.read())
    told = [(entry["event"], entry["name"], entry["reason"]) for entry in logs]
    assert sorted(told) == [
        ("folder_skipped", "bad too/deep/", "Permission denied"),
        ("folder_skipped", "bad/", "Permission denied"),
    ]
    assert "2 things there cannot be read: 'bad too/deep/' (Permission denied), 'bad/' (Permission denied); let the" in trouble
    assert looks[1:].count(["good/x.csv"]) >= 9, "offered, and left lying, in between"
    assert {name for look in later for name in look} == {"good/x.csv", "bad/x.csv", "bad too/deep/x.csv"}


ODD_FOLDERS = [b"two\nlines", b"push\xff\xfe", b"-rf", "账单".encode() * 42, b"x" * 255, b"a..%2f..", b"   ", b"C:\\push"]


@pytest.mark.parametrize("raw", ODD_FOLDERS)
def test_any_name_of_a_folder_is_carried_through_as_data(inbox: Inbox, raw: bytes) -> None:
    for number in range(2):
        push = os.path.join(os.fsencode(inbox.path), raw, raw)  # noqa: PTH118 -- pathlib knows no names of bytes
        os.makedirs(push, exist_ok=True)  # noqa: PTH103 -- as above
        with open(os.path.join(push, b"x.csv"), "wb") as file:  # noqa: PTH118, PTH123 -- as above
            file.write(b"a\n%d\n" % number)
        (bill,) = inbox.settled()
        bill.name.encode("utf-8")
        inbox.source.keep(bill)
    shelf = os.path.join(os.fsencode(inbox.path), b"done", raw, raw)  # noqa: PTH118 -- as above
    assert sorted(os.listdir(shelf)) == [b"x.2.csv", b"x.csv"]  # noqa: PTH208 -- as above


def test_a_rehearsal_sees_the_same_files(inbox: Inbox) -> None:
    for name in ("c.csv", "20260915/b.csv", "done/a.csv", ".hidden/a.csv", "20260915/half.csv.part"):
        inbox.drop(name)
    inbox.drop("empty.csv", "")
    (inbox.path / "link").symlink_to("c.csv")
    found, trouble = waiting(SourceName("inbox"), inbox.path, deep=True)
    assert (found, str(trouble).count("thing")) == (["20260915/b.csv", "c.csv"], 1)
    found, trouble = waiting(SourceName("inbox"), inbox.path, deep=False)
    assert (found, str(trouble).count("'20260915/' (a sub-folder that is not read)")) == (["c.csv"], 1)


# --- the pushes of a subscription


def test_thirty_pushes_of_one_month_under_one_name_are_each_read_once_and_each_keeps_its_place(inbox: Inbox) -> None:
    name = "1000000000000001_2688801000001_consumeDetailBillV2_202609.csv"
    read: list[tuple[str, str]] = []
    for day in range(1, 31):
        inbox.drop(f"push-202609{day:02}/{name}", "a\n" + "".join(f"{line}\n" for line in range(day)))
        for file in inbox.settled():
            read += inbox.texts([file])
            inbox.source.keep(file)
        assert inbox.look_after(3600) == []
    assert [place for place, _ in read] == [f"push-202609{day:02}/{name}" for day in range(1, 31)]
    assert [text.count("\n") - 1 for _, text in read] == list(range(1, 31))
    assert inbox.held_in("done") == dict(read)
    assert sorted(path.name for path in inbox.path.iterdir()) == [
        "done",
        *(f"push-202609{day:02}" for day in range(1, 31)),
    ], "emptied folders are the sync tool's"


def test_thirty_pushes_that_come_at_once_are_given_oldest_first(inbox: Inbox) -> None:
    for day in range(30, 0, -1):
        os.utime(inbox.drop(f"{day:02}/x.csv", f"a\n{day}\n"), (1_700_000_000 + day, 1_700_000_000 + day))
    assert inbox.kept() == [f"{day:02}/x.csv" for day in range(1, 31)]
    assert len(inbox.held_in("done")) == 30


# --- putting away


def test_a_rejected_file_has_its_reason_beside_it_in_the_same_place(inbox: Inbox) -> None:
    inbox.drop("2026/0915/x.csv", "a\n1\n")
    (file,) = inbox.settled()
    inbox.source.reject(file, "nonsense")
    assert inbox.held_in("rejected") == {"2026/0915/x.csv": "a\n1\n", "2026/0915/x.csv.why.txt": "nonsense\n"}
    assert (inbox.path / "2026" / "0915").is_dir(), "emptied folders are the sync tool's"


def test_nothing_on_a_shelf_is_ever_overwritten(inbox: Inbox) -> None:
    for number in range(3):
        inbox.drop("20260915/x.csv", f"a\n{number}\n")
        inbox.kept()
    assert inbox.held_in("done") == {
        "20260915/x.csv": "a\n0\n",
        "20260915/x.2.csv": "a\n1\n",
        "20260915/x.3.csv": "a\n2\n",
    }


def test_a_folder_whose_name_on_the_shelf_is_a_files_gets_a_twin(inbox: Inbox, tmp_path: Path) -> None:
    name = "1000000000000001_BillingItemDetail_20260915"
    inbox.drop(name, "a\n0\n")
    inbox.kept()
    (inbox.path / "done" / "linked").symlink_to(tmp_path)
    inbox.drop(f"{name}/x.csv", "a\n1\n")
    inbox.drop("linked/x.csv", "a\n2\n")
    inbox.kept()
    assert inbox.held_in("done") == {name: "a\n0\n", f"{name}.2/x.csv": "a\n1\n", "linked.2/x.csv": "a\n2\n"}
    assert not (tmp_path / "x.csv").exists()
    inbox.drop(f"{name}/y.csv", "a\n3\n")
    inbox.kept()
    assert inbox.held_in("done")[f"{name}.2/y.csv"] == "a\n3\n", "there is one twin, not one a file"


def test_a_file_named_like_a_folder_on_the_shelf_gets_a_twin(inbox: Inbox) -> None:
    inbox.drop("20260915/x.csv", "a\n0\n")
    inbox.kept()
    (inbox.path / "20260915").rmdir()
    inbox.drop("20260915", "a\n1\n")
    inbox.kept()
    assert inbox.held_in("done") == {"20260915/x.csv": "a\n0\n", "20260915.2": "a\n1\n"}


@pytest.mark.parametrize("trouble", ["the file is replaced", "its folder is replaced", "its folder is a link", "all is gone"])
def test_a_file_that_is_no_longer_that_very_file_is_left(inbox: Inbox, tmp_path: Path, trouble: str) -> None:
    path = inbox.drop("push/x.csv", "a\n1\n")
    (file,) = inbox.settled()
    (inbox.path / "push").rename(tmp_path / "old")
    match trouble:
        case "the file is replaced":
            (tmp_path / "old").rename(inbox.path / "push")
            inbox.drop("new.tmp", "a\n2\n").rename(path)
        case "its folder is replaced":
            inbox.drop("push/x.csv", "a\n2\n")
        case "its folder is a link":
            (inbox.path / "push").symlink_to(tmp_path / "old")
        case _:
            pass
    with capture_logs() as logs:
        inbox.source.keep(file)
    assert logs == []
    assert inbox.held_in("done") == {}
    found = inbox.texts(inbox.settled())
    assert found == ([("push/x.csv", "a\n2\n")] if trouble.endswith("replaced") else [])
    assert trouble == "the file is replaced" or (tmp_path / "old" / "x.csv").exists()


def test_a_folder_that_becomes_a_link_between_the_look_and_the_copy_is_passed_over(inbox: Inbox, tmp_path: Path) -> None:
    inbox.drop("push/x.csv", "a\n1\n")
    inbox.drop("push too/x.csv", "a\n2\n")
    inbox.look()
    inbox.seconds += 10
    arrivals = iter(inbox.source.arrivals(NOW))
    first = next(arrivals)
    other = "push too" if first.name == "push/x.csv" else "push"
    (inbox.path / other).rename(tmp_path / "away")
    (inbox.path / other).symlink_to(tmp_path / "away")
    with capture_logs() as logs:
        assert list(arrivals) == []
    assert logs == []


def test_a_folder_that_cannot_be_written_is_told_once_and_its_files_are_not_offered_twice(inbox: Inbox) -> None:
    inbox.drop("sealed/x.csv")
    inbox.drop("open/x.csv")
    for _ in mounted(inbox.path / "sealed", "--bind", "-o", "ro", str(inbox.path / "sealed")):
        with capture_logs() as logs:
            assert sorted(inbox.kept()) == ["open/x.csv", "sealed/x.csv"]
            for _ in range(3):
                assert inbox.look_after(4000) == []
        assert [entry["event"] for entry in logs] == ["original_not_moved"]
    assert list(inbox.held_in("done")) == ["open/x.csv"]


# --- what grows on the shelf


@pytest.mark.parametrize("shelf", ["done", "rejected"])
@pytest.mark.parametrize("is_push_gone", [True, False])
def test_a_writer_that_goes_on_gets_its_file_read_again_where_it_was(inbox: Inbox, shelf: str, *, is_push_gone: bool) -> None:
    path = inbox.drop("2026/0915/x.csv", "")
    with path.open("w", encoding="utf-8") as writer:
        writer.write("a\n1\n")
        writer.flush()
        (file,) = inbox.settled()
        if shelf == "done":
            inbox.source.keep(file)
        else:
            inbox.source.reject(file, "cut off")
        if is_push_gone:
            path.parent.rmdir()
            path.parent.parent.rmdir()
        writer.write("2\n")
        writer.flush()
        with capture_logs() as logs:
            inbox.look()
        assert [(entry["event"], entry["name"]) for entry in logs] == [("file_brought_back", "2026/0915/x.csv")]
    assert inbox.held_in(shelf) == {}
    assert inbox.texts(inbox.look_after(10)) == [("2026/0915/x.csv", "a\n1\n2\n")]


# --- what it costs


def test_looking_into_folders_leaks_no_descriptor(inbox: Inbox, tmp_path: Path) -> None:
    for number in range(30):
        inbox.drop(f"{number}/deep/er/x.csv")
        (inbox.path / f"{number}/link").symlink_to(tmp_path)
        os.mkfifo(inbox.path / f"{number}/fifo")
    inbox.drop("/".join("d" * (DEEPEST + 2)) + "/x.csv")
    inbox.look()
    before = open_descriptors()
    inbox.look()
    inbox.seconds += 10
    broken_off = iter(inbox.source.arrivals(NOW))
    for _ in range(7):
        inbox.source.keep(next(broken_off))
    next(broken_off)
    (inbox.path / "3").rename(tmp_path / "gone")
    del broken_off
    inbox.look_after(10)
    for file in inbox.look_after(3600):
        inbox.source.reject(file, "nonsense")
    assert open_descriptors() == before


def test_twenty_thousand_files_in_five_hundred_folders_are_looked_at_in_bounded_memory(tmp_path: Path) -> None:
    for folder in range(500):
        place = tmp_path / "inbox" / f"{folder % 20}" / f"{folder}"
        place.mkdir(parents=True)
        opened = os.open(place, os.O_RDONLY)
        for number in range(40):
            file = os.open(f"bill-{number}.csv", os.O_WRONLY | os.O_CREAT, dir_fd=opened)
            os.write(file, b"a\n1\n")
            os.close(file)
        os.close(opened)
    program = (
        STRANGER
        + """
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
source = FolderSource("inbox", place / "inbox", timedelta(0), time.monotonic, recursive=True, memory=memory)
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = peak()
started = time.process_time()
assert not list(source.arrivals(datetime.now(UTC)))
look = time.process_time() - started
given = [len([source.keep(file) for file in source.arrivals(datetime.now(UTC))]) for _ in range(3)]
print(f"{look:.2f} {time.process_time() - started - look:.1f} {(peak() - before) / 1024:.1f} {sum(given)}")
"""
    )
    answer = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    look, rest, grown, given = answer.stdout.split()
    print(f"\n20,000 files in 520 folders: one look {look} s, {given} kept in {rest} s, {grown} MB more")
    assert given == "3000"
    assert float(grown) < 32
    assert float(look) < 5
    assert sum(len(files) for _, _, files in os.walk(tmp_path / "inbox" / "done")) == 3000
    assert sum(len(files) for _, _, files in os.walk(tmp_path / "inbox")) == 20_000


def test_even_without_a_settle_time_a_file_below_is_looked_at_twice(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, settle=timedelta(0), recursive=True)
    inbox.drop("1/x.csv")
    assert inbox.look() == []
    assert inbox.source.is_unsettled
    assert len(inbox.look()) == 1
