"""The settings of a channel of any type. Imports nothing that sends."""

from __future__ import annotations

from typing import Annotated, get_args

from spendwatch.channels.apprise_settings import AppriseConfig
from spendwatch.channels.chat_settings import ChatConfig, ChatSettings
from spendwatch.channels.console_settings import ConsoleConfig
from spendwatch.channels.email_settings import EmailConfig
from spendwatch.channels.exec_settings import ExecConfig
from spendwatch.channels.program_settings import AlertmanagerConfig, PagerDutyConfig, ProgramConfig
from spendwatch.channels.sms_settings import SmsConfig
from spendwatch.channels.webhook_settings import WebhookConfig
from spendwatch.fields import ByKey

__all__ = [
    "ROBOTS",
    "AppriseConfig",
    "ChannelConfig",
    "ChatSettings",
    "ConsoleConfig",
    "EmailConfig",
    "ExecConfig",
    "ProgramConfig",
    "WebhookConfig",
]

ChannelConfig = Annotated[
    EmailConfig | WebhookConfig | ConsoleConfig | ChatConfig | SmsConfig | AppriseConfig
    | ExecConfig | AlertmanagerConfig | PagerDutyConfig,
    ByKey("type"),
]  # fmt: skip
"""`type` says which."""

ROBOTS = frozenset(
    kind
    for model in get_args(get_args(ChannelConfig)[0])
    if "url_file" in model.model_fields
    for kind in get_args(model.model_fields["type"].annotation)
)
"""The types whose address is a secret."""
