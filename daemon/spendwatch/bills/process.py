"""The daemon's side of the reading process: starts it, asks it, replaces it when it dies or hangs. Never imports Polars."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Self

from spendwatch.bills.messages import (
    BrokenChannelError,
    Message,
    day_from_plain,
    day_to_plain,
    hints_to_plain,
    receive,
    refusal_from_plain,
    send,
    statement_from_plain,
)
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import (
    BillFile,
    ChargeKind,
    DayKey,
    Digest,
    ReadingHints,
    SpendRow,
    Statement,
    WorkspaceId,
)

MEMORY = 4 * 1024**3
"""Address space of the reading process, in bytes. Polars reserves more than it uses."""

IDLE = timedelta(minutes=1)
"""How long an idle reading process is kept."""

HEAVY = 256 * 1024**2
"""After a bill of that many bytes the process is replaced: it would never give its memory back."""

_LEAST_PATIENCE = 120.0
_SLOWEST = 2 * 1024**2
"""Bytes a second below which a reading counts as hanging."""

_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "LD_PRELOAD")

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class DayOnDisk:
    """A merged day, whose content lies in the exchange folder."""

    key: DayKey
    digest: Digest
    lines: int
    new: int
    changed: int
    chunk_file: Path
    rows_file: Path

    def chunk(self) -> bytes:
        """Return the day's lines as one compressed columnar chunk."""
        return self.chunk_file.read_bytes()

    def rows(self) -> Iterator[SpendRow]:
        """Yield the day's roll-up, line by line, so that nobody waits for the whole."""
        with self.rows_file.open(encoding="utf-8") as file:
            for line in file:
                yield _spend_row(json.loads(line))


def _spend_row(values: list[str | int]) -> SpendRow:
    *texts, lines = values
    workspace, key, model, kind, channel, item, commodity, product, owner, tags, charge, currency, cost = map(str, texts)
    return SpendRow(
        workspace=WorkspaceId(workspace),
        api_key=key,
        model=model,
        type=kind,
        channel=channel,
        item=item,
        commodity=commodity,
        product=product,
        owner=owner,
        tags=tags,
        charge=ChargeKind(charge),
        currency=Currency(currency),
        billed_cost=Decimal(cost),
        lines=int(lines),
    )


class ReadingProcess:
    """Reads bills in a process of its own. May be called from any thread; one bill is read at a time."""

    def __init__(
        self, exchange: Path, *, memory: int = MEMORY, progress: Progress | None = None, patience: float = _LEAST_PATIENCE
    ) -> None:
        """Use `exchange` (made, and private) for what is too large to be said."""
        self._exchange = exchange
        self._memory = memory
        self._patience = patience
        self._progress = progress or (lambda *_: None)
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: threading.Timer | None = None

    def prepare(self) -> None:
        """Start the process now, so that its start overlaps with other work."""
        with self._lock:
            self._running()

    def read(self, file: BillFile, hints: ReadingHints) -> HeldBill:
        """Understand the file, or raise `UnreadableBillError` with every refusal, or `ReaderFailedError`.

        The reader belongs to the caller's thread until the bill is closed.
        """
        self._lock.acquire()
        try:
            self._exchange.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder = Path(tempfile.mkdtemp(prefix="bill-", dir=self._exchange))
            bill = HeldBill(self, folder, file)
            try:
                answer = self._ask(
                    {
                        "do": "read",
                        "path": str(file.path),
                        "name": file.name,
                        "hints": hints_to_plain(hints),
                        "folder": str(folder),
                    },
                    file.size,
                )
                bill.statement = statement_from_plain(answer["statement"])
            except BaseException:
                self._forget(folder, heavy=file.size >= HEAVY)
                raise
        except BaseException:
            self._lock.release()
            raise
        return bill

    def close(self) -> None:
        """End the process, also in the middle of a bill."""
        process = self._process
        if process is not None:
            self._end(process)

    def merge(self, folder: Path, held: Mapping[DayKey, bytes | None], size: int) -> Iterator[DayOnDisk]:
        """Ask for the merge of these days; yield each when it is done."""
        files: list[list[object]] = []
        for number, (key, content) in enumerate(held.items()):
            path = folder / f"held-{number}"
            if content is not None:
                path.write_bytes(content)
            files.append([day_to_plain(key), str(path) if content is not None else ""])
        answer = self._ask({"do": "merge", "folder": str(folder), "days": files}, size)
        while "merged" not in answer:
            yield DayOnDisk(
                key=day_from_plain(answer["day"]),
                digest=Digest(str(answer["digest"])),
                lines=int(answer["lines"]),
                new=int(answer["new"]),
                changed=int(answer["changed"]),
                chunk_file=_inside(folder, answer["chunk"]),
                rows_file=_inside(folder, answer["rows"]),
            )
            answer = self._answer(self._running(), size)

    def release(self, folder: Path, size: int) -> None:
        """Let the process forget the bill, and others have their turn."""
        try:
            self._forget(folder, heavy=size >= HEAVY)
        finally:
            self._lock.release()

    def _forget(self, folder: Path, *, heavy: bool) -> None:
        process = self._process
        if process is not None and (heavy or process.poll() is not None):
            self._end(process)
        elif process is not None:
            with suppress(ReaderFailedError):
                self._ask({"do": "forget", "folder": str(folder)}, 0)
        shutil.rmtree(folder, ignore_errors=True)
        self._rest()

    def _ask(self, request: Message, size: int) -> Message:
        process = self._running()
        assert process.stdin is not None  # noqa: S101 -- it was started with pipes
        try:
            send(process.stdin, request)  # type: ignore[arg-type]  # a pipe is as good as any file
        except BrokenChannelError as error:
            raise self._died(process) from error
        return self._answer(process, size)

    def _answer(self, process: subprocess.Popen[bytes], size: int) -> Message:
        assert process.stdout is not None  # noqa: S101 -- it was started with pipes
        timer = threading.Timer(self._patience + size / _SLOWEST, self._end, [process])
        timer.daemon = True
        timer.start()
        try:
            while (message := receive(process.stdout)) is not None:  # type: ignore[arg-type]  # a pipe is as good as any file
                if "progress" in message:
                    self._progress(str(message["phase"]), float(message["progress"]))
                elif "refused" in message:
                    refusals = (refusal_from_plain(plain) for plain in message["refused"])
                    raise UnreadableBillError(*refusals, digest=str(message["digest"]))
                elif "failed" in message:
                    raise ReaderFailedError(str(message["failed"]))
                elif "ready" not in message:
                    return message
        except (BrokenChannelError, KeyError, TypeError) as error:
            raise self._died(process) from error
        finally:
            timer.cancel()
        raise self._died(process)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        # Polars asks the processor by executable memory, which a hardened service may not have.
        environment["POLARS_SKIP_CPU_CHECK"] = "1"
        return subprocess.Popen(  # noqa: S603 -- our own module, nothing of a bill
            [sys.executable, "-m", "spendwatch.bills.worker", str(self._memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    def _died(self, process: subprocess.Popen[bytes]) -> ReaderFailedError:
        self._end(process)
        code = process.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code and code < 0 else f"ended with code {code}"
        return ReaderFailedError(f"the reading process {how}")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        if self._process is process:
            self._process = None

    def _rest(self) -> None:
        process = self._process
        if process is not None:
            self._idle = threading.Timer(IDLE.total_seconds(), self._end_idle, [process])
            self._idle.daemon = True
            self._idle.start()

    def _end_idle(self, process: subprocess.Popen[bytes]) -> None:
        if self._lock.acquire(blocking=False):
            try:
                if self._process is process:
                    self._end(process)
            finally:
                self._lock.release()


def _inside(folder: Path, name: object) -> Path:
    """Return the path only if it lies in the folder: the process that names it may be hostile."""
    path = folder / Path(str(name)).name
    if path.is_symlink() or not path.is_file():
        msg = "the reading process named a file that is not there"
        raise ReaderFailedError(msg)
    return path


class HeldBill:
    """A bill that has been understood, held by the reading process until it is closed. A context manager."""

    def __init__(self, reader: ReadingProcess, folder: Path, file: BillFile) -> None:
        """Keep who holds it; the statement comes when it has been read."""
        self._reader = reader
        self._folder = folder
        self._size = file.size
        self._statement: Statement | None = None

    @property
    def statement(self) -> Statement:
        """What the file says."""
        assert self._statement is not None  # noqa: S101 -- given out only when it has been read
        return self._statement

    @statement.setter
    def statement(self, statement: Statement) -> None:
        self._statement = statement

    def merge(self, held: Mapping[DayKey, bytes | None], days: tuple[DayKey, ...]) -> tuple[DayOnDisk, ...]:
        """Merge these days with the chunks the ledger holds (None: it holds none)."""
        return tuple(self._reader.merge(self._folder, {day: held.get(day) for day in days}, self._size))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the reader forget the file."""
        self._reader.release(self._folder, self._size)
