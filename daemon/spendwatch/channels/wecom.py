"""Notifies a WeCom group through its robot: markdown of at most 4,096 bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from spendwatch.channels.chat import CONTENT, TOO_LONG, Body, ChatChannel, Dialect, Trouble
from spendwatch.channels.chat_settings import WeComConfig
from spendwatch.letters.parts import Letter

_COLOURS = {"notice": "comment", "warning": "warning", "critical": "warning", "calm": "info"}
"""The robot knows three: grey, orange and green."""


class WeComChannel(ChatChannel[WeComConfig]):
    """A group robot of WeCom."""

    service = "WeCom"
    most = 4096
    dialect = Dialect()
    codes = (("errcode", "errmsg"),)
    troubles = (
        Trouble("^93000 |invalid webhook", "the robot was removed or its address is wrong: copy it anew into url_file"),
        Trouble("^45009 |freq", "more than 20 messages in a minute", pause=timedelta(minutes=1)),
        Trouble("^40058 |max length", TOO_LONG, of_channel=False),
        Trouble("^(40008|44004|45002) ", CONTENT, of_channel=False),
        Trouble("^-1 ", "it is busy"),
    )

    def _body(self, letter: Letter, texts: Sequence[str]) -> Body:
        head = f'### <font color="{_COLOURS[letter.tone]}">{texts[0]}</font>'
        mentions = [" ".join(f"<@{one}>" for one in self._config.at)] if letter.tone == "critical" and self._config.at else []
        return {"msgtype": "markdown", "markdown": {"content": "\n\n".join((head, *texts[1:], *mentions))}}

    def _size(self, body: Body) -> int:
        return len(body["markdown"]["content"].encode())
