"""The settings of the billing API: credentials and endpoint; for a source, also account and interval."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import ConfigDict, Field

from spendwatch.domain.commodity import MODEL_STUDIO
from spendwatch.domain.statement import AccountId
from spendwatch.fields import PositiveDuration, show_defaults_as_written
from spendwatch.sources.provider.credentials_settings import CredentialsConfig, Endpoint


class AlibabaAccess(CredentialsConfig):
    """By what right, and at which endpoint, the billing API is asked."""

    model_config = ConfigDict(defer_build=True, json_schema_extra=show_defaults_as_written)

    endpoint: Endpoint | None = Field(default=None, description="another endpoint than the site's own, in a VPC, say")
    timeout: PositiveDuration = Field(default=timedelta(seconds=30), description="how long one answer may take")


class AlibabaConfig(AlibabaAccess):
    """The billing API, asked for the bills of one account."""

    type: Literal["alibaba"]
    account: AccountId = Field(
        min_length=1,
        description="the account, which also defines the site; its name here, its id once the settings are complete",
    )
    product: str = Field(
        default=MODEL_STUDIO, pattern=r"^[A-Za-z0-9_-]{0,64}$", description="the product code; empty for all products"
    )
    poll: PositiveDuration = Field(default=timedelta(hours=1), description="how often to ask")
    stale_after: PositiveDuration = Field(
        default=timedelta(hours=50),
        description="the operators are notified after this time without a new bill; the API itself lags by a day",
    )

    @property
    def longest_step(self) -> timedelta:
        """How long a fetch may take to get a step further: one answer, and the longest pause that is waited for."""
        return self.timeout + timedelta(minutes=1)
