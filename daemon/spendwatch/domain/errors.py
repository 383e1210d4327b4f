"""The tree of expected errors. Everything else is a defect and goes up with its traceback.

SpendwatchError
├── UnreadableBillError       a bill file was rejected; carries every refusal
├── ReaderFailedError         the reading process crashed or hung; perhaps not because of the file
├── LedgerChangedError        another process recorded the same days meanwhile; merge again
├── LedgerUnavailableError    the database cannot be used (full disk, lost connection, newer schema)
│   ├── LedgerDamagedError        no waiting helps
│   └── UnsuitableDiskError       the configured place is no place for a ledger
├── SourceUnavailableError    the place where bills come from cannot be reached
│   └── BalanceUnavailableError   a balance cannot be read
├── CurrencyMismatchError     two currencies met in one sum
├── InvalidAmountError        text that is not a plain decimal, or has too many digits
├── ConfigError               the configuration has mistakes; carries all of them
├── UnreachableError          a request got no response: refused, timed out, TLS not verified, cut off
├── ForbiddenAddressError     an address that may not be called
└── DeliveryError
    ├── TemporaryDeliveryError    worth another attempt
    └── PermanentDeliveryError    not worth another attempt
"""

from __future__ import annotations

import errno
from datetime import timedelta
from typing import NamedTuple

from spendwatch.domain.failure import Failure


class SpendwatchError(Exception):
    """An error whose message is meant for the operator."""


class Refusal(NamedTuple):
    """Why one place of a bill file cannot be accepted. `line` counts from 1, the header included."""

    reason: str
    line: int | None = None
    column: str | None = None
    value: str | None = None
    accepts: str | None = None

    def __str__(self) -> str:
        """Return the refusal as one line of text: where, what, and what would be accepted."""
        where = ", ".join(
            part for part in (f"line {self.line}" if self.line else "", f"column {self.column}" if self.column else "") if part
        )
        what = self.reason if self.value is None else f"{self.reason}: {printable(self.value)}"
        expects = f" (accepted: {self.accepts})" if self.accepts else ""
        return f"{where}: {what}{expects}" if where else f"{what}{expects}"


ADD_ACCOUNT = "if it is yours, add it to `accounts` in spendwatch.yaml:"
"""Stands in what would be accepted where the configuration may be wrong, and not the bill."""


def printable(text: str, limit: int = 80) -> str:
    """Return hostile text quoted on one line, control and bidirectional characters escaped, cut at `limit`."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
    return f"'{shown[:limit]}…'" if len(shown) > limit else f"'{shown}'"


class UnreadableBillError(SpendwatchError):
    """A bill file that cannot be understood: not one of its lines counts."""

    def __init__(self, *refusals: Refusal, digest: str = "") -> None:
        """Keep every refusal and the SHA-256 of the file's bytes, as far as it is known; the message names the first."""
        self.refusals = refusals
        self.digest = digest
        more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
        super().__init__(f"{refusals[0]}{more}")


class ReaderFailedError(SpendwatchError):
    """The reading process died, hung, or ran out of memory.

    `is_innocent` says that the file has nothing to do with it: it vanished, was written to, or the reading was broken off.
    """

    def __init__(self, message: str, *, is_innocent: bool = False) -> None:
        """Keep whether the file can be to blame."""
        self.is_innocent = is_innocent
        super().__init__(message)


class LedgerChangedError(SpendwatchError):
    """The days to be written were changed by another process since they were read."""


class LedgerUnavailableError(SpendwatchError):
    """The database cannot be used now."""


class LedgerDamagedError(LedgerUnavailableError):
    """The database is damaged: no waiting helps."""


class UnsuitableDiskError(LedgerUnavailableError):
    """The configuration puts the database where it may lose data."""


class SourceUnavailableError(SpendwatchError):
    """The place where bills come from cannot be reached now."""

    def __init__(self, message: str, trouble: Failure | None = None) -> None:
        """Keep the kind of failure, where it decides what to do."""
        self.trouble = trouble
        super().__init__(message)


class BalanceUnavailableError(SourceUnavailableError):
    """A balance cannot be read now; the message says what is wrong and, as far as that is known, what to do."""

    def __init__(
        self, message: str, *, is_lasting: bool, trouble: Failure | None = None, retry_after: timedelta | None = None
    ) -> None:
        """Keep whether a person must act, the kind of failure, and the pause that the endpoint asked for."""
        self.is_lasting = is_lasting
        self.retry_after = retry_after
        super().__init__(message, trouble)


class CurrencyMismatchError(SpendwatchError):
    """Two currencies met in one sum."""


class InvalidAmountError(SpendwatchError):
    """Text that is not a plain decimal with at most ten decimals."""


_OWNER = "make it writable for the user that runs spendwatch, or name another place"
_ADVICE = {
    errno.EACCES: _OWNER,
    errno.EPERM: _OWNER,
    errno.EROFS: "it is read-only here: name another place",
    errno.ENOTDIR: "a part of this path is a file: name another place",
    errno.EEXIST: "a file is in the way: move it, or name another place",
    errno.ENOENT: "it does not exist and cannot be created: name another place",
    errno.ENOSPC: "make room on the disk, then try again",
    errno.EDQUOT: "the disk quota is used up: make room, then try again",
    errno.ENAMETOOLONG: "name a shorter path",
}


def what_to_do(error: OSError) -> str:
    """Return what a person does about a folder or file that cannot be written; empty where that is not the trouble."""
    return _ADVICE.get(error.errno or 0, "")


class ConfigMistake(NamedTuple):
    """One mistake in a configuration file, with its place. `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    key: str
    what: str

    def __str__(self) -> str:
        """Return `file:line:column: key: what is wrong`."""
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}:{self.column}: {key}{self.what}"


class ConfigError(SpendwatchError):
    """The configuration has mistakes; all of them are listed at once."""

    def __init__(self, *mistakes: ConfigMistake) -> None:
        """Keep every mistake; the message lists them, one a line."""
        self.mistakes = mistakes
        super().__init__("\n".join(str(mistake) for mistake in mistakes))


class UnreachableError(SpendwatchError):
    """A request got no answer. The message holds no secret and no query."""

    def __init__(self, message: str, *, was_sent: bool = False) -> None:
        """Keep whether the request was on its way: the other side may have it."""
        self.was_sent = was_sent
        super().__init__(message)


class ForbiddenAddressError(SpendwatchError):
    """An address that we must not call: private, special, or not allowed by the operator."""


class DeliveryError(SpendwatchError):
    """A notification could not be handed over."""


class TemporaryDeliveryError(DeliveryError):
    """The receiver may accept the same notification later."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        maybe_taken: bool = False,
        is_refusal: bool = False,
        of_channel: bool = False,
        is_doubtful: bool = False,
        is_login: bool = False,
    ) -> None:
        """Keep the pause that was asked for; whether the receiver may have it already; whether it refused, which may pass.

        `of_channel`: any other message would fail now, too; `is_doubtful`: or this one is to blame after all;
        `is_login`: our name or password was refused, and too many attempts lock the account.
        """
        self.retry_after = retry_after
        self.maybe_taken = maybe_taken
        self.is_refusal = is_refusal
        self.of_channel = of_channel or is_login
        self.is_doubtful = is_doubtful or maybe_taken
        self.is_login = is_login
        super().__init__(message)


class PermanentDeliveryError(DeliveryError):
    """The receiver will not accept this notification; `gone` says that it wants none at all."""

    def __init__(self, message: str, *, gone: bool = False) -> None:
        """Keep whether the receiver asked never to be called again."""
        self.gone = gone
        super().__init__(message)
