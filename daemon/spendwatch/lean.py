"""Keeps the daemon small: libraries for terminal output are loaded only when needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

_DRAWING = ("rich", "pygments")


@contextmanager
def without_rich() -> Iterator[None]:
    """Let libraries be imported as if rich were not installed; who imports it later gets it.

    structlog would load it for tracebacks that we never print, httpx for its own command line: 6 MB, and 50 ms of each start.
    """
    hidden = [name for name in _DRAWING if name not in sys.modules]
    # None makes the import system treat the module as missing.
    sys.modules.update(dict.fromkeys(hidden, cast("ModuleType", None)))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
