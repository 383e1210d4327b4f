"""What can be wrong with an endpoint, told apart by what somebody has to do about it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from spendwatch.domain.errors import ForbiddenAddressError, SourceUnavailableError, UnreachableError, printable

_LONGEST_QUOTE = 200


class Trouble(StrEnum):
    """Why an endpoint gave us nothing that we may use."""

    UNREACHABLE = "unreachable"
    """No whole answer came."""
    FORBIDDEN = "forbidden"
    """It has an address that we must not call."""
    UNAVAILABLE = "unavailable"
    """It says itself that it is in trouble."""
    THROTTLED = "throttled"
    """We ask too often."""
    CREDENTIALS = "credentials"
    """It does not know us, or no longer."""
    PERMISSION = "permission"
    """It knows us, and we may not."""
    WRONG_SITE = "wrong_site"
    """It is not the one that this account belongs to."""
    OTHER_ACCOUNT = "other_account"
    """It answers for another account than the one that was configured."""
    CLOCK = "clock"
    """Our clock and its clock differ too much for a signature."""
    ARCHIVED = "archived"
    """It has what was asked for, and nobody can read it before it is brought out of an archive."""
    REFUSED = "refused"
    """It does not take the request."""
    NOT_A_BILL = "not_a_bill"
    """What came is no answer of the kind that was asked for: a login page, half a document, nothing at all."""
    CHANGING = "changing"
    """Its pages did not fit together: the bill changed while it was read, or they were mixed up."""
    UNEXPECTED = "unexpected"
    """An answer in good order that does not say what was asked for: another account, a missing field, no number."""


_PASSING = frozenset({Trouble.UNREACHABLE, Trouble.UNAVAILABLE, Trouble.THROTTLED})
_OF_ONE_DAY = frozenset({Trouble.CHANGING, Trouble.UNEXPECTED})


class EndpointError(SourceUnavailableError):
    """An endpoint gave us nothing that we may use. The message holds no secret."""

    def __init__(self, message: str, trouble: Trouble, *, retry_after: timedelta | None = None) -> None:
        """Keep what kind of trouble it is, and the pause that the endpoint asked for."""
        self.trouble = trouble
        self.retry_after = retry_after
        self.answer = b""
        """What could not be understood, for a person to look at; without our secrets."""
        super().__init__(message)

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may well succeed in a moment."""
        return self.trouble in _PASSING

    @property
    def is_about_credentials(self) -> bool:
        """Whether a person has to look at keys or permissions."""
        return self.trouble in {Trouble.CREDENTIALS, Trouble.PERMISSION, Trouble.OTHER_ACCOUNT}

    @property
    def is_of_one_day(self) -> bool:
        """Whether only the bill that was asked for is in trouble, so that others may be asked for."""
        return self.trouble in _OF_ONE_DAY


def not_fetched(what: str, error: UnreachableError | ForbiddenAddressError) -> EndpointError:
    """Return what it means that the client brought no answer to what was asked for."""
    trouble = Trouble.FORBIDDEN if isinstance(error, ForbiddenAddressError) else Trouble.UNREACHABLE
    return EndpointError(f"{what}: {error}", trouble)


def quoted(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return what an endpoint says, cut, on one line, and without our own secrets: some repeat what they were sent."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return printable(text, _LONGEST_QUOTE)
