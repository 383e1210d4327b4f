"""Starts the real program at another time, which goes on from there.

python shifted.py 2026-10-05T12:00:00+08:00 --config DIR once
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta

from spendwatch import state


def shift(began_at: datetime) -> None:
    """Let the one clock of the program show that moment now."""
    started = time.monotonic()
    state.system_clock = lambda: began_at + timedelta(seconds=time.monotonic() - started)


if __name__ == "__main__":
    shift(datetime.fromisoformat(sys.argv.pop(1)))
    # Whoever asks for the clock gets it when imported: only now.
    from spendwatch.cli import main

    main()
