"""Request signatures, version 4, for object stores: headers in, headers out. Uses no network and no clock.

Two families of servers differ only in names: the provider's own (`OSS4-HMAC-SHA256`) and the S3-compatible ones
(`AWS4-HMAC-SHA256`). For the first, the signed path always contains the bucket, wherever the request has it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import NamedTuple
from urllib.parse import quote

from spendwatch.acs3 import AccessKey

_UNSIGNED = "UNSIGNED-PAYLOAD"


class Dialect(NamedTuple):
    """What one family of servers calls things."""

    algorithm: str
    secret_prefix: str
    service: str
    ending: str
    own: str
    """How the family's own headers begin."""
    signs_all: bool
    """Whether all headers are signed and named; if not, only its own and those that describe the body."""


OSS4 = Dialect("OSS4-HMAC-SHA256", "aliyun_v4", "oss", "aliyun_v4_request", "x-oss-", signs_all=False)
AWS4 = Dialect("AWS4-HMAC-SHA256", "AWS4", "s3", "aws4_request", "x-amz-", signs_all=True)

_OF_THE_BODY = frozenset({"content-type", "content-md5"})


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A request to an object store, not signed yet."""

    resource: str
    """What is signed as its path: unescaped, from the first `/` on."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name; for a dialect that signs all, with the host."""
    method: str = "GET"

    def canonical_query(self, dialect: Dialect) -> str:
        """Return the query, sorted and escaped as it is signed; it may travel just like that."""
        pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in self.query.items())
        return "&".join(f"{name}={value}" if value or dialect.signs_all else name for name, value in pairs)


def signed(request: StoreRequest, signer: AccessKey, dialect: Dialect, *, region: str, at: datetime) -> dict[str, str]:
    """Return the request's headers with those that prove who asks."""
    moment = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {f"{dialect.own}content-sha256": _UNSIGNED, **request.headers, f"{dialect.own}date": moment}
    if signer.token:
        headers[f"{dialect.own}security-token"] = signer.token
    proven = {name: value.strip() for name, value in headers.items() if _is_signed(name, dialect)}
    scope = (moment[:8], region, dialect.service, dialect.ending)
    names = ";".join(sorted(proven)) if dialect.signs_all else ""
    digest = hashlib.sha256(_canonical(request, proven, names, dialect).encode()).hexdigest()
    to_sign = "\n".join((dialect.algorithm, moment, "/".join(scope), digest))
    key = reduce(_hashed, scope, f"{dialect.secret_prefix}{signer.secret}".encode())
    named = f"SignedHeaders={names}," if names else ""
    credential = "/".join((signer.key_id, *scope))
    signature = _hashed(key, to_sign).hex()
    return {**headers, "authorization": f"{dialect.algorithm} Credential={credential},{named}Signature={signature}"}


def _canonical(request: StoreRequest, proven: Mapping[str, str], names: str, dialect: Dialect) -> str:
    lines = "".join(f"{name}:{value}\n" for name, value in sorted(proven.items()))
    return "\n".join((
        request.method,
        quote(request.resource, safe="/"),
        request.canonical_query(dialect),
        lines,
        names,
        proven[f"{dialect.own}content-sha256"],
    ))  # fmt: skip


def _is_signed(name: str, dialect: Dialect) -> bool:
    return dialect.signs_all or name.startswith(dialect.own) or name in _OF_THE_BODY


def _hashed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
