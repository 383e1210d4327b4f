"""The reading process: reads bill files as the daemon asks, one request after the other, and ends when the daemon does.

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
from pathlib import Path
from typing import BinaryIO

from spendwatch.bills.messages import (
    LENGTH,
    Message,
    as_list,
    as_number,
    as_object,
    as_text,
    packed,
    refusals_message,
    statement_message,
    unpacked,
)
from spendwatch.bills.reader import Merged, UnderstoodBill, read
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId, ReadingHints

_AT_ONCE = 2
"""How many days are merged at the same time. Within one, Polars uses the other cores."""

_STEP = 0.02
"""Progress is told in steps of this share."""


class Worker:
    """Answers requests."""

    def __init__(self, answers: BinaryIO) -> None:
        """Keep the channel to the daemon."""
        self._answers = answers
        self._telling = threading.Lock()
        self._bills: dict[int, UnderstoodBill] = {}
        self._told = 0.0
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._merging: dict[int, list[Future[Merged]]] = {}

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
                case "forget":
                    self._forget(request)
                case unknown:
                    self._tell({"tell": "failed", "why": f"does not know how to {unknown}"})
        except UnreadableBillError as error:
            self._tell(refusals_message(error))
        except ReaderFailedError as error:
            self._tell({"tell": "failed", "why": str(error)})
        except MemoryError:
            self._tell({"tell": "failed", "why": "ran out of memory"})
        except Exception as error:  # noqa: BLE001 -- the daemon must hear of it; the traceback goes to standard error
            traceback.print_exc()
            self._tell({"tell": "failed", "why": f"{type(error).__name__}: {error}"[:500]})

    def _read(self, request: Message) -> None:
        currencies = as_object(request.get("currencies"))
        hints = ReadingHints({AccountId(account): Currency(as_text(code)) for account, code in currencies.items()})
        self._told = 0.0
        bill = read(
            Path(as_text(request.get("path"))),
            name=as_text(request.get("name")),
            hints=hints,
            folder=Path(as_text(request.get("folder"))),
            progress=self._progress,
        )
        self._bills[as_number(request.get("bill"))] = bill
        self._tell({"tell": "statement", "statement": statement_message(bill.statement)})

    def _merge(self, request: Message) -> None:
        """Merge the days that the ledger holds, tell of these, then go on with the new ones: nobody needs to wait for them."""
        number = as_number(request.get("bill"))
        bill = self._bills[number]
        days = [as_list(day) for day in as_list(request.get("days"))]
        held = {as_number(place): None if path is None else Path(as_text(path)) for place, path, _ in days}
        said = {as_number(place): as_text(stamp) for place, _, stamp in days}
        known = [place for place, path in held.items() if path]
        counts = []
        for place, day in zip(
            known, self._pool.map(lambda place: bill.merge(place, held[place], said[place]), known), strict=True
        ):
            counts.append([place, day.digest, day.lines, day.new, day.changed])
            self._tell({"tell": "packed", "bill": number, "day": place})
        self._tell({"tell": "merged", "days": counts})
        fresh = [place for place, path in held.items() if not path]
        self._merging[number] = [self._pool.submit(self._pack, bill, number, place) for place in fresh]

    def _pack(self, bill: UnderstoodBill, number: int, place: int) -> Merged:
        try:
            merged = bill.merge(place, None)
        except BaseException as error:
            self._tell({"tell": "failed", "why": f"{type(error).__name__}: {error}"[:500]})
            raise
        self._tell({"tell": "packed", "bill": number, "day": place})
        return merged

    def _forget(self, request: Message) -> None:
        number = as_number(request.get("bill"))
        futures = self._merging.pop(number, [])
        for future in futures:
            future.cancel()
        wait(futures)
        self._bills.pop(number, None)
        self._tell({"tell": "forgotten"})

    def _progress(self, phase: str, share: float) -> None:
        if share - self._told >= _STEP or share >= 1:
            self._told = share
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
