"""Every HTTP request of the daemon passes here: addresses are checked first, and TLS is always verified.

Does not know what is sent or fetched. The only package that imports the HTTP library.
"""

from __future__ import annotations

from spendwatch.lean import without_rich

with without_rich():
    import httpx  # noqa: F401 -- before the rooms that use it

# isort: split
from spendwatch.addresses import Network
from spendwatch.outgoing.client import Outgoing
from spendwatch.outgoing.places import judge

__all__ = ["Network", "Outgoing", "judge"]
