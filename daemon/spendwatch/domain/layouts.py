"""The names of the bill layouts, for those who must know them without being able to read one."""

from __future__ import annotations

LAYOUTS: tuple[str, ...] = ("consumedetailbillv2",)
"""Every layout that `bills` can read."""
