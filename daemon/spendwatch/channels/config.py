"""The settings of a channel of any type. Imports nothing that sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from spendwatch.fields import ByKey

KINDS = {
    "email": ("email_settings:EmailConfig", "email:EmailChannel"),
    "webhook": ("webhook_settings:WebhookConfig", "webhook:WebhookChannel"),
    "console": ("console_settings:ConsoleConfig", "console:ConsoleChannel"),
    "dingtalk": ("chat_settings:DingTalkConfig", "dingtalk:DingTalkChannel"),
    "feishu": ("chat_settings:FeishuConfig", "feishu:FeishuChannel"),
    "lark": ("chat_settings:FeishuConfig", "feishu:FeishuChannel"),
    "wecom": ("chat_settings:WeComConfig", "wecom:WeComChannel"),
    "slack": ("chat_settings:SlackConfig", "slack:SlackChannel"),
    "teams": ("chat_settings:TeamsConfig", "teams:TeamsChannel"),
    "discord": ("chat_settings:DiscordConfig", "discord:DiscordChannel"),
    "telegram": ("chat_settings:TelegramConfig", "telegram:TelegramChannel"),
    "sms": ("sms_settings:SmsConfig", "sms:SmsChannel"),
    "apprise": ("apprise_settings:AppriseConfig", "apprise:AppriseChannel"),
    "exec": ("exec_settings:ExecConfig", "exec:ExecChannel"),
    "alertmanager": ("program_settings:AlertmanagerConfig", "alertmanager:AlertmanagerChannel"),
    "pagerduty": ("program_settings:PagerDutyConfig", "pagerduty:PagerDutyChannel"),
}
"""The settings of each type, and what sends; `ChannelConfig` lists the settings for the type checker."""

CHANNELS = ByKey("type", {kind: f"{__package__}.{settings}" for kind, (settings, _) in KINDS.items()})

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
