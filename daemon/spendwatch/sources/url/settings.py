"""The settings of an https endpoint: address and authentication; for bills, also paging."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, model_validator

from spendwatch.connection import AuthorizedConnection
from spendwatch.fields import PositiveDuration, show_defaults_as_written
from spendwatch.sources.shared_settings import DownloadedConfig

_SAME = {"secret_file": "auth_file", "secret": "auth_secret"}


class PagingKind(StrEnum):
    """Where the address of the next page stands, if the bill comes in several."""

    NONE = "none"
    LINK = "link"
    """In the `Link` header, with `rel=next`."""
    TOKEN = "token"  # noqa: S105 -- a word
    """In a field of the JSON page; it goes into a parameter of the query."""


class UrlAccess(AuthorizedConnection):
    """An https endpoint, for bills or for a balance, and how we say to it who we are."""

    url: str = Field(repr=False, min_length=1, description="https only; it may itself be a secret, so nothing shows it")

    @model_validator(mode="before")
    @classmethod
    def _has_but_one_secret(cls, said: object) -> object:
        """Take `secret_file` for `auth_file`: nothing else is secret here."""
        return {_SAME.get(name, name): value for name, value in said.items()} if isinstance(said, dict) else said

    @property
    def host(self) -> str:
        """For messages: the rest of the address may be a secret."""
        return urlsplit(self.url).hostname or ""

    def secrets(self) -> tuple[str, ...]:
        """Return what must not be repeated to anybody; the address itself may be a secret."""
        return tuple(filter(None, (self.proof, *self.credentials().values(), self.url)))


class UrlConfig(DownloadedConfig, UrlAccess):
    """An https endpoint that gives a bill file: CSV, zip, or pages of JSON."""

    model_config = ConfigDict(defer_build=True, json_schema_extra=show_defaults_as_written)

    type: Literal["url"]
    paging: PagingKind = Field(default=PagingKind.NONE, description="where the next page is named")
    token_field: str = Field(
        default="Data.NextToken", pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", description="for `paging: token`"
    )
    token_parameter: str = Field(default="NextToken", pattern=r"^[A-Za-z0-9_.-]{1,100}$", description="for `paging: token`")
    stale_after: PositiveDuration = Field(
        default=timedelta(hours=26), description="the operators are notified after this time without a new bill"
    )

    @model_validator(mode="after")
    def _has_what_its_paging_needs_and_nothing_else(self) -> Self:
        self.refuse_useless(
            dict.fromkeys(("token_field", "token_parameter"), self.paging is PagingKind.TOKEN), f"paging: {self.paging}"
        )
        return self
