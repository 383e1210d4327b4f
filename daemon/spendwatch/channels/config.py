"""The settings of a channel of any type. Imports nothing that sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from spendwatch.fields import ByKey

_HERE = "spendwatch.channels"
CHANNELS = ByKey(
    "type",
    {
        "email": f"{_HERE}.email_settings:EmailConfig",
        "webhook": f"{_HERE}.webhook_settings:WebhookConfig",
        "console": f"{_HERE}.console_settings:ConsoleConfig",
        "dingtalk": f"{_HERE}.chat_settings:DingTalkConfig",
        "feishu": f"{_HERE}.chat_settings:FeishuConfig",
        "lark": f"{_HERE}.chat_settings:FeishuConfig",
        "wecom": f"{_HERE}.chat_settings:WeComConfig",
        "slack": f"{_HERE}.chat_settings:SlackConfig",
        "teams": f"{_HERE}.chat_settings:TeamsConfig",
        "discord": f"{_HERE}.chat_settings:DiscordConfig",
        "telegram": f"{_HERE}.chat_settings:TelegramConfig",
        "sms": f"{_HERE}.sms_settings:SmsConfig",
        "apprise": f"{_HERE}.apprise_settings:AppriseConfig",
        "exec": f"{_HERE}.exec_settings:ExecConfig",
        "alertmanager": f"{_HERE}.program_settings:AlertmanagerConfig",
        "pagerduty": f"{_HERE}.program_settings:PagerDutyConfig",
    },
)
"""The settings of each type; `ChannelConfig` lists the same for the type checker."""

if TYPE_CHECKING:
    from spendwatch.channels.apprise_settings import AppriseConfig
    from spendwatch.channels.chat_settings import ChatConfig
    from spendwatch.channels.console_settings import ConsoleConfig
    from spendwatch.channels.email_settings import EmailConfig
    from spendwatch.channels.exec_settings import ExecConfig
    from spendwatch.channels.program_settings import AlertmanagerConfig, PagerDutyConfig
    from spendwatch.channels.sms_settings import SmsConfig
    from spendwatch.channels.webhook_settings import WebhookConfig

    ChannelConfig: TypeAlias = (
        EmailConfig | WebhookConfig | ConsoleConfig | ChatConfig | SmsConfig | AppriseConfig
        | ExecConfig | AlertmanagerConfig | PagerDutyConfig
    )  # fmt: skip
else:
    ChannelConfig = Annotated[object, CHANNELS]


def is_robot(kind: str) -> bool:
    """Return whether the address of a channel of this type is a secret."""
    model = CHANNELS.of(kind)
    return model is not None and "url_file" in model.model_fields
