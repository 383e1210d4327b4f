"""Access tokens of a mailbox by OAuth 2.0 (RFC 6749): fetched when needed, kept until they end."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from spendwatch.channels.email_settings import OAuth2
from spendwatch.channels.http_channel import json_of
from spendwatch.connection import text_of
from spendwatch.domain.errors import ForbiddenAddressError, TemporaryDeliveryError, UnreachableError
from spendwatch.request import HttpPoster, is_sendable

_LIMIT = timedelta(seconds=30)
_HEADERS = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
_OK = 200
_CREDENTIALS_REFUSED = frozenset({400, 401, 403})
_USUAL = 3600
_EARLY = 60
"""So many seconds before its end a token is used no more."""
_ERROR = re.compile(r"[a-z_]{1,40}", re.ASCII)
_ADVICE = {
    "invalid_grant": "the refresh token has ended or was revoked: sign in again and replace refresh_token_file",
    "invalid_client": "client_id or client_secret_file is wrong, or the secret has ended",
    "unauthorized_client": "the application is not allowed to sign in like this",
    "invalid_scope": "scope is not one that the application has",
}


class AccessTokens:
    """The tokens of one mailbox."""

    def __init__(self, config: OAuth2, client: HttpPoster, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Know where to ask; nothing is asked yet."""
        self._config = config
        self._client = client
        self._monotonic = monotonic
        self._refresh_token = text_of(config.refresh_token)
        self._token, self._ends = "", 0.0
        self._one = asyncio.Lock()
        self._place = urlsplit(config.token_url).hostname

    async def token(self, *, refused: str = "") -> str:
        """Return a token that holds, and is not the one that was refused; else raise `TemporaryDeliveryError`."""
        async with self._one:
            if self._token in {"", refused} or self._monotonic() >= self._ends:
                self._token = await self._fetched()
            return self._token

    async def _fetched(self) -> str:
        config = self._config
        form = {"grant_type": "refresh_token" if self._refresh_token else "client_credentials", "client_id": config.client_id}
        form |= {"client_secret": text_of(config.client_secret), "refresh_token": self._refresh_token, "scope": config.scope}
        content = urlencode({name: value for name, value in form.items() if value}).encode()
        asked = self._monotonic()
        try:
            answer = await self._client.post(config.token_url, content=content, headers=_HEADERS, deadline=_LIMIT)
        except (UnreachableError, ForbiddenAddressError) as error:
            msg = f"no access token: {error}"
            raise TemporaryDeliveryError(msg, of_channel=True) from error
        said = json_of(answer)
        token, lasts = said.get("access_token"), said.get("expires_in")
        if answer.status != _OK or not (isinstance(token, str) and token and is_sendable(token)):
            msg = f"no access token: {self._place} answered {_refusal(answer.status, said)}"
            raise TemporaryDeliveryError(msg, of_channel=True, is_login=answer.status in _CREDENTIALS_REFUSED)
        # Some endpoints give a new refresh token each time; the one in the file goes on to work for a while.
        if isinstance(renewed := said.get("refresh_token"), str) and renewed and self._refresh_token:
            self._refresh_token = renewed
        self._ends = asked + (int(str(lasts)) if str(lasts).isdecimal() else _USUAL) - _EARLY
        return token


def _refusal(status: int, said: Mapping[str, object]) -> str:
    """Return what it said, without its own sentences: some repeat what they were sent."""
    code = str(said.get("error", ""))
    if not _ERROR.fullmatch(code):
        return f"HTTP {status} without a token"
    return f"HTTP {status} {code}" + (f" ({_ADVICE[code]})" if code in _ADVICE else "")
