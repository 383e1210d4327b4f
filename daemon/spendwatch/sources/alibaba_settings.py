"""The settings of the billing API as a source: whose bills, how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import ConfigDict, Field

from spendwatch.domain.statement import AccountId
from spendwatch.sources.credentials_settings import CredentialsConfig, Endpoint
from spendwatch.sources.duration import PositiveDuration, show_defaults_as_written


class AlibabaConfig(CredentialsConfig):
    """The billing API, asked for the bills of one account."""

    model_config = ConfigDict(json_schema_extra=show_defaults_as_written)

    type: Literal["alibaba"]
    account: AccountId = Field(
        min_length=1,
        description="whose bills these are, which also tells the site; its name here, its id once the settings are complete",
    )
    endpoint: Endpoint | None = Field(default=None, description="another endpoint than the site's own, in a VPC, say")
    product: str = Field(
        default="sfm", pattern=r"^[A-Za-z0-9_-]{0,64}$", description="the product code; empty for all products"
    )
    poll: PositiveDuration = Field(default=timedelta(hours=1), description="how often to ask")
    timeout: PositiveDuration = Field(default=timedelta(seconds=30), description="how long one answer may take")
    stale_after: PositiveDuration = Field(
        default=timedelta(hours=50),
        description="without a new bill for that long, somebody is told; the API is a day late itself",
    )

    @property
    def longest_step(self) -> timedelta:
        """How long a fetch may take to get a step further: one answer, and the longest pause that is waited for."""
        return self.timeout + timedelta(minutes=1)
