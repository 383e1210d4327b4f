"""Notifies a group of Feishu or Lark through its custom bot: a card, signed over the time of the attempt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from spendwatch.channels.chat import CONTENT, Body, ChatChannel, Dialect, Trouble, sign
from spendwatch.channels.chat_settings import FeishuConfig
from spendwatch.channels.http_channel import Post
from spendwatch.domain.notification import Delivery
from spendwatch.letters.json_body import as_sent
from spendwatch.letters.parts import Letter

_COLOURS = {"notice": "blue", "warning": "orange", "critical": "red", "calm": "green"}


class FeishuChannel(ChatChannel[FeishuConfig]):
    """A custom bot of Feishu or Lark."""

    service = "Feishu"
    most = 20_000 - 100  # time and signature come to the stored card
    dialect = Dialect()
    codes = (("code", "msg"), ("StatusCode", "StatusMessage"))
    troubles = (
        Trouble("^19024 |key words", "it takes only messages with its keyword: write it as `keyword`", is_doubtful=True),
        Trouble("^19021 |sign match", "the signature is wrong: write the bot's secret into secret_file, and check the clock"),
        Trouble("^19022 |ip not allowed", "the bot does not accept this machine's public address: add it to the bot's IP list"),
        Trouble("^19001 |token invalid", "the bot was removed or its address is wrong: copy it anew into url_file"),
        Trouble("^19007 ", "the bot is disabled: enable it in the group"),
        Trouble("^11232 |frequen|too many", "more messages than it takes", pause=timedelta(minutes=1)),
        Trouble("^(19002|9499|11246|230099|2[0-9]{5}) |too large", CONTENT, of_channel=False),
    )

    def _body(self, letter: Letter, texts: Sequence[str]) -> Body:
        people = [*self._config.at, *(["all"] if self._config.at_all else [])] if letter.tone == "critical" else []
        mentions = [" ".join(f"<at id={one}></at>" for one in people)] if people else []
        head = {"title": {"tag": "plain_text", "content": letter.subject}, "template": _COLOURS[letter.tone]}
        elements = [{"tag": "markdown", "content": text} for text in (*texts[1:], *mentions)]
        card = {"config": {"wide_screen_mode": True}, "header": head, "elements": elements}
        return {"msg_type": "interactive", "card": card}

    def _request(self, delivery: Delivery, body: bytes, now: datetime) -> Post:
        moment = str(int(now.timestamp()))
        if secret := self._config.key:
            # The reverse of DingTalk: what others sign is the key, and nothing is signed by it.
            body = as_sent({"timestamp": moment, "sign": sign(f"{moment}\n{secret}", ""), **json.loads(body)})
        return super()._request(delivery, body, now)
