"""The meaning of an error status of the operator's own endpoint."""

from __future__ import annotations

from spendwatch.domain.trouble import Trouble

_BY_STATUS = {
    401: Trouble.CREDENTIALS,
    403: Trouble.PERMISSION,
    407: Trouble.CREDENTIALS,
    408: Trouble.UNAVAILABLE,
    425: Trouble.UNAVAILABLE,
    429: Trouble.THROTTLED,
}
_FIRST_OF_THE_SERVER = 500


def trouble_of(status: int) -> Trouble:
    """Return what kind of trouble it is."""
    usual = Trouble.UNAVAILABLE if status >= _FIRST_OF_THE_SERVER else Trouble.REFUSED
    return _BY_STATUS.get(status, usual)
