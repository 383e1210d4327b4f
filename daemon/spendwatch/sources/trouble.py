"""Failures of an endpoint, in words."""

from __future__ import annotations

from datetime import timedelta

from spendwatch.domain.errors import ForbiddenAddressError, SourceUnavailableError, UnreachableError, printable
from spendwatch.domain.failure import Failure
from spendwatch.request import Request
from spendwatch.sources.fetching import HttpAnswer, HttpClient

__all__ = ["EndpointError", "Failure", "fetched", "quoted", "trouble_of_status"]

_LONGEST_QUOTE = 200
_BY_STATUS = {
    401: Failure.CREDENTIALS,
    403: Failure.PERMISSION,
    407: Failure.CREDENTIALS,
    408: Failure.UNAVAILABLE,
    425: Failure.UNAVAILABLE,
    429: Failure.THROTTLED,
}
_FIRST_OF_THE_SERVER = 500


_PASSING = frozenset({Failure.UNREACHABLE, Failure.UNAVAILABLE, Failure.THROTTLED})
_OF_ONE_DAY = frozenset({Failure.CHANGING, Failure.UNEXPECTED})


class EndpointError(SourceUnavailableError):
    """An endpoint gave us nothing that we may use. The message holds no secret."""

    trouble: Failure

    def __init__(self, message: str, trouble: Failure, *, retry_after: timedelta | None = None) -> None:
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


def trouble_of_status(status: int) -> Failure:
    """Return what a status alone means."""
    usual = Failure.UNAVAILABLE if status >= _FIRST_OF_THE_SERVER else Failure.REFUSED
    return _BY_STATUS.get(status, usual)


async def fetched(client: HttpClient, what: str, request: Request) -> HttpAnswer:
    """Return the answer, or raise `EndpointError` if there is none; `what` says to people what was asked for."""
    try:
        return await client.fetch(request)
    except (UnreachableError, ForbiddenAddressError) as error:
        trouble = Failure.FORBIDDEN if isinstance(error, ForbiddenAddressError) else Failure.UNREACHABLE
        msg = f"{what}: {error}"
        raise EndpointError(msg, trouble) from error


def quoted(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return what an endpoint says, cut, on one line, and without our own secrets: some repeat what they were sent."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return printable(text, _LONGEST_QUOTE)
