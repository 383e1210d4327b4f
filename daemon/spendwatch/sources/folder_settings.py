"""The settings of a drop folder: where it is, how often it is looked at, when a file has come to rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from spendwatch.sources.duration import Duration, PositiveDuration, show_defaults_as_written


class FolderConfig(BaseModel):
    """A folder into which bill files are dropped."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=show_defaults_as_written)

    type: Literal["folder"]
    path: str = Field(min_length=1, description="the folder; relative to the configuration's own")
    poll: PositiveDuration = Field(default=timedelta(seconds=30), description="how often to look")
    settle: Duration = Field(default=timedelta(seconds=10), description="how long a file must not change before it is read")
    stale_after: PositiveDuration = Field(
        default=timedelta(hours=26), description="without a new bill for that long, somebody is told"
    )
