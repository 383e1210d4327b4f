"""A file at which the reading process dies, hangs or runs out of memory gets a second try, and is then refused; others go on.

The processes are real, and so are their ends. What is no file's fault does not count against it.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bill_builder import AMOUNT, CURRENCY, DAY, INSTANCE, LINE_ID, PAYER, PRODUCT, TIME, a_bill, a_line
from drop_folder import Inbox, mounted
from spendwatch.bills.client.dialogue import MEMORY
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.errors import UnreadableBillError
from spendwatch.domain.health import ReadingProgress
from spendwatch.domain.merging import Held
from spendwatch.domain.money import exact_sum
from spendwatch.domain.period import BillingPeriod, PeriodClose
from spendwatch.domain.statement import BillFile, ReadingHints, SeriesKey, SourceName
from spendwatch.jobs.collect import IngestContext, IngestResult, collect, enter
from spendwatch.jobs.progress import ProgressNotes
from spendwatch.store.attempt import attempt
from spendwatch.store.database import Database
from spendwatch.store.health_book import HealthBook
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database

SEPTEMBER = BillingPeriod(2026, 9)
NOW = datetime(2026, 9, 16, 4, tzinfo=UTC)
INBOX = SourceName("inbox")
POISON, GOOD = "poison.csv", "good.csv"


def bill(amount: str, first: int = 1) -> bytes:
    lines = [a_line(line_id=f"id-{day}", amount=amount, day=f"202609{day:02d}") for day in range(first, first + 3)]
    return a_bill(lines)[1]


def large(path: Path, lines: int) -> Path:
    """Write a bill of many short lines whose ids do not pack."""
    columns = [LINE_ID, PAYER, DAY, TIME, PRODUCT, INSTANCE, CURRENCY, AMOUNT]
    header, line = a_bill([a_line(line_id="<id>", amount="0.25")], columns=columns)[1].splitlines(keepends=True)
    with path.open("wb") as file:
        file.write(header)
        for number in range(lines):
            file.write(line.replace(b"<id>", hashlib.sha256(b"%d" % number).hexdigest().encode()))
    return path


class WatchedLedger(Ledger):
    """The ledger, which tells when it is about to be merged with."""

    def __init__(self, database: Database, tell: Callable[[str], None]) -> None:
        super().__init__(database)
        self._tell = tell

    def held(self, series: Iterable[SeriesKey]) -> Held:
        self._tell("merging")
        return super().held(series)


@dataclass
class Station:
    """A drop folder, a ledger, and the reading process between them, to which a test does what it wants."""

    place: Path
    exchange: Path
    memory: int = MEMORY
    patience: float = 60.0
    mishaps: dict[str, Callable[[BillFile], None]] = field(default_factory=dict)
    """What happens to the poisonous file in each phase: beginning, unpacking, merging."""
    inbox: Inbox = field(init=False)
    database: Database = field(init=False)
    reader: ReadingProcess = field(init=False)
    _file: BillFile | None = None

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.place)
        self.start()

    def start(self) -> None:
        self.database = open_database(str(self.place / "state" / "spendwatch.db"))
        told = {"memory": self.memory, "patience": self.patience}
        self.reader = ReadingProcess(self.exchange, progress=lambda phase, _: self._tell(phase), **told)  # type: ignore[arg-type]

    def restart(self) -> None:
        """Stop and start, as a new daemon would."""
        self.stop()
        self.start()
        self.inbox.restarted()

    def stop(self) -> None:
        self.reader.close()
        self.database.close()

    def put(self, name: str, content: bytes) -> None:
        (self.inbox.path / name).write_bytes(content)

    def round(self) -> dict[str, str]:
        """Try whatever is there, an hour after the last time; return what became of each file."""
        ledger = WatchedLedger(self.database, self._tell)
        desk = IngestContext(self.reader, ledger, ReadingHints(), PeriodClose, lambda: NOW, turn_to=self._turn_to)
        found: list[IngestResult] = []
        for _ in range(2):
            self.inbox.seconds += 3600
            found += collect(self.inbox.source, desk, HealthBook(self.database))
        return {one.file.name: str(one.refused or one.failed or "entered") for one in found}

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the reading process a signal."""
        if child := self.reader.child:
            os.kill(child.pid, number)

    def _turn_to(self, file: BillFile | None) -> None:
        self._file = file
        self._tell("beginning")

    def _tell(self, phase: str) -> None:
        if self._file and self._file.name.endswith(POISON) and phase in self.mishaps:
            self.mishaps[phase](self._file)

    def lies_in(self, shelf: str) -> bool:
        return (self.inbox.path / shelf / POISON).exists()

    def tries(self) -> list[int]:
        """Return how often each file has failed so far."""
        with self.database.reading() as connection:
            return [row.tries for row in connection.execute(attempt.select())]

    def total(self) -> Decimal:
        return exact_sum(one.amount for one in Ledger(self.database).spend(SEPTEMBER, ()))


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    opened = Station(tmp_path, tmp_path / "exchange")
    yield opened
    opened.stop()


def refuses_at_second_try(station: Station, why: str) -> None:
    """The poisonous file fails twice, and is then refused with that reason; another one is entered meanwhile."""
    station.put(GOOD, bill("5", first=10))
    first = station.round()
    assert why in first[POISON]
    assert first[GOOD] == "entered"
    assert station.lies_in("")
    assert station.tries() == [1]
    second = station.round()
    assert second[POISON].startswith(f"it could not be read in 2 attempts: {why}")
    assert (list(second), station.lies_in("rejected")) == ([POISON], True)
    assert second[POISON] in (station.inbox.path / "rejected" / f"{POISON}.why.txt").read_text()
    (rejection,) = Ledger(station.database).rejections(NOW)
    assert (rejection.name, rejection.source, rejection.reason) == (POISON, INBOX, second[POISON])
    assert station.tries() == []
    station.mishaps.clear()
    station.put("last.csv", bill("7", first=20))
    assert station.round() == {"last.csv": "entered"}
    assert station.total() == 36


@pytest.mark.parametrize("phase", ["unpacking", "merging"])
def test_a_file_at_which_the_process_is_killed_is_refused_at_the_second_try(station: Station, phase: str) -> None:
    place = large(station.inbox.path / POISON, 20_000)
    place.write_bytes(gzip.compress(place.read_bytes(), 1))
    station.mishaps[phase] = lambda _: station.kill()
    refuses_at_second_try(station, "the reading process died of signal 9")


def test_a_file_at_which_the_process_hangs_is_refused_at_the_second_try(tmp_path: Path) -> None:
    station = Station(tmp_path, tmp_path / "exchange", patience=5.0)
    station.put(POISON, bill("1"))
    station.mishaps["merging"] = lambda _: station.kill(signal.SIGSTOP)
    refuses_at_second_try(station, "the reading process took too long")
    station.stop()


def test_a_file_that_needs_too_much_memory_is_refused_at_the_second_try(tmp_path: Path) -> None:
    station = Station(tmp_path, tmp_path / "exchange", memory=192 * 1024**2)
    large(station.inbox.path / POISON, 300_000)
    refuses_at_second_try(station, "the reading process")
    station.stop()


def test_a_file_that_is_read_at_the_second_try_counts_and_is_forgiven(station: Station) -> None:
    station.put(POISON, bill("1"))
    station.mishaps["merging"] = lambda _: station.kill()
    assert "died of signal 9" in station.round()[POISON]
    station.mishaps.clear()
    assert station.round() == {POISON: "entered"}
    assert station.total() == 3
    assert station.tries() == []
    assert station.lies_in("done")


def test_a_new_daemon_remembers_the_first_try(station: Station) -> None:
    station.put(POISON, bill("1"))
    station.mishaps["merging"] = lambda _: station.kill()
    assert "died of signal 9" in station.round()[POISON]
    station.restart()
    assert "in 2 attempts" in station.round()[POISON]


def test_the_same_bytes_under_another_name_have_no_further_chances(station: Station) -> None:
    station.put(POISON, bill("1"))
    station.mishaps["merging"] = lambda _: station.kill()
    station.round()
    (station.inbox.path / POISON).rename(station.inbox.path / f"again-{POISON}")
    assert "in 2 attempts" in station.round()[f"again-{POISON}"]


def not_counted(station: Station, why: str) -> None:
    """The poisonous file fails as often as it is tried, and stays; when the trouble is over it is entered."""
    for _ in range(3):
        assert why in station.round()[POISON]
        assert station.lies_in("")
        assert station.tries() == []


def test_a_stop_of_the_daemon_does_not_count(station: Station) -> None:
    station.put(POISON, bill("1"))
    station.mishaps["merging"] = lambda _: station.reader.interrupt()
    not_counted(station, "the reading process died of signal 9")
    station.mishaps.clear()
    assert station.round() == {POISON: "entered"}


def test_a_file_that_vanishes_while_it_is_read_does_not_count(station: Station) -> None:
    station.put(POISON, bill("1"))
    station.mishaps["beginning"] = lambda _: (station.inbox.path / POISON).unlink(missing_ok=True)
    assert "the file was changed while being read" in station.round()[POISON]
    assert station.tries() == []
    station.mishaps.clear()
    station.put(POISON, bill("1"))
    assert station.round() == {POISON: "entered"}


def test_a_file_that_is_written_to_while_it_is_read_does_not_count(station: Station) -> None:
    large(station.inbox.path / POISON, 20_000)
    done, touching = threading.Event(), list[threading.Thread]()

    def touch(file: BillFile) -> None:
        while not done.wait(0.001):
            with suppress(FileNotFoundError):
                os.utime(file.path)

    def begin(file: BillFile) -> None:
        touching.append(threading.Thread(target=touch, args=(file,), daemon=True))
        touching[-1].start()

    station.mishaps["beginning"] = begin
    not_counted(station, "the file was changed while being read")
    done.set()
    for one in touching:
        one.join()
    station.mishaps.clear()
    assert station.round() == {POISON: "entered"}


def test_a_private_folder_that_somebody_removes_is_made_anew(station: Station) -> None:
    station.put(POISON, bill("1"))
    station.mishaps["beginning"] = lambda _: shutil.rmtree(station.exchange, ignore_errors=True)
    station.put(GOOD, bill("5", first=10))
    assert station.round() == {POISON: "entered", GOOD: "entered"}
    assert station.round() == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 800 kB, for the reading process alone."""
    yield from mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=800k", "tmpfs")


@pytest.mark.parametrize("form", ["csv", "gz"])
def test_a_full_disk_does_not_count(tmp_path: Path, small_disk: Path, form: str) -> None:
    station = Station(tmp_path, small_disk / "exchange")
    place = large(station.inbox.path / POISON, 40_000)
    if form == "gz":
        place.write_bytes(gzip.compress(place.read_bytes(), 1))
    not_counted(station, "No space left on device")
    station.put(GOOD, bill("5", first=10))
    assert station.round()[GOOD] == "entered"
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert station.round() == {POISON: "entered"}
    assert station.total() == 10_015
    station.stop()


def test_a_disk_without_room_for_what_the_ledger_holds_does_not_count(tmp_path: Path, small_disk: Path) -> None:
    station = Station(tmp_path, tmp_path / "exchange")
    first = large(station.inbox.path / "first.csv", 40_000).read_bytes()
    assert station.round() == {"first.csv": "entered"}
    station.exchange = small_disk / "exchange"
    station.restart()
    station.put(POISON, first.replace(b",0.25\n", b",0.26\n", 1))
    not_counted(station, "the folder of the reading process cannot be used: No space left on device")
    station.stop()


@dataclass
class Looks:
    """What stands in the store about files being read, whenever the process tells how far it is."""

    health: HealthBook
    notes: ProgressNotes
    seen: list[ReadingProgress] = field(default_factory=list)

    def __call__(self, phase: str, share: float) -> None:
        self.notes.tell(phase, share)
        self.seen += self.health.readings()


def looked_at(database: Database) -> Looks:
    # Each look at this clock is three seconds after the one before: any file is long enough to be spoken of.
    seconds = itertools.count(0.0, 3.0)
    health = HealthBook(database)
    return Looks(health, ProgressNotes(health, lambda: NOW, lambda: next(seconds)))


def packed(path: Path, lines: int) -> BillFile:
    """Write a long bill, packed: it takes a while to unpack, which is told piece by piece."""
    large(path, lines)
    path.write_bytes(gzip.compress(path.read_bytes(), 1))
    return BillFile(path.name, path, path.stat().st_size, SourceName(path.stem), NOW)


def test_how_far_a_long_file_is_read_stands_in_the_store_until_it_is_done(station: Station, tmp_path: Path) -> None:
    looks, file = looked_at(station.database), packed(tmp_path / "long.gz", 20_000)
    with ReadingProcess(tmp_path / "other", progress=looks) as reader:
        desk = IngestContext(
            reader, Ledger(station.database), ReadingHints(), PeriodClose, lambda: NOW, turn_to=looks.notes.turn_to
        )
        enter(file, desk)
        assert looks.health.readings() == ()
        shares = [one.share for one in looks.seen if one.phase == "unpacking"]
        assert shares == sorted(shares)
        assert len(set(shares)) > 10
        assert {(one.source, one.file, one.size, one.began_at) for one in looks.seen} == {("long", "long.gz", file.size, NOW)}
        looks.seen.clear()
        file.path.write_bytes(file.path.read_bytes()[:-9])
        with pytest.raises(UnreadableBillError):
            enter(file, desk)
        assert looks.seen
        assert looks.health.readings() == ()


def test_of_two_sources_that_read_at_once_each_stands_beside_its_own_file(station: Station, tmp_path: Path) -> None:
    looks = looked_at(station.database)
    files = [packed(tmp_path / f"{name}.gz", 10_000) for name in ("one", "other")]
    with ReadingProcess(tmp_path / "shared", progress=looks) as reader:
        desk = IngestContext(
            reader, Ledger(station.database), ReadingHints(), PeriodClose, lambda: NOW, turn_to=looks.notes.turn_to
        )
        threads = [threading.Thread(target=enter, args=(file, desk)) for file in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {(one.source, one.file) for one in looks.seen} == {("one", "one.gz"), ("other", "other.gz")}
    assert looks.health.readings() == ()


def test_who_records_a_bill_does_not_wait_for_another_one_that_is_read_meanwhile(station: Station, tmp_path: Path) -> None:
    """It would keep the ledger, for which whoever tells how far the other bill is read would wait in turn."""
    looks, others = looked_at(station.database), [packed(tmp_path / f"{name}.gz", 20_000) for name in ("one", "other")]
    lines = [large(tmp_path / f"short-{number}.csv", 300 + number) for number in range(12)]
    shorts = [BillFile(path.name, path, path.stat().st_size, SourceName("shorts"), NOW) for path in lines]
    troubles: list[BaseException] = []
    with ReadingProcess(tmp_path / "shared", progress=looks) as reader:
        desk = IngestContext(
            reader, Ledger(station.database), ReadingHints(), PeriodClose, lambda: NOW, turn_to=looks.notes.turn_to
        )

        def enter_all(files: Sequence[BillFile]) -> None:
            try:
                for file in files:
                    enter(file, desk)
            except BaseException as error:  # noqa: BLE001 -- shown below
                troubles.append(error)

        threads = [threading.Thread(target=enter_all, args=(files,)) for files in (others, shorts)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert troubles == []
    assert time.monotonic() - began < 25
