"""The exit codes; they are part of the interface."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    FIRING = 3
    STALE = 4
    BILL = 65
    REFUSED = 69
    TRY_AGAIN = 75
    CREDENTIALS = 77
    CONFIG = 78
    INTERRUPTED = 130
