"""Failures of an endpoint, in words."""

from __future__ import annotations

from datetime import timedelta

from spendwatch.domain.errors import ForbiddenAddressError, SourceUnavailableError, UnreachableError, printable
from spendwatch.domain.trouble import Trouble
from spendwatch.request import Request
from spendwatch.sources.fetching import HttpAnswer, HttpClient

__all__ = ["EndpointError", "Trouble", "fetched", "quoted", "trouble_of_status"]

_LONGEST_QUOTE = 200
_BY_STATUS = {
    401: Trouble.CREDENTIALS,
    403: Trouble.PERMISSION,
    407: Trouble.CREDENTIALS,
    408: Trouble.UNAVAILABLE,
    425: Trouble.UNAVAILABLE,
    429: Trouble.THROTTLED,
}
_FIRST_OF_THE_SERVER = 500


_PASSING = frozenset({Trouble.UNREACHABLE, Trouble.UNAVAILABLE, Trouble.THROTTLED})
_OF_ONE_DAY = frozenset({Trouble.CHANGING, Trouble.UNEXPECTED})


class EndpointError(SourceUnavailableError):
    """An endpoint gave us nothing that we may use. The message holds no secret."""

    trouble: Trouble

    def __init__(self, message: str, trouble: Trouble, *, retry_after: timedelta | None = None) -> None:
        """Keep the kind of failure, and the pause that the endpoint asked for."""
        super().__init__(message, trouble)
        self.retry_after = retry_after
        self.answer = b""
        """What could not be understood, for a person to look at; without our secrets."""

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may well succeed in a moment."""
        return self.trouble in _PASSING

    @property
    def is_about_credentials(self) -> bool:
        """Whether a person has to look at keys or permissions."""
        return self.trouble.is_about_credentials

    @property
    def is_of_one_day(self) -> bool:
        """Whether the failure concerns this bill only, so that others can be fetched."""
        return self.trouble in _OF_ONE_DAY


def trouble_of_status(status: int) -> Trouble:
    """Return what a status alone means."""
    usual = Trouble.UNAVAILABLE if status >= _FIRST_OF_THE_SERVER else Trouble.REFUSED
    return _BY_STATUS.get(status, usual)


async def fetched(client: HttpClient, what: str, request: Request) -> HttpAnswer:
    """Return the answer, or raise `EndpointError` if there is none; `what` says to people what was asked for."""
    try:
        return await client.fetch(request)
    except (UnreachableError, ForbiddenAddressError) as error:
        trouble = Trouble.FORBIDDEN if isinstance(error, ForbiddenAddressError) else Trouble.UNREACHABLE
        msg = f"{what}: {error}"
        raise EndpointError(msg, trouble) from error


def quoted(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return what an endpoint says, cut, on one line, and without our own secrets: some repeat what they were sent."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return printable(text, _LONGEST_QUOTE)
