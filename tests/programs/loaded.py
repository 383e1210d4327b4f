"""Runs commands of the real program, each in a process of its own, forked from one that has loaded the program already.

To load the program takes ten times as long as most commands. How it is loaded is shown where tests start it from nothing.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import nursery
import shifted

BROKEN = "SPENDWATCH_TEST_BROKEN"
"""Names the one thing that is to be broken in a command."""

_MOST = 1 << 20
"""Bytes of a request: arguments and environment."""

_NOT = ("spendwatch.__main__", "spendwatch.bills.", "spendwatch.demo", "spendwatch.store.migrations.")
"""What runs when it is imported, or loads Polars: that has threads, which no fork takes along."""

_LATER = ("sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite", "rich.console", "rich.table")
"""What the program loads when it is needed."""


_MAY_BE_TRACED = 0x59616D61
"""By whoever may do so at all, not only by who started it."""


def load() -> None:
    """Load the program, but for what its reading process needs."""
    import spendwatch  # noqa: PLC0415 -- after the clock was put in

    for module in pkgutil.walk_packages(spendwatch.__path__, "spendwatch."):
        if not module.name.startswith(_NOT):
            importlib.import_module(module.name)
    for name in _LATER:
        importlib.import_module(name)
    assert "polars" not in sys.modules
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()


def serve(requests: socket.socket) -> Sequence[str]:
    """Fork for each request until nobody asks any more; return the clock and the arguments, in the new process."""
    while True:
        request, files, _, _ = socket.recv_fds(requests, _MOST, 3)
        if not request:
            sys.exit()
        if os.fork() == 0:
            requests.close()
            return _forked(json.loads(request), *files)
        for file in files:
            os.close(file)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _forked(request: Mapping[str, object], out: int, errors: int, end: int) -> Sequence[str]:
    """Fork once more and tell that one's id and exit code; return in it."""
    if child := os.fork():
        os.write(end, str(child).encode())
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.alarm(int(str(request["seconds"])))
        _, status = os.waitpid(child, 0)
        os.write(end, str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    os.close(end)
    if request["is_held"]:
        ctypes.CDLL(None).prctl(_MAY_BE_TRACED, -1, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
    for target, file in enumerate((out, errors), start=1):
        os.dup2(file, target)
        os.close(file)
    os.chdir(str(request["folder"]))
    environment, arguments = request["environment"], request["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    return arguments


_code = [1]
"""The last one is how the program ends."""


def _leave() -> None:
    """End at once: what the interpreter would take apart first is ten times as much as most commands do."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(_code[-1])


if __name__ == "__main__":
    atexit.register(_leave)  # before all others, so that it comes after them
    shifted.put_in()
    load()
    reading = socket.socket(fileno=int(sys.argv[2]))
    with socket.socket(fileno=int(sys.argv[1])) as place:
        clock, *arguments = serve(place)
    nursery.put_in(reading)
    sys.argv[:] = ["spendwatch", *arguments]
    shifted.set_clock(clock)
    if broken := os.environ.pop(BROKEN, ""):
        sys.path.append(str(Path(__file__).parent.parent))
        from sweep.control_builds import CONTROLS

        CONTROLS[broken]()
    from spendwatch.cli import main

    try:
        main()
    except SystemExit as end:
        _code.append(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
    _code.append(0)
