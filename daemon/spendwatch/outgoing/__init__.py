"""Every HTTP request that leaves the daemon passes here: addresses are judged first, and TLS is always proven.

Knows nothing of what is sent or fetched. The only room that imports the HTTP library.
"""

from __future__ import annotations

from spendwatch.lean import without_drawing

with without_drawing():
    import httpx  # noqa: F401 -- before the rooms that use it

# isort: split
from spendwatch.addresses import Network
from spendwatch.outgoing.client import Answer, Fetched, Outgoing
from spendwatch.outgoing.places import judge

__all__ = ["Answer", "Fetched", "Network", "Outgoing", "judge"]
