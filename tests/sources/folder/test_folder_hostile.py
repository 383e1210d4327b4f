"""Whoever may write into the drop folder can neither trap, nor trick, nor stop the daemon."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bill_builder import AMOUNT, a_bill, a_line, a_line_id
from drop_folder import NOW, STRANGER, Inbox
from scratch_memory import ScratchMemory
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.errors import ReaderFailedError, SourceUnavailableError
from spendwatch.domain.statement import BillFile, ReadingHints, SourceName
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.originals import OddFileError, path_of, plain_file
from spendwatch.sources.folder.source import FolderSource

ODD_BYTES = b"bill\xff\xfe.csv"


class Trap(Inbox):
    """A drop folder with a source whose clock jumps from look to look."""

    def looks(self, times: int = 3) -> list[BillFile]:
        files: list[BillFile] = []
        for _ in range(times):
            self.seconds += 3700
            with self.noting_unread():
                for file in self.source.arrivals(NOW):
                    files.append(file)
                    self.source.keep(file)
        return files


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path)


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _dangling(path: Path) -> None:
    path.symlink_to("/nowhere")


def _link_to_folder(path: Path) -> None:
    path.symlink_to("/etc")


def _device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("makes a device, which only root may")
    os.mknod(path, 0o644 | stat.S_IFCHR, os.makedev(1, 5))


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def _hard_link(path: Path) -> None:
    secret = path.parent.parent / "secret"
    secret.write_text("for other eyes\n", encoding="utf-8")
    os.link(secret, path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_link, "a symbolic link"),
        (_dangling, "a symbolic link"),
        (_link_to_folder, "a symbolic link"),
        (os.mkfifo, "not a regular file"),
        (_device, "not a regular file"),
        (_socket, "not a regular file"),
        (_hard_link, "a hard link: the file has 2 names"),
    ],
)
def test_what_is_no_plain_file_is_left_in_place_and_told_once(trap: Trap, make: Callable[[Path], None], reason: str) -> None:
    make(trap.path / "x.csv")
    (trap.path / "good.csv").write_text("a\n1\n", encoding="utf-8")
    with capture_logs() as logs:
        files = trap.looks(5)
    assert [file.name for file in files] == ["good.csv"]
    assert [(entry["event"], entry["name"], entry["reason"]) for entry in logs] == [("file_skipped", "x.csv", reason)]
    assert os.path.lexists(trap.path / "x.csv")
    assert f"1 thing there cannot be read: 'x.csv' ({reason})" in trap.unread
    (trap.path / "x.csv").unlink()
    trap.looks(1)
    assert not trap.unread


def test_what_was_told_is_told_again_when_it_comes_back(trap: Trap) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            _link(trap.path / "x.csv")
            trap.looks()
            (trap.path / "x.csv").unlink()
            trap.looks()
    assert len(logs) == 3


def test_a_folder_named_like_a_bill_is_passed_over(trap: Trap) -> None:
    (trap.path / "x.csv").mkdir()
    assert trap.looks() == []


@pytest.mark.parametrize("make", [os.mkfifo, _link, _device, _hard_link])
def test_a_trap_that_takes_a_files_place_after_the_listing_is_not_opened(trap: Trap, make: Callable[[Path], None]) -> None:
    path = trap.path / "x.csv"
    make(path)
    folder = os.open(trap.path, os.O_RDONLY)
    started = time.monotonic()
    try:
        with pytest.raises((OddFileError, OSError)), plain_file(folder, "x.csv"):
            pytest.fail("it was opened")
    finally:
        os.close(folder)
    assert time.monotonic() - started < 30


def test_a_thousand_links_do_not_make_a_thousand_lines_a_look(trap: Trap) -> None:
    for number in range(1500):
        _link(trap.path / f"{number}.csv")
    with capture_logs() as logs:
        trap.looks(4)
    assert len(logs) == 1000


@pytest.mark.skipif(os.geteuid() != 0, reason="takes privileges away, which only root has")
def test_an_unreadable_file_is_told_once_and_tried_again_when_it_changes(tmp_path: Path) -> None:
    place = tmp_path
    (place / "inbox").mkdir()
    path = place / "inbox" / "bill.csv"
    path.write_text("a\n1\n", encoding="utf-8")
    path.chmod(0)
    program = (
        STRANGER
        + """
seconds = 0.0
source = FolderSource("inbox", place / "inbox", timedelta(0), lambda: seconds, memory=memory)
with capture_logs() as logs:
    for look in range(100):
        seconds += 40.0
        try:
            assert list(source.arrivals(datetime.now(UTC))) == []
        except SourceUnavailableError as error:
            trouble = str(error)
        else:
            assert look < 1, "it is said as soon as the file has come to rest"
    print(json.dumps([logs, trouble]), flush=True)
    input()
    for look in range(3):
        seconds += 1.0
        texts = []
        with suppress(SourceUnavailableError):
            texts.extend(file.path.read_text() for file in source.arrivals(datetime.now(UTC)))
        print(texts)
    list(source.arrivals(datetime.now(UTC)))
"""
    )
    with subprocess.Popen(
        ["setpriv", "--bounding-set=-dac_override,-dac_read_search", sys.executable, "-c", program, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as stranger:
        assert stranger.stdin is not None
        assert stranger.stdout is not None
        logs, trouble = json.loads(stranger.stdout.readline())
        path.chmod(0o644)
        stranger.stdin.write("\n")
        stranger.stdin.flush()
        rest = stranger.stdout.read()
    told = [(entry["event"], entry["reason"]) for entry in logs if entry["event"] == "file_skipped"]
    assert told == [("file_skipped", "Permission denied")]
    assert "'bill.csv' (Permission denied); let the user of spendwatch read what lies there (chmod g+r" in trouble
    assert rest.splitlines() == ["[]", "['a\\n1\\n']", "[]"]


NAMES = [
    b"two\nlines.csv",
    ODD_BYTES,
    b"-rf.csv",
    "\u202egnp.csv".encode(),
    b"a..%2f..%2fetc.csv",
    b"x" * 251 + b".csv",
    "账单".encode() * 41 + b".csv",
    b"Case.csv",
    b"case.csv",
    b"x." + b"y" * 253,
    b"$(reboot);'\"`.csv",
    b"\x1b[31mred.csv",
    b"   ",
    b"done.csv",
    b"C:\\bill.csv",
]


@pytest.mark.parametrize("raw", NAMES)
@pytest.mark.parametrize("shelf", ["done", "rejected"])
def test_any_name_is_carried_through_as_data(trap: Trap, raw: bytes, shelf: str) -> None:
    path = os.fsencode(trap.path)
    for number in range(3):
        with open(os.path.join(path, raw), "wb") as file:  # noqa: PTH123, PTH118 -- pathlib knows no names of bytes
            file.write(b"a\n%d\n" % number)
        trap.looks(1)
        trap.seconds += 10
        (bill,) = trap.source.arrivals(NOW)
        bill.name.encode("utf-8")
        if shelf == "done":
            trap.source.keep(bill)
        else:
            trap.source.reject(bill, f"because of {number}")
    kept = {os.fsencode(entry.name): entry.read_bytes() for entry in (trap.path / shelf).iterdir()}
    bills = [content for content in kept.values() if content.startswith(b"a\n")]
    assert sorted(bills) == [b"a\n0\n", b"a\n1\n", b"a\n2\n"]
    assert kept[raw] == b"a\n0\n"
    assert len(kept) == (3 if shelf == "done" else 6)
    assert all(len(name) <= 255 for name in kept)
    assert [entry.name for entry in trap.path.iterdir()] == [shelf]


def test_a_name_that_is_no_text_is_shown_with_its_bytes(trap: Trap) -> None:
    with open(os.path.join(os.fsencode(trap.path), ODD_BYTES), "wb") as file:  # noqa: PTH123, PTH118 -- as above
        file.write(b"a\n")
    assert [file.name for file in trap.looks()] == [r"bill\xff\xfe.csv"]


def test_our_shelf_turned_into_a_link_leads_nobody_astray(trap: Trap, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (trap.path / "done").symlink_to(elsewhere)
    (trap.path / "bill.csv").write_text("a\n1\n", encoding="utf-8")
    with capture_logs() as logs:
        assert len(trap.looks()) == 1
    assert [entry["event"] for entry in logs] == ["file_not_brought_back", "file_skipped", "original_not_moved"]
    assert list(elsewhere.iterdir()) == []
    assert (trap.path / "bill.csv").exists()


def test_a_link_planted_as_the_reason_is_not_written_through(trap: Trap, tmp_path: Path) -> None:
    (trap.path / "rejected").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    (trap.path / "rejected" / "bill.csv.why.txt").symlink_to(victim)
    (trap.path / "bill.csv").write_text("a\n1\n", encoding="utf-8")
    trap.looks(1)
    trap.seconds += 10
    (bill,) = trap.source.arrivals(NOW)
    trap.source.reject(bill, "nonsense")
    assert victim.read_text(encoding="utf-8") == "mine"
    assert (trap.path / "rejected" / "bill.csv.why.2.txt").read_text(encoding="utf-8") == "nonsense\n"


# --- races


@contextmanager
def _busy(work: Callable[[], None]) -> Iterator[None]:
    """Do something over and over in another thread."""
    stop = threading.Event()

    def again() -> None:
        while not stop.is_set():
            work()

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


RESTED = 0.012
"""Longer than one tick of any kernel's file clock: the source reads nothing younger, because it looks twice."""


def test_a_file_that_is_rewritten_while_it_is_read_is_understood_as_it_was_or_not_at_all(
    tmp_path: Path, shared_reader: ReadingProcess
) -> None:
    """The writer changes it in place: the time of a file may then belong to neither of its contents."""
    folder, moment = tmp_path / "inbox", 1000.0
    folder.mkdir()
    memory = ScratchMemory(tmp_path / "ledger.db")
    source = FolderSource(SourceName("inbox"), folder, timedelta(0), lambda: moment, memory=memory)
    bills = [a_bill([a_line(line_id=a_line_id(one), cells={AMOUNT: cost}) for one in range(20)]) for cost in ("1.25", "9.75")]
    name, contents = bills[0][0], [content for _, content in bills]
    whole = {hashlib.sha256(content).hexdigest() for content in contents}
    path = folder / name
    path.write_bytes(contents[0])
    dice = random.Random(7)  # noqa: S311 -- a test's dice

    def rewrite() -> None:
        threading.Event().wait(RESTED + dice.random() * 0.6)
        path.write_bytes(dice.choice(contents))

    outcomes = {"whole": 0, "changed": 0}
    hints = ReadingHints({})
    with _busy(rewrite):
        while min(outcomes.values()) < 5 and sum(outcomes.values()) < 400:
            moment += 4000.0
            for file in source.arrivals(NOW):
                if time.time() - path.stat().st_mtime < RESTED:
                    source.leave(file)
                    continue
                try:
                    with shared_reader.read(file, hints) as reading:
                        assert reading.statement.digest in whole
                        assert reading.statement.lines == 20
                except ReaderFailedError as error:
                    outcomes["changed"] += error.is_innocent and str(error) == "the file was changed while being read"
                else:
                    outcomes["whole"] += 1
                source.leave(file)
    print(f"\nread against a busy writer: {outcomes}")
    assert min(outcomes.values()) > 0


@pytest.mark.parametrize("content", [b"", b"no bill at all\n"])
def test_what_was_wrong_with_a_file_that_was_changed_meanwhile_is_no_refusal(
    content: bytes, tmp_path: Path, shared_reader: ReadingProcess
) -> None:
    path = tmp_path / "bill.csv"
    path.write_bytes(b"as it had come to rest\n")
    settled = BillFile("bill.csv", path, 9, SourceName("inbox"), NOW, Identity.of(path.stat()))
    path.write_bytes(content)
    changed = pytest.raises(ReaderFailedError, match="the file was changed while being read")
    with changed as caught, shared_reader.read(settled, ReadingHints({})):
        pytest.fail("it was understood")
    assert caught.value.is_innocent


def test_two_thousand_replacements_while_files_are_read_and_kept_lose_no_bytes(tmp_path: Path) -> None:
    path = tmp_path / "inbox"
    path.mkdir()
    source = FolderSource(
        SourceName("inbox"),
        path,
        timedelta(milliseconds=5),
        time.monotonic,
        memory=ScratchMemory(tmp_path / "ledger.db"),
    )
    written = 0
    seen: list[int] = []
    dice = random.Random(11)  # noqa: S311 -- a test's dice

    def replace() -> None:
        nonlocal written
        if written >= 2000:
            return
        written += 1
        part = path / "bill.csv.part"
        part.write_text(f"n\n{written}\n" * 50, encoding="utf-8")
        part.rename(path / "bill.csv")
        threading.Event().wait(dice.random() * 0.01)

    with _busy(replace):
        deadline = time.monotonic() + 60
        while (not seen or seen[-1] != 2000) and time.monotonic() < deadline:
            for file in source.arrivals(NOW):
                numbers = set(file.path.read_text(encoding="utf-8").split()) - {"n"}
                assert len(numbers) == 1, "a copy of two files"
                seen.append(int(numbers.pop()))
                source.keep(file)
            threading.Event().wait(0.003)
    kept = [set(kept.read_text(encoding="utf-8").split()) - {"n"} for kept in (path / "done").iterdir()]
    read = {str(number) for number in seen}
    print(f"\n2,000 replacements: {len(seen)} read, {len(kept)} in done/")
    assert seen[-1] == 2000, "the last word counts"
    assert seen == sorted(seen)
    assert all(len(numbers) == 1 and numbers <= read for numbers in kept), "nothing was put away unread"


def test_a_name_that_swaps_between_a_bill_and_a_link_to_a_secret_never_leaks_it(tmp_path: Path) -> None:
    folder_path = tmp_path / "inbox"
    folder_path.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(b"top secret\n")
    path = folder_path / "x.csv"
    link = folder_path / "link.tmp"
    bill = folder_path / "bill.tmp"

    def swap() -> None:
        bill.write_bytes(b"a\n1\n")
        bill.rename(path)
        threading.Event().wait(0.0005)
        link.symlink_to(secret)
        link.rename(path)

    folder = os.open(folder_path, os.O_RDONLY)
    refused = taken = 0
    try:
        with _busy(swap):
            for _ in range(10_000):
                try:
                    with plain_file(folder, "x.csv") as original:
                        content = path_of(original).read_bytes()
                except (OddFileError, OSError):
                    refused += 1
                    continue
                taken += 1
                assert content == b"a\n1\n"
    finally:
        os.close(folder)
    print(f"\n10,000 tries on a swapping name: {taken} bills, {refused} refused")
    assert taken
    assert refused


def test_looking_leaks_no_descriptor(trap: Trap) -> None:
    trap.looks(1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(50):
        (trap.path / f"{number}.csv").write_text("a\n1\n", encoding="utf-8")
        os.mkfifo(trap.path / f"{number}.fifo")
    trap.looks(5)
    assert "50 things there cannot be read" in trap.unread
    broken_off = iter(trap.source.arrivals(NOW))
    with suppress(SourceUnavailableError):
        next(broken_off)
    del broken_off
    trap.looks(1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_hundred_thousand_files_are_looked_at_in_bounded_memory(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    folder = os.open(inbox, os.O_RDONLY)
    for number in range(100_000):
        file = os.open(f"bill-{number}.csv", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
        os.write(file, b"a\n1\n")
        os.close(file)
    os.close(folder)
    program = (
        STRANGER
        + """
source = FolderSource("inbox", place / "inbox", timedelta(0), time.monotonic, memory=memory)
def peak():
    # The kernel's other figure, that of getrusage, begins with the peak of the process that started this one.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = peak()
started = time.process_time()
assert not list(source.arrivals(datetime.now(UTC)))
look = time.process_time() - started
given = 0
for file in source.arrivals(datetime.now(UTC)):
    source.keep(file)
    given += 1
grown = peak() - before
print(f"{look:.2f} {time.process_time() - started - look:.2f} {grown // 1024} {given}")
"""
    )
    answer = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    look, batch, grown, given = answer.stdout.split()
    print(f"\n100,000 files: one look {look} s, look and a batch of {given} in {batch} s, {grown} MB more")
    assert given == "1000"
    assert int(grown) < 128
    assert float(look) < 10
