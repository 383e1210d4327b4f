"""Settings that every source may have about its files, if these leave something open."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field

from spendwatch.domain.statement import AccountId
from spendwatch.fields import PositiveDuration
from spendwatch.sources.choices import AUTO, KindChoice, LayoutChoice


class HintedConfig(BaseModel):
    """A source whose files may leave something open."""

    account: AccountId | None = Field(
        default=None, description="the account of files that name none; its name here, its id once the settings are complete"
    )
    kind: KindChoice = Field(
        default=None,
        description="how a file relates to earlier ones, if its layout does not define it",
        json_schema_extra={"default": AUTO},
    )
    layout: LayoutChoice = Field(
        default=None,
        description="the layout of the files, if it cannot be detected",
        json_schema_extra={"default": AUTO},
    )


class DownloadedConfig(HintedConfig):
    """A source whose files are downloaded over https."""

    max_megabytes: int = Field(default=2048, ge=1, le=1_000_000, description="a larger bill is not read")
    poll: PositiveDuration = Field(default=timedelta(minutes=15), description="how often to look")
    timeout: PositiveDuration = Field(default=timedelta(minutes=10), description="how long one answer may take")

    @property
    def longest_step(self) -> timedelta:
        """How long a fetch may take to get a step further: one answer."""
        return self.timeout

    @property
    def most_bytes(self) -> int:
        """How large a bill may be."""
        return self.max_megabytes * 1_000_000
