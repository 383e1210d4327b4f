"""The provider's request signature, version 3 (`ACS3-HMAC-SHA256`): headers in, headers out. Uses no network and no clock."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"
_UNESCAPED = "-_.~"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key pair, and the token that a temporary one comes with."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be repeated to anybody."""
        return self.key_id, self.secret, self.token


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A call of one operation, always `POST /`."""

    host: str
    """As the Host header says it, the port included where it is an unusual one."""
    action: str
    version: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = ""

    @property
    def canonical_query(self) -> str:
        """The query, sorted and escaped as it is signed; it may travel just like that."""
        return "&".join(f"{_escaped(name)}={_escaped(value)}" for name, value in sorted(self.query.items()))


def signed(request: ApiRequest, signer: AccessKey, *, at: datetime, nonce: str) -> dict[str, str]:
    """Return the headers that the request is sent with. A nonce is good for one request only."""
    headers = {
        "host": request.host,
        "x-acs-action": request.action,
        "x-acs-content-sha256": hashlib.sha256(request.body).hexdigest(),
        "x-acs-date": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": request.version,
    }
    if request.content_type:
        headers["content-type"] = request.content_type
    if signer.token:
        headers |= {"x-acs-accesskey-id": signer.key_id, "x-acs-security-token": signer.token}
    return headers | {"authorization": _authorization(request, signer, headers)}


def _authorization(request: ApiRequest, signer: AccessKey, headers: Mapping[str, str]) -> str:
    names = ";".join(sorted(headers))
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical(request, headers).encode()).hexdigest()}"
    signature = hmac.new(signer.secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={signer.key_id},SignedHeaders={names},Signature={signature}"


def canonical(request: ApiRequest, headers: Mapping[str, str]) -> str:
    """Return the request as the other side writes it down, too, before it compares signatures."""
    lines = "".join(f"{name}:{value.strip()}\n" for name, value in sorted(headers.items()))
    names = ";".join(sorted(headers))
    # Each header line ends in a newline of its own: that makes the empty line before the names.
    return "\n".join(("POST", "/", request.canonical_query, lines, names, headers["x-acs-content-sha256"]))


def _escaped(text: str) -> str:
    return quote(text, safe=_UNESCAPED)
