"""The provider's credentials: a permanent key pair, or a temporary one that is renewed in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.acs3 import AccessKey
from spendwatch.domain.period import Clock
from spendwatch.request import is_sendable
from spendwatch.sources.trouble import EndpointError, Failure

_log: FilteringBoundLogger = structlog.get_logger()

KEY_ID = "ALIBABA_CLOUD_ACCESS_KEY_ID"
SECRET = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"  # noqa: S105 -- the name of a variable
TOKEN = "ALIBABA_CLOUD_SECURITY_TOKEN"  # noqa: S105 -- the same

_RENEWED_BEFORE = timedelta(minutes=15)
_LEAST_LEFT = timedelta(seconds=30)
_BETWEEN_TRIES = timedelta(minutes=1)
_AT_ONCE = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StaticCredentials:
    """A key pair that a person made and put into a file or the environment."""

    find: Callable[[], AccessKey]
    """Finds it with each use: commands that only read the ledger need none. `ValueError`: there is none."""

    async def current(self) -> AccessKey:
        """Return it, or raise `EndpointError`."""
        try:
            return self.find()
        except ValueError as error:
            raise EndpointError(str(error), Failure.CREDENTIALS) from error

    def forget(self) -> bool:
        """Keep it: there is no other."""
        return False


class OfficialChain:
    """The default chain of the provider's own package, which keeps and renews what it finds: environment, profiles, roles."""

    def __init__(self) -> None:
        """Load nothing yet: it takes its time, and is an extra that few install."""
        self._chain: Any = None

    async def current(self) -> AccessKey:
        """Return what the chain finds now."""
        try:
            found = await asyncio.to_thread(self._find)
            return AccessKey(found.access_key_id, found.access_key_secret, found.security_token or "")
        except ImportError as error:
            msg = "provider: sdk needs the package alibabacloud-credentials: install spendwatch[aliyun-credentials]"
            raise EndpointError(msg, Failure.CREDENTIALS) from error
        except Exception as error:  # noqa: BLE001 -- whatever it raises may quote an answer with credentials in it
            msg = f"the package alibabacloud-credentials finds no credentials ({type(error).__name__})"
            raise EndpointError(msg, Failure.CREDENTIALS) from None

    def forget(self) -> bool:
        """Leave that to the package."""
        return False

    def _find(self) -> Any:  # noqa: ANN401 -- the package has no types
        if self._chain is None:
            from alibabacloud_credentials.client import Client  # noqa: PLC0415 -- as said above

            # It prints on a handler of its own what it does, and with it, when it fails, the answers that it got.
            log = logging.getLogger("credentials")
            log.handlers.clear()
            log.propagate = False
            log.setLevel(logging.CRITICAL)
            self._chain = Client()
        return self._chain.get_credential()


def key_in(environ: Mapping[str, str]) -> AccessKey:
    """Return the key pair that the environment holds under the provider's names, or raise `ValueError`."""
    missing = [name for name in (KEY_ID, SECRET) if not environ.get(name, "").strip()]
    if missing:
        msg = f"the environment does not hold {' and '.join(missing)}"
        raise ValueError(msg)
    signer = AccessKey(environ[KEY_ID].strip(), environ[SECRET].strip(), environ.get(TOKEN, "").strip())
    unsendable = [name for name, text in ((KEY_ID, signer.key_id), (TOKEN, signer.token)) if not is_sendable(text)]
    if unsendable:
        msg = f"{unsendable[0]} contains characters that are not allowed in a header"
        raise ValueError(msg)
    return signer


class TemporaryCredentials(NamedTuple):
    """A key pair with its token, and until when it is good."""

    signer: AccessKey
    expires_at: datetime


@dataclass(slots=True, eq=False)
class RefreshedCredentials:
    """Temporary credentials, renewed before they expire; a failing issuer does not matter while they are valid."""

    provide: Callable[[], Awaitable[TemporaryCredentials]]
    """Issues new ones, or raises `EndpointError`."""
    clock: Clock
    _held: TemporaryCredentials | None = None
    _renew_at: datetime = _AT_ONCE
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def current(self) -> AccessKey:
        """Return what is good for half a minute at least."""
        async with self._lock:
            now = self.clock()
            credentials = self._held
            if credentials is None or now >= self._renew_at:
                credentials = await self._renewed(credentials, now)
            return credentials.signer

    def forget(self) -> bool:
        """Let go of them: they were refused though they should be good."""
        had, self._held = self._held is not None, None
        return had

    async def _renewed(self, held: TemporaryCredentials | None, now: datetime) -> TemporaryCredentials:
        try:
            credentials = await self._provided(now)
        except EndpointError as error:
            if held is None or now >= held.expires_at - _LEAST_LEFT:
                raise
            _log.warning("credentials_not_renewed", reason=str(error), good_until=held.expires_at.isoformat())
            self._renew_at = now + _BETWEEN_TRIES
            return held
        # Of a short life a quarter must do, or each request would ask for a new one.
        self._renew_at = credentials.expires_at - min(_RENEWED_BEFORE, (credentials.expires_at - now) / 4)
        self._held = credentials
        return credentials

    async def _provided(self, now: datetime) -> TemporaryCredentials:
        credentials = await self.provide()
        if credentials.expires_at <= now + _LEAST_LEFT:
            msg = f"the temporary credentials expired at {credentials.expires_at.isoformat()}; is this machine's clock right?"
            raise EndpointError(msg, Failure.CREDENTIALS)
        return credentials


Credentials: TypeAlias = StaticCredentials | OfficialChain | RefreshedCredentials
"""Gives the key pair for the next request. `forget` drops one that was refused, and returns whether there may be others."""
