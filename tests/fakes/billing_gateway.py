"""The gateway before the stand-in of the billing API: it lets in what is signed as the provider describes, and not too fast.

Knows nothing of the product's own signer: what it computes, it computes from what travels, by the description alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote_plus, urlsplit

from plain_http import Request

_AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})")
_SIGNATURE_LIFE = timedelta(minutes=15)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Call:
    """One request that came in and was signed as it should be."""

    action: str
    version: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Refusal:
    """How the gateway does not take a request."""

    status: int
    code: str
    message: str = "Refused."
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """The gateway does not take a request, or the API behind it does not."""

    def __init__(self, status: int, code: str, message: str = "Refused.", headers: Mapping[str, str] | None = None) -> None:
        """Refuse it so."""
        self.refusal = Refusal(status, code, message, headers or {})
        super().__init__(code)


def signature_of(target: str, headers: Mapping[str, str], body: bytes, secret: str, *, method: str = "POST") -> str:
    """Return the signature of what travels, computed from the wire, by the provider's description alone."""

    def escape(text: str) -> str:
        # The description's own recipe: form encoding, with three corrections.
        return quote_plus(text).replace("+", "%20").replace("*", "%2A").replace("%7E", "~")

    url = urlsplit(target)
    pairs = sorted(parse_qsl(url.query, keep_blank_values=True))
    lines = [method, url.path, "&".join(f"{escape(name)}={escape(value)}" for name, value in pairs)]
    names = signed_names(headers)
    lines += [f"{name}:{headers[name].strip()}" for name in names]
    lines += ["", ";".join(names), hashlib.sha256(body).hexdigest()]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return hmac.digest(secret.encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), "sha256").hex()


def signed_names(headers: Mapping[str, str]) -> Sequence[str]:
    """Return the names of the headers that a signature covers."""
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    return found[2].split(";") if found else []


class Gateway:
    """Lets calls in that are signed with one of its keys, each once, and so many a second."""

    def __init__(self, keys: Mapping[str, str], *, limit: int = 0) -> None:
        """Know these secrets; let `limit` calls a second through, or all of them if it is 0."""
        self.keys = dict(keys)
        """The secrets by key id."""
        self.checked = 0
        """So many signatures were found to be right."""
        self._limit = limit
        self._nonces: set[str] = set()
        self._times: deque[datetime] = deque()

    def admit(self, request: Request, now: datetime) -> Call:
        """Return the call, or raise `RefusedError` as the gateway would."""
        headers = request.headers
        found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if request.method != "POST" or not found:
            raise RefusedError(400, "MissingParameter", "Authorization is mandatory for this action.")
        self.check_key(found[1], headers)
        _check_time(headers, now)
        _check_signature(request, found[3], self.keys[found[1]])
        self.checked += 1
        self._check_nonce(headers)
        self._throttle(now)
        return Call(
            headers.get("x-acs-action", ""),
            headers.get("x-acs-version", ""),
            dict(parse_qsl(urlsplit(request.target).query, keep_blank_values=True)),
            dict(parse_qsl(request.body.decode(), keep_blank_values=True)),
            headers,
        )

    def check_key(self, key_id: str, headers: Mapping[str, str]) -> None:  # noqa: ARG002 -- a token would come with the headers
        """Raise `RefusedError` unless the key is known."""
        if key_id not in self.keys:
            raise RefusedError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")

    def _check_nonce(self, headers: Mapping[str, str]) -> None:
        nonce = headers.get("x-acs-signature-nonce", "")
        if nonce in self._nonces or not nonce:
            raise RefusedError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces.add(nonce)

    def _throttle(self, now: datetime) -> None:
        while self._times and now - self._times[0] >= _SECOND:
            self._times.popleft()
        if self._limit and len(self._times) >= self._limit:
            raise RefusedError(400, "Throttling.User", headers={"x-acs-retry-after": "1000"})
        self._times.append(now)


def _check_time(headers: Mapping[str, str], now: datetime) -> None:
    try:
        said = datetime.strptime(headers.get("x-acs-date", ""), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise RefusedError(
            400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."
        ) from None
    if abs(said - now) > _SIGNATURE_LIFE:
        raise RefusedError(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")


def _check_signature(request: Request, signature: str, secret: str) -> None:
    headers = request.headers
    must_be_signed = {"host", *(name for name in headers if name.startswith("x-acs-"))}
    names = set(signed_names(headers))
    is_complete = must_be_signed <= names <= headers.keys()
    is_hashed = headers.get("x-acs-content-sha256") == hashlib.sha256(request.body).hexdigest()
    if not (is_complete and is_hashed):
        raise RefusedError(400, "SignatureDoesNotMatch", "Not everything that has to be signed is.")
    expected = signature_of(request.target, headers, request.body, secret)
    if not hmac.compare_digest(expected, signature):
        raise RefusedError(400, "SignatureDoesNotMatch", f"Specified signature does not match; you sent {dict(headers)}")
