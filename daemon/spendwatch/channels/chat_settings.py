"""The settings of chat services. Addresses and tokens are secrets: they come from files or the environment."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, SecretStr, model_validator

from spendwatch.channels.language import Language
from spendwatch.channels.route_settings import Routed
from spendwatch.connection import Connection
from spendwatch.fields import PositiveDuration

Mentioned = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@+-]{1,64}$")]


class ChatSettings(Routed, Connection):
    """What every chat service is told."""

    usual_max: ClassVar[int] = 2
    usual_pace: ClassVar[tuple[int, int]]
    """Messages that the service takes in a second and in a minute."""
    connections: ClassVar[int] = 1
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


class SignedSettings(RobotSettings):
    """A robot that may verify signatures, or demand a keyword."""

    secret_file: str | None = None
    secret: SecretStr | None = None
    """Where the robot verifies signatures. Never written in the file."""
    keyword: str = Field(default="", pattern=r"^[\w -]{0,40}$")
    """Where the robot accepts only messages with a keyword: is added to each that lacks it."""
    at: tuple[Mentioned, ...] = ()
    """Whom critical alerts mention."""
    at_all: bool = False

    @property
    def key(self) -> str:
        """What signs; empty where nothing does."""
        return self.secret.get_secret_value().strip() if self.secret else ""


class DingTalkConfig(SignedSettings):
    """A custom robot in a DingTalk group; `at`: mobile numbers or user ids."""

    usual_pace = (5, 20)
    type: Literal["dingtalk"] = "dingtalk"


class FeishuConfig(SignedSettings):
    """A custom bot in a group of Feishu or Lark; `at`: open ids."""

    usual_pace = (5, 100)
    type: Literal["feishu", "lark"] = "feishu"


class WeComConfig(RobotSettings):
    """A group robot of WeCom."""

    usual_pace = (5, 20)
    type: Literal["wecom"] = "wecom"
    at: tuple[Mentioned, ...] = ()
    """User ids that critical alerts mention."""


class SlackConfig(RobotSettings):
    """An incoming webhook of Slack."""

    usual_pace = (1, 60)
    type: Literal["slack"] = "slack"


class TeamsConfig(RobotSettings):
    """A workflow of Microsoft Teams that posts cards."""

    usual_pace = (1, 60)
    type: Literal["teams"] = "teams"


class DiscordConfig(RobotSettings):
    """A webhook of a Discord channel."""

    usual_pace = (2, 30)
    type: Literal["discord"] = "discord"


class TelegramConfig(ChatSettings):
    """A bot of Telegram that writes to one chat."""

    usual_pace = (1, 20)
    type: Literal["telegram"] = "telegram"
    token_file: str | None = None
    token: SecretStr | None = None
    """Never written in the file: comes from `token_file` or the environment."""
    chat: str = Field(pattern=r"^(-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32})$")
    server: str = "https://api.telegram.org"
    """Another one where you run the bot API yourself."""

    @model_validator(mode="after")
    def _has_a_token(self) -> Self:
        if self.token_file is None and self.token is None:
            msg = "token_file is missing: write the token that BotFather gave you into a file, and the file's name here"
            raise ValueError(msg)
        return self

    @property
    def address(self) -> str:
        """Where messages go."""
        token = self.token.get_secret_value().strip() if self.token else ""
        return f"{self.server.rstrip('/')}/bot{token}/sendMessage"


ChatConfig: TypeAlias = DingTalkConfig | FeishuConfig | WeComConfig | SlackConfig | TeamsConfig | DiscordConfig | TelegramConfig
