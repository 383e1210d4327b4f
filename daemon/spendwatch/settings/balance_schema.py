"""The schema of `balance` in the configuration: where it comes from, and when to notify."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from spendwatch.settings.value_types import Cash, ChannelNames, EscalateAfter, Floors, RunwayThresholds
from spendwatch.sources.balances.settings import ApiBalanceConfig, FileBalanceConfig, UrlBalanceConfig


class EscalationPart(BaseModel):
    """Who hears, too, when the account stays overdue for that long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: EscalateAfter
    channels: ChannelNames


class _Heard(BaseModel):
    """When somebody must hear of the balance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    floors: Floors = Field(default_factory=list)
    runway: RunwayThresholds = Field(default_factory=list)
    escalate: EscalationPart | None = None


class ManualBalancePart(_Heard):
    """Cash and credit limit as the console shows them; what is unsettled comes from the bills."""

    from_: Literal["manual"] = Field(alias="from")
    cash: Cash
    credit: Cash = Decimal(0)


class FileBalancePart(FileBalanceConfig, _Heard):
    """A file that a person or a program writes."""


class UrlBalancePart(UrlBalanceConfig, _Heard):
    """An https endpoint that gives the same document as JSON."""


class ApiBalancePart(ApiBalanceConfig, _Heard):
    """The provider's billing API."""


BalancePart = Annotated[ManualBalancePart | FileBalancePart | UrlBalancePart | ApiBalancePart, Field(discriminator="from_")]
