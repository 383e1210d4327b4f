"""Creates the channel for given settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from spendwatch.addresses import Network
from spendwatch.channels import chat_settings as chats
from spendwatch.channels.alertmanager import AlertmanagerChannel
from spendwatch.channels.apprise import AppriseChannel
from spendwatch.channels.apprise_settings import AppriseConfig
from spendwatch.channels.channel import Channel
from spendwatch.channels.config import ChannelConfig
from spendwatch.channels.console import ConsoleChannel
from spendwatch.channels.console_settings import ConsoleConfig
from spendwatch.channels.dingtalk import DingTalkChannel
from spendwatch.channels.discord import DiscordChannel
from spendwatch.channels.email import EmailChannel
from spendwatch.channels.email_settings import EmailConfig
from spendwatch.channels.exec import ExecChannel
from spendwatch.channels.exec_settings import ExecConfig
from spendwatch.channels.feishu import FeishuChannel
from spendwatch.channels.http_channel import HttpChannel
from spendwatch.channels.oauth2 import AccessTokens
from spendwatch.channels.pagerduty import PagerDutyChannel
from spendwatch.channels.program_settings import AlertmanagerConfig, PagerDutyConfig
from spendwatch.channels.slack import SlackChannel
from spendwatch.channels.sms import SmsChannel
from spendwatch.channels.sms_settings import SmsConfig
from spendwatch.channels.teams import TeamsChannel
from spendwatch.channels.telegram import TelegramChannel
from spendwatch.channels.webhook import WebhookChannel
from spendwatch.channels.webhook_settings import WebhookConfig
from spendwatch.channels.wecom import WeComChannel
from spendwatch.connection import Connection, Way
from spendwatch.domain.period import Clock
from spendwatch.request import HttpPoster

_OVER_HTTP: Mapping[type[Any], type[HttpChannel[Any]]] = {
    WebhookConfig: WebhookChannel,
    AlertmanagerConfig: AlertmanagerChannel,
    PagerDutyConfig: PagerDutyChannel,
    chats.DingTalkConfig: DingTalkChannel,
    chats.FeishuConfig: FeishuChannel,
    chats.WeComConfig: WeComChannel,
    chats.SlackConfig: SlackChannel,
    chats.TeamsConfig: TeamsChannel,
    chats.DiscordConfig: DiscordChannel,
    chats.TelegramConfig: TelegramChannel,
    SmsConfig: SmsChannel,
}
_OTHERS: Mapping[type[Any], type[Channel[Any]]] = {
    ExecConfig: ExecChannel,
    AppriseConfig: AppriseChannel,
    ConsoleConfig: ConsoleChannel,
}


def open_channel(
    name: str,
    config: ChannelConfig,
    *,
    clients: Callable[[Way], HttpPoster],
    zone: tzinfo,
    clock: Clock,
    allow_networks: Sequence[Network] = (),
) -> Channel[Any]:
    """Return the channel that the settings describe; `allow_networks` may get mail without encryption if they say so."""
    if isinstance(config, EmailConfig):
        tokens = AccessTokens(config.auth.oauth2, clients(config.auth.oauth2.way)) if config.auth else None
        return EmailChannel(config, name, zone=zone, allow_networks=allow_networks, tokens=tokens)
    if isinstance(config, Connection):
        return _OVER_HTTP[type(config)](config, name, clients(config.way), zone=zone, clock=clock)
    return _OTHERS[type(config)](config, name, zone=zone)
