"""Runs commands of the real program, each in a process of its own, forked from one that has loaded the program already.

To load the program takes ten times as long as most commands. How it is loaded is shown where tests start it from nothing.
"""

from __future__ import annotations

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

import shifted

_MOST = 1 << 20
"""Bytes of a request: arguments and environment."""

_NOT = ("spendwatch.__main__", "spendwatch.bills.", "spendwatch.demo", "spendwatch.store.migrations.")
"""What runs when it is imported, or loads Polars: that has threads, which no fork takes along."""

_LATER = ("sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite", "rich.console", "rich.table")
"""What the program loads when it is needed."""


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
    """Fork once more and tell the exit code of what becomes of that; return in the one whose exit code is told."""
    if child := os.fork():
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.alarm(int(str(request["seconds"])))
        _, status = os.waitpid(child, 0)
        os.write(end, str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    os.close(end)
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


if __name__ == "__main__":
    shifted.put_in()
    load()
    with socket.socket(fileno=int(sys.argv[1])) as place:
        clock, *arguments = serve(place)
    sys.argv[:] = ["spendwatch", *arguments]
    shifted.set_clock(clock)
    from spendwatch.cli import main

    main()
