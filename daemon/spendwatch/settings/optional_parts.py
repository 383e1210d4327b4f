"""Parts of the configuration that few have all of; each is imported with its first value."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, model_validator

from spendwatch.connection import Connection
from spendwatch.fields import Closed, PositiveDuration, refuse, show_defaults_as_written
from spendwatch.settings.value_types import Cash, Floors, RunwayThresholds, refuse_at
from spendwatch.sources.balances.settings import ApiBalanceConfig, FileBalanceConfig, UrlBalanceConfig


class _Heard(Closed):
    """When to notify about the balance."""

    floors: Floors = Field(default=[])
    runway: RunwayThresholds = Field(default=[])

    @model_validator(mode="before")
    @classmethod
    def _escalates_elsewhere(cls, value: object) -> object:
        if isinstance(value, dict) and "escalate" in value:
            refuse_at("escalate", "stands in the account itself, beside `balance`: it is for all alerts of the account")
        return value


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


BalancePart: TypeAlias = ManualBalancePart | FileBalancePart | UrlBalancePart | ApiBalancePart


class HeartbeatPart(Connection):
    """A monitoring service in the manner of healthchecks.io that is pinged while the daemon gets on."""

    url_file: str | None = None
    """Holds the address, which is a secret with many services."""
    url: str | None = Field(default=None, repr=False, min_length=1)
    every: PositiveDuration = timedelta(minutes=5)

    model_config = ConfigDict(json_schema_extra=show_defaults_as_written)

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.url_file is None and self.url is None:
            refuse("needs url_file, or url: the address to ping")
        return self
