"""The reading process: does what the daemon asks, one request at a time, until its standard input ends.

It has no secrets, no network to speak of and a memory limit; if a bill kills it, the daemon starts another.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from spendwatch.bills.messages import (
    BrokenChannelError,
    Message,
    day_from_plain,
    day_to_plain,
    hints_from_plain,
    receive,
    refusal_to_plain,
    send,
    statement_to_plain,
)
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError

_PROGRESS_EVERY = 0.2


def main(memory: int) -> None:
    """Serve requests from standard input; answers go where standard output was, which nobody else may use."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from spendwatch.bills.reader import UnderstoodBill, read  # noqa: PLC0415 -- Polars is to live below the limit

    bills: dict[str, UnderstoodBill] = {}
    requests = sys.stdin.buffer
    tell = _progress(answers)
    send(answers, {"ready": True})
    while request := receive(requests):
        place = Path(request["folder"])
        try:
            match request["do"]:
                case "read":
                    bill = read(
                        Path(request["path"]),
                        name=request["name"],
                        hints=hints_from_plain(request["hints"]),
                        folder=place,
                        progress=tell,
                    )
                    bills[str(place)] = bill
                    send(answers, {"statement": statement_to_plain(bill.statement)})
                case "merge":
                    _merge(bills[str(place)], request, answers, tell)
                case _:
                    bills.pop(str(place), None)
                    shutil.rmtree(place, ignore_errors=True)
                    send(answers, {"forgotten": True})
        except UnreadableBillError as error:
            refusals = [refusal_to_plain(refusal) for refusal in error.refusals]
            send(answers, {"refused": refusals, "digest": error.digest})
        except (ReaderFailedError, MemoryError, OSError) as error:
            send(answers, {"failed": str(error) or type(error).__name__})


def _merge(bill: object, request: Message, answers: BinaryIO, tell: Callable[[str, float], None]) -> None:
    from spendwatch.bills.reader import UnderstoodBill  # noqa: PLC0415 -- as above

    assert isinstance(bill, UnderstoodBill)  # noqa: S101 -- put there by the request before
    held = {day_from_plain(day): Path(path) if path else None for day, path in request["days"]}
    for merged in bill.merge(held, tell):
        counts = {"lines": merged.lines, "new": merged.new, "changed": merged.changed}
        files = {"chunk": str(merged.chunk), "rows": str(merged.rows)}
        send(answers, {"day": day_to_plain(merged.key), "digest": merged.digest, **counts, **files})
    send(answers, {"merged": True})


def _progress(answers: BinaryIO) -> Callable[[str, float], None]:
    last = 0.0

    def tell(phase: str, share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_EVERY:
            last = now
            send(answers, {"progress": share, "phase": phase})

    return tell


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except (BrokenChannelError, KeyboardInterrupt):
        sys.exit(1)
