"""The settings of text messages by Alibaba Cloud SMS. Imports nothing that sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from spendwatch.channels.chat_settings import ChatSettings, PerMinute
from spendwatch.fields import refuse

_Variable = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
Fact = Literal[
    "summary", "name", "account_name", "owner", "severity", "state", "spend", "budget", "used", "available", "alert_id"
]


class SmsConfig(ChatSettings):
    """A signature and a template that the provider approved, and who gets the messages."""

    needs: ClassVar[tuple[str, ...]] = ("key_id", "secret")
    type: Literal["sms"] = "sms"
    to: tuple[Annotated[str, Field(pattern=r"^\+?[0-9]{6,20}$")], ...] = Field(min_length=1, repr=False)
    """With country code; without one in China."""
    sign_name: str = Field(min_length=1, max_length=64)
    template: str = Field(pattern=r"^SMS_[0-9]{1,20}$")
    parameters: Mapping[_Variable, Fact] = Field(default_factory=lambda: dict[_Variable, Fact](summary="summary"))
    """What each variable of the template is filled with."""
    per_minute: PerMinute = 100
    endpoint: str = "https://dysmsapi.aliyuncs.com"
    key_id_file: str | None = None
    key_id: SecretStr | None = None
    """The AccessKey that may call dysms:SendSms. Never written in the file, and neither is `secret`."""
    secret_file: str | None = None
    secret: SecretStr | None = None

    @model_validator(mode="after")
    def _has_distinct_numbers(self) -> Self:
        if len(self.by_target) < len(self.to):
            refuse("to: these numbers look alike once their middle is masked; use a channel for each")
        return self

    @property
    def address(self) -> str:
        """Where messages go."""
        return self.endpoint

    @property
    def by_target(self) -> Mapping[str, str]:
        """The numbers by how they are shown: nobody needs to read a whole one in a log."""
        return {f"{number[:-8]}****{number[-4:]}": number for number in self.to}
