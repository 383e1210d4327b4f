"""Notifies a Discord channel through a webhook: one embed that mentions nobody."""

from __future__ import annotations

from collections.abc import Sequence

from spendwatch.channels.chat import COLOURS, CONTENT, Body, ChatChannel, Dialect, Trouble, by_status, utf_16_units
from spendwatch.channels.chat_settings import DiscordConfig
from spendwatch.channels.http_channel import json_of
from spendwatch.letters.parts import Letter
from spendwatch.request import HttpAnswer


class DiscordChannel(ChatChannel[DiscordConfig]):
    """A webhook of a Discord channel."""

    service = "Discord"
    most = 4096
    dialect = Dialect()
    troubles = (
        Trouble("^(10015|50027|404|401) ", "the webhook was removed: make a new one, and write its address into url_file"),
        Trouble("^(220001|220003) ", "a forum channel cannot take it: make a webhook for a text channel"),
        Trouble("^50035 |too long", CONTENT, of_channel=False),
    )

    def _body(self, letter: Letter, texts: Sequence[str]) -> Body:
        colour = int(COLOURS[letter.tone].removeprefix("#"), 16)
        embed = {"title": texts[0], "description": "\n\n".join(texts[1:]), "color": colour}
        return {"embeds": [embed], "allowed_mentions": {"parse": []}}

    def _size(self, body: Body) -> int:
        return utf_16_units(body["embeds"][0]["description"])

    def _verdict(self, answer: HttpAnswer) -> str | None:
        if answer.status // 100 == 2:  # noqa: PLR2004 -- the successful ones
            return "" if "id" in json_of(answer) else None
        found = json_of(answer)
        return f"{found['code']} {found.get('message', '')}" if found.get("code") else by_status(answer)
