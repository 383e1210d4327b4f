"""The settings of balance sources: type, interval, and maximum age."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from spendwatch.fields import Duration, PositiveDuration, show_defaults_as_written
from spendwatch.sources.alibaba.settings import AlibabaAccess
from spendwatch.sources.url.settings import UrlAccess

_OLD = "an older reading is shown as stale, and the operators are notified"


class FileBalanceConfig(BaseModel):
    """A file that a person or a program writes."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, json_schema_extra=show_defaults_as_written)

    from_: Literal["file"] = Field(alias="from")
    path: str = Field(min_length=1, description="JSON or YAML; relative to the configuration's own folder")
    poll: PositiveDuration = Field(default=timedelta(minutes=1), description="how often to look")
    settle: Duration = Field(default=timedelta(seconds=2), description="how long it must stay unchanged before it is read")
    stale_after: PositiveDuration = Field(default=timedelta(hours=26), description=_OLD)


class UrlBalanceConfig(UrlAccess):
    """An https endpoint that gives the same document as JSON."""

    model_config = ConfigDict(defer_build=True, json_schema_extra=show_defaults_as_written)

    from_: Literal["url"] = Field(alias="from")
    poll: PositiveDuration = Field(default=timedelta(minutes=15), description="how often to ask")
    timeout: PositiveDuration = Field(default=timedelta(seconds=30), description="how long one answer may take")
    stale_after: PositiveDuration = Field(default=timedelta(hours=6), description=_OLD)


class ApiBalanceConfig(AlibabaAccess):
    """The provider's billing API, with the rights of a source of bills or with its own."""

    from_: Literal["api"] = Field(alias="from")
    source: str | None = Field(
        default=None, min_length=1, description="the alibaba source with the credentials; default: the account's only one"
    )
    owner: str | None = Field(
        default=None, pattern=r"^[0-9]{1,32}$", description="whose fund account it is, where another account pays for this one"
    )
    fund_account: str = Field(default="", pattern=r"^[0-9]{0,32}$", description="which fund account, where there are several")
    poll: PositiveDuration = Field(default=timedelta(hours=1), description="how often to ask")
    stale_after: PositiveDuration = Field(default=timedelta(hours=6), description=_OLD)

    @property
    def has_own_access(self) -> bool:
        """Whether it says itself by what right it asks."""
        return bool(self.model_fields_set & _ACCESS)

    def misfit(self) -> str:
        """Return which credential settings contradict each other; empty if none do, or there are none."""
        if self.source and self.has_own_access:
            own = ", ".join(sorted(self.model_fields_set & _ACCESS))
            return f"source: {self.source} has its own credentials: leave out {own}"
        return super().misfit() if self.has_own_access else ""


_ACCESS = frozenset(AlibabaAccess.model_fields) - {"timeout"}

BalanceConfig: TypeAlias = FileBalanceConfig | UrlBalanceConfig | ApiBalanceConfig
