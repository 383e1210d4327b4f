"""Fetches from a bucket and puts away what came, time and again, and is killed each time a step later.

As a program: `python -m bucket_deaths URL PLACE` works in `PLACE/1`, `PLACE/2` and so on, until it once comes to its end. A
step is whatever the file system is asked: to open, rename, create or remove something.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from bucket_watch import work

_STEPS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.scandir", "os.truncate", "os.listdir"})
_MOST = 2000


def _die_at(step: int) -> None:
    seen = 0

    def hook(event: str, _arguments: object) -> None:
        nonlocal seen
        if event in _STEPS:
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main() -> None:
    """Work in one folder after the other; say how many that were."""
    url, place = sys.argv[1], Path(sys.argv[2])
    work(url, place / "0")  # so that every module is loaded by now
    for step in range(1, _MOST):
        child = os.fork()
        if not child:
            _die_at(step)
            work(url, place / str(step))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            print(step - 1)
            return
    raise AssertionError


if __name__ == "__main__":
    main()
