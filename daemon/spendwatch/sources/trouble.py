"""Failures of an endpoint, in words."""

from __future__ import annotations

from datetime import datetime, timedelta

from spendwatch.domain.errors import (
    BalanceUnavailableError,
    ForbiddenAddressError,
    SourceUnavailableError,
    UnreachableError,
    printable,
)
from spendwatch.domain.failure import Failure
from spendwatch.pacing import asked_pause
from spendwatch.request import HttpAnswer, HttpClient, Request

__all__ = ["EndpointError", "Failure", "fetched", "quoted", "refused", "trouble_of_status", "unavailable", "without"]

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

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may well succeed in a moment."""
        return self.trouble in _PASSING

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


def refused(what: str, answer: HttpAnswer, now: datetime, secrets: tuple[str, ...]) -> EndpointError:
    """Return what it means that an endpoint of the operator's gave no file, with what it says itself."""
    text = answer.body.decode("utf-8", errors="replace").strip()
    said = "" if not text or text.startswith("<") else f": {quoted(text, secrets)}"
    pause = asked_pause(answer.headers, now)
    return EndpointError(f"{what}: status {answer.status}{said}", trouble_of_status(answer.status), retry_after=pause)


def quoted(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return what an endpoint says, cut, on one line, and without our own secrets: some repeat what they were sent."""
    return printable(without(secrets, text), _LONGEST_QUOTE)


def without(secrets: tuple[str, ...], text: str) -> str:
    """Return the text with our own secrets struck out: some endpoints repeat what they were sent."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


def unavailable(error: EndpointError, advice: str = "") -> BalanceUnavailableError:
    """Return what an endpoint's failure means for the balance that it was asked for."""
    message = f"{error}; {advice}" if advice else str(error)
    lasting = not error.is_temporary
    return BalanceUnavailableError(message, is_lasting=lasting, trouble=error.trouble, retry_after=error.retry_after)
