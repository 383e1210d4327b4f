"""The settings of an https endpoint that gives a bill file: where it is, by what right, in how many pieces."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from spendwatch.sources.duration import PositiveDuration, show_defaults_as_written
from spendwatch.sources.header_text import is_sendable
from spendwatch.sources.hints_settings import HintedConfig

_TAKEN = frozenset({"host", "range", "if-range", "if-none-match", "if-modified-since", "accept-encoding", "content-length"})


class Auth(StrEnum):
    """How we say who we are."""

    NONE = "none"
    BEARER = "bearer"
    BASIC = "basic"
    HEADER = "header"
    """The secret stands in a header of another name."""


class PagingKind(StrEnum):
    """Where the address of the next page stands, if the bill comes in several."""

    NONE = "none"
    LINK = "link"
    """In the `Link` header, with `rel=next`."""
    TOKEN = "token"  # noqa: S105 -- a word
    """In a field of the JSON page; it goes into a parameter of the query."""


class UrlConfig(HintedConfig):
    """An https endpoint that gives a bill file: CSV, zip, or pages of JSON."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, json_schema_extra=show_defaults_as_written
    )

    type: Literal["url"]
    url: str = Field(repr=False, min_length=1, description="https only; it may itself be a secret, so nothing shows it")
    auth: Auth = Field(default=Auth.NONE, description="how we say who we are")
    username: str | None = Field(default=None, pattern=r"^[!-9;-~]{1,200}$", description="for `basic`")
    header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,100}$", description="the header's name, for `header`")
    secret_file: str | None = Field(default=None, description="holds the token, the password, or the header's value")
    secret: SecretStr | None = None
    """Never written in the file: comes from `secret_file` or the environment."""
    paging: PagingKind = Field(default=PagingKind.NONE, description="where the next page is named")
    token_field: str = Field(
        default="Data.NextToken", pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", description="for `paging: token`"
    )
    token_parameter: str = Field(default="NextToken", pattern=r"^[A-Za-z0-9_.-]{1,100}$", description="for `paging: token`")
    max_megabytes: int = Field(default=2048, ge=1, le=1_000_000, description="a larger bill is not taken")
    poll: PositiveDuration = Field(default=timedelta(minutes=15), description="how often to ask")
    timeout: PositiveDuration = Field(default=timedelta(minutes=10), description="how long one answer may take")
    stale_after: PositiveDuration = Field(
        default=timedelta(hours=26), description="without a new bill for that long, somebody is told"
    )

    @field_validator("secret")
    @classmethod
    def _is_sendable(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not is_sendable(secret.get_secret_value()):
            msg = "the secret holds characters that no header can carry"
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
            msg = f"the header {self.header} is needed otherwise"
            raise ValueError(msg)
        used = {"username": self.auth is Auth.BASIC, "header": self.auth is Auth.HEADER}
        used |= dict.fromkeys(("secret_file", "secret"), self.auth is not Auth.NONE)
        self._refuse_useless(used, f"auth: {self.auth}")
        self._refuse_useless(
            dict.fromkeys(("token_field", "token_parameter"), self.paging is PagingKind.TOKEN), f"paging: {self.paging}"
        )
        return self

    def _refuse_useless(self, used: Mapping[str, bool], here: str) -> None:
        """Refuse a key that would silently mean nothing."""
        useless = [name for name, is_used in used.items() if name in self.model_fields_set and not is_used]
        if useless:
            msg = f"{here} has no use for {', '.join(useless)}"
            raise ValueError(msg)

    @property
    def longest_step(self) -> timedelta:
        """How long a fetch may take to get a step further: one answer."""
        return self.timeout

    @property
    def host(self) -> str:
        """For messages: the rest of the address may be a secret."""
        return urlsplit(self.url).hostname or ""

    @property
    def most_bytes(self) -> int:
        """How large a bill may be."""
        return self.max_megabytes * 1_000_000

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
