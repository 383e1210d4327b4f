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


def shift(began_at: datetime) -> None:
    """Let the one clock of the program show that moment now."""
    started = time.monotonic()
    state.system_clock = lambda: began_at + timedelta(seconds=time.monotonic() - started)


def follow(file: Path) -> None:
    """Let the program's clock, and that of its scheduler, be as far ahead as the file says."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain moment will do
            return datetime.now(tz) + timedelta(seconds=float(file.read_text()))  # noqa: TID251 -- the real time to be shifted

    base.datetime = Shifted
    state.system_clock = lambda: Shifted.now(UTC)


if __name__ == "__main__":
    wanted = sys.argv.pop(1)
    if wanted.startswith("@"):
        follow(Path(wanted[1:]))
    else:
        shift(datetime.fromisoformat(wanted))
    # Whoever asks for the clock gets it when imported: only now.
    from spendwatch.cli import main

    main()
