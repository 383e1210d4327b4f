"""The kinds of failure of a source, by what to do about them."""

from __future__ import annotations

from enum import StrEnum


class Failure(StrEnum):
    """Why a source gave us nothing that we may use."""

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
    """The object exists, and can only be read after it is restored from an archive."""
    REFUSED = "refused"
    """It does not take the request."""
    NOT_A_BILL = "not_a_bill"
    """What came is no answer of the kind that was asked for: a login page, half a document, nothing at all."""
    CHANGING = "changing"
    """Its pages did not fit together: the bill changed while it was read, or they were mixed up."""
    UNREAD = "unread"
    """Something lies there that cannot be read, or that is not looked into."""
    GONE = "gone"
    """What was there is gone, our own marks included: it may be no longer mounted."""
    UNEXPECTED = "unexpected"
    """An answer in good order that does not say what was asked for: another account, a missing field, no number."""

    @property
    def is_about_credentials(self) -> bool:
        """Whether a person has to look at keys or permissions."""
        return self in {Failure.CREDENTIALS, Failure.PERMISSION, Failure.OTHER_ACCOUNT}

    @property
    def is_refusal(self) -> bool:
        """Whether an endpoint refuses until a person acts, for another reason than keys or permissions."""
        return self in {Failure.REFUSED, Failure.WRONG_SITE, Failure.CLOCK, Failure.ARCHIVED}

    @property
    def needs_somebody(self) -> bool:
        """Whether it lasts until a person acts: it is reported at once."""
        return self.is_about_credentials or self in _FOR_SOMEBODY


_FOR_SOMEBODY = frozenset({Failure.WRONG_SITE, Failure.CLOCK, Failure.UNREAD, Failure.GONE})
