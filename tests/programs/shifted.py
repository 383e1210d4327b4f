"""Starts the real program at another time, which goes on from there.

python shifted.py 2026-10-05T12:00:00+08:00 --config DIR once
python shifted.py @FILE --config DIR run            # so many seconds ahead of the real time as the file says, which may change
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from apscheduler.schedulers import base

from spendwatch import state

_clocks = [state.system_clock]
"""The last one is asked."""


def _now() -> datetime:
    return _clocks[-1]()


def put_in() -> None:
    """Put in a clock that can be set later: whoever asks for the clock gets it when imported."""
    state.system_clock = _now


def set_clock(wanted: str) -> None:
    """Set the clock to a moment, from where it goes on, or as far ahead as a file says; or leave it."""
    if wanted.startswith("@"):
        _follow(Path(wanted[1:]))
    elif wanted:
        began_at, started = datetime.fromisoformat(wanted), time.monotonic()
        _clocks.append(lambda: began_at + timedelta(seconds=time.monotonic() - started))


def _follow(file: Path) -> None:
    """Let the program's clock, and that of its scheduler, be as far ahead as the file says."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain moment will do
            return datetime.now(tz) + timedelta(seconds=float(file.read_text()))  # noqa: TID251 -- the real time to be shifted

    base.datetime = Shifted
    _clocks.append(lambda: Shifted.now(UTC))


if __name__ == "__main__":
    put_in()
    set_clock(sys.argv.pop(1))
    from spendwatch.cli import main

    main()
