"""The settings of a drop folder: path, polling, settling, and what happens to its files."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import ConfigDict, Field

from spendwatch.fields import Duration, PositiveDuration, show_defaults_as_written
from spendwatch.sources.shared_settings import HintedConfig, Switch


class FolderConfig(HintedConfig):
    """A folder into which bill files are dropped."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, json_schema_extra=show_defaults_as_written)

    type: Literal["folder"]
    path: str = Field(min_length=1, description="the folder; relative to the configuration's own")
    recursive: Switch = Field(default=False, description="whether to read its sub-folders, too")
    move: Switch = Field(default=True, description="whether files move to done/ and rejected/ after reading, or stay")
    poll: PositiveDuration = Field(default=timedelta(seconds=30), description="how often to look")
    settle: Duration = Field(default=timedelta(seconds=10), description="how long a file must not change before it is read")
    stale_after: PositiveDuration = Field(
        default=timedelta(hours=26), description="the operators are notified after this time without a new bill"
    )

    @property
    def longest_step(self) -> timedelta:
        """How long a fetch may take to get a step further: there is nothing to fetch."""
        return timedelta(0)
