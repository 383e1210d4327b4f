"""Creates the channel for given settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any, TypeAlias

from spendwatch.addresses import Network
from spendwatch.channels import chat_settings as chats
from spendwatch.channels.alertmanager import AlertmanagerChannel
from spendwatch.channels.apprise import AppriseChannel
from spendwatch.channels.apprise_settings import AppriseConfig
from spendwatch.channels.chat import ServiceChannel
from spendwatch.channels.config import ChannelConfig, ConsoleConfig, EmailConfig, ExecConfig, ProgramConfig, WebhookConfig
from spendwatch.channels.console import ConsoleChannel
from spendwatch.channels.dingtalk import DingTalkChannel
from spendwatch.channels.discord import DiscordChannel
from spendwatch.channels.email import EmailChannel
from spendwatch.channels.exec import ExecChannel
from spendwatch.channels.feishu import FeishuChannel
from spendwatch.channels.http_channel import HttpChannel
from spendwatch.channels.oauth2 import AccessTokens
from spendwatch.channels.pagerduty import PagerDutyChannel
from spendwatch.channels.program_settings import AlertmanagerConfig, PagerDutyConfig
from spendwatch.channels.programs import ProgramChannel
from spendwatch.channels.slack import SlackChannel
from spendwatch.channels.sms import SmsChannel
from spendwatch.channels.sms_settings import SmsConfig
from spendwatch.channels.teams import TeamsChannel
from spendwatch.channels.telegram import TelegramChannel
from spendwatch.channels.webhook import WebhookChannel
from spendwatch.channels.wecom import WeComChannel
from spendwatch.connection import Connection, Way
from spendwatch.domain.period import Clock
from spendwatch.request import HttpPoster

AnyChannel: TypeAlias = EmailChannel | HttpChannel | ExecChannel | AppriseChannel | ConsoleChannel

_SERVICES: Mapping[type[chats.ChatSettings], type[ServiceChannel[Any]]] = {
    chats.DingTalkConfig: DingTalkChannel,
    chats.FeishuConfig: FeishuChannel,
    chats.WeComConfig: WeComChannel,
    chats.SlackConfig: SlackChannel,
    chats.TeamsConfig: TeamsChannel,
    chats.DiscordConfig: DiscordChannel,
    chats.TelegramConfig: TelegramChannel,
    SmsConfig: SmsChannel,
}
_PROGRAMS: Mapping[type[ProgramConfig], type[ProgramChannel[Any]]] = {
    AlertmanagerConfig: AlertmanagerChannel,
    PagerDutyConfig: PagerDutyChannel,
}


def open_channel(
    name: str,
    config: ChannelConfig,
    *,
    clients: Callable[[Way], HttpPoster],
    zone: tzinfo,
    clock: Clock,
    allow_networks: Sequence[Network] = (),
) -> AnyChannel:
    """Return the channel that the settings describe; `allow_networks` may get mail without encryption if they say so."""
    way = config.way if isinstance(config, Connection) else Way()
    client = clients(way)
    match config:
        case EmailConfig():
            tokens = AccessTokens(config.auth.oauth2, clients(config.auth.oauth2.way)) if config.auth else None
            return EmailChannel(config, name, zone=zone, allow_networks=allow_networks, tokens=tokens)
        case WebhookConfig():
            return WebhookChannel(config, name, client, zone=zone, clock=clock)
        case ProgramConfig():
            return _PROGRAMS[type(config)](config, name, client, zone=zone, clock=clock)
        case ExecConfig() | AppriseConfig():
            return (
                ExecChannel(config, name, zone=zone)
                if isinstance(config, ExecConfig)
                else AppriseChannel(config, name, zone=zone)
            )
        case ConsoleConfig():
            return ConsoleChannel(config, name, zone=zone)
        case chats.ChatSettings():
            return _SERVICES[type(config)](config, name, client, zone=zone, clock=clock)
