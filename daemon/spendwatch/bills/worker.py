"""The reading process: reads bill files on request, one after the other, and exits when the daemon does.

It limits its own memory before it touches a file.
"""

from __future__ import annotations

import os
import queue
import resource
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection

from polars.exceptions import PolarsError
from pydantic_core import to_json

from spendwatch.bills.bill import UnderstoodBill
from spendwatch.bills.chunk import DimensionDictionary, write_usage
from spendwatch.bills.focus_lines import write_day
from spendwatch.bills.merging import Resolving, SharedIds
from spendwatch.bills.messages import (
    Answer,
    BillRead,
    BillRefused,
    DayOutcome,
    DaysResolved,
    Done,
    ExportRequest,
    Failed,
    FindSharedRequest,
    ForgetRequest,
    ProgressMade,
    ReadRequest,
    Request,
    ResolveRequest,
    SharedFound,
)
from spendwatch.bills.reader import read
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from spendwatch.domain.statement import DayKey

_AT_ONCE = 2
"""How many days are merged at the same time. Within one, Polars uses the other cores."""

_STEP = 0.02
"""Progress is reported in steps of this share."""

_OS_ERROR = "(os error "
"""How Rust ends what the operating system had to say."""


class Worker:
    """Answers requests."""

    def __init__(self, daemon: Connection) -> None:
        """Keep the connection to the daemon."""
        self._daemon = daemon
        self._telling = threading.Lock()
        self.bill: UnderstoodBill | None = None
        """The one that is held."""
        self._told = ("", 0.0)
        self._pool = ThreadPoolExecutor(_AT_ONCE)

    def answer(self, request: Request) -> None:
        """Do what the request asks; every failure is answered."""
        try:
            self._tell(self._done(request))
        except UnreadableBillError as error:
            self._tell(BillRefused(error.refusals, error.digest))
        except ReaderFailedError as error:
            self._tell(Failed(str(error), error.is_innocent))
        except MemoryError:
            self._tell(Failed("ran out of memory"))
        except Exception as error:  # noqa: BLE001 -- it is answered to the daemon; the traceback goes to standard error
            with suppress(OSError):  # which lies on the disk that may just be full
                traceback.print_exc()
            # Neither a full disk nor a file that is gone is the bill's fault. Polars packs such errors into its own.
            is_innocent = isinstance(error, OSError) or (isinstance(error, PolarsError) and _OS_ERROR in str(error))
            self._tell(Failed(f"{type(error).__name__}: {error}"[:500], is_innocent))

    def _done(self, request: Request) -> Answer:
        match request:
            case ReadRequest():
                self._told = ("", 0.0)
                self.bill = read(
                    request.path, name=request.name, hints=request.hints, folder=request.folder, progress=self._progress
                )
                return BillRead(self.bill.statement)
            case FindSharedRequest():
                return SharedFound(self._shared(request))
            case ResolveRequest():
                return DaysResolved(self._resolved(request))
            case ExportRequest():
                book = DimensionDictionary()
                lines = Resolving(request.plan, request.contents, None, request.into.parent).lines_of(request.day, book)
                with request.into.open("w", encoding="utf-8", newline="") as file:
                    if request.is_usage:
                        write_usage(file, lines, book, request.products)
                    else:
                        write_day(file, request.day, lines, book, request.products)
            case ForgetRequest():
                self.bill = None
        return Done()

    def _shared(self, request: FindSharedRequest) -> tuple[DayKey, ...]:
        packed = {}
        with request.ids.open("rb") as file:
            for digest, size in request.sizes.items():
                packed[digest] = file.read(size)
        return tuple(SharedIds(request.plan, self.bill, packed).days())

    def _resolved(self, request: ResolveRequest) -> tuple[DayOutcome | None, ...]:
        resolving = Resolving(request.plan, request.contents, self.bill, request.folder)
        outcomes: dict[int, DayOutcome] = {}
        groups = resolving.groups()
        for number, found in enumerate(self._pool.map(resolving.resolve, groups), start=1):
            self._progress("merging", number / len(groups))
            outcomes |= found
        resolving.pack_unused()
        return tuple(outcomes.get(place) for place in range(len(request.plan.days) + len(request.plan.others)))

    def _progress(self, phase: str, share: float) -> None:
        told_phase, told_share = self._told
        if phase != told_phase or share - told_share >= _STEP or share >= 1:
            self._told = phase, share
            self._tell(ProgressMade(phase, share))

    def _tell(self, answer: Answer) -> None:
        # Not pydantic itself, which takes as long to load as a small bill to read.
        with self._telling:
            self._daemon.send_bytes(to_json(answer))


def main() -> None:
    """Answer requests until the daemon is gone, or nothing was asked for a while.

    The arguments are the connection's file descriptor, the bytes of memory, and the seconds of idleness.
    """
    connection, memory, idle = sys.argv[1:]
    limit_resources(int(memory))
    daemon = Connection(int(connection))
    worker = Worker(daemon)
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(daemon, requests), daemon=True).start()
    while True:
        try:
            worker.answer(requests.get(timeout=float(idle)))
        except queue.Empty:
            if worker.bill is None:
                # The listening thread sits in a read: an orderly end would trip over it.
                os._exit(0)


def limit_resources(memory: int) -> None:
    """Allow so many bytes of memory of our own (mapped files are not counted), and no core dumps: they would hold bills."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _listen(daemon: Connection, into: queue.SimpleQueue[Request]) -> None:
    """Pass requests on. The end of the connection is the daemon's death: end at once, whatever is being done."""
    with suppress(EOFError, OSError):
        while True:
            into.put(daemon.recv())
    os._exit(0)


if __name__ == "__main__":
    main()
