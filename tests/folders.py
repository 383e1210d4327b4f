"""Where the tests' own things are, and how a program of the tests finds them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent
BILLS = TESTS / "data" / "bills"


def environment() -> dict[str, str]:
    """Return an environment in which another Python finds every module that this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
