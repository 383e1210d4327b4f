from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from mmap import ACCESS_READ, mmap
from pathlib import Path

import polars as pl
import pytest

from bill_builder import a_bill, a_line
from folders import environment
from small_ledger import NO_HINTS, SmallLedger, a_bill_file
from spendwatch.bills.client import child
from spendwatch.bills.client import process as daemon_side
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.bills.client.reading import SLOWEST, rows_from
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from spendwatch.domain.merging import Held, Plan, plan_change
from spendwatch.domain.statement import BillFile, Digest, SourceName, SpendRow, Statement

BIG = 300_000


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    return tmp_path / "exchange"


@pytest.fixture
def reader(exchange: Path) -> Iterator[ReadingProcess]:
    with ReadingProcess(exchange) as reading:
        yield reading


@pytest.fixture
def bill(tmp_path: Path) -> BillFile:
    name, content = a_bill([a_line(line_id=f"id-{n}", amount="0.25", day=f"202609{n % 3 + 1:02d}") for n in range(8)])
    (tmp_path / name).write_bytes(content)
    return a_bill_file(tmp_path / name)


@pytest.fixture(scope="module")
def big_bill(tmp_path_factory: pytest.TempPathFactory) -> BillFile:
    name, content = a_bill([a_line(line_id="<id>", amount="0.25")])
    header, line = content.splitlines(keepends=True)
    path = tmp_path_factory.mktemp("big") / name
    with path.open("wb") as file:
        file.write(header)
        file.writelines(line.replace(b"<id>", b"id-%d" % number) for number in range(BIG))
    return a_bill_file(path)


def pid_of(reader: ReadingProcess) -> int:
    """Return the id of the process that reads, 0 if none is running."""
    return reader.child.pid if reader.child else 0


def enter(reader: ReadingProcess, file: BillFile, ledger: SmallLedger | None = None) -> SmallLedger:
    ledger = ledger or SmallLedger()
    with reader.read(file, NO_HINTS) as reading:
        ledger.enter(reading)
    return ledger


def planned(statement: Statement) -> Plan:
    """Return what is to be done with it where nothing is on record."""
    return plan_change(Held(), Held().with_statement(statement, datetime(2026, 9, 15, tzinfo=UTC)))


def nothing(digest: Digest) -> bytes:
    raise KeyError(digest)


def kill(reader: ReadingProcess) -> None:
    assert pid_of(reader)
    os.kill(pid_of(reader), signal.SIGKILL)


def test_the_daemon_side_does_without_polars() -> None:
    command = "import sys, spendwatch.bills.client.process; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


def test_one_process_reads_one_file_after_the_other(reader: ReadingProcess, bill: BillFile) -> None:
    reader.prepare()
    first = pid_of(reader)
    ledger = enter(reader, bill)
    assert enter(reader, bill, ledger).total() == Decimal(2)
    assert pid_of(reader) == first


def test_a_process_killed_while_reading_fails_that_reading_and_no_other(
    reader: ReadingProcess, bill: BillFile, big_bill: BillFile
) -> None:
    reader.prepare()
    killer = threading.Timer(0.4, kill, [reader])
    killer.start()
    with pytest.raises(ReaderFailedError, match="the reading process died of signal 9"):
        enter(reader, big_bill)
    killer.join()
    assert enter(reader, bill).total() == Decimal(2)


def test_a_stop_does_not_wait_for_a_bill_that_is_being_read(reader: ReadingProcess, bill: BillFile, tmp_path: Path) -> None:
    # A pipe that nobody writes to: the process would read for ever.
    os.mkfifo(tmp_path / "endless.csv")
    endless = BillFile("endless.csv", tmp_path / "endless.csv", 1, SourceName("inbox"), datetime(2026, 9, 15, tzinfo=UTC))
    reader.prepare()
    stop = threading.Timer(0.5, reader.interrupt)
    stop.start()
    with pytest.raises(ReaderFailedError, match="died of signal 9"):
        enter(reader, endless)
    stop.join()
    assert enter(reader, bill).total() == Decimal(2)


def test_a_process_killed_between_reading_and_merging_fails_the_merge(reader: ReadingProcess, bill: BillFile) -> None:
    with reader.read(bill, NO_HINTS) as reading:
        kill(reader)
        with pytest.raises(ReaderFailedError, match="died of signal 9"):
            reading.resolve(planned(reading.statement), nothing, nothing)
        with pytest.raises(ReaderFailedError, match="is gone"):
            reading.resolve(planned(reading.statement), nothing, nothing)
    assert enter(reader, bill).total() == Decimal(2)


def test_days_are_written_when_the_merge_is_done(reader: ReadingProcess, big_bill: BillFile) -> None:
    with reader.read(big_bill, NO_HINTS) as reading:
        resolution = reading.resolve(planned(reading.statement), nothing, nothing)
        kill(reader)
        (day,) = resolution.days
        assert (day.new, day.changed, day.lines) == (BIG, 0, BIG)
        assert sum(row.billed_cost for row in day.rows()) == BIG * Decimal("0.25")
        (content,) = resolution.contents()
        assert (content.digest, content.lines) == (reading.statement.days[0].digest, BIG)
        assert content.packed
        assert len(content.ids) > BIG * 8


def test_a_process_that_takes_too_long_is_ended(exchange: Path, bill: BillFile, big_bill: BillFile) -> None:
    with ReadingProcess(exchange, patience=-big_bill.size / SLOWEST) as reader:
        with pytest.raises(ReaderFailedError, match="took too long"):
            enter(reader, big_bill)
        assert not pid_of(reader)
        reader.patience = 60
        assert enter(reader, bill).total() == Decimal(2)


def test_a_process_that_needs_too_much_memory_fails_and_the_daemon_lives(
    exchange: Path, bill: BillFile, big_bill: BillFile
) -> None:
    with ReadingProcess(exchange, memory=192 * 1024**2) as reader:
        with pytest.raises(ReaderFailedError, match="the reading process"):
            enter(reader, big_bill)
        assert enter(reader, bill).total() == Decimal(2)


def test_an_idle_process_ends_by_itself_and_the_next_file_starts_another(exchange: Path, bill: BillFile) -> None:
    with ReadingProcess(exchange, idle=0.2) as reader:
        reader.prepare()
        first = pid_of(reader)
        assert first
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert enter(reader, bill).total() == Decimal(2)
        assert pid_of(reader) != first


def test_a_heavy_file_costs_the_process_its_place(
    reader: ReadingProcess, bill: BillFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_side, "HEAVY", bill.size - 1)
    enter(reader, bill)
    assert not pid_of(reader)


def test_the_process_dies_with_the_daemon(exchange: Path, big_bill: BillFile) -> None:
    script = f"""
import sys
from pathlib import Path
from small_ledger import NO_HINTS, a_bill_file
from spendwatch.bills.client.process import ReadingProcess
reader = ReadingProcess(Path({str(exchange)!r}))
reader.prepare()
print(reader.child.pid, flush=True)
reader.read(a_bill_file(Path({str(big_bill.path)!r})), NO_HINTS).__enter__()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment()) as daemon:
        assert daemon.stdout
        worker = int(daemon.stdout.readline())
        handle = os.pidfd_open(worker)
        daemon.kill()
    waiting = threading.Event()
    for _ in range(100):
        try:
            signal.pidfd_send_signal(handle, 0)
        except ProcessLookupError:
            break
        waiting.wait(0.1)
    else:
        pytest.fail("the reading process outlived the daemon")
    os.close(handle)


def test_the_process_knows_no_secret_of_the_daemon(
    reader: ReadingProcess, monkeypatch: pytest.MonkeyPatch, bill: BillFile
) -> None:
    monkeypatch.setenv("SPENDWATCH_PASSWORD", "hush")
    enter(reader, bill)
    environment = Path(f"/proc/{pid_of(reader)}/environ").read_bytes()
    assert b"hush" not in environment
    assert b"POLARS_SKIP_CPU_CHECK=1" in environment


def test_polars_still_knows_the_switch_that_keeps_it_small() -> None:
    (library,) = Path(pl.__file__).parent.parent.glob("_polars_runtime*/*.so")
    with library.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        assert content.find(b"POLARS_CSV_CHUNK_SIZE") > 0


def test_nothing_is_left_behind(exchange: Path, bill: BillFile) -> None:
    with ReadingProcess(exchange) as reader:
        enter(reader, bill)
        (private,) = exchange.iterdir()
        assert private.stat().st_mode & 0o777 == 0o700
        assert {path.name for path in private.iterdir()} == {"worker.log"}
    assert list(exchange.iterdir()) == []


def test_what_a_dead_daemon_left_behind_is_removed_and_a_living_ones_folder_is_not(exchange: Path, bill: BillFile) -> None:
    with ReadingProcess(exchange) as living:
        living.prepare()
        left = exchange / "reader-dead"
        left.mkdir()
        (left / "chunk-1").write_text("old")
        with ReadingProcess(exchange) as reader:
            enter(reader, bill)
            assert not left.exists()
        assert enter(living, bill).total() == Decimal(2)


def test_a_refused_file_does_no_harm_to_the_process(reader: ReadingProcess, bill: BillFile, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UnreadableBillError, match="matches no known layout"):
        enter(reader, a_bill_file(tmp_path / "bad.csv"))
    first = pid_of(reader)
    assert enter(reader, bill).total() == Decimal(2)
    assert pid_of(reader) == first


def test_a_file_that_vanished_is_our_failure_and_not_the_files(reader: ReadingProcess, tmp_path: Path) -> None:
    gone = BillFile("gone.csv", tmp_path / "gone.csv", 1, SourceName("inbox"), datetime(2026, 9, 16, tzinfo=UTC))
    with pytest.raises(ReaderFailedError, match="FileNotFoundError"):
        enter(reader, gone)


def test_a_file_that_is_written_to_while_being_read_fails_the_reading(reader: ReadingProcess, big_bill: BillFile) -> None:
    reader.prepare()
    stopping = threading.Event()

    def touch() -> None:
        while not stopping.wait(0.005):
            os.utime(big_bill.path)

    toucher = threading.Thread(target=touch)
    toucher.start()
    try:
        with pytest.raises(ReaderFailedError, match="the file was changed while being read"):
            enter(reader, big_bill)
    finally:
        stopping.set()
        toucher.join()


def test_threads_may_share_the_process(reader: ReadingProcess, bill: BillFile) -> None:
    totals: list[Decimal] = []
    threads = [threading.Thread(target=lambda: totals.append(enter(reader, bill).total())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [Decimal(2)] * 4


def test_progress_is_told_until_the_end(exchange: Path, big_bill: BillFile) -> None:
    told: list[tuple[str, float]] = []
    with ReadingProcess(exchange, progress=lambda phase, share: told.append((phase, share))) as reader:
        enter(reader, big_bill)
    reading = [share for phase, share in told if phase == "reading"]
    assert reading == sorted(reading)
    assert reading[-1] == 1
    assert len(reading) > 10
    assert told[-1] == ("merging", 1.0)


def statement(**changes: object) -> bytes:
    told: dict[str, object] = {
        "digest": "00" * 32,
        "layout": "consumedetailbillv2",
        "series": "consumedetailbillv2.instance.month.keyed",
        "kind": "upsert",
        "tax_basis": "included",
        "accounts": ["1000000000000001"],
        "periods": [{"year": 2026, "month": 9}],
        "lines": 0,
        "data_until": "2026-09-15T00:00:00+08:00",
        "exported_at": None,
        "version": None,
        "days": [],
    }
    return json.dumps({"answer": "read", "statement": told | changes}).encode()


@pytest.mark.parametrize(
    "said",
    [
        b"\x80\x05.",
        b"[]",
        b'{"answer":"nothing"}',
        b'{"answer":"done"}',
        b'{"answer":"read"}',
        b'{"answer":"refused","refusals":[],"digest":""}',
        statement(lines=-1),
        statement(lines="many"),
        statement(kind="gift"),
        statement(data_until="2026-09-15T00:00:00"),
        statement(periods=[{"year": 2026, "month": 13}]),
        statement(version={"moment": "2026-09-15T00:00:00"}),
        statement(version={"moment": "2026-09-15T00:00:00+08:00", "cost": "NaN"}),
    ],
)
def test_what_a_hostile_process_says_is_not_believed(
    exchange: Path, bill: BillFile, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    being_hostile(monkeypatch, exchange, f"daemon.send_bytes({said!r})")
    with ReadingProcess(exchange) as reader, pytest.raises(ReaderFailedError, match="invalid message"):
        enter(reader, bill)


def test_a_sound_statement_of_that_process_is_believed(exchange: Path, bill: BillFile, monkeypatch: pytest.MonkeyPatch) -> None:
    being_hostile(monkeypatch, exchange, f"daemon.send_bytes({statement()!r}); sys.exit()")
    with ReadingProcess(exchange) as reader, reader.read(bill, NO_HINTS) as reading:
        assert reading.statement.accounts == ("1000000000000001",)


@pytest.mark.parametrize("deed", ["os.write(number, (100).to_bytes(4, 'big') + b'half')", "os.write(number, b'\x7f' * 4)"])
def test_a_message_that_is_not_whole_or_too_long_fails_the_reading(
    exchange: Path, bill: BillFile, deed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "STALLED", 1)
    being_hostile(monkeypatch, exchange, deed)
    with ReadingProcess(exchange) as reader, pytest.raises(ReaderFailedError, match="invalid message"):
        enter(reader, bill)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("charge", "gift"),
        ("currency", "yuan"),
        ("billed_cost", "1e5"),
        ("billed_cost", "NaN"),
        ("billed_cost", "0.00000000001"),
        ("billed_cost", 1.5),
        ("lines", -1),
        ("outstanding", ""),
    ],
)
def test_a_roll_up_that_makes_no_sense_is_not_believed(column: str, value: object) -> None:
    sound = {"charge": "usage", "currency": "CNY", "billed_cost": "1.25", "lines": 1, "outstanding": None}
    row: list[object] = [sound.get(name, "x") for name in SpendRow._fields]
    assert next(rows_from(json.dumps([row]).encode())).billed_cost == Decimal("1.25")
    row[SpendRow._fields.index(column)] = value
    with pytest.raises(ReaderFailedError, match="invalid message"):
        list(rows_from(json.dumps([row]).encode()))


def being_hostile(monkeypatch: pytest.MonkeyPatch, exchange: Path, deed: str) -> None:
    """Let a process that does only this take the place of ours."""
    lines = (
        "import os, sys, time",
        "from multiprocessing.connection import Connection",
        "number = int(sys.argv[1])",
        "daemon = Connection(number)",
        "daemon.recv_bytes()",
        deed,
        "time.sleep(60)",
    )
    exchange.mkdir()
    (exchange / "hostile.py").write_text("\n".join(lines))
    monkeypatch.setenv("PYTHONPATH", str(exchange), prepend=os.pathsep)
    monkeypatch.setattr(child, "WORKER", "hostile")
