"""The settings of an https endpoint for bills: address, authentication, paging."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from spendwatch.fields import PositiveDuration, show_defaults_as_written
from spendwatch.sources.shared_settings import DownloadedConfig
from spendwatch.sources.url.access import Auth, UrlAccess

__all__ = ["Auth", "PagingKind", "UrlConfig"]


class PagingKind(StrEnum):
    """Where the address of the next page stands, if the bill comes in several."""

    NONE = "none"
    LINK = "link"
    """In the `Link` header, with `rel=next`."""
    TOKEN = "token"  # noqa: S105 -- a word
    """In a field of the JSON page; it goes into a parameter of the query."""


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
