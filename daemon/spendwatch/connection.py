"""How we connect to whatever is called over HTTP: the same keys for channels, sources and balances."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from spendwatch.fields import Closed, must, refuse
from spendwatch.request import is_sendable

ENVIRONMENT = "environment"
"""The proxy that HTTPS_PROXY names, unless NO_PROXY lists the host."""
_PROXY = re.compile(r"http://(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}/?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.:_*-]{1,253}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
_TAKEN = frozenset({
    "host", "range", "if-range", "if-none-match", "if-modified-since", "accept-encoding", "content-length", "content-type",
    "transfer-encoding", "connection", "proxy-authorization", "webhook-id", "webhook-timestamp", "webhook-signature",
})  # fmt: skip


class Auth(StrEnum):
    """How we say who we are."""

    NONE = "none"
    BEARER = "bearer"
    BASIC = "basic"
    HEADER = "header"
    """The secret stands in a header of another name."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a client connects. Two that are equal can share one client."""

    ca_file: str | None = None
    proxy: str | None = None
    no_proxy: tuple[str, ...] = ()
    proxy_auth: str = field(default="", repr=False)
    """`user:password`."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Sent to the host that is called, and to no other that it redirects to."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What no quotation of an answer may repeat."""


Sendable = Annotated[
    SecretStr,
    must(
        lambda secret: is_sendable(secret.get_secret_value()),
        lambda _: "the secret contains characters that are not allowed in a header",
    ),
]
HeaderName = Annotated[
    str,
    must(
        lambda name: _HEADER.fullmatch(name) and name.lower() not in {*_TAKEN, "authorization"},
        lambda _: "not a header that may be set; who we are is said by auth and auth_file",
    ),
]
HeaderValue = Annotated[str, must(is_sendable, lambda _: "contains characters that are not allowed in a header")]
Proxy = Annotated[
    str,
    must(
        lambda text: text == ENVIRONMENT or _PROXY.fullmatch(text),
        lambda _: f"write http://host:port, or {ENVIRONMENT} for HTTPS_PROXY; user and password belong in proxy_auth_file",
    ),
]


class Connection(Closed):
    """The way to an endpoint."""

    ca_file: str | None = Field(default=None, description="an authority to trust beside the system's, in PEM")
    proxy: Proxy | None = Field(default=None, description=f"an HTTP proxy, http://host:port; `{ENVIRONMENT}`: HTTPS_PROXY's")
    no_proxy: tuple[Annotated[str, must(_HOST.fullmatch, lambda _: "must be a host or a domain")], ...] = Field(
        default=(), description="hosts and domains that are called without the proxy"
    )
    proxy_auth_file: str | None = Field(default=None, description="holds `user:password` for the proxy")
    proxy_auth: Sendable | None = None
    """Never written in the file: comes from `proxy_auth_file` or the environment."""
    headers: Mapping[HeaderName, HeaderValue] = Field(
        default_factory=dict, repr=False, description="further headers of each request"
    )

    @model_validator(mode="after")
    def _has_a_proxy_for_what_is_about_one(self) -> Self:
        if self.proxy is None and (self.no_proxy or self.proxy_auth_file or self.proxy_auth):
            refuse("no_proxy and proxy_auth_file need also proxy")
        if self.proxy_auth and ":" not in self.proxy_auth.get_secret_value():
            refuse("proxy_auth_file must hold user:password")
        return self

    def credentials(self) -> Mapping[str, str]:
        """Return the headers that say who we are."""
        return {}

    @property
    def proof(self) -> str:
        """The secret that says who we are, if any."""
        return ""

    @property
    def way(self) -> Way:
        """How a client connects."""
        headers = {name.lower(): value for name, value in self.headers.items()} | dict(self.credentials())
        secrets = tuple(filter(None, (*headers.values(), self.proof)))
        return Way(self.ca_file, self.proxy, self.no_proxy, text_of(self.proxy_auth), tuple(headers.items()), secrets)


class AuthorizedConnection(Connection):
    """The way to an endpoint that asks who we are."""

    auth: Auth = Field(default=Auth.NONE, description="how requests are authenticated")
    username: str | None = Field(default=None, pattern=r"^[!-9;-~]{1,200}$", description="for `basic`")
    header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,100}$", description="the header's name, for `header`")
    auth_file: str | None = Field(default=None, description="holds the token, the password, or the header's value")
    auth_secret: Sendable | None = None
    """Never written in the file: comes from `auth_file` or the environment."""

    @model_validator(mode="after")
    def _has_what_its_auth_needs_and_nothing_else(self) -> Self:
        needed = {Auth.BASIC: "username", Auth.HEADER: "header"}.get(self.auth)
        if needed and not getattr(self, needed):
            refuse(f"auth: {self.auth} needs also {needed}")
        if self.auth is not Auth.NONE and not (self.auth_file or self.auth_secret):
            refuse(f"auth: {self.auth} needs also auth_file")
        if self.header and self.header.lower() in _TAKEN:
            refuse(f"the header {self.header} is reserved")
        used = {"username": self.auth is Auth.BASIC, "header": self.auth is Auth.HEADER}
        used |= dict.fromkeys(("auth_file", "auth_secret"), self.auth is not Auth.NONE)
        self.refuse_useless(used, f"auth: {self.auth}")
        return self

    def refuse_useless(self, used: Mapping[str, bool], here: str) -> None:
        """Refuse a key that would silently mean nothing."""
        useless = [name for name, is_used in used.items() if name in self.model_fields_set and not is_used]
        if useless:
            refuse(f"{here} does not use {', '.join(useless)}")

    @property
    def proof(self) -> str:
        """The secret that says who we are."""
        return text_of(self.auth_secret)

    def credentials(self) -> Mapping[str, str]:
        """Return the headers that say who we are."""
        match self.auth:
            case Auth.NONE:
                return {}
            case Auth.BEARER:
                return {"authorization": f"Bearer {self.proof}"}
            case Auth.BASIC:
                pair = base64.b64encode(f"{self.username}:{self.proof}".encode()).decode()
                return {"authorization": f"Basic {pair}"}
            case Auth.HEADER:
                return {(self.header or "").lower(): self.proof}


def text_of(secret: SecretStr | None) -> str:
    """Return the secret; empty if there is none."""
    return secret.get_secret_value() if secret else ""
