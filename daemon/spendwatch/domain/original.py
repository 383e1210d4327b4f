"""A bill file that was read: where it lies now, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Original:
    """An original that is on record as it lies there."""

    place: str
    """Below the folder of its source."""
    identity: str
    """What the file system says of it; another text means other bytes."""
    kept_at: datetime
    refused_by: str = ""
    """The reader that rejected it, as another one may understand it; empty: the ledger has what it says."""
