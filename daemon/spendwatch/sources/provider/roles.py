"""Temporary credentials from the role of this machine or of a service account."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from spendwatch.acs3 import AccessKey
from spendwatch.domain.period import Clock
from spendwatch.exact_json import NoJsonError, parse
from spendwatch.request import HttpClient, Request, is_sendable
from spendwatch.sources.provider.answers import Asked, Operation, document, successful
from spendwatch.sources.provider.credentials import TemporaryCredentials
from spendwatch.sources.trouble import EndpointError, Failure, fetched

METADATA_URL = "http://100.100.100.200"
STS_URL = "https://sts.aliyuncs.com"

# By hand, not by alibabacloud-credentials (tried: 1.0.12): that asks the metadata service through HTTP_PROXY, puts the OIDC
# token into the URL, follows redirects, waits without end for a slow answer, and goes on with expired credentials.
_ROLES = "/latest/meta-data/ram/security-credentials/"
_MOST_BYTES = 256 * 1024
_METADATA_PATIENCE = timedelta(seconds=5)
_STS_PATIENCE = timedelta(seconds=20)
_TOKEN_SECONDS = 21_600
_SESSION_SECONDS = 3600
_OK = 200
_ROLE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_EXPIRES = "%Y-%m-%dT%H:%M:%SZ"
_ASSUME = Operation(
    "AssumeRoleWithOIDC", "2015-04-01", "a trust policy of the role that names the OIDC provider and this service account"
)
_METADATA = "the metadata service"


class MachineRole:
    """The RAM role of the instance that we run on. Asks the metadata service in its hardened mode, by token, only."""

    def __init__(self, client: HttpClient, role: str = "", url: str = METADATA_URL) -> None:
        """Take a client that may call the metadata service; an empty role means the one that the instance has."""
        self._client = client
        self._role = role
        self._url = url.rstrip("/")

    async def provide(self) -> TemporaryCredentials:
        """Ask for a token first, then for what the role may."""
        ticket = {"x-aliyun-ecs-metadata-token": await self._token()}
        role = self._role or (await self._ask("GET", _ROLES, ticket)).split("\n")[0].strip()
        if not _ROLE_NAME.fullmatch(role):
            msg = f"{_METADATA} names no RAM role: attach one to the instance, or configure other credentials"
            raise EndpointError(msg, Failure.CREDENTIALS)
        try:
            found = parse((await self._ask("GET", f"{_ROLES}{role}", ticket)).encode())
        except NoJsonError:
            raise _no_credentials(_METADATA) from None
        if not isinstance(found, dict) or found.get("Code") != "Success":
            raise _no_credentials(_METADATA)
        return _credentials_in(found, _METADATA)

    async def _token(self) -> str:
        lifetime = {"x-aliyun-ecs-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        token = (await self._ask("PUT", "/latest/api/token", lifetime)).strip()
        if not (token and is_sendable(token)):
            raise _no_credentials(_METADATA)
        return token

    async def _ask(self, method: str, path: str, credentials: Mapping[str, str]) -> str:
        request = Request(
            url=f"{self._url}{path}",
            method=method,
            credentials=credentials,
            most_bytes=_MOST_BYTES,
            deadline=_METADATA_PATIENCE,
            silence=_METADATA_PATIENCE,
        )
        answer = await fetched(self._client, _METADATA, request)
        if answer.status != _OK:
            msg = f"{_METADATA} answers with status {answer.status}: has this instance a RAM role?"
            raise EndpointError(msg, Failure.CREDENTIALS)
        return answer.body.decode("utf-8", errors="replace")


class ServiceAccountRole:
    """A role that is assumed with an OIDC token, as Kubernetes mounts one into a pod."""

    def __init__(
        self,
        client: HttpClient,
        clock: Clock,
        *,
        role_arn: str,
        provider_arn: str,
        read_token: Callable[[], str],
        url: str = STS_URL,
    ) -> None:
        """Re-read the token for each request of credentials: its mount is renewed. `read_token` may block."""
        self._client = client
        self._clock = clock
        self._form = {"RoleArn": role_arn, "OIDCProviderArn": provider_arn, "RoleSessionName": "spendwatch"}
        self._read_token = read_token
        self._url = url.rstrip("/")

    async def provide(self) -> TemporaryCredentials:
        """Exchange the token for credentials. The request is not signed: the token is its proof."""
        now, token = self._clock(), await self._token()
        query = {
            "Action": _ASSUME.name,
            "Version": _ASSUME.version,
            "Format": "JSON",
            "Timestamp": now.astimezone(UTC).strftime(_EXPIRES),
        }
        # The token travels in the body: URLs are written down on the way.
        body = urlencode({**self._form, "OIDCToken": token, "DurationSeconds": str(_SESSION_SECONDS)}, quote_via=quote).encode()
        request = Request(
            url=f"{self._url}/?{urlencode(query, quote_via=quote)}",
            method="POST",
            content=body,
            headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
            most_bytes=_MOST_BYTES,
            deadline=_STS_PATIENCE,
            silence=_STS_PATIENCE,
        )
        answer = await fetched(self._client, _ASSUME.name, request)
        asked = Asked(_ASSUME, now, (token,))
        try:
            found = successful(document(answer, asked), answer, asked)
        except EndpointError as error:
            if error.trouble is Failure.REFUSED:  # an expired token, an unknown role, a provider that does not trust us
                raise EndpointError(str(error), Failure.CREDENTIALS) from error
            raise
        credentials = found.get("Credentials")
        if not isinstance(credentials, dict):
            raise _no_credentials(_ASSUME.name)
        return _credentials_in(credentials, _ASSUME.name)

    async def _token(self) -> str:
        try:
            token = (await asyncio.to_thread(self._read_token)).strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            msg = f"the OIDC token cannot be read: {reason}"
            raise EndpointError(msg, Failure.CREDENTIALS) from error
        if not token:
            msg = "the file with the OIDC token is empty"
            raise EndpointError(msg, Failure.CREDENTIALS)
        return token


def _credentials_in(found: Mapping[str, object], provider: str) -> TemporaryCredentials:
    key_id, secret, token, expires = (
        found.get(name) for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration")
    )
    texts = [text for text in (key_id, secret, token, expires) if isinstance(text, str) and text and is_sendable(text)]
    try:
        key_id, secret, token, expires = texts
        return TemporaryCredentials(AccessKey(key_id, secret, token), datetime.strptime(expires, _EXPIRES).replace(tzinfo=UTC))
    except ValueError:
        raise _no_credentials(provider) from None


def _no_credentials(provider: str) -> EndpointError:
    # Not a word of what came: half of the credentials may stand in it.
    return EndpointError(f"{provider} returns something other than credentials", Failure.CREDENTIALS)
