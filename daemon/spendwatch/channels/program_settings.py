"""The settings of programs that keep a list of alerts. Imports nothing that sends."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from spendwatch.channels.webhook_settings import EndpointConfig
from spendwatch.fields import refuse

Label = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$")]


class ProgramConfig(EndpointConfig):
    """What all of them are told."""

    @model_validator(mode="after")
    def _gets_no_reports(self) -> Self:
        if self.digest.schedules:
            refuse("digest: a report is no alert; send it over a channel that people read")
        return self


class AlertmanagerConfig(ProgramConfig):
    """A Prometheus Alertmanager, by version 2 of its API."""

    type: Literal["alertmanager"] = "alertmanager"
    labels: dict[Label, str] = Field(default={})
    """Are added to each alert, for its routes."""


class PagerDutyConfig(ProgramConfig):
    """A service in PagerDuty, by version 2 of the Events API."""

    needs: ClassVar[tuple[str, ...]] = ("routing_key",)
    type: Literal["pagerduty"] = "pagerduty"
    url: str = Field(default="https://events.pagerduty.com/v2/enqueue", repr=False)
    routing_key_file: str | None = None
    routing_key: SecretStr | None = None
    """The integration's key. Never written in the file."""
