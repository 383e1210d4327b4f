"""The settings of a channel of any type. Imports nothing that sends."""

from __future__ import annotations

from typing import Annotated

from spendwatch.channels.console_settings import ConsoleConfig
from spendwatch.channels.email_settings import EmailConfig
from spendwatch.channels.webhook_settings import WebhookConfig
from spendwatch.fields import ByKey

__all__ = ["ChannelConfig", "ConsoleConfig", "EmailConfig", "WebhookConfig"]

ChannelConfig = Annotated[EmailConfig | WebhookConfig | ConsoleConfig, ByKey("type")]
"""`type` says which."""
