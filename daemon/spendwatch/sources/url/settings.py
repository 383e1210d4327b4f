"""The settings of an https endpoint that gives a bill file: where it is, by what right, in how many pieces."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from spendwatch.fields import PositiveDuration, show_defaults_as_written
from spendwatch.sources.hints_settings import HintedConfig
from spendwatch.sources.url.access import Auth, UrlAccess

__all__ = ["Auth", "PagingKind", "UrlConfig"]


class PagingKind(StrEnum):
    """Where the address of the next page stands, if the bill comes in several."""

    NONE = "none"
    LINK = "link"
    """In the `Link` header, with `rel=next`."""
    TOKEN = "token"  # noqa: S105 -- a word
    """In a field of the JSON page; it goes into a parameter of the query."""


class UrlConfig(HintedConfig, UrlAccess):
    """An https endpoint that gives a bill file: CSV, zip, or pages of JSON."""

    model_config = ConfigDict(json_schema_extra=show_defaults_as_written)

    type: Literal["url"]
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

    @model_validator(mode="after")
    def _has_what_its_paging_needs_and_nothing_else(self) -> Self:
        self.refuse_useless(
            dict.fromkeys(("token_field", "token_parameter"), self.paging is PagingKind.TOKEN), f"paging: {self.paging}"
        )
        return self

    @property
    def longest_step(self) -> timedelta:
        """How long a fetch may take to get a step further: one answer."""
        return self.timeout

    @property
    def most_bytes(self) -> int:
        """How large a bill may be."""
        return self.max_megabytes * 1_000_000
