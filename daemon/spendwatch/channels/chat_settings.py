"""The settings of chat services. Addresses and tokens are secrets: they come from files or the environment."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from spendwatch.channels.language import Language
from spendwatch.channels.route_settings import Routed
from spendwatch.fields import PositiveDuration

Mentioned = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@+-]{1,64}$")]


class ChatSettings(Routed):
    """What every chat service is told."""

    usual_max: ClassVar[int] = 2
    usual_pace: ClassVar[tuple[int, int]]
    """Messages that the service takes in a second and in a minute."""
    at_once: ClassVar[int] = 1
    """One after the other: readers see them in order."""
    language: Language = Language.EN
    timeout: PositiveDuration = timedelta(seconds=20)
    per_second: int = Field(default=0, ge=0, le=100)
    """Left out, like `per_minute`: what the service is known to allow."""
    per_minute: int = Field(default=0, ge=0, le=6000)

    @property
    def address(self) -> str:
        """Where messages go; it may hold a secret."""
        raise NotImplementedError

    @property
    def pace(self) -> tuple[int, int]:
        """How many messages go in a second and in a minute."""
        per_second, per_minute = self.usual_pace
        return self.per_second or per_second, self.per_minute or per_minute


class RobotSettings(ChatSettings):
    """A service whose robot has an address of its own."""

    url_file: str | None = None
    """Holds the whole address as the service shows it."""
    url: SecretStr | None = None
    """Never written in the file: comes from `url_file` or the environment."""

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.url_file is None and self.url is None:
            msg = "url_file is missing: write the robot's whole address into a file, and the file's name here"
            raise ValueError(msg)
        return self

    @property
    def address(self) -> str:
        """Where messages go."""
        return self.url.get_secret_value().strip() if self.url else ""


class DingTalkConfig(RobotSettings):
    """A custom robot in a DingTalk group."""

    usual_pace = (5, 20)
    type: Literal["dingtalk"] = "dingtalk"
    secret_file: str | None = None
    secret: SecretStr | None = None
    """Where the robot verifies signatures. Never written in the file."""
    keyword: str = Field(default="", pattern=r"^[\w -]{0,40}$")
    """Where the robot accepts only messages with a keyword: is added to each that lacks it."""
    at: tuple[Mentioned, ...] = ()
    """Mobile numbers or user ids that critical alerts mention."""
    at_all: bool = False
