"""The settings of chat services. Addresses and tokens are secrets: they come from files or the environment."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, SecretStr

from spendwatch.channels.route_settings import Routed
from spendwatch.connection import Connection, text_of
from spendwatch.fields import PositiveDuration
from spendwatch.letters.language import Language

Mentioned = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@+-]{1,64}$")]
PerSecond = Annotated[int, Field(ge=1, le=100)]
PerMinute = Annotated[int, Field(ge=1, le=6000)]


class ChatSettings(Routed, Connection):
    """What every chat service is told."""

    usual_max: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("url",)
    connections: ClassVar[int] = 1
    """One after the other: readers see them in order."""
    language: Language = Language.EN
    timeout: PositiveDuration = timedelta(seconds=20)
    per_second: PerSecond = 5
    per_minute: PerMinute = 20
    """Both are what the service is known to take."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where messages go; it may hold a secret."""


class RobotSettings(ChatSettings):
    """A service whose robot has an address of its own."""

    url_file: str | None = None
    """Holds the whole address as the service shows it."""
    url: SecretStr | None = None
    """Never written in the file: comes from `url_file` or the environment."""

    @property
    def address(self) -> str:
        """Where messages go."""
        return text_of(self.url).strip()


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
        return text_of(self.secret).strip()


class DingTalkConfig(SignedSettings):
    """A custom robot in a DingTalk group; `at`: mobile numbers or user ids."""

    type: Literal["dingtalk"] = "dingtalk"


class FeishuConfig(SignedSettings):
    """A custom bot in a group of Feishu or Lark; `at`: open ids."""

    type: Literal["feishu", "lark"] = "feishu"
    per_minute: PerMinute = 100


class WeComConfig(RobotSettings):
    """A group robot of WeCom."""

    type: Literal["wecom"] = "wecom"
    at: tuple[Mentioned, ...] = ()
    """User ids that critical alerts mention."""


class SlackConfig(RobotSettings):
    """An incoming webhook of Slack."""

    type: Literal["slack"] = "slack"
    per_second: PerSecond = 1
    per_minute: PerMinute = 60


class TeamsConfig(RobotSettings):
    """A workflow of Microsoft Teams that posts cards."""

    type: Literal["teams"] = "teams"
    per_second: PerSecond = 1
    per_minute: PerMinute = 60


class DiscordConfig(RobotSettings):
    """A webhook of a Discord channel."""

    type: Literal["discord"] = "discord"
    per_second: PerSecond = 2
    per_minute: PerMinute = 30

    @property
    def address(self) -> str:
        """Where messages go: without `wait` it answers before it looks at the message."""
        return f"{super().address}{'&' if '?' in super().address else '?'}wait=true" if self.url else ""


class TelegramConfig(ChatSettings):
    """A bot of Telegram that writes to one chat."""

    needs: ClassVar[tuple[str, ...]] = ("token",)
    type: Literal["telegram"] = "telegram"
    per_second: PerSecond = 1
    token_file: str | None = None
    token: SecretStr | None = None
    """Never written in the file: comes from `token_file` or the environment."""
    chat: str = Field(pattern=r"^(-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32})$")
    server: str = "https://api.telegram.org"
    """Another one where you run the bot API yourself."""

    @property
    def address(self) -> str:
        """Where messages go."""
        return f"{self.server.rstrip('/')}/bot{text_of(self.token).strip()}/sendMessage"


ChatConfig: TypeAlias = DingTalkConfig | FeishuConfig | WeComConfig | SlackConfig | TeamsConfig | DiscordConfig | TelegramConfig
