"""Notifies a chat of Telegram through a bot: HTML of at most 4,096 characters."""

from __future__ import annotations

import html
from collections.abc import Sequence

from spendwatch.channels.chat import CONTENT, Body, ChatChannel, Dialect, Trouble, by_status, utf_16_units
from spendwatch.channels.chat_settings import TelegramConfig
from spendwatch.channels.http_channel import json_of
from spendwatch.letters.parts import Letter
from spendwatch.request import HttpAnswer

_COLOURS = {"notice": "🔵", "warning": "🟠", "critical": "🔴", "calm": "🟢"}


def _escape(text: str) -> str:
    return html.escape(text, quote=False).replace("@", "＠").replace("://", "：//")


class TelegramChannel(ChatChannel[TelegramConfig]):
    """A bot that writes to one chat."""

    service = "Telegram"
    most = 4096
    dialect = Dialect(_escape, bold="<b>{}</b>", link='<a href="{url}">{label}</a>', bullet="• ", ampersand="&amp;")
    troubles = (
        Trouble("chat not found|migrated|upgraded", "add the bot to the group, and write the group's id as `chat`"),
        Trouble("blocked|kicked|not a member|deactivated|rights", "the bot may not write to this chat: allow it to"),
        Trouble("^(401|404) ", "the bot is unknown: write the token that BotFather gave you into token_file"),
        Trouble("too long|can't parse|is empty", CONTENT, of_channel=False),
    )

    def _body(self, letter: Letter, texts: Sequence[str]) -> Body:
        head = f"{_COLOURS[letter.tone]} <b>{texts[0]}</b>"
        return {
            "chat_id": self._config.chat,
            "text": "\n\n".join((head, *texts[1:])),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
            "disable_notification": letter.tone in {"calm", "notice"},
        }

    def _size(self, body: Body) -> int:
        return utf_16_units(body["text"])

    def _verdict(self, answer: HttpAnswer) -> str | None:
        found = json_of(answer)
        if "ok" in found:
            return "" if found["ok"] is True else f"{found.get('error_code')} {found.get('description')}"
        return None if answer.status // 100 == 2 else by_status(answer)  # noqa: PLR2004 -- the successful ones
