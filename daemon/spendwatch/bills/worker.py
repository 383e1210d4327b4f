"""The reading process: reads bill files on request, one after the other, and exits when the daemon does.

It limits its own memory before it touches a file. Standard output carries messages; whatever else is printed goes to standard
error.
"""

from __future__ import annotations

import argparse
import os
import queue
import resource
import sys
import threading
import traceback
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from polars.exceptions import PolarsError

from spendwatch.bills.bill import UnderstoodBill
from spendwatch.bills.focus_lines import write_day
from spendwatch.bills.merging import HeldChunk, Merging
from spendwatch.bills.messages import (
    export_request_from,
    hints_from,
    merge_request_from,
    merged_message,
    refusals_message,
    statement_message,
)
from spendwatch.bills.reader import read
from spendwatch.bills.wire import LENGTH, Message, as_number, as_object, as_text, packed, unpacked
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from spendwatch.domain.statement import DayKey

_AT_ONCE = 2
"""How many days are merged at the same time. Within one, Polars uses the other cores."""

_STEP = 0.02
"""Progress is told in steps of this share."""

_OS_ERROR = "(os error "
"""How Rust ends what the operating system had to say."""


class Worker:
    """Answers requests."""

    def __init__(self, answers: BinaryIO) -> None:
        """Keep the channel to the daemon."""
        self._answers = answers
        self._telling = threading.Lock()
        self._bills: dict[int, tuple[UnderstoodBill, Path]] = {}
        self._told = ("", 0.0)
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._merging: dict[int, list[Future[None]]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no bill is held."""
        return not self._bills

    def answer(self, request: Message) -> None:
        """Do what the request asks; whatever goes wrong is told."""
        try:
            match as_text(request.get("ask")):
                case "read":
                    self._read(request)
                case "merge":
                    self._merge(request)
                case "export":
                    self._export(request)
                case "forget":
                    self._forget(request)
                case unknown:
                    self._tell({"tell": "failed", "why": f"does not know how to {unknown}"})
        except UnreadableBillError as error:
            self._tell(refusals_message(error))
        except ReaderFailedError as error:
            self._tell({"tell": "failed", "why": str(error), "innocent": error.is_innocent})
        except MemoryError:
            self._tell({"tell": "failed", "why": "ran out of memory"})
        except Exception as error:  # noqa: BLE001 -- the daemon must hear of it; the traceback goes to standard error
            with suppress(OSError):  # which lies on the disk that may just be full
                traceback.print_exc()
            self._tell_failure(error)

    def _read(self, request: Message) -> None:
        self._told = ("", 0.0)
        number, folder = as_number(request.get("bill")), Path(as_text(request.get("folder")))
        bill = read(
            Path(as_text(request.get("path"))),
            name=as_text(request.get("name")),
            hints=hints_from(as_object(request.get("hints"))),
            folder=folder,
            progress=self._progress,
        )
        self._bills[number] = bill, folder
        self._tell({"tell": "statement", "statement": statement_message(bill.statement)})

    def _merge(self, request: Message) -> None:
        """Merge what the ledger holds, tell of it, then go on with what is new: nobody needs to wait for that."""
        number = as_number(request.get("bill"))
        bill, folder = self._bills[number]
        plan = merge_request_from(request)
        held = {key: HeldChunk(key, path, stamp) for key, path, stamp in plan.held}
        merging = Merging(bill, plan.days, held, plan.coverage, folder)
        if held:
            merging.find_moves()
        lazy = [key for key in plan.days if key in plan.lazy and not merging.has_moves_from(key)]
        eager = [key for key in plan.days if key not in lazy]
        others = [key for key in held if key not in plan.days]
        told = []
        names = {key: str(place) for place, key in enumerate((*plan.days, *others))}
        for key, merged in zip(eager, self._pool.map(lambda key: merging.day(key, names[key]), eager), strict=True):
            told.append(merged_message(names[key], merged))
        for key, looked in zip(others, self._pool.map(lambda key: merging.elsewhere(key, names[key]), others), strict=True):
            if looked:
                told.append(merged_message(names[key], looked))
        self._tell({"tell": "merged", "days": told})
        self._merging[number] = [self._pool.submit(self._pack, merging, number, key, names[key]) for key in lazy]

    def _pack(self, merging: Merging, number: int, key: DayKey, name: str) -> None:
        try:
            merging.pack(key, name)
        except BaseException as error:
            self._tell_failure(error)
            raise
        self._tell({"tell": "packed", "bill": number, "day": int(name)})

    def _export(self, request: Message) -> None:
        key, chunk, into, products = export_request_from(request)
        with into.open("w", encoding="utf-8", newline="") as file:
            lines = write_day(file, key, chunk, products)
        self._tell({"tell": "exported", "lines": lines})

    def _forget(self, request: Message) -> None:
        number = as_number(request.get("bill"))
        futures = self._merging.pop(number, [])
        for future in futures:
            future.cancel()
        wait(futures)
        self._bills.pop(number, None)
        self._tell({"tell": "forgotten"})

    def _tell_failure(self, error: BaseException) -> None:
        # Neither a full disk nor a file that is gone is the bill's fault. Polars packs such errors into its own.
        is_innocent = isinstance(error, OSError) or (isinstance(error, PolarsError) and _OS_ERROR in str(error))
        self._tell({"tell": "failed", "why": f"{type(error).__name__}: {error}"[:500], "innocent": is_innocent})

    def _progress(self, phase: str, share: float) -> None:
        told_phase, told_share = self._told
        if phase != told_phase or share - told_share >= _STEP or share >= 1:
            self._told = phase, share
            self._tell({"tell": "progress", "phase": phase, "share": share})

    def _tell(self, message: Message) -> None:
        with self._telling:
            self._answers.write(packed(message))
            self._answers.flush()


def main() -> None:
    """Answer requests until the daemon is gone, or nothing was asked for a while."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", type=int, required=True)
    parser.add_argument("--idle", type=float, required=True)
    options = parser.parse_args()
    limit_resources(options.memory)
    worker = Worker(_private_output())
    requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    while True:
        try:
            worker.answer(requests.get(timeout=options.idle))
        except queue.Empty:
            if worker.is_idle:
                # The listening thread sits in a read: an orderly end would trip over it.
                os._exit(0)


def limit_resources(memory: int) -> None:
    """Allow so many bytes of memory of our own (mapped files are not counted), and no core dumps: they would hold bills."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _private_output() -> BinaryIO:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _listen(requests: BinaryIO, into: queue.SimpleQueue[Message]) -> None:
    """Pass requests on. The end of the input is the daemon's death: end at once, whatever is being done."""
    while length := requests.read(LENGTH):
        into.put(unpacked(requests.read(int.from_bytes(length, "big"))))
    os._exit(0)


if __name__ == "__main__":
    main()
