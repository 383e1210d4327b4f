"""Authentication at an https endpoint: the settings that are the same for bills and balances."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from spendwatch.fields import Closed
from spendwatch.request import is_sendable

_TAKEN = frozenset({"host", "range", "if-range", "if-none-match", "if-modified-since", "accept-encoding", "content-length"})


class Auth(StrEnum):
    """How we say who we are."""

    NONE = "none"
    BEARER = "bearer"
    BASIC = "basic"
    HEADER = "header"
    """The secret stands in a header of another name."""


class UrlAccess(Closed):
    """An https endpoint, and how we say to it who we are."""

    url: str = Field(repr=False, min_length=1, description="https only; it may itself be a secret, so nothing shows it")
    auth: Auth = Field(default=Auth.NONE, description="how requests are authenticated")
    username: str | None = Field(default=None, pattern=r"^[!-9;-~]{1,200}$", description="for `basic`")
    header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,100}$", description="the header's name, for `header`")
    secret_file: str | None = Field(default=None, description="holds the token, the password, or the header's value")
    secret: SecretStr | None = None
    """Never written in the file: comes from `secret_file` or the environment."""

    @field_validator("secret")
    @classmethod
    def _is_sendable(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not is_sendable(secret.get_secret_value()):
            msg = "the secret contains characters that are not allowed in a header"
            raise ValueError(msg)
        return secret

    @model_validator(mode="after")
    def _has_what_its_auth_needs_and_nothing_else(self) -> Self:
        needed = {Auth.BASIC: "username", Auth.HEADER: "header"}.get(self.auth)
        if needed and not getattr(self, needed):
            msg = f"auth: {self.auth} needs also {needed}"
            raise ValueError(msg)
        if self.auth is not Auth.NONE and not (self.secret_file or self.secret):
            msg = f"auth: {self.auth} needs also secret_file"
            raise ValueError(msg)
        if self.header and self.header.lower() in _TAKEN:
            msg = f"the header {self.header} is reserved"
            raise ValueError(msg)
        used = {"username": self.auth is Auth.BASIC, "header": self.auth is Auth.HEADER}
        used |= dict.fromkeys(("secret_file", "secret"), self.auth is not Auth.NONE)
        self.refuse_useless(used, f"auth: {self.auth}")
        return self

    def refuse_useless(self, used: Mapping[str, bool], here: str) -> None:
        """Refuse a key that would silently mean nothing."""
        useless = [name for name, is_used in used.items() if name in self.model_fields_set and not is_used]
        if useless:
            msg = f"{here} does not use {', '.join(useless)}"
            raise ValueError(msg)

    @property
    def host(self) -> str:
        """For messages: the rest of the address may be a secret."""
        return urlsplit(self.url).hostname or ""

    def credentials(self) -> Mapping[str, str]:
        """Return the headers that say who we are."""
        secret = self.secret.get_secret_value() if self.secret else ""
        match self.auth:
            case Auth.NONE:
                return {}
            case Auth.BEARER:
                return {"authorization": f"Bearer {secret}"}
            case Auth.BASIC:
                pair = base64.b64encode(f"{self.username}:{secret}".encode()).decode()
                return {"authorization": f"Basic {pair}"}
            case Auth.HEADER:
                return {(self.header or "").lower(): secret}

    def secrets(self) -> tuple[str, ...]:
        """Return what must not be repeated to anybody; the address itself may be a secret."""
        secret = self.secret.get_secret_value() if self.secret else ""
        return tuple(filter(None, (secret, *self.credentials().values(), self.url)))
