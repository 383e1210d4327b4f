"""Notifies a Discord channel through a webhook: one embed that mentions nobody."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from spendwatch.channels.chat import (
    COLOURS,
    JSON,
    Body,
    ChatChannel,
    Dialect,
    Trouble,
    by_status,
    json_of,
    of_content,
    plain,
    utf_16_units,
)
from spendwatch.channels.chat_settings import DiscordConfig
from spendwatch.channels.http_channel import HttpAnswer, Post
from spendwatch.channels.parts import Letter
from spendwatch.domain.notification import Delivery

_MARKS = re.compile(r"([\\*_~`|<>\[\]()#@])")


def _escape(text: str) -> str:
    return _MARKS.sub(r"\\\1", text).replace("://", "：//")


class DiscordChannel(ChatChannel[DiscordConfig]):
    """A webhook of a Discord channel."""

    service = "Discord"
    most = 4096
    dialect = Dialect(_escape)
    troubles = (
        Trouble("^(10015|50027|404|401) ", "the webhook was removed: make a new one, and write its address into url_file"),
        Trouble("^(220001|220003) ", "a forum channel cannot take it: make a webhook for a text channel"),
        of_content("^50035 |too long"),
    )

    def _body(self, letter: Letter, texts: Sequence[str], *, pings: bool) -> Body:
        del pings
        colour = int(COLOURS[letter.tone].removeprefix("#"), 16)
        embed = {"title": plain(letter.subject), "description": "\n\n".join(texts[1:]), "color": colour}
        return {"embeds": [embed], "allowed_mentions": {"parse": []}}

    def _size(self, body: Body) -> int:
        return utf_16_units(body["embeds"][0]["description"])

    def _request(self, delivery: Delivery, body: bytes, now: datetime) -> Post:  # noqa: ARG002 -- nothing changes with time
        # Without `wait` it answers before it looks at the message.
        return Post(f"{self._chat.address}{'&' if '?' in self._chat.address else '?'}wait=true", JSON, body)

    def _verdict(self, answer: HttpAnswer) -> str | None:
        if answer.status // 100 == 2:  # noqa: PLR2004 -- the successful ones
            return "" if "id" in json_of(answer) else None
        found = json_of(answer)
        return f"{found['code']} {found.get('message', '')}" if found.get("code") else by_status(answer)
