"""The settings of the page: where it listens, and who may read it."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from spendwatch.addresses import address_in, is_loopback
from spendwatch.domain.errors import printable
from spendwatch.fields import Closed, refuse
from spendwatch.settings.urls import split
from spendwatch.settings.value_types import Networks, Text, fits

SHORTEST_TOKEN = 16
_LISTEN = re.compile(r"(?P<host>localhost|[0-9.]{7,15}|\[[0-9a-fA-F:.]{2,45}\]):(?P<port>[0-9]{1,5})", re.ASCII)
_MOST_PORTS = 65535
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9a-fA-F:.]{2,45}\]"
_OWN_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def _listen(text: str) -> str:
    found = _LISTEN.fullmatch(text)
    host = found["host"].strip("[]") if found else ""
    if found is None or int(found["port"]) > _MOST_PORTS or (host != "localhost" and address_in(host) is None):
        refuse(f"not an address to listen on: {printable(text)}; write it like 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080")
    return text


def _public(text: str) -> str:
    parts = split(text)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        refuse(f"not the address of a page: {printable(text)}; write it like https://spend.example.com")
    if parts.username is not None or parts.path.strip("/"):
        refuse("must be an address alone, without user, password or path, like https://spend.example.com")
    return text.rstrip("/")


_Host = Annotated[Text, fits(_HOST, "a host name", "names like spend.example.com")]
_Header = Annotated[Text, fits(r"[A-Za-z][A-Za-z0-9-]{0,63}", "the name of a header", "names like X-Forwarded-User")]


class WebPart(Closed):
    """The page and its API. Without this part nothing listens."""

    listen: Annotated[Text, AfterValidator(_listen)] = "127.0.0.1:8080"
    public_url: Annotated[Text, AfterValidator(_public)] | None = None
    """As people reach it: for links in messages, and to know our own origin behind a proxy."""
    token_file: str | None = None
    token: SecretStr | None = Field(default=None, repr=False)
    """Never written in the file: comes from `token_file` or the environment."""
    allow_hosts: list[_Host] = Field(default=[])
    trusted_proxies: Networks = Field(default=[])
    user_header: _Header | None = None

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        if self.token and len(self.token.get_secret_value().strip()) < SHORTEST_TOKEN:
            refuse(f"the token is too short: {SHORTEST_TOKEN} characters at least; make one with: openssl rand -hex 32")
        if bool(self.trusted_proxies) != bool(self.user_header):
            refuse("trusted_proxies and user_header belong together: the header names the user, and only these may set it")
        if not self.is_loopback and not (self.token_file or self.token or self.trusted_proxies):
            refuse("everyone who reaches this address could read it: add token_file, or trusted_proxies and user_header")
        return self

    @property
    def host(self) -> str:
        """The address alone."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port alone."""
        return int(self.listen.rpartition(":")[2])

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def is_open(self) -> bool:
        """Whether everybody on this machine may read it, without a token or a user."""
        return not (self.token or self.trusted_proxies)

    @property
    def hosts(self) -> frozenset[str]:
        """The names by which it may be called: any other is a page elsewhere whose name leads here."""
        own = [*_OWN_HOSTS, self.listen.rpartition(":")[0], *self.allow_hosts]
        public = urlsplit(self.public_url).hostname if self.public_url else None
        return frozenset(map(str.lower, (*own, *((f"[{public}]" if ":" in public else public,) if public else ()))))
