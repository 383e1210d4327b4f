"""Every HTTP request of the daemon passes here: addresses are checked first, and TLS is always verified.

Does not know what is sent or fetched. The only package that imports the HTTP library.
"""

from __future__ import annotations

from spendwatch.lean import on_demand, without_rich

with without_rich(), on_demand("anyio"):
    import httpcore  # noqa: F401 -- before the rooms that use them
    import httpx  # noqa: F401

# isort: split
from spendwatch.addresses import Network
from spendwatch.outgoing.client import Outgoing
from spendwatch.outgoing.places import judge

__all__ = ["Network", "Outgoing", "judge"]
