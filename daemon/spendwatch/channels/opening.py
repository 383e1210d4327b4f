"""Creates the channel for given settings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TypeAlias

from spendwatch.addresses import Network
from spendwatch.channels.chat_settings import DingTalkConfig
from spendwatch.channels.config import ChannelConfig, ConsoleConfig, EmailConfig, ExecConfig, WebhookConfig
from spendwatch.channels.console import ConsoleChannel
from spendwatch.channels.dingtalk import DingTalkChannel
from spendwatch.channels.email import EmailChannel
from spendwatch.channels.exec import ExecChannel
from spendwatch.channels.http_channel import HttpChannel, HttpClient
from spendwatch.channels.webhook import WebhookChannel
from spendwatch.domain.period import Clock

AnyChannel: TypeAlias = EmailChannel | HttpChannel | ExecChannel | ConsoleChannel


def open_channel(
    name: str,
    config: ChannelConfig,
    *,
    client: HttpClient,
    zone: tzinfo,
    clock: Clock,
    allow_networks: Sequence[Network] = (),
) -> AnyChannel:
    """Return the channel that the settings describe; `allow_networks` may get mail without encryption if they say so."""
    match config:
        case EmailConfig():
            return EmailChannel(config, name, zone=zone, allow_networks=allow_networks)
        case WebhookConfig():
            return WebhookChannel(config, name, client, zone=zone, clock=clock)
        case ExecConfig():
            return ExecChannel(config, name, zone=zone)
        case ConsoleConfig():
            return ConsoleChannel(config, name, zone=zone)
        case DingTalkConfig():
            return DingTalkChannel(config, name, client, zone=zone, clock=clock)
